"""Operators that write at positions given by a tensor.

Updates are applied one after the other, in row-major order, as an ordered stage. An update at a
position outside is left out by compiled code, refused by the reference.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Type
from relay.op.gradients import known_shape, make, masked, number, number_of, reshaped
from relay.op.shapes import (
    expect_kind,
    expect_same_dtype,
    normalize_axis,
    replaced,
    show,
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


#: Elements in a row of memory that one thread takes where rows are shared out.
_COLUMNS = 128


def copy(w: te.Writer, target: te.Tensor, value: Callable[..., te.Expr]) -> None:
    """Store ``value(*indices)`` to all of `target`, its rows in parallel."""
    shape = target.static_shape
    if 0 in shape:
        return
    if not shape:
        w.store(target, (), value())
        return
    rows, width = shape[:-1], shape[-1]
    if rows:
        with w.loop(math.prod(rows), "row", kind="parallel") as row:
            lead = te.unflatten_index(row, rows)
            w.each(width, lambda k: w.store(target, (*lead, k), value(*lead, k)))
    else:
        w.each(width, lambda k: w.store(target, (k,), value(k)))


def within(place: Sequence[te.Expr], shape: Sequence[int]) -> te.Expr:
    """Whether the indices `place` are inside the first dimensions of `shape`."""
    return te.both(*(te.both(p >= 0, p < size) for p, size in zip(place, shape, strict=False)))


def _applied(
    w: te.Writer, target: te.Tensor, places: Sequence[te.Operand], update: te.Expr, mode: str
) -> None:
    w.store(target, places, update, None if mode == "update" else _COMBINE[mode][1])


def _columns(width: int) -> tuple[int, int]:
    """How rows of `width` elements are shared out: so many parts of so many elements."""
    parts = 8
    while parts > 1 and (width % parts or width // parts < _COLUMNS):
        parts //= 2
    return parts, width // parts


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
        output = te.placeholder(data.shape, data.dtype, "scatter_elements")
        return te.ordered((data, indices, updates), (output,), self._write)[0]

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        (data, indices, updates), (result,) = given, made
        copy(w, result, data)
        sizes, axis = indices.static_shape, self.axis % data.ndim
        if 0 in sizes:
            return

        def apply(*place: te.Expr) -> None:
            index = te.cast(indices(*place), te.INDEX)
            index = te.select(index < 0, index + data.shape[axis], index)
            with w.when(within([index], data.static_shape[axis:])):
                target = replaced(place, axis, index)
                _applied(w, result, target, updates(*place), self.reduction)

        # Updates meet along the axis only: the other dimensions are shared out between threads.
        outer, inner = sizes[:axis], sizes[axis + 1 :]
        parts, width = _columns(inner[-1]) if inner and not axis else (1, 0)
        with w.loop(math.prod(outer) * parts, "part", kind="parallel") as part:
            lead = te.unflatten_index(part // parts, outer)
            begin = part % parts * width
            with w.loop(sizes[axis], "k") as k:
                if parts == 1:
                    with w.loop(math.prod(inner), "column") as column:
                        apply(*lead, k, *te.unflatten_index(column, inner))
                else:
                    with (
                        w.loop(math.prod(inner[:-1]), "line") as line,
                        w.loop(width, "column") as column,
                    ):
                        rest = te.unflatten_index(line, inner[:-1])
                        apply(*lead, k, *rest, begin + column)

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
        output = te.placeholder(data.shape, data.dtype, "scatter_nd")
        return te.ordered((data, indices, updates), (output,), self._write)[0]

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        (data, indices, updates), (result,) = given, made
        copy(w, result, data)
        count, *places = indices.static_shape
        slices = data.static_shape[count:]
        if 0 in (*places, *slices):
            return
        parts, width = _columns(slices[-1]) if slices else (1, 1)
        with (
            w.loop(parts, "part", kind="parallel") as part,
            w.loop(math.prod(places), "n") as n,
        ):
            where = te.unflatten_index(n, places)
            target = [te.cast(indices(k, *where), te.INDEX) for k in range(count)]
            with (
                w.when(within(target, data.static_shape)),
                w.loop(math.prod(slices[:-1]), "line") as line,
            ):
                lead = te.unflatten_index(line, slices[:-1])

                def apply(column: te.Expr) -> None:
                    rest = (*lead, part * width + column) if slices else ()
                    _applied(w, result, (*target, *rest), updates(*where, *rest), self.mode)

                w.each(width, apply)

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
