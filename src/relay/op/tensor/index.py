"""Operators that read at positions given by a tensor.

Positions are checked: where they lie outside and no mode says what that means, the reference raises
`InputError`, and compiled code reads the nearest element instead of foreign memory.
"""

import math
from collections.abc import Sequence

import numpy as np

from relay import dtypes, te
from relay.ir.expr import Call, Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import (
    expanded,
    inverse_order,
    known_shape,
    make,
    number,
    permuted,
    rank_of,
    reshaped,
    reshaped_like,
    total,
    with_coordinates,
    zero_of,
)
from relay.op.shapes import (
    expect_kind,
    expect_same_dtype,
    fits,
    normalize_axis,
    put_dtype,
    reference_dtype,
    show,
    te_size,
    te_unflatten,
    unify_dim,
)
from relay.support.errors import InputError, TypeInferenceError


def inside(index: te.Expr, size: te.Dim) -> te.Expr:
    """`index` of any integer type as a position kept within a dimension of `size`."""
    return te.clamp(te.cast(index, te.INDEX), 0, te.as_expr(size, te.INDEX) - 1)


def check_inside(operator_name: str, indices: Array, size: int) -> None:
    """Raise `InputError` where an index is not in ``0 .. size - 1``."""
    outside = np.logical_or(indices < 0, indices >= size)
    if np.any(outside):
        found = indices[outside].reshape(-1)[0]
        raise InputError(f"{operator_name}: index {found} is outside 0 .. {size - 1}")


def check_filled(
    operator_name: str, data: TensorType, axes: Sequence[int], result: Sequence[Dim]
) -> None:
    """Raise `TypeInferenceError` where elements are asked for along `axes` that have none."""
    wanted = all(isinstance(size, int) and size > 0 for size in result)
    if wanted and any(data.shape[k] == 0 for k in axes):
        raise TypeInferenceError(f"{operator_name}: there is nothing to index in {data}")


@operator("take", inputs=("data", "indices"), pattern=Pattern.INJECTIVE, level=3)
class Take(Operator):
    """The elements of `data` at `indices` along `axis`; None flattens `data` first.

    The first `batch_dims` dimensions of both are walked together. An index outside is, by `mode`,
    moved to the nearest end (``"clip"``), taken modulo the size (``"wrap"``), or an error
    (``"fast"``).
    """

    takes_small = True
    axis: int | None = None
    batch_dims: int = 0
    mode: str = "clip"

    def __post_init__(self) -> None:
        if self.mode not in ("clip", "wrap", "fast"):
            raise ValueError(f'mode must be "clip", "wrap" or "fast", found {self.mode!r}')

    def _batch(self, rank: int) -> int:
        return self.batch_dims + rank if self.batch_dims < 0 else self.batch_dims

    def infer(self, data: Type, indices: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        index = expect_kind(self.name, "indices", indices, "integer")
        if self.axis is None:
            check_filled(self.name, tensor, range(len(tensor.shape)), index.shape)
            return TensorType(index.shape, tensor.dtype)
        axis = normalize_axis(self.name, self.axis, len(tensor.shape))
        batch = self._batch(len(index.shape))
        if not 0 <= batch <= min(axis, len(index.shape)):
            raise TypeInferenceError(
                f"{self.name}: batch_dims must be at most the axis, {axis}, and the rank of the "
                f"indices, {len(index.shape)}; found {self.batch_dims}"
            )
        shared = [
            unify_dim(self.name, a, b, "batch sizes")
            for a, b in zip(tensor.shape[:batch], index.shape[:batch], strict=True)
        ]
        middle = tensor.shape[batch:axis]
        shape = (*shared, *middle, *index.shape[batch:], *tensor.shape[axis + 1 :])
        check_filled(self.name, tensor, (axis,), shape)
        return TensorType(shape, tensor.dtype)

    def compute(self, data: te.Tensor, indices: te.Tensor) -> te.Tensor:
        def position(index: te.Expr, size: te.Dim) -> te.Expr:
            if self.mode == "wrap":
                return te.cast(index, te.INDEX) % size
            return inside(index, size)

        if self.axis is None:
            total = te_size(data.shape)
            return te.compute(
                indices.shape,
                lambda *i: data(*te_unflatten(position(indices(*i), total), data.shape)),
                "take",
            )
        axis, batch = self.axis % data.ndim, self._batch(indices.ndim)
        end = axis + indices.ndim - batch

        def element(*out: te.Expr) -> te.Expr:
            index = indices(*out[:batch], *out[axis:end])
            return data(*out[:axis], position(index, data.shape[axis]), *out[end:])

        shape = (*data.shape[:axis], *indices.shape[batch:], *data.shape[axis + 1 :])
        return te.compute(shape, element, "take")

    def reference(self, data: Array, indices: Array) -> Array:
        size = data.size if self.axis is None else data.shape[self.axis]
        if self.mode == "wrap":
            index = np.mod(indices, size)
        elif self.mode == "clip":
            index = np.clip(indices, 0, size - 1)
        else:
            check_inside(self.name, indices, size)
            index = indices
        batch = self._batch(indices.ndim)
        if self.axis is None or batch == 0:
            return np.take(data, index, axis=self.axis)
        axis = self.axis % data.ndim - batch
        lead = data.shape[:batch]
        shape = (*data.shape[: axis + batch], *index.shape[batch:], *data.shape[axis + batch + 1 :])
        result = np.empty(shape, data.dtype)
        for row in np.ndindex(*lead):
            result[row] = np.take(data[row], index[row], axis=axis)
        return result

    def _settled(self, indices: Expr, size: int) -> Expr:
        """`indices` as positions within a dimension of `size`."""
        if self.mode == "wrap":
            return make("floor_mod", indices, number(size, indices))
        return make("clip", indices, a_min=0, a_max=size - 1) if self.mode == "clip" else indices

    def gradient(self, grad: Expr, result: Expr, data: Expr, indices: Expr) -> Gradients:
        shape, places = known_shape(self.name, data), known_shape(self.name, indices)
        size = math.prod(shape) if self.axis is None else shape[self.axis]
        index = self._settled(indices, size)
        if self.axis is None:
            flat = make("zeros_like", reshaped(data, (size,)))
            added = make("scatter_nd", flat, expanded(index, (0,)), grad, mode="add")
            return reshaped_like(added, data), None
        axis, batch = self.axis % len(shape), self._batch(len(places))
        end = axis + len(places) - batch
        # Batch, positions, the rest: as scatter_nd has its updates.
        moved = [*range(batch), *range(axis, end), *range(batch, axis), *range(end, rank_of(grad))]
        order = [*range(batch), axis, *range(batch, axis), *range(axis + 1, len(shape))]
        zeros = make("zeros_like", permuted(data, order))
        coordinates = with_coordinates(index, batch, places, leading=False)
        added = make("scatter_nd", zeros, coordinates, permuted(grad, moved), mode="add")
        return permuted(added, inverse_order(order)), None


@operator("gather", inputs=("data", "indices"), pattern=Pattern.INJECTIVE, level=3)
class Gather(Operator):
    """``out[.., i, ..] = data[.., indices[.., i, ..], ..]`` along `axis`.

    `indices` has the rank of `data`, and its sizes in the other dimensions; it gives the shape.
    """

    takes_small = True

    axis: int

    def infer(self, data: Type, indices: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        index = expect_kind(self.name, "indices", indices, "integer")
        axis = normalize_axis(self.name, self.axis, len(tensor.shape))
        if len(index.shape) != len(tensor.shape):
            raise TypeInferenceError(
                f"{self.name}: data and indices must have one rank, found {show(tensor.shape)} and "
                f"{show(index.shape)}"
            )
        shape = [
            b if k == axis else unify_dim(self.name, a, b, f"the sizes of dimension {k}")
            for k, (a, b) in enumerate(zip(tensor.shape, index.shape, strict=True))
        ]
        check_filled(self.name, tensor, (axis,), shape)
        return TensorType(shape, tensor.dtype)

    def compute(self, data: te.Tensor, indices: te.Tensor) -> te.Tensor:
        axis = self.axis % data.ndim

        def element(*out: te.Expr) -> te.Expr:
            position = inside(indices(*out), data.shape[axis])
            return data(*out[:axis], position, *out[axis + 1 :])

        return te.compute(indices.shape, element, "gather")

    def reference(self, data: Array, indices: Array) -> Array:
        check_inside(self.name, indices, data.shape[self.axis])
        return np.take_along_axis(data, indices.astype("int64"), axis=self.axis)

    def gradient(self, grad: Expr, result: Expr, data: Expr, indices: Expr) -> Gradients:
        zeros = zero_of(data.checked_type, data)
        return make("scatter_elements", zeros, indices, grad, axis=self.axis, reduction="add"), None


@operator("gather_nd", inputs=("data", "indices"), pattern=Pattern.INJECTIVE, level=3)
class GatherND(Operator):
    """``out[y.., x..] = data[batch.., indices[0, y..], .., indices[m-1, y..], x..]``.

    The first dimension of `indices` holds the `m` coordinates; the first `batch_dims` dimensions of
    `data` are those that follow it. `index_rank` is `m` where the type of `indices` leaves it open.
    """

    takes_small = True
    batch_dims: int = 0
    index_rank: int | None = None

    def _coordinates(self, index: TensorType) -> int:
        if not index.shape:
            raise TypeInferenceError(f"{self.name}: indices must have at least one dimension")
        first = index.shape[0]
        if first == 0:
            raise TypeInferenceError(f"{self.name}: indices {index} have no coordinates")
        if isinstance(first, int):
            return first
        if self.index_rank is None:
            raise TypeInferenceError(
                f"{self.name}: the number of coordinates is not known before run time; "
                "give it as index_rank"
            )
        return self.index_rank

    def infer(self, data: Type, indices: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        index = expect_kind(self.name, "indices", indices, "integer")
        count = self._coordinates(index)
        if count + self.batch_dims > len(tensor.shape) or self.batch_dims >= len(index.shape):
            raise TypeInferenceError(
                f"{self.name}: {count} coordinates and {self.batch_dims} batch dimensions are too "
                f"many for {show(tensor.shape)} indexed by {show(index.shape)}"
            )
        for a, b in zip(tensor.shape[: self.batch_dims], index.shape[1:], strict=False):
            unify_dim(self.name, a, b, "batch sizes")
        end = self.batch_dims + count
        shape = (*index.shape[1:], *tensor.shape[end:])
        check_filled(self.name, tensor, range(self.batch_dims, end), shape)
        return TensorType(shape, tensor.dtype)

    def compute(self, data: te.Tensor, indices: te.Tensor) -> te.Tensor:
        batch = self.batch_dims
        first = indices.shape[0]
        count = first if isinstance(first, int) else self.index_rank
        assert count is not None
        outer = indices.ndim - 1

        def element(*out: te.Expr) -> te.Expr:
            where = [inside(indices(k, *out[:outer]), data.shape[batch + k]) for k in range(count)]
            return data(*out[:batch], *where, *out[outer:])

        shape = (*indices.shape[1:], *data.shape[batch + count :])
        return te.compute(shape, element, "gather_nd")

    def reference(self, data: Array, indices: Array) -> Array:
        batch = self.batch_dims
        for k, row in enumerate(indices):
            check_inside(self.name, row, data.shape[batch + k])
        if batch == 0:
            return np.asarray(data[tuple(indices)])
        shape = indices.shape[1:]
        lead = [
            np.arange(shape[k]).reshape([-1 if j == k else 1 for j in range(len(shape))])
            for k in range(batch)
        ]
        return np.asarray(data[(*lead, *indices)])

    def gradient(self, grad: Expr, result: Expr, data: Expr, indices: Expr) -> Gradients:
        places = known_shape(self.name, indices)[1:] if self.batch_dims else ()
        rows = with_coordinates(indices, self.batch_dims, places, leading=True)
        zeros = zero_of(data.checked_type, data)
        return make("scatter_nd", zeros, rows, grad, mode="add"), None


@operator(
    "one_hot",
    inputs=("indices", "on_value", "off_value"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class OneHot(Operator):
    """`on_value` where the position along the new dimension `axis` equals the index, else
    `off_value`; an index outside ``0 .. depth-1`` is nowhere. The two values are scalar tensors."""

    depth: int
    axis: int = -1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, indices: Type, on_value: Type, off_value: Type) -> Type:
        index = expect_kind(self.name, "indices", indices, "integer")
        values = (
            expect_tensor(self.name, "on_value", on_value),
            expect_tensor(self.name, "off_value", off_value),
        )
        expect_same_dtype(self.name, *values)
        if values[0].shape or values[1].shape:
            raise TypeInferenceError(f"{self.name}: on_value and off_value must be scalars")
        axis = normalize_axis(self.name, self.axis, len(index.shape) + 1)
        shape = (*index.shape[:axis], self.depth, *index.shape[axis:])
        return TensorType(shape, self.dtype or values[0].dtype)

    def compute(self, indices: te.Tensor, on_value: te.Tensor, off_value: te.Tensor) -> te.Tensor:
        axis = self.axis % (indices.ndim + 1)
        dtype = self.dtype or on_value.dtype

        def element(*out: te.Expr) -> te.Expr:
            index = te.cast(indices(*out[:axis], *out[axis + 1 :]), te.INDEX)
            return te.cast(te.select(te.equal(index, out[axis]), on_value(), off_value()), dtype)

        shape = (*indices.shape[:axis], self.depth, *indices.shape[axis:])
        return te.compute(shape, element, "one_hot")

    def reference(self, indices: Array, on_value: Array, off_value: Array) -> Array:
        hot = np.expand_dims(indices, -1) == np.arange(self.depth)
        dtype = reference_dtype(self.dtype) if self.dtype else on_value.dtype
        return np.moveaxis(np.where(hot, on_value, off_value).astype(dtype), -1, self.axis)

    def gradient(
        self, grad: Expr, result: Expr, indices: Expr, on_value: Expr, off_value: Expr
    ) -> Gradients:
        def share(on: float, off: float) -> Expr:
            chosen = Call(self.op, (indices, number(on, on_value), number(off, on_value)), self)
            return total(grad * chosen, on_value)

        return None, share(1, 0), share(0, 1)


@operator("sequence_mask", inputs=("data", "valid_length"), pattern=Pattern.INJECTIVE, level=10)
class SequenceMask(Operator):
    """`data` with `mask_value` at the positions along `axis` (0 or 1) from ``valid_length[b]`` on.

    The other of the first two dimensions is the batch: `valid_length` has an entry for each.
    """

    takes_small = True
    mask_value: float = 0.0
    axis: int = 0

    def infer(self, data: Type, valid_length: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        lengths = expect_kind(self.name, "valid_length", valid_length, "number")
        if self.axis not in (0, 1) or len(tensor.shape) < 2 or len(lengths.shape) != 1:
            raise TypeInferenceError(
                f"{self.name}: expected axis 0 or 1, data of rank 2 or more and a vector of "
                f"lengths, found axis {self.axis}, {tensor} and {lengths}"
            )
        unify_dim(self.name, tensor.shape[1 - self.axis], lengths.shape[0], "batch sizes")
        if not fits(self.mask_value, tensor.dtype):
            raise TypeInferenceError(
                f"{self.name}: mask_value {self.mask_value} does not fit into {tensor.dtype}"
            )
        return tensor

    def compute(self, data: te.Tensor, valid_length: te.Tensor) -> te.Tensor:
        def element(*out: te.Expr) -> te.Expr:
            length = valid_length(out[1 - self.axis])
            # Positions do not all fit into a small type of length.
            wide = "float64" if dtypes.is_float(length.dtype) else te.INDEX
            kept = te.cast(out[self.axis], wide) < te.cast(length, wide)
            return te.select(kept, data(*out), te.const(self.mask_value, data.dtype))

        return te.compute(data.shape, element, "sequence_mask")

    def reference(self, data: Array, valid_length: Array) -> Array:
        steps = np.arange(data.shape[self.axis])
        kept = steps[:, None] < valid_length if self.axis == 0 else steps < valid_length[:, None]
        kept = kept.reshape(*kept.shape, *(1,) * (data.ndim - 2))
        return np.where(kept, data, np.asarray(self.mask_value, dtype=data.dtype))

    def gradient(self, grad: Expr, result: Expr, data: Expr, valid_length: Expr) -> Gradients:
        kept = make(self.name, grad, valid_length, axis=self.axis, mask_value=0.0)
        return kept, None
