"""Resizing to a size that is known only at run time."""

from collections.abc import Callable, Mapping

from relay.ir import types
from relay.ir.expr import Expr, const
from relay.ir.op import Array, Operator, Pattern, attributes, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.dynamic import DynamicOperator
from relay.op.functions import Argument, as_argument
from relay.op.image.resize import Resize2D
from relay.op.nn.common import dims_agree
from relay.op.shapes import Ints, expect_kind
from relay.support.errors import RelayError, TypeInferenceError


@operator("dyn.image.resize2d", inputs=("data", "size", "roi"), pattern=Pattern.INJECTIVE, level=5)
class DynResize2D(DynamicOperator):
    """`image.resize2d` to the height and width in the vector `size`, with the region `roi`.

    `roi` is a vector of four numbers, or of none.
    """

    late = ("size", "roi")

    layout: str = "NCHW"
    method: str = "linear"
    coordinate_transformation_mode: str = "half_pixel"
    rounding_method: str = ""
    cubic_alpha: float = -0.5
    cubic_exclude: int = 0
    extrapolation_value: float = 0.0
    out_dtype: str = ""

    def __post_init__(self) -> None:
        self._with((1, 1), None)

    def _with(self, size: Ints, roi: tuple[float, ...] | None) -> Resize2D:
        return Resize2D(
            size,  # type: ignore[arg-type] # any form of integers is brought to a tuple
            roi,
            self.layout,
            self.method,
            self.coordinate_transformation_mode,
            self.rounding_method,
            self.cubic_alpha,
            self.cubic_exclude,
            self.extrapolation_value,
            self.out_dtype,
        )

    def infer(self, data: Type, size: Type, roi: Type) -> Type:
        sizes = expect_kind(self.name, "size", size, "integer")
        region = expect_kind(self.name, "roi", roi, "float")
        pair = len(sizes.shape) == 1 and dims_agree(sizes.shape[0], 2)
        whole = len(region.shape) == 1 and any(dims_agree(region.shape[0], n) for n in (0, 4))
        if not pair or not whole:
            raise TypeInferenceError(
                f"{self.name}: expected a vector of two integers for size and a vector of four "
                f"numbers, or none, for roi, found {sizes} and {region}"
            )
        same = self._with((1, 1), None)
        x = same.infer(data)
        assert isinstance(x, TensorType)
        layout = same.parsed_layout()
        shape: dict[str, Dim] = {**layout.extents(x.shape), "H": types.Any(), "W": types.Any()}
        return TensorType(layout.shape(shape), x.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        region = tuple(float(v) for v in values["roi"].reshape(-1))
        return self._with(values["size"], region)


def resize2d(
    data: Expr,
    size: Ints | Expr,
    roi: Argument | None = None,
    layout: str = "NCHW",
    method: str = "linear",
    coordinate_transformation_mode: str = "half_pixel",
    rounding_method: str = "",
    cubic_alpha: float = -0.5,
    cubic_exclude: int = 0,
    extrapolation_value: float = 0.0,
    out_dtype: str | None = None,
) -> Expr:
    """Images resized to `size`, height and width; see `Resize2D`.

    `size` and the region of interest `roi` may be expressions, which makes it `DynResize2D`.
    """
    given = (
        layout,
        method,
        coordinate_transformation_mode,
        rounding_method,
        cubic_alpha,
        cubic_exclude,
        extrapolation_value,
        out_dtype or "",
    )
    if isinstance(size, Expr) or isinstance(roi, Expr):
        region = const([0.0, 0.0, 1.0, 1.0], "float32") if roi is None else as_argument(roi)
        if not isinstance(size, Expr):
            size = const(list(size) if isinstance(size, tuple) else size, "int32")
        return DynResize2D(*given).decided([as_argument(data), size, region])
    return Resize2D.call(as_argument(data), **attributes(_static(size, roi, given)))


def _static(size: Ints, roi: object, given: tuple[object, ...]) -> Resize2D:
    """`Resize2D` from its attributes by position, in any form that it takes."""
    make: Callable[..., Resize2D] = Resize2D
    try:
        return make(size, roi, *given)
    except ValueError as error:
        raise RelayError(f"{Resize2D.name}: {error}") from error
