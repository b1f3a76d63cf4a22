"""Steps on reductions: parallel partial results, and updates by several terms at once."""

from dataclasses import dataclass

from relay.loop.ir import Allocate, Buffer, For, Func, Kind, Load, Stmt, Store, block
from relay.loop.walk import loads, simplify_in, with_body
from relay.schedule.names import Fresh
from relay.schedule.steps import Step, find, replace_loop
from relay.support.errors import ScheduleError
from relay.te.expr import INDEX, Const, Expr, Var, binary, identity
from relay.te.walk import substitute, variables


@dataclass(frozen=True)
class Rfactor(Step):
    """Give every combination of the `lanes` loops a partial result of its own.

    `loop` is a reduction loop and `lanes` the loops directly inside it, down to the update, which
    does not depend on where it is put by any of them. Afterwards the innermost lane loop can be
    vectorized. The partial results are combined in a tree; the extent of the last lane loop must be
    a power of two. New loops are called ``lane.init`` and ``lane.join.K``.
    """

    loop: str
    lanes: tuple[str, ...]

    def apply(self, func: Func) -> Func:
        loop = find(func, self.loop)
        band: list[For] = []
        body: Stmt = loop.body
        while isinstance(body, For):
            band.append(body)
            body = body.body
        if tuple(f.var.name for f in band) != self.lanes or not isinstance(body, Store):
            raise ScheduleError(
                f"rfactor: expected the loops {', '.join(self.lanes)} and one update directly "
                f"inside {self.loop}"
            )
        if not band:
            raise ScheduleError(f"rfactor: expected loops of lanes inside {self.loop}")
        if any(e.buffer is body.buffer for e in loads(body)):
            raise ScheduleError(f"rfactor: the update in {self.loop} reads {body.buffer.name}")
        moved = {loop.var, *(f.var for f in band)}
        if body.reduce is None or any(variables(i) & moved for i in body.indices):
            raise ScheduleError(f"rfactor: {self.loop} is not a loop that reduces into one place")
        if band[-1].extent & (band[-1].extent - 1):
            raise ScheduleError(
                f"rfactor: expected a power of two of lanes, found {band[-1].extent}"
            )
        fresh = Fresh(func)
        partial = Buffer(
            fresh(f"{body.buffer.name}.{self.loop}"), [f.extent for f in band], body.buffer.dtype
        )
        place = tuple(f.var for f in band)
        update: Stmt = Store(partial, place, body.value, body.reduce)
        for lane in reversed(band):
            update = For(lane.var, lane.extent, lane.kind, update)
        stages = (
            self._start(partial, band, body.reduce, fresh),
            For(loop.var, loop.extent, Kind.SERIAL, update),
            *self._join(partial, band, body, fresh),
        )
        replacement = Allocate(partial, block(*stages))
        return with_body(func, replace_loop(func.body, self.loop, lambda _: replacement))

    def _start(self, partial: Buffer, band: list[For], kind: str, fresh: Fresh) -> Stmt:
        lanes = [Var(fresh(f"{f.var.name}.init")) for f in band]
        stmt: Stmt = Store(partial, tuple(lanes), identity(kind, partial.dtype))
        return _lane_nest(stmt, lanes, [f.extent for f in band])

    def _join(self, partial: Buffer, band: list[For], update: Store, fresh: Fresh) -> list[Stmt]:
        """Combine the partial results: outer lanes one by one, the innermost in halves."""
        assert update.reduce is not None
        zero: Expr = Const(0, "int64")
        stmts: list[Stmt] = []
        innermost = band[-1]
        first: tuple[Expr, ...] = (zero,) * (len(band) - 1)
        outer = [f.extent for f in band[:-1]]
        for k, place in enumerate(_places(outer)[1:]):
            lane = Var(fresh(f"{innermost.var.name}.join.{k}"))
            value = Load(partial, [*(Const(i, "int64") for i in place), lane])
            store = Store(partial, (*first, lane), value, update.reduce)
            stmts.append(For(lane, innermost.extent, Kind.VECTORIZED, store))
        width = innermost.extent // 2
        while width:
            lane = Var(fresh(f"{innermost.var.name}.join.x{width}"))
            value = Load(partial, [*first, binary("add", lane, width)])
            store = Store(partial, (*first, lane), value, update.reduce)
            stmts.append(For(lane, width, Kind.VECTORIZED, store))
            width //= 2
        total = Load(partial, [*first, zero])
        stmts.append(Store(update.buffer, update.indices, total, update.reduce))
        return stmts


#: Terms of a merged update, at most.
_MOST_TERMS = 16


@dataclass(frozen=True)
class Merge(Step):
    """The iterations of `loop`, sums into one place, become one update by the sum of their terms.

    ::

        for k < 2 { y[i] += a[i, k] * b[k] }   ->   y[i] += a[i, 0] * b[0] + a[i, 1] * b[1]
    """

    loop: str

    def apply(self, func: Func) -> Func:
        loop = find(func, self.loop)
        body = loop.body
        if not isinstance(body, Store) or body.reduce != "sum":
            raise ScheduleError(f"merge: expected one sum directly inside {self.loop}")
        if loop.kind not in (Kind.SERIAL, Kind.UNROLLED) or not 1 <= loop.extent <= _MOST_TERMS:
            raise ScheduleError(
                f"merge: expected a serial loop of 1 to {_MOST_TERMS} iterations, found "
                f"{self.loop}, {loop.kind.value}, of {loop.extent}"
            )
        if any(loop.var in variables(i) for i in body.indices):
            raise ScheduleError(f"merge: {self.loop} moves the place that is updated")
        if any(e.buffer is body.buffer for e in loads(body)):
            raise ScheduleError(f"merge: the update in {self.loop} reads {body.buffer.name}")
        terms = [substitute(body.value, {loop.var: Const(k, INDEX)}) for k in range(loop.extent)]
        total = terms[0]
        for term in terms[1:]:
            total = binary("add", total, term)
        merged = Store(body.buffer, body.indices, total, body.reduce)
        stmt = replace_loop(func.body, self.loop, lambda _: merged)
        return with_body(func, simplify_in(stmt, {}))


def _places(extents: list[int]) -> list[tuple[int, ...]]:
    places: list[tuple[int, ...]] = [()]
    for extent in extents:
        places = [(*p, i) for p in places for i in range(extent)]
    return places


def _lane_nest(stmt: Stmt, variables_: list[Var], extents: list[int]) -> Stmt:
    """Loops for all lanes around `stmt`: the innermost vectorized, the others unrolled."""
    for k, (variable, extent) in enumerate(
        zip(reversed(variables_), reversed(extents), strict=True)
    ):
        stmt = For(variable, extent, Kind.UNROLLED if k else Kind.VECTORIZED, stmt)
    return stmt
