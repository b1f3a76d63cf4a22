"""Text in arrays: NumPy arrays of objects, all of them `str`, and their form in files.

In files, an array of text is the lengths of its elements in bytes, as 64-bit little-endian numbers,
and then the elements themselves in UTF-8, one after the other.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relay.support.errors import ArtifactError, InputError


def as_text(values: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """`values` as an array of `str`: itself where it is one, else a copy of NumPy's texts.

    Raises `InputError` where an element is something else.
    """
    found = np.asarray(values)
    if found.dtype != object:
        if found.dtype.kind not in "UT":
            raise InputError(f"expected text, found {found.dtype}")
        return found.astype(object)
    for element in found.flat:
        if not isinstance(element, str):
            raise InputError(f"expected text, found an element of type {type(element).__name__}")
    return found


def encode(values: npt.NDArray[np.object_]) -> bytes:
    """An array of `str` in the form it has in files.

    Raises `ArtifactError` for what has no UTF-8: halves of characters.
    """
    try:
        elements = [str(v).encode() for v in values.flat]
    except UnicodeEncodeError as error:
        raise ArtifactError(f"a text cannot be written to a file: {error}") from None
    return np.array([len(e) for e in elements], "<u8").tobytes() + b"".join(elements)


def decode(data: "bytes | memoryview", shape: Sequence[int]) -> npt.NDArray[np.object_]:
    """The array of text of `shape` in `data`, which must be that of its elements and no more.

    Raises `ArtifactError` when it is not, or not UTF-8.
    """
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * 8 > len(data):
        raise ArtifactError(
            f"text of shape {tuple(shape)} has {count} lengths, but only {len(data)} bytes are left"
        )
    lengths = [int(n) for n in np.frombuffer(data, "<u8", count)]
    if sum(lengths) != len(data) - 8 * count:
        raise ArtifactError(
            f"text of shape {tuple(shape)} is said to take {sum(lengths)} bytes, but has "
            f"{len(data) - 8 * count}"
        )
    try:
        result = np.empty(tuple(shape), object)
    except ValueError:  # a size of zero lets others be too large for NumPy
        raise ArtifactError(f"text has a shape that is too large: {tuple(shape)}") from None
    at = 8 * count
    flat = result.reshape(-1)
    for k, length in enumerate(lengths):
        try:
            flat[k] = str(data[at : at + length], "utf-8")
        except UnicodeDecodeError as error:
            raise ArtifactError(f"text is not UTF-8: {error}") from None
        at += length
    return result
