"""Values of the virtual machine: tensors in aligned memory, tuples, data, closures, references."""

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.runtime.memory import ALIGNMENT, aligned_empty, is_aligned


@final
class Tensor:
    """An array in aligned memory, its address at hand; the NumPy view is made when asked for."""

    __slots__ = ("_array", "_raw", "address", "dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: str, nbytes: int) -> None:
        raw = np.empty(nbytes + ALIGNMENT, np.uint8)
        start = raw.__array_interface__["data"][0]
        self.address: int = start + -start % ALIGNMENT
        self.shape = shape
        self.dtype = dtype
        self._raw = raw
        self._array: npt.NDArray[np.generic] | None = None

    @staticmethod
    def of(array: npt.NDArray[np.generic], dtype: str) -> "Tensor":
        """A tensor that shares the memory of `array` where that is aligned, or copies it."""
        if not is_aligned(array):
            copy = aligned_empty(array.shape, dtype)
            np.copyto(copy, array)
            array = copy
        tensor = Tensor.__new__(Tensor)
        tensor.address = array.__array_interface__["data"][0]
        tensor.shape = array.shape
        tensor.dtype = dtype
        tensor._raw = np.empty(0, np.uint8)
        tensor._array = array
        return tensor

    def numpy(self) -> npt.NDArray[np.generic]:
        """The elements as a NumPy array that shares the memory."""
        if self._array is None:
            start = self.address - self._raw.__array_interface__["data"][0]
            storage = dtypes.to_numpy(self.dtype)
            nbytes = self._raw.size - ALIGNMENT
            self._array = self._raw[start : start + nbytes].view(storage).reshape(self.shape)
        return self._array

    def truth(self) -> bool:
        """The value of a boolean scalar."""
        if self._array is not None:
            return bool(self._array)
        return bool(self._raw[self.address - self._raw.__array_interface__["data"][0]])


@final
@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A value of an algebraic data type."""

    tag: int
    fields: "tuple[Value, ...]"


@final
@dataclass(slots=True, eq=False)
class Closure:
    """Function number `function` with its first arguments; `captured` is set once, after making."""

    function: int
    captured: "tuple[Value, ...]"


@final
@dataclass(slots=True, eq=False)
class Reference:
    """A mutable cell."""

    value: "Value"


Value: TypeAlias = "Tensor | tuple[Value, ...] | Data | Closure | Reference"
Registers: TypeAlias = "list[Value | None]"
