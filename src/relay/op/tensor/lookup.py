"""Operators that turn positions into others, or read at several of them at once."""

import math
from collections.abc import Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr, Tuple, const
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import (
    field,
    fields_of,
    known_shape,
    make,
    number,
    permuted,
    reshaped,
    zero_of,
)
from relay.op.nn.common import known_window_count, per_axis, windows
from relay.op.shapes import (
    broadcast_shape,
    expect_kind,
    expect_tensors,
    normalize_axis,
    put,
    put_ints,
    te_broadcast_read,
    te_broadcast_shape,
)
from relay.op.tensor.index import check_filled, check_inside, inside
from relay.support.errors import InputError, TypeInferenceError


@operator("adv_index", inputs=("inputs",), pattern=Pattern.INJECTIVE, level=3)
class AdvIndex(Operator):
    """``data[index_0, index_1, ..]``: `inputs` are the data, then a tensor for each dimension.

    Dimensions that have none come last, whole. The indices broadcast to one shape, which comes in
    place of the dimensions they index. Negative ones count from the end. An index outside is an
    error in the interpreter; compiled code takes the nearest element.
    """

    takes_small = True

    def infer(self, inputs: Type) -> Type:
        data, *indices = expect_tensors(self.name, "inputs", inputs)
        if not 0 < len(indices) <= len(data.shape):
            raise TypeInferenceError(
                f"{self.name}: {data} takes 1 to {len(data.shape)} indices, found {len(indices)}"
            )
        shape: tuple[Dim, ...] = ()
        for k, index in enumerate(indices):
            expect_kind(self.name, f"index {k}", index, "integer")
            shape = broadcast_shape(self.name, shape, index.shape)
        whole = (*shape, *data.shape[len(indices) :])
        check_filled(self.name, data, range(len(indices)), whole)
        return TensorType(whole, data.dtype)

    def compute(self, inputs: Sequence[te.Tensor]) -> te.Tensor:
        data, *indices = inputs
        shape = te_broadcast_shape(*(i.shape for i in indices))

        def element(*out: te.Var) -> te.Expr:
            lead, rest = out[: len(shape)], out[len(shape) :]
            where: list[te.Expr] = []
            for index, size in zip(indices, data.shape, strict=False):
                found = te.cast(te_broadcast_read(index, lead, shape), te.INDEX)
                where.append(inside(te.select(found < 0, found + size, found), size))
            return data(*where, *rest)

        return te.compute((*shape, *data.shape[len(indices) :]), element, "adv_index")

    def reference(self, inputs: Sequence[Array]) -> Array:
        data, *indices = inputs
        wide = [i.astype("int64") for i in indices]
        for index, size in zip(wide, data.shape, strict=False):
            check_inside(self.name, np.where(index < 0, index + size, index), size)
        return np.asarray(data[tuple(wide)])

    def gradient(self, grad: Expr, result: Expr, inputs: Expr) -> Gradients:
        data, *indices = (field(inputs, k) for k in range(fields_of(inputs)))
        shape = np.broadcast_shapes(*(known_shape(self.name, i) for i in indices))
        rows: list[Expr] = []
        for index, size in zip(indices, known_shape(self.name, data), strict=False):
            wide = make("cast", index, dtype="int64")
            negative = make("less", wide, number(0, wide))
            found = make("where", negative, wide + number(size, wide), wide)
            rows.append(make("broadcast_to", found, shape=shape))
        places = make("stack", Tuple(rows), axis=0)
        zeros = zero_of(data.checked_type, data)
        back = make("scatter_nd", zeros, places, grad, mode="add")
        return (Tuple([back, *(zero_of(i.checked_type, i) for i in indices)]),)


def row_major_strides(shape: te.Tensor, name: str) -> te.Tensor:
    """How far apart neighbours are along each dimension of a tensor whose sizes are in a vector."""

    def element(k: te.Var) -> te.Expr:
        r = te.reduce_axis(shape.shape[0])
        return te.reduce_prod(te.select(r.var > k, te.cast(shape(r.var), te.INDEX), 1), r)

    return te.compute(shape.shape, element, name)


@operator("unravel_index", inputs=("data", "shape"), pattern=Pattern.INJECTIVE, level=3)
class UnravelIndex(Operator):
    """The coordinates of row-major positions in a tensor whose sizes are in the vector `shape`.

    `data` of any shape gives (dimensions, *shape of the data). A position outside is an error in
    the interpreter; compiled code gives some position.
    """

    piecewise_constant = True

    def infer(self, data: Type, shape: Type) -> Type:
        positions = expect_kind(self.name, "data", data, "integer")
        sizes = expect_kind(self.name, "shape", shape, "integer")
        if len(sizes.shape) != 1:
            raise TypeInferenceError(f"{self.name}: shape must be a vector, found {sizes}")
        return TensorType((sizes.shape[0], *positions.shape), positions.dtype)

    def compute(self, data: te.Tensor, shape: te.Tensor) -> te.Tensor:
        strides = row_major_strides(shape, "strides")

        def element(*i: te.Var) -> te.Expr:
            position = te.cast(data(*i[1:]), te.INDEX)
            size = te.maximum(te.cast(shape(i[0]), te.INDEX), 1)
            return te.cast((position // te.maximum(strides(i[0]), 1)) % size, data.dtype)

        return te.compute((shape.shape[0], *data.shape), element, "unravel_index")

    def reference(self, data: Array, shape: Array) -> Array:
        sizes = tuple(int(s) for s in shape)
        check_inside(self.name, data, math.prod(sizes))
        found = np.unravel_index(data.astype("int64"), sizes) if sizes else ()
        return np.asarray(found, dtype=data.dtype).reshape(len(sizes), *data.shape)


@operator("invert_permutation", inputs=("data",), pattern=Pattern.INJECTIVE, level=1)
class InvertPermutation(Operator):
    """The vector ``out`` with ``out[data[i]] == i``; `data` has each of ``0 .. n-1`` once.

    A vector that has not is an error in the interpreter; compiled code gives the last position of
    what is there, and 0 for what is not.
    """

    piecewise_constant = True

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "integer")
        if len(tensor.shape) != 1:
            raise TypeInferenceError(f"{self.name}: expected a vector, found {tensor}")
        return tensor

    def compute(self, data: te.Tensor) -> te.Tensor:
        output = te.placeholder(data.shape, data.dtype, "inverse")
        return te.ordered((data,), (output,), _invert)[0]

    def reference(self, data: Array) -> Array:
        if not np.array_equal(np.sort(data), np.arange(data.size)):
            raise InputError(
                f"{self.name}: expected each of 0 .. {data.size - 1} once, found {data.tolist()}"
            )
        return np.argsort(data).astype(data.dtype)


def _invert(w: te.Writer, given: te.Given, made: te.Given) -> None:
    (data,), (inverse,) = given, made
    (size,) = data.static_shape
    w.fill(inverse, 0)
    with w.loop(size, "i") as i:
        place = te.cast(data(i), te.INDEX)
        with w.when(te.both(place >= 0, place < size)):
            w.store(inverse, (place,), te.cast(i, data.dtype))


@operator("sliding_window", inputs=("data",), pattern=Pattern.OPAQUE, level=3)
class SlidingWindow(Operator):
    """All windows of `window_shape` over the dimensions from `axis` on, `strides` apart.

    The result has the dimensions before `axis`, the numbers of windows, and the windows' own.
    """

    takes_small = True

    axis: int
    window_shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        put_ints(self, "window_shape")
        put(self, "strides", per_axis("strides", self.strides, len(self.window_shape)))
        if min((*self.window_shape, *self.strides), default=1) < 1:
            raise ValueError(
                f"window_shape and strides must be positive, found {self.window_shape} and "
                f"{self.strides}"
            )

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        axis = normalize_axis(self.name, self.axis, len(tensor.shape))
        if axis + len(self.window_shape) != len(tensor.shape):
            raise TypeInferenceError(
                f"{self.name}: a window over the dimensions from {axis} on of {tensor} has "
                f"{len(tensor.shape) - axis} sizes, found {self.window_shape}"
            )
        counts = [
            known_window_count(self.name, f"dimension {axis + k}", size, -window, stride)
            for k, (size, window, stride) in enumerate(
                zip(tensor.shape[axis:], self.window_shape, self.strides, strict=True)
            )
        ]
        return TensorType((*tensor.shape[:axis], *counts, *self.window_shape), tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        axis, rank = self.axis % data.ndim, len(self.window_shape)
        counts = [
            (size - window) // stride + 1
            for size, window, stride in zip(
                data.shape[axis:], self.window_shape, self.strides, strict=True
            )
        ]

        def element(*i: te.Var) -> te.Expr:
            which, within = i[axis : axis + rank], i[axis + rank :]
            places = [w * s + k for w, s, k in zip(which, self.strides, within, strict=True)]
            return data(*i[:axis], *places)

        return te.compute(
            (*data.shape[:axis], *counts, *self.window_shape), element, "sliding_window"
        )

    def reference(self, data: Array) -> Array:
        return np.ascontiguousarray(self._windows(data))

    def _windows(self, data: Array) -> Array:
        axes = range(self.axis % data.ndim, data.ndim)
        return windows(data, axes, self.window_shape, self.strides, (1,) * len(self.strides))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        shape = known_shape(self.name, data)
        axis = self.axis % len(shape)
        lead, size = math.prod(shape[:axis]), math.prod(shape[axis:])
        numbered = np.arange(size).reshape((1,) * axis + shape[axis:])
        places = self._windows(numbered).reshape(1, -1)
        updates = permuted(reshaped(grad, (lead, places.size)), (1, 0))
        zeros = permuted(reshaped(zero_of(data.checked_type, data), (lead, size)), (1, 0))
        added = make("scatter_nd", zeros, const(places, "int64"), updates, mode="add")
        return (reshaped(permuted(added, (1, 0)), shape),)
