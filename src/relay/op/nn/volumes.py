"""Enlarging volumes."""

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.gradients import known_shape, mapped_along
from relay.op.nn.common import follow_data_layout, from_primal, spatial_layout, to_primal
from relay.op.resampling import Resampling, blend_dtype, resized
from relay.op.shapes import expect_kind
from relay.support.errors import TypeInferenceError, UnsupportedError

_WHOLE = (0.0, 1.0)


@operator("nn.upsampling3d", inputs=("data",), pattern=Pattern.INJECTIVE, level=2)
class Upsampling3D(Operator):
    """Enlarge depth, height and width by `scale_d`, `scale_h` and `scale_w`.

    `method` ``nearest_neighbor`` repeats elements, ``trilinear`` blends the eight neighbours. Where
    an element of the result lies in the data is said by `coordinate_transformation_mode`:
    ``half_pixel``, ``align_corners`` or ``asymmetric``, as in `image.resize3d`.
    """

    scale_d: float = 1.0
    scale_h: float = 1.0
    scale_w: float = 1.0
    layout: str = "NCDHW"
    method: str = "nearest_neighbor"
    coordinate_transformation_mode: str = "half_pixel"

    def __post_init__(self) -> None:
        modes = ("half_pixel", "align_corners", "asymmetric")
        if self.method not in ("nearest_neighbor", "trilinear"):
            raise TypeInferenceError(
                f"{self.name}: method must be nearest_neighbor or trilinear, found {self.method!r}"
            )
        if self.coordinate_transformation_mode not in modes:
            raise TypeInferenceError(
                f"{self.name}: coordinate_transformation_mode must be one of {', '.join(modes)}, "
                f"found {self.coordinate_transformation_mode!r}"
            )
        if min(self.scale_d, self.scale_h, self.scale_w) <= 0:
            raise TypeInferenceError(f"{self.name}: the scales must be positive")

    def parsed_layout(self) -> Layout:
        """The layout, checked: depth, height and width are whole."""
        return spatial_layout(self.name, "layout", self.layout, "DHW")

    def _scales(self) -> dict[str, float]:
        return {"D": self.scale_d, "H": self.scale_h, "W": self.scale_w}

    def _resampling(self) -> Resampling:
        mode = self.coordinate_transformation_mode
        rounding = "round" if mode == "align_corners" else "floor"
        method = "linear" if self.method == "trilinear" else self.method
        return Resampling(method, mode, rounding, -0.5, False)

    def infer(self, data: Type) -> Type:
        kind = "float" if self.method == "trilinear" else "any"
        x = expect_kind(self.name, "data", data, kind)
        layout = self.parsed_layout()
        sizes: dict[str, Dim] = layout.extents(x.shape)
        for c, scale in self._scales().items():
            size = sizes[c]
            if size == 0:
                raise TypeInferenceError(f"{self.name}: {x} has no elements along {c}")
            if isinstance(size, int):
                sizes[c] = round(size * scale)
            elif scale != 1:
                sizes[c] = Any()
        return TensorType(layout.shape(sizes), x.dtype)

    def _grown(self, size: te.Dim, scale: float) -> te.Dim:
        if isinstance(size, int):
            return round(size * scale)
        if not float(scale).is_integer():
            raise UnsupportedError(
                f"{self.name}: a size that is unknown before run time needs an integer scale"
            )
        return size * int(scale)

    def compute(self, data: te.Tensor) -> te.Tensor:
        layout, how, value = self.parsed_layout(), self._resampling(), data
        blend = data.dtype if self.method == "nearest_neighbor" else blend_dtype(data.dtype)
        for c, scale in self._scales().items():
            axis = layout.position(c)
            size = data.shape[axis]
            count = self._grown(size, scale)
            if not how.is_identity(size, count):
                value = resized(value, axis, count, _WHOLE, how, blend)
        return te.compute(value.shape, lambda *i: te.cast(value(*i), data.dtype), "upsampling3d")

    def reference(self, data: Array) -> Array:
        layout, how = self.parsed_layout(), self._resampling()
        x = to_primal(data, layout, "NCDHW")
        if self.method != "nearest_neighbor":
            x = x.astype("float64")
        for axis, scale in enumerate(self._scales().values(), start=2):
            x = how.reference(x, axis, round(x.shape[axis] * scale), _WHOLE)
        return from_primal(x.astype(data.dtype), "NCDHW", layout)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        layout, shape, value = self.parsed_layout(), known_shape(self.name, data), grad
        for c, scale in self._scales().items():
            axis = layout.position(c)
            matrix = self._resampling().matrix(shape[axis], round(shape[axis] * scale), _WHOLE)
            value = mapped_along(value, axis, matrix.T)
        return (value,)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout in which depth, height and width are whole."""
        return follow_data_layout(self, incoming[0], "DHW")
