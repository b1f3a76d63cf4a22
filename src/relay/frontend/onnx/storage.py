"""Files that hold weights: read when somebody asks for the elements, not when they are imported.

A compiler asks for most weights once, to bring them into the layout of its kernels, and no two
copies of all of them need to be in memory for that. Files are read and not mapped into memory: a
file that somebody shortens is an error here, where it would end the process there.
"""

import math
import os
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from relay import codes, dtypes
from relay.frontend.onnx.tensors import declared_bytes, element_type, is_packed, packed_bytes
from relay.runtime.memory import aligned_empty
from relay.runtime.ndarray import NDArray
from relay.support.errors import ImportModelError

#: Tensors of fewer bytes are read at once.
_LARGE: Final = 1 << 16
#: A file may be written anew without showing it when it was written less than this [s] ago: that is
#: how coarse the times of some file systems are. So is one that is being worked on.
_SETTLED_AFTER: Final = 2.0
#: Whether a file can be read at any place, and be removed while it is open.
_CAN_WAIT: Final = hasattr(os, "preadv")


class WeightFile:
    """The regular file `path`, open as the descriptor `file`, which is duplicated.

    It stays open as long as there is an array whose elements are read from it later.
    """

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self._file = os.dup(file)
        weakref.finalize(self, os.close, self._file)
        status = os.fstat(self._file)
        self.size = status.st_size
        self._written = status.st_mtime_ns
        self._may_wait = _CAN_WAIT and time.time() - status.st_mtime > _SETTLED_AFTER

    def tensor(self, tensor: TensorProto, offset: int) -> NDArray:
        """The value of `tensor`, whose raw data start at `offset`: a large one is read later.

        Raises `ImportModelError` when the file has changed in between, or ends too early.
        """
        size = declared_bytes(tensor)
        dtype = element_type(tensor.data_type, f"the tensor {tensor.name!r}")
        shape = tuple(tensor.dims)
        if offset + size > self.size:
            raise ImportModelError(f"{self.path} ends within the data of {tensor.name!r}")
        if size < _LARGE or not self._may_wait:
            return NDArray(self._read(shape, dtype, offset), dtype)
        return NDArray.deferred(shape, dtype, lambda: self._read(shape, dtype, offset))

    def _read(self, shape: Sequence[int], dtype: str, offset: int) -> npt.NDArray[np.generic]:
        """The elements at `offset`, in memory of their own."""
        packed = is_packed(dtype)
        count = packed_bytes(math.prod(shape), dtype)
        elements = aligned_empty((count,), "uint8") if packed else aligned_empty(shape, dtype)
        try:
            found = _fill(self._file, elements.reshape(-1).view(np.uint8).data, offset)
            status = os.fstat(self._file)
        except OSError as error:
            raise ImportModelError(f"{self.path} cannot be read: {error.strerror}") from None
        if not found or (status.st_size, status.st_mtime_ns) != (self.size, self._written):
            raise ImportModelError(
                f"{self.path} has been written to since the model was imported from it, and its "
                "weights are read when they are needed; import it again, or import "
                "relay.frontend.onnx.load(path), which reads everything at once"
            )
        if packed:
            return codes.unpacked(elements.view(np.uint8), dtype, math.prod(shape)).reshape(shape)
        if dtype == "bool":
            np.not_equal(elements.view(np.uint8), 0, out=elements)
        elif sys.byteorder == "big" and dtypes.itemsize(dtype) > 1:
            elements.byteswap(inplace=True)
        return elements


def _fill(file: int, buffer: memoryview, offset: int) -> bool:
    """Fill `buffer` with what `file` has at `offset`; False where the file ends before."""
    if not _CAN_WAIT:
        return _fill_in_place(file, buffer, offset)
    done = 0
    while done < len(buffer):
        count = os.preadv(file, [buffer[done:]], offset + done)
        if not count:
            return False
        done += count
    return True


def _fill_in_place(file: int, buffer: memoryview, offset: int) -> bool:
    """The same for systems that read where the file stands only; it is left standing there."""
    stood = os.lseek(file, 0, os.SEEK_CUR)
    os.lseek(file, offset, os.SEEK_SET)
    done = 0
    while done < len(buffer):
        part = os.read(file, len(buffer) - done)
        if not part:
            break
        buffer[done : done + len(part)] = part
        done += len(part)
    os.lseek(file, stood, os.SEEK_SET)
    return done == len(buffer)
