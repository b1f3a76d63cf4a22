"""Records of operators that the host carries out, and of linear algebra beyond products."""

import io

import numpy as np
from PIL import Image

from op.record import In, Record


def _picture(mode: str, format_: str) -> In:
    """The bytes of a small picture."""
    pixels = np.arange(6 * 5 * (1 if mode == "L" else 3), dtype=np.uint8) * 2
    stream = io.BytesIO()
    shape = (6, 5) if mode == "L" else (6, 5, 3)
    Image.fromarray(pixels.reshape(shape), mode).save(stream, format_)
    return In(values=np.frombuffer(stream.getvalue(), np.uint8), dtype="uint8")


_SIZES = {"infer": "the size of a picture is in its data"}
_SINGULAR = In(values=np.ones((2, 4, 4)))
_EXCHANGED = In(values=[[0.0, 2.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

RECORDS = [
    *(
        Record("image.decode", (_picture("RGB", f),), {"pixel_format": kind}, note=f, skip=_SIZES)
        for f, kind in (("PNG", "RGB"), ("BMP", "BGR"), ("TIFF", "Grayscale"))
    ),
    Record("image.decode", (_picture("L", "PNG"),), note="grey", skip=_SIZES),
    Record("random.mersenne_uniform", (In((3, 4)),), {"seed": 7.0, "low": -1.0, "high": 2.0}),
    Record("random.mersenne_uniform", (In((0, 4)),), {"seed": 7.0}, note="none"),
    Record("random.mersenne_normal", (In((3, 4)),), {"seed": 7.0, "dtype": "float64"}),
    Record("linalg.det", (In((5, 5)),), tolerance=1e-4),
    Record("linalg.det", (In((2, 3, 4, 4)),), note="batch", tolerance=1e-4),
    Record("linalg.det", (In((3, 2, 2), "float64"),), note="float64"),
    Record("linalg.det", (_SINGULAR,), note="singular"),
    Record("linalg.det", (_EXCHANGED,), note="exchanged"),
    Record("linalg.det", (In((4, 1, 1)),), note="numbers"),
    Record("linalg.det", (In((2, 0, 0)),), note="empty"),
    Record("linalg.det", (In((0, 3, 3)),), note="none"),
]
