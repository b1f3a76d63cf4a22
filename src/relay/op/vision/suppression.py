"""Of boxes that overlap, only the best: the operator that takes boxes with scores and classes.

Boxes are taken by falling score, equals in their order; one is dropped where its overlap with one
that was kept before reaches a threshold. What is compared is kept in a dense list, so that the time
grows with the number of boxes times that of those kept.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr, ExprLike
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import Dim, TensorType, TupleType, Type
from relay.op.functions import TupleWrapper
from relay.op.shapes import unify_dim
from relay.op.tensor.order import sort_row
from relay.op.tensor.scatter import copy
from relay.op.vision.common import (
    NO_GRADIENT,
    Cell,
    Kept,
    corners_of,
    counted,
    expect_integers,
    expect_rank,
    expect_scalar,
    falling,
    kept_boxes,
    not_nan,
    ordered_corners,
    scalar_argument,
    sortable,
    working_dtype,
)
from relay.support.errors import TypeInferenceError


def check_columns(
    operator_name: str, size: Dim, coord_start: int, score_index: int, id_index: int
) -> None:
    """Whether a row of `size` numbers has the columns; raises `TypeInferenceError` when not."""
    if not isinstance(size, int):
        return
    columns = {"score_index": score_index, "id_index": id_index}
    columns |= {"coord_start": coord_start, "the last coordinate": coord_start + 3}
    for name, column in columns.items():
        least = -1 if name == "id_index" else 0
        if not least <= column < size:
            raise TypeInferenceError(
                f"{operator_name}: a box has {size} numbers, so that {name} must be in "
                f"{least} .. {size - 1}, found {column}"
            )


def by_score(
    w: te.Writer, size: int, score: Callable[[te.Expr], te.Expr], dtype: str
) -> Callable[[te.Expr], te.Expr]:
    """The positions of `size` scores, largest first, equals in their order, NaN as the least."""
    entries = sort_row(w, size, lambda k: sortable(score(k)), dtype, False)
    return entries.position


def keep_best(
    w: te.Writer,
    kept: Kept,
    count: te.Expr,
    limit: te.Expr,
    position: Callable[[te.Expr], te.Expr],
    corners: Callable[[te.Expr], Sequence[te.Expr]],
    threshold: te.Expr,
    on_keep: Callable[[te.Expr, te.Expr], None],
    accepted: Callable[[te.Expr], te.Expr] | None = None,
    class_of: Callable[[te.Expr], te.Expr] | None = None,
) -> None:
    """Offer boxes number ``position(0) .. position(count - 1)`` to `kept` until it has `limit`.

    ``on_keep(k, number)`` writes what is to be written for a box that is kept; `kept.count` is that
    of those before it. Boxes that are not `accepted` are left out.
    """
    rest = Cell(w, te.INDEX, "rest", te.select(limit > 0, count, te.const(0)))
    number = Cell(w, te.INDEX, "number")

    def offer(k: te.Expr) -> None:
        number.set(w, position(k))
        here = number()
        condition = accepted(here) if accepted else te.const(True, te.BOOL)
        with w.when(condition):
            class_ = class_of(here) if class_of else None
            with w.when(kept.offer(w, corners(here), threshold, class_)):
                on_keep(k, here)
                kept.keep(w)
                with w.when(kept.count() >= limit):
                    rest.set(w, 0)

    counted(w, kept.limit, rest, offer)


@operator(
    "vision.non_max_suppression",
    inputs=("data", "valid_count", "indices", "max_output_size", "iou_threshold"),
    pattern=Pattern.OPAQUE,
    level=5,
)
class NonMaxSuppression(Operator):
    """The best of boxes that overlap, for each image: rows of `data` (batch, boxes, numbers).

    A row has a score at `score_index`, two opposite corners from `coord_start` on and, unless
    `id_index` is -1, a class; boxes of different classes do not compete unless `force_suppress`.
    The first `valid_count` (batch,) rows count, of these the `top_k` best (all where it is not
    positive). Boxes are kept by falling score, equals in their order, at most `max_output_size`
    (all where it is negative), each of which overlaps none before it by `iou_threshold` or more.
    Rows with a negative class or with NaN as score are dropped. Where the threshold is not
    positive, all valid rows are kept as they are.

    With `return_indices` the result is a tuple: for the boxes kept, their entries in `indices`
    (batch, boxes), then -1; and how many there are (batch, 1); both ``int32``. Else it is `data` by
    falling score with the others set to -1, and with `invalid_to_bottom` behind those kept.
    """

    force_suppress: bool = False
    top_k: int = -1
    coord_start: int = 2
    score_index: int = 1
    id_index: int = 0
    return_indices: bool = True
    invalid_to_bottom: bool = False

    missing: ClassVar[dict[str, str]] = NO_GRADIENT

    def infer(
        self,
        data: Type,
        valid_count: Type,
        indices: Type,
        max_output_size: Type,
        iou_threshold: Type,
    ) -> Type:
        boxes = expect_rank(self.name, "data", data, "(batch, boxes, numbers)")
        batch, size, columns = boxes.shape
        check_columns(self.name, columns, self.coord_start, self.score_index, self.id_index)
        counts = expect_integers(self.name, "valid_count", valid_count, 1)
        places = expect_integers(self.name, "indices", indices, 2)
        expect_scalar(self.name, "max_output_size", max_output_size, "integer")
        expect_scalar(self.name, "iou_threshold", iou_threshold, "float")
        batch = unify_dim(self.name, batch, counts.shape[0], "the batches")
        if self.return_indices:
            batch = unify_dim(self.name, batch, places.shape[0], "the batches")
            size = unify_dim(self.name, size, places.shape[1], "the numbers of boxes")
            return TupleType([TensorType((batch, size), "int32"), TensorType((batch, 1), "int32")])
        return TensorType((batch, size, columns), boxes.dtype)

    def compute(self, *inputs: te.Tensor) -> te.Tensor | tuple[te.Tensor, ...]:
        data = inputs[0]
        if not self.return_indices:
            output = te.placeholder(data.shape, data.dtype, "boxes")
            return te.ordered(inputs, (output,), self._write)[0]
        found = te.placeholder(data.shape[:2], "int32", "indices")
        count = te.placeholder((data.shape[0], 1), "int32", "count")
        return te.ordered(inputs, (found, count), self._write)

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        data, valid = given[:2]
        batch, size, columns = data.static_shape
        with w.loop(batch, "image", kind="parallel") as image:
            if self.return_indices:
                w.each(size, lambda k: w.store(made[0], (image, k), -1))
                w.store(made[1], (image, 0), 0)
            else:
                with w.loop(size, "box") as k, w.loop(columns, "column") as column:
                    w.store(made[0], (image, k, column), -1.0)
            if size:
                count = te.clamp(te.cast(valid(image), te.INDEX), 0, size)
                self._suppress(w, image, Cell(w, te.INDEX, "valid", count), given, made)

    def _suppress(
        self, w: te.Writer, image: te.Expr, valid: Cell, given: te.Given, made: te.Given
    ) -> None:
        data, _, indices, most, threshold = given
        _, size, columns = data.static_shape
        dtype = working_dtype(data.dtype)
        compared = self.id_index >= 0 and not self.force_suppress

        def number(k: te.Expr, column: int) -> te.Expr:
            return te.cast(data(image, k, column), dtype)

        def score(k: te.Expr) -> te.Expr:
            lowest = te.const(float("-inf"), data.dtype)
            return te.select(k < valid(), data(image, k, self.score_index), lowest)

        def accepted(k: te.Expr) -> te.Expr:
            fits = not_nan(number(k, self.score_index))
            return te.both(fits, number(k, self.id_index) >= 0.0) if self.id_index >= 0 else fits

        def corners(k: te.Expr) -> Sequence[te.Expr]:
            return corners_of([data(image, k, self.coord_start + c) for c in range(4)], dtype)

        def put(place: te.Expr, k: te.Expr) -> None:
            if self.return_indices:
                w.store(made[0], (image, place), te.cast(indices(image, k), "int32"))
                w.store(made[1], (image, 0), 1, reduce="sum")
            else:
                with w.loop(columns, "column") as column:
                    w.store(made[0], (image, place, column), data(image, k, column))

        dense = self.return_indices or self.invalid_to_bottom
        kept = Kept(w, size, dtype, strict=False, classes=compared)
        limit = te.cast(most(), te.INDEX)
        with w.when(threshold() > 0.0):
            position = by_score(w, size, score, data.dtype)
            count = te.minimum(valid(), self.top_k) if self.top_k > 0 else valid()
            keep_best(
                w,
                kept,
                count,
                te.select(limit < 0, te.const(size), limit),
                position,
                corners,
                te.cast(threshold(), dtype),
                lambda k, number: put(kept.count() if dense else k, number),
                accepted,
                (lambda k: number(k, self.id_index)) if compared else None,
            )
        with w.when(te.unary("not", threshold() > 0.0)):
            counted(w, size, valid, lambda k: put(k, k))

    def reference(
        self,
        data: Array,
        valid_count: Array,
        indices: Array,
        max_output_size: Array,
        iou_threshold: Array,
    ) -> Array | tuple[Array, ...]:
        batch, size, _ = data.shape
        rows = np.full_like(data, -1)
        found = np.full((batch, size), -1, "int32")
        counts = np.zeros((batch, 1), "int32")
        for image in range(batch):
            valid = min(max(int(valid_count[image]), 0), size)
            order, kept = self._kept(data[image, :valid], int(max_output_size), iou_threshold)
            counts[image, 0] = len(kept)
            found[image, : len(kept)] = indices[image, order[kept]] if self.return_indices else 0
            places = range(len(kept)) if self.invalid_to_bottom else kept
            for place, k in zip(places, kept, strict=True):
                rows[image, place] = data[image, order[k]]
        return (found, counts) if self.return_indices else rows

    def _kept(self, rows: Array, most: int, threshold: Array) -> tuple[Array, list[int]]:
        """The order in which rows are taken, and which places in that order are kept."""
        if not threshold > 0:
            return np.arange(len(rows)), list(range(len(rows)))
        dtype = np.dtype(working_dtype(rows.dtype.name))
        order = falling(rows[:, self.score_index])
        order = order[: self.top_k] if self.top_k > 0 else order
        usable = ~np.isnan(rows[order, self.score_index])
        if self.id_index >= 0:
            usable &= rows[order, self.id_index] >= 0
        places = np.flatnonzero(usable)
        taken = rows[order[places]].astype(dtype)
        kept = kept_boxes(
            ordered_corners(taken[:, self.coord_start : self.coord_start + 4]),
            threshold.astype(dtype),
            len(rows) if most < 0 else most,
            strict=False,
            classes=None if self.force_suppress or self.id_index < 0 else taken[:, self.id_index],
        )
        return order, [int(k) for k in places[kept]]


def non_max_suppression(
    data: Expr,
    valid_count: Expr,
    indices: Expr,
    max_output_size: ExprLike = -1,
    iou_threshold: ExprLike = 0.5,
    force_suppress: bool = False,
    top_k: int = -1,
    coord_start: int = 2,
    score_index: int = 1,
    id_index: int = 0,
    return_indices: bool = True,
    invalid_to_bottom: bool = False,
) -> Expr | TupleWrapper:
    """The best of boxes that overlap; see `NonMaxSuppression`. A tuple with `return_indices`."""
    call = NonMaxSuppression.call(
        data,
        valid_count,
        indices,
        scalar_argument(max_output_size, "int32"),
        scalar_argument(iou_threshold, "float32"),
        force_suppress=force_suppress,
        top_k=top_k,
        coord_start=coord_start,
        score_index=score_index,
        id_index=id_index,
        return_indices=return_indices,
        invalid_to_bottom=invalid_to_bottom,
    )
    return TupleWrapper(call, 2) if return_indices else call


@operator(
    "vision.get_valid_counts", inputs=("data", "score_threshold"), pattern=Pattern.OPAQUE, level=5
)
class GetValidCounts(Operator):
    """The rows of `data` (batch, boxes, numbers) whose score is above `score_threshold`, in front.

    The score is at `score_index`; unless `id_index` is -1, rows with a negative class there do not
    count. The result is a tuple: how many rows there are (batch,); the rows in their order, then
    rows of -1; and where each was (batch, boxes), then -1. Counts and places are ``int32``.
    """

    id_index: int = 0
    score_index: int = 1

    missing: ClassVar[dict[str, str]] = NO_GRADIENT

    def infer(self, data: Type, score_threshold: Type) -> Type:
        boxes = expect_rank(self.name, "data", data, "(batch, boxes, numbers)")
        expect_scalar(self.name, "score_threshold", score_threshold, "float")
        columns = boxes.shape[2]
        if isinstance(columns, int) and max(self.score_index, self.id_index) >= columns:
            raise TypeInferenceError(
                f"{self.name}: a box has {columns} numbers; found score_index={self.score_index} "
                f"and id_index={self.id_index}"
            )
        counts = TensorType(boxes.shape[:1], "int32")
        return TupleType([counts, boxes, TensorType(boxes.shape[:2], "int32")])

    def __post_init__(self) -> None:
        if self.score_index < 0 or self.id_index < -1:
            raise ValueError("expected a column, and for id_index one or -1")

    def compute(self, data: te.Tensor, score_threshold: te.Tensor) -> tuple[te.Tensor, ...]:
        outputs = (
            te.placeholder(data.shape[:1], "int32", "count"),
            te.placeholder(data.shape, data.dtype, "boxes"),
            te.placeholder(data.shape[:2], "int32", "indices"),
        )
        return te.ordered((data, score_threshold), outputs, self._write)

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        (data, threshold), (count, rows, places) = given, made
        batch, size, columns = data.static_shape
        dtype = working_dtype(data.dtype)
        copy(w, rows, lambda *_: te.const(-1, data.dtype))
        copy(w, places, lambda *_: te.const(-1, "int32"))
        with w.loop(batch, "image", kind="parallel") as image:
            found = Cell(w, te.INDEX, "found")
            with w.loop(size, "box") as k:
                score = te.cast(data(image, k, self.score_index), dtype)
                good = score > te.cast(threshold(), dtype)
                if self.id_index >= 0:
                    good = te.both(good, data(image, k, self.id_index) >= 0.0)
                with w.when(good):
                    with w.loop(columns, "column") as column:
                        w.store(rows, (image, found(), column), data(image, k, column))
                    w.store(places, (image, found()), te.cast(k, "int32"))
                    found.add(w, 1)
            w.store(count, (image,), te.cast(found(), "int32"))

    def reference(self, data: Array, score_threshold: Array) -> tuple[Array, ...]:
        dtype = working_dtype(data.dtype.name)
        good = data[..., self.score_index].astype(dtype) > score_threshold.astype(dtype)
        if self.id_index >= 0:
            good &= data[..., self.id_index] >= 0
        rows, places = np.full_like(data, -1), np.full(data.shape[:2], -1, "int32")
        for image, chosen in enumerate(good):
            found = np.flatnonzero(chosen)
            rows[image, : len(found)] = data[image, found]
            places[image, : len(found)] = found
        return good.sum(axis=1).astype("int32"), rows, places


def get_valid_counts(
    data: Expr, score_threshold: ExprLike, id_index: int = 0, score_index: int = 1
) -> TupleWrapper:
    """The rows of boxes with a score above the threshold; see `GetValidCounts`."""
    call = GetValidCounts.call(
        data,
        scalar_argument(score_threshold, "float32"),
        id_index=id_index,
        score_index=score_index,
    )
    return TupleWrapper(call, 3)
