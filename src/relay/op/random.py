"""Random numbers: functions of a key, which gives the same numbers whenever it is used.

::

    key = relay.random.threefry_key(7)
    key, x = relay.random.uniform(key, (2, 3))
    key, y = relay.random.normal(key, (2, 3))

The first result is the key for what comes after; `relay.random.threefry_split` makes two keys of
one, for parts of a program that do not wait for each other. A key is used once: used again, it
gives the same numbers. How bits are made is in `relay.op.threefry`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relay import te
from relay.ir.expr import Constant, Expr, ExprLike, const
from relay.ir.op import (
    Array,
    Gradients,
    Operator,
    Pattern,
    attributes,
    expect_tensor,
    operator,
)
from relay.ir.types import TensorType, TupleType, Type
from relay.op.functions import TupleWrapper
from relay.op.gradients import field, make, number, total
from relay.op.shapes import Ints, as_ints, expect_kind, put, put_dtype
from relay.op.threefry import (
    BLOCK,
    FIRST_BIT,
    KEY_SIZE,
    WORD,
    advanced,
    numpy_advanced,
    numpy_split,
    numpy_stream,
    split,
    stream,
)
from relay.support.errors import TypeInferenceError

_KEY = TensorType((KEY_SIZE,), WORD)
#: Bits of a random number that is floating point: those of its fraction.
_FRACTION = {"float32": 23, "float64": 52}


def _expect_key(name: str, key: Type) -> None:
    tensor = expect_tensor(name, "key", key)
    known = [d for d in tensor.shape if isinstance(d, int)]
    if tensor.dtype != WORD or len(tensor.shape) != 1 or known not in ([], [KEY_SIZE]):
        raise TypeInferenceError(
            f"{name}: expected a key {_KEY}, as relay.random.threefry_key makes it, found {tensor}"
        )


def _put_shape(declaration: "ThreefryGenerate | _Distribution") -> None:
    shape = as_ints(declaration.out_shape)
    if min(shape, default=0) < 0:
        raise ValueError(f"out_shape must not be negative, found {shape}")
    put(declaration, "out_shape", shape)


def _shaped(flat: te.Tensor, shape: Sequence[int], first: int = 0) -> te.Tensor:
    """Elements of the vector `flat` from `first` on, in `shape`."""
    return te.compute(shape, lambda *i: flat(te.flatten_index(i, shape) + first), "shaped")


@operator("random.threefry_generate", inputs=("key",), pattern=Pattern.OPAQUE, level=5)
class ThreefryGenerate(Operator):
    """The key for what comes after, and random bits: a tensor of `out_shape`, ``uint64``.

    The key counts blocks of four numbers; what is left of the last one is not used again.
    """

    piecewise_constant = True

    out_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        _put_shape(self)

    def infer(self, key: Type) -> Type:
        _expect_key(self.name, key)
        return TupleType([_KEY, TensorType(self.out_shape, WORD)])

    def compute(self, key: te.Tensor) -> tuple[te.Tensor, ...]:
        count = math.prod(self.out_shape)
        return advanced(key, count), _shaped(stream(key, count), self.out_shape)

    def reference(self, key: Array) -> tuple[Array, ...]:
        count = math.prod(self.out_shape)
        bits = numpy_stream(key, count).reshape(self.out_shape)
        return numpy_advanced(key, count), bits


@operator("random.threefry_split", inputs=("key",), pattern=Pattern.OPAQUE, level=5)
class ThreefrySplit(Operator):
    """Two keys from one, which give different numbers: a tuple."""

    piecewise_constant = True

    def infer(self, key: Type) -> Type:
        _expect_key(self.name, key)
        return TupleType([_KEY, _KEY])

    def compute(self, key: te.Tensor) -> tuple[te.Tensor, ...]:
        return split(key)

    def reference(self, key: Array) -> tuple[Array, ...]:
        return numpy_split(key)


@dataclass(frozen=True, eq=False, repr=False)
class _Distribution(Operator):
    """Base of operators that draw floating-point numbers: ``float32`` or ``float64``."""

    out_shape: tuple[int, ...]
    out_dtype: str = "float32"

    def __post_init__(self) -> None:
        _put_shape(self)
        put_dtype(self, "out_dtype")
        if self.out_dtype not in _FRACTION:
            raise ValueError(f'out_dtype must be "float32" or "float64", found {self.out_dtype!r}')

    def infer(self, key: Type, first: Type, second: Type) -> Type:
        _expect_key(self.name, key)
        for argument, type_ in zip(self.inputs[1:], (first, second), strict=True):
            tensor = expect_tensor(self.name, argument, type_)
            if tensor.shape or tensor.dtype != self.out_dtype:
                raise TypeInferenceError(
                    f"{self.name}: expected a {self.out_dtype} scalar for {argument}, "
                    f"found {tensor}"
                )
        return TupleType([_KEY, TensorType(self.out_shape, self.out_dtype)])

    def _standard(self, key: Expr, like: Expr) -> Expr:
        """The same numbers as they are for the parameters 0 and 1."""
        return field(make(self.name, key, number(0, like), number(1, like), **attributes(self)), 1)

    def _unit(self, bits: te.Expr) -> te.Expr:
        """A number in 0 .. 1, less than 1, of random bits."""
        fraction = _FRACTION[self.out_dtype]
        whole = te.cast(te.binary("shr", bits, 64 - fraction), "int64")
        return te.cast(whole, self.out_dtype) * 2.0**-fraction

    def _numpy_unit(self, bits: Array) -> Array:
        fraction = _FRACTION[self.out_dtype]
        whole = bits >> np.uint64(64 - fraction)
        found: Array = whole.astype(self.out_dtype) * np.dtype(self.out_dtype).type(2.0**-fraction)
        return found


@operator("random.uniform", inputs=("key", "low", "high"), pattern=Pattern.OPAQUE, level=5)
class Uniform(_Distribution):
    """The key for what comes after, and numbers of `out_shape`, all as likely in `low` .. `high`.

    They have as many random bits as the fraction of `out_dtype`, and are less than `high` up to
    rounding.
    """

    def compute(self, key: te.Tensor, low: te.Tensor, high: te.Tensor) -> tuple[te.Tensor, ...]:
        count = math.prod(self.out_shape)
        bits = _shaped(stream(key, count), self.out_shape)

        def element(*i: te.Var) -> te.Expr:
            return self._unit(bits(*i)) * (high() - low()) + low()

        return advanced(key, count), te.compute(self.out_shape, element, "uniform")

    def reference(self, key: Array, low: Array, high: Array) -> tuple[Array, ...]:
        count = math.prod(self.out_shape)
        unit = self._numpy_unit(numpy_stream(key, count)).reshape(self.out_shape)
        return numpy_advanced(key, count), np.asarray(unit * (high - low) + low)

    def gradient(self, grad: Expr, result: Expr, key: Expr, low: Expr, high: Expr) -> Gradients:
        by_high = total(field(grad, 1) * self._standard(key, low), high)
        return None, total(field(grad, 1), low) - by_high, by_high


@operator("random.normal", inputs=("key", "mean", "scale"), pattern=Pattern.OPAQUE, level=5)
class Normal(_Distribution):
    """The key for what comes after, and normally distributed numbers of `out_shape`.

    `scale` is the standard deviation. By the transform of Box and Muller (A Note on the Generation
    of Random Normal Deviates, 1958), of two random words each.
    """

    def compute(self, key: te.Tensor, mean: te.Tensor, scale: te.Tensor) -> tuple[te.Tensor, ...]:
        count = math.prod(self.out_shape)
        flat = stream(key, 2 * count)
        radii, angles = _shaped(flat, self.out_shape), _shaped(flat, self.out_shape, count)

        def element(*i: te.Var) -> te.Expr:
            radius = te.unary("sqrt", te.unary("log", 1.0 - self._unit(radii(*i))) * -2.0)
            angle = self._unit(angles(*i)) * math.tau
            return radius * te.unary("cos", angle) * scale() + mean()

        return advanced(key, 2 * count), te.compute(self.out_shape, element, "normal")

    def reference(self, key: Array, mean: Array, scale: Array) -> tuple[Array, ...]:
        count = math.prod(self.out_shape)
        words = numpy_stream(key, 2 * count).reshape(2, *self.out_shape)
        real = np.dtype(self.out_dtype).type
        radii, angles = self._numpy_unit(words)
        radius = np.sqrt(np.log(real(1) - radii) * real(-2))
        drawn = radius * np.cos(angles * real(math.tau)) * scale + mean
        return numpy_advanced(key, 2 * count), np.asarray(drawn, self.out_dtype)

    def gradient(self, grad: Expr, result: Expr, key: Expr, mean: Expr, scale: Expr) -> Gradients:
        by_scale = total(field(grad, 1) * self._standard(key, mean), scale)
        return None, total(field(grad, 1), mean), by_scale


@operator("random.multinomial", inputs=("key", "probs"), pattern=Pattern.OPAQUE, level=5)
class Multinomial(Operator):
    """The key for what comes after, and positions drawn by weights, with replacement.

    `probs` (..., n) are weights, floating point, which need not add up to 1; what is negative or
    NaN counts as 0. The positions (..., `num_samples`) are ``int32``. Where all weights are 0 the
    last position is drawn.
    """

    piecewise_constant = True

    num_samples: int = 1

    def __post_init__(self) -> None:
        if self.num_samples < 0:
            raise ValueError(f"num_samples must not be negative, found {self.num_samples}")

    def infer(self, key: Type, probs: Type) -> Type:
        _expect_key(self.name, key)
        weights = expect_kind(self.name, "probs", probs, "float")
        if not weights.shape or weights.shape[-1] == 0:
            raise TypeInferenceError(
                f"{self.name}: expected weights of at least one position, found {weights}"
            )
        shape = (*weights.shape[:-1], self.num_samples)
        return TupleType([_KEY, TensorType(shape, "int32")])

    def compute(self, key: te.Tensor, probs: te.Tensor) -> tuple[te.Tensor, ...]:
        shape = (*probs.shape[:-1], self.num_samples)
        count: te.Dim = 1
        for dim in shape:
            count = count * dim
        bits = stream(key, count)
        output = te.placeholder(shape, "int32", "positions")
        return advanced(key, count), te.ordered((bits, probs), (output,), self._write)[0]

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        """Running sums of the weights, in which a random part of their total is searched for."""
        (bits, probs), (result,) = given, made
        *lead, size = probs.static_shape
        if not self.num_samples:
            return
        with w.loop(math.prod(lead), "row", kind="parallel") as row:
            place = te.unflatten_index(row, lead)
            sums = w.private("float64", (size,), "sums")
            total = w.private("float64", (1,), "total")
            start = w.private(te.INDEX, (1,), "start")
            w.store(total, (0,), 0.0)
            with w.loop(size, "k") as k:
                weight = te.cast(probs(*place, k), "float64")
                weight = te.select(weight > 0.0, weight, te.const(0.0, "float64"))
                w.store(total, (0,), weight, reduce="sum")
                w.store(sums, (k,), total(0))
            with w.loop(self.num_samples, "sample") as sample:
                word = te.binary("shr", bits(row * self.num_samples + sample), 11)
                unit = te.cast(te.cast(word, "int64"), "float64") * 2.0**-53
                wanted = w.private("float64", (1,), "wanted")
                w.store(wanted, (0,), unit * total(0))
                w.store(start, (0,), 0)
                rest = size
                while rest > 0:
                    step = max(1, rest // 2)
                    behind = sums(start(0) + (step - 1)) <= wanted(0)
                    ahead = te.select(behind, te.const(step), te.const(0))
                    w.store(start, (0,), ahead, reduce="sum")
                    rest = rest - step if rest > 1 else 0
                found = te.minimum(start(0), size - 1)
                w.store(result, (*place, sample), te.cast(found, "int32"))

    def reference(self, key: Array, probs: Array) -> tuple[Array, ...]:
        shape = (*probs.shape[:-1], self.num_samples)
        count = math.prod(shape)
        words = numpy_stream(key, count) >> np.uint64(11)
        unit = (words.astype("float64") * 2.0**-53).reshape(shape)
        weights = np.where(probs > 0, probs, 0).astype("float64")
        result = np.zeros(shape, "int32")
        for row in np.ndindex(*shape[:-1]):
            sums = np.cumsum(weights[row])
            places = np.searchsorted(sums, unit[row] * sums[-1], side="right")
            result[row] = np.minimum(places, len(sums) - 1)
        return numpy_advanced(key, count), result


def threefry_key(seed: int) -> Constant:
    """A key to begin with: a constant of ten words. `seed` is an integer of up to 256 bits.

    Raises `ValueError` for one that is negative or has more.
    """
    if not 0 <= seed < 1 << 256:
        raise ValueError(f"a seed is an integer of up to 256 bits that is not negative: {seed}")
    words = [(seed >> (64 * k)) & ((1 << 64) - 1) for k in range(BLOCK)]
    return const(np.array([*words, 0, 0, 0, 0, FIRST_BIT, 0], WORD))


def threefry_generate(key: Expr, shape: Ints) -> TupleWrapper:
    """The next key, and random ``uint64`` numbers of `shape`; see `ThreefryGenerate`."""
    return TupleWrapper(ThreefryGenerate.call(key, out_shape=shape), 2)


def threefry_split(key: Expr) -> TupleWrapper:
    """Two keys from one; see `ThreefrySplit`."""
    return TupleWrapper(ThreefrySplit.call(key), 2)


def _drawn(
    distribution: type[_Distribution], key: Expr, shape: Ints, dtype: str, *parameters: ExprLike
) -> TupleWrapper:
    """A call of a distribution, whose parameters take the data type of what is drawn."""
    given = (p if isinstance(p, Expr) else const(np.asarray(p, dtype)) for p in parameters)
    return TupleWrapper(distribution.call(key, *given, out_shape=shape, out_dtype=dtype), 2)


def uniform(
    key: Expr,
    shape: Ints,
    dtype: str = "float32",
    low: ExprLike = 0.0,
    high: ExprLike = 1.0,
) -> TupleWrapper:
    """The next key, and numbers of `shape` that are as likely anywhere in `low` .. `high`."""
    return _drawn(Uniform, key, shape, dtype, low, high)


def normal(
    key: Expr,
    shape: Ints,
    dtype: str = "float32",
    mean: ExprLike = 0.0,
    scale: ExprLike = 1.0,
) -> TupleWrapper:
    """The next key, and normally distributed numbers of `shape`; see `Normal`."""
    return _drawn(Normal, key, shape, dtype, mean, scale)


def multinomial(key: Expr, probs: Expr, num_samples: int = 1) -> TupleWrapper:
    """The next key, and positions drawn by the weights `probs`; see `Multinomial`."""
    return TupleWrapper(Multinomial.call(key, probs, num_samples=num_samples), 2)


__all__ = [
    "Multinomial",
    "Normal",
    "ThreefryGenerate",
    "ThreefrySplit",
    "Uniform",
    "multinomial",
    "normal",
    "threefry_generate",
    "threefry_key",
    "threefry_split",
    "uniform",
]
