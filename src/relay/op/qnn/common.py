"""What the quantised operators share: their parameters, as types, as arrays and as expressions.

A quantised value ``q`` stands for the number ``scale * (q - zero_point)``. Scales are floats, zero
points integers; each is one number, or a vector along an axis of the values. A vector of one
element is a number.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.ir.expr import Constant, Expr, const
from relay.ir.op import Array, Operator, expect_tensor
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import make, tensor_of, vector_along
from relay.op.nn.common import dims_agree
from relay.op.shapes import expect_kind, normalize_axis, show
from relay.support.errors import TypeInferenceError

QUANTIZED: Final = ("int8", "uint8", "int16", "uint16", "int32")
"""The data types of quantised values."""


class QuantizedOperator(Operator):
    """Base of the operators on quantised values, which are compiled by what they expand into.

    Integers do not follow small changes of a scale, so that gradients are zero.
    """

    piecewise_constant = True
    missing: ClassVar[dict[str, str]] = {"compute": "it is expanded into other operators"}


# ---------------------------------------------------------------- types


def expect_quantized(operator_name: str, argument: str, type_: Type) -> TensorType:
    """`type_` as a tensor of quantised values; raises `TypeInferenceError` otherwise."""
    found = expect_tensor(operator_name, argument, type_)
    return TensorType(found.shape, quantized_dtype(operator_name, argument, found.dtype))


def quantized_dtype(operator_name: str, what: str, dtype: str) -> str:
    """`dtype` itself; raises `TypeInferenceError` unless quantised values may have it."""
    if dtype not in QUANTIZED:
        raise TypeInferenceError(
            f"{operator_name}: {what} must be one of {', '.join(QUANTIZED)}, found {dtype}"
        )
    return dtype


def check_parameters(
    operator_name: str, named: Sequence[tuple[str, Type]], size: Dim | None = None
) -> None:
    """Check scales and zero points, which one it is being told by their names.

    Each must be a number or, where `size` is given, a vector of that size. Raises
    `TypeInferenceError`.
    """
    for name, type_ in named:
        kind = "float" if name.endswith("scale") else "integer"
        found = expect_kind(operator_name, name, type_, kind)
        if found.shape in ((), (1,)):
            continue
        if size is None or len(found.shape) != 1 or not dims_agree(found.shape[0], size):
            vector = "" if size is None else f" or a vector of size {size}"
            raise TypeInferenceError(
                f"{operator_name}: {name} must be one number{vector}, found the shape "
                f"{show(found.shape)}"
            )


def size_along(operator_name: str, axis: int, data: TensorType) -> Dim | None:
    """The size of `data` along `axis`, which vectors of parameters must have; a scalar has none."""
    if not data.shape:
        return None
    return data.shape[normalize_axis(operator_name, axis, len(data.shape))]


# ---------------------------------------------------------------- arrays


def along(values: Array, axis: int, rank: int) -> Array:
    """A number as it is, a vector such that it broadcasts along `axis` of arrays of `rank`."""
    if values.size == 1:
        return values.reshape(())
    shape = [1] * rank
    shape[axis] = values.size
    return values.reshape(shape)


def saturated_array(values: Array, zero_point: Array, dtype: str) -> Array:
    """Integer values, in any data type, moved by a zero point and kept within `dtype`."""
    wide = values.dtype
    if not dtypes.is_float(wide.name):
        wide = np.dtype("int64")
    elif dtypes.bits(dtype) > 16:  # float32 has no number next to the ends of the range
        wide = np.dtype("float64")
    moved = values.astype(wide) + zero_point.astype(wide)
    return np.asarray(np.clip(moved, *dtypes.integer_range(dtype)).astype(dtypes.to_numpy(dtype)))


# ---------------------------------------------------------------- expressions


def known(value: Expr) -> npt.NDArray[np.generic] | None:
    """The elements of a constant; None for what is known only at run time, and for bfloat16."""
    if isinstance(value, Constant) and value.data.dtype != "bfloat16":
        return value.data.numpy()
    return None


def is_zero(value: Expr) -> bool:
    """Whether `value` is known to be zero."""
    found = known(value)
    return found is not None and not np.any(found)


def are_equal(a: Expr, b: Expr) -> bool:
    """Whether two parameters are known to be the same."""
    if a is b:
        return True
    x, y = known(a), known(b)
    return x is not None and y is not None and bool(np.array_equal(x.reshape(-1), y.reshape(-1)))


def cast(value: Expr, dtype: str) -> Expr:
    """`value` as `dtype`; a constant is converted at once."""
    if tensor_of(value).dtype == dtype:
        return value
    found = known(value)
    if found is not None:
        return const(found.astype(dtypes.to_numpy(dtype)), dtype)
    return make("cast", value, dtype=dtype)


def calculated(name: str, *arguments: Expr) -> Expr:
    """A call of the operator `name`, or what it gives where all arguments are constants."""
    call = make(name, *arguments)
    values = [v for a in arguments if (v := known(a)) is not None]
    if len(values) < len(arguments) or not isinstance(call.attrs, Operator):
        return call
    with np.errstate(all="ignore"):
        return const(call.attrs.reference(*values), tensor_of(call).dtype)


def is_number(value: Expr) -> bool:
    """Whether a parameter is one number."""
    return tensor_of(value).shape in ((), (1,))


def scalar(value: Expr) -> Expr:
    """A parameter that is one number, without dimensions."""
    if not tensor_of(value).shape:
        return value
    found = known(value)
    return make("reshape", value, newshape=()) if found is None else Constant(found.reshape(()))


def spread(value: Expr, axis: int, rank: int, dtype: str) -> Expr:
    """A parameter as `dtype`, such that it broadcasts along `axis` of a tensor of `rank`."""
    value = cast(value, dtype)
    if is_number(value):
        return scalar(value)
    found = known(value)
    if found is None:
        return vector_along(value, axis, rank)
    return const(found.reshape(-1, *(1,) * (rank - 1 - axis % rank)), dtype)


def centered(data: Expr, zero_point: Expr, axis: int, dtype: str) -> Expr:
    """``data - zero_point`` in `dtype`."""
    wide = cast(data, dtype)
    if is_zero(zero_point):
        return wide
    return make("subtract", wide, spread(zero_point, axis, len(tensor_of(data).shape), dtype))


def saturated(values: Expr, zero_point: Expr, axis: int, dtype: str) -> Expr:
    """Integer values, in any data type, moved by a zero point and kept within `dtype`."""
    found = tensor_of(values)
    if dtypes.is_float(found.dtype) and dtypes.bits(dtype) > 16:
        values = cast(values, "float64")
    if not is_zero(zero_point):
        wide = tensor_of(values).dtype
        values = make("add", values, spread(zero_point, axis, len(found.shape), wide))
    low, high = dtypes.integer_range(dtype)
    return cast(make("clip", values, a_min=float(low), a_max=float(high)), dtype)


def dequantized(data: Expr, scale: Expr, zero_point: Expr, axis: int, dtype: str) -> Expr:
    """The numbers of `dtype` that quantised `data` stand for."""
    found = tensor_of(data)
    if is_zero(zero_point):
        values = cast(data, dtype)
    else:
        # The difference of two 32-bit integers may have a bit more.
        wide = "int64" if found.dtype == "int32" else "int32"
        values = cast(centered(data, zero_point, axis, wide), dtype)
    return make("multiply", values, spread(scale, axis, len(found.shape), dtype))


def dequantized_array(data: Array, scale: Array, zero_point: Array, axis: int, dtype: str) -> Array:
    """The numbers of `dtype` that quantised `data` stand for."""
    values = data.astype("int64") - along(zero_point, axis, data.ndim)
    numpy = dtypes.to_numpy(dtype)
    return np.asarray(values.astype(numpy) * along(scale, axis, data.ndim).astype(numpy))


def quantized(data: Expr, scale: Expr, zero_point: Expr, axis: int, dtype: str) -> Expr:
    """Numbers as quantised values of `dtype`: the nearest ones, of two the even one."""
    found = tensor_of(data)
    wide = "float64" if found.dtype == "float64" else "float32"
    steps = make("divide", cast(data, wide), spread(scale, axis, len(found.shape), wide))
    return saturated(make("round", steps), zero_point, axis, dtype)


def quantized_array(data: Array, scale: Array, zero_point: Array, axis: int, dtype: str) -> Array:
    """Numbers as quantised values of `dtype`: the nearest ones, of two the even one."""
    wide = np.dtype("float64" if data.dtype == np.float64 else "float32")
    steps = np.rint(data.astype(wide) / along(scale, axis, data.ndim).astype(wide))
    return saturated_array(steps, along(zero_point, axis, data.ndim), dtype)
