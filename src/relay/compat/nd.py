"""`tvm.nd`: arrays, made as TVM makes them."""

import numpy as np
import numpy.typing as npt

from relay.compat.device import (
    Device,
    cl,
    context,
    cpu,
    cuda,
    device,
    gpu,
    metal,
    opencl,
    rocm,
    vulkan,
)
from relay.runtime import ndarray
from relay.runtime.ndarray import NDArray, SupportsDLPack, from_dlpack
from relay.support.errors import InputError


def array(
    arr: "npt.ArrayLike | NDArray | SupportsDLPack",
    device: Device | None = None,
    mem_scope: str | None = None,
    ctx: Device | None = None,
) -> NDArray:
    """A new array with a copy of `arr` on the CPU; a list becomes what NumPy makes of it.

    `ctx` is the older name of `device`. Raises `InputError` for a device that is not there.
    """
    _here(device or ctx)
    if isinstance(arr, NDArray | np.ndarray | SupportsDLPack):
        return ndarray.array(arr)
    return ndarray.array(np.array(arr))


def empty(
    shape: tuple[int, ...],
    dtype: str = "float32",
    device: Device | None = None,
    mem_scope: str | None = None,
    ctx: Device | None = None,
) -> NDArray:
    """An array on the CPU whose elements are not initialised; `ctx` is an older `device`."""
    _here(device or ctx)
    return ndarray.empty(shape, dtype)


def _here(wanted: Device | None) -> None:
    if wanted is not None and not wanted.exist:
        raise InputError(f"there is no device {wanted} here; expected cpu(0)")


__all__ = [
    "NDArray",
    "array",
    "cl",
    "context",
    "cpu",
    "cuda",
    "device",
    "empty",
    "from_dlpack",
    "gpu",
    "metal",
    "opencl",
    "rocm",
    "vulkan",
]
