"""What runs compiled programs: arrays, devices, memory, threads, executables. No compiler."""

from relay.runtime import threads
from relay.runtime.device import Device, cpu
from relay.runtime.ndarray import NDArray, array, empty, from_dlpack

__all__ = ["Device", "NDArray", "array", "cpu", "empty", "from_dlpack", "threads"]
