"""Sorting and searching.

As tensor expressions, the place of an element is the number of elements that come before it: all
comparisons are independent of each other, at a cost quadratic in the size of the axis.
"""

from collections.abc import Sequence

import numpy as np

from relay import dtypes, te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Dim, TensorType, TupleType, Type
from relay.op.gradients import field, make, zero_of
from relay.op.shapes import (
    expect_kind,
    expect_same_dtype,
    normalize_axis,
    put,
    put_dtype,
    reference_dtype,
    replaced,
    unify_dim,
)
from relay.support.errors import TypeInferenceError


def comes_before(a: te.Expr, b: te.Expr, ascending: bool) -> te.Expr:
    """Whether `a` must come before `b`; NaN counts as larger than every number."""
    low, high = (a, b) if ascending else (b, a)
    less = low < high
    if not dtypes.is_float(a.dtype):
        return less
    return te.either(
        less, te.both(te.unary("isnan", high), te.unary("not", te.unary("isnan", low)))
    )


def sorted_positions(data: te.Tensor, axis: int, ascending: bool, name: str) -> te.Tensor:
    """The positions along `axis` in the order of the elements (int64); equals keep their order."""
    size = data.shape[axis]

    def place(*out: te.Expr) -> te.Expr:
        r = te.reduce_axis(size)
        mine, other = data(*out), data(*replaced(out, axis, r.var))
        ahead, behind = comes_before(other, mine, ascending), comes_before(mine, other, ascending)
        tied = te.both(te.unary("not", behind), r.var < out[axis])
        return te.reduce_sum(te.cast(te.either(ahead, tied), te.INDEX), r)

    places = te.compute(data.shape, place, "places")

    def position(*out: te.Expr) -> te.Expr:
        r = te.reduce_axis(size)
        chosen = te.equal(places(*replaced(out, axis, r.var)), out[axis])
        return te.reduce_sum(te.select(chosen, r.var, te.const(0)), r)

    return te.compute(data.shape, position, name)


def _converted(tensor: te.Tensor, dtype: str, shape: Sequence[te.Dim], name: str) -> te.Tensor:
    return te.compute(shape, lambda *i: te.cast(tensor(*i), dtype), name)


def _along(
    data: te.Tensor, positions: te.Tensor, axis: int, shape: Sequence[te.Dim], name: str
) -> te.Tensor:
    return te.compute(shape, lambda *i: data(*replaced(i, axis, positions(*i))), name)


def _numpy_positions(data: Array, axis: int, ascending: bool) -> Array:
    """Stable positions in order; descending reverses a stable sort of the reversed axis."""
    if ascending:
        return np.argsort(data, axis=axis, kind="stable")
    flipped = np.argsort(np.flip(data, axis), axis=axis, kind="stable")
    return np.asarray(data.shape[axis] - 1 - np.flip(flipped, axis))


@operator("sort", inputs=("data",), pattern=Pattern.OPAQUE, level=6)
class Sort(Operator):
    """`data` sorted along `axis`, ascending or descending; NaN counts as larger than any number."""

    axis: int = -1
    is_ascend: bool = True

    def __post_init__(self) -> None:
        put(self, "is_ascend", bool(self.is_ascend))

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "number")
        normalize_axis(self.name, self.axis, len(tensor.shape))
        return tensor

    def compute(self, data: te.Tensor) -> te.Tensor:
        axis = self.axis % data.ndim
        positions = sorted_positions(data, axis, self.is_ascend, "order")
        return _along(data, positions, axis, data.shape, "sort")

    def reference(self, data: Array) -> Array:
        result = np.sort(data, axis=self.axis)
        return result if self.is_ascend else np.flip(result, self.axis)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        order = make("argsort", data, axis=self.axis, is_ascend=self.is_ascend)
        zeros = zero_of(data.checked_type, data)
        back = make("scatter_elements", zeros, order, grad, axis=self.axis, reduction="add")
        return (back,)


@operator("argsort", inputs=("data",), pattern=Pattern.OPAQUE, level=6)
class ArgSort(Operator):
    """The positions along `axis` in the order of the elements, in `dtype`; equals keep theirs."""

    piecewise_constant = True

    axis: int = -1
    is_ascend: bool = True
    dtype: str = "int32"

    def __post_init__(self) -> None:
        put(self, "is_ascend", bool(self.is_ascend))
        put_dtype(self)

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "number")
        normalize_axis(self.name, self.axis, len(tensor.shape))
        return TensorType(tensor.shape, self.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        positions = sorted_positions(data, self.axis % data.ndim, self.is_ascend, "order")
        return _converted(positions, self.dtype, data.shape, "argsort")

    def reference(self, data: Array) -> Array:
        return _numpy_positions(data, self.axis, self.is_ascend).astype(reference_dtype(self.dtype))


@operator("topk", inputs=("data",), pattern=Pattern.OPAQUE, level=6)
class TopK(Operator):
    """The `k` largest (or with `is_ascend` smallest) elements along `axis`, in order.

    `ret_type` is ``"both"`` (a tuple of values and positions), ``"values"`` or ``"indices"``;
    positions are of type `dtype`. A `k` below one is the size of the axis.
    """

    k: int = 1
    axis: int = -1
    ret_type: str = "both"
    is_ascend: bool = False
    dtype: str = "int32"

    def __post_init__(self) -> None:
        put(self, "is_ascend", bool(self.is_ascend))
        put_dtype(self)
        if self.ret_type not in ("both", "values", "indices"):
            raise ValueError(
                f'ret_type must be "both", "values" or "indices", found {self.ret_type!r}'
            )

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "number")
        axis = normalize_axis(self.name, self.axis, len(tensor.shape))
        size = tensor.shape[axis]
        if isinstance(size, int) and self.k > size:
            raise TypeInferenceError(f"{self.name}: k is {self.k}, but axis {axis} has size {size}")
        kept: Dim = self.k if self.k >= 1 else size
        shape = (*tensor.shape[:axis], kept, *tensor.shape[axis + 1 :])
        values, positions = TensorType(shape, tensor.dtype), TensorType(shape, self.dtype)
        if self.ret_type == "both":
            return TupleType([values, positions])
        return values if self.ret_type == "values" else positions

    def compute(self, data: te.Tensor) -> te.Tensor | tuple[te.Tensor, ...]:
        axis = self.axis % data.ndim
        kept = self.k if self.k >= 1 else data.shape[axis]
        shape = (*data.shape[:axis], kept, *data.shape[axis + 1 :])
        order = sorted_positions(data, axis, self.is_ascend, "order")
        values = _along(data, order, axis, shape, "topk_values")
        positions = _converted(order, self.dtype, shape, "topk_indices")
        if self.ret_type == "both":
            return values, positions
        return values if self.ret_type == "values" else positions

    def reference(self, data: Array) -> Array | tuple[Array, ...]:
        count = self.k if self.k >= 1 else data.shape[self.axis]
        order = _numpy_positions(data, self.axis, self.is_ascend)
        order = np.take(order, np.arange(count), axis=self.axis)
        values = np.take_along_axis(data, order, axis=self.axis)
        positions = order.astype(reference_dtype(self.dtype))
        if self.ret_type == "both":
            return values, positions
        return values if self.ret_type == "values" else positions

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        if self.ret_type == "indices":
            return (None,)
        if self.ret_type == "both":
            values, places = field(grad, 0), field(result, 1)
        else:
            values = grad
            places = make(
                "topk", data, k=self.k, axis=self.axis, ret_type="indices", is_ascend=self.is_ascend
            )
        zeros = zero_of(data.checked_type, data)
        back = make("scatter_elements", zeros, places, values, axis=self.axis, reduction="add")
        return (back,)


@operator("searchsorted", inputs=("sorted_sequence", "values"), pattern=Pattern.OPAQUE, level=6)
class SearchSorted(Operator):
    """Where `values` would go into `sorted_sequence`, ascending along its last axis.

    A vector is searched for all values; else the leading sizes of both are equal. With `right`
    equals go before the value, without behind it. Positions are of type `dtype`.
    """

    piecewise_constant = True

    right: bool = False
    dtype: str = "int32"

    def __post_init__(self) -> None:
        put(self, "right", bool(self.right))
        put_dtype(self)

    def infer(self, sorted_sequence: Type, values: Type) -> Type:
        sequence = expect_kind(self.name, "sorted_sequence", sorted_sequence, "number")
        wanted = expect_tensor(self.name, "values", values)
        expect_same_dtype(self.name, sequence, wanted)
        if len(sequence.shape) != 1:
            if len(sequence.shape) != len(wanted.shape):
                raise TypeInferenceError(
                    f"{self.name}: expected a vector, or a sequence of the rank of the values; "
                    f"found {sequence} for values {wanted}"
                )
            for a, b in zip(sequence.shape[:-1], wanted.shape[:-1], strict=True):
                unify_dim(self.name, a, b, "leading sizes")
        return TensorType(wanted.shape, self.dtype)

    def compute(self, sorted_sequence: te.Tensor, values: te.Tensor) -> te.Tensor:
        def element(*out: te.Expr) -> te.Expr:
            r = te.reduce_axis(sorted_sequence.shape[-1])
            lead = () if sorted_sequence.ndim == 1 else out[:-1]
            other, value = sorted_sequence(*lead, r.var), values(*out)
            ahead = other <= value if self.right else other < value
            return te.reduce_sum(te.cast(ahead, self.dtype), r)

        return te.compute(values.shape, element, "searchsorted")

    def reference(self, sorted_sequence: Array, values: Array) -> Array:
        dtype = reference_dtype(self.dtype)
        side = "right" if self.right else "left"
        if sorted_sequence.ndim == 1:
            return np.asarray(_search(sorted_sequence, values, side), dtype=dtype)
        rows = sorted_sequence.reshape(-1, sorted_sequence.shape[-1])
        wanted = values.reshape(-1, values.shape[-1])
        found = [_search(r, v, side) for r, v in zip(rows, wanted, strict=True)]
        return np.asarray(found, dtype=dtype).reshape(values.shape)


def _search(sequence: Array, values: Array, side: str) -> Array:
    found = np.searchsorted(sequence, values, side="right" if side == "right" else "left")
    return np.asarray(found)
