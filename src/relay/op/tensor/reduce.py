"""Reductions over axes.

All take ``axis`` (an axis, several, or None for all of them; negative ones count from the end),
``keepdims`` (keep the reduced dimensions with size 1) and ``exclude`` (reduce over the other axes).
An empty tuple of axes reduces nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Dim, TensorType, Type, compatible
from relay.op.gradients import (
    broadcast_like,
    expanded,
    inverse_order,
    known_shape,
    make,
    masked,
    number,
    permuted,
    rank_of,
    reshaped,
    reshaped_like,
    scaled,
    sum_over,
    tensor_of,
    unbroadcast,
)
from relay.op.shapes import (
    broadcast_shape,
    expect_kind,
    normalize_axes,
    put_ints,
    te_broadcast_read,
    te_size,
)
from relay.support.errors import TypeInferenceError


@dataclass(frozen=True)
class Reduction(Operator):
    """Base of the reductions: the attributes and the shape of the result."""

    #: The data types taken; see `relay.op.shapes.expect_kind`.
    kind: ClassVar[str] = "number"

    axis: tuple[int, ...] | None = None
    keepdims: bool = False
    exclude: bool = False

    def __post_init__(self) -> None:
        put_ints(self, "axis")

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes reduced in a tensor of `rank`, from the front, sorted."""
        return normalize_axes(self.name, self.axis, rank, self.exclude)

    def result_shape(self, shape: Sequence[Dim]) -> tuple[Dim, ...]:
        """The shape after reducing `shape`."""
        axes = self.axes(len(shape))
        kept = enumerate(shape)
        if self.keepdims:
            return tuple(1 if k in axes else d for k, d in kept)
        return tuple(d for k, d in kept if k not in axes)

    def reduce(
        self,
        data: te.Tensor,
        kind: Callable[[te.Expr, Sequence[te.Axis]], te.Expr],
        element: Callable[[Sequence[te.Expr], Sequence[te.Expr]], te.Expr],
        name: str,
    ) -> te.Tensor:
        """The tensor that reduces ``element(indices of data, indices of the result)``."""
        axes = self.axes(data.ndim)
        over = {k: te.reduce_axis(data.shape[k], f"r{k}") for k in axes}
        shape: list[te.Dim] = []
        for k, dim in enumerate(data.shape):
            if k not in over:
                shape.append(dim)
            elif self.keepdims:
                shape.append(1)

        def body(*out: te.Expr) -> te.Expr:
            position = self.position(data.ndim, out, [a.var for a in over.values()])
            value = element(position, out)
            return kind(value, list(over.values())) if over else value

        return te.compute(shape, body, name)

    def position(
        self, rank: int, out: Sequence[te.Expr], reduced: Sequence[te.Expr]
    ) -> tuple[te.Expr, ...]:
        """The indices of the data from those of the result and those of the reduction."""
        axes = self.axes(rank)
        outer, inner = iter(out), iter(reduced)
        result: list[te.Expr] = []
        for k in range(rank):
            if k in axes:
                result.append(next(inner))
                if self.keepdims:
                    next(outer)
            else:
                result.append(next(outer))
        return tuple(result)

    def count(self, data: te.Tensor, dtype: str) -> te.Expr:
        """How many elements are reduced into one, in `dtype`."""
        total = te_size([data.shape[k] for k in self.axes(data.ndim)])
        value = te.constant_value(total)
        return te.cast(total, dtype) if value is None else te.const(value, dtype)

    def restored(self, value: Expr, data: Expr) -> Expr:
        """`value`, which has the shape of the result, such that it broadcasts to `data`."""
        return value if self.keepdims else expanded(value, self.axes(rank_of(data)))

    def share(self, grad: Expr, data: Expr, less: int = 0) -> Expr:
        """`grad` divided by the number of elements reduced into one, less `less`."""
        axes = self.axes(rank_of(data))
        sizes = [d for k, d in enumerate(tensor_of(data).shape) if k in axes and isinstance(d, int)]
        if len(sizes) == len(axes):
            return grad / number(math.prod(sizes) - less, data)
        ones = make("sum", make("ones_like", data), axis=axes, keepdims=self.keepdims)
        return grad / (ones - number(less, data) if less else ones)


class SimpleReduction(Reduction):
    """Base of the reductions of one tensor that keep its data type."""

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, self.kind)
        return TensorType(self.result_shape(tensor.shape), tensor.dtype)

    def to_extremes(self, grad: Expr, result: Expr, data: Expr) -> Expr:
        """`grad` at the elements of `data` that equal `result`, in equal shares."""
        chosen = make("equal", data, self.restored(result, data))
        count = sum_over(
            make("cast", chosen, dtype=tensor_of(data).dtype), self.axes(rank_of(data))
        )
        shares = expanded(count, self.axes(rank_of(data)))
        return masked(chosen, self.restored(grad, data) / shares)


@operator("sum", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=4)
class Sum(SimpleReduction):
    """Sum over axes, in the data type of `data` (integers wrap around)."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.reduce(data, te.reduce_sum, lambda i, _: data(*i), "sum")

    def reference(self, data: Array) -> Array:
        axes = self.axes(data.ndim)
        return np.asarray(np.sum(data, axis=axes, keepdims=self.keepdims, dtype=data.dtype))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (broadcast_like(self.restored(grad, data), data),)


@operator("prod", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=4)
class Prod(SimpleReduction):
    """Product over axes, in the data type of `data` (integers wrap around)."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.reduce(data, te.reduce_prod, lambda i, _: data(*i), "prod")

    def reference(self, data: Array) -> Array:
        axes = self.axes(data.ndim)
        return np.asarray(np.prod(data, axis=axes, keepdims=self.keepdims, dtype=data.dtype))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        # The product of the others, from both sides, so that zeros need no special care.
        shape = known_shape(self.name, data)
        axes = self.axes(len(shape))
        if not axes:
            return (grad,)
        kept = [k for k in range(len(shape)) if k not in axes]
        order = [*kept, *axes]
        moved = permuted(data, order)
        sizes = (*(shape[k] for k in kept), math.prod(shape[k] for k in axes))
        rows = reshaped(moved, sizes)
        before = make("cumprod", rows, axis=-1, exclusive=True)
        turned = make("cumprod", make("reverse", rows, axis=-1), axis=-1, exclusive=True)
        others = reshaped_like(before * make("reverse", turned, axis=-1), moved)
        return (self.restored(grad, data) * permuted(others, inverse_order(order)),)


@operator("max", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=4)
class Max(SimpleReduction):
    """Largest value over axes; NaN where there is one. Over nothing: the smallest of its type."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.reduce(data, te.reduce_max, lambda i, _: data(*i), "max")

    def reference(self, data: Array) -> Array:
        start = dtypes.minimum(data.dtype.name)
        axes = self.axes(data.ndim)
        return np.asarray(np.max(data, axis=axes, keepdims=self.keepdims, initial=start))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (self.to_extremes(grad, result, data),)


@operator("min", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=4)
class Min(SimpleReduction):
    """Smallest value over axes; NaN where there is one. Over nothing: the largest of its type."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.reduce(data, te.reduce_min, lambda i, _: data(*i), "min")

    def reference(self, data: Array) -> Array:
        start = dtypes.maximum(data.dtype.name)
        axes = self.axes(data.ndim)
        return np.asarray(np.min(data, axis=axes, keepdims=self.keepdims, initial=start))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (self.to_extremes(grad, result, data),)


@operator("all", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=4)
class All(SimpleReduction):
    """Whether every value over axes holds; ``bool`` only."""

    piecewise_constant = True
    kind = "bool"

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.reduce(data, te.reduce_all, lambda i, _: data(*i), "all")

    def reference(self, data: Array) -> Array:
        return np.asarray(np.all(data, axis=self.axes(data.ndim), keepdims=self.keepdims))


@operator("any", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=4)
class Any(SimpleReduction):
    """Whether some value over axes holds; ``bool`` only."""

    piecewise_constant = True
    kind = "bool"

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.reduce(data, te.reduce_any, lambda i, _: data(*i), "any")

    def reference(self, data: Array) -> Array:
        return np.asarray(np.any(data, axis=self.axes(data.ndim), keepdims=self.keepdims))


def _quotient(total: te.Expr, count: te.Expr) -> te.Expr:
    if dtypes.is_float(total.dtype):
        return total / count
    return te.binary("truncdiv", total, count)


@operator("mean", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=4)
class Mean(SimpleReduction):
    """Arithmetic mean over axes; of integers, the sum divided rounding towards zero."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        total = self.reduce(data, te.reduce_sum, lambda i, _: data(*i), "sum")
        count = self.count(data, data.dtype)
        return te.compute(total.shape, lambda *i: _quotient(total(*i), count), "mean")

    def reference(self, data: Array) -> Array:
        axes = self.axes(data.ndim)
        if np.issubdtype(data.dtype, np.floating):
            return np.asarray(np.mean(data, axis=axes, keepdims=self.keepdims, dtype=data.dtype))
        total = np.sum(data, axis=axes, keepdims=self.keepdims, dtype=data.dtype)
        count = math.prod(data.shape[k] for k in axes)
        return np.asarray(np.trunc(np.divide(total, count)), dtype=data.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (broadcast_like(self.restored(self.share(grad, data), data), data),)


@operator("variance", inputs=("data", "mean"), pattern=Pattern.COMM_REDUCE, level=4)
class Variance(Reduction):
    """Mean of the squared distance from `mean` over axes; floating point only.

    `mean` broadcasts to `data`: usually ``mean(data, axis, keepdims=True)``. With `unbiased` the
    sum is divided by one less than the number of elements.
    """

    kind = "float"

    unbiased: bool = False

    def infer(self, data: Type, mean: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, self.kind)
        center = expect_tensor(self.name, "mean", mean)
        shape = broadcast_shape(self.name, tensor.shape, center.shape)
        broadcast = TensorType(shape, tensor.dtype)
        if not compatible(broadcast, tensor) or center.dtype != tensor.dtype:
            raise TypeInferenceError(
                f"{self.name}: expected a mean that broadcasts to {tensor}, found {center}"
            )
        return TensorType(self.result_shape(tensor.shape), tensor.dtype)

    def compute(self, data: te.Tensor, mean: te.Tensor) -> te.Tensor:
        def squared(i: Sequence[te.Expr], _: Sequence[te.Expr]) -> te.Expr:
            center = te_broadcast_read(mean, i, data.shape)
            distance = data(*i) - center
            return distance * distance

        total = self.reduce(data, te.reduce_sum, squared, "squares")
        count = self.count(data, data.dtype)
        divisor = count - te.const(1, data.dtype) if self.unbiased else count
        return te.compute(total.shape, lambda *i: total(*i) / divisor, "variance")

    def reference(self, data: Array, mean: Array) -> Array:
        axes = self.axes(data.ndim)
        count = math.prod(data.shape[k] for k in axes) - int(self.unbiased)
        total = np.sum((data - mean) ** 2, axis=axes, keepdims=self.keepdims, dtype=data.dtype)
        return np.asarray(np.divide(total, count), dtype=data.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr, mean: Expr) -> Gradients:
        slope = scaled(self.restored(self.share(grad, data, int(self.unbiased)), data), 2)
        by_data = slope * (data - mean)
        return by_data, make("negative", unbroadcast(by_data, mean))


class ArgReduction(Reduction):
    """Base of `argmax` and `argmin`: the position of an extreme value, ``int32``.

    With several axes the position is row-major among the reduced elements. NaN is the most extreme
    value. Computed by two reductions: the extreme value, then the first (or last) position of it.
    """

    piecewise_constant = True

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, self.kind)
        result = TensorType(self.result_shape(tensor.shape), "int32")
        if 0 in tensor.shape and 0 not in result.shape:
            raise TypeInferenceError(f"{self.name}: {tensor} has no element to point at")
        return result

    def locate(self, data: te.Tensor, extreme: te.Tensor, last: bool) -> te.Tensor:
        """The first (or last) position at which `data` has the value `extreme`."""
        axes = self.axes(data.ndim)
        sizes = [data.shape[k] for k in axes]
        nowhere = te.const(-1 if last else dtypes.integer_range("int32")[1], "int32")

        def position(i: Sequence[te.Expr], out: Sequence[te.Expr]) -> te.Expr:
            value = data(*i)
            found = te.compare("eq", value, extreme(*out))
            if dtypes.is_float(data.dtype):
                found = te.either(found, te.unary("isnan", value))
            flat = te.flatten_index([i[k] for k in axes], sizes)
            return te.select(found, te.cast(flat, "int32"), nowhere)

        kind = te.reduce_max if last else te.reduce_min
        return self.reduce(data, kind, position, self.name)

    def search(self, data: Array, find: Callable[..., Array], last: bool) -> Array:
        """The position that NumPy's `find` gives among the reduced elements."""
        axes = self.axes(data.ndim)
        kept = [k for k in range(data.ndim) if k not in axes]
        moved = np.transpose(data, (*kept, *axes))
        rows = moved.reshape(*(data.shape[k] for k in kept), math.prod(data.shape[k] for k in axes))
        if 0 in rows.shape[:-1]:
            result = np.zeros(rows.shape[:-1])
        elif last:
            result = rows.shape[-1] - 1 - np.asarray(find(rows[..., ::-1], axis=-1))
        else:
            result = np.asarray(find(rows, axis=-1))
        shape = [1 if k in axes else d for k, d in enumerate(data.shape)]
        return np.asarray(result.reshape(shape) if self.keepdims else result, dtype="int32")


@operator("argmax", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=4)
class ArgMax(ArgReduction):
    """Position of the largest value over axes, ``int32``: the first, or with `select_last_index`
    the last of equals."""

    select_last_index: bool = False

    def compute(self, data: te.Tensor) -> te.Tensor:
        extreme = self.reduce(data, te.reduce_max, lambda i, _: data(*i), "max")
        return self.locate(data, extreme, self.select_last_index)

    def reference(self, data: Array) -> Array:
        return self.search(data, np.argmax, self.select_last_index)


@operator("argmin", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=4)
class ArgMin(ArgReduction):
    """Position of the smallest value over axes, ``int32``: the first, or with `select_last_index`
    the last of equals."""

    select_last_index: bool = False

    def compute(self, data: te.Tensor) -> te.Tensor:
        extreme = self.reduce(data, te.reduce_min, lambda i, _: data(*i), "min")
        return self.locate(data, extreme, self.select_last_index)

    def reference(self, data: Array) -> Array:
        return self.search(data, np.argmin, self.select_last_index)
