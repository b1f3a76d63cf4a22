"""Of boxes that overlap, only the best, for each class apart: as ONNX, TensorFlow and TFLite do.

Each class of each image is one part of the work; parts put what they keep into memory of their own,
from which the results are then made in order.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr, ExprLike
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import TensorType, TupleType, Type
from relay.op.functions import TupleWrapper
from relay.op.shapes import size_of, unify_dim
from relay.op.tensor.order import sort_row
from relay.op.tensor.scatter import copy
from relay.op.vision.common import (
    NO_GRADIENT,
    Cell,
    Kept,
    corners_of,
    counted,
    expect_rank,
    expect_scalar,
    falling,
    kept_boxes,
    ordered_corners,
    scalar_argument,
    working_dtype,
)
from relay.op.vision.suppression import by_score, keep_best
from relay.support.errors import TypeInferenceError

#: More than any overlap: with it as threshold no box is dropped.
_NO_THRESHOLD = 2.0


class _Classes:
    """What both operators share: boxes kept for each class, in memory that all threads see.

    `places` (parts, most) are positions of boxes, best first, and `counts` (parts,) say how many
    there are; part number ``image * classes + class_``.
    """

    def __init__(self, w: te.Writer, parts: int, size: int, most: int) -> None:
        self.parts, self.size, self.most = parts, size, min(most, size)
        self.places = w.shared("int32", (parts, max(1, self.most)), "places")
        self.counts = w.shared(te.INDEX, (max(1, parts),), "counts")

    def find(
        self,
        w: te.Writer,
        part: te.Expr,
        boxes: te.Tensor,
        image: te.Expr,
        scores: "_Scores",
        limit: te.Expr,
        threshold: te.Expr,
    ) -> None:
        """Keep the best boxes of `part`, at most `limit`."""
        w.store(self.counts, (part,), 0)
        if not self.most:
            return
        dtype = working_dtype(boxes.dtype)
        good = Cell(w, te.INDEX, "good")
        with w.loop(self.size, "box") as k:
            good.add(w, te.cast(scores.good(k), te.INDEX))

        def corners(k: te.Expr) -> Sequence[te.Expr]:
            return corners_of([boxes(image, k, c) for c in range(4)], dtype)

        kept = Kept(w, self.size, dtype, strict=True)

        def put(_: te.Expr, number: te.Expr) -> None:
            w.store(self.places, (part, kept.count()), te.cast(number, "int32"))
            w.store(self.counts, (part,), 1, reduce="sum")

        most = Cell(w, te.INDEX, "most", te.minimum(limit, self.most))
        with w.when(good() > 0):
            position = by_score(w, self.size, scores.score, scores.tensor.dtype)
            keep_best(w, kept, good(), most(), position, corners, threshold, put)

    def place(self, part: te.Expr, k: te.Expr) -> te.Expr:
        """The position of box number `k` of those kept in `part`."""
        return te.cast(self.places(part, k), te.INDEX)


class _Scores:
    """The scores of one class of one image, and which of them are good enough."""

    def __init__(self, tensor: te.Tensor, at: "_At", threshold: te.Expr, strict: bool) -> None:
        self.tensor, self._at, self._threshold, self._strict = tensor, at, threshold, strict

    def score(self, k: te.Expr) -> te.Expr:
        """The score of box `k`."""
        return self.tensor(*self._at.of(k))

    def good(self, k: te.Expr) -> te.Expr:
        """Whether it passes the threshold; NaN does not."""
        score = te.cast(self.score(k), working_dtype(self.tensor.dtype))
        return score > self._threshold if self._strict else score >= self._threshold


class _At:
    """Where the score of a box is: (image, class, box), or with `last` (image, box, class)."""

    def __init__(self, image: te.Expr, class_: te.Expr, last: bool) -> None:
        self._image, self._class, self._last = image, class_, last

    def of(self, k: te.Expr) -> tuple[te.Expr, ...]:
        """The indices of the score of box `k`."""
        rest = (k, self._class) if self._last else (self._class, k)
        return (self._image, *rest)


def _kept_of_class(boxes: Array, scores: Array, good: Array, threshold: Array, limit: int) -> Array:
    """In NumPy: which boxes of one image are kept for a class, best first."""
    places = np.flatnonzero(good)
    order = places[falling(scores[places])]
    return order[kept_boxes(boxes[order], threshold, limit, strict=True)]


@operator(
    "vision.all_class_non_max_suppression",
    inputs=("boxes", "scores", "max_output_boxes_per_class", "iou_threshold", "score_threshold"),
    pattern=Pattern.OPAQUE,
    level=5,
)
class AllClassNonMaxSuppression(Operator):
    """For each class, the best of boxes that overlap: ONNX's ``NonMaxSuppression``.

    `boxes` (batch, boxes, 4) are two opposite corners, `scores` are (batch, classes, boxes). Of
    the boxes with a score above `score_threshold` those are kept, by falling score, that overlap
    none kept before them by more than `iou_threshold` (any, where that is negative), at most
    `max_output_boxes_per_class` (any number, where that is negative).

    The result with the `output_format` ``"onnx"`` is a tuple of rows (image, class, box), of shape
    (batch * classes * boxes, 3), and their number (1,); both ``int64``. Rows are in order of image
    and class, then by falling score; those behind the number are zeros. With ``"tensorflow"`` it is
    a tuple of rows (class, box) (batch, classes * boxes, 2), their scores (batch, classes * boxes)
    and their numbers (batch,).
    """

    output_format: str = "onnx"

    missing: ClassVar[dict[str, str]] = NO_GRADIENT

    def __post_init__(self) -> None:
        if self.output_format not in ("onnx", "tensorflow"):
            raise ValueError(
                f'output_format must be "onnx" or "tensorflow", found {self.output_format!r}'
            )

    def infer(
        self,
        boxes: Type,
        scores: Type,
        max_output_boxes_per_class: Type,
        iou_threshold: Type,
        score_threshold: Type,
    ) -> Type:
        corners = expect_rank(self.name, "boxes", boxes, "(batch, boxes, 4)")
        rated = expect_rank(self.name, "scores", scores, "(batch, classes, boxes)")
        most = max_output_boxes_per_class
        expect_scalar(self.name, "max_output_boxes_per_class", most, "integer")
        expect_scalar(self.name, "iou_threshold", iou_threshold, "float")
        expect_scalar(self.name, "score_threshold", score_threshold, "float")
        batch = unify_dim(self.name, corners.shape[0], rated.shape[0], "the batches")
        size = unify_dim(self.name, corners.shape[1], rated.shape[2], "the numbers of boxes")
        classes = rated.shape[1]
        if self.output_format == "onnx":
            rows = TensorType((size_of((batch, classes, size)), 3), "int64")
            return TupleType([rows, TensorType((1,), "int64")])
        all_ = size_of((classes, size))
        return TupleType(
            [
                TensorType((batch, all_, 2), "int64"),
                TensorType((batch, all_), rated.dtype),
                TensorType((batch,), "int64"),
            ]
        )

    def compute(self, *inputs: te.Tensor) -> tuple[te.Tensor, ...]:
        scores = inputs[1]
        batch, classes, size = scores.shape
        if self.output_format == "onnx":
            outputs = (
                te.placeholder((classes * size * batch, 3), "int64", "rows"),
                te.placeholder((1,), "int64", "count"),
            )
            return te.ordered(inputs, outputs, self._write)
        return te.ordered(
            inputs,
            (
                te.placeholder((batch, classes * size, 2), "int64", "rows"),
                te.placeholder((batch, classes * size), scores.dtype, "scores"),
                te.placeholder((batch,), "int64", "count"),
            ),
            self._write,
        )

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        boxes, scores, most, iou, threshold = given
        batch, classes, size = scores.static_shape
        parts = batch * classes
        for tensor in made:
            copy(w, tensor, lambda *_, dtype=tensor.dtype: te.const(0, dtype))
        if not parts:
            return
        found = _Classes(w, parts, size, size)
        overlap = te.cast(iou(), working_dtype(boxes.dtype))
        overlap = te.select(overlap < 0.0, te.const(_NO_THRESHOLD, overlap.dtype), overlap)
        limit = te.cast(most(), te.INDEX)
        limit = te.select(limit < 0, te.const(size), limit)
        least = te.cast(threshold(), working_dtype(scores.dtype))
        with w.loop(parts, "part", kind="parallel") as part:
            image = part // classes
            rated = _Scores(scores, _At(image, part % classes, last=False), least, strict=True)
            found.find(w, part, boxes, image, rated, limit, overlap)
        self._collect(w, found, scores, made)

    def _collect(self, w: te.Writer, found: _Classes, scores: te.Tensor, made: te.Given) -> None:
        """Write the boxes of all parts behind each other."""
        _, classes, size = scores.static_shape
        groups = 1 if self.output_format == "onnx" else found.parts // classes
        each = found.parts // groups
        with w.loop(groups, "group", kind="parallel") as group:
            row = Cell(w, te.INDEX, "row")
            with w.loop(each, "class") as class_:
                part = group * each + class_

                def put(k: te.Expr) -> None:
                    place = found.place(part, k)
                    at = (part // classes, part % classes, place)
                    lead = () if len(made) == 2 else (group,)
                    shown = at if len(made) == 2 else at[1:]
                    for column, value in enumerate(shown):
                        w.store(made[0], (*lead, row(), column), value)
                    if len(made) == 3:
                        w.store(made[1], (group, row()), scores(*at))
                    row.add(w, 1)

                counted(w, size, lambda: found.counts(part), put)
            w.store(made[-1], (group,), row())

    def reference(
        self,
        boxes: Array,
        scores: Array,
        max_output_boxes_per_class: Array,
        iou_threshold: Array,
        score_threshold: Array,
    ) -> tuple[Array, ...]:
        batch, classes, size = scores.shape
        dtype = np.dtype(working_dtype(boxes.dtype.name))
        corners = ordered_corners(boxes.astype(dtype))
        wide = working_dtype(scores.dtype.name)
        overlap = iou_threshold.astype(dtype)
        overlap = dtype.type(_NO_THRESHOLD) if overlap < 0 else overlap
        most = int(max_output_boxes_per_class)
        rows: list[list[tuple[int, int, int]]] = [[] for _ in range(batch)]
        for image, class_ in np.ndindex(batch, classes):
            rated = scores[image, class_]
            good = rated.astype(wide) > score_threshold.astype(wide)
            limit = size if most < 0 else most
            chosen = _kept_of_class(corners[image], rated, good, overlap, limit)
            rows[image] += [(image, class_, int(k)) for k in chosen]
        if self.output_format == "onnx":
            all_ = [row for found in rows for row in found]
            table = np.zeros((batch * classes * size, 3), "int64")
            table[: len(all_)] = np.array(all_, "int64").reshape(-1, 3)
            return table, np.array([len(all_)], "int64")
        table = np.zeros((batch, classes * size, 2), "int64")
        values = np.zeros((batch, classes * size), scores.dtype)
        for image, found in enumerate(rows):
            for k, row in enumerate(found):
                table[image, k], values[image, k] = row[1:], scores[row]
        return table, values, np.array([len(found) for found in rows], "int64")


def all_class_non_max_suppression(
    boxes: Expr,
    scores: Expr,
    max_output_boxes_per_class: ExprLike = -1,
    iou_threshold: ExprLike = -1.0,
    score_threshold: ExprLike = -1.0,
    output_format: str = "onnx",
) -> TupleWrapper:
    """For each class, the best of boxes that overlap; see `AllClassNonMaxSuppression`."""
    call = AllClassNonMaxSuppression.call(
        boxes,
        scores,
        scalar_argument(max_output_boxes_per_class, "int64"),
        scalar_argument(iou_threshold, "float32"),
        scalar_argument(score_threshold, "float32"),
        output_format=output_format,
    )
    return TupleWrapper(call, 2 if output_format == "onnx" else 3)


@operator(
    "vision.regular_non_max_suppression",
    inputs=("boxes", "scores"),
    pattern=Pattern.OPAQUE,
    level=5,
)
class RegularNonMaxSuppression(Operator):
    """The best detections of all classes, as TFLite's detection post-processing finds them.

    `boxes` (batch, boxes, 4) are two opposite corners, `scores` (batch, boxes, classes) those of
    the last `num_classes` classes, behind a background if there is one. For each class, boxes with
    a score of `score_threshold` or more are kept by falling score if they overlap none kept before
    them by more than `iou_threshold`, at most `max_detections_per_class`. The result is a tuple of
    the `max_detections` best of all classes: boxes (batch, max_detections, 4), classes and scores
    (batch, max_detections), all by falling score and zeros behind their number (batch,), ``int32``.
    Equal scores are in order of their classes.
    """

    max_detections_per_class: int
    max_detections: int
    num_classes: int
    iou_threshold: float
    score_threshold: float

    missing: ClassVar[dict[str, str]] = NO_GRADIENT

    def __post_init__(self) -> None:
        if min(self.max_detections_per_class, self.max_detections, self.num_classes) < 0:
            raise ValueError("expected numbers of detections and classes that are not negative")
        if not self.iou_threshold >= 0:
            raise ValueError(f"iou_threshold must not be negative, found {self.iou_threshold}")

    def infer(self, boxes: Type, scores: Type) -> Type:
        corners = expect_rank(self.name, "boxes", boxes, "(batch, boxes, 4)")
        rated = expect_rank(self.name, "scores", scores, "(batch, boxes, classes)")
        batch = unify_dim(self.name, corners.shape[0], rated.shape[0], "the batches")
        unify_dim(self.name, corners.shape[1], rated.shape[1], "the numbers of boxes")
        classes = rated.shape[2]
        if isinstance(classes, int) and classes < self.num_classes:
            raise TypeInferenceError(
                f"{self.name}: there are scores of {classes} classes, but num_classes is "
                f"{self.num_classes}"
            )
        shape = (batch, self.max_detections)
        return TupleType(
            [
                TensorType((*shape, 4), corners.dtype),
                TensorType(shape, rated.dtype),
                TensorType(shape, rated.dtype),
                TensorType((batch,), "int32"),
            ]
        )

    def compute(self, boxes: te.Tensor, scores: te.Tensor) -> tuple[te.Tensor, ...]:
        shape = (boxes.shape[0], self.max_detections)
        outputs = (
            te.placeholder((*shape, 4), boxes.dtype, "boxes"),
            te.placeholder(shape, scores.dtype, "classes"),
            te.placeholder(shape, scores.dtype, "scores"),
            te.placeholder(shape[:1], "int32", "count"),
        )
        return te.ordered((boxes, scores), outputs, self._write)

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        boxes, scores = given
        batch, size, columns = scores.static_shape
        for tensor in made:
            copy(w, tensor, lambda *_, dtype=tensor.dtype: te.const(0, dtype))
        found = _Classes(w, batch * self.num_classes, size, self.max_detections_per_class)
        if not (found.parts and found.most and self.max_detections):
            return
        first = columns - self.num_classes
        overlap = te.const(self.iou_threshold, working_dtype(boxes.dtype))
        least = te.const(self.score_threshold, working_dtype(scores.dtype))
        with w.loop(found.parts, "part", kind="parallel") as part:
            image = part // self.num_classes
            at = _At(image, part % self.num_classes + first, last=True)
            rated = _Scores(scores, at, least, strict=False)
            found.find(w, part, boxes, image, rated, te.const(found.most), overlap)
        with w.loop(batch, "image", kind="parallel") as image:
            self._merge(w, image, found, given, made)

    def _merge(
        self, w: te.Writer, image: te.Expr, found: _Classes, given: te.Given, made: te.Given
    ) -> None:
        """The best of what the classes of one image have kept."""
        boxes, scores = given
        first = scores.static_shape[2] - self.num_classes
        total = self.num_classes * found.most
        listed = w.private(scores.dtype, (total,), "listed")
        w.fill(listed, float("-inf"))
        owners = w.private("int32", (total, 2), "owners")
        number = Cell(w, te.INDEX, "listed_count")
        with w.loop(self.num_classes, "class") as class_:
            part = image * self.num_classes + class_

            def put(k: te.Expr) -> None:
                place = found.place(part, k)
                w.store(listed, (number(),), scores(image, place, class_ + first))
                w.store(owners, (number(), 0), te.cast(class_, "int32"))
                w.store(owners, (number(), 1), te.cast(place, "int32"))
                number.add(w, 1)

            counted(w, found.most, lambda: found.counts(part), put)
        entries = sort_row(w, total, lambda k: listed(k), scores.dtype, False)
        count = te.minimum(number(), self.max_detections)
        w.store(made[3], (image,), te.cast(count, "int32"))

        def show(k: te.Expr) -> None:
            at = entries.position(k)
            place = te.cast(owners(at, 1), te.INDEX)
            for c in range(4):
                w.store(made[0], (image, k, c), boxes(image, place, c))
            w.store(made[1], (image, k), te.cast(owners(at, 0), scores.dtype))
            w.store(made[2], (image, k), listed(at))

        counted(w, min(total, self.max_detections), lambda: count, show)

    def reference(self, boxes: Array, scores: Array) -> tuple[Array, ...]:
        batch, _, columns = scores.shape
        dtype = np.dtype(working_dtype(boxes.dtype.name))
        corners = ordered_corners(boxes.astype(dtype))
        least = np.dtype(working_dtype(scores.dtype.name)).type(self.score_threshold)
        shape = (batch, self.max_detections)
        chosen_boxes = np.zeros((*shape, 4), boxes.dtype)
        classes, values = np.zeros(shape, scores.dtype), np.zeros(shape, scores.dtype)
        counts = np.zeros(batch, "int32")
        for image in range(batch):
            found: list[tuple[int, int]] = []
            for class_ in range(self.num_classes):
                rated = scores[image, :, columns - self.num_classes + class_]
                good = rated.astype(least.dtype) >= least
                kept = _kept_of_class(
                    corners[image],
                    rated,
                    good,
                    dtype.type(self.iou_threshold),
                    self.max_detections_per_class,
                )
                found += [(class_, int(k)) for k in kept]
            rated = scores[image, :, columns - self.num_classes :]
            best = sorted(found, key=lambda f: -float(rated[f[1], f[0]]))[: self.max_detections]
            counts[image] = len(best)
            for k, (class_, place) in enumerate(best):
                chosen_boxes[image, k], classes[image, k] = boxes[image, place], class_
                values[image, k] = rated[place, class_]
        return chosen_boxes, classes, values, counts


def regular_non_max_suppression(
    boxes: Expr,
    scores: Expr,
    max_detections_per_class: int,
    max_detections: int,
    num_classes: int,
    iou_threshold: float,
    score_threshold: float,
) -> TupleWrapper:
    """The best detections of all classes; see `RegularNonMaxSuppression`."""
    call = RegularNonMaxSuppression.call(
        boxes,
        scores,
        max_detections_per_class=max_detections_per_class,
        max_detections=max_detections,
        num_classes=num_classes,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
    )
    return TupleWrapper(call, 4)
