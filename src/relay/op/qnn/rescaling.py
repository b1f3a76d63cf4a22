"""From one scale to another in integers: a ratio as a 32-bit factor and a power of two."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from relay import dtypes
from relay.ir.expr import Expr, const
from relay.ir.op import Array
from relay.op.gradients import make, rank_of, tensor_of
from relay.op.qnn.common import (
    Quantization,
    along,
    are_equal,
    calculated,
    cast,
    centered,
    centered_array,
    is_number,
    is_zero,
    known,
    saturated,
    saturated_array,
    scalar,
    spread,
)
from relay.support.errors import RelayError

ROUNDINGS: Final = ("UPWARD", "TONEAREST")
COMPUTE_DTYPES: Final = ("int64", "float32", "float64")
_SHIFTS: Final = (-30, 31)
"""Powers of two between which 32-bit values may be rescaled: beyond, all are zero or too large."""


@dataclass(frozen=True)
class RequantizeConfig:
    """How values are requantised where the operators do not say it.

    A half is rounded ``"UPWARD"`` or, ``"TONEAREST"``, away from zero. `compute_dtype` is
    ``"int64"``, which gives the same integers on every machine, ``"float32"`` or ``"float64"``.
    """

    rounding: str = "UPWARD"
    compute_dtype: str = "int64"

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("rounding", self.rounding, ROUNDINGS),
            ("compute_dtype", self.compute_dtype, COMPUTE_DTYPES),
        ):
            if value not in choices:
                raise RelayError(
                    f"requantize: {what} must be one of {', '.join(choices)}, found {value!r}"
                )


_CURRENT: Final[ContextVar[RequantizeConfig]] = ContextVar("requantize_config")
_DEFAULT: Final = RequantizeConfig()


def current_requantize_config() -> RequantizeConfig:
    """How values are requantised where the operators do not say it."""
    return _CURRENT.get(_DEFAULT)


@contextmanager
def requantize_config(
    rounding: str | None = None, compute_dtype: str | None = None
) -> Iterator[RequantizeConfig]:
    """Within the context, requantise so where the operators do not say it; see the class.

    It counts when a program is expanded or interpreted, not when it is written. Raises `RelayError`
    for anything that `RequantizeConfig` does not know.
    """
    config = configured(rounding or "None", compute_dtype or "None")
    token = _CURRENT.set(config)
    try:
        yield config
    finally:
        _CURRENT.reset(token)


def configured(rounding: str = "None", compute_dtype: str = "None") -> RequantizeConfig:
    """The configuration with what an operator says, ``"None"`` being nothing."""
    config = current_requantize_config()
    if rounding != "None":
        config = replace(config, rounding=rounding)
    if compute_dtype != "None":
        config = replace(config, compute_dtype=compute_dtype)
    return config


# ---------------------------------------------------------------- arrays


def fixed_point(ratio: Array) -> tuple[Array, Array]:
    """Factors in Q31 and powers of two, both ``int64``: ``ratio = factor * 2**(shift - 31)``.

    Ratios below ``2**-31`` count as zero, those from ``2**31`` on as about that.
    """
    significand, exponent = np.frexp(ratio.astype("float64"))
    factor = np.floor(significand * 2.0**31 + 0.5).astype("int64")
    carry = factor >> 31  # 0.99999999999 is rounded to 1
    factor, shift = factor >> carry, exponent.astype("int64") + carry
    factor = np.where(shift < _SHIFTS[0], 0, factor)
    return factor, np.clip(shift, *_SHIFTS)


def rescaled_array(values: Array, ratio: Array, config: RequantizeConfig) -> Array:
    """Integers times `ratio`, rounded to integers."""
    upward = config.rounding == "UPWARD"
    if config.compute_dtype != "int64":
        numpy = dtypes.to_numpy(config.compute_dtype)
        product = values.astype(numpy) * ratio.astype(numpy)
        up = np.floor(product + numpy.type(0.5))
        down = np.ceil(product - numpy.type(0.5))
        return np.asarray(up if upward else np.where(values < 0, down, up))
    factor, shift = fixed_point(ratio)
    left, right = np.maximum(shift, 0), 31 - np.minimum(shift, 0)
    limit = np.where(left > 0, (1 << (32 - left)) - 1, np.int64(1) << 62)
    bounded = np.clip(values.astype("int64"), -limit, limit)
    half: Array = np.left_shift(np.int64(1), right - 1)
    nudge = half if upward else half - (values < 0)
    return np.asarray(((bounded << left) * factor + nudge) >> right)


def ratio_array(input_scale: Array, output_scale: Array, axis: int, rank: int) -> Array:
    """The ratio of two scales, such that it broadcasts along `axis`."""
    return np.asarray(
        along(input_scale, axis, rank).astype("float64")
        / along(output_scale, axis, rank).astype("float64")
    )


def requantized_array(
    data: Array,
    given: Quantization[Array],
    wanted: Quantization[Array],
    axis: int,
    dtype: str,
    config: RequantizeConfig,
) -> Array:
    """`data` that are `given` with one scale and zero point, with those that are `wanted`."""
    values = centered_array(data, given.zero_point, axis, "int64")
    ratio = ratio_array(given.scale, wanted.scale, axis, data.ndim)
    found = rescaled_array(values, ratio, config)
    return saturated_array(found, along(wanted.zero_point, axis, data.ndim), dtype)


# ---------------------------------------------------------------- expressions


def requantized(
    data: Expr,
    given: Quantization[Expr],
    wanted: Quantization[Expr],
    axis: int,
    dtype: str,
    config: RequantizeConfig,
) -> Expr:
    """`data` that are `given` with one scale and zero point, with those that are `wanted`."""
    if tensor_of(data).dtype == dtype and all(map(are_equal, given, wanted)):
        return data
    values = centered(data, given.zero_point, axis, config.compute_dtype)
    bits = dtypes.bits(tensor_of(data).dtype) + 1
    found = rescaled(values, given.scale, wanted.scale, axis, config, bits)
    return saturated(found, wanted.zero_point, axis, dtype)


def rescaled(
    values: Expr,
    input_scale: Expr,
    output_scale: Expr,
    axis: int,
    config: RequantizeConfig,
    bits: int,
) -> Expr:
    """Integers of one scale with another one, in the data type that `config` computes in.

    Their absolute values have as many `bits`, at most.
    """
    if are_equal(input_scale, output_scale):
        return values
    ratio = calculated("divide", wide_scale(input_scale), wide_scale(output_scale))
    if config.compute_dtype != "int64":
        return _float_product(values, ratio, axis, config)
    found = known(ratio)
    if found is None:
        factor, shift = _fixed_point(ratio)
    else:
        factor, shift = (const(v, "int64") for v in fixed_point(found))
    left = calculated("maximum", shift, _number(0))
    # The product with 31 bits of the factor must fit 64.
    if not is_zero(left) and (found is None or bits + _largest(left) > 32):
        limit = spread(_limits(left), axis, rank_of(values), "int64")
        bounded = make("minimum", values, limit)
        values = make("maximum", bounded, calculated("negative", limit))
    if config.rounding == "UPWARD":
        return _upward(values, factor, shift, axis)
    return _to_nearest(values, factor, shift, axis)


def _largest(shift: Expr) -> int:
    found = known(shift)
    return 0 if found is None else int(np.max(found.astype("int64")))


def wide_scale(scale: Expr) -> Expr:
    """A scale in float64, in which the ratio of scales is computed."""
    wide = cast(scale, "float64")
    return scalar(wide) if is_number(wide) else wide


def _number(value: int) -> Expr:
    return const(value, "int64")


def _float_product(values: Expr, ratio: Expr, axis: int, config: RequantizeConfig) -> Expr:
    dtype = config.compute_dtype
    factor = spread(ratio, axis, rank_of(values), dtype)
    product = make("multiply", values, factor)
    half = const(0.5, dtype)
    up = make("floor", make("add", product, half))
    if config.rounding == "UPWARD":
        return up
    down = make("ceil", make("subtract", product, half))
    return make("where", make("less", values, const(0, dtype)), down, up)


def _upward(values: Expr, factor: Expr, shift: Expr, axis: int) -> Expr:
    """``values * factor * 2**(shift - 31)``, halves rounded upwards."""
    one_factor, one_shift = known(factor), known(shift)
    if one_factor is not None and one_shift is not None and not one_factor.ndim:
        given = {"multiplier": int(one_factor), "shift": int(one_shift)}
        return make("fixed_point_multiply", values, **given)
    left = calculated("maximum", shift, _number(0))
    right = calculated("maximum", calculated("negative", shift), _number(0))
    return make(
        "fixed_point_multiply_per_axis",
        values,
        *(cast(v, "int32") for v in (factor, left, right)),
        is_lshift_required=not is_zero(left),
        is_rshift_required=not is_zero(right),
        axes=(axis % rank_of(values),) if tensor_of(factor).shape else (),
    )


def _to_nearest(values: Expr, factor: Expr, shift: Expr, axis: int) -> Expr:
    """``values * factor * 2**(shift - 31)``, halves rounded away from zero."""
    factor, shift = (spread(v, axis, rank_of(values), "int64") for v in (factor, shift))
    left = calculated("maximum", shift, _number(0))
    power = calculated("subtract", _number(31), calculated("minimum", shift, _number(0)))
    half = calculated("left_shift", _number(1), calculated("subtract", power, _number(1)))
    less = calculated("subtract", half, _number(1))
    nudge = make("where", make("less", values, _number(0)), less, half)
    wide = values if is_zero(left) else make("left_shift", values, left)
    return make("right_shift", make("add", make("multiply", wide, factor), nudge), power)


def _limits(left: Expr) -> Expr:
    """What values may be at most before they are shifted to the left and do not overflow.

    Larger ones are too large for 32 bits afterwards, as the limit is.
    """
    bits = calculated("subtract", _number(32), calculated("maximum", left, _number(1)))
    limit = calculated("subtract", calculated("left_shift", _number(1), bits), _number(1))
    shifted = calculated("greater", left, _number(0))
    return calculated("where", shifted, limit, _number(1 << 62))


def _fixed_point(ratio: Expr) -> tuple[Expr, Expr]:
    """`fixed_point` at run time, from the bits of positive float64 numbers."""
    bits = make("reinterpret", ratio, dtype="int64")
    biased = make("bitwise_and", make("right_shift", bits, _number(52)), _number(2047))
    mantissa = make("bitwise_and", bits, _number((1 << 52) - 1))
    # The significand within 0.5 .. 1 has its point before bit 52; Q31 has it before bit 30.
    significand = make("bitwise_or", mantissa, _number(1 << 52))
    factor = make("right_shift", make("add", significand, _number(1 << 21)), _number(22))
    carry = make("right_shift", factor, _number(31))
    shift = make("add", make("subtract", biased, _number(1022)), carry)
    small = make("less", shift, _number(_SHIFTS[0]))
    factor = make("where", small, _number(0), make("right_shift", factor, carry))
    lowest, highest = map(_number, _SHIFTS)
    return factor, make("maximum", make("minimum", shift, highest), lowest)
