"""Where arrays live and programs run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A device of a `kind` (``"cpu"``) and its number among those of the kind."""

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return f"{self.kind}({self.index})"


def cpu(index: int = 0) -> Device:
    """The CPU. All of its cores are one device, number 0."""
    return Device("cpu", index)
