"""Images read at positions that are computed: grids, affine maps, boxes."""

import itertools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import Layout
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import known_shape, make, matrix_of, reshaped
from relay.op.image.sampling_gradients import grid_sample_gradients
from relay.op.nn.common import dims_agree, from_primal, spatial_layout, to_primal
from relay.op.resampling import blend_dtype, cubic_weights, reference_cubic_weights
from relay.op.shapes import (
    expect_kind,
    put_dtype,
    put_ints,
    reference_dtype,
    unify_dim,
)
from relay.op.tensor.index import check_inside, inside
from relay.support.errors import TypeInferenceError

#: What stands for the parameter of Keys' kernel in sampling, as in PyTorch.
_SAMPLE_ALPHA = -0.75


@operator("image.affine_grid", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class AffineGrid(Operator):
    """The positions that affine maps give to the pixels of images of `target_shape`.

    `data` is (batch, 2, 3): matrices by which ``(x, y, 1)`` is multiplied, with x and y running
    from -1 to 1 (0 where there is only one pixel). The result is (batch, 2, height, width), what
    `image.grid_sample` takes. M. Jaderberg et al., "Spatial transformer networks", 2015.
    """

    target_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        put_ints(self, "target_shape")
        if len(self.target_shape) != 2 or min(self.target_shape) < 1:
            raise ValueError(
                f"target_shape must be a height and a width, found {self.target_shape}"
            )

    def infer(self, data: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        if len(x.shape) != 3 or not all(map(dims_agree, x.shape[1:], (2, 3))):
            raise TypeInferenceError(f"{self.name}: expected data of (batch, 2, 3), found {x}")
        return TensorType((x.shape[0], 2, *self.target_shape), x.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        def spread(index: te.Expr, count: int) -> te.Expr:
            if count == 1:
                return te.const(0.0, data.dtype)
            return te.cast(index, data.dtype) * (2 / (count - 1)) - 1.0

        def element(n: te.Var, k: te.Var, h: te.Var, w: te.Var) -> te.Expr:
            y, x = (spread(i, c) for i, c in zip((h, w), self.target_shape, strict=True))
            return data(n, k, 0) * x + data(n, k, 1) * y + data(n, k, 2)

        return te.compute((data.shape[0], 2, *self.target_shape), element, "affine_grid")

    def _places(self) -> Array:
        """The vectors ``(x, y, 1)`` of all pixels, one a column."""
        height, width = (np.linspace(-1, 1, c) if c > 1 else np.zeros(1) for c in self.target_shape)
        y, x = np.meshgrid(height, width, indexing="ij")
        return np.stack([x.reshape(-1), y.reshape(-1), np.ones(x.size)])

    def reference(self, data: Array) -> Array:
        grid = data.astype("float64") @ self._places()
        return grid.reshape(data.shape[0], 2, *self.target_shape).astype(data.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        batch = known_shape(self.name, data)[0]
        pixels = self.target_shape[0] * self.target_shape[1]
        rows = reshaped(grad, (batch * 2, pixels))
        back = make("nn.dense", rows, matrix_of(self._places(), data))
        return (reshaped(back, (batch, 2, 3)),)


@operator("image.grid_sample", inputs=("data", "grid"), pattern=Pattern.INJECTIVE, level=5)
class GridSample(Operator):
    """Images (N, C, H, W) or volumes (N, C, D, H, W) read at the positions in `grid`.

    `grid` is (N, 2, H', W') or (N, 3, D', H', W'): x, y and, for volumes, z, each from -1 to 1.
    These are the centres of the outermost pixels with `align_corners`, else their outer edges.
    `method` is ``nearest`` (halves to the even pixel), ``bilinear`` (all axes) or ``bicubic``
    (images only, Keys' kernel with -3/4). Outside the data `padding_mode` says ``zeros``,
    ``border`` (the nearest pixel) or ``reflection`` (mirrored at the ends). A position that is not
    a number gives NaN when blending, the first pixel (``zeros``: zero) when not. As in PyTorch's
    ``grid_sample``.
    """

    method: str = "bilinear"
    layout: str = "NCHW"
    padding_mode: str = "zeros"
    align_corners: bool = True

    def __post_init__(self) -> None:
        choices = (
            ("method", ("nearest", "bilinear", "bicubic")),
            ("layout", ("NCHW", "NCDHW")),
            ("padding_mode", ("zeros", "border", "reflection")),
        )
        for name, known in choices:
            if getattr(self, name) not in known:
                accepted = ", ".join(known)
                raise ValueError(f"{name} must be one of {accepted}, found {getattr(self, name)!r}")
        if self.layout == "NCDHW" and self.method == "bicubic":
            raise ValueError("volumes cannot be sampled with the method bicubic; use bilinear")

    def infer(self, data: Type, grid: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        g = expect_kind(self.name, "grid", grid, "float")
        rank = len(self.layout)
        if not len(x.shape) == len(g.shape) == rank or not dims_agree(g.shape[1], rank - 2):
            raise TypeInferenceError(
                f"{self.name}: for the layout {self.layout} expected data of rank {rank} and a "
                f"grid of rank {rank} whose second size is {rank - 2}, found {x} and {g}"
            )
        empty = [d for d in x.shape[2:] if d == 0]
        if empty:
            raise TypeInferenceError(f"{self.name}: {x} has no pixels")
        batch = unify_dim(self.name, x.shape[0], g.shape[0], "the batches of data and grid")
        return TensorType((batch, x.shape[1], *g.shape[2:]), x.dtype)

    def compute(self, data: te.Tensor, grid: te.Tensor) -> te.Tensor:
        sizes = data.shape[2:]
        rank = len(sizes)
        dtype = blend_dtype(data.dtype)

        def element(*i: te.Var) -> te.Expr:
            taps: list[list[tuple[te.Expr, te.Expr | None]]] = []
            for k, size in enumerate(sizes):
                # The first coordinate is that of the last axis.
                place = te.cast(grid(i[0], rank - 1 - k, *i[2:]), dtype)
                taps.append(self._taps(place, te.as_expr(size, te.INDEX), dtype))
            total: te.Expr | None = None
            for chosen in itertools.product(*taps):
                value = te.cast(self._pixel(data, i, [at for at, _ in chosen]), dtype)
                for _, weight in chosen:
                    value = value if weight is None else value * weight
                total = value if total is None else total + value
            assert total is not None
            return te.cast(total, data.dtype)

        return te.compute((*data.shape[:2], *grid.shape[2:]), element, "grid_sample")

    def _taps(
        self, place: te.Expr, size: te.Expr, dtype: str
    ) -> list[tuple[te.Expr, te.Expr | None]]:
        """The pixels (floating point, whole) that a coordinate is blended of, and their weights."""
        extent = te.cast(size, dtype)
        if self.align_corners:
            at = (place + 1.0) * (extent - 1.0) * 0.5
        else:
            at = (place + 1.0) * extent * 0.5 - 0.5
        if self.method == "bicubic":
            low = te.unary("floor", at)
            weights = cubic_weights(at - low, _SAMPLE_ALPHA)
            pixels = [self._settled(low + float(k), extent) for k in (-1, 0, 1, 2)]
            return list(zip(pixels, weights, strict=True))
        at = self._settled(at, extent)
        if self.method == "nearest":
            return [(te.unary("round", at), None)]
        low = te.unary("floor", at)
        return [(low, 1.0 - (at - low)), (low + 1.0, at - low)]

    def _settled(self, at: te.Expr, extent: te.Expr) -> te.Expr:
        """A position as the padding moves it."""
        if self.padding_mode == "zeros":
            return at
        if self.padding_mode == "reflection":
            low = te.const(0.0 if self.align_corners else -0.5, at.dtype)
            span = extent - 1.0 if self.align_corners else extent
            # One there-and-back is two spans; an axis of one pixel has no span.
            period = te.maximum(span * 2.0, 1.0)
            moved = te.unary("abs", at - low)
            moved = moved - te.unary("floor", moved / period) * period
            at = te.minimum(moved, span * 2.0 - moved) + low
        return te.clamp(at, 0.0, extent - 1.0)

    def _pixel(self, data: te.Tensor, i: Sequence[te.Var], places: Sequence[te.Expr]) -> te.Expr:
        """The pixel at `places`, zero outside."""
        bounds: list[te.Expr] = []
        indices: list[te.Expr] = []
        for at, size in zip(places, data.shape[2:], strict=True):
            last = te.as_expr(size - 1, te.INDEX)
            limit = te.cast(last, at.dtype)
            bounds.append(te.both(at >= 0.0, at <= limit))
            # Kept within the data as a number: a conversion of NaN or 1e30 says nothing.
            index = te.select(at >= 0.0, te.minimum(at, limit), te.const(0.0, at.dtype))
            indices.append(te.clamp(te.cast(index, te.INDEX), 0, last))
        value = data(i[0], i[1], *indices)
        if self.padding_mode != "zeros":
            return value
        return te.select(te.both(*bounds), value, te.const(0.0, data.dtype))

    def reference(self, data: Array, grid: Array) -> Array:
        sizes = data.shape[2:]
        rank = len(sizes)
        taps: list[tuple[Array, Array]] = []
        for k, size in enumerate(sizes):
            place = grid[:, rank - 1 - k].astype("float64")
            at = (
                (place + 1) * (size - 1) / 2 if self.align_corners else (place + 1) * size / 2 - 0.5
            )
            taps.append(self._reference_taps(at, size))
        total = np.zeros((*data.shape[:2], *grid.shape[2:]))
        batch = np.arange(data.shape[0]).reshape(-1, *[1] * rank)
        for chosen in itertools.product(*(range(p.shape[-1]) for p, _ in taps)):
            places = [p[..., c] for (p, _), c in zip(taps, chosen, strict=True)]
            weight = np.prod([w[..., c] for (_, w), c in zip(taps, chosen, strict=True)], axis=0)
            within = np.ones(weight.shape, bool)
            indices: list[Array] = []
            for at, size in zip(places, sizes, strict=True):
                known = np.nan_to_num(np.clip(at, -1, size), nan=-1)
                if self.padding_mode == "zeros":
                    within &= (known >= 0) & (known <= size - 1)
                indices.append(np.clip(known, 0, size - 1).astype("int64"))
            pixels = np.moveaxis(data, 1, -1)[(batch, *indices)]
            pixels = np.where(within[..., None], pixels, 0)
            total += np.moveaxis(pixels * weight[..., None], -1, 1)
        return total.astype(data.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr, grid: Expr) -> Gradients:
        how = (self.method, self.padding_mode, self.align_corners, _SAMPLE_ALPHA)
        return grid_sample_gradients(self.name, *how, grad, data, grid)

    def _reference_taps(self, at: Array, size: int) -> tuple[Array, Array]:
        if self.method == "bicubic":
            low = np.floor(at)
            pixels = self._reference_settled(low[..., None] + np.arange(-1, 3), size)
            return pixels, reference_cubic_weights(at - low, _SAMPLE_ALPHA)
        at = self._reference_settled(at, size)
        if self.method == "nearest":
            return np.rint(at)[..., None], np.ones((*at.shape, 1))
        low = np.floor(at)
        return np.stack([low, low + 1], -1), np.stack([1 - (at - low), at - low], -1)

    def _reference_settled(self, at: Array, size: int) -> Array:
        if self.padding_mode == "zeros":
            return at
        if self.padding_mode == "reflection":
            low, high = (0.0, size - 1.0) if self.align_corners else (-0.5, size - 0.5)
            if high == low:
                at = np.where(np.isnan(at), at, 0.0)
            else:
                with np.errstate(invalid="ignore"):  # of an infinite position
                    turn = np.mod(at - low, 2 * (high - low))
                at = np.where(turn <= high - low, turn, 2 * (high - low) - turn) + low
        return np.clip(at, 0, size - 1)


@operator(
    "image.crop_and_resize",
    inputs=("data", "boxes", "box_indices"),
    pattern=Pattern.INJECTIVE,
    level=5,
)
class CropAndResize(Operator):
    """The parts of images within `boxes`, resized to `crop_size`.

    `boxes` is (boxes, 4): top, left, bottom and right, where 0 is the first row or column and 1 the
    last; `box_indices` says which image of the batch each is of. `method` is ``bilinear`` or
    ``nearest_neighbor``; outside the image is `extrapolation_value`. An index outside the batch is
    an error in the interpreter; compiled code takes the nearest image.
    """

    crop_size: tuple[int, ...]
    layout: str = "NCHW"
    method: str = "bilinear"
    extrapolation_value: float = 0.0
    out_dtype: str = ""

    missing: ClassVar[dict[str, str]] = {
        "gradient": "it is made for looking at images, not for training"
    }

    def __post_init__(self) -> None:
        put_ints(self, "crop_size")
        put_dtype(self, "out_dtype")
        if len(self.crop_size) != 2 or min(self.crop_size) < 1:
            raise ValueError(f"crop_size must be a height and a width, found {self.crop_size}")
        if self.method not in ("bilinear", "nearest_neighbor"):
            raise ValueError(f"method must be bilinear or nearest_neighbor, found {self.method!r}")

    def parsed_layout(self) -> Layout:
        """The layout, checked: all axes are whole."""
        layout = spatial_layout(self.name, "layout", self.layout, "HW")
        if layout.is_blocked:
            raise TypeInferenceError(f"{self.name} takes no blocked layout, found {layout}")
        return layout

    def infer(self, data: Type, boxes: Type, box_indices: Type) -> Type:
        x = expect_kind(self.name, "data", data, "number")
        b = expect_kind(self.name, "boxes", boxes, "float")
        which = expect_kind(self.name, "box_indices", box_indices, "integer")
        if len(b.shape) != 2 or not dims_agree(b.shape[1], 4) or len(which.shape) != 1:
            raise TypeInferenceError(
                f"{self.name}: expected boxes of (boxes, 4) and a vector of indices, found {b} and "
                f"{which}"
            )
        count = unify_dim(self.name, b.shape[0], which.shape[0], "the numbers of boxes and indices")
        layout = self.parsed_layout()
        sizes = layout.extents(x.shape)
        empty = [c for c in "NHW" if sizes[c] == 0]
        if empty and count != 0:
            raise TypeInferenceError(f"{self.name}: there is nothing to cut out of {x}")
        height, width = self.crop_size
        shape = layout.shape({**sizes, "N": count, "H": height, "W": width})
        return TensorType(shape, self.out_dtype or x.dtype)

    def compute(self, data: te.Tensor, boxes: te.Tensor, box_indices: te.Tensor) -> te.Tensor:
        layout = self.parsed_layout()
        n, h, w = (layout.position(c) for c in "NHW")
        shape: list[te.Dim] = list(data.shape)
        shape[n], shape[h], shape[w] = boxes.shape[0], *self.crop_size
        dtype = self.out_dtype or data.dtype
        blend = blend_dtype(data.dtype)

        def place(index: te.Expr, box: te.Expr, side: int, size: te.Dim, count: int) -> te.Expr:
            start = te.cast(boxes(box, side), blend)
            end = te.cast(boxes(box, side + 2), blend)
            last = te.cast(te.as_expr(size - 1, te.INDEX), blend)
            if count == 1:
                return (start + end) * 0.5 * last
            return start * last + te.cast(index, blend) * ((end - start) * last / (count - 1.0))

        def element(*i: te.Var) -> te.Expr:
            box = i[n]
            image = inside(box_indices(box), data.shape[n])
            places = [
                place(i[p], box, side, data.shape[p], count)
                for side, (p, count) in enumerate(zip((h, w), self.crop_size, strict=True))
            ]

            def pixel(row: te.Expr, column: te.Expr) -> te.Expr:
                at: list[te.Expr] = list(i)
                at[n] = image
                for p, index in ((h, row), (w, column)):
                    at[p] = inside(index, data.shape[p])
                return data(*at)

            lasts = [te.cast(te.as_expr(data.shape[p] - 1, te.INDEX), blend) for p in (h, w)]
            bounds = [
                te.both(at >= 0.0, at <= last) for at, last in zip(places, lasts, strict=True)
            ]
            known = [te.select(b, at, 0.0) for b, at in zip(bounds, places, strict=True)]
            if self.method == "nearest_neighbor":
                y, x = (te.unary("floor", at + 0.5) for at in known)
                value = te.cast(pixel(y, x), dtype)
            else:
                (y, dy), (x, dx) = ((f := te.unary("floor", at), at - f) for at in known)
                above, below = (
                    te.cast(pixel(r, x), blend) * (1.0 - dx)
                    + te.cast(pixel(r, x + 1.0), blend) * dx
                    for r in (y, y + 1.0)
                )
                value = te.cast(above * (1.0 - dy) + below * dy, dtype)
            beyond = te.const(self.extrapolation_value, dtype)
            return te.select(te.both(*bounds), value, beyond)

        return te.compute(shape, element, "crop_and_resize")

    def reference(self, data: Array, boxes: Array, box_indices: Array) -> Array:
        layout = self.parsed_layout()
        x = to_primal(data, layout, "NCHW")
        check_inside(self.name, box_indices, x.shape[0])
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else data.dtype
        result = np.full((len(boxes), x.shape[1], *self.crop_size), self.extrapolation_value, dtype)
        for k, (box, image) in enumerate(zip(boxes.astype("float64"), box_indices, strict=True)):
            places = [
                np.linspace(box[s], box[s + 2], count) * (size - 1)
                if count > 1
                else np.array([(box[s] + box[s + 2]) / 2 * (size - 1)])
                for s, (count, size) in enumerate(zip(self.crop_size, x.shape[2:], strict=True))
            ]
            for (r, y), (s, z) in itertools.product(*map(enumerate, places)):
                if not (0 <= y <= x.shape[2] - 1 and 0 <= z <= x.shape[3] - 1):
                    continue
                result[k, :, r, s] = self._reference_pixel(x[image], y, z).astype(dtype)
        return from_primal(result, "NCHW", layout)

    def _reference_pixel(self, image: Array, y: float, x: float) -> Array:
        """All channels of one image at a position within it."""
        if self.method == "nearest_neighbor":
            return np.asarray(image[:, int(np.floor(y + 0.5)), int(np.floor(x + 0.5))])
        top, left = int(np.floor(y)), int(np.floor(x))
        bottom, right = min(top + 1, image.shape[1] - 1), min(left + 1, image.shape[2] - 1)
        dy, dx = y - top, x - left
        above = image[:, top, left] * (1 - dx) + image[:, top, right] * dx
        below = image[:, bottom, left] * (1 - dx) + image[:, bottom, right] * dx
        return np.asarray(above * (1 - dy) + below * dy)
