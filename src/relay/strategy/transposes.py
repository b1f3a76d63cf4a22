"""Copies that change which axis is contiguous: transposed tile by tile, in registers.

Where neighbours in the result are far apart in what is read, and neighbours in what is read are far
apart in the result, squares of both are copied: as many vectors as they have lanes are loaded,
transposed by the code generator (`relay.codegen.llvm.transposed`), and stored. So whole lines of
caches are read and written, once.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from relay.loop.ir import For, Load
from relay.loop.simplify import simplify
from relay.loop.walk import loads, stride
from relay.schedule import Schedule
from relay.strategy.elementwise import (
    PARALLEL_WORK,
    collapse_all,
    cut_into,
    fuse_parallel,
    vectorize_in_pieces,
)
from relay.strategy.nests import Nest, depends, lanes_of, top_nests
from relay.target import Target
from relay.te.expr import INDEX, Binary, Const, Expr, Select, Var
from relay.te.walk import post_order, substitute

#: The smallest square worth it.
_SMALLEST = 4


@dataclass(frozen=True)
class _Square:
    """The loops that are contiguous in what is read and in what is written, and a tile's size.

    What is read may be contiguous in blocks of `block` only; otherwise that is 0.
    """

    read: str
    written: str
    size: int
    block: int


def schedule_transposes(schedule: Schedule, target: Target, done: Set[str] = frozenset()) -> None:
    """Schedule the nests at the top, as they were built, that transpose what they read.

    Those that write a buffer called as `done` says are left alone.
    """
    for nest in top_nests(schedule.func):
        if nest.store.buffer.name in done:
            continue
        if nest.axes and not nest.reduced and nest.store.reduce is None:
            _schedule_nest(schedule, nest, target)


def _schedule_nest(schedule: Schedule, nest: Nest, target: Target) -> None:
    """Schedule `nest`, if it transposes."""
    value, lanes = nest.store.value, lanes_of(nest, target)
    if any(isinstance(e, Select) for e in post_order(value)) or _square(nest, lanes) is None:
        return
    before = schedule.func, list(schedule.trace)
    names = collapse_all(schedule, nest)
    nest = next(n for n in top_nests(schedule.func) if n.names == names)
    square = _square(nest, lanes)
    if square is None:
        schedule.func, schedule.trace = before
        return
    outer = [n for n in names if n not in (square.read, square.written)]
    parallel = target if nest.work >= PARALLEL_WORK else None
    schedule.reorder(square.written, square.read, *outer)
    for written in _parts(schedule, square.written, square.size):
        mark = written[len(square.written) :]
        read = f"{square.read}{mark}"
        schedule.reorder(read, written)
        for part in [read] if square.block else _parts(schedule, read, square.size):
            end = mark + part[len(read) :]
            tile = _Square(part, f"{square.written}{end}", square.size, square.block)
            _tile(schedule, tile, [f"{n}{end}" for n in outer], parallel)


def _square(nest: Nest, lanes: int) -> _Square | None:
    """The square to copy at a time; None where `nest` does not transpose."""
    written = next((a for a in reversed(nest.axes) if a.extent > 1), None)
    store = Load(nest.store.buffer, nest.store.indices)
    if written is None or stride(store, written.var) != 1:
        return None
    for load in loads(nest.store):
        for read, block, found in _readings(load, nest):
            step = stride(found, written.var)
            if read is written or step is None or abs(step) <= 1:
                continue
            size = lanes
            while size > min(block or read.extent, written.extent):
                size //= 2
            if size >= _SMALLEST and block % size == 0:
                return _Square(read.var.name, written.var.name, size, block)
    return None


def _readings(load: Load, nest: Nest) -> Iterator[tuple[For, int, Load]]:
    """The loops along which `load` is contiguous, with the size of the blocks in which it is so

    (0: everywhere), and the load with such a loop split into blocks.
    """
    for axis in nest.axes:
        if axis.extent > 1 and depends(load, axis.var) and stride(load, axis.var) == 1:
            yield axis, 0, load
    for node in post_order(load.indices[-1]) if load.indices else ():
        if not (isinstance(node, Binary) and node.op == "floormod" and isinstance(node.b, Const)):
            continue
        axis_found = next((a for a in nest.axes if a.var is node.a), None)
        block = int(node.b.value)
        if axis_found is None or axis_found.extent % block:
            continue
        outer, inner = Var("outer", INDEX), Var("inner", INDEX)
        values: dict[Var, Expr] = {axis_found.var: outer * block + inner}
        ranges = {a.var: (0, a.extent - 1) for a in nest.axes}
        ranges |= {outer: (0, axis_found.extent // block - 1), inner: (0, block - 1)}
        split = Load(load.buffer, [simplify(substitute(i, values), ranges) for i in load.indices])
        if stride(split, inner) == 1:
            yield axis_found, block, split


def _parts(schedule: Schedule, loop: str, size: int) -> list[str]:
    """`loop` cut into whole tiles of `size` and a rest."""
    extent = schedule.extent(loop)
    whole = extent - extent % size
    return cut_into(schedule, loop, [n for n in (whole, extent - whole) if n])


def _tile(schedule: Schedule, square: _Square, outer: list[str], parallel: Target | None) -> None:
    """Schedule the perfect nest of the loops of `square` and the `outer` loops."""
    read, written, size = square.read, square.written, square.size
    if (schedule.extent(written) | schedule.extent(read)) % size:
        schedule.reorder(*outer, read, written)
        if parallel is not None:
            fuse_parallel(schedule, [*outer, read], parallel.cores)
        if schedule.extent(written) == 1:
            schedule.unroll(written)
        vectorize_in_pieces(schedule, written, size)
        return
    schedule.reorder(*outer, read, written)
    reads, read = schedule.split(read, size)
    writes, written = schedule.split(written, size)
    schedule.reorder(*outer, reads, writes, read, written)
    if parallel is not None:
        fuse_parallel(schedule, [*outer, reads, writes], parallel.cores)
    schedule.unroll(read)
    schedule.vectorize(written)
