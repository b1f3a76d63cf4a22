"""What the entry of a graph calls, as data; `relay.codegen.llvm.entry` makes code of it."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

SYMBOL: Final = "relay_main"
PROFILED_SYMBOL: Final = "relay_profiled_main"


class Place(Enum):
    """Where a kernel's argument comes from."""

    INPUT = "inputs"
    OUTPUT = "outputs"
    CONSTANT = "constants"
    ARENA = "arena"


@dataclass(frozen=True)
class Source:
    """An argument: the `index`-th input, output or constant, or `index` bytes into the arena."""

    place: Place
    index: int


@dataclass(frozen=True)
class Step:
    """One kernel call: a symbol, and its parameters followed by its workspaces."""

    kernel: str
    args: tuple[Source, ...]
