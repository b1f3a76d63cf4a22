"""Nests without reductions: one long loop where the data allow it, vectors, and cores."""

import contextlib
from collections.abc import Sequence, Set

from relay.loop.ir import Kind
from relay.schedule import Schedule
from relay.strategy.borders import next_cut, peel
from relay.strategy.nests import Nest, lanes_of, nests_of, top_nests
from relay.support.errors import ScheduleError
from relay.target import Target
from relay.te.expr import Binary, Const
from relay.te.walk import post_order

#: Operations below which handing work to another core costs more than it saves (about 5 us).
PARALLEL_WORK = 40_000


def pieces(extent: int, lanes: int) -> list[int]:
    """`extent` as whole vectors together, then powers of two for the rest: 37 -> [32, 4, 1]."""
    whole = extent - extent % lanes
    found = [whole] if whole else []
    rest = extent - whole
    while rest:
        part = 1 << (rest.bit_length() - 1)
        found.append(part)
        rest -= part
    return found


def cut_into(schedule: Schedule, loop: str, sizes: Sequence[int]) -> list[str]:
    """Cut `loop` into consecutive parts of `sizes`; returns the names of the parts."""
    names = []
    for size in sizes[:-1]:
        loop, rest = schedule.cut(loop, size)
        names.append(loop)
        loop = rest
    return [*names, loop]


def vectorize_in_pieces(schedule: Schedule, loop: str, lanes: int) -> None:
    """Make vectors of the innermost loop `loop`; what is left over becomes shorter vectors."""
    sizes = pieces(schedule.extent(loop), lanes)
    for name, size in zip(cut_into(schedule, loop, sizes), sizes, strict=True):
        if size > lanes:
            _, name = schedule.split(name, lanes)
        if size > 1:
            schedule.vectorize(name)


def collapse_all(schedule: Schedule, nest: Nest) -> list[str]:
    """Collapse neighbouring loops wherever that is legal; returns the names left."""
    names = nest.names
    k = len(names) - 2
    while k >= 0:
        with contextlib.suppress(ScheduleError):
            names[k : k + 2] = [schedule.collapse(names[k], names[k + 1])]
        k -= 1
    return names


#: Iterations of a parallel loop for every core that make any remainder small.
_ENOUGH_PER_CORE = 32


def fuse_parallel(schedule: Schedule, loops: Sequence[str], cores: int | None = None) -> str:
    """Make one parallel loop of perfectly nested independent `loops`; returns its name.

    With `cores`, only as many of the outer loops are fused as give every core enough to do.
    """
    fused = loops[0]
    schedule.parallel(fused)
    for name in loops[1:]:
        if cores is not None and schedule.extent(fused) >= _ENOUGH_PER_CORE * cores:
            break
        fused = schedule.fuse(fused, name)
    return fused


def schedule_elementwise(schedule: Schedule, nest: Nest, target: Target) -> None:
    """Schedule one nest at the top that reduces nothing."""
    if len(nest.axes) > 1:
        units = [a.var.name for a in nest.axes if a.extent == 1]
        order = [*units, *(n for n in nest.names if n not in units)]
        if order != nest.names:
            schedule.reorder(*order)
            nest = _named(schedule, order)
    names = collapse_all(schedule, nest)
    if not names:
        return
    lanes = lanes_of(nest, target)
    for part in _parts(schedule, names):
        _schedule_part(schedule, _named(schedule, _periods(schedule, part, lanes)), target)
    vectorize_writes(schedule, nest.store.buffer.name, lanes)


def _named(schedule: Schedule, names: Sequence[str]) -> Nest:
    """The nest at the top whose loops are called `names`."""
    return next(n for n in top_nests(schedule.func) if n.names == list(names))


#: The smallest part of a nest that is worth a nest of its own is one of so many.
_LEAST_SHARE = 16


def _parts(schedule: Schedule, names: list[str]) -> list[list[str]]:
    """The nest of the loops `names` cut where an outer loop goes from one source to another."""
    found: list[list[str]] = []
    pending = [names]
    while pending:
        names = pending.pop()
        part = _named(schedule, names)
        change = next_cut(part, [a for a in part.axes[:-1] if a.extent > 1])
        extent = schedule.extent(change[0]) if change else 0
        small = not change or _LEAST_SHARE * min(change[1], extent - change[1]) < extent
        if change is None or small or part.work < PARALLEL_WORK:
            found.append(names)
            continue
        loop, point = change
        order = [loop, *(n for n in names if n != loop)]
        if order != names:
            schedule.reorder(*order)
        _, second = schedule.cut(loop, point)
        mark = second[len(loop) :]
        pending += [[f"{n}{mark}" for n in order], order]
    return found


def _periods(schedule: Schedule, names: list[str], lanes: int) -> list[str]:
    """Split the last loop of a nest by the period of what it reads; returns the loops' names."""
    nest = _named(schedule, names)
    last = nest.axes[-1]
    periods = {
        int(node.b.value)
        for node in post_order(nest.store.value)
        if isinstance(node, Binary) and node.op == "floormod" and node.a is last.var
        if isinstance(node.b, Const)
    }
    period = max((p for p in periods if last.extent % p == 0 and p < last.extent), default=0)
    if period < lanes:
        return names
    return [*names[:-1], *schedule.split(names[-1], period)]


def _schedule_part(schedule: Schedule, nest: Nest, target: Target) -> None:
    if nest.work >= PARALLEL_WORK:
        if len(nest.names) == 1:
            _parallel_blocks(schedule, nest.names[0], lanes_of(nest, target))
        else:
            fuse_parallel(schedule, nest.names[:-1], target.cores)


def _parallel_blocks(schedule: Schedule, loop: str, lanes: int) -> None:
    """One long loop: vectors of it are shared out among the cores."""
    sizes = pieces(schedule.extent(loop), lanes)
    for name, size in zip(cut_into(schedule, loop, sizes), sizes, strict=True):
        if size > lanes:
            blocks, name = schedule.split(name, lanes)
            schedule.parallel(blocks)
        if size > 1:
            schedule.vectorize(name)


def vectorize_writes(schedule: Schedule, buffer: str, lanes: int) -> None:
    """Cut the nests that write `buffer` at their borders, and vectorize their innermost loops."""
    peel(schedule, buffer)
    for nest in nests_of(schedule.func, buffer):
        kinds = {a.kind for a in nest.axes}
        if nest.store.reduce or Kind.VECTORIZED in kinds or Kind.UNROLLED in kinds:
            continue
        loops = [a.var.name for a in nest.axes if a.kind is Kind.SERIAL and a.extent > 1]
        if not loops:
            continue
        units = [a.var.name for a in nest.axes if a.kind is Kind.SERIAL and a.extent == 1]
        if units and nest.axes[-1].extent == 1:
            schedule.reorder(*units, *loops)
        vectorize_in_pieces(schedule, loops[-1], lanes)


def schedule_rest(schedule: Schedule, target: Target, done: Set[str] = frozenset()) -> None:
    """Schedule every nest at the top that is still as it was built.

    Those that write a buffer called as `done` says are left alone.
    """
    nests = [n for n in top_nests(schedule.func) if n.store.buffer.name not in done]
    for name in [n.names[0] for n in nests if n.axes]:
        nest = next((n for n in top_nests(schedule.func) if n.axes and n.names[0] == name), None)
        if nest is not None and not nest.reduced:
            schedule_elementwise(schedule, nest, target)
