"""Numbers as text and back, as ONNX's Cast says.

Floating-point numbers are written with as many digits as tell them apart, without an exponent; what
is no finite number is ``NaN``, ``INF`` or ``-INF``, which are read in any case.
"""

import re
from collections.abc import Callable
from typing import Final

import numpy as np

from relay.ir.op import Array
from relay.support.errors import InputError

_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_INTEGER: Final = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_SPECIAL: Final = re.compile(r"\s*([+-]?inf|nan)\s*", re.ASCII | re.IGNORECASE)
#: A longer text is no number that anybody writes, and would take long to read.
_MAX_DIGITS: Final = 1000


def to_text(data: Array) -> Array:
    """Every number, or ``bool``, as text."""
    return _each(_shown, data, np.dtype(object))


def to_numbers(data: Array, dtype: np.dtype[np.generic]) -> Array:
    """Every text as a number: an integer from the whole part of what it says.

    Raises `InputError` for what is no number, or none that `dtype` has.
    """
    if dtype.kind in "fb":
        read = _float if dtype.kind == "f" else _bool
        return _each(lambda text: read(str(text)), data, dtype)
    limits = np.iinfo(dtype.name)

    def integer(text: object) -> int:
        value = _integer(str(text))
        if not limits.min <= value <= limits.max:
            raise InputError(f"{str(text)[:60]!r} is a number that {dtype} does not have")
        return value

    return _each(integer, data, dtype)


def _each(convert: Callable[[object], object], data: Array, dtype: np.dtype[np.generic]) -> Array:
    result = np.empty(data.shape, dtype)
    for position, element in np.ndenumerate(data):
        result[position] = convert(element)
    return result


def _shown(number: object) -> str:
    if not isinstance(number, np.floating):
        return str(number)
    if np.isnan(number):
        return "NaN"
    if np.isinf(number):
        return "INF" if number > 0 else "-INF"
    return np.format_float_positional(number, unique=True, trim="0")


def _float(text: str) -> float:
    if len(text) > _MAX_DIGITS or not (_NUMBER.fullmatch(text) or _SPECIAL.fullmatch(text)):
        raise InputError(f"{text[:60]!r} is no number")
    return float(text)


def _integer(text: str) -> int:
    if len(text) <= _MAX_DIGITS and _INTEGER.fullmatch(text):
        return int(text)
    value = _float(text)
    if not np.isfinite(value):
        raise InputError(f"{text[:60]!r} is no integer")
    return int(value)


def _bool(text: str) -> bool:
    word = text.strip().lower()
    return word == "true" if word in ("true", "false") else _float(text) != 0
