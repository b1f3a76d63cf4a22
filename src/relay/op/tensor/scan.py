"""Running sums and products along an axis, in one pass over it.

Elements are added in their order, from the start of a row or, in long rows, from that of its parts,
which are the same for any number of threads; an integer's result does not depend on them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import converted, make, rank_of, reshaped_like
from relay.op.shapes import (
    expect_kind,
    normalize_axis,
    put,
    put_dtype,
    reference_dtype,
    size_of,
    te_size,
)
from relay.op.tensor.order import Rows
from relay.op.tensor.reshape import reshape_tensor


@dataclass(frozen=True)
class Scan(Operator):
    """Base of the scans: `axis` None flattens; `exclusive` leaves out the element itself."""

    axis: int | None = None
    dtype: str = ""
    exclusive: bool = False

    def __post_init__(self) -> None:
        put(self, "exclusive", bool(self.exclusive))
        put_dtype(self)

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "number")
        dtype = self.dtype or tensor.dtype
        if self.axis is None:
            return TensorType((size_of(tensor.shape),), dtype)
        normalize_axis(self.name, self.axis, len(tensor.shape))
        return TensorType(tensor.shape, dtype)

    def scan(self, data: te.Tensor, reduce: str, start: int) -> te.Tensor:
        """The running `reduce` (of `relay.te.expr.REDUCE`) of `data`, beginning with `start`."""
        if self.axis is None:
            data = reshape_tensor(data, (te_size(data.shape),), "flat")
        axis = 0 if self.axis is None else self.axis % data.ndim
        output = te.placeholder(data.shape, self.dtype or data.dtype, self.name)

        def write(w: te.Writer, given: te.Given, made: te.Given) -> None:
            pass_over = _Pass(w, Rows(given[0], axis), Rows(made[0], axis), self.exclusive, reduce)
            pass_over.write(te.const(start, made[0].dtype))

        return te.ordered((data,), (output,), write)[0]

    def accumulate(self, data: Array, ufunc: np.ufunc, start: int) -> Array:
        """The same with NumPy's running `ufunc`."""
        dtype = reference_dtype(self.dtype) if self.dtype else data.dtype
        axis = 0 if self.axis is None else self.axis
        values = data.reshape(-1) if self.axis is None else data
        result = ufunc.accumulate(values, axis=axis, dtype=dtype)
        if self.exclusive:
            result = np.roll(result, 1, axis=axis)
            np.moveaxis(result, axis, 0)[:1] = start
        return np.asarray(result)

    def along(self, result: Expr) -> int:
        """The axis of `result` that is scanned."""
        return 0 if self.axis is None else self.axis % rank_of(result)


#: Rows, or parts of rows, that one thread runs over together: each waits for its own sums only.
_TOGETHER = 4
#: Fewer rows than this are divided into so many parts together, of at least `_LONG_PART` elements.
_FEW = 8
_LONG_PART = 2048
#: Columns that one thread takes where rows lie across memory.
_COLUMNS = 256


@dataclass(frozen=True)
class _Pass:
    """The running `reduce` over `source`, to be stored in `result`."""

    w: te.Writer
    source: Rows
    result: Rows
    exclusive: bool
    reduce: str

    def write(self, start: te.Expr) -> None:
        """Write the stage; sums begin with `start`."""
        count, size = self.source.count, self.source.size
        if not (count and size):
            return
        inner = math.prod(self.source.tensor.static_shape[self.source.axis + 1 :])
        parts = min(_FEW // count, size // _LONG_PART)
        if inner > 1:
            self._across(inner, start)
        elif parts > 1:
            self._in_parts(parts, start)
        else:
            self._together(count, size, lambda row: row, lambda _: te.const(0), lambda _: start)

    def _value(self, row: te.Expr, k: te.Expr) -> te.Expr:
        return te.cast(self.source(row, k), self.result.tensor.dtype)

    def _across(self, inner: int, start: te.Expr) -> None:
        """Rows next to each other in memory: a vector of sums goes along them."""
        whole, rest = divmod(inner, _COLUMNS)
        outer = self.source.count // inner
        for blocks, columns, first in ((whole, _COLUMNS, 0), (1, rest, whole * _COLUMNS)):
            with self.w.loop(outer * blocks, "part", kind="parallel") as part:
                begin = part // max(1, blocks) * inner + part % max(1, blocks) * columns + first
                self._columns(begin, columns, start)

    def _columns(self, begin: te.Expr, columns: int, start: te.Expr) -> None:
        w, size = self.w, self.source.size

        def step(k: te.Expr, c: te.Expr, before: te.Expr) -> None:
            row = begin + c
            value = before
            if not self.exclusive or before is not start:
                taken = k - 1 if self.exclusive else k
                value = te.binary(te.COMBINE[self.reduce], before, self._value(row, taken))
            w.store(self.result.tensor, self.result.place(row, k), value)

        w.each(columns, lambda c: step(te.const(0), c, start))
        with w.loop(size - 1, "k") as k:
            w.each(columns, lambda c: step(k + 1, c, self.result(begin + c, k)))

    def _in_parts(self, parts: int, start: te.Expr) -> None:
        """Long rows: the sums of all parts, what each part begins with, and then each part."""
        w, count, size = self.w, self.source.count, self.source.size // parts
        dtype = self.result.tensor.dtype
        # What a part begins with; behind those of a row, what the rest of the row does.
        starts = w.shared(dtype, (count, parts + 1), "starts")

        with w.loop(count, "row", kind="parallel") as row:
            w.store(starts, (row, 0), start)
        self._totals(parts, size, starts)
        with w.loop(count, "row", kind="parallel") as row, w.loop(parts, "part") as part:
            w.store(starts, (row, part + 1), starts(row, part), reduce=self.reduce)
        self._together(
            count * parts,
            size,
            lambda r: r // parts,
            lambda r: r % parts * size,
            lambda r: starts(r // parts, r % parts),
        )
        rest = self.source.size - parts * size
        if rest:
            self._together(
                count,
                rest,
                lambda r: r,
                lambda _: te.const(parts * size),
                lambda r: starts(r, parts),
            )

    def _totals(self, parts: int, size: int, starts: te.Tensor) -> None:
        """The sum of each part of `size` elements, to where the next one's start is kept."""
        w = self.w

        def group(first: te.Expr, lines: int) -> None:
            sums = w.private(starts.dtype, (lines,), "sums")
            w.fill(sums, te.identity(self.reduce, starts.dtype))
            with w.loop(size, "k") as k, w.loop(lines, "line", kind="unrolled") as line:
                part = first + line
                value = self._value(part // parts, part % parts * size + k)
                w.store(sums, (line,), value, reduce=self.reduce)
            with w.loop(lines, "line", kind="unrolled") as line:
                part = first + line
                w.store(starts, (part // parts, part % parts + 1), sums(line))

        self._groups(self.source.count * parts, group)

    def _together(
        self,
        count: int,
        size: int,
        row_of: Callable[[te.Expr], te.Expr],
        first_of: Callable[[te.Expr], te.Expr],
        start_of: Callable[[te.Expr], te.Expr],
    ) -> None:
        """The running sums of `count` stretches of `size` elements of rows."""
        w = self.w

        def group(first: te.Expr, lines: int) -> None:
            sums = w.private(self.result.tensor.dtype, (lines,), "sums")
            with w.loop(lines, "line", kind="unrolled") as line:
                w.store(sums, (line,), start_of(first + line))
            with w.loop(size, "k") as k, w.loop(lines, "line", kind="unrolled") as line:
                row, place = row_of(first + line), first_of(first + line) + k
                if self.exclusive:
                    w.store(self.result.tensor, self.result.place(row, place), sums(line))
                w.store(sums, (line,), self._value(row, place), reduce=self.reduce)
                if not self.exclusive:
                    w.store(self.result.tensor, self.result.place(row, place), sums(line))

        self._groups(count, group)

    def _groups(self, count: int, body: Callable[[te.Expr, int], None]) -> None:
        """Write `body` for stretches that are run over together: the first, and how many."""
        whole, rest = divmod(count, _TOGETHER)
        with self.w.loop(whole, "group", kind="parallel") as group:
            body(group * _TOGETHER, _TOGETHER)
        with self.w.loop(min(rest, 1), "group", kind="parallel") as group:
            body(group + whole * _TOGETHER, rest)


@operator("cumsum", inputs=("data",), pattern=Pattern.OPAQUE, level=3)
class CumSum(Scan):
    """Running sum of `data` along `axis` (None: flattened), in `dtype` (empty: that of `data`)."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.scan(data, "sum", 0)

    def reference(self, data: Array) -> Array:
        return self.accumulate(data, np.add, 0)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        back = make("reverse", grad, axis=self.along(grad))
        summed = make("cumsum", back, axis=self.along(grad), exclusive=self.exclusive)
        return (
            reshaped_like(converted(make("reverse", summed, axis=self.along(grad)), data), data),
        )


@operator("cumprod", inputs=("data",), pattern=Pattern.OPAQUE, level=3)
class CumProd(Scan):
    """Running product of `data` along `axis` (None: flattened), in `dtype` (empty: the data's).

    Its gradient divides by `data`, so that it is NaN or infinite where an element is zero.
    """

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.scan(data, "prod", 1)

    def reference(self, data: Array) -> Array:
        return self.accumulate(data, np.multiply, 1)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        axis = self.along(grad)
        back = make(
            "cumsum", make("reverse", grad * result, axis=axis), axis=axis, exclusive=self.exclusive
        )
        summed = reshaped_like(converted(make("reverse", back, axis=axis), data), data)
        return (summed / data,)
