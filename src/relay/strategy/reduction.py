"""Reductions that are no products: pooling, row-wise sums and maxima, normalisations, softmax.

Two shapes are told apart by what lies next to each other in memory. Where neighbours belong to
different results (pooling in a blocked layout, a sum over rows), results are vectorized and the
reduction runs inside. Where neighbours are reduced together (softmax over the last axis), every row
is kept near, and its reductions have vectors of partial results.
"""

from collections.abc import Sequence

from relay.loop.ir import Buffer, For, Stmt, Store
from relay.loop.walk import children, loads
from relay.schedule import Schedule
from relay.schedule.steps import find
from relay.strategy.elementwise import (
    PARALLEL_WORK,
    cut_into,
    fuse_parallel,
    pieces,
    vectorize_in_pieces,
)
from relay.strategy.nests import MAX_PRIVATE_BYTES, Nest, allocations, nests_in, stride, top_nests
from relay.strategy.rows import RowTiling, TileLoops, gather
from relay.strategy.tiles import choose
from relay.support.errors import ScheduleError
from relay.target import Target

#: Rows whose results are computed together, at most: enough to hide the latency of adding.
_MAX_ROWS = 14


def contiguous_reduction(update: Nest) -> bool:
    """Whether neighbouring elements in memory are reduced into one result."""
    reduced = [a.var for a in update.reduced if a.extent > 1]
    spatial = [a.var for a in update.spatial if a.extent > 1]
    for load in loads(update.store):
        if any(stride(load, v) == 1 for v in spatial):
            return False
        if any(stride(load, v) == 1 for v in reduced):
            return True
    return not spatial


def schedule_reductions(schedule: Schedule, target: Target) -> None:
    """Schedule all reductions that are left, together with the nests that read them."""
    for _ in range(len(schedule.func.workspaces) + 1):
        final = _last_reader(schedule)
        if final is None:
            return
        if not _keep_rows(schedule, final, target):
            _isolate_last(schedule, final)


def _pending(schedule: Schedule) -> list[Nest]:
    return [n for n in top_nests(schedule.func) if n.store.reduce]


def _last_reader(schedule: Schedule) -> Nest | None:
    """The last unscheduled nest that depends on an unscheduled reduction and reduces nothing."""
    pending = {n.store.buffer for n in _pending(schedule)}
    last = None
    if pending:
        for nest in top_nests(schedule.func):
            read = {e.buffer for e in loads(nest.store)}
            if read & pending and not nest.store.reduce:
                last = nest
                pending.add(nest.store.buffer)
    return last


def _isolate_last(schedule: Schedule, final: Nest) -> None:
    """Give the last reduction that `final` reads a copy of its own, to be scheduled apart."""
    read = {e.buffer for e in loads(final.store)}
    for nest in reversed(_pending(schedule)):
        if nest.store.buffer in read:
            schedule.isolate(nest.store.buffer.name)
            return
    raise ScheduleError(f"no schedule for the reductions of {schedule.func.name}")


def _stages_above(schedule: Schedule, final: Nest) -> list[Buffer]:
    """The unscheduled stages that `final` needs, last one first."""
    wanted = {e.buffer for e in loads(final.store)}
    found: list[Buffer] = []
    for nest in reversed(top_nests(schedule.func)):
        buffer = nest.store.buffer
        if buffer in wanted and buffer in schedule.func.workspaces:
            if buffer not in found:
                found.append(buffer)
            wanted |= {e.buffer for e in loads(nest.store)}
    return found


def _total(schedule: Schedule, root: Stmt) -> int:
    """How many stores `root` carries out."""
    match root:
        case For():
            return root.extent * _total(schedule, root.body)
        case Store():
            return 1
        case _:
            return sum(_total(schedule, c) for c in children(root))


def _keep_rows(schedule: Schedule, final: Nest, target: Target) -> bool:
    """Compute everything `final` needs inside its rows, if nothing is computed twice that way."""
    spatial_rows = not any(
        contiguous_reduction(n)
        for n in _pending(schedule)
        if n.store.buffer in _stages_above(schedule, final)
    )
    if spatial_rows:
        return _keep_vectors(schedule, final, target)
    names = final.names
    trial: Schedule | None = None
    for depth in range(len(names), 0, -1):
        trial = _try_at(schedule, final, names[depth - 1])
        if trial is not None:
            break
    if trial is None:
        return False
    schedule.func, schedule.trace = trial.func, trial.trace
    work = sum(n.work for n in _inside(schedule, names[depth - 1]))
    for name in names[:depth]:
        work *= schedule.extent(name)
    inner = _inside(schedule, names[depth - 1])
    for nest in inner:
        if nest.axes:
            _schedule_inner(schedule, nest, target)
    if work >= PARALLEL_WORK:
        fuse_parallel(schedule, names[:depth])
    return True


def _try_at(schedule: Schedule, final: Nest, loop: str) -> Schedule | None:
    """The schedule with all stages of `final` computed in `loop`; None where that costs work."""
    trial = Schedule(schedule.func)
    trial.trace = list(schedule.trace)
    before = _total(trial, trial.func.body)
    try:
        for buffer in _stages_above(schedule, final):
            trial.compute_at(buffer.name, loop)
    except ScheduleError:
        return None
    if _total(trial, trial.func.body) > before:
        return None
    private = sum(s.buffer.nbytes for s in allocations(trial.func.body))
    return trial if private <= MAX_PRIVATE_BYTES else None


def _inside(schedule: Schedule, loop: str) -> list[Nest]:
    """The perfect nests directly inside the loop called `loop`."""
    return nests_in(find(schedule.func, loop).body)


def _schedule_inner(schedule: Schedule, nest: Nest, target: Target) -> None:
    """Vectorize a nest inside a row: partial results for a reduction, else its last loop."""
    lanes = target.lanes(32)
    names = [n for n in nest.names if schedule.extent(n) > 1]
    units = [n for n in nest.names if schedule.extent(n) == 1]
    if not names:
        return
    if units and len(nest.names) > 1:
        schedule.reorder(*units, *names)
    reduced = {a.var.name for a in nest.reduced}
    innermost = names[-1]
    if innermost not in reduced:
        vectorize_in_pieces(schedule, innermost, lanes)
        return
    _vector_partials(schedule, innermost, lanes)


def _vector_partials(schedule: Schedule, loop: str, lanes: int) -> None:
    """Reduce over `loop` with vectors of partial results; the rest one by one."""
    extent = schedule.extent(loop)
    groups = next((g for g in (4, 2, 1) if extent >= 2 * g * lanes), 0)
    if not groups:
        return
    width = groups * lanes
    whole = extent - extent % width
    if whole != extent:
        loop, rest = schedule.cut(loop, whole)
        if extent - whole >= lanes:
            _vector_partials(schedule, rest, lanes)
    outer, inner = schedule.split(loop, width)
    group, lane = schedule.split(inner, lanes)
    schedule.rfactor(outer, (group, lane))
    schedule.unroll(group)
    schedule.vectorize(lane)


def _keep_vectors(schedule: Schedule, final: Nest, target: Target) -> bool:
    """Vectorize the results along the last axis, several rows at a time, and reduce inside."""
    lanes = target.lanes(32)
    names = [n for n in final.names if schedule.extent(n) > 1] or final.names[-1:]
    units = [n for n in final.names if n not in names]
    work = sum(n.work for n in top_nests(schedule.func))
    innermost = names[-1]
    row = names[-2] if len(names) > 1 else None
    outer = [*units, *names[:-2]]
    above = _stages_above(schedule, final)
    sources = _sources(schedule, above)
    stages = [b.name for b in above if b not in sources]
    if len(final.names) > 1:
        schedule.reorder(innermost, *outer, *([row] if row else []))
    sizes = pieces(schedule.extent(innermost), lanes)
    for name, size in zip(cut_into(schedule, innermost, sizes), sizes, strict=True):
        mark = name[len(innermost) :]
        blocks, lane = schedule.split(name, min(size, lanes))
        rows = f"{row}{mark}" if row else None
        count = 1
        if rows:
            count = choose(min(schedule.extent(rows), _MAX_ROWS), 1, target).rows

        def body(loops: TileLoops) -> None:
            for stage in stages:
                schedule.compute_at(stage, loops.at)
            for nest in _inside(schedule, loops.at):
                _vector_results(schedule, nest)

        RowTiling(
            schedule=schedule,
            outermost=(*(f"{n}{mark}" for n in outer), blocks),
            row=rows,
            vectors=(),
            lanes=lane,
            size=count,
            parallel=work >= PARALLEL_WORK,
            target=target,
            body=body,
        ).run()
    for source in sources:
        gather(schedule, source, lanes)
    return True


def _sources(schedule: Schedule, stages: Sequence[Buffer]) -> list[Buffer]:
    """Those of `stages` that no reduction comes before: padded inputs."""
    reduced = {n.store.buffer for n in _pending(schedule)}
    for nest in top_nests(schedule.func):
        if any(e.buffer in reduced for e in loads(nest.store)):
            reduced.add(nest.store.buffer)
    return [b for b in stages if b not in reduced]


def _vector_results(schedule: Schedule, nest: Nest) -> None:
    """Order a nest of a tile: reductions, then rows written out, then vectors of results."""
    spatial = [a.var.name for a in nest.spatial if schedule.extent(a.var.name) > 1]
    if not spatial:
        return
    rest = [n for n in nest.names if n not in spatial]
    schedule.reorder(*rest, *spatial)
    for name in spatial[:-1]:
        schedule.unroll(name)
    schedule.vectorize(spatial[-1])
