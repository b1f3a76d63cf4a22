"""Data types, written as strings everywhere: ``"float32"``, ``"int64"``, ``"bool"``.

A data type is a plain string so that programs, attributes, text and NumPy agree without
conversion. This module is the one place that knows which strings are data types and what they
mean. Supported: ``bool``, ``int8 .. int64``, ``uint8 .. uint64``, ``float16/32/64``, ``bfloat16``.
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
}

NAMES: Final[tuple[str, ...]] = tuple(_BITS)


def check(dtype: str) -> str:
    """Return `dtype` itself, or raise `ValueError` naming the known data types."""
    if dtype not in _BITS:
        raise ValueError(f"unknown data type {dtype!r}; expected one of {', '.join(NAMES)}")
    return dtype


def bits(dtype: str) -> int:
    """Bits that one element takes in memory (a ``bool`` takes a byte)."""
    return _BITS[check(dtype)]


def itemsize(dtype: str) -> int:
    """Bytes that one element takes in memory."""
    return bits(dtype) // 8


def is_float(dtype: str) -> bool:
    """Whether `dtype` is a floating-point type (``bfloat16`` included)."""
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


@cache
def to_numpy(dtype: str) -> np.dtype[np.generic]:
    """The NumPy dtype that stores `dtype`; ``bfloat16`` is stored as its ``uint16`` bits."""
    return np.dtype("uint16" if check(dtype) == "bfloat16" else dtype)


def from_numpy(dtype: npt.DTypeLike) -> str:
    """The data type that a NumPy dtype stands for.

    Raises `ValueError` for dtypes that have no counterpart (complex, strings, objects).
    """
    return check(np.dtype(dtype).name)


def integer_range(dtype: str) -> tuple[int, int]:
    """Smallest and largest value of an integer type or ``bool``, both inclusive."""
    if dtype == "bool":
        return 0, 1
    if is_signed(dtype):
        return -(1 << (bits(dtype) - 1)), (1 << (bits(dtype) - 1)) - 1
    if is_unsigned(dtype):
        return 0, (1 << bits(dtype)) - 1
    raise ValueError(f"{dtype} is not an integer type")


def minimum(dtype: str) -> float | int:
    """The identity of `max` over `dtype`: its smallest value (``-inf`` for floats)."""
    return float("-inf") if is_float(dtype) else integer_range(dtype)[0]


def maximum(dtype: str) -> float | int:
    """The identity of `min` over `dtype`: its largest value (``inf`` for floats)."""
    return float("inf") if is_float(dtype) else integer_range(dtype)[1]
