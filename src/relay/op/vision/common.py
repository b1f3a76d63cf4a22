"""What the operators on boxes share: loops of sizes known only at run time, and overlap of boxes.

Compiled code and references compute with the same operations in the same order, in ``float32``
(``float64`` for that type), so that both keep the same boxes.
"""

from collections.abc import Callable, Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr, ExprLike, const
from relay.ir.op import Array, expect_tensor
from relay.ir.types import TensorType, Type
from relay.op.shapes import expect_kind
from relay.support.errors import TypeInferenceError

#: Iterations that one level of `counted` looks at.
_BRANCHES = 8

#: Why operators of detectors have no gradient.
NO_GRADIENT = {"gradient": "it chooses boxes: detectors are trained on what comes before"}


def working_dtype(dtype: str) -> str:
    """The type in which coordinates of `dtype` are computed."""
    return "float64" if dtype == "float64" else "float32"


class Cell:
    """One number in private memory; read in any expression, it is what it was last set to."""

    def __init__(self, w: te.Writer, dtype: str, name: str, value: te.Operand = 0) -> None:
        self._memory = w.private(dtype, (1,), name)
        self.set(w, value)

    def __call__(self) -> te.Expr:
        """The number."""
        return self._memory(0)

    def set(self, w: te.Writer, value: te.Operand) -> None:
        """Make it `value`."""
        w.store(self._memory, (0,), value)

    def add(self, w: te.Writer, value: te.Operand) -> None:
        """Add `value` to it."""
        w.store(self._memory, (0,), value, reduce="sum")

    def raise_to(self, w: te.Writer, value: te.Operand) -> None:
        """Make it `value` where that is larger."""
        w.store(self._memory, (0,), value, reduce="max")


def counted(
    w: te.Writer, limit: int, count: Callable[[], te.Expr], body: Callable[[te.Expr], None]
) -> None:
    """Write `body` for ``0 .. count() - 1``, where `count` is known at run time, at most `limit`.

    Loops have constant sizes: here one of a few iterations goes into another one only where there
    is something left, so that little is looked at in vain. A smaller `count`, set by `body`, ends
    it.
    """
    size = 1
    while size < limit:
        size *= _BRANCHES

    def part(size: int, begin: te.Expr) -> None:
        if size == 1:
            body(begin)
            return
        inner = size // _BRANCHES
        with w.loop(min(_BRANCHES, -(-limit // inner)), "step") as step:
            here = begin + step * inner
            with w.when(here < count()):
                part(inner, here)

    if limit == 1:
        with w.when(count() > 0):
            body(te.const(0))
    elif limit:
        part(size, te.const(0))


def not_nan(value: te.Expr) -> te.Expr:
    """Whether `value` is a number."""
    return te.unary("not", te.unary("isnan", value))


def sortable(score: te.Expr) -> te.Expr:
    """`score`, so that no number comes behind NaN where the largest is first."""
    return te.select(not_nan(score), score, te.const(float("-inf"), score.dtype))


def corners_of(values: Sequence[te.Expr], dtype: str) -> tuple[te.Expr, ...]:
    """Two opposite corners of a box, as ``(least, least, greatest, greatest)`` in `dtype`."""
    a, b, c, d = (te.cast(v, dtype) for v in values)
    return te.minimum(a, c), te.minimum(b, d), te.maximum(a, c), te.maximum(b, d)


class Kept:
    """The boxes kept so far, in private memory; `offer` says whether one of them overlaps another.

    The overlap of two boxes is what they share, divided by what they cover together. With `strict`
    it must be greater than the threshold to count, else it may equal it. `margin` is added to the
    sides: 1 where coordinates are those of the first and the last pixel. With `classes` only boxes
    of one class are compared.
    """

    def __init__(
        self,
        w: te.Writer,
        limit: int,
        dtype: str,
        *,
        strict: bool,
        margin: float = 0.0,
        classes: bool = False,
    ) -> None:
        self.limit, self.strict, self.margin = limit, strict, margin
        self._blocks = -(-limit // te.LANES)
        size = self._blocks * te.LANES
        # What no box was stored to is a box that overlaps nothing.
        outside = float(np.finfo(dtype).max)
        self._sides = [w.private(dtype, (size,), n) for n in ("left", "top", "right", "bottom")]
        for side, value in zip(self._sides, (outside, outside, -outside, -outside), strict=True):
            w.fill(side, value)
        self._areas = w.private(dtype, (size,), "areas")
        w.fill(self._areas, 0.0)
        self._classes = w.private(dtype, (size,), "classes") if classes else None
        if self._classes is not None:
            w.fill(self._classes, 0.0)
        self._hits = w.private("int32", (te.LANES,), "hits")
        self.count = Cell(w, te.INDEX, "kept")
        self._rest = Cell(w, te.INDEX, "blocks")
        self._box = [Cell(w, dtype, n, 0.0) for n in ("x1", "y1", "x2", "y2")]
        self._area = Cell(w, dtype, "area", 0.0)
        self._class = Cell(w, dtype, "class", 0.0)
        self._overlapped = Cell(w, "int32", "overlapped")

    def offer(
        self,
        w: te.Writer,
        box: Sequence[te.Expr],
        threshold: te.Expr,
        class_: te.Expr | None = None,
    ) -> te.Expr:
        """Whether no kept box overlaps `box` (left, top, right, bottom) by the threshold."""
        for cell, value in zip(self._box, box, strict=True):
            cell.set(w, value)
        left, top, right, bottom = (cell() for cell in self._box)
        self._area.set(w, self._length(left, right) * self._length(top, bottom))
        if class_ is not None:
            self._class.set(w, class_)
        self._overlapped.set(w, 0)
        self._rest.set(w, (self.count() + (te.LANES - 1)) // te.LANES)
        w.fill(self._hits, 0)

        def compare(block: te.Expr) -> None:
            with w.loop(te.LANES, "lane", kind="vectorized") as lane:
                hit = te.cast(self._overlaps(block * te.LANES + lane, threshold), "int32")
                w.store(self._hits, (lane,), hit, reduce="max")
            with w.loop(te.LANES, "lane") as lane:
                self._overlapped.raise_to(w, self._hits(lane))
            with w.when(self._overlapped() > 0):
                self._rest.set(w, 0)

        counted(w, self._blocks, self._rest, compare)
        return te.equal(self._overlapped(), 0)

    def keep(self, w: te.Writer) -> None:
        """Keep the box that was offered last; there are fewer than `limit` so far."""
        place = self.count()
        for side, cell in zip(self._sides, self._box, strict=True):
            w.store(side, (place,), cell())
        w.store(self._areas, (place,), self._area())
        if self._classes is not None:
            w.store(self._classes, (place,), self._class())
        self.count.add(w, 1)

    def _length(self, first: te.Expr, last: te.Expr) -> te.Expr:
        length = last - first
        return length + self.margin if self.margin else length

    def _overlaps(self, k: te.Expr, threshold: te.Expr) -> te.Expr:
        left, top, right, bottom = (side(k) for side in self._sides)
        x1, y1, x2, y2 = (cell() for cell in self._box)
        width = self._length(te.maximum(left, x1), te.minimum(right, x2))
        height = self._length(te.maximum(top, y1), te.minimum(bottom, y2))
        shared = te.maximum(width, 0.0) * te.maximum(height, 0.0)
        covered = self._areas(k) + self._area() - shared
        part = te.select(covered <= 0.0, te.const(0.0, covered.dtype), shared / covered)
        hit = part > threshold if self.strict else part >= threshold
        if self._classes is not None:
            hit = te.both(hit, te.equal(self._classes(k), self._class()))
        return hit


# ---------------------------------------------------------------- the same in NumPy


def ordered_corners(boxes: Array) -> Array:
    """Boxes (..., 4) of two opposite corners as left, top, right, bottom."""
    first, second = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=-1)


def kept_boxes(
    boxes: Array,
    threshold: Array,
    limit: int,
    *,
    strict: bool,
    margin: float = 0.0,
    classes: Array | None = None,
) -> list[int]:
    """Which of the boxes (n, 4), the best one first, are kept; at most `limit`.

    A box is dropped where its overlap with one that is kept is at (`strict`: above) `threshold`.
    """
    dtype = boxes.dtype
    sides = boxes[:, 2:] - boxes[:, :2]
    sides = sides + dtype.type(margin) if margin else sides
    areas = sides[:, 0] * sides[:, 1]
    kept: list[int] = []
    for k in range(len(boxes)):
        if len(kept) >= limit:
            break
        low = np.maximum(boxes[kept, :2], boxes[k, :2])
        extent = np.minimum(boxes[kept, 2:], boxes[k, 2:]) - low
        extent = np.maximum(extent + dtype.type(margin) if margin else extent, dtype.type(0))
        shared = extent[:, 0] * extent[:, 1]
        covered = areas[kept] + areas[k] - shared
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(covered <= 0, dtype.type(0), shared / covered)
        hits = part > threshold if strict else part >= threshold
        if classes is not None:
            hits = hits & (classes[kept] == classes[k])
        if not hits.any():
            kept.append(k)
    return kept


def falling(scores: Array) -> Array:
    """The positions of `scores`, largest first; equals keep their order, NaN comes as the least."""
    return np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")


# ---------------------------------------------------------------- types and arguments


def expect_rank(name: str, argument: str, type_: Type, form: str) -> TensorType:
    """A floating-point tensor of the shape `form`, such as ``(batch, boxes, 4)``.

    Sizes that are numbers in `form` are checked; raises `TypeInferenceError`.
    """
    tensor = expect_kind(name, argument, type_, "float")
    sizes = form.strip("()").split(", ")
    fits = len(tensor.shape) == len(sizes)
    if fits:
        for size, wanted in zip(tensor.shape, sizes, strict=True):
            fits &= not (wanted.isdigit() and isinstance(size, int) and size != int(wanted))
    if not fits:
        raise TypeInferenceError(f"{name}: expected {argument} of shape {form}, found {tensor}")
    return tensor


def expect_scalar(name: str, argument: str, type_: Type, kind: str) -> TensorType:
    """A scalar whose data type is of `kind`."""
    tensor = expect_kind(name, argument, type_, kind)
    if tensor.shape:
        raise TypeInferenceError(f"{name}: expected a scalar for {argument}, found {tensor}")
    return tensor


def expect_integers(name: str, argument: str, type_: Type, rank: int) -> TensorType:
    """A tensor of integers with `rank` dimensions."""
    tensor = expect_kind(name, argument, expect_tensor(name, argument, type_), "integer")
    if len(tensor.shape) != rank:
        raise TypeInferenceError(
            f"{name}: expected {argument} with {rank} dimensions, found {tensor}"
        )
    return tensor


def scalar_argument(value: ExprLike, dtype: str) -> Expr:
    """A number as a constant of `dtype`; an expression as it is."""
    if isinstance(value, Expr):
        return value
    return const(np.asarray(value, dtype))


__all__ = [
    "NO_GRADIENT",
    "Cell",
    "Kept",
    "corners_of",
    "counted",
    "expect_integers",
    "expect_rank",
    "expect_scalar",
    "falling",
    "kept_boxes",
    "not_nan",
    "ordered_corners",
    "scalar_argument",
    "sortable",
    "working_dtype",
]
