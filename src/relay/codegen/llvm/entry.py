"""The one native function that runs a whole graph.

``void relay_main(ptr inputs, ptr outputs, ptr constants, ptr arena)``: the first three point to
arrays of addresses, the last one to scratch memory. It calls the kernels in order, each with the
array of addresses it wants.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from relay.codegen.llvm.builder import FunctionBuilder, Module
from relay.target import Target

SYMBOL = "relay_main"


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


def entry_text(steps: Sequence[Step], target: Target, symbol: str = SYMBOL) -> str:
    """The LLVM IR of the entry, named `symbol`.

    The steps are split into functions of a few hundred calls, so that compile time stays linear.
    """
    module = Module(target)
    params = "ptr %inputs, ptr %outputs, ptr %constants, ptr %arena"
    entry = FunctionBuilder(module)
    for number, start in enumerate(range(0, len(steps), _CHUNK)):
        name = f"{symbol}.{number}"
        _write_chunk(module, name, params, steps[start : start + _CHUNK])
        entry.line(f"call void @{name}({params})")
    entry.line("ret void")
    module.define(symbol, entry.finish(f"void @{symbol}({params})"))
    return str(module)


_CHUNK = 256


def _write_chunk(module: Module, name: str, params: str, steps: Sequence[Step]) -> None:
    b = FunctionBuilder(module)
    size = max((len(s.args) for s in steps), default=0)
    args = b.alloca("ptr", max(1, size), 8)
    for step in steps:
        for index, source in enumerate(step.args):
            slot = b.pure(f"getelementptr ptr, ptr {args}, i64 {index}")
            b.line(f"store ptr {_address(b, source)}, ptr {slot}, align 8")
        module.declare(step.kernel, "void", ["ptr"])
        b.line(f"call void @{step.kernel}(ptr {args})")
    b.line("ret void")
    module.define(name, b.finish(f"internal void @{name}({params})", "noinline nounwind"))


def _address(b: FunctionBuilder, source: Source) -> str:
    if source.place is Place.ARENA:
        return b.pure(f"getelementptr i8, ptr %arena, i64 {source.index}")
    slot = b.pure(f"getelementptr ptr, ptr %{source.place.value}, i64 {source.index}")
    return b.emit(f"load ptr, ptr {slot}, align 8")
