"""Images: resizing, reading at computed positions, morphology.

``relay.image.resize2d(data, (224, 224))`` makes a call of `Resize2D`; `relay.op.functions` says how
the functions take their arguments.
"""

from relay.ir.expr import Expr
from relay.op.functions import function
from relay.op.image.decode import decode
from relay.op.image.dilation import Dilation2D
from relay.op.image.dynamic import DynResize2D, resize2d
from relay.op.image.resize import Resize1D, Resize2D, Resize3D
from relay.op.image.sampling import AffineGrid, CropAndResize, GridSample
from relay.op.shapes import Ints

resize1d = function(Resize1D)
resize3d = function(Resize3D)
crop_and_resize = function(CropAndResize, own_dtype=("boxes", "box_indices"))
dilation2d = function(Dilation2D)
affine_grid = function(AffineGrid)
grid_sample = function(GridSample)

_OLD_METHODS = {"bilinear": "linear", "bicubic": "cubic"}


def resize(
    data: Expr,
    size: Ints | Expr,
    layout: str = "NCHW",
    method: str = "bilinear",
    coordinate_transformation_mode: str | bool = "half_pixel",
    rounding_method: str = "",
    bicubic_alpha: float = -0.5,
    bicubic_exclude: int = 0,
    out_dtype: str | None = None,
    align_corners: bool | None = None,
) -> Expr:
    """`resize2d` under its name of Relay 0.5 to 0.7, with ``bilinear`` and ``bicubic``.

    There the fifth argument, or `align_corners`, said whether corners are aligned.
    """
    mode = coordinate_transformation_mode if align_corners is None else align_corners
    if isinstance(mode, bool):
        mode = "align_corners" if mode else "asymmetric"
    return resize2d(
        data,
        size,
        layout=layout,
        method=_OLD_METHODS.get(method, method),
        coordinate_transformation_mode=mode,
        rounding_method=rounding_method,
        cubic_alpha=bicubic_alpha,
        cubic_exclude=bicubic_exclude,
        out_dtype=out_dtype,
    )


__all__ = [
    "AffineGrid",
    "CropAndResize",
    "Dilation2D",
    "DynResize2D",
    "GridSample",
    "Resize1D",
    "Resize2D",
    "Resize3D",
    "affine_grid",
    "crop_and_resize",
    "decode",
    "dilation2d",
    "grid_sample",
    "resize",
    "resize1d",
    "resize2d",
    "resize3d",
]
