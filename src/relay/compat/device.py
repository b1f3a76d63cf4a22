"""Devices by the functions that TVM has for them. Programs run on ``cpu(0)``; others can be named.

A device that cannot be used here says so (``device.exist``), and is refused where it would matter.
"""

from typing import Final

from relay.runtime.device import KINDS, Device, cpu
from relay.support.errors import RelayError

_ALIASES: Final = {"llvm": "cpu", "c": "cpu", "gpu": "cuda", "cl": "opencl", "mtl": "metal"}


def device(dev: str | int, index: int = 0) -> Device:
    """The device of a kind (``"cpu"``, or the name of a target) or of the number of one.

    ``device("cuda:1")`` and ``device("cuda", 1)`` are the same. Raises `RelayError` for no kind.
    """
    if isinstance(dev, int):
        names = [name for name, number in KINDS.items() if number == dev]
        if not names:
            raise RelayError(f"no kind of device has the number {dev}")
        return Device(names[0], index)
    name, _, number = dev.split()[0].partition(":")
    name = _ALIASES.get(name, name)
    if name not in KINDS:
        raise RelayError(f"unknown kind of device {dev!r}; expected one of {', '.join(KINDS)}")
    return Device(name, int(number) if number.isdigit() else index)


context = device
"""The name of `device` until TVM 0.7."""


def cuda(index: int = 0) -> Device:
    """A GPU of NVIDIA."""
    return Device("cuda", index)


gpu = cuda
"""The name of `cuda` until TVM 0.7."""


def rocm(index: int = 0) -> Device:
    """A GPU of AMD."""
    return Device("rocm", index)


def opencl(index: int = 0) -> Device:
    """A device of OpenCL."""
    return Device("opencl", index)


cl = opencl


def metal(index: int = 0) -> Device:
    """A GPU of Apple."""
    return Device("metal", index)


def vulkan(index: int = 0) -> Device:
    """A device of Vulkan."""
    return Device("vulkan", index)


def hexagon(index: int = 0) -> Device:
    """A signal processor of Qualcomm."""
    return Device("hexagon", index)


def ext_dev(index: int = 0) -> Device:
    """An accelerator."""
    return Device("ext_dev", index)


def enabled(target: str) -> bool:
    """Whether programs can be compiled for the `target` here (`tvm.runtime.enabled`)."""
    return target.split()[0] in ("llvm", "cpu")


__all__ = [
    "Device",
    "cl",
    "context",
    "cpu",
    "cuda",
    "device",
    "enabled",
    "ext_dev",
    "gpu",
    "hexagon",
    "metal",
    "opencl",
    "rocm",
    "vulkan",
]
