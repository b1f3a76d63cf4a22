"""How values of relay's data types look in LLVM's text: types, literals, intrinsic suffixes.

In registers a ``bool`` is an ``i1``, a ``bfloat16`` the ``i16`` of its bits and a small type the
``i8`` that is stored for it; in memory a ``bool`` takes a byte. ``lanes`` is 0 for a scalar and the
number of elements for a vector.
"""

import ctypes
import struct
from collections.abc import Sequence
from functools import cache
from typing import final

import numpy as np

from relay import codes, dtypes

Number = bool | int | float

REGISTER = {
    "bool": "i1",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "i8",
    "uint16": "i16",
    "uint32": "i32",
    "uint64": "i64",
    "float16": "half",
    "bfloat16": "i16",
    "float32": "float",
    "float64": "double",
    **dict.fromkeys(dtypes.SMALL, "i8"),
}
MEMORY = REGISTER | {"bool": "i8"}

_SUFFIX = {"half": "f16", "float": "f32", "double": "f64", "ptr": "p0"}


@cache
def vector(element: str, lanes: int) -> str:
    """The LLVM type of `lanes` values of the LLVM type `element`."""
    return f"<{lanes} x {element}>" if lanes else element


@cache
def register_type(dtype: str, lanes: int = 0) -> str:
    """The LLVM type that holds `dtype` in a register."""
    return vector(REGISTER[dtype], lanes)


@cache
def memory_type(dtype: str, lanes: int = 0) -> str:
    """The LLVM type that holds `dtype` in memory."""
    return vector(MEMORY[dtype], lanes)


@cache
def suffix(element: str, lanes: int = 0) -> str:
    """How an overloaded intrinsic's name spells a type: ``v16f32``."""
    name = _SUFFIX.get(element, element)
    return f"v{lanes}{name}" if lanes else name


def literal(value: Number, dtype: str) -> str:
    """`value` as a scalar literal of `dtype`, without its type."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtype == "bfloat16":
        return str(bfloat16_bits(float(value)))
    if dtype == "float32":
        return "0x" + struct.pack(">d", ctypes.c_float(value).value).hex().upper()
    if dtype == "float64":
        return "0x" + struct.pack(">d", float(value)).hex().upper()
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return f"0xH{int(np.float16(value).view(np.uint16)):04X}"
    if dtype in dtypes.SMALL_FLOATS:
        return str(int(codes.encode(value, dtype)))
    return str(int(value))


def bfloat16_bits(value: float) -> int:
    """The bits of the ``bfloat16`` nearest to `value`."""
    bits = int(struct.unpack("<I", struct.pack("<f", ctypes.c_float(value).value))[0])
    if value != value:
        return (bits >> 16) | 0x40
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) & 0xFFFF


@final
class Value:
    """An LLVM value: its text, its data type, its lanes; `const` where it is a known scalar.

    `wide` is the ``float32`` that a ``float16`` or ``bfloat16`` was rounded from by arithmetic.
    """

    __slots__ = ("const", "dtype", "lanes", "text", "wide")

    def __init__(
        self,
        text: str,
        dtype: str,
        lanes: int = 0,
        const: Number | None = None,
        wide: "Value | None" = None,
    ) -> None:
        self.text = text
        self.dtype = dtype
        self.lanes = lanes
        self.const = const
        self.wide = wide

    @property
    def type(self) -> str:
        """The LLVM type of the value."""
        return register_type(self.dtype, self.lanes)

    @property
    def typed(self) -> str:
        """The value preceded by its type, as LLVM's text wants operands."""
        return f"{register_type(self.dtype, self.lanes)} {self.text}"


def constant(value: Number, dtype: str) -> Value:
    """A scalar literal."""
    if dtypes.is_integer(dtype):
        low, high = dtypes.integer_range(dtype)
        value = (int(value) - low) % (high - low + 1) + low
    elif dtype in dtypes.SMALL_FLOATS:
        value = float(codes.rounded(value, dtype))
    return Value(literal(value, dtype), dtype, 0, value)


def constant_vector(values: Sequence[Number], dtype: str) -> Value:
    """A vector literal."""
    element = REGISTER[dtype]
    text = ", ".join(f"{element} {literal(v, dtype)}" for v in values)
    return Value(f"<{text}>", dtype, len(values))
