"""Programs in bfloat16, compiled, against the same programs in float32."""

from collections.abc import Callable

import numpy as np
import pytest

import relay
from relay import nn
from relay.codegen.llvm.jit import llvm_text
from relay.codes import from_bfloat16, to_bfloat16
from relay.executor.build import lower_module
from relay.ir import IRModule
from relay.ir.expr import Expr, Function
from relay.runtime.ndarray import NDArray
from relay.target import for_cpu

TARGET = for_cpu(
    "x86_64-unknown-linux-gnu", features=("avx512bf16", "avx512bw", "avx512vl"), l2_bytes=1 << 20
)

Build = Callable[..., Expr]


def numbers(*shape: int, seed: int = 3) -> np.ndarray:
    """Numbers that a bfloat16 can hold."""
    values = np.random.default_rng(seed).standard_normal(shape)
    return from_bfloat16(to_bfloat16(values))


def weight(*shape: int) -> Expr:
    """A weight as `ToMixedPrecision` leaves it: it is folded to a bfloat16."""
    return relay.cast(relay.const(numbers(*shape, seed=4)), "bfloat16")


def function(build: Build, dtype: str, *shapes: tuple[int, ...]) -> Function:
    params = [relay.var(n, shape=s, dtype=dtype) for n, s in zip("xy", shapes, strict=False)]
    return Function(params, build(*params))


def run(function: Function, *arrays: NDArray) -> np.ndarray:
    module = relay.build(IRModule.from_expr(function))["default"](relay.cpu(0))
    for name, array in zip("xy", arrays, strict=False):
        module.set_input(name, array)
    module.run()
    result = module.get_output(0)
    return from_bfloat16(result.numpy()) if result.dtype == "bfloat16" else result.numpy()


def convolution(inputs: int, outputs: int, size: int, **attrs: object) -> Build:
    def build(x: Expr) -> Expr:
        w = weight(outputs, inputs, size, size)
        w = w if x.type_annotation.dtype == "bfloat16" else relay.cast(w, "float32")
        shape = {"channels": outputs, "kernel_size": (size, size)}
        return nn.relu(nn.conv2d(x, w, out_dtype="float32", **shape, **attrs))

    return build


def squares(pool: Build) -> Build:
    return lambda x: pool(x * x)


def halves(x: Expr) -> Expr:
    return x / relay.const(1.5, x.type_annotation.dtype) + relay.const(0.25, "bfloat16").astype(
        x.type_annotation.dtype
    )


PROGRAMS: dict[str, tuple[Build, tuple[tuple[int, ...], ...]]] = {
    "dense": (lambda x, y: nn.dense(x, y), ((37, 3000), (29, 3000))),
    "conv": (convolution(16, 32, 3, padding=(1, 1)), ((1, 16, 7, 7),)),
    "conv-images": (convolution(3, 16, 5, strides=(2, 2)), ((1, 3, 21, 21),)),
    "conv-filled-up": (convolution(16, 24, 3), ((1, 16, 7, 7),)),
    "conv-large": (convolution(64, 64, 3, padding=(1, 1)), ((1, 64, 28, 28),)),
    "mean": (squares(lambda x: relay.mean(x, axis=1)), ((3, 5000),)),
    "global-pool": (squares(nn.global_avg_pool2d), ((1, 16, 50, 50),)),
    "average-pool": (squares(lambda x: nn.avg_pool2d(x, pool_size=(20, 20))), ((1, 16, 60, 60),)),
    "adaptive-pool": (squares(lambda x: nn.adaptive_avg_pool2d(x, (2, 2))), ((1, 16, 50, 50),)),
    "max-pool": (lambda x: nn.max_pool2d(x, pool_size=(3, 3)), ((1, 16, 20, 20),)),
    "softmax": (nn.softmax, ((5, 600),)),
    "constants": (halves, ((5, 77),)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_results(name: str) -> None:
    build, shapes = PROGRAMS[name]
    inputs = [numbers(*shape) for shape in shapes]
    mine = run(
        function(build, "bfloat16", *shapes),
        *(NDArray(to_bfloat16(x), "bfloat16") for x in inputs),
    )
    theirs = run(function(build, "float32", *shapes), *map(NDArray, inputs))
    assert np.abs(mine - theirs).max() < 8e-3 * np.abs(theirs).max()


def test_casts_of_weights_are_folded() -> None:
    lowered = lower_module(
        function(lambda x: nn.dense(x, weight(48, 32)), "bfloat16", (8, 32)), TARGET
    )
    assert all("cast" not in kernel.name for kernel in lowered.kernels)
    text = llvm_text([k.scheduled for k in lowered.kernels], TARGET)
    assert "dpbf16ps" in text


def test_conversions_take_an_instruction() -> None:
    narrowed = function(lambda x: relay.cast(x, "bfloat16"), "float32", (64,))
    (kernel,) = lower_module(narrowed, TARGET).kernels
    assert "fptrunc" in llvm_text([kernel.scheduled], TARGET)
    other = for_cpu("x86_64-unknown-linux-gnu", features=("avx2",))
    (kernel,) = lower_module(narrowed, other).kernels
    assert "fptrunc" not in llvm_text([kernel.scheduled], other)


def test_arithmetic_rounds_once() -> None:
    chain = function(lambda x: (x + x) * x - x, "bfloat16", (64,))
    (kernel,) = lower_module(chain, TARGET).kernels
    text = llvm_text([kernel.scheduled], TARGET)
    stored = [line for line in text.splitlines() if "store" in line]
    assert len(stored) == 1
    assert run(chain, NDArray(to_bfloat16(np.full(64, 1.046875)), "bfloat16"))[0] == 1.1484375


@pytest.mark.parametrize(("pairs", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_large_convolutions_may_go_by_tiles(pairs: bool, dtype: str) -> None:
    """Rounded tiles are multiplied in pairs where there is an instruction for it."""
    target = TARGET if pairs else for_cpu("x86_64-unknown-linux-gnu", features=("avx2", "fma"))
    program = function(PROGRAMS["conv-large"][0], "bfloat16", (1, 64, 56, 56))
    kernels = lower_module(program, target).kernels
    (kernel,) = (kernel for kernel in kernels if "winograd" in kernel.name)
    assert kernel.loops.params[1].dtype == dtype
    assert ("dpbf16ps" in llvm_text([kernel.scheduled], target)) == pairs
