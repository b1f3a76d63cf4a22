"""Operators that give the same elements another shape or order."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.shapes import normalize_axes, normalize_axis, put, put_ints, show, size_of
from relay.support.errors import TypeInferenceError


def resolve_shape(
    operator_name: str, shape: Sequence[Dim], newshape: Sequence[int], allowzero: bool = False
) -> tuple[Dim, ...]:
    """The shape that `newshape` stands for when applied to a tensor of `shape`.

    0 copies a dimension (with `allowzero`: is a size), -1 is inferred from the rest (once at most),
    -2 copies all remaining dimensions, -3 multiplies the next two, -4 splits one into the two sizes
    that follow, of which one may be -1.

    Raises `TypeInferenceError` when `newshape` does not fit.
    """
    result: list[Dim] = []
    inferred: int | None = None
    position = 0
    derived = False  # whether an unknown size of the result is not simply that of the data

    def wrong(why: str) -> TypeInferenceError:
        return TypeInferenceError(
            f"{operator_name}: newshape {tuple(newshape)} does not fit {show(shape)}: {why}"
        )

    def take() -> Dim:
        nonlocal position
        if position >= len(shape):
            raise wrong("it refers to a dimension that is not there")
        position += 1
        return shape[position - 1]

    items = iter(newshape)
    for item in items:
        if item > 0 or (item == 0 and allowzero):
            result.append(item)
            position += 1
        elif item == 0:
            result.append(take())
        elif item == -1:
            if inferred is not None:
                raise wrong("-1 may appear once")
            inferred = len(result)
            result.append(1)
            position += 1
        elif item == -2:
            result.extend(shape[position:])
            position = len(shape)
        elif item == -3:
            pair = (take(), take())
            result.append(size_of(pair))
            derived = derived or isinstance(result[-1], Any)
        elif item == -4:
            whole = take()
            left, right = next(items, None), next(items, None)
            if left is None or right is None:
                raise wrong("-4 must be followed by two sizes")
            result.extend(_split_dim(whole, left, right, wrong))
            derived = derived or isinstance(whole, Any)
        else:
            raise wrong(f"{item} has no meaning")
    before, after = size_of(shape), size_of(result)
    if inferred is not None:
        if isinstance(before, Any) or isinstance(after, Any):
            result[inferred] = Any() if derived else _cancel(shape, result)
        elif after == 0 or before % after:
            raise wrong(f"{before} elements cannot be divided into parts of {after}")
        else:
            result[inferred] = before // after
    elif isinstance(before, int) and isinstance(after, int) and before != after:
        raise wrong(f"it has {after} elements, the tensor has {before}")
    return tuple(result)


def _split_dim(
    whole: Dim, left: int, right: int, wrong: Callable[[str], TypeInferenceError]
) -> tuple[Dim, Dim]:
    if left == -1 and right == -1:
        raise wrong("of the two sizes after -4 only one may be -1")
    known = right if left == -1 else left
    if isinstance(whole, Any):
        other: Dim = Any() if -1 in (left, right) else right
    else:
        if known <= 0 or whole % known or (-1 not in (left, right) and left * right != whole):
            raise wrong(f"{whole} cannot be split into {left} and {right}")
        other = whole // known
    return (other, known) if left == -1 else (known, other)


def _cancel(shape: Sequence[Dim], result: Sequence[Dim]) -> Dim:
    """The size that -1 stands for where both shapes hold unknown sizes; usually unknown itself."""
    unknown = [d for d in shape if isinstance(d, Any)]
    if len(unknown) != 1 or sum(isinstance(d, Any) for d in result) != 1:
        return Any()
    # One unknown size on either side, copied from the data: it cancels.
    before = math.prod(d for d in shape if isinstance(d, int))
    after = math.prod(d for d in result if isinstance(d, int))
    return before // after if after and before % after == 0 else Any()


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
        position = te.flatten_index(out, shape)
        indices: list[te.Expr] = []
        for dim in reversed(data.shape):
            indices.append(position % dim if len(indices) + 1 < data.ndim else position)
            position = position // dim
        return data(*reversed(indices))

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
        return reshape_tensor(data, self._te_shape(data), "reshape")

    def _te_shape(self, data: te.Tensor) -> Sequence[te.Dim]:
        known = [d if isinstance(d, int) else Any() for d in data.shape]
        shape = resolve_shape(self.name, known, self.newshape, self.allowzero)
        if not any(isinstance(d, Any) for d in shape):
            return [d for d in shape if isinstance(d, int)]
        symbols = [d for d in data.shape if not isinstance(d, int)]
        unknown = sum(isinstance(d, Any) for d in shape)
        if unknown == 1:
            total: te.Expr = te.const(1)
            for dim in data.shape:
                total = total * dim
            rest = math.prod(d for d in shape if isinstance(d, int))
            return [d if isinstance(d, int) else total // rest for d in shape]
        if unknown != len(symbols):
            raise TypeInferenceError(
                f"{self.name}: newshape {self.newshape} leaves several sizes unknown; "
                "name all sizes but one"
            )
        remaining = iter(symbols)
        return [d if isinstance(d, int) else next(remaining) for d in shape]

    def reference(self, data: Array) -> Array:
        if self.allowzero or min(self.newshape, default=1) > 0:
            return np.reshape(data, self.newshape)
        shape = resolve_shape(self.name, data.shape, self.newshape, self.allowzero)
        return np.reshape(data, [d for d in shape if isinstance(d, int)])


@operator("reshape_like", inputs=("data", "shape_like"), pattern=Pattern.INJECTIVE, level=3)
class ReshapeLike(Operator):
    """`data` with its dimensions ``lhs_begin .. lhs_end`` replaced by those of `shape_like` in
    ``rhs_begin .. rhs_end``; ends are exclusive, None is the rank, negative ones count from it."""

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


@operator("contrib_reverse_reshape", inputs=("data",), pattern=Pattern.INJECTIVE, level=10)
class ReverseReshape(Operator):
    """`reshape` with the special values of `newshape` matched from the right."""

    newshape: tuple[int, ...]
    allowzero: bool = False

    def __post_init__(self) -> None:
        put_ints(self, "newshape")
        put(self, "allowzero", bool(self.allowzero))

    def _shape(self, shape: Sequence[Dim]) -> tuple[Dim, ...]:
        # Reversed, the two sizes after a -4 would come before it.
        items: list[int] = []
        position = 0
        while position < len(self.newshape):
            item = self.newshape[position]
            width = 3 if item == -4 else 1
            group = self.newshape[position : position + width]
            items = [group[0], *reversed(group[1:]), *items]
            position += width
        return resolve_shape(self.name, shape[::-1], items, self.allowzero)[::-1]

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        return TensorType(self._shape(tensor.shape), tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        shape = TensorType(self._shape(data.static_shape), data.dtype).concrete_shape
        return reshape_tensor(data, shape, "reverse_reshape")

    def reference(self, data: Array) -> Array:
        return data.reshape(TensorType(self._shape(data.shape)).concrete_shape)


@operator("squeeze", inputs=("data",), pattern=Pattern.INJECTIVE, level=3)
class Squeeze(Operator):
    """`data` without the dimensions `axis`, which must have size 1; None is all that have."""

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


@operator("expand_dims", inputs=("data",), pattern=Pattern.BROADCAST)
class ExpandDims(Operator):
    """`data` with `num_newaxis` dimensions of size 1 put in at `axis`.

    A negative `axis` counts from the end of the result of adding one dimension: -1 appends.
    """

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


@operator("transpose", inputs=("data",), pattern=Pattern.INJECTIVE, level=3)
class Transpose(Operator):
    """`data` with its dimensions in the order `axes`; None reverses them."""

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
