"""Data types, written as strings everywhere: ``"float32"``, ``"int64"``, ``"bool"``.

A data type is a plain string so that programs, attributes, text and NumPy agree without
conversion. This module is the one place that knows which strings are data types and what they
mean. Supported: ``bool``, ``int8 .. int64``, ``uint8 .. uint64``, ``float16/32/64``, ``bfloat16``;
``string`` for text, which is no number; and the *small* types, which are moved, compared and
converted, but not computed with: ``int2/4``, ``uint2/4``, ``float8_e4m3fn``, ``float8_e4m3fnuz``,
``float8_e5m2``, ``float8_e5m2fnuz``, ``float8_e8m0fnu``, ``float4_e2m1fn``. An element of a small
type takes a byte in memory: an integer as the ``int8`` or ``uint8`` of its value, a float as bits.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

_BITS: Final[dict[str, int]] = {
    "bool": 8,
    "int8": 8,
    "int16": 16,
    "int32": 32,
    "int64": 64,
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
    "float16": 16,
    "bfloat16": 16,
    "float32": 32,
    "float64": 64,
    "int4": 8,
    "uint4": 8,
    "int2": 8,
    "uint2": 8,
    "float8_e4m3fn": 8,
    "float8_e4m3fnuz": 8,
    "float8_e5m2": 8,
    "float8_e5m2fnuz": 8,
    "float8_e8m0fnu": 8,
    "float4_e2m1fn": 8,
}
_WIDTH: Final[dict[str, int]] = {
    "bool": 1,
    "int4": 4,
    "uint4": 4,
    "int2": 2,
    "uint2": 2,
    "float4_e2m1fn": 4,
}
#: How those that NumPy does not have are stored.
_STORAGE: Final[dict[str, str]] = {
    "bfloat16": "uint16",
    "int4": "int8",
    "uint4": "uint8",
    "int2": "int8",
    "uint2": "uint8",
    "float8_e4m3fn": "uint8",
    "float8_e4m3fnuz": "uint8",
    "float8_e5m2": "uint8",
    "float8_e5m2fnuz": "uint8",
    "float8_e8m0fnu": "uint8",
    "float4_e2m1fn": "uint8",
}

NAMES: Final[tuple[str, ...]] = tuple(_BITS)
"""The data types of numbers, ``bool`` among them: what compiled code computes on."""

#: The types that are moved, compared and converted, but not computed with.
SMALL: Final[frozenset[str]] = frozenset(_STORAGE) - {"bfloat16"}
SMALL_FLOATS: Final[frozenset[str]] = frozenset(n for n in SMALL if n.startswith("float"))
SMALL_INTEGERS: Final[frozenset[str]] = SMALL - SMALL_FLOATS

STRING: Final = "string"
"""Text of any length: NumPy arrays of objects that are `str`. Only the host works on it."""

TENSOR_NAMES: Final[tuple[str, ...]] = (*NAMES, STRING)
"""Everything that tensors may hold."""

#: The kinds of NumPy's dtypes that may hold text: of fixed length, of any length, objects.
_TEXT_KINDS: Final = "UTO"


def check(dtype: str) -> str:
    """Return `dtype` itself, or raise `ValueError` naming the known data types."""
    if dtype not in _BITS and dtype != STRING:
        raise ValueError(f"unknown data type {dtype!r}; expected one of {', '.join(TENSOR_NAMES)}")
    return dtype


def bits(dtype: str) -> int:
    """Bits that one element takes in memory (a ``bool`` takes a byte, text a reference to it)."""
    return 64 if dtype == STRING else _BITS[check(dtype)]


def width(dtype: str) -> int:
    """Bits that tell the values of `dtype` apart: 4 for ``int4``, 1 for ``bool``."""
    return _WIDTH.get(dtype) or bits(dtype)


def itemsize(dtype: str) -> int:
    """Bytes that one element takes in memory."""
    return bits(dtype) // 8


def is_float(dtype: str) -> bool:
    """Whether `dtype` is a floating-point type (``bfloat16`` and the small ones included)."""
    return dtype.startswith(("float", "bfloat"))


def is_signed(dtype: str) -> bool:
    """Whether `dtype` is a signed integer type."""
    return dtype.startswith("int")


def is_unsigned(dtype: str) -> bool:
    """Whether `dtype` is an unsigned integer type (``bool`` is not)."""
    return dtype.startswith("uint")


def is_integer(dtype: str) -> bool:
    """Whether `dtype` is a signed or unsigned integer type (``bool`` is not)."""
    return is_signed(dtype) or is_unsigned(dtype)


def is_native(dtype: str) -> bool:
    """Whether NumPy itself has `dtype`; arrays of the others are integers that stand for it."""
    return check(dtype) not in _STORAGE


@cache
def to_numpy(dtype: str) -> np.dtype[np.generic]:
    """The NumPy dtype that stores `dtype`; ``bfloat16`` is stored as its ``uint16`` bits.

    Text is stored as objects, see `relay.runtime.text`.
    """
    if dtype == STRING:
        return np.dtype(object)
    return np.dtype(_STORAGE.get(check(dtype), dtype))


@cache
def value_dtype(dtype: str) -> np.dtype[np.generic]:
    """The NumPy dtype in which values of `dtype` are computed: ``float32`` for ``bfloat16``."""
    if dtype in _STORAGE and is_float(dtype):
        return np.dtype("float32")
    return to_numpy(dtype)


def from_numpy(dtype: npt.DTypeLike) -> str:
    """The data type that a NumPy dtype, or one of the package ``ml_dtypes``, stands for.

    Texts of NumPy and objects stand for ``string``: whether the objects are texts is known to who
    has them. Raises `ValueError` for dtypes that have no counterpart (complex, dates).
    """
    given = np.dtype(dtype)
    return STRING if given.kind in _TEXT_KINDS else check(given.name)


def integer_range(dtype: str) -> tuple[int, int]:
    """Smallest and largest value of an integer type or ``bool``, both inclusive."""
    if dtype == "bool":
        return 0, 1
    if is_signed(dtype):
        return -(1 << (width(dtype) - 1)), (1 << (width(dtype) - 1)) - 1
    if is_unsigned(dtype):
        return 0, (1 << width(dtype)) - 1
    raise ValueError(f"{dtype} is not an integer type")


def minimum(dtype: str) -> float | int:
    """The identity of `max` over `dtype`: its smallest value (``-inf`` for floats)."""
    return float("-inf") if is_float(dtype) else integer_range(dtype)[0]


def maximum(dtype: str) -> float | int:
    """The identity of `min` over `dtype`: its largest value (``inf`` for floats)."""
    return float("inf") if is_float(dtype) else integer_range(dtype)[1]
