"""What the gradients of operators are written with: short ways to build calls, shapes undone.

Gradients build calls of other operators by name, so that no family of operators has to import
another one. Where sizes are unknown before run time, they use the operators that take a shape from
a tensor (``reshape_like`` and so on).
"""

from collections.abc import Sequence

import numpy as np

from relay import dtypes
from relay.ir.expr import Call, Constant, Expr, Op, Tuple, TupleGetItem, const
from relay.ir.op import Array
from relay.ir.types import TensorType, TupleType, Type
from relay.support.errors import UnsupportedError


def make(name: str, *args: Expr, **attributes: object) -> Call:
    """A call of the operator `name`."""
    op = Op.get(name)
    return Call(op, args, op.declaration(**attributes))


def tensor_of(value: Expr) -> TensorType:
    """The type of `value`, which is a tensor."""
    found = value.checked_type
    assert isinstance(found, TensorType), f"expected a tensor, found {found}"
    return found


def rank_of(value: Expr) -> int:
    """The number of dimensions of a tensor."""
    return len(tensor_of(value).shape)


def known_shape(operator_name: str, value: Expr) -> tuple[int, ...]:
    """The shape of `value`; raises `UnsupportedError` where it is known only at run time."""
    found = tensor_of(value)
    if not found.is_static:
        raise UnsupportedError(
            f"the gradient of {operator_name} needs sizes that are known before run time, "
            f"found {found}"
        )
    return found.concrete_shape


def number(value: float, like: Expr) -> Expr:
    """The scalar `value` in the data type of `like`."""
    return number_of(value, tensor_of(like).dtype)


def number_of(value: float, dtype: str) -> Expr:
    """The scalar `value` as `dtype`."""
    if not dtypes.is_native(dtype):
        return make("cast", const(value, "float32"), dtype=dtype)
    return const(value, dtype)


def matrix_of(values: Array, like: Expr) -> Expr:
    """A constant of `values` in the data type of `like`."""
    dtype = tensor_of(like).dtype
    if not dtypes.is_native(dtype):
        return make("cast", Constant(np.asarray(values, "float32")), dtype=dtype)
    return const(np.asarray(values), dtype)


def scaled(value: Expr, factor: float) -> Expr:
    """`value` times a number."""
    return value if factor == 1 else value * number(factor, value)


def field(value: Expr, index: int) -> Expr:
    """Field `index` of a tuple."""
    return value.fields[index] if isinstance(value, Tuple) else TupleGetItem(value, index)


def fields_of(value: Expr) -> int:
    """The number of fields of a tuple."""
    found = value.checked_type
    assert isinstance(found, TupleType), f"expected a tuple, found {found}"
    return len(found.fields)


def zero_of(type_: Type, like: Expr) -> Expr:
    """Zeros of `type_`, the type of `like`, which is looked at only where sizes are unknown."""
    if isinstance(type_, TupleType):
        return Tuple([zero_of(t, field(like, k)) for k, t in enumerate(type_.fields)])
    assert isinstance(type_, TensorType), f"there is no zero of type {type_}"
    if type_.is_static and dtypes.is_native(type_.dtype):
        return make("zeros", shape=type_.concrete_shape, dtype=type_.dtype)
    return make("zeros_like", like)


def masked(condition: Expr, value: Expr) -> Expr:
    """`value` where `condition` holds, zero elsewhere."""
    return make("where", condition, value, number(0, value))


def converted(value: Expr, like: Expr) -> Expr:
    """`value` in the data type of `like`."""
    dtype = tensor_of(like).dtype
    return value if tensor_of(value).dtype == dtype else make("cast", value, dtype=dtype)


def unbroadcast(value: Expr, like: Expr) -> Expr:
    """`value` summed to the shape of `like`: what broadcasting `like` becomes backwards."""
    found, wanted = tensor_of(value), tensor_of(like)
    if not (found.is_static and wanted.is_static):
        return make("collapse_sum_like", value, like)
    if found.shape == wanted.shape:
        return value
    return make("collapse_sum_to", value, shape=wanted.concrete_shape)


def reshaped(value: Expr, shape: Sequence[int]) -> Expr:
    """`value` in `shape`, whose sizes mean what they say."""
    if tensor_of(value).shape == tuple(shape):
        return value
    return make("reshape", value, newshape=tuple(shape), allowzero=True)


def reshaped_like(value: Expr, like: Expr) -> Expr:
    """The elements of `value` in the shape of `like`."""
    wanted = tensor_of(like)
    if wanted.is_static:
        return reshaped(value, wanted.concrete_shape)
    return make("reshape_like", value, like)


def broadcast_like(value: Expr, like: Expr) -> Expr:
    """`value` repeated to the shape of `like`."""
    wanted = tensor_of(like)
    if tensor_of(value).shape == wanted.shape and wanted.is_static:
        return value
    if wanted.is_static:
        return make("broadcast_to", value, shape=wanted.concrete_shape)
    return make("broadcast_to_like", value, like)


def sum_over(value: Expr, axes: Sequence[int], keepdims: bool = False) -> Expr:
    """`value` summed over `axes`."""
    return make("sum", value, axis=tuple(axes), keepdims=keepdims) if axes else value


def mean_over(value: Expr, axes: Sequence[int]) -> Expr:
    """The mean of `value` over `axes`, which are kept with size 1."""
    return make("mean", value, axis=tuple(axes), keepdims=True) if axes else value


def total(value: Expr, like: Expr) -> Expr:
    """The sum of all elements, a scalar in the data type of `like`."""
    return converted(make("sum", value) if rank_of(value) else value, like)


def expanded(value: Expr, axes: Sequence[int]) -> Expr:
    """`value` with dimensions of size 1 put in, which are `axes` (sorted) of the result."""
    for axis in axes:
        value = make("expand_dims", value, axis=axis)
    return value


def vector_along(vector: Expr, axis: int, rank: int) -> Expr:
    """`vector` such that it broadcasts along dimension `axis` of a tensor of `rank`."""
    trailing = rank - 1 - axis % rank
    return make("expand_dims", vector, axis=1, num_newaxis=trailing) if trailing else vector


def sum_to_vector(value: Expr, axis: int) -> Expr:
    """`value` summed over all dimensions but `axis`."""
    rank = rank_of(value)
    return sum_over(value, [k for k in range(rank) if k != axis % rank])


def permuted(value: Expr, order: Sequence[int]) -> Expr:
    """`value` with its dimensions in `order`."""
    if list(order) == list(range(len(order))):
        return value
    return make("transpose", value, axes=tuple(order))


def inverse_order(order: Sequence[int]) -> tuple[int, ...]:
    """The order of dimensions that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def mapped_along(value: Expr, axis: int, matrix: Array) -> Expr:
    """Every vector along `axis` of `value` multiplied by `matrix` (new size, old size)."""
    rank = rank_of(value)
    last = [k for k in range(rank) if k != axis]
    order = (*last, axis)
    product = make("nn.dense", permuted(value, order), matrix_of(matrix, value))
    return permuted(product, inverse_order(order))


def with_coordinates(indices: Expr, batch: int, shape: Sequence[int], leading: bool) -> Expr:
    """`indices` with the coordinates of the first `batch` dimensions of `shape` put before them.

    `indices` has `shape`, or with `leading` a dimension of coordinates before it. The result has
    that dimension: it is what ``scatter_nd`` takes.
    """
    rows = indices if leading else expanded(indices, (0,))
    dtype = tensor_of(indices).dtype
    if batch == 0:
        return rows
    lead: list[Expr] = []
    for k in range(batch):
        positions = make("arange", start=0, stop=shape[k], step=1, dtype=dtype)
        spread = vector_along(positions, k, len(shape))
        lead.append(make("broadcast_to", expanded(spread, (0,)), shape=(1, *shape)))
    return make("concatenate", Tuple([*lead, rows]), axis=0)
