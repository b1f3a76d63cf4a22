"""Arrays: what goes into and comes out of compiled programs.

An `NDArray` shares its memory with NumPy (`numpy`, ``np.asarray``) and with every library that
speaks DLPack (``torch.from_dlpack(a)``, `from_dlpack`), without copying. ``bfloat16`` is stored
as the ``uint16`` bits of its elements, which is what `numpy` gives for it, the small types one
element a byte (see `relay.dtypes`), and ``string`` as objects that are `str`. Arrays of the package
``ml_dtypes`` are taken as they are, and given by `typed`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, SupportsIndex, runtime_checkable
from weakref import ReferenceType, ref

import numpy as np
import numpy.typing as npt

from relay import codes, dtypes
from relay.runtime.device import Device, cpu
from relay.runtime.memory import aligned_empty
from relay.runtime.text import as_text
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

    The elements of a `deferred` array are made when they are asked for and forgotten when nobody
    uses them any more, as suits the weights of a program while it is compiled: they can be read
    only, until something needs them to stay.
    """

    __slots__ = ("_array", "_make", "_recent", "_shape", "device", "dtype")

    def __init__(
        self,
        array: npt.NDArray[np.generic],
        dtype: str | None = None,
        device: Device | None = None,
    ) -> None:
        stored = np.asarray(array)
        if stored.dtype.kind in "UTO":
            stored = as_text(stored)
        elif stored.dtype.isbuiltin == 2:
            stored, held = _stored_form(stored)
            dtype = held if dtype is None else dtype
        self._array: npt.NDArray[np.generic] | None = stored
        self._make: Callable[[], npt.NDArray[np.generic]] | None = None
        self._recent: ReferenceType[npt.NDArray[np.generic]] | None = None
        self._shape: tuple[int, ...] = stored.shape
        self.dtype = dtypes.from_numpy(stored.dtype) if dtype is None else dtypes.check(dtype)
        if stored.dtype != dtypes.to_numpy(self.dtype):
            raise InputError(f"{stored.dtype} does not store {self.dtype}")
        self.device = cpu() if device is None else device

    @staticmethod
    def deferred(
        shape: Sequence[int], dtype: str, make: Callable[[], npt.NDArray[np.generic]]
    ) -> "NDArray":
        """An array of `shape` and `dtype` whose elements `make` gives, the same every time.

        `make` is called by whoever asks for the elements, in any thread, and returns a new array.
        What it raises comes from there.
        """
        made = NDArray.__new__(NDArray)
        made._array, made._make, made._recent = None, make, None
        made._shape = tuple(shape)
        made.dtype = dtypes.check(dtype)
        made.device = cpu()
        return made

    def __reduce__(self) -> tuple[type["NDArray"], tuple[object, ...]]:
        return NDArray, (self.numpy(), self.dtype, self.device)

    @property
    def is_deferred(self) -> bool:
        """Whether the elements are not in memory, but made on demand."""
        return self._array is None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self._shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the elements take."""
        return self.size * dtypes.itemsize(self.dtype)

    def numpy(self) -> npt.NDArray[np.generic]:
        """The elements as a NumPy array that shares their memory; read only if they are deferred.

        Keep it as long as the elements are needed: those of a deferred array are made anew after.
        """
        found = self._array
        if found is None and self._recent is not None:
            found = self._recent()
        return self._made() if found is None else found

    def typed(self) -> npt.NDArray[np.generic]:
        """What `numpy` gives, but with the package ``ml_dtypes``'s dtype where NumPy has none.

        Raises `InputError` where that is needed and the package has not been imported.
        """
        elements = self.numpy()
        if dtypes.is_native(self.dtype):
            return elements
        try:
            return elements.view(np.dtype(self.dtype))
        except TypeError:
            raise InputError(
                f"NumPy has no {self.dtype}: `import ml_dtypes` gives it one; "
                "numpy() gives the bits, np.asarray(x, 'float32') the values"
            ) from None

    def values(self) -> npt.NDArray[np.generic]:
        """The elements as numbers that NumPy computes with: ``float32`` for ``bfloat16``.

        Integers of the small types come as ``int8`` or ``uint8``, floats as ``float32``, exactly.
        """
        return codes.decode(self.numpy(), self.dtype)

    def _made(self) -> npt.NDArray[np.generic]:
        """The elements of a deferred array, new."""
        assert self._make is not None
        made = self._make()
        if made.shape != self._shape or made.dtype != dtypes.to_numpy(self.dtype):
            raise InputError(
                f"a deferred array of shape {self._shape} and {self.dtype} was made "
                f"with shape {made.shape} and {made.dtype}"
            )
        made.flags.writeable = False  # what is written here would be lost
        self._recent = ref(made)
        return made

    def keep(self) -> "NDArray":
        """This array, its elements in memory that stays and can be written to."""
        if self._array is None:
            self._array = self.numpy().copy()
            self._make = self._recent = None
        return self

    def asnumpy(self) -> npt.NDArray[np.generic]:
        """A copy of the elements as a NumPy array."""
        return self.numpy().copy()

    def tobytes(self) -> bytes:
        """The elements in row-major order as bytes: equal for arrays of equal bits, or texts."""
        if self.dtype == dtypes.STRING:
            return repr(self.numpy().reshape(-1).tolist()).encode()
        return self.numpy().tobytes()

    def item(self) -> bool | int | float | str:
        """The only element, as a Python number or text."""
        value: bool | int | float | str = self.values().item()
        return value

    def copyfrom(self, source: "npt.ArrayLike | NDArray") -> "NDArray":
        """Overwrite the elements with those of `source`, of this shape; returns this array."""
        values = source.numpy() if isinstance(source, NDArray) else np.asarray(source)
        if values.dtype.isbuiltin == 2 and values.dtype.name == self.dtype:
            values, _ = _stored_form(values)
        if values.shape != self.shape:
            raise InputError(f"an array of shape {self.shape} cannot hold one of {values.shape}")
        np.copyto(self.keep().numpy(), values, casting="same_kind")
        return self

    def copyto(self, target: "NDArray | Device") -> "NDArray":
        """Copy the elements into `target`, or into a new array on the device `target`."""
        if isinstance(target, Device):
            target = empty(self.shape, self.dtype, target)
        return target.copyfrom(self)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[np.generic]:
        elements = self.numpy()
        if copy is False and dtype is not None and np.dtype(dtype) != elements.dtype:
            raise ValueError(f"conversion from {self.dtype} to {np.dtype(dtype)} needs a copy")
        if dtype is None or dtypes.is_native(self.dtype):
            result = elements if dtype is None else elements.astype(dtype, copy=False)
        elif np.dtype(dtype).name == self.dtype:
            result = elements.view(dtype)
        elif np.dtype(dtype) != elements.dtype:
            result = self.values().astype(dtype, copy=False)
        else:
            result = elements
        return result.copy() if copy and result is elements else result

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        if not dtypes.is_native(self.dtype):
            raise BufferError(f"NumPy cannot export {self.dtype}; numpy() gives what is stored")
        if self.dtype == dtypes.STRING:
            raise BufferError("text cannot be shared through DLPack")
        stored: npt.NDArray[np.number] = self.keep().numpy()  # type: ignore[assignment]
        if max_version is None or np.lib.NumpyVersion(np.__version__) < "2.1.0":
            return stored.__dlpack__()
        return stored.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return _DLPACK_CPU, 0

    def __len__(self) -> int:
        return len(self.numpy())

    def __getitem__(
        self, index: "SupportsIndex | slice | tuple[SupportsIndex | slice, ...]"
    ) -> "NDArray":
        return NDArray(np.asarray(self.numpy()[index]), self.dtype, self.device)

    def __repr__(self) -> str:
        return f"<NDArray {self.dtype}{list(self.shape)} on {self.device}>\n{self.numpy()!r}"


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
        source, kind = _stored_form(source)
    dtype = kind if dtype is None else dtypes.check(dtype)
    if (dtype == dtypes.STRING) != (kind == dtypes.STRING):
        raise InputError(f"{kind} is no {dtype}; relay.cast says how they become one another")
    result = empty(source.shape, dtype, device)
    if dtype == kind:
        np.copyto(result.numpy(), source)
    elif dtypes.is_native(dtype):
        np.copyto(result.numpy(), codes.decode(source, kind), casting="unsafe")
    else:
        np.copyto(result.numpy(), codes.encode(codes.decode(source, kind), dtype))
    return result


def _stored_form(array: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.generic], str]:
    """`array` as it is stored here, and its data type; see `codes.stored_form`."""
    if array.dtype.kind in "UTO":
        return as_text(array), dtypes.STRING
    return codes.stored_form(array)


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
