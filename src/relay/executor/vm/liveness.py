"""Registers: as few as values that are alive at once, and forgotten before something takes long.

Jumps go forward only. So a register is alive at most from the first instruction that writes it to
the last one that reads it, in the order of the code, whichever way is taken.
"""

import heapq
from collections.abc import Mapping, Sequence

from relay.executor.vm.instructions import (
    AnyInstruction,
    Invoke,
    InvokeClosure,
    InvokeGraph,
    InvokeHost,
    Kill,
    changed,
    numbers,
    reads,
    roles,
    writes,
)

#: What takes time or memory: registers that are dead then are cleared before it.
_COSTLY = (InvokeGraph, InvokeHost, Invoke, InvokeClosure)


def allocate(code: Sequence[AnyInstruction], params: int) -> tuple[tuple[AnyInstruction, ...], int]:
    """`code`, which writes each value to a register of its own, on few registers; their number.

    The first `params` registers hold the parameters. Linear but for a heap of free registers.
    """
    first, last = _lifetimes(code, params)
    ends: dict[int, list[int]] = {}
    for value, index in last.items():
        ends.setdefault(index, []).append(value)
    place = {k: k for k in range(params)}
    free: list[int] = []
    count = params
    stale = set(range(params)) - last.keys()
    for parameter in stale:
        heapq.heappush(free, parameter)
    result: list[AnyInstruction] = []
    position: list[int] = []
    for index, instruction in enumerate(code):
        position.append(len(result))
        if stale and isinstance(instruction, _COSTLY):
            result.append(Kill(tuple(sorted(stale))))
            stale.clear()
        # What is read here last may be overwritten here: reading comes first.
        for value in ends.get(index, ()):
            if first[value] < index:
                heapq.heappush(free, place[value])
                stale.add(place[value])
        for value in writes(instruction):
            if first[value] == index:
                place[value] = heapq.heappop(free) if free else count
                count = max(count, place[value] + 1)
            stale.discard(place[value])
        for value in ends.get(index, ()):
            if first[value] == index:
                heapq.heappush(free, place[value])
                stale.add(place[value])
        result.append(renumbered(instruction, place))
    return tuple(_relocated(code, result, position)), count


def _lifetimes(
    code: Sequence[AnyInstruction], params: int
) -> tuple[dict[int, int], dict[int, int]]:
    """Where each value is first written, and last read (or written, where nothing reads it)."""
    first = dict.fromkeys(range(params), -1)
    last: dict[int, int] = {}
    for index, instruction in enumerate(code):
        for value in writes(instruction):
            first.setdefault(value, index)
            last[value] = index
        for value in reads(instruction):
            last[value] = index
    return first, last


def renumbered(instruction: AnyInstruction, place: Mapping[int, int]) -> AnyInstruction:
    """`instruction` on the registers that `place` gives for its own."""
    fields: dict[str, int | tuple[int, ...]] = {}
    for name, letter in roles(type(instruction)).items():
        if letter in "wr":
            fields[name] = place[getattr(instruction, name)]
        elif letter in "WR":
            fields[name] = tuple(place[v] for v in getattr(instruction, name))
    moved: AnyInstruction = changed(instruction, fields)
    return moved


def _relocated(
    code: Sequence[AnyInstruction], result: Sequence[AnyInstruction], position: Sequence[int]
) -> list[AnyInstruction]:
    """`result` with jumps to where the instructions of `code` are in it."""
    moved = list(result)
    for index, instruction in enumerate(code):
        for offset in numbers(instruction, "j"):
            # A `Kill` stands before its instruction: what jumps there runs it, too.
            here = position[index + 1] - 1 if index + 1 < len(code) else len(result) - 1
            target = position[index + offset]
            moved[here] = changed(result[here], {"offset": target - here})
    return moved
