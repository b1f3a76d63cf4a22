"""The part of a feature map under a box, brought to one size."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.shapes import as_ints, expect_same_dtype, put
from relay.op.vision.common import Cell, counted, expect_rank, working_dtype
from relay.support.errors import TypeInferenceError

_MODES = ("avg", "max", "max_weighted")
_NO_GRADIENT = {
    "gradient": "the way back adds to the places that were read; Relay has no operator for it"
}
#: Boxes may begin and end anywhere; no feature map is larger than this.
_FAR = float(1 << 30)
#: Samples along a side of a bin, at most: their places are computed before they are read.
_MOST_SAMPLES = 1 << 12


def _put_pooled_size(declaration: "ROIAlign | ROIPool") -> None:
    sizes = as_ints(declaration.pooled_size)
    sizes = sizes * 2 if len(sizes) == 1 else sizes
    if len(sizes) != 2 or min(sizes) < 1:
        raise ValueError(f"expected a positive pooled_size (height, width), found {sizes}")
    put(declaration, "pooled_size", sizes)


def _expect_regions(
    name: str, data: Type, rois: Type, layout: str, pooled: Sequence[int]
) -> TensorType:
    """The type of the result; checks those of `data` and `rois`."""
    maps = expect_rank(name, "data", data, f"({', '.join(layout)})")
    boxes = expect_rank(name, "rois", rois, "(rois, 5)")
    expect_same_dtype(name, maps, boxes)
    sizes = dict(zip(layout, maps.shape, strict=True))
    if 0 in (sizes["H"], sizes["W"]):
        raise TypeInferenceError(f"{name}: the maps have no elements to take regions of: {maps}")
    sizes |= {"N": boxes.shape[0], "H": pooled[0], "W": pooled[1]}
    return TensorType([sizes[c] for c in layout], maps.dtype)


def _clamped(value: te.Expr, low: float, high: float) -> te.Expr:
    """`value` within ``low .. high``; NaN becomes `low`."""
    known = te.select(value >= low, value, te.const(low, value.dtype))
    return te.minimum(known, high)


def _whole(value: te.Expr) -> te.Expr:
    """A clamped whole number as an index."""
    return te.cast(value, te.INDEX)


@operator(
    "vision.roi_align",
    inputs=("data", "rois"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=5,
)
class ROIAlign(Operator):
    """The means of samples of `data` within each of `rois` (He et al., Mask R-CNN, 2017).

    `data` is (N, C, H, W), or (N, H, W, C) in the `layout` ``"NHWC"``; a row of `rois` (rois, 5) is
    image, left, top, right, bottom, in units of which `spatial_scale` make an element. A region has
    at least the size of one element, and is divided into `pooled_size` (height, width) bins. In
    each, `sample_ratio` samples along each side, or, where it is not positive, one for each element
    begun, are interpolated between the elements around them; samples farther than one element
    outside are 0. The result (rois, C, height, width), in the layout of the data, is their mean or,
    in the `mode` ``"max"``, the largest; with ``"max_weighted"`` it is the largest of all that the
    samples are sums of, as ONNX has it. A region of an image that does not exist is 0.

    With `aligned`, positions are those of pixels with an extent, whose centres are half an element
    further, and regions may be smaller than an element.
    """

    pooled_size: tuple[int, ...]
    spatial_scale: float
    sample_ratio: int = -1
    layout: str = "NCHW"
    mode: str = "avg"
    aligned: bool = False

    missing: ClassVar[dict[str, str]] = _NO_GRADIENT

    def __post_init__(self) -> None:
        _put_pooled_size(self)
        if self.layout not in ("NCHW", "NHWC"):
            raise ValueError(f'layout must be "NCHW" or "NHWC", found {self.layout!r}')
        if self.mode not in _MODES:
            raise ValueError(f"mode must be one of {', '.join(_MODES)}, found {self.mode!r}")
        if self.sample_ratio > _MOST_SAMPLES:
            raise ValueError(
                f"sample_ratio must be at most {_MOST_SAMPLES}, found {self.sample_ratio}"
            )

    def infer(self, data: Type, rois: Type) -> Type:
        return _expect_regions(self.name, data, rois, self.layout, self.pooled_size)

    def _at(
        self, image: te.Operand, c: te.Operand, y: te.Operand, x: te.Operand
    ) -> tuple[te.Operand, ...]:
        return (image, c, y, x) if self.layout == "NCHW" else (image, y, x, c)

    def compute(self, data: te.Tensor, rois: te.Tensor) -> te.Tensor:
        channels = data.shape[self.layout.index("C")]
        height, width = self.pooled_size
        shape = (
            (rois.shape[0], channels, height, width)
            if self.layout == "NCHW"
            else (rois.shape[0], height, width, channels)
        )
        output = te.placeholder(shape, data.dtype, "roi_align")
        return te.ordered((data, rois), (output,), self._write)[0]

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        (data, rois), (result,) = given, made
        if 0 in result.static_shape:
            return
        images = data.static_shape[0]
        channels = data.static_shape[self.layout.index("C")]
        dtype = working_dtype(data.dtype)
        with w.loop(rois.static_shape[0], "roi", kind="parallel") as roi:
            image = Cell(w, te.INDEX, "image")
            number = te.cast(rois(roi, 0), dtype)
            image.set(w, _whole(_clamped(number, -1.0, float(images))))
            exists = te.both(image() >= 0, image() < images)
            rows = _Samples(self, w, roi, given, vertical=True)
            columns = _Samples(self, w, roi, given, vertical=False)
            sums = w.private(dtype, (channels,), "sums")
            with (
                w.loop(self.pooled_size[0], "y") as y,
                w.loop(self.pooled_size[1], "x") as x,
            ):
                start = 0.0 if self.mode == "avg" else float("-inf")
                w.fill(sums, start)
                with w.when(exists):
                    rows.each(
                        w,
                        y,
                        lambda i: columns.each(
                            w,
                            x,
                            lambda j: self._add(
                                w, sums, data, image(), rows.at(y, i), columns.at(x, j)
                            ),
                        ),
                    )
                    self._outside(w, sums, rows, columns, y, x)
                samples = rows.samples() * columns.samples()
                count = te.cast(te.maximum(samples, 1), dtype)
                some = te.both(exists, samples > 0)
                scale = count if self.mode == "avg" else te.const(1.0, dtype)

                def put(c: te.Expr) -> None:
                    value = te.select(some, sums(c) / scale, te.const(0.0, dtype))
                    w.store(result, self._at(roi, c, y, x), te.cast(value, result.dtype))

                if self.layout == "NHWC":
                    w.each(channels, put)
                else:
                    with w.loop(channels, "c") as c:
                        put(c)

    def _add(
        self,
        w: te.Writer,
        sums: te.Tensor,
        data: te.Tensor,
        image: te.Expr,
        row: "_Sample",
        column: "_Sample",
    ) -> None:
        """One sample of all channels."""

        def add(c: te.Expr) -> None:
            def read(y: te.Expr, x: te.Expr) -> te.Expr:
                return te.cast(data(*self._at(image, c, y, x)), sums.dtype)

            if self.mode == "max_weighted":
                for y, by_y in ((row.low, row.low_weight), (row.high, row.high_weight)):
                    for x, by_x in (
                        (column.low, column.low_weight),
                        (column.high, column.high_weight),
                    ):
                        w.store(sums, (c,), read(y, x) * (by_y * by_x), reduce="max")
                return
            top = read(row.low, column.low) * column.low_weight
            top = top + read(row.low, column.high) * column.high_weight
            bottom = read(row.high, column.low) * column.low_weight
            bottom = bottom + read(row.high, column.high) * column.high_weight
            value = top * row.low_weight + bottom * row.high_weight
            w.store(sums, (c,), value, reduce="max" if self.mode == "max" else "sum")

        if self.layout == "NHWC":
            w.each(sums.static_shape[0], add)
        else:
            with w.loop(sums.static_shape[0], "c") as c:
                add(c)

    def _outside(
        self,
        w: te.Writer,
        sums: te.Tensor,
        rows: "_Samples",
        columns: "_Samples",
        y: te.Expr,
        x: te.Expr,
    ) -> None:
        """Samples that are outside count as 0 for the largest one."""
        if self.mode == "avg":
            return
        left_out = te.either(rows.inside(y) < rows.samples(), columns.inside(x) < columns.samples())
        with w.when(left_out), w.loop(sums.static_shape[0], "c") as c:
            w.store(sums, (c,), 0.0, reduce="max")

    def reference(self, data: Array, rois: Array) -> Array:
        dtype = np.dtype(working_dtype(data.dtype.name))
        maps = data if self.layout == "NCHW" else data.transpose(0, 3, 1, 2)
        maps = maps.astype(dtype)
        images, channels, height, width = maps.shape
        result = np.zeros((len(rois), channels, *self.pooled_size), data.dtype)
        for k, roi in enumerate(rois.astype(dtype)):
            if not 0 <= np.trunc(roi[0]) < images or not channels:
                continue
            ys = self._positions(roi[2], roi[4], self.pooled_size[0], height)
            xs = self._positions(roi[1], roi[3], self.pooled_size[1], width)
            image = maps[int(roi[0])]
            for y, x in np.ndindex(*self.pooled_size):
                places = [(a, b) for a in ys[1][y] for b in xs[1][x]]
                parts = [_weighted(image, a, b) for a, b in places]
                samples = [np.sum(p, axis=0, dtype=dtype) for p in parts]
                if self.mode == "max_weighted":
                    samples = [value for p in parts for value in p]
                total = max(ys[0] * xs[0], 1.0)
                if self.mode == "avg":
                    result[k, :, y, x] = (
                        np.sum(samples, axis=0, dtype=dtype) / total if samples else 0
                    )
                else:
                    least = [np.zeros(channels, dtype)] if len(places) < total else []
                    result[k, :, y, x] = np.max([*samples, *least], axis=0)
        return result if self.layout == "NCHW" else result.transpose(0, 2, 3, 1)

    def _positions(
        self, first: float, last: float, bins: int, size: int
    ) -> tuple[float, list[list[float]]]:
        """In NumPy: how many samples a bin has, and the places of those inside the map."""
        real = type(first)
        with np.errstate(invalid="ignore", over="ignore"):
            first, last = first * real(self.spatial_scale), last * real(self.spatial_scale)
            least = real(0) if self.aligned else real(1)
            length = last - first if last - first >= least else least
            first = first - real(0.5) if self.aligned else first
            one = min(length, real(_FAR)) / real(bins)
            count = self.sample_ratio if self.sample_ratio > 0 else int(np.ceil(one))
            step = one / real(max(count, 1))
            found: list[list[float]] = []
            for k in range(bins):
                start = first + real(k) * one
                # Samples are less than `size` + 2 places apart from the first one inside.
                outside = np.minimum((-1 - start) / step, _FAR)
                begin = max(0, int(outside) - 2) if count >= 4 * size + 16 and outside > 0 else 0
                places = (
                    [
                        start + (real(j) + real(0.5)) * step
                        for j in range(begin, min(count, begin + 4 * size + 16))
                    ]
                    if np.isfinite(start)
                    else []
                )
                found.append([p for p in places if -1 <= p <= size])
        return float(count), found


def _weighted(image: Array, y: float, x: float) -> list[Array]:
    """The neighbours of a place in an image (channels, height, width), times their weights."""
    height, width = image.shape[1:]
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = image.dtype.type(y - top), image.dtype.type(x - left)
    one = image.dtype.type(1)
    return [
        image[:, top, left] * ((one - dy) * (one - dx)),
        image[:, top, right] * ((one - dy) * dx),
        image[:, bottom, left] * (dy * (one - dx)),
        image[:, bottom, right] * (dy * dx),
    ]


class _Sample:
    """A place along one axis: two neighbours and their weights."""

    def __init__(self, low: te.Expr, high: te.Expr, fraction: te.Expr) -> None:
        self.low, self.high = low, high
        self.low_weight, self.high_weight = 1.0 - fraction, fraction


class _Samples:
    """The samples of a region along one axis, bin by bin, those inside the map in memory.

    Where their number depends on the region they are no farther apart than one element, and no
    nearer than half of one unless there is one only: few of them are inside, however many there
    are.
    """

    def __init__(
        self, declaration: ROIAlign, w: te.Writer, roi: te.Expr, given: te.Given, vertical: bool
    ) -> None:
        data, rois = given
        dtype = working_dtype(data.dtype)
        ratio = declaration.sample_ratio
        self._bins = declaration.pooled_size[0 if vertical else 1]
        size = data.static_shape[declaration.layout.index("H" if vertical else "W")]
        self._limit = ratio if ratio > 0 else 2 * (size + 3)
        name = "y" if vertical else "x"
        scale = te.const(declaration.spatial_scale, dtype)
        first, last = (
            te.cast(rois(roi, k), dtype) * scale for k in ((2, 4) if vertical else (1, 3))
        )
        least = 0.0 if declaration.aligned else 1.0
        length = Cell(w, dtype, f"{name}_length", _clamped(last - first, least, _FAR))
        first = first - 0.5 if declaration.aligned else first
        one = Cell(w, dtype, f"{name}_bin", length() / float(self._bins))
        whole = te.const(ratio) if ratio > 0 else _whole(te.unary("ceil", one()))
        self.samples = Cell(w, te.INDEX, f"{name}_samples", whole)
        divisor = te.cast(te.maximum(self.samples(), 1), dtype)
        step = Cell(w, dtype, f"{name}_step", one() / divisor)
        self._count = w.private(te.INDEX, (self._bins,), f"{name}_inside")
        shape = (self._bins, max(1, self._limit))
        self._low = w.private("int32", shape, f"{name}_low")
        self._high = w.private("int32", shape, f"{name}_high")
        self._fraction = w.private(dtype, shape, f"{name}_fraction")
        begin = Cell(w, te.INDEX, f"{name}_begin")
        place = Cell(w, dtype, f"{name}_place", 0.0)
        rest = Cell(w, te.INDEX, f"{name}_rest")
        with w.loop(self._bins, "bin") as k:
            w.store(self._count, (k,), 0)
            start = first + te.cast(k, dtype) * one()
            outside = te.unary("floor", (-1.0 - start) / step() - 0.5)
            begin.set(w, _whole(_clamped(outside, 0.0, _FAR)) if ratio <= 0 else 0)
            rest.set(w, te.minimum(self.samples() - begin(), self._limit))

            def take(j: te.Expr) -> None:
                middle = te.cast(begin() + j, dtype) + 0.5
                place.set(w, start + middle * step())
                with w.when(te.both(place() >= -1.0, place() <= float(size))):
                    at = te.maximum(te.minimum(place(), float(size - 1)), 0.0)
                    low = te.unary("floor", at)
                    number = self._count(k)
                    w.store(self._low, (k, number), te.cast(low, "int32"))
                    high = te.minimum(te.cast(low, "int32") + 1, size - 1)
                    w.store(self._high, (k, number), high)
                    w.store(self._fraction, (k, number), at - low)
                    w.store(self._count, (k,), 1, reduce="sum")

            counted(w, self._limit if size else 0, rest, take)

    def inside(self, k: te.Expr) -> te.Expr:
        """How many samples of bin `k` are inside the map."""
        return self._count(k)

    def each(self, w: te.Writer, k: te.Expr, body: Callable[[te.Expr], None]) -> None:
        """Write `body` for the samples of bin `k` that are inside."""
        counted(w, self._limit, lambda: self._count(k), body)

    def at(self, k: te.Expr, j: te.Expr) -> _Sample:
        """Sample `j` of bin `k`."""
        low, high = te.cast(self._low(k, j), te.INDEX), te.cast(self._high(k, j), te.INDEX)
        return _Sample(low, high, self._fraction(k, j))


@operator("vision.roi_pool", inputs=("data", "rois"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=5)
class ROIPool(Operator):
    """The largest elements of `data` in the bins of `rois` (Girshick, Fast R-CNN, 2015).

    `data` is (N, C, H, W); a row of `rois` (rois, 5) is image, left, top, right, bottom, in units
    of which `spatial_scale` make an element. Corners are rounded to elements, and the region is
    divided into `pooled_size` (height, width) bins that may overlap. A bin without an element is 0,
    and so is a region of an image that does not exist. The result is (rois, C, height, width).
    """

    pooled_size: tuple[int, ...]
    spatial_scale: float
    layout: str = "NCHW"

    missing: ClassVar[dict[str, str]] = _NO_GRADIENT

    def __post_init__(self) -> None:
        _put_pooled_size(self)
        if self.layout != "NCHW":
            raise ValueError(f'layout must be "NCHW", found {self.layout!r}')

    def infer(self, data: Type, rois: Type) -> Type:
        return _expect_regions(self.name, data, rois, self.layout, self.pooled_size)

    def compute(self, data: te.Tensor, rois: te.Tensor) -> te.Tensor:
        shape = (rois.shape[0], data.shape[1], *self.pooled_size)
        output = te.placeholder(shape, data.dtype, "roi_pool")
        return te.ordered((data, rois), (output,), self._write)[0]

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        (data, rois), (result,) = given, made
        images, channels, height, width = data.static_shape
        dtype = working_dtype(data.dtype)
        if not channels:
            return
        with w.loop(rois.static_shape[0], "roi", kind="parallel") as roi:
            number = te.cast(rois(roi, 0), dtype)
            image = Cell(w, te.INDEX, "image", _whole(_clamped(number, -1.0, float(images))))
            exists = te.both(image() >= 0, image() < images)
            rows = self._ranges(w, roi, rois, dtype, height, vertical=True)
            columns = self._ranges(w, roi, rois, dtype, width, vertical=False)
            best = Cell(w, data.dtype, "best", 0.0)
            with (
                w.loop(channels, "c") as c,
                w.loop(self.pooled_size[0], "y") as y,
                w.loop(self.pooled_size[1], "x") as x,
            ):
                some = te.both(exists, rows(y, 1) > 0, columns(x, 1) > 0)
                best.set(
                    w,
                    te.select(some, te.const(float("-inf"), data.dtype), te.const(0.0, data.dtype)),
                )
                with w.when(exists):

                    def take(i: te.Expr, j: te.Expr) -> None:
                        place = (image(), c, rows(y, 0) + i, columns(x, 0) + j)
                        best.raise_to(w, data(*place))

                    counted(
                        w,
                        height,
                        lambda: rows(y, 1),
                        lambda i: counted(w, width, lambda: columns(x, 1), lambda j: take(i, j)),
                    )
                w.store(result, (roi, c, y, x), best())

    def _ranges(
        self,
        w: te.Writer,
        roi: te.Expr,
        rois: te.Tensor,
        dtype: str,
        size: int,
        vertical: bool,
    ) -> te.Tensor:
        """The first element of each bin along an axis and their number, in private memory."""
        bins = self.pooled_size[0 if vertical else 1]
        name = "rows" if vertical else "columns"
        found = w.private(te.INDEX, (bins, 2), name)
        scale = te.const(self.spatial_scale, dtype)
        corners = (te.cast(rois(roi, k), dtype) * scale for k in ((2, 4) if vertical else (1, 3)))
        first, last = (_clamped(te.unary("round", v), -_FAR, _FAR) for v in corners)
        length = te.maximum(_whole(last) - _whole(first) + 1, 1)
        one = Cell(w, dtype, f"{name}_bin", te.cast(length, dtype) / float(bins))
        with w.loop(bins, "bin") as k:
            begin = _whole(te.unary("floor", te.cast(k, dtype) * one()))
            end = _whole(te.unary("ceil", te.cast(k + 1, dtype) * one()))
            begin = te.clamp(begin + _whole(first), 0, size)
            end = te.clamp(end + _whole(first), 0, size)
            w.store(found, (k, 0), begin)
            w.store(found, (k, 1), end - begin)
        return found

    def reference(self, data: Array, rois: Array) -> Array:
        images, channels, height, width = data.shape
        dtype = np.dtype(working_dtype(data.dtype.name))
        result = np.zeros((len(rois), channels, *self.pooled_size), data.dtype)
        for k, roi in enumerate(rois.astype(dtype)):
            if not 0 <= np.trunc(roi[0]) < images:
                continue
            rows = self._parts(roi[2], roi[4], self.pooled_size[0], height)
            columns = self._parts(roi[1], roi[3], self.pooled_size[1], width)
            for y, x in np.ndindex(*self.pooled_size):
                part = data[int(roi[0]), :, rows[y], columns[x]]
                if part.size:
                    result[k, :, y, x] = part.max(axis=(1, 2))
        return result

    def _parts(self, first: float, last: float, bins: int, size: int) -> list[slice]:
        real = type(first)
        ends: list[int] = []
        for corner in (first, last):
            place = np.round(corner * real(self.spatial_scale))
            ends.append(int(min(max(place, -_FAR), _FAR)) if place >= -_FAR else -int(_FAR))
        one = real(max(ends[1] - ends[0] + 1, 1)) / real(bins)
        found: list[slice] = []
        for k in range(bins):
            begin = int(np.floor(real(k) * one)) + ends[0]
            end = int(np.ceil(real(k + 1) * one)) + ends[0]
            found.append(slice(min(max(begin, 0), size), min(max(end, 0), size)))
        return found


__all__ = ["ROIAlign", "ROIPool"]
