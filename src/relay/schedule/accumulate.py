"""The step that sums apart, in registers say, what a loop adds to a buffer."""

from dataclasses import dataclass

from relay.loop.ir import Allocate, Buffer, For, Func, Kind, Load, Stmt, Store, block
from relay.loop.walk import children, loads, loops, simplify_in, stores, with_body, with_children
from relay.schedule.legality import outer_ranges
from relay.schedule.names import Fresh
from relay.schedule.region import region
from relay.schedule.steps import Step, find, replace_loop
from relay.support.errors import ScheduleError
from relay.te.expr import Var, binary, identity


@dataclass(frozen=True)
class Accumulate(Step):
    """Every iteration of `loop` sums what it adds to `buffer` apart, and adds the sums at its end.

    ::

        for i < 8 { for k < 9 { y[i] += a[i, k] } }

    becomes with ``accumulate(buffer='y', loop='i')``, but for loops over one element::

        for i < 8 {
          alloc y.sum.i: float32[1]
          y.sum.i[0] = 0.0
          for k < 9 { y.sum.i[0] += a[i, k] }
          y[i] += y.sum.i[0]
        }

    The private buffer has what one iteration updates. The new loops are called ``y.sum.i.zero.K``
    and ``y.sum.i.add.K``, with a number for every dimension.
    """

    buffer: str
    loop: str

    def name(self, func: Func) -> str:
        """The name of the private buffer."""
        return Fresh(func)(f"{self.buffer}.sum.{self.loop}")

    def apply(self, func: Func) -> Func:
        loop = find(func, self.loop)
        if loop.kind is Kind.VECTORIZED:
            raise ScheduleError(f"accumulate: {self.loop} is a vectorized loop")
        updates = [s for s in stores(loop.body) if s.buffer.name == self.buffer]
        if not updates:
            raise ScheduleError(f"accumulate: nothing in {self.loop} writes {self.buffer}")
        buffer, kinds = updates[0].buffer, {s.reduce for s in updates}
        if None in kinds or len(kinds) > 1 or any(e.buffer is buffer for e in loads(loop.body)):
            raise ScheduleError(
                f"accumulate: expected {self.buffer} to be only added to in {self.loop}"
            )
        (kind,) = kinds
        assert kind is not None
        inner = {f.var: (0, f.extent - 1) for f in loops(loop.body)}
        what = f"accumulate: the updates of {self.buffer} in {self.loop}"
        box = region([s.indices for s in updates], outer_ranges(func.body, self.loop), inner, what)
        fresh = Fresh(func)
        private = Buffer(fresh(f"{self.buffer}.sum.{self.loop}"), box.extents, buffer.dtype)

        def redirect(stmt: Stmt) -> Stmt:
            if isinstance(stmt, Store) and stmt.buffer is buffer:
                moved = [binary("sub", i, b) for i, b in zip(stmt.indices, box.bases, strict=True)]
                return Store(private, tuple(moved), stmt.value, stmt.reduce)
            return with_children(stmt, tuple(redirect(c) for c in children(stmt)))

        def nest(called: str, start: bool) -> Stmt:
            axes = [Var(fresh(f"{private.name}.{called}.{d}")) for d in range(len(box.extents))]
            stmt: Stmt = Store(private, tuple(axes), identity(kind, buffer.dtype))
            if not start:
                place = [binary("add", b, v) for b, v in zip(box.bases, axes, strict=True)]
                stmt = Store(buffer, tuple(place), Load(private, axes), kind)
            for axis, extent in zip(reversed(axes), reversed(box.extents), strict=True):
                stmt = For(axis, extent, Kind.SERIAL, stmt)
            return stmt

        def make(found: For) -> Stmt:
            body = block(nest("zero", True), redirect(found.body), nest("add", False))
            return For(found.var, found.extent, found.kind, Allocate(private, body))

        return with_body(func, simplify_in(replace_loop(func.body, self.loop, make), {}))
