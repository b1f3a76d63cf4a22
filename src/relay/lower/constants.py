"""The constants of a program in memory that kernels can use: aligned, and packed as they want."""

import math
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.runtime.memory import ALIGNMENT, aligned_empty, is_aligned
from relay.runtime.ndarray import NDArray
from relay.runtime.threads import get_num_threads
from relay.schedule.steps import Pack

_Array: TypeAlias = npt.NDArray[np.generic]


class Constants:
    """A program's constants, each once in every form in which kernels take it."""

    def __init__(self) -> None:
        self._constants: list[_Constant] = []
        self._places: dict[Hashable, int] = {}

    def place(
        self, owner: Hashable, data: NDArray, shape: tuple[int, ...], pack: Pack | None
    ) -> int:
        """The position among `arrays` of the `data` of `owner`, in `shape` and packed by `pack`."""
        key = (owner, pack and replace(pack, buffer=""))
        if key not in self._places:
            self._places[key] = len(self._constants)
            self._constants.append(_Constant(data, shape, pack))
        return self._places[key]

    def arrays(self) -> tuple[_Array, ...]:
        """All constants; those that kernels can use as they are share their memory.

        The others are copied into one piece of memory, which the system can map in large pages: it
        takes half the time, and kernels miss fewer translations of addresses. Several threads copy
        at once, since NumPy lets the others run meanwhile; an array whose elements are read on
        demand is in memory only while it is copied.
        """
        sizes = [-(-c.copied_bytes // ALIGNMENT) * ALIGNMENT for c in self._constants]
        memory = aligned_empty((sum(sizes),), "uint8")
        start = 0
        with ThreadPoolExecutor(get_num_threads()) as threads:
            found = []
            for constant, size in zip(self._constants, sizes, strict=True):
                found.append(threads.submit(constant.array, memory[start : start + size]))
                start += size
            return tuple(f.result() for f in found)


@dataclass(frozen=True, eq=False)
class _Constant:
    """The elements of `data` in `shape`, packed by `pack`."""

    data: NDArray
    shape: tuple[int, ...]
    pack: Pack | None

    @property
    def copied_bytes(self) -> int:
        """Bytes of the copy that kernels need; 0 where they can use the elements as they are."""
        if self.pack is not None:
            return self._nbytes(self.pack.packed_shape(self.shape))
        # What is made on demand is made where kernels can use it.
        usable = self.data.is_deferred or is_aligned(self.data.numpy())
        return 0 if usable else self._nbytes(self.shape)

    def array(self, memory: _Array) -> _Array:
        """What kernels take, in `memory` where it is a copy."""
        source = self.data.numpy().reshape(self.shape)
        if self.pack is None and is_aligned(source):
            return source
        shape = self.shape if self.pack is None else self.pack.packed_shape(self.shape)
        size = self._nbytes(shape)
        memory = memory if len(memory) >= size else aligned_empty((size,), "uint8")
        copy = memory[:size].view(source.dtype).reshape(shape)
        if self.pack is None:
            np.copyto(copy, source)
            return copy
        return self.pack.reference(source, copy)

    def _nbytes(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape) * dtypes.itemsize(self.data.dtype)
