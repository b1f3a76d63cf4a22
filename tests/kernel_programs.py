"""Small programs, each of which becomes a kernel of another kind, for tests of instruction sets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import relay
from relay import nn
from relay.executor import create_executor
from relay.ir.expr import Constant, Expr, Function
from relay.ir.module import IRModule


@dataclass(frozen=True)
class Program:
    """A function, its inputs, and the words that the name of one of its kernels must have."""

    function: Function
    inputs: tuple[np.ndarray, ...]
    kernel: str
    tolerance: float = 2e-5

    @cached_property
    def expected(self) -> list[np.ndarray]:
        """The results by the reference interpreter, which computes with NumPy."""
        evaluate = create_executor("debug", IRModule.from_expr(self.function)).evaluate()
        result = evaluate(*self.inputs)
        return [r.numpy() for r in (result if isinstance(result, Sequence) else [result])]

    def check(self, actual: Sequence[np.ndarray]) -> None:
        """Compare outputs with `expected`; the tolerance is relative to the largest element."""
        for mine, theirs in zip(actual, self.expected, strict=True):
            assert mine.dtype == theirs.dtype
            if mine.dtype.kind != "f":
                np.testing.assert_array_equal(mine, theirs)
                continue
            size = max(1.0, float(np.abs(theirs).max()))
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=self.tolerance * size)


def _numbers(*shape: int, dtype: str = "float32", seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    if dtype.startswith(("int", "uint")):
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return generator.standard_normal(shape).astype(dtype)


def _weights(*shape: int, dtype: str = "float32", seed: int = 2) -> Constant:
    return relay.const(_numbers(*shape, dtype=dtype, seed=seed))


def _program(
    build: Callable[..., Expr], *inputs: np.ndarray, kernel: str = "", tolerance: float = 2e-5
) -> Program:
    names = "xyz"
    parameters = [
        relay.var(name, shape=array.shape, dtype=str(array.dtype))
        for name, array in zip(names, inputs, strict=False)
    ]
    return Program(Function(parameters, build(*parameters)), inputs, kernel, tolerance)


def _convolution(x: Expr, outputs: int, inputs: int, size: int = 3, **attrs: object) -> Expr:
    weight = _weights(outputs, inputs, size, size)
    return nn.conv2d(x, weight, channels=outputs, kernel_size=(size, size), **attrs)


def _direct() -> Program:
    def build(x: Expr) -> Expr:
        y = _convolution(x, 24, 12, strides=(2, 2), padding=(1, 1))
        return nn.relu(nn.bias_add(y, _weights(24)))

    return _program(build, _numbers(2, 12, 13, 11), kernel="conv2d_NCHWc")


def _winograd() -> Program:
    def build(x: Expr) -> Expr:
        return nn.relu(_convolution(x, 64, 32, padding=(1, 1)))

    return _program(build, _numbers(1, 32, 14, 14), kernel="winograd", tolerance=1e-4)


def _depthwise() -> Program:
    def build(x: Expr) -> Expr:
        return _convolution(x, 20, 1, groups=20, padding=(1, 1))

    return _program(build, _numbers(1, 20, 9, 10), kernel="depthwise_conv2d")


def _elementary(x: Expr) -> Expr:
    parts = [relay.exp(x), relay.tanh(x), relay.erf(x), relay.sigmoid(x), relay.sin(x)]
    parts += [relay.log(relay.exp(x)), relay.rsqrt(relay.exp(x)), relay.floor(x), relay.power(x, x)]
    return relay.Tuple(parts)


def _library(x: Expr) -> Expr:
    parts = [relay.tan(x), relay.atan(x), relay.sinh(x), relay.power(x, x), relay.exp(x)]
    single = relay.cast(x, "float32")
    parts += [relay.asinh(single), relay.sin(single * relay.const(1e10))]
    return relay.Tuple(parts)


def _integers(x: Expr, y: Expr) -> Expr:
    shifted = relay.right_shift(x, relay.const(3, "int32"))
    return relay.Tuple(
        [relay.floor_divide(x, y), relay.floor_mod(x, y), relay.maximum(shifted, y), x < y]
    )


def _narrow(x: Expr) -> Expr:
    half = relay.cast(relay.cast(x, "float16") * relay.const(0.7, "float16"), "float32")
    brain = relay.cast(x, "bfloat16")
    brain = relay.cast(brain * brain, "float32")
    return relay.Tuple([half, brain, relay.cast(x, "int8"), relay.cast(x, "float16")])


def _dot8(x: Expr) -> Expr:
    return nn.dense(x, _weights(19, 40, dtype="int8"), units=19, out_dtype="int32")


def _convolution8(x: Expr) -> Expr:
    weight = _weights(12, 8, 3, 3, dtype="int8")
    y = nn.conv2d(x, weight, kernel_size=(3, 3), channels=12, padding=(1, 1), out_dtype="int32")
    return relay.cast(relay.clip(relay.right_shift(y, relay.const(6)), -128, 127), "int8")


def _network(x: Expr) -> Expr:
    """Convolutions of all kinds, a residual sum, pooling, normalisation, a classifier."""
    x = nn.relu(_convolution(x, 16, 3, strides=(2, 2), padding=(1, 1)))
    y = nn.relu(_convolution(x, 16, 16, padding=(1, 1)))
    x = nn.max_pool2d(x + y, (2, 2), (2, 2))
    x = nn.relu(_convolution(x, 16, 1, groups=16, padding=(1, 1)))
    x = nn.batch_flatten(nn.global_avg_pool2d(_convolution(x, 32, 16, size=1)))
    x = nn.layer_norm(x, _weights(32), _weights(32))
    return nn.softmax(nn.dense(x, _weights(10, 32)))


def _attention(query: Expr, key: Expr, value: Expr) -> Expr:
    scores = nn.batch_matmul(query, key) * relay.const(np.float32(0.25))
    return nn.batch_matmul(nn.softmax(scores), value, transpose_b=False)


def programs() -> dict[str, Program]:
    """All programs by name."""
    moderate = np.abs(_numbers(3, 37)) * 3 + np.float32(0.01)
    wide = _numbers(5, 37, dtype="int32") // 7
    return {
        "direct convolution": _direct(),
        "convolution by tiles": _winograd(),
        "depthwise convolution": _depthwise(),
        "dense": _program(
            lambda x: relay.tanh(nn.dense(x, _weights(29, 33)) + _weights(29)),
            _numbers(7, 33),
            kernel="dense",
        ),
        "batch_matmul": _program(
            nn.batch_matmul, _numbers(3, 9, 17), _numbers(3, 21, 17), kernel="batch_matmul"
        ),
        "attention": _program(
            _attention,
            _numbers(3, 9, 17),
            _numbers(3, 21, 17),
            _numbers(3, 21, 10),
            kernel="attention",
        ),
        "softmax": _program(nn.softmax, _numbers(9, 37), kernel="softmax"),
        "layer norm": _program(
            lambda x: nn.layer_norm(x, _weights(37), _weights(37)),
            _numbers(9, 37),
            kernel="layer_norm",
        ),
        "pooling": _program(
            lambda x: relay.Tuple(
                [
                    nn.max_pool2d(x, (3, 3), (2, 2), padding=(1, 1)),
                    nn.avg_pool2d(x, (2, 2), (2, 2)),
                ]
            ),
            _numbers(1, 6, 11, 13),
            kernel="pool2d",
        ),
        "reductions": _program(
            lambda x: relay.Tuple([relay.sum(x, 0), relay.max(x, 1), relay.argmax(x, 1)]),
            _numbers(9, 37),
            kernel="argmax",
        ),
        "elementary functions": _program(_elementary, moderate, kernel="erf"),
        "the C library": _program(_library, moderate[:2, :9].astype("float64"), kernel="sinh"),
        "integers": _program(_integers, wide, _numbers(5, 37, dtype="int32", seed=4)),
        "narrow floats": _program(_narrow, _numbers(5, 37) * 20, kernel="cast"),
        "dense of int8": _program(_dot8, _numbers(6, 40, dtype="int8"), kernel="dense"),
        "convolution of int8": _program(
            _convolution8, _numbers(1, 8, 7, 9, dtype="int8"), kernel="conv2d"
        ),
        "transpose": _program(
            lambda x: relay.transpose(x, (2, 0, 1)), _numbers(5, 6, 19), kernel="transpose"
        ),
        "take": _program(
            lambda x: relay.take(x, relay.const(np.array([3, 0, 7], "int64")), axis=0),
            _numbers(9, 21),
            kernel="take",
        ),
        "network": _program(_network, _numbers(1, 3, 24, 24), tolerance=1e-4),
    }
