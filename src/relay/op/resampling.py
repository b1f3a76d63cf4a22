"""Resampling of one axis: positions in the coordinate systems in use, and what is read there.

Positions in the data are fractions of integers as long as no region of interest is given, so that
which pixel is the nearest one does not depend on rounding errors.
"""

import math
from dataclasses import dataclass

import numpy as np

from relay import te
from relay.ir.op import Array
from relay.op.shapes import replaced

METHODS = ("nearest_neighbor", "linear", "cubic")
MODES = (
    "half_pixel",
    "align_corners",
    "asymmetric",
    "pytorch_half_pixel",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)
ROUNDINGS = ("", "round", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def blend_dtype(dtype: str) -> str:
    """The type in which pixels of `dtype` are blended."""
    return "float64" if dtype == "float64" else "float32"


def cubic_weights(t: te.Expr, alpha: float) -> list[te.Expr]:
    """The weights of the four pixels around a position that is `t` behind the second.

    Keys' kernel: R. Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """
    squared = t * t
    cubed = squared * t
    return [
        (cubed - squared * 2.0 + t) * alpha,
        cubed * (alpha + 2) - squared * (alpha + 3) + 1.0,
        cubed * -(alpha + 2) + squared * (2 * alpha + 3) - t * alpha,
        (squared - cubed) * alpha,
    ]


def reference_cubic_weights(t: Array, alpha: float) -> Array:
    """Keys' kernel at the distances of four pixels from a position; the last axis is theirs."""
    distance = np.abs(t[..., None] - np.arange(-1, 3))
    near = (alpha + 2) * distance**3 - (alpha + 3) * distance**2 + 1
    far = alpha * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.asarray(np.where(distance <= 1, near, np.where(distance < 2, far, 0.0)))


@dataclass(frozen=True)
class Resampling:
    """How one axis is resized: the attributes of the operators that matter for it."""

    method: str
    mode: str
    rounding: str
    alpha: float
    exclude: bool

    def is_identity(self, size: te.Dim, count: te.Dim) -> bool:
        """Whether nothing changes along an axis of `size` that is to have `count` elements."""
        return size == count and self.mode in MODES[:4]

    def position(
        self, index: te.Expr, size: te.Dim, count: te.Dim, span: tuple[float, float]
    ) -> tuple[te.Expr, te.Expr | None]:
        """The position of element `index` in the data: a numerator and a denominator (int64).

        With a region of interest, `span` of the whole, a float32 number and None.
        """
        if self.mode == "tf_crop_and_resize":
            last = te.cast(te.as_expr(size - 1, te.INDEX), "float32")
            start, end = span
            assert isinstance(count, int), "a region is resized to a known size"
            if count == 1:
                return last * (0.5 * (start + end)), None
            step = last * ((end - start) / (count - 1))
            return last * start + te.cast(index, "float32") * step, None
        if self.mode == "align_corners":
            return index * (size - 1), te.maximum(te.as_expr(count - 1, te.INDEX), 1)
        if self.mode == "pytorch_half_pixel" and count == 1:
            return te.const(0), te.const(1)
        if isinstance(size, int) and isinstance(count, int):
            divisor = math.gcd(size, count)
            size, count = size // divisor, count // divisor
        if self.mode == "asymmetric":
            return index * size, te.as_expr(count, te.INDEX)
        middle = (index * 2 + 1) * size
        return (middle if self.mode == "tf_half_pixel_for_nn" else middle - count), te.as_expr(
            count * 2, te.INDEX
        )

    def nearest(self, numerator: te.Expr, denominator: te.Expr | None) -> te.Expr:
        """The pixel that a position stands for, not yet kept within the data."""
        if denominator is None:
            shifts = {"floor": 0.0, "ceil": 0.0, "round_prefer_floor": -0.5}
            value = numerator + shifts.get(self.rounding, 0.5)
            up = self.rounding in ("ceil", "round_prefer_floor")
            return te.cast(te.unary("ceil" if up else "floor", value), te.INDEX)
        if self.rounding == "floor":
            return numerator // denominator
        if self.rounding == "ceil":
            return -(-numerator // denominator)
        if self.rounding == "round_prefer_floor":
            return -((denominator - numerator * 2) // (denominator * 2))
        return (numerator * 2 + denominator) // (denominator * 2)

    def taps(
        self, numerator: te.Expr, denominator: te.Expr | None, size: te.Dim, dtype: str
    ) -> list[tuple[te.Expr, te.Expr]]:
        """The pixels that are blended at a position, and their weights."""
        if denominator is None:
            floor = te.unary("floor", numerator)
            low, fraction = te.cast(floor, te.INDEX), te.cast(numerator - floor, dtype)
        else:
            low = numerator // denominator
            rest = te.cast(numerator - low * denominator, dtype)
            fraction = rest / te.cast(denominator, dtype)
        if self.method == "linear":
            return [(low, 1.0 - fraction), (low + 1, fraction)]
        pixels = [low + k for k in (-1, 0, 1, 2)]
        weights = cubic_weights(fraction, self.alpha)
        if self.exclude:
            last = te.as_expr(size - 1, te.INDEX)
            inside = [te.both(p >= 0, p <= last) for p in pixels]
            weights = [te.select(c, w, 0.0) for c, w in zip(inside, weights, strict=True)]
            total = weights[0] + weights[1] + weights[2] + weights[3]
            weights = [w / total for w in weights]
        return list(zip(pixels, weights, strict=True))

    def reference_positions(self, size: int, count: int, span: tuple[float, float]) -> Array:
        """The positions of all elements in the data."""
        i = np.arange(count, dtype="float64")
        scale = size / count if count else 1.0
        match self.mode:
            case "half_pixel":
                return np.asarray((i + 0.5) * scale - 0.5)
            case "pytorch_half_pixel":
                return np.asarray((i + 0.5) * scale - 0.5 if count > 1 else i * 0)
            case "align_corners":
                return np.asarray(i * ((size - 1) / max(count - 1, 1)))
            case "asymmetric":
                return np.asarray(i * scale)
            case "tf_half_pixel_for_nn":
                return np.asarray((i + 0.5) * scale)
            case _:
                start, end = span[0] * (size - 1), span[1] * (size - 1)
                return (
                    np.linspace(start, end, count) if count > 1 else np.array([(start + end) / 2])
                )

    def reference_taps(
        self, size: int, count: int, span: tuple[float, float]
    ) -> tuple[Array, Array]:
        """The pixels (count, taps) that are blended, and their weights."""
        at = self.reference_positions(size, count, span)
        if self.method == "nearest_neighbor":
            slack = 1e-9
            match self.rounding:
                case "floor":
                    chosen = np.floor(at + slack)
                case "ceil":
                    chosen = np.ceil(at - slack)
                case "round_prefer_floor":
                    chosen = np.ceil(at - 0.5 - slack)
                case _:
                    chosen = np.floor(at + 0.5 + slack)
            pixels, weights = chosen[:, None], np.ones((count, 1))
        else:
            low = np.floor(at + 1e-9)
            fraction = at - low
            if self.method == "linear":
                pixels = low[:, None] + np.arange(2)
                weights = np.stack([1 - fraction, fraction], axis=-1)
            else:
                pixels = low[:, None] + np.arange(-1, 3)
                weights = reference_cubic_weights(fraction, self.alpha)
                if self.exclude:
                    weights = np.where((pixels < 0) | (pixels >= size), 0.0, weights)
                    weights = weights / weights.sum(axis=-1, keepdims=True)
        return np.clip(pixels, 0, size - 1).astype("int64"), weights

    def reference(self, data: Array, axis: int, count: int, span: tuple[float, float]) -> Array:
        """`data` with `axis` resized to `count` elements."""
        pixels, weights = self.reference_taps(data.shape[axis], count, span)
        if self.method == "nearest_neighbor":
            return np.asarray(np.take(data, pixels[:, 0], axis=axis))
        along = [1] * data.ndim
        along[axis] = count
        parts = (
            np.take(data, pixels[:, k], axis=axis) * weights[:, k].reshape(along)
            for k in range(pixels.shape[1])
        )
        return np.asarray(sum(parts, start=np.zeros((), data.dtype)))

    def matrix(self, size: int, count: int, span: tuple[float, float]) -> Array:
        """The weights (count, size) by which the elements of the axis are multiplied."""
        pixels, weights = self.reference_taps(size, count, span)
        found = np.zeros((count, size))
        for tap in range(pixels.shape[1]):
            found[np.arange(count), pixels[:, tap]] += weights[:, tap]
        return found


def resized(
    data: te.Tensor,
    axis: int,
    count: te.Dim,
    span: tuple[float, float],
    how: Resampling,
    dtype: str,
) -> te.Tensor:
    """`data` with `axis` resized to `count` elements, in `dtype`."""
    size = data.shape[axis]
    last = te.as_expr(size - 1, te.INDEX)

    def element(*i: te.Var) -> te.Expr:
        position = how.position(i[axis], size, count, span)

        def pixel(at: te.Expr) -> te.Expr:
            return te.cast(data(*replaced(i, axis, te.clamp(at, 0, last))), dtype)

        if how.method == "nearest_neighbor":
            return pixel(how.nearest(*position))
        taps = how.taps(*position, size, dtype)
        total = pixel(taps[0][0]) * taps[0][1]
        for at, weight in taps[1:]:
            total = total + pixel(at) * weight
        return total

    return te.compute((*data.shape[:axis], count, *data.shape[axis + 1 :]), element, "resized")
