"""Pictures in files to tensors."""

import io
from typing import ClassVar

import numpy as np

from relay.ir.op import Array, Pattern, operator
from relay.ir.types import Any, TensorType, Type
from relay.op.functions import function
from relay.op.host import ON_HOST, HostOperator
from relay.op.shapes import expect_kind
from relay.support.errors import InputError, TypeInferenceError
from relay.support.packages import optional_package

#: What a pixel is made of -> what the package Pillow calls that.
_MODES = {"RGB": "RGB", "BGR": "RGB", "Grayscale": "L"}
_FORMATS = ("BMP", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
#: A picture may have this many pixels.
_MAX_PIXELS = 1 << 27


@operator("image.decode", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class Decode(HostOperator):
    """The picture in a file of `data` bytes: (height, width, channels) of ``uint8``.

    `pixel_format` is ``RGB``, ``BGR`` or ``Grayscale``. Files are BMP, JPEG, JPEG 2000, PNG, PNM,
    TIFF or WebP; the package Pillow reads them. Raises `InputError` for a file that is damaged or
    none of these, and `UnsupportedError` without the package. Source: ONNX ImageDecoder.
    """

    missing: ClassVar[dict[str, str]] = {
        "compute": ON_HOST,
        "gradient": "it takes the bytes of a file",
    }

    pixel_format: str = "RGB"

    def __post_init__(self) -> None:
        if self.pixel_format not in _MODES:
            raise ValueError(
                f"pixel_format must be one of {', '.join(_MODES)}, found {self.pixel_format!r}"
            )

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "integer")
        if tensor.dtype != "uint8" or len(tensor.shape) != 1:
            raise TypeInferenceError(f"{self.name}: expected a vector of uint8, found {tensor}")
        channels = 1 if self.pixel_format == "Grayscale" else 3
        return TensorType((Any(), Any(), channels), "uint8")

    def reference(self, data: Array) -> Array:
        pillow = optional_package("PIL.Image", "Pillow", "images", "decoding pictures")
        try:
            with pillow.open(io.BytesIO(data.tobytes()), formats=_FORMATS) as picture:
                if picture.width * picture.height > _MAX_PIXELS:
                    raise InputError(
                        f"{self.name}: the picture has {picture.width}x{picture.height} pixels, "
                        f"at most {_MAX_PIXELS} in all are read"
                    )
                pixels = np.asarray(picture.convert(_MODES[self.pixel_format]), np.uint8)
        except (OSError, SyntaxError, ValueError, EOFError, pillow.DecompressionBombError) as error:
            raise InputError(f"{self.name}: the data are no picture: {error}") from None
        if self.pixel_format == "Grayscale":
            return pixels[:, :, None]
        return pixels[:, :, ::-1] if self.pixel_format == "BGR" else pixels


decode = function(Decode)
