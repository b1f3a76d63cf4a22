"""Values of the data types that NumPy does not have, and the integers that are stored for them.

Arrays of ``bfloat16`` and of the small types hold *codes*: the bits of a float, or the value of an
``int4`` as an ``int8``. `decode` gives the values that codes stand for, `encode` the codes of the
nearest values. Both work by tables and searches, to be a meaning of its own beside the arithmetic
on bits that is compiled.

Source of the formats: OCP 8-bit Floating Point 1.0, OCP Microscaling Formats 1.0 and, for those
called ``fnuz``, arXiv:2206.02915; of the conversions: the ONNX operator Cast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from relay import dtypes

ROUND_MODES: Final[Sequence[str]] = ("nearest", "up", "down")
"""How a value becomes a power of two in ``float8_e8m0fnu``; `nearest` takes ties up."""

_Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Format:
    """A small float with a sign: ``(-1)**sign * 1.fraction * 2**(exponent - bias)``.

    `largest` is the code of the largest finite value, `overflow` that of what is larger, `nan` that
    of no number. With `one_zero` zero has no sign, and the code of -0 is the only NaN.
    """

    exponent: int
    fraction: int
    bias: int
    largest: int
    overflow: int
    nan: int
    one_zero: bool = False

    @property
    def sign(self) -> int:
        """The bit of the sign."""
        return 1 << (self.exponent + self.fraction)


FORMATS: Final[dict[str, Format]] = {
    "float8_e4m3fn": Format(4, 3, 7, 0x7E, 0x7F, 0x7F),
    "float8_e4m3fnuz": Format(4, 3, 8, 0x7F, 0x80, 0x80, one_zero=True),
    "float8_e5m2": Format(5, 2, 15, 0x7B, 0x7C, 0x7E),
    "float8_e5m2fnuz": Format(5, 2, 16, 0x7F, 0x80, 0x80, one_zero=True),
    # Without NaN, one becomes the zero of the other sign, as everywhere.
    "float4_e2m1fn": Format(2, 1, 1, 0x7, 0x7, 0x8),
}
"""The small floats, but for ``float8_e8m0fnu``: that is 2**(code - 127), and NaN where 255."""

E8M0: Final = "float8_e8m0fnu"
_E8M0_NAN: Final = 255


def largest(dtype: str) -> float:
    """The largest finite value of a small float."""
    return float(_finite(dtype)[-1])


# ---------------------------------------------------------------------- bfloat16


def to_bfloat16(values: npt.ArrayLike) -> npt.NDArray[np.uint16]:
    """The bits of `values` rounded to ``bfloat16``, ties to even."""
    single = np.asarray(values, np.float32)
    bits = single.view(np.uint32)
    # A NaN must not carry over into infinity.
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    nan = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(single), nan, rounded).astype(np.uint16)


def from_bfloat16(bits: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The values that bits of ``bfloat16`` stand for."""
    return (np.asarray(bits).astype(np.uint32) << np.uint32(16)).view(np.float32)


# ---------------------------------------------------------------------- all of them


def decode(stored: _Array, dtype: str) -> _Array:
    """The values of elements of `dtype` as they are stored, as `dtypes.value_dtype` says.

    Types that NumPy has are their own values.
    """
    if dtypes.is_native(dtype) or dtype in dtypes.SMALL_INTEGERS:
        return stored
    if dtype == "bfloat16":
        return from_bfloat16(stored)
    return np.asarray(_table(dtype)[stored])


def encode(
    values: npt.ArrayLike, dtype: str, saturate: bool = False, round_mode: str = "nearest"
) -> _Array:
    """`values` as elements of `dtype` are stored: the nearest ones, ties to even.

    Integers wrap around, floats become integers towards zero. A value too large for a small float
    becomes infinity, NaN where the type has none, or with `saturate` the largest finite value;
    ``float4_e2m1fn`` has neither and always saturates. `round_mode` (`ROUND_MODES`) is for
    ``float8_e8m0fnu`` only, where too small is as bad as too large, and below zero is always NaN.
    64-bit integers are taken as their nearest ``float64``.
    """
    if dtype in dtypes.SMALL_INTEGERS:
        return _encode_integers(np.asarray(values), dtype)
    if dtype == "bfloat16":
        return to_bfloat16(values)
    if dtype not in dtypes.SMALL:
        return np.asarray(values, dtypes.to_numpy(dtype))
    wide = np.asarray(values).astype(np.float64)
    if dtype == E8M0:
        return _encode_scale(wide, saturate, round_mode)
    return _encode_float(wide, FORMATS[dtype], dtype, saturate)


def rounded(
    values: npt.ArrayLike, dtype: str, saturate: bool = False, round_mode: str = "nearest"
) -> _Array:
    """`values` brought to what `dtype` can hold, as `encode` does it."""
    return decode(encode(values, dtype, saturate, round_mode), dtype)


def stored_form(array: _Array) -> tuple[_Array, str]:
    """An array of NumPy's types, or those of ``ml_dtypes``, as it is stored here, and its type.

    The memory is shared, unless an integer narrower than a byte has other bits set. Raises
    `ValueError` for dtypes that have no counterpart.
    """
    dtype = dtypes.from_numpy(array.dtype)
    storage = dtypes.to_numpy(dtype)
    if array.dtype == storage:
        return array, dtype
    stored = array.view(storage)
    if dtypes.width(dtype) < dtypes.bits(dtype) and array.size:
        proper = low_bits(stored, dtype)
        if not np.array_equal(proper, stored):
            return proper, dtype
    return stored, dtype


def low_bits(stored: _Array, dtype: str) -> _Array:
    """Codes of `dtype` from bytes of which only the low bits count."""
    width = dtypes.width(dtype)
    low = stored.astype(np.uint8) & np.uint8((1 << width) - 1)
    if dtypes.is_signed(dtype):
        half = 1 << (width - 1)
        return (low ^ np.uint8(half)).astype(np.int8) - np.int8(half)
    return low


def unpacked(packed: npt.NDArray[np.uint8], dtype: str, count: int) -> _Array:
    """`count` elements of `dtype` from bytes that hold several, the first in the lowest bits."""
    width = dtypes.width(dtype)
    if width == dtypes.bits(dtype):
        return packed[:count].view(dtypes.to_numpy(dtype))
    shifts = np.arange(0, 8, width, dtype=np.uint8)
    return low_bits((packed[:, None] >> shifts).reshape(-1)[:count], dtype)


def packed(stored: _Array, dtype: str) -> bytes:
    """The bytes that `unpacked` makes `stored` of; the last one may have bits of nobody."""
    width = dtypes.width(dtype)
    if dtype not in dtypes.SMALL or width == dtypes.bits(dtype):
        return stored.tobytes()
    each = 8 // width
    low = stored.reshape(-1).astype(np.uint8) & np.uint8((1 << width) - 1)
    rows = np.append(low, np.zeros(-len(low) % each, np.uint8)).reshape(-1, each)
    shifted = rows << np.arange(0, 8, width, dtype=np.uint8)
    return np.asarray(np.bitwise_or.reduce(shifted, axis=1), np.uint8).tobytes()


# ---------------------------------------------------------------------- tables


@cache
def _finite(dtype: str) -> npt.NDArray[np.float64]:
    """The finite values that are not negative, in the order of their codes from 0."""
    if dtype == E8M0:
        return np.asarray(np.ldexp(1.0, np.arange(_E8M0_NAN) - 127), np.float64)
    form = FORMATS[dtype]
    codes = np.arange(form.largest + 1)
    exponent, fraction = codes >> form.fraction, codes & ((1 << form.fraction) - 1)
    normal = exponent > 0
    significand = np.where(normal, fraction + (1 << form.fraction), fraction)
    power = np.where(normal, exponent, 1) - form.bias - form.fraction
    return np.asarray(np.ldexp(significand.astype(np.float64), power), np.float64)


@cache
def _table(dtype: str) -> npt.NDArray[np.float32]:
    """The value of every byte; bits that the type does not use do not count."""
    finite = _finite(dtype).astype(np.float32)
    if dtype == E8M0:
        return np.append(finite, np.float32(np.nan))
    form = FORMATS[dtype]
    codes = np.arange(256)
    sizes = codes & (form.sign - 1)
    values = np.where(sizes <= form.largest, finite[np.minimum(sizes, form.largest)], np.nan)
    if dtype == "float8_e5m2":
        values[sizes == form.overflow] = np.inf
    if form.one_zero:
        values[form.nan] = np.nan
    return np.copysign(values, np.where(codes & form.sign, -1.0, 1.0)).astype(np.float32)


@cache
def _bounds(dtype: str) -> npt.NDArray[np.float64]:
    """The values half way between a finite value and the next, as if the last one had a next."""
    finite = _finite(dtype)
    after = np.append(finite[1:], 2 * finite[-1] - finite[-2])
    return np.asarray((finite + after) / 2, np.float64)


def _encode_float(
    wide: npt.NDArray[np.float64], form: Format, dtype: str, saturate: bool
) -> _Array:
    size, bounds = np.abs(wide), _bounds(dtype)
    below, above = np.searchsorted(bounds, size, "left"), np.searchsorted(bounds, size, "right")
    code = np.where(below & 1, above, below)  # they differ half way between two codes
    if saturate or form.overflow == form.largest:
        code = np.minimum(code, form.largest)
    else:
        code = np.where(code > form.largest, form.overflow, code)
    sign = np.where(np.signbit(wide), form.sign, 0)
    if form.one_zero:
        sign = np.where(code == 0, 0, sign)
        code = np.where(np.isnan(wide), form.nan, code | sign)
    else:
        code = np.where(np.isnan(wide), form.nan, code) ^ sign
    return code.astype(np.uint8)


def _encode_scale(wide: npt.NDArray[np.float64], saturate: bool, round_mode: str) -> _Array:
    finite = _finite(E8M0)
    match round_mode:
        case "up":
            code = np.searchsorted(finite, wide, "left")
            small = wide <= finite[0] / 2
        case "down":
            code = np.searchsorted(finite, wide, "right") - 1
            small = wide < finite[0]
        case "nearest":
            code = np.searchsorted(0.75 * finite, wide, "right") - 1
            code = np.where(wide >= 1.5 * finite[-1], _E8M0_NAN, code)
            small = wide < 0.75 * finite[0]
        case _:
            raise ValueError(f"round_mode must be one of {ROUND_MODES}, found {round_mode!r}")
    if round_mode == "down":
        code = np.where(wide >= 2 * finite[-1], _E8M0_NAN, code)
    code = np.where(small, 0 if saturate else _E8M0_NAN, code)
    if saturate:
        code = np.minimum(code, _E8M0_NAN - 1)
    return np.where(np.isnan(wide) | (wide < 0), _E8M0_NAN, code).astype(np.uint8)


def _encode_integers(values: _Array, dtype: str) -> _Array:
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            values = values.astype(np.int64)
    return low_bits(values, dtype)
