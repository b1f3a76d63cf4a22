"""Memory aligned as compiled code expects it."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.support.errors import RelayError

#: Bytes that every buffer's address is a multiple of: a cache line, and the widest vector.
ALIGNMENT = 64


def aligned_empty(shape: Sequence[int], dtype: str) -> npt.NDArray[np.generic]:
    """An uninitialised C-contiguous array of a relay data type, aligned to `ALIGNMENT`.

    Text has no address that anybody could use: it comes as an array of empty texts. Raises
    `RelayError` when there is not so much memory.
    """
    if dtype == dtypes.STRING:
        return np.full(tuple(shape), "", object)
    storage = dtypes.to_numpy(dtype)
    nbytes = math.prod(shape) * storage.itemsize
    try:
        raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    except (MemoryError, ValueError) as error:  # more than there is, more than an array may have
        raise RelayError(f"{nbytes} bytes of memory are not to be had: {error}") from error
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes].view(storage).reshape(tuple(shape))


def is_aligned(array: npt.NDArray[np.generic]) -> bool:
    """Whether compiled code can use the memory of `array` as it is."""
    return array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0


def owned(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """`array`, or a copy of it where it would keep more memory alive than it shows.

    A transposed or reshaped view of a whole array stays a view.
    """
    owner: object = array.base
    if isinstance(owner, np.ndarray):
        return array if owner.nbytes <= array.nbytes + ALIGNMENT else array.copy()
    return array if owner is None else array.copy()
