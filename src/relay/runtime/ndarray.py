"""Arrays: what goes into and comes out of compiled programs.

An `NDArray` shares its memory with NumPy (`numpy`, ``np.asarray``) and with every library that
speaks DLPack (``torch.from_dlpack(a)``, `from_dlpack`), without copying. ``bfloat16`` is stored
as the ``uint16`` bits of its elements, which is what `numpy` gives for it.
"""

from collections.abc import Sequence
from typing import Protocol, SupportsIndex, runtime_checkable

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.runtime.device import Device, cpu
from relay.runtime.memory import aligned_empty
from relay.support.errors import InputError

_DLPACK_CPU = 1


@runtime_checkable
class SupportsDLPack(Protocol):
    """An array of another library that can be shared through DLPack."""

    def __dlpack__(self) -> object: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...


class NDArray:
    """A tensor in memory: `shape`, `dtype`, `device` and elements in row-major order.

    Made by `array`, `empty` or `from_dlpack`, or around a NumPy array, whose memory it shares.
    `dtype` is needed only where NumPy's does not tell: ``bfloat16`` stored as ``uint16``.
    """

    __slots__ = ("_array", "device", "dtype")

    def __init__(
        self,
        array: npt.NDArray[np.generic],
        dtype: str | None = None,
        device: Device | None = None,
    ) -> None:
        self._array = np.asarray(array)
        self.dtype = dtypes.from_numpy(self._array.dtype) if dtype is None else dtypes.check(dtype)
        if self._array.dtype != dtypes.to_numpy(self.dtype):
            raise InputError(f"{self._array.dtype} does not store {self.dtype}")
        self.device = cpu() if device is None else device

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._array.size

    @property
    def nbytes(self) -> int:
        """Bytes that the elements take."""
        return self._array.nbytes

    def numpy(self) -> npt.NDArray[np.generic]:
        """The elements as a NumPy array that shares their memory."""
        return self._array

    def asnumpy(self) -> npt.NDArray[np.generic]:
        """A copy of the elements as a NumPy array."""
        return self._array.copy()

    def item(self) -> bool | int | float:
        """The only element, as a Python number."""
        if self.dtype == "bfloat16":
            bits = self._array.astype(np.uint32) << 16
            return float(bits.view(np.float32).item())
        value: bool | int | float = self._array.item()
        return value

    def copyfrom(self, source: "npt.ArrayLike | NDArray") -> "NDArray":
        """Overwrite the elements with those of `source`, of this shape; returns this array."""
        values = source.numpy() if isinstance(source, NDArray) else np.asarray(source)
        if values.shape != self.shape:
            raise InputError(f"an array of shape {self.shape} cannot hold one of {values.shape}")
        np.copyto(self._array, values, casting="same_kind")
        return self

    def copyto(self, target: "NDArray | Device") -> "NDArray":
        """Copy the elements into `target`, or into a new array on the device `target`."""
        if isinstance(target, Device):
            target = empty(self.shape, self.dtype, target)
        return target.copyfrom(self)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[np.generic]:
        if copy is False and dtype is not None and np.dtype(dtype) != self._array.dtype:
            raise ValueError(f"conversion from {self.dtype} to {np.dtype(dtype)} needs a copy")
        result = self._array if dtype is None else self._array.astype(dtype, copy=False)
        return result.copy() if copy and result is self._array else result

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        if self.dtype == "bfloat16":
            raise BufferError("NumPy cannot export bfloat16; view its uint16 bits with numpy()")
        if max_version is None or np.lib.NumpyVersion(np.__version__) < "2.1.0":
            return self._array.__dlpack__()
        return self._array.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return _DLPACK_CPU, 0

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(
        self, index: "SupportsIndex | slice | tuple[SupportsIndex | slice, ...]"
    ) -> "NDArray":
        return NDArray(np.asarray(self._array[index]), self.dtype, self.device)

    def __repr__(self) -> str:
        return f"<NDArray {self.dtype}{list(self.shape)} on {self.device}>\n{self._array!r}"


def empty(shape: Sequence[int], dtype: str = "float32", device: Device | None = None) -> NDArray:
    """An array whose elements are not initialised, aligned to 64 bytes."""
    return NDArray(aligned_empty(shape, dtype), dtype, device)


def array(
    values: "npt.ArrayLike | NDArray | SupportsDLPack",
    dtype: str | None = None,
    device: Device | None = None,
) -> NDArray:
    """A new array with a copy of `values`, converted to `dtype` where one is given.

    Python floats become ``float32``, which is what models compute in; NumPy arrays keep their type.
    """
    if isinstance(values, NDArray):
        source, kind = values.numpy(), values.dtype
    elif not isinstance(values, np.ndarray) and isinstance(values, SupportsDLPack):
        shared = from_dlpack(values)
        source, kind = shared.numpy(), shared.dtype
    else:
        source = np.asarray(values)
        if not isinstance(values, np.ndarray | np.generic) and source.dtype == np.float64:
            source = source.astype(np.float32)
        kind = dtypes.from_numpy(source.dtype)
    dtype = kind if dtype is None else dtypes.check(dtype)
    result = empty(source.shape, dtype, device)
    if dtype == kind:
        np.copyto(result.numpy(), source)
    elif dtype == "bfloat16":
        np.copyto(result.numpy(), to_bfloat16(source))
    elif kind == "bfloat16":
        wide = (source.astype(np.uint32) << 16).view(np.float32)
        np.copyto(result.numpy(), wide, casting="unsafe")
    else:
        np.copyto(result.numpy(), source, casting="unsafe")
    return result


def to_bfloat16(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint16]:
    """The bits of `values` rounded to ``bfloat16``, ties to even."""
    single = np.asarray(values, np.float32)
    bits = single.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(single), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def from_dlpack(source: SupportsDLPack) -> NDArray:
    """An array that shares the memory of another library's array (PyTorch, JAX, NumPy, ...).

    Raises `InputError` when the array is not in main memory or of a type that NumPy does not know.
    """
    if isinstance(source, NDArray):
        return source
    kind, _ = source.__dlpack_device__()
    if kind != _DLPACK_CPU:
        raise InputError(
            f"from_dlpack expects an array in main memory, not on DLPack device {kind}"
        )
    try:
        return NDArray(np.from_dlpack(source))  # type: ignore[arg-type]
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"this array cannot be shared through DLPack: {error}") from error
