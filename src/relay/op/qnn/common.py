"""What the quantised operators share: their parameters, as types, as arrays and as expressions.

A quantised value ``q`` stands for the number ``scale * (q - zero_point)``. Scales are floats, zero
points integers; each is one number, or a vector along an axis of the values. A vector of one
element is a number.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.ir.expr import Constant, Expr, const
from relay.ir.op import Array, Operator, expect_tensor
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import converted, make, rank_of, sum_over, tensor_of, vector_along
from relay.op.nn.common import dims_agree
from relay.op.shapes import expect_kind, normalize_axis, show
from relay.support.errors import TypeInferenceError

QUANTIZED: Final = ("int8", "uint8", "int16", "uint16", "int32")
"""The data types of quantised values."""

_T = TypeVar("_T")


class Quantization(NamedTuple, Generic[_T]):
    """What numbers the values of a tensor stand for; the parameters are arrays or expressions."""

    scale: _T
    zero_point: _T


def quantizations(parameters: Sequence[_T]) -> Iterator[Quantization[_T]]:
    """Scales and zero points of several tensors, which take turns in `parameters`, in pairs."""
    return map(Quantization, parameters[::2], parameters[1::2])


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
    check_quantized_dtype(operator_name, argument, found.dtype)
    return found


def check_quantized_dtype(operator_name: str, what: str, dtype: str) -> None:
    """Raise `TypeInferenceError` unless quantised values may have `dtype`."""
    if dtype not in QUANTIZED:
        raise TypeInferenceError(
            f"{operator_name}: {what} must be one of {', '.join(QUANTIZED)}, found {dtype}"
        )


def check_parameters(
    operator_name: str, names: Sequence[str], types: Sequence[Type], size: Dim | None = None
) -> None:
    """Check scales and zero points, which one it is being told by their names.

    Each must be a number or, where `size` is given, a vector of that size. Raises
    `TypeInferenceError`.
    """
    for name, type_ in zip(names, types, strict=True):
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


def centered_array(data: Array, zero_point: Array, axis: int, dtype: str) -> Array:
    """``data - zero_point`` in `dtype`."""
    return np.asarray(data.astype(dtype) - along(zero_point, axis, data.ndim).astype(dtype))


def saturated_array(values: Array, zero_point: Array, dtype: str) -> Array:
    """Integer values, in any data type, moved by a zero point and kept within `dtype`."""
    wide = values.dtype
    if not dtypes.is_float(wide.name):
        wide = np.dtype("int64")
    elif dtypes.bits(dtype) > 16:  # float32 has no number next to the ends of the range
        wide = np.dtype("float64")
    moved = values.astype(wide) + zero_point.astype(wide)
    return np.asarray(np.clip(moved, *dtypes.integer_range(dtype)).astype(dtypes.to_numpy(dtype)))


def dequantized_array(data: Array, given: Quantization[Array], axis: int, dtype: str) -> Array:
    """The numbers of `dtype` that quantised `data` stand for."""
    values = centered_array(data, given.zero_point, axis, "int64")
    numpy = dtypes.to_numpy(dtype)
    return np.asarray(values.astype(numpy) * along(given.scale, axis, data.ndim).astype(numpy))


def quantized_array(data: Array, wanted: Quantization[Array], axis: int, dtype: str) -> Array:
    """Numbers as quantised values of `dtype`: the nearest ones, of two the even one."""
    wide = np.dtype("float64" if data.dtype == np.float64 else "float32")
    steps = np.rint(data.astype(wide) / along(wanted.scale, axis, data.ndim).astype(wide))
    return saturated_array(steps, along(wanted.zero_point, axis, data.ndim), dtype)


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
    return make("subtract", wide, spread(zero_point, axis, rank_of(data), dtype))


def saturated(values: Expr, zero_point: Expr, axis: int, dtype: str) -> Expr:
    """Integer values, in any data type, moved by a zero point and kept within `dtype`."""
    if dtypes.is_float(tensor_of(values).dtype) and dtypes.bits(dtype) > 16:
        values = cast(values, "float64")
    if not is_zero(zero_point):
        wide = tensor_of(values).dtype
        values = make("add", values, spread(zero_point, axis, rank_of(values), wide))
    low, high = dtypes.integer_range(dtype)
    return cast(make("clip", values, a_min=float(low), a_max=float(high)), dtype)


def dequantized(data: Expr, given: Quantization[Expr], axis: int, dtype: str) -> Expr:
    """The numbers of `dtype` that quantised `data` stand for."""
    if is_zero(given.zero_point):
        values = cast(data, dtype)
    else:
        # The difference of two 32-bit integers may have a bit more.
        wide = "int64" if tensor_of(data).dtype == "int32" else "int32"
        values = cast(centered(data, given.zero_point, axis, wide), dtype)
    return make("multiply", values, spread(given.scale, axis, rank_of(data), dtype))


def quantized(data: Expr, wanted: Quantization[Expr], axis: int, dtype: str) -> Expr:
    """Numbers as quantised values of `dtype`: the nearest ones, of two the even one."""
    wide = "float64" if tensor_of(data).dtype == "float64" else "float32"
    steps = make("divide", cast(data, wide), spread(wanted.scale, axis, rank_of(data), wide))
    return saturated(make("round", steps), wanted.zero_point, axis, dtype)


def sum_to_parameter(grad: Expr, parameter: Expr, axis: int) -> Expr:
    """The gradient of every element by a parameter along `axis`, summed to the parameter's own."""
    rank = rank_of(grad)
    kept = () if is_number(parameter) else (axis % rank,)
    total = sum_over(grad, [k for k in range(rank) if k not in kept])
    if tensor_of(parameter).shape == (1,):
        total = make("reshape", total, newshape=(1,))
    return converted(total, parameter)
