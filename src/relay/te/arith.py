"""What the operations of scalar expressions mean, on NumPy values: the reference for all lanes.

Values of ``bfloat16`` and of small floats are ``float32`` values that these types can hold, those
of small integers ``int8`` or ``uint8`` values; every result is brought to what its type can hold.
"""

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from relay import codes, dtypes
from relay.te.expr import REINTERPRETS, Const, Unary

#: A NumPy scalar, the same for all lanes, or an array of one value per lane.
Value: TypeAlias = npt.NDArray[np.generic] | np.generic
_Operation: TypeAlias = Callable[..., npt.ArrayLike]


def _through_float64(function: Callable[[float], float]) -> _Operation:
    apply = np.frompyfunc(function, 1, 1)
    return lambda x: np.asarray(apply(np.asarray(x, np.float64))).astype(np.float64)


def _trunc_divide(a: Value, b: Value) -> Value:
    if a.dtype.kind == "f":
        return np.asarray(np.trunc(np.divide(a, b)))
    quotient = np.floor_divide(a, b)
    opposite = np.not_equal(np.less(a, 0), np.less(b, 0))
    inexact = np.logical_and(np.not_equal(np.remainder(a, b), 0), opposite)
    return np.asarray(np.add(quotient, inexact.astype(a.dtype)))


def _power(a: Value, b: Value) -> Value:
    if a.dtype.kind == "f":
        return np.asarray(np.power(a, b))
    # An integer to a negative power is its rounded reciprocal: 0 unless the base is 1 or -1.
    sign = np.where(np.bitwise_and(b, 1), -1, 1)
    unit = np.where(np.equal(a, 1), 1, np.where(np.equal(a, -1), sign, 0))
    return np.where(np.less(b, 0), unit, np.power(a, np.maximum(b, b.dtype.type(0))))


UNARY: Final[dict[str, _Operation]] = {
    "neg": np.negative,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: np.divide(1, np.sqrt(x)),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": _through_float64(math.erf),
    "sigmoid": lambda x: np.divide(1, np.add(1, np.exp(np.negative(x)))),
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "trunc": np.trunc,
    "sign": np.sign,
    "not": np.logical_not,
    "bitnot": np.invert,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
}
BINARY: Final[dict[str, _Operation]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "floordiv": np.floor_divide,
    "floormod": np.remainder,
    "truncdiv": _trunc_divide,
    "truncmod": np.fmod,
    "min": np.minimum,
    "max": np.maximum,
    "pow": _power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": np.left_shift,
    "shr": np.right_shift,
}
COMPARE: Final[dict[str, _Operation]] = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}


def convert(value: npt.ArrayLike, dtype: str) -> Value:
    """`value` as `dtype`: floats to integers round towards zero, integers wrap around.

    What is too large for a small float becomes infinity or NaN; see `codes.encode`.
    """
    if not dtypes.is_native(dtype):
        return codes.rounded(value, dtype)[()]
    return np.asarray(value).astype(dtypes.to_numpy(dtype))[()]


def constant(node: Const) -> Value:
    """The value of a literal."""
    return convert(np.asarray(node.value), node.dtype)


def stored(value: Value, dtype: str) -> Value:
    """`value` as it lies in memory."""
    return value if dtypes.is_native(dtype) else codes.encode(value, dtype)[()]


def loaded(value: Value, dtype: str) -> Value:
    """What lies in memory, as a value to compute with."""
    return value if dtypes.is_native(dtype) else codes.decode(np.asarray(value), dtype)[()]


def unary(node: Unary, value: Value) -> Value:
    """What `node` makes of the value of its operand."""
    if node.op in REINTERPRETS:
        given = np.asarray(stored(value, node.value.dtype))
        if node.dtype in dtypes.SMALL:
            return codes.decode(codes.low_bits(given, node.dtype), node.dtype)[()]
        return loaded(given.view(dtypes.to_numpy(node.dtype))[()], node.dtype)
    return convert(UNARY[node.op](value), node.dtype)
