"""The one native function that runs a whole graph.

``void relay_main(ptr inputs, ptr outputs, ptr constants, ptr arena)``: the first three point to
arrays of addresses, the last one to scratch memory. It calls the kernels in order, each with the
array of addresses it wants.

``void relay_profiled_main(ptr inputs, ptr outputs, ptr constants, ptr arena, ptr stamps)`` does the
same and writes the time, as a 64-bit integer in ticks of `tick_seconds`, before the first kernel
and after each one: an array of one more than there are calls. Only who profiles generates it.
"""

import time
from collections.abc import Sequence

from relay.codegen.llvm.builder import FunctionBuilder, Module
from relay.codegen.llvm.calls import PROFILED_SYMBOL, SYMBOL, Place, Source, Step
from relay.target import Target


def entry_text(steps: Sequence[Step], target: Target, symbol: str = SYMBOL) -> str:
    """The LLVM IR of the entry, named `symbol`.

    The steps are split into functions of a few hundred calls, so that compile time stays linear.
    """
    return _entry_text(steps, Module(target), symbol, "")


def profiled_entry_text(steps: Sequence[Step], target: Target) -> str:
    """The LLVM IR of the entry that tells the time, `PROFILED_SYMBOL`."""
    module = Module(target)
    _write_clock(module)
    return _entry_text(steps, module, PROFILED_SYMBOL, ", ptr %stamps")


def tick_seconds(target: Target) -> float:
    """Seconds in a tick of the clock that the profiled entry reads."""
    if _WINDOWS in target.triple:
        return time.get_clock_info("perf_counter").resolution
    return 1e-9


_CHUNK = 256
_CLOCK = "relay_stamp"
_WINDOWS = "windows"


def _entry_text(steps: Sequence[Step], module: Module, symbol: str, stamps: str) -> str:
    """The entry; `stamps` is a further parameter to write times to, or empty."""
    params = f"ptr %inputs, ptr %outputs, ptr %constants, ptr %arena{stamps}"
    entry = FunctionBuilder(module)
    if stamps:
        entry.line(f"call void @{_CLOCK}(ptr %stamps, i64 0)")
    for number, start in enumerate(range(0, len(steps), _CHUNK)):
        name = f"{symbol}.{number}"
        first_stamp = start + 1 if stamps else None
        _write_chunk(module, name, params, steps[start : start + _CHUNK], first_stamp)
        entry.line(f"call void @{name}({params})")
    entry.line("ret void")
    module.define(symbol, entry.finish(f"void @{symbol}({params})"))
    return str(module)


def _write_clock(module: Module) -> None:
    """``void relay_stamp(ptr stamps, i64 k)``: write the time to place `k`."""
    b = FunctionBuilder(module)
    slot = b.pure("getelementptr i64, ptr %stamps, i64 %k")
    if _WINDOWS in module.target.triple:
        module.declare("QueryPerformanceCounter", "i32", ["ptr"])
        b.line(f"call i32 @QueryPerformanceCounter(ptr {slot})")
    else:
        # CLOCK_MONOTONIC of `clock_gettime`, whose result is two words: seconds and nanoseconds.
        clock = 6 if "darwin" in module.target.triple or "macos" in module.target.triple else 1
        now = b.alloca("i64", 2, 8)
        module.declare("clock_gettime", "i32", ["i32", "ptr"])
        b.line(f"call i32 @clock_gettime(i32 {clock}, ptr {now})")
        seconds = b.emit(f"load i64, ptr {now}, align 8")
        fraction = b.emit(f"load i64, ptr {b.pure(f'getelementptr i64, ptr {now}, i64 1')}")
        whole = b.pure(f"mul i64 {seconds}, 1000000000")
        b.line(f"store i64 {b.pure(f'add i64 {whole}, {fraction}')}, ptr {slot}, align 8")
    b.line("ret void")
    signature = f"internal void @{_CLOCK}(ptr %stamps, i64 %k)"
    module.define(_CLOCK, b.finish(signature, "noinline nounwind"))


def _write_chunk(
    module: Module, name: str, params: str, steps: Sequence[Step], first_stamp: int | None
) -> None:
    b = FunctionBuilder(module)
    size = max((len(s.args) for s in steps), default=0)
    args = b.alloca("ptr", max(1, size), 8)
    for number, step in enumerate(steps):
        for index, source in enumerate(step.args):
            slot = b.pure(f"getelementptr ptr, ptr {args}, i64 {index}")
            b.line(f"store ptr {_address(b, source)}, ptr {slot}, align 8")
        module.declare(step.kernel, "void", ["ptr"])
        b.line(f"call void @{step.kernel}(ptr {args})")
        if first_stamp is not None:
            b.line(f"call void @{_CLOCK}(ptr %stamps, i64 {first_stamp + number})")
    b.line("ret void")
    module.define(name, b.finish(f"internal void @{name}({params})", "noinline nounwind"))


def _address(b: FunctionBuilder, source: Source) -> str:
    if source.place is Place.ARENA:
        return b.pure(f"getelementptr i8, ptr %arena, i64 {source.index}")
    slot = b.pure(f"getelementptr ptr, ptr %{source.place.value}, i64 {source.index}")
    return b.emit(f"load ptr, ptr {slot}, align 8")
