"""Arrays as records: the binary form that TVM gives an array in files and in metadata.

A record is, in little-endian numbers: a magic number, a reserved one, kind and number of the device
(always the CPU), rank, data type (class, bits, lanes), shape, size of the elements in bytes, and
the elements in row-major order. Text, which TVM has no class for, is an "opaque" of 0 bits; its
elements are as `relay.runtime.text` writes them.
"""

import math
import struct
from typing import Final

import numpy as np

from relay import dtypes
from relay.runtime.ndarray import NDArray
from relay.runtime.text import as_text, decode, encode
from relay.support.errors import ArtifactError

ARRAY_MAGIC: Final = 0xDD5E40F096B4A13F
MAX_RANK: Final = 64
LEAST: Final = 40
"""A record has at least so many bytes: those of the scalar, without its element."""


_HEAD: Final = struct.Struct("<QQiiiBBH")
_CLASSES: Final = {0: "int", 1: "uint", 2: "float", 4: "bfloat"}
_NUMBERS: Final = {name: number for number, name in _CLASSES.items()}
#: The small floats are classes of their own, with the numbers that DLPack has for them.
_SMALL: Final = {
    (10, 8): "float8_e4m3fn",
    (11, 8): "float8_e4m3fnuz",
    (12, 8): "float8_e5m2",
    (13, 8): "float8_e5m2fnuz",
    (14, 8): "float8_e8m0fnu",
    (17, 4): "float4_e2m1fn",
}
_SMALL_NUMBERS: Final = {name: key for key, name in _SMALL.items()}
_CPU: Final = 1
#: Class and bits of text.
_TEXT: Final = (3, 0)


def write_record(array: NDArray) -> bytes:
    """The record of `array`."""
    name = array.dtype
    if name == dtypes.STRING:
        return _record(array.shape, *_TEXT, encode(as_text(array.numpy())))
    bits = dtypes.width(name)
    if name in _SMALL_NUMBERS:
        number, bits = _SMALL_NUMBERS[name]
    else:
        number = _NUMBERS["uint" if name == "bool" else name.rstrip("0123456789")]
    storage = dtypes.to_numpy(name).newbyteorder("<")
    elements = np.ascontiguousarray(array.numpy(), storage).tobytes()
    return _record(array.shape, number, bits, elements)


def _record(shape: tuple[int, ...], number: int, bits: int, elements: bytes) -> bytes:
    head = _HEAD.pack(ARRAY_MAGIC, 0, _CPU, 0, len(shape), number, bits, 1)
    return head + struct.pack(f"<{len(shape) + 1}q", *shape, len(elements)) + elements


def read_record(data: bytes, start: int, where: str) -> tuple[NDArray, int]:
    """The array whose record begins at byte `start` of `data`, and where the record ends.

    `where` says in errors whose record it is. Sizes that it declares are compared with what is
    there before anything is allocated. Raises `ArtifactError` when it is no record, ends too early
    or holds a type of data that there is none of here.
    """
    at = _end(data, start, _HEAD.size, f"the head of {where}")
    magic, _, _, _, rank, number, bits, lanes = _HEAD.unpack_from(data, start)
    if magic != ARRAY_MAGIC or not 0 <= rank <= MAX_RANK:
        raise ArtifactError(f"{where} is no array")
    dtype = "bool" if (number, bits) == (1, 1) else f"{_CLASSES.get(number, '?')}{bits}"
    dtype = _SMALL.get((number, bits), dtype)
    text = (number, bits) == _TEXT
    if not (text or dtype in dtypes.NAMES) or lanes != 1:
        raise ArtifactError(f"{where} has a data type that cannot be read: {dtype}x{lanes}")
    begin = _end(data, at, 8 * (rank + 1), f"the shape of {where}")
    *shape, size = struct.unpack_from(f"<{rank + 1}q", data, at)
    if text:
        end = _end(data, begin, max(0, size), f"the data of {where}")
        return NDArray(decode(memoryview(data)[begin:end], shape)), end
    wanted = math.prod(shape) * dtypes.itemsize(dtype)
    if min(shape, default=0) < 0 or size != wanted:
        raise ArtifactError(
            f"{where} is declared {dtype} of shape {tuple(shape)}, which takes {wanted} bytes, "
            f"but its data are said to take {size}"
        )
    end = _end(data, begin, size, f"the data of {where}")
    storage = dtypes.to_numpy(dtype)
    elements = np.frombuffer(memoryview(data)[begin:end], storage.newbyteorder("<"))
    try:
        return NDArray(elements.astype(storage).reshape(shape), dtype), end
    except ValueError:  # a size of zero lets others be too large for NumPy
        raise ArtifactError(f"{where} has a shape that is too large: {tuple(shape)}") from None


def _end(data: bytes, start: int, size: int, what: str) -> int:
    """Where `what` ends, which begins at `start` and takes `size` bytes."""
    if size > len(data) - start:
        raise ArtifactError(
            f"{what} ends too early: it takes {size} bytes, but only {len(data) - start} are left"
        )
    return start + size


__all__ = ["read_record", "write_record"]
