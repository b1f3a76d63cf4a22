"""Operators that broadcast, select, repeat and reorder tensors."""

import math
from collections.abc import Sequence

import numpy as np

from relay import te
from relay.ir.expr import Call, Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.gradients import (
    broadcast_like,
    known_shape,
    make,
    number,
    reshaped,
    reshaped_like,
    sum_over,
    unbroadcast,
)
from relay.op.shapes import (
    broadcast_shape,
    expect_kind,
    expect_same_dtype,
    normalize_axes,
    normalize_axis,
    put_ints,
    replaced,
    show,
    size_of,
    te_broadcast_read,
    te_broadcast_shape,
    te_size,
    te_unflatten,
    unify_dim,
)
from relay.support.errors import TypeInferenceError


@operator("broadcast_to", inputs=("data",), pattern=Pattern.BROADCAST, level=4)
class BroadcastTo(Operator):
    """`data` repeated to `shape`: dimensions of size 1 and missing leading ones are repeated."""

    takes_small = True

    shape: tuple[int, ...]
    dtype: str = ""

    def __post_init__(self) -> None:
        put_ints(self, "shape")

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        return TensorType(_expanded(self.name, tensor.shape, self.shape), tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        shape = self.shape
        return te.compute(shape, lambda *i: te_broadcast_read(data, i, shape), "broadcast_to")

    def reference(self, data: Array) -> Array:
        return np.array(np.broadcast_to(data, self.shape))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (unbroadcast(grad, data),)


def _expanded(operator_name: str, old: Sequence[Dim], new: Sequence[Dim]) -> tuple[Dim, ...]:
    """`new`, when a tensor of shape `old` broadcasts to it; raises `TypeInferenceError` else.

    Whether an open size does, a run decides.
    """
    padded = (*(1,) * (len(new) - len(old)), *old)
    fits = len(padded) == len(new) and all(
        a in (1, b) or isinstance(a, Any) or isinstance(b, Any)
        for a, b in zip(padded, new, strict=True)
    )
    if not fits:
        raise TypeInferenceError(
            f"{operator_name}: a tensor of shape {show(old)} does not broadcast to {show(new)}"
        )
    return tuple(new)


@operator(
    "broadcast_to_like", inputs=("data", "broadcast_type"), pattern=Pattern.BROADCAST, level=10
)
class BroadcastToLike(Operator):
    """`data` repeated to the shape of `broadcast_type`, as `broadcast_to` does."""

    takes_small = True

    def infer(self, data: Type, broadcast_type: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        like = expect_tensor(self.name, "broadcast_type", broadcast_type)
        return TensorType(_expanded(self.name, tensor.shape, like.shape), tensor.dtype)

    def compute(self, data: te.Tensor, broadcast_type: te.Tensor) -> te.Tensor:
        shape = broadcast_type.shape
        return te.compute(shape, lambda *i: te_broadcast_read(data, i, shape), "broadcast_to_like")

    def reference(self, data: Array, broadcast_type: Array) -> Array:
        return np.array(np.broadcast_to(data, broadcast_type.shape))

    def gradient(self, grad: Expr, result: Expr, data: Expr, broadcast_type: Expr) -> Gradients:
        return unbroadcast(grad, data), None


def _collapsed(data: te.Tensor, shape: Sequence[te.Dim], name: str) -> te.Tensor:
    """`data` summed to `shape`."""
    lead = data.ndim - len(shape)
    over: dict[int, te.Axis] = {}
    for k, size in enumerate(data.shape):
        kept = 1 if k < lead else shape[k - lead]
        if kept is not size and kept != size:
            # Of a size that is unknown, only at run time it shows whether it is summed over.
            extent = te.select(te.equal(kept, 1), size, te.const(1))
            over[k] = te.reduce_axis(extent, f"r{k}")

    def element(*out: te.Expr) -> te.Expr:
        index = [
            (out[k - lead] if k >= lead else te.const(0)) + (over[k].var if k in over else 0)
            for k in range(data.ndim)
        ]
        return te.reduce_sum(data(*index), list(over.values())) if over else data(*index)

    return te.compute(shape, element, name)


def _collapse(data: Array, shape: Sequence[int]) -> Array:
    """The same in NumPy."""
    lead = data.ndim - len(shape)
    summed = np.sum(data, axis=tuple(range(lead)), dtype=data.dtype)
    axes = tuple(k for k, d in enumerate(shape) if d == 1)
    return np.asarray(np.sum(summed, axis=axes, keepdims=True, dtype=data.dtype))


@operator(
    "collapse_sum_like", inputs=("data", "collapse_type"), pattern=Pattern.COMM_REDUCE, level=10
)
class CollapseSumLike(Operator):
    """`data` summed to the shape of `collapse_type`: the reverse of broadcasting.

    Leading dimensions that `collapse_type` lacks and those in which it has size 1 are summed over.
    """

    def infer(self, data: Type, collapse_type: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        like = expect_tensor(self.name, "collapse_type", collapse_type)
        _expanded(self.name, like.shape, tensor.shape)
        return TensorType(like.shape, tensor.dtype)

    def compute(self, data: te.Tensor, collapse_type: te.Tensor) -> te.Tensor:
        return _collapsed(data, collapse_type.shape, "collapse_sum_like")

    def reference(self, data: Array, collapse_type: Array) -> Array:
        return _collapse(data, collapse_type.shape)

    def gradient(self, grad: Expr, result: Expr, data: Expr, collapse_type: Expr) -> Gradients:
        return broadcast_like(grad, data), None


@operator("collapse_sum_to", inputs=("data",), pattern=Pattern.COMM_REDUCE, level=10)
class CollapseSumTo(Operator):
    """`data` summed to `shape`, which must broadcast to that of `data`: broadcasting reversed."""

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        put_ints(self, "shape")

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        _expanded(self.name, self.shape, tensor.shape)
        return TensorType(self.shape, tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        return _collapsed(data, self.shape, "collapse_sum_to")

    def reference(self, data: Array) -> Array:
        return _collapse(data, self.shape)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (broadcast_like(grad, data),)


@operator("where", inputs=("condition", "x", "y"), pattern=Pattern.BROADCAST, level=4)
class Where(Operator):
    """`x` where `condition` holds (is not zero), else `y`; all three broadcast."""

    takes_small = True

    def infer(self, condition: Type, x: Type, y: Type) -> Type:
        choice = expect_tensor(self.name, "condition", condition)
        a, b = expect_tensor(self.name, "x", x), expect_tensor(self.name, "y", y)
        dtype = expect_same_dtype(self.name, a, b)
        values = broadcast_shape(self.name, a.shape, b.shape)
        return TensorType(broadcast_shape(self.name, choice.shape, values), dtype)

    def compute(self, condition: te.Tensor, x: te.Tensor, y: te.Tensor) -> te.Tensor:
        shape = te_broadcast_shape(condition.shape, x.shape, y.shape)

        def element(*i: te.Expr) -> te.Expr:
            choice, a, b = (te_broadcast_read(t, i, shape) for t in (condition, x, y))
            if choice.dtype != te.BOOL:
                choice = te.compare("ne", choice, te.const(0, choice.dtype))
            return te.select(choice, a, b)

        return te.compute(shape, element, "where")

    def reference(self, condition: Array, x: Array, y: Array) -> Array:
        return np.where(condition, x, y)

    def gradient(self, grad: Expr, result: Expr, condition: Expr, x: Expr, y: Expr) -> Gradients:
        zero = number(0, grad)
        by_x = make("where", condition, grad, zero)
        by_y = make("where", condition, zero, grad)
        return None, unbroadcast(by_x, x), unbroadcast(by_y, y)


@operator("tile", inputs=("data",), pattern=Pattern.BROADCAST, level=3)
class Tile(Operator):
    """`data` repeated ``reps[k]`` times along dimension `k`; missing leading dimensions are 1."""

    takes_small = True

    reps: tuple[int, ...]

    def __post_init__(self) -> None:
        put_ints(self, "reps")
        if any(r < 0 for r in self.reps):
            raise ValueError(f"reps must not be negative, found {self.reps}")

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        rank = max(len(self.reps), len(tensor.shape))
        reps = (*(1,) * (rank - len(self.reps)), *self.reps)
        old = (*(1,) * (rank - len(tensor.shape)), *tensor.shape)
        shape = [
            d if r == 1 else d * r if isinstance(d, int) else Any()
            for d, r in zip(old, reps, strict=True)
        ]
        return TensorType(shape, tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        rank = max(len(self.reps), data.ndim)
        reps = (*(1,) * (rank - len(self.reps)), *self.reps)
        old = (*(1,) * (rank - data.ndim), *data.shape)
        shape = [d * r for d, r in zip(old, reps, strict=True)]

        def element(*out: te.Expr) -> te.Expr:
            index = [i if r == 1 else i % d for i, d, r in zip(out, old, reps, strict=True)]
            return data(*index[rank - data.ndim :])

        return te.compute(shape, element, "tile")

    def reference(self, data: Array) -> Array:
        return np.tile(data, self.reps)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        shape = known_shape(self.name, data)
        rank = max(len(self.reps), len(shape))
        reps = (*(1,) * (rank - len(self.reps)), *self.reps)
        sizes = (*(1,) * (rank - len(shape)), *shape)
        pairs = [size for pair in zip(reps, sizes, strict=True) for size in pair]
        summed = sum_over(reshaped(grad, pairs), range(0, 2 * rank, 2))
        return (reshaped_like(summed, data),)


@operator("repeat", inputs=("data",), pattern=Pattern.BROADCAST, level=3)
class Repeat(Operator):
    """Every element repeated `repeats` times along `axis`; None flattens `data` first."""

    takes_small = True

    repeats: int
    axis: int | None = None

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        if self.axis is None:
            size = size_of(tensor.shape)
            total: Dim = size * self.repeats if isinstance(size, int) else Any()
            return TensorType((total,), tensor.dtype)
        shape = list(tensor.shape)
        axis = normalize_axis(self.name, self.axis, len(shape))
        old = shape[axis]
        if self.repeats != 1:
            shape[axis] = old * self.repeats if isinstance(old, int) else Any()
        return TensorType(shape, tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        if self.axis is None:
            return te.compute(
                (te_size(data.shape) * self.repeats,),
                lambda i: data(*te_unflatten(i // self.repeats, data.shape)),
                "repeat",
            )
        axis = self.axis % data.ndim
        shape = [d * self.repeats if k == axis else d for k, d in enumerate(data.shape)]
        return te.compute(
            shape, lambda *i: data(*replaced(i, axis, i[axis] // self.repeats)), "repeat"
        )

    def reference(self, data: Array) -> Array:
        return np.repeat(data, self.repeats, axis=self.axis)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        shape = known_shape(self.name, data)
        if self.axis is None:
            pairs = (math.prod(shape), self.repeats)
            return (reshaped_like(sum_over(reshaped(grad, pairs), (1,)), data),)
        axis = self.axis % len(shape)
        split = (*shape[: axis + 1], self.repeats, *shape[axis + 1 :])
        return (sum_over(reshaped(grad, split), (axis + 1,)),)


@operator("reverse", inputs=("data",), pattern=Pattern.INJECTIVE, level=3)
class Reverse(Operator):
    """`data` with the order of the elements along `axis` (one or several) reversed."""

    takes_small = True
    axis: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        put_ints(self, "axis")

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        normalize_axes(self.name, self.axis, len(tensor.shape))
        return tensor

    def compute(self, data: te.Tensor) -> te.Tensor:
        axes = normalize_axes(self.name, self.axis, data.ndim)

        def element(*out: te.Expr) -> te.Expr:
            return data(
                *(
                    te.as_expr(d, te.INDEX) - 1 - i if k in axes else i
                    for k, (i, d) in enumerate(zip(out, data.shape, strict=True))
                )
            )

        return te.compute(data.shape, element, "reverse")

    def reference(self, data: Array) -> Array:
        return np.flip(data, axis=self.axis)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (make(self.name, grad, axis=self.axis),)


@operator("reverse_sequence", inputs=("data", "seq_lengths"), pattern=Pattern.INJECTIVE, level=3)
class ReverseSequence(Operator):
    """The first ``seq_lengths[b]`` elements along `seq_axis` reversed, for `b` of `batch_axis`.

    `seq_lengths` is a vector of ``int32`` or ``int64``, as long as dimension `batch_axis`. Lengths
    below 0 and beyond the end are taken for 0 and for the end.
    """

    takes_small = True
    seq_axis: int = 1
    batch_axis: int = 0

    def infer(self, data: Type, seq_lengths: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        lengths = expect_tensor(self.name, "seq_lengths", seq_lengths)
        rank = len(tensor.shape)
        batch = normalize_axis(self.name, self.batch_axis, rank)
        normalize_axis(self.name, self.seq_axis, rank)
        if len(lengths.shape) != 1 or lengths.dtype not in ("int32", "int64"):
            raise TypeInferenceError(
                f"{self.name}: expected a vector of int32 or int64 for seq_lengths, found {lengths}"
            )
        unify_dim(self.name, tensor.shape[batch], lengths.shape[0], "batch and number of lengths")
        return tensor

    def compute(self, data: te.Tensor, seq_lengths: te.Tensor) -> te.Tensor:
        axis, batch = self.seq_axis % data.ndim, self.batch_axis % data.ndim

        def element(*out: te.Expr) -> te.Expr:
            length = te.clamp(te.cast(seq_lengths(out[batch]), te.INDEX), 0, data.shape[axis])
            index = te.select(out[axis] < length, length - 1 - out[axis], out[axis])
            return data(*replaced(out, axis, index))

        return te.compute(data.shape, element, "reverse_sequence")

    def reference(self, data: Array, seq_lengths: Array) -> Array:
        result = np.array(np.moveaxis(data, (self.batch_axis, self.seq_axis), (0, 1)))
        for row, length in zip(result, np.maximum(seq_lengths, 0), strict=True):
            row[:length] = row[:length][::-1].copy()
        return np.moveaxis(result, (0, 1), (self.batch_axis, self.seq_axis))

    def gradient(self, grad: Expr, result: Expr, data: Expr, seq_lengths: Expr) -> Gradients:
        return Call(self.op, (grad, seq_lengths), self), None


@operator("trilu", inputs=("data", "k"), pattern=Pattern.ELEMWISE, level=3)
class Trilu(Operator):
    """The upper (or lower) triangle of the last two dimensions, zero elsewhere.

    `k` is a scalar integer tensor: the diagonal the triangle ends at, 0 the main one, above it
    positive.
    """

    takes_small = True
    upper: bool = True

    def infer(self, data: Type, k: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        diagonal = expect_kind(self.name, "k", k, "integer")
        if len(tensor.shape) < 2 or diagonal.shape:
            raise TypeInferenceError(
                f"{self.name}: expected matrices and a scalar, found {tensor} and {diagonal}"
            )
        return tensor

    def compute(self, data: te.Tensor, k: te.Tensor) -> te.Tensor:
        def element(*out: te.Expr) -> te.Expr:
            above = out[-1] - out[-2]
            diagonal = te.cast(k(), te.INDEX)
            kept = above >= diagonal if self.upper else above <= diagonal
            return te.select(kept, data(*out), te.const(0, data.dtype))

        return te.compute(data.shape, element, "trilu")

    def reference(self, data: Array, k: Array) -> Array:
        diagonal = int(np.clip(k, -(2**31), 2**31 - 1))
        return np.triu(data, diagonal) if self.upper else np.tril(data, diagonal)

    def gradient(self, grad: Expr, result: Expr, data: Expr, k: Expr) -> Gradients:
        return Call(self.op, (grad, k), self), None
