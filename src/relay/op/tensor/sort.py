"""Sorting and searching.

Rows are sorted by the digits of keys, see `relay.op.tensor.order`; for a few of the largest or
smallest one pass over a row keeps the best so far. What is searched for is found by halving.
"""

import math
from collections.abc import Callable

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
    unify_dim,
)
from relay.op.tensor.order import Rows
from relay.op.tensor.ranking import Ranking
from relay.support.errors import TypeInferenceError

#: Values that are searched for by one thread at a time.
_SEARCHED = 256


def comes_before(a: te.Expr, b: te.Expr) -> te.Expr:
    """Whether `a` is smaller than `b`; NaN counts as larger than every number."""
    less = a < b
    if not dtypes.is_float(a.dtype):
        return less
    return te.either(less, te.both(te.unary("isnan", b), te.unary("not", te.unary("isnan", a))))


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
        return Ranking(data, axis, self.is_ascend, data.shape[axis]).compute(self.name)[0]

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
        axis = self.axis % data.ndim
        ranking = Ranking(data, axis, self.is_ascend, data.shape[axis], False, self.dtype)
        return ranking.compute(self.name)[0]

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
        values, positions = self.ret_type != "indices", self.ret_type != "values"
        found = Ranking(
            data, axis, self.is_ascend, kept, values, self.dtype if positions else ""
        ).compute(self.name)
        return found if len(found) > 1 else found[0]

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
            if len(sequence.shape) != len(wanted.shape) or not sequence.shape:
                raise TypeInferenceError(
                    f"{self.name}: expected a vector, or a sequence of the rank of the values; "
                    f"found {sequence} for values {wanted}"
                )
            for a, b in zip(sequence.shape[:-1], wanted.shape[:-1], strict=True):
                unify_dim(self.name, a, b, "leading sizes")
        return TensorType(wanted.shape, self.dtype)

    def compute(self, sorted_sequence: te.Tensor, values: te.Tensor) -> te.Tensor:
        output = te.placeholder(values.shape, self.dtype, self.name)
        return te.ordered((sorted_sequence, values), (output,), self._search)[0]

    def _search(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        """Halve, for each value, the part of the sequence that its place is in."""
        (sequence, values), (places,) = given, made
        rows, wanted = Rows(sequence, sequence.ndim - 1), Rows(values, values.ndim - 1)
        found = Rows(places, places.ndim - 1)
        width = min(wanted.size, _SEARCHED)
        blocks = -(-wanted.size // max(1, width))
        with w.loop(wanted.count * blocks, "part", kind="parallel") as part:
            row = part // max(1, blocks)
            line = te.const(0) if sequence.ndim == 1 else row
            with w.loop(width, "k") as k:
                place = part % max(1, blocks) * width + k
                with w.when(place < wanted.size):
                    at = self._place(w, lambda p: rows(line, p), rows.size, wanted(row, place))
                    w.store(places, found.place(row, place), te.cast(at, self.dtype))

    def _place(
        self, w: te.Writer, element: Callable[[te.Expr], te.Expr], size: int, value: te.Expr
    ) -> te.Expr:
        """How many of `size` elements in order come before `value`."""
        wanted = w.private(value.dtype, (1,), "wanted")
        start = w.private(te.INDEX, (1,), "start")
        w.store(wanted, (0,), value)
        w.store(start, (0,), 0)

        def ahead(step: int) -> te.Expr:
            """`step` if the place is behind so many elements more, else 0."""
            other = element(start(0) + (step - 1))
            if self.right:
                before = te.unary("not", comes_before(wanted(0), other))
            else:
                before = comes_before(other, wanted(0))
            return te.select(before, te.const(step), te.const(0))

        while size > 1:
            w.store(start, (0,), ahead(size // 2), reduce="sum")
            size -= size // 2
        if size:
            w.store(start, (0,), ahead(1), reduce="sum")
        return start(0)

    def reference(self, sorted_sequence: Array, values: Array) -> Array:
        dtype = reference_dtype(self.dtype)
        side = "right" if self.right else "left"
        if sorted_sequence.ndim == 1:
            return np.asarray(_search(sorted_sequence, values, side), dtype=dtype)
        count = math.prod(values.shape[:-1])
        rows = sorted_sequence.reshape(count, sorted_sequence.shape[-1])
        wanted = values.reshape(count, values.shape[-1])
        found = [_search(r, v, side) for r, v in zip(rows, wanted, strict=True)]
        return np.asarray(found, dtype=dtype).reshape(values.shape)


def _search(sequence: Array, values: Array, side: str) -> Array:
    found = np.searchsorted(sequence, values, side="right" if side == "right" else "left")
    return np.asarray(found)
