"""Reductions that are no products: pooling, row-wise sums and maxima, normalisations, softmax.

Two shapes are told apart by what lies next to each other in memory. Where neighbours belong to
different results (pooling in a blocked layout, a sum over rows), results are vectorized and the
reduction runs inside. Where neighbours are reduced together (softmax over the last axis), every row
is kept near, and its reductions have vectors of partial results.
"""

from collections.abc import Sequence
from itertools import pairwise

from relay.loop.ir import Buffer, For, Stmt, Store
from relay.loop.walk import children, loads, stride
from relay.schedule import Schedule
from relay.schedule.steps import find
from relay.strategy.elementwise import (
    PARALLEL_WORK,
    cut_into,
    fuse_parallel,
    pieces,
    vectorize_in_pieces,
)
from relay.strategy.nests import (
    MAX_PRIVATE_BYTES,
    Nest,
    allocations,
    depends,
    lanes_of,
    nests_in,
    top_nests,
)
from relay.strategy.rows import RowTiling, TileLoops, gather
from relay.strategy.tiles import choose
from relay.support.errors import ScheduleError
from relay.target import Target
from relay.te.expr import Expr, Var

#: Rows whose results are computed together, at most: enough to hide the latency of adding.
_MAX_ROWS = 14


#: Elements between neighbouring results, at most, where vectors of them are picked as they are.
_MAX_STEP = 4


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


def _short_rows(update: Nest, final: Nest, lanes: int) -> bool:
    """Whether few neighbours are reduced, into results that `final` takes one after the other.

    Vectors of results are better then than partial results: windows, and rows of few elements.
    """
    axes = [a for a in final.axes if a.extent > 1]
    spatial = [a for a in update.spatial if a.extent > 1]
    if not axes or not spatial or spatial[-1].extent != axes[-1].extent:
        return False
    if not all(
        depends(e, axes[-1].var) for e in loads(final.store) if e.buffer is update.store.buffer
    ):
        return False
    runs = [
        axis.extent
        for load in loads(update.store)
        for axis in update.reduced
        if axis.extent > 1 and stride(load, axis.var) == 1
    ]
    return max(runs, default=0) < 2 * lanes <= 4 * spatial[-1].extent


def collapse_nests(schedule: Schedule) -> None:
    """Make one loop of neighbouring loops of reductions, in all nests at once, where it is legal.

    The rows that are reduced, or the vectors of results, become longer by that.
    """
    done = False
    while not done:
        done = True
        for nest in _pending(schedule):
            for outer, inner in zip(reversed(nest.axes[:-1]), reversed(nest.axes[1:]), strict=True):
                also = _collapsed_with(schedule, outer, inner)
                if also is None:
                    continue
                try:
                    schedule.collapse(outer.var.name, inner.var.name, also)
                except ScheduleError:
                    continue
                done = False
                break
            if not done:
                break


def _collapsed_with(
    schedule: Schedule, outer: For, inner: For
) -> tuple[tuple[str, str], ...] | None:
    """The pairs of loops in other nests that must collapse together with `outer` over `inner`.

    None where some nest does not run over the same two dimensions by two such loops.
    """
    nests = [n for n in top_nests(schedule.func) if n.axes]
    pairs = [(outer.var, inner.var)]
    for first, second in pairs:
        nest = next(n for n in nests if any(a.var is first for a in n.axes))
        for buffer, indices in _accesses(nest):
            if first not in indices:
                continue
            d = indices.index(first)
            if indices[d + 1 : d + 2] != (second,):
                return None
            for other in nests:
                around = {a.var: b.var for a, b in pairwise(other.axes)}
                for used, place in _accesses(other):
                    if used is not buffer:
                        continue
                    a, b = place[d], place[d + 1]
                    if not isinstance(a, Var) or around.get(a) is not b or not isinstance(b, Var):
                        return None
                    if (a, b) not in pairs:
                        pairs.append((a, b))
    return tuple((a.name, b.name) for a, b in pairs[1:])


def _accesses(nest: Nest) -> list[tuple[Buffer, tuple[Expr, ...]]]:
    found = [(e.buffer, e.indices) for e in loads(nest.store)]
    return [(nest.store.buffer, nest.store.indices), *found]


def schedule_reductions(schedule: Schedule, target: Target) -> None:
    """Schedule all reductions that are left, together with the nests that read them.

    The last reader with all that it needs makes the best kernel; where that would compute something
    twice, an earlier one is tried, and in the end each reduction alone.
    """
    collapse_nests(schedule)
    while pending := _pending(schedule):
        finals = reversed(_readers(schedule))
        if not any(_keep(schedule, f, _stages_above(schedule, f), target) for f in finals):
            _keep_alone(schedule, pending[0].store.buffer, target)


def _pending(schedule: Schedule) -> list[Nest]:
    return [n for n in top_nests(schedule.func) if n.store.reduce]


def _readers(schedule: Schedule) -> list[Nest]:
    """The unscheduled nests that depend on an unscheduled reduction and reduce nothing."""
    pending = {n.store.buffer for n in _pending(schedule)}
    found: list[Nest] = []
    for nest in top_nests(schedule.func):
        read = {e.buffer for e in loads(nest.store)}
        if read & pending and not nest.store.reduce:
            found.append(nest)
            pending.add(nest.store.buffer)
    return found


def _keep_alone(schedule: Schedule, buffer: Buffer, target: Target) -> None:
    """Schedule one reduction apart, with a copy of its own as its only reader."""
    name, _ = schedule.isolate(buffer.name)
    copy = next(
        n for n in top_nests(schedule.func) if any(e.buffer.name == name for e in loads(n.store))
    )
    stage = next(b for b in schedule.func.workspaces if b.name == name)
    if not _keep(schedule, copy, [stage], target):
        raise ScheduleError(f"no schedule for the reduction {buffer.name} of {schedule.func.name}")


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


def _total(root: Stmt, reductions_only: bool = False) -> int:
    """How many stores (or updates of reductions) `root` carries out."""
    match root:
        case For():
            return root.extent * _total(root.body, reductions_only)
        case Store():
            return 0 if reductions_only and root.reduce is None else 1
        case _:
            return sum(_total(c, reductions_only) for c in children(root))


def _costs_more(trial: Schedule, schedule: Schedule) -> bool:
    """Whether `trial` reduces more than `schedule`, or needs more private memory than there is."""
    if _total(trial.func.body, True) > _total(schedule.func.body, True):
        return True
    return any(s.buffer.nbytes > MAX_PRIVATE_BYTES for s in allocations(trial.func.body))


def _keep(schedule: Schedule, final: Nest, stages: Sequence[Buffer], target: Target) -> bool:
    """Compute `stages` (last one first) where `final` reads them, if nothing is reduced twice."""
    if not any(e.buffer in stages for e in loads(final.store)):
        return False
    pending = [n for n in _pending(schedule) if n.store.buffer in stages]
    if any(
        contiguous_reduction(n) and not _short_rows(n, final, lanes_of(n, target)) for n in pending
    ):
        return _keep_rows(schedule, final, stages, target)
    for inside in range(len(_long_axes(schedule, final))):
        trial = Schedule(schedule.func)
        trial.trace = list(schedule.trace)
        try:
            _keep_vectors(trial, final, stages, target, inside)
        except ScheduleError:
            continue
        if not _costs_more(trial, schedule):
            schedule.func, schedule.trace = trial.func, trial.trace
            return True
    return False


def _keep_rows(schedule: Schedule, final: Nest, stages: Sequence[Buffer], target: Target) -> bool:
    """Compute `stages` inside of rows of `final`, if nothing is computed twice that way."""
    names = final.names
    trial: Schedule | None = None
    for depth in range(len(names), 0, -1):
        trial = _try_at(schedule, stages, names[depth - 1])
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


def _try_at(schedule: Schedule, stages: Sequence[Buffer], loop: str) -> Schedule | None:
    """The schedule with all `stages` computed in `loop`; None where that costs work."""
    trial = Schedule(schedule.func)
    trial.trace = list(schedule.trace)
    before = _total(trial.func.body)
    try:
        for buffer in stages:
            trial.compute_at(buffer.name, loop)
    except ScheduleError:
        return None
    if _total(trial.func.body) > before:
        return None
    private = sum(s.buffer.nbytes for s in allocations(trial.func.body))
    return trial if private <= MAX_PRIVATE_BYTES else None


def _inside(schedule: Schedule, loop: str) -> list[Nest]:
    """The perfect nests directly inside the loop called `loop`."""
    return nests_in(find(schedule.func, loop).body)


def _schedule_inner(schedule: Schedule, nest: Nest, target: Target) -> None:
    """Vectorize a nest inside a row: partial results for a reduction, else its last loop."""
    lanes = lanes_of(nest, target)
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


def _long_axes(schedule: Schedule, final: Nest) -> list[str]:
    """The loops of `final` that run more than once, or its last one."""
    return [n for n in final.names if schedule.extent(n) > 1] or final.names[-1:]


def _keep_vectors(
    schedule: Schedule, final: Nest, above: Sequence[Buffer], target: Target, inside: int
) -> None:
    """Vectorize the results along the last axis, and compute the stages `above` inside.

    Several rows at a time are computed together; or else `inside` axes before the last one run
    inside as a whole, because what is reduced over them serves all of them (softmax over channels).
    """
    lanes = lanes_of(final, target)
    names = _long_axes(schedule, final)
    units = [n for n in final.names if n not in names]
    work = sum(n.work for n in top_nests(schedule.func))
    innermost = names[-1]
    whole = names[len(names) - 1 - inside : -1]
    row = names[-2] if len(names) > 1 and not inside else None
    outer = [n for n in final.names if n not in (innermost, row, *whole)]
    sources = _sources(schedule, above)
    updates = [n for n in _pending(schedule) if n.store.buffer in above]
    stages = [b.name for b in above if b not in sources]
    if len(final.names) > 1:
        schedule.reorder(innermost, *units, *(n for n in names[:-1]))
    sizes = pieces(schedule.extent(innermost), lanes)
    for name, size in zip(cut_into(schedule, innermost, sizes), sizes, strict=True):
        mark = name[len(innermost) :]
        blocks, lane = schedule.split(name, min(size, lanes))
        rows = f"{row}{mark}" if row else None
        count = 1
        if rows and not any(_across(n) for n in updates):
            count = choose(min(schedule.extent(rows), _MAX_ROWS), 1, target).rows

        def body(loops: TileLoops) -> None:
            for stage in stages:
                schedule.compute_at(stage, loops.at)
            for nest in _inside(schedule, loops.at):
                _vector_results(schedule, nest, lanes)

        RowTiling(
            schedule=schedule,
            outermost=(*(f"{n}{mark}" for n in outer), blocks),
            row=rows,
            vectors=[f"{n}{mark}" for n in whole],
            lanes=lane,
            size=count,
            parallel=work >= PARALLEL_WORK,
            target=target,
            body=body,
        ).run()
    for source in sources:
        gather(schedule, source, lanes)


def _sources(schedule: Schedule, stages: Sequence[Buffer]) -> list[Buffer]:
    """Those of `stages` that no reduction comes before: padded inputs."""
    reduced = {n.store.buffer for n in _pending(schedule)}
    for nest in top_nests(schedule.func):
        if any(e.buffer in reduced for e in loads(nest.store)):
            reduced.add(nest.store.buffer)
    return [b for b in stages if b not in reduced]


def _across(update: Nest) -> str | None:
    """The loop over neighbours that are reduced, where neighbouring results are far apart."""
    spatial = [a for a in update.spatial if a.extent > 1]
    if not spatial:
        return None
    for load in loads(update.store):
        step = stride(load, spatial[-1].var)
        for axis in update.reduced:
            if axis.extent > 1 and stride(load, axis.var) == 1 and step and step > _MAX_STEP:
                return axis.var.name
    return None


def _vector_results(schedule: Schedule, nest: Nest, lanes: int) -> None:
    """Order a nest of a tile: reductions, then rows (few: written out), then vectors of results."""
    spatial = [a.var.name for a in nest.spatial if schedule.extent(a.var.name) > 1]
    if not spatial:
        return
    rest = [n for n in nest.names if n not in spatial]
    across = _across(nest)
    if across is not None:
        _turned_results(schedule, [n for n in rest if n != across], across, spatial, lanes)
        return
    schedule.reorder(*rest, *spatial)
    written_out = 1
    for name in reversed(spatial[:-1]):
        written_out *= schedule.extent(name)
        if written_out > _MAX_ROWS:
            break
        schedule.unroll(name)
    vectorize_in_pieces(schedule, spatial[-1], lanes)


#: Elements of a row that are turned at once, at most: registers hold so many vectors.
_MAX_TURNED = 16


def _turned_results(
    schedule: Schedule, rest: Sequence[str], across: str, spatial: Sequence[str], lanes: int
) -> None:
    """Vectors of results whose elements, a row each, are loaded by rows and turned in registers."""
    *outer, last = spatial
    schedule.reorder(*rest, *outer, across, last)
    size = min(_MAX_TURNED, lanes)
    parts = pieces(schedule.extent(across), size)
    for name, count in zip(cut_into(schedule, across, parts), parts, strict=True):
        step = schedule.split(name, size)[1] if count > size else name
        schedule.unroll(step)
        vectorize_in_pieces(schedule, f"{last}{name[len(across) :]}", lanes)
