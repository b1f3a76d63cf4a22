"""Values of the virtual machine: tensors in aligned memory, tuples, data, closures, references.

Text is a tensor, too, but objects of Python are no memory that compiled code could read: its
`Tensor.address` is 0, and nothing but the host gets to see it.
"""

import ctypes
import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, final

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.runtime.memory import ALIGNMENT, aligned_empty, is_aligned
from relay.runtime.text import as_text
from relay.support.errors import InputError

#: Below this many bytes memory comes from `ctypes`, which is quicker than NumPy but clears it.
_SMALL = 8192


class Layout(NamedTuple):
    """Shape and data type of a tensor, and what it takes to make one."""

    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    buffer: Any
    """The `ctypes` array type of a small tensor's memory; None for a large one."""

    def __str__(self) -> str:
        return f"Tensor[({', '.join(map(str, self.shape))}), {self.dtype}]"


@functools.lru_cache(4096)
def layout(shape: tuple[int, ...], dtype: str) -> Layout:
    """The layout of tensors of a shape and data type: mostly one object, so that `is` decides."""
    nbytes = math.prod(shape) * dtypes.itemsize(dtype)
    buffer = ctypes.c_ubyte * (nbytes + ALIGNMENT) if nbytes <= _SMALL else None
    return Layout(shape, dtype, nbytes, buffer)


@final
class Tensor:
    """An array in aligned memory, its address at hand; the NumPy view is made when asked for."""

    __slots__ = ("_array", "_buffer", "address", "layout")

    def __init__(self, layout: Layout) -> None:
        if layout.buffer is None:
            self._buffer: Any = np.empty(layout.nbytes + ALIGNMENT, np.uint8)
            start = ctypes.addressof(ctypes.c_ubyte.from_buffer(self._buffer.data))
        else:
            self._buffer = layout.buffer()
            start = ctypes.addressof(self._buffer)
        self.address = start + -start % ALIGNMENT
        self.layout = layout
        self._array: npt.NDArray[np.generic] | None = None

    @staticmethod
    def of(array: npt.NDArray[np.generic], dtype: str) -> "Tensor":
        """A tensor that shares the memory of `array` where that is aligned, or copies it.

        Raises `InputError` for a ``string`` array with something else than text in it.
        """
        if dtype == dtypes.STRING:
            array = as_text(array)
        elif not is_aligned(array):
            copy = aligned_empty(array.shape, dtype)
            np.copyto(copy, array)
            array = copy
        tensor = Tensor.__new__(Tensor)
        text = dtype == dtypes.STRING
        tensor.address = 0 if text else array.__array_interface__["data"][0]
        tensor.layout = layout(array.shape, dtype)
        tensor._buffer = None
        tensor._array = array
        return tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.layout.shape

    @property
    def dtype(self) -> str:
        """The data type."""
        return self.layout.dtype

    def numpy(self) -> npt.NDArray[np.generic]:
        """The elements as a NumPy array that shares the memory."""
        if self._array is None:
            buffer = self._buffer
            if isinstance(buffer, np.ndarray):
                start = buffer.__array_interface__["data"][0]
            else:
                start = ctypes.addressof(buffer)
            stored = dtypes.to_numpy(self.dtype)
            self._array = np.ndarray(self.shape, stored, buffer, self.address - start)
        return self._array

    def truth(self) -> bool:
        """Whether the only element is not zero. Raises `InputError` unless this is a scalar."""
        shape, dtype, _, _ = self.layout
        if shape:
            raise InputError(f"a condition has to be a scalar, found {self.layout}")
        if self._array is None and dtype == "bool":
            buffer = self._buffer  # a small one, which is quick to look into
            return bool(buffer[self.address - ctypes.addressof(buffer)])
        return bool(self.numpy())


@final
@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A value of an algebraic data type: what constructor number `tag` made of `fields`."""

    tag: int
    fields: "tuple[Value, ...]"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """Function number `function` with its first arguments; a `recursive` one is the very first."""

    function: int
    captured: "tuple[Value, ...]"
    recursive: bool = False

    def arguments(self) -> "tuple[Value, ...]":
        """The first arguments of the function, itself included."""
        return (self, *self.captured) if self.recursive else self.captured


@final
@dataclass(slots=True, eq=False)
class Reference:
    """A mutable cell."""

    value: "Value"


Value: TypeAlias = "Tensor | tuple[Value, ...] | Data | Closure | Reference"
Registers: TypeAlias = "list[Value | None]"
