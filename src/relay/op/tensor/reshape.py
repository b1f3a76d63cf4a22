"""Operators that give the same elements another shape or order."""

from collections.abc import Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import inverse_order, permuted, rank_of, reshaped_like
from relay.op.shapes import (
    normalize_axes,
    normalize_axis,
    put,
    put_ints,
    show,
    size_of,
    te_unflatten,
)
from relay.op.tensor.newshape import resolve_shape, resolve_te_shape
from relay.support.errors import TypeInferenceError


def dimension_groups(
    old: Sequence[int], new: Sequence[int]
) -> list[tuple[list[int], list[int]]] | None:
    """Pairs of dimensions of `old` and of `new` that hold the same elements; sizes 1 are left out.

    The groups are as small as can be, so that a reshape divides only where dimensions really merge
    or split. None where a shape is empty of elements.
    """
    if 0 in old or 0 in new:
        return None
    groups: list[tuple[list[int], list[int]]] = []
    left = [k for k, d in enumerate(old) if d != 1]
    right = [k for k, d in enumerate(new) if d != 1]
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = [left[i]], [right[j]]
        x, y = old[left[i]], new[right[j]]
        i, j = i + 1, j + 1
        while x != y:
            if x < y:
                a.append(left[i])
                x *= old[left[i]]
                i += 1
            else:
                b.append(right[j])
                y *= new[right[j]]
                j += 1
        groups.append((a, b))
    return groups


def reshape_tensor(data: te.Tensor, shape: Sequence[te.Dim], name: str) -> te.Tensor:
    """The elements of `data`, in row-major order, in a tensor of `shape`."""
    old = [d for d in data.shape if isinstance(d, int)]
    new = [d for d in shape if isinstance(d, int)]
    static = len(old) == data.ndim and len(new) == len(shape)
    groups = dimension_groups(old, new) if static else None

    def whole(*out: te.Expr) -> te.Expr:
        return data(*te_unflatten(te.flatten_index(out, shape), data.shape))

    def grouped(*out: te.Expr) -> te.Expr:
        assert groups is not None
        indices: list[te.Operand] = [0] * data.ndim
        for a, b in groups:
            position = te.flatten_index([out[k] for k in b], [new[k] for k in b])
            parts = te.unflatten_index(position, [old[k] for k in a]) if len(a) > 1 else [position]
            for k, part in zip(a, parts, strict=True):
                indices[k] = part
        return data(*indices)

    return te.compute(shape, whole if groups is None else grouped, name)


@operator("reshape", inputs=("data",), pattern=Pattern.INJECTIVE, level=3)
class Reshape(Operator):
    """The elements of `data` in row-major order, in another shape.

    In `newshape` 0 copies a dimension (with `allowzero` it is a size), -1 is inferred from the
    rest, -2 copies all remaining dimensions, -3 multiplies the next two, and -4 splits one into the
    two sizes that follow, of which one may be -1.
    """

    takes_small = True

    newshape: tuple[int, ...]
    allowzero: bool = False

    def __post_init__(self) -> None:
        put_ints(self, "newshape")
        put(self, "allowzero", bool(self.allowzero))

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        return TensorType(
            resolve_shape(self.name, tensor.shape, self.newshape, self.allowzero), tensor.dtype
        )

    def compute(self, data: te.Tensor) -> te.Tensor:
        shape = resolve_te_shape(self.name, data.shape, self.newshape, self.allowzero)
        return reshape_tensor(data, shape, "reshape")

    def reference(self, data: Array) -> Array:
        if self.allowzero or min(self.newshape, default=1) > 0:
            return np.reshape(data, self.newshape)
        shape = resolve_shape(self.name, data.shape, self.newshape, self.allowzero)
        return np.reshape(data, [d for d in shape if isinstance(d, int)])

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (reshaped_like(grad, data),)


@operator("reshape_like", inputs=("data", "shape_like"), pattern=Pattern.INJECTIVE, level=3)
class ReshapeLike(Operator):
    """`data` with its dimensions ``lhs_begin .. lhs_end`` replaced by those of `shape_like` in
    ``rhs_begin .. rhs_end``; ends are exclusive, None is the rank, negative ones count from it."""

    takes_small = True
    lhs_begin: int = 0
    lhs_end: int | None = None
    rhs_begin: int = 0
    rhs_end: int | None = None

    def infer(self, data: Type, shape_like: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        like = expect_tensor(self.name, "shape_like", shape_like)
        start, stop, _ = slice(self.lhs_begin, self.lhs_end).indices(len(tensor.shape))
        taken = like.shape[slice(self.rhs_begin, self.rhs_end)]
        shape = (*tensor.shape[:start], *taken, *tensor.shape[max(start, stop) :])
        before, after = size_of(tensor.shape), size_of(shape)
        if isinstance(before, int) and isinstance(after, int) and before != after:
            raise TypeInferenceError(
                f"{self.name}: {show(tensor.shape)} has {before} elements, "
                f"but the shape asked for, {show(shape)}, has {after}"
            )
        return TensorType(shape, tensor.dtype)

    def compute(self, data: te.Tensor, shape_like: te.Tensor) -> te.Tensor:
        start, stop, _ = slice(self.lhs_begin, self.lhs_end).indices(data.ndim)
        taken = shape_like.shape[slice(self.rhs_begin, self.rhs_end)]
        shape = (*data.shape[:start], *taken, *data.shape[max(start, stop) :])
        return reshape_tensor(data, shape, "reshape_like")

    def reference(self, data: Array, shape_like: Array) -> Array:
        sizes = list(data.shape)
        sizes[self.lhs_begin : self.lhs_end] = shape_like.shape[self.rhs_begin : self.rhs_end]
        return data.reshape(sizes)

    def gradient(self, grad: Expr, result: Expr, data: Expr, shape_like: Expr) -> Gradients:
        return reshaped_like(grad, data), None


@operator("contrib_reverse_reshape", inputs=("data",), pattern=Pattern.INJECTIVE, level=10)
class ReverseReshape(Operator):
    """`reshape` with the special values of `newshape` matched from the right."""

    takes_small = True

    newshape: tuple[int, ...]
    allowzero: bool = False

    def __post_init__(self) -> None:
        put_ints(self, "newshape")
        put(self, "allowzero", bool(self.allowzero))

    def _reversed(self) -> tuple[int, ...]:
        """`newshape` from the right; a -4 stays in front of its two sizes."""
        items: list[int] = []
        position = 0
        while position < len(self.newshape):
            width = 3 if self.newshape[position] == -4 else 1
            first, *sizes = self.newshape[position : position + width]
            items = [first, *reversed(sizes), *items]
            position += width
        return tuple(items)

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        turned = tensor.shape[::-1]
        shape = resolve_shape(self.name, turned, self._reversed(), self.allowzero)
        return TensorType(shape[::-1], tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        turned = data.shape[::-1]
        shape = resolve_te_shape(self.name, turned, self._reversed(), self.allowzero)
        return reshape_tensor(data, shape[::-1], "reverse_reshape")

    def reference(self, data: Array) -> Array:
        turned = data.shape[::-1]
        shape = resolve_shape(self.name, turned, self._reversed(), self.allowzero)
        return np.reshape(data, TensorType(shape[::-1]).concrete_shape)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (reshaped_like(grad, data),)


@operator("squeeze", inputs=("data",), pattern=Pattern.INJECTIVE, level=3)
class Squeeze(Operator):
    """`data` without the dimensions `axis`, which must have size 1; None is all that have."""

    takes_small = True
    axis: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        put_ints(self, "axis")

    def axes(self, shape: Sequence[object]) -> tuple[int, ...]:
        """The dimensions dropped from `shape`, from the front, sorted."""
        if self.axis is None:
            return tuple(k for k, d in enumerate(shape) if d == 1)
        return normalize_axes(self.name, self.axis, len(shape))

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        if self.axis is None and not tensor.is_static:
            raise TypeInferenceError(
                f"{self.name}: which dimensions of {tensor} have size 1 is not known before "
                "run time; name them by axis"
            )
        axes = self.axes(tensor.shape)
        for k in axes:
            if isinstance(tensor.shape[k], int) and tensor.shape[k] != 1:
                raise TypeInferenceError(
                    f"{self.name}: dimension {k} of {show(tensor.shape)} has size "
                    f"{tensor.shape[k]}, expected 1"
                )
        return TensorType([d for k, d in enumerate(tensor.shape) if k not in axes], tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        axes = self.axes(data.shape)

        def element(*out: te.Expr) -> te.Expr:
            rest = iter(out)
            return data(*(0 if k in axes else next(rest) for k in range(data.ndim)))

        shape = [d for k, d in enumerate(data.shape) if k not in axes]
        return te.compute(shape, element, "squeeze")

    def reference(self, data: Array) -> Array:
        return np.squeeze(data, axis=self.axis)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (reshaped_like(grad, data),)


@operator("expand_dims", inputs=("data",), pattern=Pattern.BROADCAST)
class ExpandDims(Operator):
    """`data` with `num_newaxis` dimensions of size 1 put in at `axis`.

    A negative `axis` counts from the end of the result of adding one dimension: -1 appends.
    """

    takes_small = True

    axis: int
    num_newaxis: int = 1

    def __post_init__(self) -> None:
        put(self, "axis", int(self.axis))

    def position(self, rank: int) -> int:
        """Where the new dimensions begin."""
        return normalize_axis(self.name, self.axis, rank + 1)

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        if self.num_newaxis < 0:
            raise TypeInferenceError(f"{self.name}: num_newaxis must not be negative")
        at = self.position(len(tensor.shape))
        shape = (*tensor.shape[:at], *(1,) * self.num_newaxis, *tensor.shape[at:])
        return TensorType(shape, tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        at = self.position(data.ndim)
        end = at + self.num_newaxis
        shape = (*data.shape[:at], *(1,) * self.num_newaxis, *data.shape[at:])
        return te.compute(shape, lambda *i: data(*i[:at], *i[end:]), "expand_dims")

    def reference(self, data: Array) -> Array:
        result = data
        for _ in range(self.num_newaxis):
            result = np.expand_dims(result, self.position(data.ndim))
        return result

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (reshaped_like(grad, data),)


@operator("transpose", inputs=("data",), pattern=Pattern.INJECTIVE, level=3)
class Transpose(Operator):
    """`data` with its dimensions in the order `axes`; None reverses them."""

    takes_small = True
    axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        put_ints(self, "axes")
        # Relay prints and passes an empty list for None; rank 0 has one order only.
        put(self, "axes", self.axes or None)

    def order(self, rank: int) -> tuple[int, ...]:
        """Dimension `k` of the result is dimension ``order[k]`` of the data."""
        if self.axes is None:
            return tuple(reversed(range(rank)))
        order = tuple(normalize_axis(self.name, a, rank) for a in self.axes)
        if sorted(order) != list(range(rank)):
            raise TypeInferenceError(
                f"{self.name}: axes must name each of the {rank} dimensions once, found {self.axes}"
            )
        return order

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        order = self.order(len(tensor.shape))
        return TensorType([tensor.shape[k] for k in order], tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        order = self.order(data.ndim)
        place = {old: new for new, old in enumerate(order)}
        return te.compute(
            [data.shape[k] for k in order],
            lambda *i: data(*(i[place[k]] for k in range(data.ndim))),
            "transpose",
        )

    def reference(self, data: Array) -> Array:
        return np.transpose(data, self.axes)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (permuted(grad, inverse_order(self.order(rank_of(data)))),)
