"""Boxes from anchors, as single-shot detectors make them."""

from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, TupleType, Type
from relay.op.functions import TupleWrapper
from relay.op.shapes import put, reference_dtype, unify_dim
from relay.op.tensor.scatter import copy
from relay.op.vision.common import NO_GRADIENT, Cell, expect_rank, working_dtype
from relay.support.errors import TypeInferenceError


def put_floats(declaration: Operator, *names: str) -> None:
    """Normalise the attributes `names` to tuples of floats."""
    for name in names:
        value = getattr(declaration, name)
        many = value if isinstance(value, list | tuple | np.ndarray) else (value,)
        put(declaration, name, tuple(float(v) for v in many))


@operator("vision.multibox_prior", inputs=("data",), pattern=Pattern.OPAQUE, level=5)
class MultiBoxPrior(Operator):
    """Anchors for each place of a feature map (batch, channels, height, width).

    One for each of `sizes` with the first of `ratios` left out, then one for each further of
    `ratios` with the first of `sizes`: (1, height * width * (sizes + ratios - 1), 4) boxes left,
    top, right, bottom, in parts of the image. Places are `steps` (y, x) apart, by default one part
    of the height and width, and begin at `offsets` of a step. With `clip` boxes end at the image.
    """

    piecewise_constant = True

    sizes: tuple[float, ...] = (1.0,)
    ratios: tuple[float, ...] = (1.0,)
    steps: tuple[float, ...] = (-1.0, -1.0)
    offsets: tuple[float, ...] = (0.5, 0.5)
    clip: bool = False

    def __post_init__(self) -> None:
        put_floats(self, "sizes", "ratios", "steps", "offsets")
        put(self, "clip", bool(self.clip))
        if not self.sizes or not self.ratios or min(self.ratios) <= 0:
            raise ValueError("expected sizes, and ratios that are positive")
        if len(self.steps) != 2 or len(self.offsets) != 2:
            raise ValueError(
                f"expected two steps and two offsets, found {self.steps} and {self.offsets}"
            )

    @property
    def _shapes(self) -> list[tuple[float, float]]:
        """The height of each anchor of a place, and its width over that of a square one."""
        squares = [(size, 1.0) for size in self.sizes]
        roots = [float(np.sqrt(ratio)) for ratio in self.ratios[1:]]
        return [
            *((s, s * one) for s, one in squares),
            *((self.sizes[0] / root, self.sizes[0] * root) for root in roots),
        ]

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        if len(tensor.shape) != 4:
            raise TypeInferenceError(
                f"{self.name}: expected data (batch, channels, height, width), found {tensor}"
            )
        height, width = tensor.shape[2:]
        count: Dim = Any()
        if isinstance(height, int) and isinstance(width, int):
            count = height * width * len(self._shapes)
        return TensorType((1, count, 4), "float32")

    def compute(self, data: te.Tensor) -> te.Tensor:
        shapes = self._shapes
        height, width = (te.as_expr(d, te.INDEX) for d in data.shape[2:])

        def real(value: te.Expr) -> te.Expr:
            return te.cast(value, "float32")

        def step(given: float, size: te.Expr) -> te.Expr:
            return te.const(given, "float32") if given > 0 else 1.0 / real(size)

        def element(_: te.Var, number: te.Var, side: te.Var) -> te.Expr:
            place, k = number // len(shapes), number % len(shapes)
            y, x = place // width, place % width
            center_y = (real(y) + self.offsets[0]) * step(self.steps[0], height)
            center_x = (real(x) + self.offsets[1]) * step(self.steps[1], width)
            half_height: te.Expr = te.const(shapes[-1][0] / 2, "float32")
            half_width: te.Expr = te.const(shapes[-1][1] / 2, "float32")
            for j in reversed(range(len(shapes) - 1)):
                here = te.equal(k, j)
                half_height = te.select(here, te.const(shapes[j][0] / 2, "float32"), half_height)
                half_width = te.select(here, te.const(shapes[j][1] / 2, "float32"), half_width)
            half_width = half_width * real(height) / real(width)
            across = te.equal(side % 2, 0)
            center = te.select(across, center_x, center_y)
            half = te.select(across, half_width, half_height)
            found = te.select(side < 2, center - half, center + half)
            return te.clamp(found, 0.0, 1.0) if self.clip else found

        return te.compute((1, height * width * len(shapes), 4), element, "anchors")

    def reference(self, data: Array) -> Array:
        height, width = data.shape[2:]
        step_y = self.steps[0] if self.steps[0] > 0 else 1 / max(height, 1)
        step_x = self.steps[1] if self.steps[1] > 0 else 1 / max(width, 1)
        y = (np.arange(height) + self.offsets[0]) * step_y
        x = (np.arange(width) + self.offsets[1]) * step_x
        shapes = np.array(self._shapes) / 2
        halves = np.stack([shapes[:, 1] * height / max(width, 1), shapes[:, 0]], axis=-1)
        grid = np.stack(np.broadcast_arrays(x[None, :, None], y[:, None, None]), axis=-1)
        boxes = np.concatenate([grid - halves, grid + halves], axis=-1).reshape(1, -1, 4)
        boxes = np.clip(boxes, 0, 1) if self.clip else boxes
        return boxes.astype("float32")


@operator(
    "vision.multibox_transform_loc",
    inputs=("cls_prob", "loc_pred", "anchor"),
    pattern=Pattern.OPAQUE,
    level=5,
)
class MultiBoxTransformLoc(Operator):
    """Detections from the scores and moves that a network gives for each anchor.

    `cls_prob` (batch, classes, anchors) has the background as class 0, `loc_pred` (batch, anchors
    * 4) moves the center and changes the logarithm of the size, in units of `variances`, `anchor`
    (1, anchors, 4) are boxes left, top, right, bottom. An anchor counts where its best class has a
    score of `threshold` or more. The result is a tuple: rows class, score, left, top, right, bottom
    (batch, anchors, 6) in order of the anchors, then rows of -1; and how many there are (batch,),
    ``int32``. The first class behind the background is 0; with `keep_background` the background
    takes part as class 0 and the others keep their numbers. With `clip` boxes are within 0 .. 1.
    """

    clip: bool = True
    threshold: float = 0.01
    variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2)
    keep_background: bool = False

    missing: ClassVar[dict[str, str]] = NO_GRADIENT

    def __post_init__(self) -> None:
        put_floats(self, "variances")
        if len(self.variances) != 4:
            raise ValueError(f"expected four variances, found {self.variances}")

    def infer(self, cls_prob: Type, loc_pred: Type, anchor: Type) -> Type:
        scores = expect_rank(self.name, "cls_prob", cls_prob, "(batch, classes, anchors)")
        moves = expect_rank(self.name, "loc_pred", loc_pred, "(batch, anchors * 4)")
        anchors = expect_rank(self.name, "anchor", anchor, "(1, anchors, 4)")
        batch = unify_dim(self.name, scores.shape[0], moves.shape[0], "the batches")
        count = unify_dim(self.name, scores.shape[2], anchors.shape[1], "the numbers of anchors")
        size = moves.shape[1]
        if isinstance(size, int) and isinstance(count, int) and size != 4 * count:
            raise TypeInferenceError(
                f"{self.name}: {count} anchors need {4 * count} moves, found {moves}"
            )
        return TupleType(
            [TensorType((batch, count, 6), scores.dtype), TensorType((batch,), "int32")]
        )

    def compute(self, *inputs: te.Tensor) -> tuple[te.Tensor, ...]:
        batch, _, count = inputs[0].shape
        outputs = (
            te.placeholder((batch, count, 6), inputs[0].dtype, "detections"),
            te.placeholder((batch,), "int32", "count"),
        )
        return te.ordered(inputs, outputs, self._write)

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        (scores, moves, anchors), (rows, counts) = given, made
        batch, classes, count = scores.static_shape
        dtype = working_dtype(scores.dtype)
        copy(w, rows, lambda *_: te.const(-1, scores.dtype))
        first = 0 if self.keep_background else 1
        with w.loop(batch, "image", kind="parallel") as image:
            found = Cell(w, te.INDEX, "found")
            best = Cell(w, dtype, "best", 0.0)
            which = Cell(w, te.INDEX, "which")
            with w.loop(count, "anchor") as k:
                best.set(w, -1.0)
                which.set(w, -1)
                with w.loop(max(0, classes - first), "class") as c:
                    score = te.cast(scores(image, c + first, k), dtype)
                    with w.when(score > best()):
                        best.set(w, score)
                        which.set(w, c)
                with w.when(te.both(which() >= 0, best() >= self.threshold)):
                    w.store(rows, (image, found(), 0), te.cast(which(), rows.dtype))
                    w.store(rows, (image, found(), 1), te.cast(best(), rows.dtype))
                    move = [te.cast(moves(image, k * 4 + j), dtype) for j in range(4)]
                    box = [te.cast(anchors(0, k, j), dtype) for j in range(4)]
                    for j, value in enumerate(self._moved(box, move)):
                        w.store(rows, (image, found(), j + 2), te.cast(value, rows.dtype))
                    found.add(w, 1)
            w.store(counts, (image,), te.cast(found(), "int32"))

    def _moved(self, box: list[te.Expr], move: list[te.Expr]) -> list[te.Expr]:
        """The corners of an anchor that was moved."""
        corners: dict[int, te.Expr] = {}
        for axis in range(2):
            low, high = box[axis], box[axis + 2]
            size = high - low
            center = move[axis] * self.variances[axis] * size + (low + high) * 0.5
            half = te.unary("exp", move[axis + 2] * self.variances[axis + 2]) * size * 0.5
            corners[axis], corners[axis + 2] = center - half, center + half
        found = [corners[j] for j in range(4)]
        return [te.clamp(v, 0.0, 1.0) for v in found] if self.clip else found

    def reference(self, cls_prob: Array, loc_pred: Array, anchor: Array) -> tuple[Array, ...]:
        batch, _, count = cls_prob.shape
        dtype = reference_dtype(working_dtype(cls_prob.dtype.name))
        scores = cls_prob.astype(dtype)[:, 0 if self.keep_background else 1 :]
        rows = np.full((batch, count, 6), -1, cls_prob.dtype)
        counts = np.zeros(batch, "int32")
        box, move = anchor[0].astype(dtype), loc_pred.reshape(batch, count, 4).astype(dtype)
        size, middle = box[:, 2:] - box[:, :2], (box[:, 2:] + box[:, :2]) / 2
        scale = np.array(self.variances, dtype)
        center = move[..., :2] * scale[:2] * size + middle
        half = np.exp(move[..., 2:] * scale[2:]) * size / 2
        moved = np.concatenate([center - half, center + half], axis=-1)
        moved = np.clip(moved, 0, 1) if self.clip else moved
        if scores.shape[1] == 0:
            return rows, counts
        rated = np.where(scores > -1, scores, -np.inf)
        which, best = rated.argmax(axis=1), rated.max(axis=1)
        for image in range(batch):
            good = np.flatnonzero((best[image] > -1) & (best[image] >= self.threshold))
            counts[image] = len(good)
            rows[image, : len(good), 0] = which[image, good]
            rows[image, : len(good), 1] = best[image, good]
            rows[image, : len(good), 2:] = moved[image, good]
        return rows, counts


def multibox_transform_loc(
    cls_prob: Expr,
    loc_pred: Expr,
    anchor: Expr,
    clip: bool = True,
    threshold: float = 0.01,
    variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2),
    keep_background: bool = False,
) -> TupleWrapper:
    """Detections from what a network says of each anchor; see `MultiBoxTransformLoc`."""
    call = MultiBoxTransformLoc.call(
        cls_prob,
        loc_pred,
        anchor,
        clip=clip,
        threshold=threshold,
        variances=variances,
        keep_background=keep_background,
    )
    return TupleWrapper(call, 2)
