"""Scalar literals of Relay text."""

from typing import Final

import numpy as np

from relay import dtypes
from relay.ir.expr import Constant
from relay.ir.token_stream import TokenStream
from relay.runtime.ndarray import NDArray
from relay.support.diagnostics import did_you_mean
from relay.support.lexer import Token

_SUFFIXES: Final = {
    **{f"i{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"u{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"f{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "f": "float32",
}
_LARGEST: Final = {
    "float16": float(np.finfo(np.float16).max),
    "float32": float(np.finfo(np.float32).max),
    "float64": float(np.finfo(np.float64).max),
}
SPECIAL: Final = {
    f"{word}{suffix}": (float(word), dtype)
    for word in ("inf", "nan")
    for suffix, dtype in _SUFFIXES.items()
    if suffix.startswith("f")
}
"""Literals that are words -> number and data type."""


def scalar_literal(stream: TokenStream, token: Token, negative: bool = False) -> Constant:
    """A scalar literal: ``1`` is int32 (int64 where it does not fit), ``1f`` float32, ...

    `negative` when a minus sign stands before it. Raises `ParseError` for what does not fit.
    """
    if token.text in SPECIAL:
        number: float | int
        number, dtype = SPECIAL[token.text]
    else:
        number, dtype = _value(stream, token, negative)
    array = np.asarray(-number if negative else number, dtypes.to_numpy(dtype))
    return Constant(NDArray(array, dtype), stream.span_of(token))


def _value(stream: TokenStream, token: Token, negative: bool) -> tuple[float | int, str]:
    text = token.text
    cut = next((i for i, c in enumerate(text) if c in "fiu"), len(text))
    digits, suffix = text[:cut], text[cut:]
    if suffix and suffix not in _SUFFIXES:
        stream.error(
            token, f"`{suffix}` is not the type of a number", *did_you_mean(suffix, _SUFFIXES)
        )
    dtype = _SUFFIXES.get(suffix, "int32" if digits.isdigit() else "float32")
    if dtypes.is_float(dtype):
        value = float(digits)
        if value > _LARGEST[dtype]:
            stream.error(token, f"{digits} does not fit {dtype}")
        return value, dtype
    if not digits.isdigit():
        stream.error(token, f"{digits} is not a whole number, which {dtype} needs")
    whole = stream.integer(token)
    signed = -whole if negative else whole
    if not suffix and not _fits(signed, dtype):
        dtype = "int64"
    if not _fits(signed, dtype):
        stream.error(token, f"{signed} does not fit {dtype}")
    return whole, dtype


def _fits(value: int, dtype: str) -> bool:
    low, high = dtypes.integer_range(dtype)
    return low <= value <= high
