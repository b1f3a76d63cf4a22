"""The step that moves the computation of a buffer to where it is used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.loop.ir import Allocate, Block, Buffer, For, Func, Kind, Load, Stmt, Store, block
from relay.loop.simplify import Range, bounds
from relay.loop.walk import loads, loops, map_expressions, simplify_in, stores, substitute_in
from relay.schedule.legality import outer_ranges
from relay.schedule.names import Fresh
from relay.schedule.region import region
from relay.schedule.steps import Step, find, replace_loop
from relay.support.errors import ScheduleError
from relay.te.expr import Expr, Var, binary, clamp
from relay.te.walk import rewrite


@dataclass(frozen=True)
class ComputeAt(Step):
    """Compute `buffer` inside `loop`: just what one iteration of it reads, into private memory.

    The stage of `buffer` must still be as it was built: its nests at the top, one loop a dimension.
    They are copied into the loop with every loop ``i`` called ``i.at.loop``, and the private buffer
    is called ``buffer.at.loop``. The original nests go when nothing reads them any more.
    """

    buffer: str
    loop: str

    def name(self, func: Func) -> str:
        """The name of the private buffer."""
        return Fresh(func)(f"{self.buffer}.at.{self.loop}")

    def apply(self, func: Func) -> Func:
        buffer = next((b for b in func.workspaces if b.name == self.buffer), None)
        if buffer is None:
            raise ScheduleError(f"compute_at: {func.name} has no stage {self.buffer}")
        nests = stage_nests(func, buffer, "compute_at")
        loop = find(func, self.loop)
        if loop.kind is Kind.VECTORIZED:
            raise ScheduleError(f"compute_at: {self.loop} is a vectorized loop")
        self._check_order(func, buffer, nests)
        fixed = outer_ranges(func.body, self.loop)
        inner = {f.var: (0, f.extent - 1) for f in loops(loop.body)}
        reads = [e for e in loads(loop.body) if e.buffer is buffer]
        if not reads:
            raise ScheduleError(f"compute_at: nothing in loop {self.loop} reads {self.buffer}")
        what = f"compute_at: the reads of {self.buffer} in {self.loop}"
        box = region([e.indices for e in reads], fixed, inner, what)
        private = Buffer(self.name(func), box.extents, buffer.dtype)
        fresh = Fresh(func)
        places = [
            self._inside(base, extent, size, fixed)
            for base, extent, size in zip(box.bases, box.extents, buffer.shape, strict=True)
        ]
        copies = [self._copy(nest, private, places, fresh) for nest in nests]

        def redirect(expr: Expr) -> Expr:
            if not isinstance(expr, Load) or expr.buffer is not buffer:
                return expr
            moved = [binary("sub", i, b) for i, b in zip(expr.indices, box.bases, strict=True)]
            return Load(private, moved)

        def make(found: For) -> Stmt:
            body = map_expressions(found.body, lambda e: rewrite(e, redirect))
            body = Allocate(private, block(*copies, body))
            return For(found.var, found.extent, found.kind, body)

        body = simplify_in(replace_loop(func.body, self.loop, make), {})
        return remove_dead_stage(
            Func(func.name, func.params, body, func.workspaces, func.outputs), buffer
        )

    def _check_order(self, func: Func, buffer: Buffer, nests: Sequence[For | Store]) -> None:
        """Raise where what the stage reads, or the stage, is written before the loop is done."""
        top = func.body.stmts if isinstance(func.body, Block) else (func.body,)
        here = next(k for k, s in enumerate(top) if any(f.var.name == self.loop for f in loops(s)))
        if any(s is n for s in top[here:] for n in nests):
            raise ScheduleError(f"compute_at: {self.buffer} is not computed before {self.loop}")
        first = next(k for k, s in enumerate(top) if s is nests[0])
        needed = {e.buffer for n in nests for e in loads(n)}
        for stmt in top[first : here + 1]:
            for store in stores(stmt):
                if store.buffer in needed:
                    raise ScheduleError(
                        f"compute_at: {store.buffer.name}, which {self.buffer} is computed from, "
                        f"is written before {self.loop} is done"
                    )

    def _inside(
        self, base: Expr, extent: int, size: int, fixed: dict[Var, Range]
    ) -> Callable[[Var], Expr]:
        """From position in the region to index of the stage, one that is surely within it.

        A read that is not chosen by a selection may be outside; what it gets does not matter.
        """
        found = bounds(base, fixed)
        within = found is not None and found[0] >= 0 and found[1] + extent <= size

        def place(variable: Var) -> Expr:
            index = binary("add", base, variable)
            return index if within else clamp(index, 0, size - 1)

        return place

    def _copy(
        self,
        nest: For | Store,
        private: Buffer,
        places: Sequence[Callable[[Var], Expr]],
        fresh: Fresh,
    ) -> Stmt:
        """One nest of the stage, over the region only."""
        axes: list[For] = []
        body: Stmt = nest
        while isinstance(body, For):
            axes.append(body)
            body = body.body
        assert isinstance(body, Store)
        values: dict[Var, Expr] = {}
        copied: list[tuple[Var, int]] = []
        for k, axis in enumerate(axes):
            variable = Var(fresh(f"{axis.var.name}.at.{self.loop}"))
            spatial = k < len(places)
            copied.append((variable, private.shape[k] if spatial else axis.extent))
            values[axis.var] = places[k](variable) if spatial else variable
        place = tuple(v for v, _ in copied[: len(places)])
        stored = substitute_in(Store(body.buffer, body.indices, body.value, body.reduce), values)
        assert isinstance(stored, Store)
        result: Stmt = Store(private, place, stored.value, stored.reduce)
        for variable, extent in reversed(copied):
            result = For(variable, extent, Kind.SERIAL, result)
        return result


def stage_nests(func: Func, buffer: Buffer, step: str) -> list[For | Store]:
    """The nests at the top of `func` that compute `buffer`, as they were built.

    Raises `ScheduleError`, in the name of `step`, where they are not.
    """
    top = func.body.stmts if isinstance(func.body, Block) else (func.body,)
    nests: list[For | Store] = []
    for stmt in top:
        axes: list[For] = []
        body: Stmt = stmt
        while isinstance(body, For):
            axes.append(body)
            body = body.body
        if isinstance(body, Store) and body.buffer is buffer:
            rank = len(buffer.shape)
            whole = len(axes) >= rank and all(
                index is axis.var and axis.extent == size
                for index, axis, size in zip(body.indices, axes, buffer.shape, strict=False)
            )
            if not whole:
                raise ScheduleError(f"{step}: {buffer.name} has already been scheduled")
            assert isinstance(stmt, For | Store)
            nests.append(stmt)
    if not nests:
        raise ScheduleError(f"{step}: {buffer.name} is not computed at the top of {func.name}")
    if len(nests) != sum(1 for s in stores(func.body) if s.buffer is buffer):
        raise ScheduleError(f"{step}: {buffer.name} has already been scheduled")
    return nests


def remove_dead_stage(func: Func, buffer: Buffer) -> Func:
    """`func` without the stage of `buffer`, if nothing reads it."""
    nests = stage_nests(func, buffer, "compute_at")
    top = func.body.stmts if isinstance(func.body, Block) else (func.body,)
    rest = [s for s in top if all(s is not n for n in nests)]
    if any(e.buffer is buffer for s in rest for e in loads(s)):
        return func
    workspaces = tuple(b for b in func.workspaces if b is not buffer)
    return Func(func.name, func.params, block(*rest), workspaces, func.outputs)
