"""Where arrays live and programs run."""

from dataclasses import dataclass
from typing import Final

KINDS: Final = {
    "cpu": 1,
    "cuda": 2,
    "opencl": 4,
    "vulkan": 7,
    "metal": 8,
    "rocm": 10,
    "ext_dev": 12,
    "hexagon": 16,
}
"""Kind of device -> its number in DLPack (and TVM)."""


@dataclass(frozen=True)
class Device:
    """A device of a `kind` (``"cpu"``) and its number among those of the kind."""

    kind: str
    index: int = 0

    @property
    def device_type(self) -> int:
        """The number of the kind in DLPack; 0 for a kind that has none."""
        return KINDS.get(self.kind, 0)

    @property
    def device_id(self) -> int:
        """The number of the device among those of its kind."""
        return self.index

    @property
    def exist(self) -> bool:
        """Whether programs can run on this device here."""
        return self.kind == "cpu" and self.index == 0

    def sync(self) -> None:
        """Wait until the device is idle: the CPU is, whenever Python runs."""

    def __str__(self) -> str:
        return f"{self.kind}({self.index})"


def cpu(index: int = 0) -> Device:
    """The CPU. All of its cores are one device, number 0."""
    return Device("cpu", index)
