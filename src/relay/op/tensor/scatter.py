"""Operators that write at positions given by a tensor, and that find positions.

As tensor expressions, every element of the result looks through the updates for those that are its
own. An update at a position outside is left out by compiled code, refused by the reference.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, TensorType, Type
from relay.op.gradients import known_shape, make, masked, number, number_of, reshaped
from relay.op.shapes import (
    expect_kind,
    expect_same_dtype,
    normalize_axis,
    replaced,
    show,
    te_unflatten,
    unify_dim,
)
from relay.op.tensor.index import check_inside
from relay.support.errors import TypeInferenceError, UnsupportedError

#: How an update is combined with what is there: scalar operation, reduction and NumPy's way.
_COMBINE: dict[str, tuple[str, str, np.ufunc]] = {
    "add": ("add", "sum", np.add),
    "mul": ("mul", "prod", np.multiply),
    "min": ("min", "min", np.minimum),
    "max": ("max", "max", np.maximum),
}
_MODES = ("update", *_COMBINE)


def _check_mode(name: str, mode: str) -> None:
    if mode not in _MODES:
        raise ValueError(f"{name} must be one of {', '.join(_MODES)}, found {mode!r}")


def scatter(
    data: te.Tensor,
    mode: str,
    axes_of: Callable[[], Sequence[te.Axis]],
    lands: Callable[[Sequence[te.Expr], Sequence[te.Expr]], te.Expr],
    update: Callable[[Sequence[te.Expr], Sequence[te.Expr]], te.Expr],
    name: str,
) -> te.Tensor:
    """`data` with updates applied: those over `axes_of` for which ``lands(out, reduced)`` holds.

    Of several updates of one element, ``"update"`` takes the last in row-major order.
    """

    def reduced(*out: te.Expr) -> te.Expr:
        axes = axes_of()
        where = [a.var for a in axes]
        hit = lands(out, where)
        if mode == "update":
            number = te.flatten_index(where, [_size(a) for a in axes])
            return te.Reduce("max", te.select(hit, number, te.const(-1)), axes)
        kind = _COMBINE[mode][1]
        nothing = te.identity(kind, data.dtype)
        return te.Reduce(kind, te.select(hit, update(out, where), nothing), axes)

    found = te.compute(data.shape, reduced, f"{name}_found")

    def element(*out: te.Expr) -> te.Expr:
        if mode != "update":
            return te.binary(_COMBINE[mode][0], data(*out), found(*out))
        number = found(*out)
        sizes = [_size(a) for a in axes_of()]
        value = update(out, te_unflatten(number, sizes))
        return te.select(number >= 0, value, data(*out))

    return te.compute(data.shape, element, name)


def scatter_gradients(
    operator_name: str,
    mode: str,
    grad: Expr,
    result: Expr,
    data: Expr,
    updates: Expr,
    read: Callable[[Expr], Expr],
    write: Callable[[Expr, Expr], Expr],
) -> Gradients:
    """The gradients of a scatter: `read` reads at the positions, `write` sets what is there.

    Of several updates of one element the one that counts gets all of the gradient; the smallest or
    largest of equals count all. Raises `UnsupportedError` for products.
    """
    if mode == "add":
        return grad, None, read(grad)
    if mode == "update":
        shape = known_shape(operator_name, updates)
        count = math.prod(shape)
        numbers = reshaped(make("arange", start=0, stop=count, step=1, dtype="int32"), shape)
        nobody = make("full", number_of(-1, "int32"), shape=known_shape(operator_name, data))
        winner = write(nobody, numbers)
        kept = masked(make("equal", winner, number_of(-1, "int32")), grad)
        return kept, None, masked(make("equal", read(winner), numbers), read(grad))
    if mode in ("min", "max"):
        kept = masked(make("equal", data, result), grad)
        return kept, None, masked(make("equal", updates, read(result)), read(grad))
    raise UnsupportedError(f"the operator {operator_name} has no gradient where it multiplies")


def _size(axis: te.Axis) -> te.Dim:
    assert not isinstance(axis.extent, float)
    return axis.extent


@operator(
    "scatter_elements", inputs=("data", "indices", "updates"), pattern=Pattern.OPAQUE, level=3
)
class ScatterElements(Operator):
    """`data` with ``data[.., indices[.., i, ..], ..]`` along `axis` set to ``updates[.., i, ..]``.

    Negative indices count from the end. `reduction` combines an update with what is there:
    ``"update"`` (the last one wins), ``"add"``, ``"mul"``, ``"min"`` or ``"max"``.
    """

    axis: int = 0
    reduction: str = "update"

    def __post_init__(self) -> None:
        _check_mode("reduction", self.reduction)

    def infer(self, data: Type, indices: Type, updates: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "number")
        index = expect_kind(self.name, "indices", indices, "integer")
        update = expect_tensor(self.name, "updates", updates)
        expect_same_dtype(self.name, tensor, update)
        axis = normalize_axis(self.name, self.axis, len(tensor.shape))
        if not len(tensor.shape) == len(index.shape) == len(update.shape):
            raise TypeInferenceError(
                f"{self.name}: data, indices and updates must have one rank, found "
                f"{show(tensor.shape)}, {show(index.shape)} and {show(update.shape)}"
            )
        for k, (a, b) in enumerate(zip(index.shape, update.shape, strict=True)):
            unify_dim(self.name, a, b, f"the sizes of dimension {k} of indices and updates")
            size = tensor.shape[k]
            if k != axis and isinstance(a, int) and isinstance(size, int) and a > size:
                raise TypeInferenceError(
                    f"{self.name}: the indices have size {a} in dimension {k}, the data only {size}"
                )
        return tensor

    def compute(self, data: te.Tensor, indices: te.Tensor, updates: te.Tensor) -> te.Tensor:
        axis = self.axis % data.ndim
        sizes = indices.shape

        def inside(out: Sequence[te.Expr]) -> te.Expr:
            others = [k for k in range(data.ndim) if k != axis and sizes[k] != data.shape[k]]
            return te.both(*(out[k] < sizes[k] for k in others))

        def lands(out: Sequence[te.Expr], where: Sequence[te.Expr]) -> te.Expr:
            index = te.cast(indices(*replaced(out, axis, where[0])), te.INDEX)
            wrapped = te.select(index < 0, index + data.shape[axis], index)
            hit = te.equal(wrapped, out[axis])
            return te.select(inside(out), hit, te.const(False, te.BOOL))

        return scatter(
            data,
            self.reduction,
            lambda: [te.reduce_axis(sizes[axis])],
            lands,
            lambda out, where: updates(*replaced(out, axis, where[0])),
            "scatter_elements",
        )

    def reference(self, data: Array, indices: Array, updates: Array) -> Array:
        result = np.array(data)
        size = data.shape[self.axis]
        wrapped = np.where(indices < 0, indices + size, indices)
        check_inside(self.name, wrapped, size)
        for place in np.ndindex(*indices.shape):
            target = list(place)
            target[self.axis] = int(wrapped[place])
            _apply(result, tuple(target), updates[place], self.reduction)
        return result

    def gradient(
        self, grad: Expr, result: Expr, data: Expr, indices: Expr, updates: Expr
    ) -> Gradients:
        shape, places = known_shape(self.name, data), known_shape(self.name, indices)
        axis = self.axis % len(shape)
        negative = make("less", indices, number(0, indices))
        index = make("where", negative, indices + number(shape[axis], indices), indices)

        def read(value: Expr) -> Expr:
            ends = tuple(
                s if k == axis else p for k, (s, p) in enumerate(zip(shape, places, strict=True))
            )
            part = value
            if ends != shape:
                part = make("strided_slice", value, begin=(0,) * len(shape), end=ends)
            return make("gather", part, index, axis=axis)

        def write(value: Expr, update: Expr) -> Expr:
            return make("scatter_elements", value, index, update, axis=axis)

        return scatter_gradients(
            self.name, self.reduction, grad, result, data, updates, read, write
        )


@operator("scatter_nd", inputs=("data", "indices", "updates"), pattern=Pattern.OPAQUE, level=3)
class ScatterND(Operator):
    """`data` with ``data[indices[0, y..], .., indices[m-1, y..]]`` set to ``updates[y..]``.

    The first dimension of `indices` holds the coordinates. `mode` combines an update with what is
    there: ``"update"`` (the last one wins), ``"add"``, ``"mul"``, ``"min"`` or ``"max"``.
    """

    mode: str = "update"

    def __post_init__(self) -> None:
        _check_mode("mode", self.mode)

    def infer(self, data: Type, indices: Type, updates: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "number")
        index = expect_kind(self.name, "indices", indices, "integer")
        update = expect_tensor(self.name, "updates", updates)
        expect_same_dtype(self.name, tensor, update)
        count = index.shape[0] if index.shape else None
        if not isinstance(count, int) or count > len(tensor.shape):
            raise TypeInferenceError(
                f"{self.name}: the first dimension of indices must be the known number of "
                f"coordinates, at most {len(tensor.shape)}; found {index}"
            )
        expected = (*index.shape[1:], *tensor.shape[count:])
        if len(expected) != len(update.shape):
            raise TypeInferenceError(
                f"{self.name}: expected updates of shape {show(expected)}, found "
                f"{show(update.shape)}"
            )
        for k, (a, b) in enumerate(zip(expected, update.shape, strict=True)):
            unify_dim(self.name, a, b, f"the sizes of dimension {k} of the updates")
        return tensor

    def compute(self, data: te.Tensor, indices: te.Tensor, updates: te.Tensor) -> te.Tensor:
        count = indices.shape[0]
        assert isinstance(count, int)

        def lands(out: Sequence[te.Expr], where: Sequence[te.Expr]) -> te.Expr:
            places = (te.cast(indices(k, *where), te.INDEX) for k in range(count))
            return te.both(*(te.equal(p, o) for p, o in zip(places, out, strict=False)))

        return scatter(
            data,
            self.mode,
            lambda: [te.reduce_axis(d, f"r{k}") for k, d in enumerate(indices.shape[1:])],
            lands,
            lambda out, where: updates(*where, *out[count:]),
            "scatter_nd",
        )

    def reference(self, data: Array, indices: Array, updates: Array) -> Array:
        result = np.array(data)
        for k, row in enumerate(indices):
            check_inside(self.name, row, data.shape[k])
        for place in np.ndindex(*indices.shape[1:]):
            target = tuple(int(row[place]) for row in indices)
            _apply(result, target, updates[place], self.mode)
        return result

    def gradient(
        self, grad: Expr, result: Expr, data: Expr, indices: Expr, updates: Expr
    ) -> Gradients:
        def read(value: Expr) -> Expr:
            return make("gather_nd", value, indices)

        def write(value: Expr, update: Expr) -> Expr:
            return make("scatter_nd", value, indices, update)

        return scatter_gradients(self.name, self.mode, grad, result, data, updates, read, write)


def _apply(result: Array, target: tuple[int, ...], update: Array, mode: str) -> None:
    old = result[target]
    result[target] = update if mode == "update" else _COMBINE[mode][2](old, update)


@operator("argwhere", inputs=("condition",), pattern=Pattern.OPAQUE, level=10)
class ArgWhere(Operator):
    """The positions at which `condition` is not zero: one row each, row-major, ``int32``.

    The number of rows is known only at run time.
    """

    piecewise_constant = True

    missing: ClassVar[dict[str, str]] = {
        "compute": "the size of the result depends on the values of the input"
    }

    def infer(self, condition: Type) -> Type:
        tensor = expect_tensor(self.name, "condition", condition)
        return TensorType((Any(), len(tensor.shape)), "int32")

    def reference(self, condition: Array) -> Array:
        return np.argwhere(condition).astype("int32")
