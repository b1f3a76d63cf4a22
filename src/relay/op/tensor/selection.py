"""Parts of tensors whose size depends on values: what is found, in front of results of known size.

An operator that selects gives as much room as there could be results, and their number; `vm.first`,
which the host does, takes those that there are. So what computes is compiled once for all numbers.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, TupleType, Type
from relay.op.gradients import field, make
from relay.op.host import ON_HOST, HostOperator
from relay.op.shapes import (
    expect_kind,
    normalize_axis,
    put,
    put_dtype,
    size_of,
    te_size,
)
from relay.op.tensor.order import key, sort_row, starts
from relay.support.errors import InputError, TypeInferenceError

#: A search is divided for several threads into so many parts, where it has so many elements.
_PARTS = 8
_LONG = 1 << 15


@operator("vm.first", inputs=("data", "count"), pattern=Pattern.OPAQUE, level=10)
class First(HostOperator):
    """The first elements of `data` along `axis`, as many as the number `count` says at run time.

    `count` is an integer scalar, or a vector of one. The virtual machine copies them, without
    compiling anything for their number. Raises `InputError` where there are not as many.
    """

    takes_small = True
    missing: ClassVar[dict[str, str]] = {
        "compute": ON_HOST,
        "gradient": "the rest of the gradient would have a size that only the data tell",
    }

    axis: int = 0

    def infer(self, data: Type, count: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        number = expect_kind(self.name, "count", count, "integer")
        if math.prod(d for d in number.shape if isinstance(d, int)) != 1 or len(number.shape) > 1:
            raise TypeInferenceError(f"{self.name}: count must be one number, found {number}")
        axis = normalize_axis(self.name, self.axis, len(tensor.shape))
        shape: list[Dim] = list(tensor.shape)
        shape[axis] = Any()
        return TensorType(shape, tensor.dtype)

    def reference(self, data: Array, count: Array) -> Array:
        number, axis = int(count.reshape(())), self.axis % data.ndim
        if not 0 <= number <= data.shape[axis]:
            raise InputError(
                f"{self.name}: {number} elements are asked for, but axis {axis} has "
                f"{data.shape[axis]}"
            )
        found: Array = data[(slice(None),) * axis + (slice(number),)]
        return found


@operator("nonzero", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class NonZero(Operator):
    """The positions at which `data` is not zero, in row-major order, and how many there are.

    The result is a tuple: the positions, of shape ``(rank, elements of data)`` or, with `by_rows`,
    ``(elements of data, rank)``, and their number, a vector of one ``int32``. Behind the number is
    0. The positions are of the integer type `dtype`. (`vm.first` takes those that there are; ONNX:
    NonZero is that.)
    """

    piecewise_constant = True
    takes_text = True

    by_rows: bool = False
    dtype: str = "int64"

    def __post_init__(self) -> None:
        put(self, "by_rows", bool(self.by_rows))
        put_dtype(self)

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        size, rank = size_of(tensor.shape), len(tensor.shape)
        shape: tuple[Dim, ...] = (size, rank) if self.by_rows else (rank, size)
        return TupleType([TensorType(shape, self.dtype), TensorType((1,), "int32")])

    def compute(self, data: te.Tensor) -> tuple[te.Tensor, ...]:
        size = te_count(data.shape)
        shape = (size, data.ndim) if self.by_rows else (data.ndim, size)
        outputs = [
            te.placeholder(shape, self.dtype, "positions"),
            te.placeholder((1,), "int32", "nonzero_count"),
        ]
        return te.ordered((data,), outputs, self._write)

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        """Each part counts what it has; with that known, each writes where it belongs."""
        (data,), (positions, count) = given, made
        shape = data.static_shape
        parts = _PARTS if math.prod(shape) >= _LONG else 1
        begins = w.shared("int32", (parts + 1,), "begins")
        with w.loop(parts, "part", kind="parallel") as part:
            found = w.private("int32", (1,), "found")
            w.store(found, (0,), 0)
            _search(w, data, part, parts, lambda _: w.store(found, (0,), 1, reduce="sum"))
            w.store(begins, (part,), found(0))
        with w.loop(1, "all", kind="parallel"):
            w.store(begins, (parts,), 0)
            starts(w, begins, parts + 1)
            w.store(count, (0,), begins(parts))
            with w.loop(math.prod(shape), "k") as k, w.when(k >= te.cast(begins(parts), te.INDEX)):
                for axis in range(len(shape)):
                    w.store(positions, self._place(axis, k), 0)
        with w.loop(parts, "part", kind="parallel") as part:
            number = w.private("int32", (1,), "number")
            w.store(number, (0,), begins(part))

            def put_down(indices: Sequence[te.Expr]) -> None:
                place = te.cast(number(0), te.INDEX)
                for axis, index in enumerate(indices):
                    w.store(positions, self._place(axis, place), te.cast(index, self.dtype))
                w.store(number, (0,), 1, reduce="sum")

            _search(w, data, part, parts, put_down)

    def _place(self, axis: int, number: te.Expr) -> tuple[te.Operand, ...]:
        """Where the coordinate `axis` of a position stands."""
        return (number, axis) if self.by_rows else (axis, number)

    def reference(self, data: Array) -> tuple[Array, Array]:
        empty = "" if data.dtype == object else 0
        found = np.argwhere(data != empty)
        rows = np.zeros((data.size, data.ndim), self.dtype)
        rows[: len(found)] = found
        count = np.array([len(found)], "int32")
        return rows if self.by_rows else np.ascontiguousarray(rows.T), count


def _search(
    w: te.Writer,
    data: te.Tensor,
    part: te.Expr,
    parts: int,
    body: Callable[[Sequence[te.Expr]], None],
) -> None:
    """Write `body` for the positions in one of `parts` at which `data` is not zero, in order."""
    shape = data.static_shape
    # Only outer axes are shared out: what is inside counts up, without divisions.
    outer = next((k for k in range(len(shape)) if math.prod(shape[:k]) >= parts), len(shape))
    rows = math.prod(shape[:outer])
    width = -(-rows // parts)
    with ExitStack() as loops:
        row = part * width + loops.enter_context(w.loop(width, "row"))
        loops.enter_context(w.when(row < rows))
        inner = [loops.enter_context(w.loop(size, "k")) for size in shape[outer:]]
        indices = (*te.unflatten_index(row, shape[:outer]), *inner)
        element = data(*indices)
        loops.enter_context(w.when(te.compare("ne", element, te.const(0, element.dtype))))
        body(indices)


@operator("argwhere", inputs=("condition",), pattern=Pattern.OPAQUE, level=10)
class ArgWhere(Operator):
    """The positions at which `condition` is not zero: one row each, row-major, ``int32``.

    The number of rows is known only at run time.
    """

    piecewise_constant = True
    takes_text = True
    missing: ClassVar[dict[str, str]] = {
        "compute": "the size of the result depends on values; the virtual machine expands it"
    }

    def infer(self, condition: Type) -> Type:
        tensor = expect_tensor(self.name, "condition", condition)
        return TensorType((Any(), len(tensor.shape)), "int32")

    def expand(self, condition: Expr) -> Expr:
        found = make("nonzero", condition, by_rows=True, dtype="int32")
        return make("vm.first", field(found, 0), field(found, 1))

    def reference(self, condition: Array) -> Array:
        return np.argwhere(condition).astype("int32")


@operator("unique_rows", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class UniqueRows(Operator):
    """The different rows of a matrix, ascending or, unless `sorted`, as they first occur.

    Rows are compared by their first element, then by the next, and so on. The result is a tuple of
    five: the rows, where each first occurs, for each row of `data` which of them it is, how many
    there are (a vector of one number), and how often each occurs. All but the number have as many
    rows as `data`: what is behind the number is 0. Positions and counts are ``int32``. (Without the
    rows, `unique`. ONNX: Unique with an axis.)
    """

    takes_text = True

    sorted: bool = True

    missing: ClassVar[dict[str, str]] = {
        "gradient": "equal rows share one result, so that a small change of one makes two of it"
    }

    def __post_init__(self) -> None:
        put(self, "sorted", bool(self.sorted))

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        if len(tensor.shape) != 2:
            raise TypeInferenceError(f"{self.name}: expected a matrix, found {tensor}")
        whole = TensorType(tensor.shape[:1], "int32")
        return TupleType([tensor, whole, whole, TensorType((1,), "int32"), whole])

    def compute(self, data: te.Tensor) -> tuple[te.Tensor, ...]:
        rows = data.shape[:1]
        outputs = [
            te.placeholder(data.shape, data.dtype, "unique"),
            te.placeholder(rows, "int32", "indices"),
            te.placeholder(rows, "int32", "inverse"),
            te.placeholder((1,), "int32", "unique_count"),
            te.placeholder(rows, "int32", "counts"),
        ]
        return te.ordered((data,), outputs, self._write)

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        (data,), (found, places, inverse, count, counts) = given, made
        size, width = data.static_shape
        w.store(count, (0,), 0)
        if not size:
            return
        with w.loop(1, "all", kind="parallel"):
            order = _sorted_rows(w, data)
            first = w.private("int32", (1,), "first")
            # Which row stands for each: the first that equals it.
            leader = w.private("int32", (size,), "leader")
            with w.loop(size, "k") as k:
                with w.when(te.either(te.equal(k, 0), _differs(w, data, order, k))):
                    w.store(first, (0,), order(k))
                w.store(leader, (te.cast(order(k), te.INDEX),), first(0))
            number = w.private("int32", (size,), "number")
            with w.loop(size, "k") as k:
                row = te.cast(order(k), te.INDEX) if self.sorted else k
                with w.when(te.equal(te.cast(leader(row), te.INDEX), row)):
                    place = te.cast(count(0), te.INDEX)
                    w.store(number, (row,), count(0))
                    w.store(places, (place,), te.cast(row, "int32"))
                    with w.loop(width, "column") as column:
                        w.store(found, (place, column), data(row, column))
                    w.store(counts, (place,), 0)
                    w.store(count, (0,), 1, reduce="sum")
            with w.loop(size, "k") as k:
                w.store(inverse, (k,), number(te.cast(leader(k), te.INDEX)))
                w.store(counts, (te.cast(inverse(k), te.INDEX),), 1, reduce="sum")
            with w.loop(size, "k") as k, w.when(k >= te.cast(count(0), te.INDEX)):
                w.store(places, (k,), 0)
                w.store(counts, (k,), 0)
                with w.loop(width, "column") as column:
                    w.store(found, (k, column), 0)

    def reference(self, data: Array) -> tuple[Array, ...]:
        rows = [tuple(row) for row in data.tolist()]
        first: dict[tuple[object, ...], int] = {}
        for k, row in enumerate(rows):
            first.setdefault(row, k)
        chosen = sorted(first, key=lambda row: tuple(map(_order, row))) if self.sorted else first
        number = {row: k for k, row in enumerate(chosen)}
        places = [first[row] for row in chosen]
        inverse = np.array([number[row] for row in rows], "int32").reshape(len(rows))
        found = np.full(data.shape, "" if data.dtype == object else 0, data.dtype)
        found[: len(places)] = data[places]
        positions = np.zeros(len(rows), "int32")
        positions[: len(places)] = places
        counts = np.bincount(inverse, minlength=len(rows)).astype("int32")
        return found, positions, inverse, np.array([len(places)], "int32"), counts


def _order(element: object) -> tuple[bool, object]:
    """What an element is sorted by: NaN is larger than every number."""
    return (True, 0) if element != element else (False, element)


def _sorted_rows(w: te.Writer, data: te.Tensor) -> te.Tensor:
    """The numbers of the rows of a matrix in ascending order, equal rows in that of the matrix.

    They are sorted by the last column, then by the one before, and so on; a sort leaves those that
    are equal in their order.
    """
    size, width = data.static_shape
    order = w.private("int32", (size,), "order")
    moved = w.private("int32", (size,), "moved")
    w.each(size, lambda k: w.store(order, (k,), te.cast(k, "int32")))
    with w.loop(width, "column") as step:
        column = width - 1 - step

        def element(k: te.Expr) -> te.Expr:
            return data(te.cast(order(k), te.INDEX), column)

        entries = sort_row(w, size, element, data.dtype, True)
        w.each(size, lambda k: w.store(moved, (k,), order(entries.position(k))))
        w.each(size, lambda k: w.store(order, (k,), moved(k)))
    return order


def _differs(w: te.Writer, data: te.Tensor, order: te.Tensor, k: te.Expr) -> te.Expr:
    """Whether row `k` in `order` is another than the one before it."""
    width = data.static_shape[1]
    different = w.private(te.BOOL, (1,), "different")
    here = te.cast(order(k), te.INDEX)
    before = te.cast(order(te.maximum(k - 1, 0)), te.INDEX)
    w.store(different, (0,), te.const(False, te.BOOL))
    with w.loop(width, "column") as column:
        a, b = (key(data(row, column), True) for row in (here, before))
        w.store(different, (0,), te.either(different(0), te.compare("ne", a, b)))
    return different(0)


def te_count(shape: Sequence[te.Dim]) -> te.Dim:
    """The number of elements of a tensor expression: a number where all sizes are."""
    known = [d for d in shape if isinstance(d, int)]
    return math.prod(known) if len(known) == len(shape) else te_size(shape)
