"""Regions that may hold an object, as region proposal networks find them."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import Any, TensorType, Type
from relay.op.shapes import unify_dim
from relay.op.tensor.scatter import copy
from relay.op.vision.boxes import put_floats
from relay.op.vision.common import (
    NO_GRADIENT,
    Cell,
    Kept,
    expect_rank,
    falling,
    kept_boxes,
    working_dtype,
)
from relay.op.vision.suppression import by_score, keep_best
from relay.support.errors import TypeInferenceError


def anchor_box(ratio: float, scale: float, stride: int) -> tuple[float, float, float, float]:
    """The anchor of a height `ratio` times its width, centered on the first cell of `stride`.

    Sides are whole numbers of pixels before they are scaled. Coordinates are those of pixels.
    """
    center = 0.5 * (stride - 1)
    width = math.floor(math.sqrt(math.floor(stride * stride / ratio)) + 0.5)
    height = math.floor(width * ratio + 0.5)
    half_width, half_height = 0.5 * (width * scale - 1), 0.5 * (height * scale - 1)
    return center - half_width, center - half_height, center + half_width, center + half_height


@operator(
    "vision.proposal",
    inputs=("cls_prob", "bbox_pred", "im_info"),
    pattern=Pattern.OPAQUE,
    level=5,
)
class Proposal(Operator):
    """The regions of an image that most likely hold an object (Ren et al., Faster R-CNN, 2015).

    At each place of a feature map, `feature_stride` pixels apart, there is an anchor of each of
    `ratios` and, within these, `scales`. `cls_prob` (batch, 2 * anchors, height, width) are scores
    of background, then of objects; `bbox_pred` (batch, 4 * anchors, height, width) moves the
    anchors: by parts of their sides and logarithms of their growth, or, with `iou_loss`, by pixels
    of the corners. `im_info` (batch, 3) is height, width and scale of the image, at whose borders
    regions end. Regions smaller than `rpn_min_size` times the scale, and places outside, get the
    score -1. Of the `rpn_pre_nms_top_n` best (all where it is not positive) those are kept, best
    first, that overlap none before them by more than `threshold`: (batch * rpn_post_nms_top_n, 5)
    rows image, left, top, right, bottom. Where there are fewer, they are repeated.
    """

    scales: tuple[float, ...] = (4.0, 8.0, 16.0, 32.0)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    feature_stride: int = 16
    threshold: float = 0.7
    rpn_pre_nms_top_n: int = 6000
    rpn_post_nms_top_n: int = 300
    rpn_min_size: int = 16
    iou_loss: bool = False

    missing: ClassVar[dict[str, str]] = NO_GRADIENT

    def __post_init__(self) -> None:
        put_floats(self, "scales", "ratios")
        if not self.scales or not self.ratios or min(self.ratios) <= 0:
            raise ValueError("expected scales, and ratios that are positive")
        if self.feature_stride < 1 or self.rpn_post_nms_top_n < 0 or not self.threshold >= 0:
            raise ValueError(
                "expected a positive feature_stride, and rpn_post_nms_top_n and threshold that are "
                "not negative"
            )

    @property
    def _anchors(self) -> list[tuple[float, float, float, float]]:
        return [anchor_box(r, s, self.feature_stride) for r in self.ratios for s in self.scales]

    def infer(self, cls_prob: Type, bbox_pred: Type, im_info: Type) -> Type:
        scores = expect_rank(self.name, "cls_prob", cls_prob, "(batch, 2 * anchors, height, width)")
        moves = expect_rank(
            self.name, "bbox_pred", bbox_pred, "(batch, 4 * anchors, height, width)"
        )
        info = expect_rank(self.name, "im_info", im_info, "(batch, 3)")
        batch = unify_dim(self.name, scores.shape[0], moves.shape[0], "the batches")
        batch = unify_dim(self.name, batch, info.shape[0], "the batches")
        for k, what in ((2, "heights"), (3, "widths")):
            unify_dim(self.name, scores.shape[k], moves.shape[k], f"the {what}")
        anchors = len(self.scales) * len(self.ratios)
        for tensor, each in ((scores, 2), (moves, 4)):
            found = tensor.shape[1]
            if isinstance(found, int) and found != each * anchors:
                raise TypeInferenceError(
                    f"{self.name}: {len(self.scales)} scales and {len(self.ratios)} ratios make "
                    f"{anchors} anchors, which need {each * anchors} channels; found {tensor}"
                )
        rows = Any() if isinstance(batch, Any) else batch * self.rpn_post_nms_top_n
        return TensorType((rows, 5), scores.dtype)

    def compute(self, *inputs: te.Tensor) -> te.Tensor:
        scores = inputs[0]
        rows = scores.shape[0] * self.rpn_post_nms_top_n
        return te.ordered(
            inputs, (te.placeholder((rows, 5), scores.dtype, "regions"),), self._write
        )[0]

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        scores, (result,) = given[0], made
        batch, _, height, width = scores.static_shape
        size = len(self._anchors) * height * width
        if not size:
            copy(w, result, lambda *_: te.const(0, result.dtype))
        if not (size and self.rpn_post_nms_top_n):
            return
        dtype = working_dtype(scores.dtype)
        with w.loop(batch, "image", kind="parallel") as image:
            boxes = w.private(dtype, (size, 4), "boxes")
            rated = w.private(dtype, (size,), "rated")
            self._regions(w, image, given, boxes, rated)
            position = by_score(w, size, lambda k: rated(k), dtype)
            considered = min(self.rpn_pre_nms_top_n, size) if self.rpn_pre_nms_top_n > 0 else size
            most = min(considered, self.rpn_post_nms_top_n)
            kept = Kept(w, size, dtype, strict=True, margin=1.0)
            first = image * self.rpn_post_nms_top_n

            def put(_: te.Expr, number: te.Expr) -> None:
                row = first + kept.count()
                w.store(result, (row, 0), te.cast(image, result.dtype))
                for c in range(4):
                    w.store(result, (row, c + 1), te.cast(boxes(number, c), result.dtype))

            keep_best(
                w,
                kept,
                te.const(considered),
                te.const(most),
                position,
                lambda k: [boxes(k, c) for c in range(4)],
                te.const(self.threshold, dtype),
                put,
            )
            with w.loop(self.rpn_post_nms_top_n, "row") as row, w.when(row >= kept.count()):
                for c in range(5):
                    repeated = result(first + (row - kept.count()), c)
                    w.store(result, (first + row, c), repeated)

    def _regions(
        self,
        w: te.Writer,
        image: te.Expr,
        given: te.Given,
        boxes: te.Tensor,
        rated: te.Tensor,
    ) -> None:
        """The moved anchors of one image, and their scores."""
        scores, moves, info = given
        _, _, height, width = scores.static_shape
        dtype, anchors = rated.dtype, self._anchors
        count = len(anchors)
        sizes = [Cell(w, dtype, n, 0.0) for n in ("im_height", "im_width", "least")]
        for k, cell in enumerate(sizes):
            cell.set(w, te.cast(info(image, k), dtype))
        im_height, im_width, scale = (cell() for cell in sizes)
        least = scale * self.rpn_min_size
        box = [Cell(w, dtype, f"corner{k}", 0.0) for k in range(4)]
        with w.loop(height, "y") as y, w.loop(width, "x") as x:
            shift = [te.cast(v * self.feature_stride, dtype) for v in (x, y, x, y)]
            for k, anchor in enumerate(anchors):
                move = [te.cast(moves(image, k * 4 + j, y, x), dtype) for j in range(4)]
                start = [shift[j] + anchor[j] for j in range(4)]
                for j, value in enumerate(self._moved(start, move)):
                    limit = (im_height if j % 2 else im_width) - 1.0
                    box[j].set(w, te.maximum(te.minimum(value, limit), 0.0))
                x1, y1, x2, y2 = (cell() for cell in box)
                small = te.either(x2 - x1 + 1.0 < least, y2 - y1 + 1.0 < least)
                here = (y * width + x) * count + k
                for j, value in enumerate((x1, y1, x2, y2)):
                    grown = value - least * 0.5 if j < 2 else value + least * 0.5
                    w.store(boxes, (here, j), te.select(small, grown, value))
                rows = te.unary("trunc", im_height / float(self.feature_stride))
                columns = te.unary("trunc", im_width / float(self.feature_stride))
                outside = te.either(te.cast(y, dtype) >= rows, te.cast(x, dtype) >= columns)
                score = te.cast(scores(image, count + k, y, x), dtype)
                dropped = te.either(outside, small)
                w.store(rated, (here,), te.select(dropped, te.const(-1.0, dtype), score))

    def _moved(self, box: Sequence[te.Expr], move: Sequence[te.Expr]) -> list[te.Expr]:
        if self.iou_loss:
            return [box[j] + move[j] for j in range(4)]
        corners: dict[int, te.Expr] = {}
        for axis in range(2):
            size = box[axis + 2] - box[axis] + 1.0
            center = move[axis] * size + (box[axis] + (size - 1.0) * 0.5)
            half = (te.unary("exp", move[axis + 2]) * size - 1.0) * 0.5
            corners[axis], corners[axis + 2] = center - half, center + half
        return [corners[j] for j in range(4)]

    def reference(self, cls_prob: Array, bbox_pred: Array, im_info: Array) -> Array:
        batch, _, height, width = cls_prob.shape
        dtype = np.dtype(working_dtype(cls_prob.dtype.name))
        most = self.rpn_post_nms_top_n
        result = np.zeros((batch * most, 5), cls_prob.dtype)
        count = len(self._anchors)
        if not (count and height and width):
            return result
        y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        shift = np.stack([x, y, x, y], axis=-1)[:, :, None].astype(dtype) * self.feature_stride
        start = (shift + np.array(self._anchors, dtype)).astype(dtype)
        for image in range(batch):
            move = bbox_pred[image].reshape(count, 4, height, width).transpose(2, 3, 0, 1)
            scores = cls_prob[image, count:].transpose(1, 2, 0).astype(dtype)
            boxes, rated = self._rate(start, move.astype(dtype), scores, im_info[image])
            order = falling(rated)
            if self.rpn_pre_nms_top_n > 0:
                order = order[: self.rpn_pre_nms_top_n]
            limit = dtype.type(self.threshold)
            kept = kept_boxes(boxes[order], limit, most, strict=True, margin=1.0)
            rows = result[image * most : (image + 1) * most]
            rows[:, 0] = image
            rows[:, 1:] = boxes[order[np.resize(kept, most)]]
        return result

    def _rate(self, start: Array, move: Array, scores: Array, info: Array) -> tuple[Array, Array]:
        """In NumPy: all regions (n, 4) of one image, and their scores."""
        one, half = start.dtype.type(1), start.dtype.type(0.5)
        high, wide, scale = info.astype(start.dtype)
        if self.iou_loss:
            boxes = start + move
        else:
            size = start[..., 2:] - start[..., :2] + one
            center = move[..., :2] * size + (start[..., :2] + (size - one) * half)
            extent = (np.exp(move[..., 2:]) * size - one) * half
            boxes = np.concatenate([center - extent, center + extent], axis=-1)
        limits = np.array([wide, high, wide, high]) - one
        boxes = np.maximum(np.minimum(boxes, limits), start.dtype.type(0))
        least = scale * start.dtype.type(self.rpn_min_size)
        small = np.any(boxes[..., 2:] - boxes[..., :2] + one < least, axis=-1)
        grown = boxes + np.array([-1, -1, 1, 1], start.dtype) * (least * half)
        boxes = np.where(small[..., None], grown, boxes)
        stride = start.dtype.type(self.feature_stride)
        rows, columns = np.trunc(high / stride), np.trunc(wide / stride)
        y, x = np.ogrid[: start.shape[0], : start.shape[1]]
        outside = ((y >= rows) | (x >= columns))[..., None]
        rated = np.where(small | outside, -one, scores)
        return boxes.reshape(-1, 4), rated.reshape(-1)
