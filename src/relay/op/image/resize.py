"""Resizing images: one axis after the other, by any of the coordinate systems in use.

Positions in the data are fractions of integers as long as no region of interest is given, so that
which pixel is the nearest one does not depend on rounding errors.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import converted, known_shape, mapped_along
from relay.op.nn.common import follow_data_layout, from_primal, spatial_layout, to_primal
from relay.op.resampling import METHODS, MODES, ROUNDINGS, Resampling, blend_dtype, resized
from relay.op.shapes import put, put_dtype, put_ints, reference_dtype
from relay.support.errors import TypeInferenceError


class _Resize(Operator):
    """Base of the resizing of all spatial axes of images."""

    spatial: ClassVar[str]

    size: tuple[int, ...]
    roi: tuple[float, ...] | None
    layout: str
    method: str
    coordinate_transformation_mode: str
    rounding_method: str
    cubic_alpha: float
    cubic_exclude: int
    extrapolation_value: float
    out_dtype: str

    def __post_init__(self) -> None:
        rank = len(self.spatial)
        put_ints(self, "size")
        if len(self.size) == 1:
            put(self, "size", self.size * rank)
        if len(self.size) != rank or min(self.size) < 1:
            raise ValueError(f"size must be {rank} positive integers, found {self.size}")
        choices = (
            ("method", METHODS),
            ("coordinate_transformation_mode", MODES),
            ("rounding_method", ROUNDINGS),
        )
        for name, known in choices:
            if getattr(self, name) not in known:
                accepted = ", ".join(repr(k) for k in known)
                raise ValueError(f"{name} must be one of {accepted}, found {getattr(self, name)!r}")
        put(self, "roi", _region(self.roi, rank))
        if self.roi is None and self.coordinate_transformation_mode == "tf_crop_and_resize":
            put(self, "roi", (0.0,) * rank + (1.0,) * rank)
        put(self, "cubic_exclude", int(self.cubic_exclude))
        put_dtype(self, "out_dtype")

    def parsed_layout(self) -> Layout:
        """The layout, checked: the spatial axes are whole."""
        return spatial_layout(self.name, "layout", self.layout, self.spatial)

    def _resampling(self) -> Resampling:
        mode = self.coordinate_transformation_mode
        rounding = self.rounding_method or ("round" if mode == "align_corners" else "floor")
        exclude = bool(self.cubic_exclude)
        return Resampling(self.method, mode, rounding, self.cubic_alpha, exclude)

    def _spans(self) -> list[tuple[float, float]]:
        rank = len(self.spatial)
        region = self.roi or (0.0,) * rank + (1.0,) * rank
        return [(region[k], region[rank + k]) for k in range(rank)]

    @property
    def _extrapolates(self) -> bool:
        return self.coordinate_transformation_mode == "tf_crop_and_resize"

    def infer(self, data: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        layout = self.parsed_layout()
        if x.dtype == "bool" and self.method != "nearest_neighbor":
            raise TypeInferenceError(
                f"{self.name}: {x} cannot be blended; use nearest_neighbor, or convert it"
            )
        sizes: dict[str, Dim] = layout.extents(x.shape)
        for c, size in zip(self.spatial, self.size, strict=True):
            if sizes[c] == 0:
                raise TypeInferenceError(f"{self.name}: {x} has no pixels along {c}")
            sizes[c] = size
        return TensorType(layout.shape(sizes), self.out_dtype or x.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        layout, how = self.parsed_layout(), self._resampling()
        out_dtype = self.out_dtype or data.dtype
        blend = data.dtype if self.method == "nearest_neighbor" else blend_dtype(data.dtype)
        value = data
        outside: list[tuple[int, te.Dim, int, tuple[float, float]]] = []
        for c, count, span in zip(self.spatial, self.size, self._spans(), strict=True):
            axis = layout.position(c)
            size = data.shape[axis]
            outside.append((axis, size, count, span))
            if not how.is_identity(size, count):
                value = resized(value, axis, count, span, how, blend)

        def element(*i: te.Var) -> te.Expr:
            pixel = te.cast(value(*i), out_dtype)
            if not self._extrapolates:
                return pixel
            beyond: te.Expr = te.const(False, te.BOOL)
            for axis, size, count, span in outside:
                at, _ = how.position(i[axis], size, count, span)
                last = te.cast(te.as_expr(size - 1, te.INDEX), "float32")
                beyond = te.either(beyond, te.either(at < 0.0, at > last))
            return te.select(beyond, te.const(self.extrapolation_value, out_dtype), pixel)

        return te.compute(value.shape, element, self.name.rpartition(".")[2])

    def reference(self, data: Array) -> Array:
        layout, how = self.parsed_layout(), self._resampling()
        letters = "NC" + self.spatial
        x = to_primal(data, layout, letters)
        if self.method != "nearest_neighbor":
            x = x.astype("float64")
        for axis, (count, span) in enumerate(zip(self.size, self._spans(), strict=True), start=2):
            x = how.reference(x, axis, count, span)
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else data.dtype
        x = x.astype(dtype)
        for axis, inside in self._inside([data.shape[layout.position(c)] for c in self.spatial]):
            along = [1] * x.ndim
            along[axis] = -1
            x = np.where(inside.reshape(along), x, dtype.type(self.extrapolation_value))
        return from_primal(x, letters, layout)

    def _inside(self, sizes: Sequence[int]) -> list[tuple[int, Array]]:
        """Which elements along the axes of a primal layout are not extrapolated."""
        if not self._extrapolates:
            return []
        how, found = self._resampling(), []
        for k, (size, count, span) in enumerate(zip(sizes, self.size, self._spans(), strict=True)):
            at = how.reference_positions(size, count, span).astype("float32")
            found.append((2 + k, (at >= 0) & (at <= size - 1)))
        return found

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        layout, shape = self.parsed_layout(), known_shape(self.name, data)
        how, value = self._resampling(), converted(grad, data)
        sizes = [shape[layout.position(c)] for c in self.spatial]
        inside = dict(self._inside(sizes))
        for k, (size, count, span) in enumerate(zip(sizes, self.size, self._spans(), strict=True)):
            matrix = how.matrix(size, count, span)
            if 2 + k in inside:
                matrix *= inside[2 + k][:, None]
            value = mapped_along(value, layout.position(self.spatial[k]), matrix.T)
        return (value,)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout in which the spatial axes are whole."""
        return follow_data_layout(self, incoming[0], self.spatial)


def _region(value: Sequence[float] | None, rank: int) -> tuple[float, ...] | None:
    """A region of interest as numbers; nothing at all, or no number, is none."""
    if value is None:
        return None
    found = tuple(float(v) for v in value)
    if not found:
        return None
    if len(found) != 2 * rank:
        raise ValueError(f"roi must be {2 * rank} numbers, {rank} starts and {rank} ends")
    return found


@operator("image.resize1d", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class Resize1D(_Resize):
    """Sequences of samples resized to `size`; the attributes are those of `Resize2D`."""

    spatial = "W"
    size: tuple[int, ...]
    roi: tuple[float, ...] | None = None
    layout: str = "NCW"
    method: str = "linear"
    coordinate_transformation_mode: str = "half_pixel"
    rounding_method: str = ""
    cubic_alpha: float = -0.5
    cubic_exclude: int = 0
    extrapolation_value: float = 0.0
    out_dtype: str = ""


@operator("image.resize2d", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class Resize2D(_Resize):
    """Images resized to `size`, height and width.

    `method` is ``nearest_neighbor``, ``linear`` or ``cubic`` (Keys' kernel with `cubic_alpha`;
    with `cubic_exclude` pixels outside weigh nothing and the others more). Where element ``i`` of
    ``n`` lies in ``m`` pixels is said by `coordinate_transformation_mode`: ``half_pixel``
    ``(i + 1/2) m / n - 1/2``, ``pytorch_half_pixel`` the same, or 0 for one element,
    ``align_corners`` ``i (m - 1) / (n - 1)``, ``asymmetric`` ``i m / n``, ``tf_half_pixel_for_nn``
    ``(i + 1/2) m / n``, and ``tf_crop_and_resize`` evenly within the region of interest `roi`
    (starts, then ends, of a whole of 1), with `extrapolation_value` outside the image.
    `rounding_method` chooses the nearest pixel: ``round`` and ``round_prefer_ceil`` (halves
    upwards), ``round_prefer_floor``, ``floor`` or ``ceil``; by default ``floor``, or ``round`` when
    corners are aligned. Pixels outside are those at the border. Integers are blended as float32 and
    rounded towards zero. Operator ``Resize`` of ONNX.
    """

    spatial = "HW"
    size: tuple[int, ...]
    roi: tuple[float, ...] | None = None
    layout: str = "NCHW"
    method: str = "linear"
    coordinate_transformation_mode: str = "half_pixel"
    rounding_method: str = ""
    cubic_alpha: float = -0.5
    cubic_exclude: int = 0
    extrapolation_value: float = 0.0
    out_dtype: str = ""


@operator("image.resize3d", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class Resize3D(_Resize):
    """Volumes resized to `size`, depth, height and width; attributes are those of `Resize2D`."""

    spatial = "DHW"
    size: tuple[int, ...]
    roi: tuple[float, ...] | None = None
    layout: str = "NCDHW"
    method: str = "linear"
    coordinate_transformation_mode: str = "half_pixel"
    rounding_method: str = ""
    cubic_alpha: float = -0.5
    cubic_exclude: int = 0
    extrapolation_value: float = 0.0
    out_dtype: str = ""
