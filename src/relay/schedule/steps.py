"""Schedule steps: each maps a loop program to an equivalent one, or refuses.

Loops and buffers are referred to by name; see `relay.schedule.names`. The names a step makes are a
function of the program it is taken on, so that a trace of steps replays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relay.loop.ir import Allocate, Block, Buffer, For, Func, If, Kind, Load, Stmt, Store, block
from relay.loop.walk import (
    children,
    loads,
    loops,
    map_buffers,
    map_expressions,
    simplify_in,
    substitute_in,
    with_body,
    with_children,
)
from relay.schedule.legality import check_independent, outer_ranges
from relay.schedule.names import Fresh, all_names, names_in
from relay.support.errors import ScheduleError
from relay.te.expr import Const, Expr, Var, binary, compare, select
from relay.te.walk import rewrite, variables


class Step:
    """One rewriting of a loop program. Derived classes are frozen dataclasses."""

    def apply(self, func: Func) -> Func:
        """The rewritten program; raises `ScheduleError` where the step is illegal."""
        raise ScheduleError(f"{type(self).__name__} cannot be applied")


def find(func: Func, name: str) -> For:
    """The loop called `name`; raises `ScheduleError` listing the loops there are."""
    for loop in loops(func.body):
        if loop.var.name == name:
            return loop
    present = ", ".join(f.var.name for f in loops(func.body))
    raise ScheduleError(f"there is no loop {name} in {func.name}; its loops are {present}")


def replace_loop(root: Stmt, name: str, make: Callable[[For], Stmt]) -> Stmt:
    """`root` with the loop called `name` replaced by what `make` returns for it."""
    if isinstance(root, For) and root.var.name == name:
        return make(root)
    old = children(root)
    new = tuple(replace_loop(c, name, make) for c in old)
    return root if all(a is b for a, b in zip(old, new, strict=True)) else with_children(root, new)


def _rewrite(func: Func, name: str, make: Callable[[For], Stmt]) -> Func:
    find(func, name)
    body = replace_loop(func.body, name, make)
    return with_body(func, simplify_in(body, {}))


@dataclass(frozen=True)
class Split(Step):
    """Loop ``i`` becomes ``i.0`` over ``i.1``, the inner one of `factor` iterations.

    `factor` must divide the extent: cut the loop first where it does not, or let the body be
    `guarded` by a test that its iteration is one of them.
    """

    loop: str
    factor: int
    guarded: bool = False

    def names(self, func: Func) -> tuple[str, str]:
        """The names of the outer and the inner loop."""
        fresh = Fresh(func)
        return fresh(f"{self.loop}.0"), fresh(f"{self.loop}.1")

    def apply(self, func: Func) -> Func:
        def make(loop: For) -> Stmt:
            if loop.kind is Kind.VECTORIZED:
                raise ScheduleError(f"split: {self.loop} is vectorized already")
            exact = self.factor > 0 and loop.extent % self.factor == 0
            if not exact and (self.factor < 1 or not self.guarded):
                raise ScheduleError(
                    f"split: {self.factor} does not divide the {loop.extent} iterations of "
                    f"{self.loop}; cut the loop first"
                )
            outer, inner = map(Var, self.names(func))
            value = binary("add", binary("mul", outer, self.factor), inner)
            body = substitute_in(loop.body, {loop.var: value})
            if not exact:
                body = _guarded(body, compare("lt", value, loop.extent))
            body = For(inner, self.factor, Kind.SERIAL, body)
            return For(outer, -(-loop.extent // self.factor), loop.kind, body)

        # A loop of one iteration would be simplified away, and its name with it.
        find(func, self.loop)
        return with_body(func, replace_loop(func.body, self.loop, make))


def _guarded(body: Stmt, cond: Expr) -> Stmt:
    """`body` run only where `cond` holds. The test stands inside its loops, which stay nested."""
    if isinstance(body, For):
        return For(body.var, body.extent, body.kind, _guarded(body.body, cond))
    return If(cond, body)


def _unguarded(loop: For) -> Stmt:
    """`loop` inside of the tests at its body that do not depend on it."""
    if isinstance(loop.body, If) and loop.body.otherwise is None:
        cond = loop.body.cond
        if loop.var not in variables(cond):
            return If(cond, _unguarded(For(loop.var, loop.extent, loop.kind, loop.body.then)))
    return loop


@dataclass(frozen=True)
class Cut(Step):
    """Loop ``i`` becomes two, one after the other: the first `point` iterations, then the rest.

    The loops and buffers of the second part are called as before with ``.t`` appended, or ``.tt``
    and so on, so that all of them are new.
    """

    loop: str
    point: int

    def second(self, func: Func) -> str:
        """The name of the second loop."""
        used = all_names(func)
        inside = names_in(find(func, self.loop))
        mark = ".t"
        while any(taken.startswith(name + mark) for name in inside for taken in used):
            mark += "t"
        return self.loop + mark

    def apply(self, func: Func) -> Func:
        mark = self.second(func)[len(self.loop) :]

        def make(loop: For) -> Stmt:
            if not 0 < self.point < loop.extent:
                raise ScheduleError(
                    f"cut: expected a point inside the {loop.extent} iterations of {self.loop}, "
                    f"found {self.point}"
                )
            first = For(loop.var, self.point, loop.kind, loop.body)
            moved = Var(self.loop + mark)
            body = rename(loop.body, lambda name: name + mark)
            body = substitute_in(body, {loop.var: binary("add", moved, self.point)})
            return block(first, For(moved, loop.extent - self.point, loop.kind, body))

        return _rewrite(func, self.loop, make)


def rename(stmt: Stmt, called: Callable[[str], str]) -> Stmt:
    """`stmt` with fresh loop variables and private buffers, named by `called`."""
    if isinstance(stmt, For):
        fresh = Var(called(stmt.var.name))
        body = substitute_in(rename(stmt.body, called), {stmt.var: fresh})
        return For(fresh, stmt.extent, stmt.kind, body)
    if isinstance(stmt, Allocate):
        old = stmt.buffer
        private = Buffer(called(old.name), old.shape, old.dtype)
        return Allocate(private, map_buffers(rename(stmt.body, called), {old: private}))
    return with_children(stmt, tuple(rename(c, called) for c in children(stmt)))


@dataclass(frozen=True)
class Reorder(Step):
    """Perfectly nested loops change their order to the one given, outermost first."""

    loops: tuple[str, ...]

    def apply(self, func: Func) -> Func:
        if not self.loops:
            raise ScheduleError("reorder: expected loops")
        for name in self.loops:
            find(func, name)
        band: list[For] = []

        def make(outermost: For) -> Stmt:
            body: Stmt = outermost
            while isinstance(body, For) and len(band) < len(self.loops):
                band.append(body)
                body = body.body
            if {f.var.name for f in band} != set(self.loops):
                raise ScheduleError(
                    f"reorder: {', '.join(self.loops)} are not perfectly nested; "
                    f"found {', '.join(f.var.name for f in band)}"
                )
            last = next(f for f in band if f.var.name == self.loops[-1])
            for loop in band:
                if loop.kind is Kind.VECTORIZED and loop is not last:
                    raise ScheduleError(
                        f"reorder: {loop.var.name} is vectorized; expected it innermost"
                    )
                check_independent(loop, "reorder", reductions_too=True)
            by_name = {f.var.name: f for f in band}
            for name in reversed(self.loops):
                loop = by_name[name]
                body = For(loop.var, loop.extent, loop.kind, body)
            return body

        names = set(self.loops)
        outermost = next(f for f in loops(func.body) if f.var.name in names)
        return with_body(func, replace_loop(func.body, outermost.var.name, make))


@dataclass(frozen=True)
class Fuse(Step):
    """Two perfectly nested loops ``i``, ``j`` become one, called ``i.j``.

    It runs as the outer one did; fused into a parallel loop, the inner one must be independent too.
    """

    outer: str
    inner: str

    def name(self, func: Func) -> str:
        """The name of the fused loop."""
        return Fresh(func)(f"{self.outer}.{self.inner}")

    def apply(self, func: Func) -> Func:
        def make(loop: For) -> Stmt:
            inner = loop.body
            if not isinstance(inner, For) or inner.var.name != self.inner:
                raise ScheduleError(f"fuse: {self.inner} is not directly inside {self.outer}")
            if loop.kind is Kind.PARALLEL:
                check_independent(inner, "fuse")
            fused = Var(self.name(func))
            values: dict[Var, Expr] = {
                loop.var: binary("floordiv", fused, inner.extent),
                inner.var: binary("floormod", fused, inner.extent),
            }
            body = substitute_in(inner.body, values)
            return For(fused, loop.extent * inner.extent, loop.kind, body)

        find(func, self.outer)
        body = replace_loop(func.body, self.outer, make)
        return with_body(func, simplify_in(body, {}))


class _Annotate(Step):
    loop: str
    kind: Kind

    def apply(self, func: Func) -> Func:
        loop = find(func, self.loop)
        if self.kind is not Kind.UNROLLED:
            check_independent(loop, self.kind.value)
        around = outer_ranges(func.body, self.loop)
        if self.kind is Kind.PARALLEL:
            nested = [f for f in loops(func.body) if f.kind is Kind.PARALLEL]
            if any(
                f.var in around or loop.var in outer_ranges(func.body, f.var.name) for f in nested
            ):
                raise ScheduleError(f"parallel: {self.loop} is nested with another parallel loop")

        def make(found: For) -> Stmt:
            return For(found.var, found.extent, self.kind, found.body)

        return with_body(func, replace_loop(func.body, self.loop, make))


@dataclass(frozen=True)
class Parallel(_Annotate):
    """The iterations of the loop run on several cores."""

    loop: str
    kind = Kind.PARALLEL


@dataclass(frozen=True)
class Vectorize(_Annotate):
    """The iterations of the loop become the lanes of vectors.

    Tests in it that are the same for all lanes move out of it.
    """

    loop: str
    kind = Kind.VECTORIZED

    def apply(self, func: Func) -> Func:
        find(func, self.loop)
        func = with_body(func, replace_loop(func.body, self.loop, _unguarded))
        inner = find(func, self.loop).body
        stmts = inner.stmts if isinstance(inner, Block) else (inner,)
        if not all(isinstance(s, Store) for s in stmts):
            raise ScheduleError(f"vectorize: expected only stores inside {self.loop}")
        return super().apply(func)


@dataclass(frozen=True)
class Unroll(_Annotate):
    """The iterations of the loop are written out."""

    loop: str
    kind = Kind.UNROLLED


@dataclass(frozen=True)
class Pack(Step):
    """Copy the input `buffer` once, so that dimension `axis` is blocked by `factor`.

    Its shape ``(.., n, .., m)`` becomes ``(ceil(n / factor), .., m, factor)``; what does not fill
    the last block is zero. The copy, called like the buffer with ``.packed`` appended, runs before
    everything else (at compile time, where the buffer is a constant).

    With `pairs`, a second dimension, its elements lie side by side in twos, innermost of all: the
    shape ``(n, k)`` becomes ``(ceil(n / factor), ceil(k / 2), factor, 2)``.
    """

    buffer: str
    axis: int
    factor: int
    pairs: int | None = None

    @property
    def packed_name(self) -> str:
        """The name of the packed copy."""
        return f"{self.buffer}.packed"

    def packed_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of the packed copy of an array of `shape`."""
        halved = [-(-d // 2) if k == self.pairs else d for k, d in enumerate(shape)]
        rest = [d for k, d in enumerate(halved) if k != self.axis]
        innermost = () if self.pairs is None else (2,)
        return (-(-shape[self.axis] // self.factor), *rest, self.factor, *innermost)

    def reference(
        self, array: npt.NDArray[np.generic], out: npt.NDArray[np.generic] | None = None
    ) -> npt.NDArray[np.generic]:
        """The packed copy of `array`, in NumPy: for constants, at compile time.

        It is written to `out` where that is given; nothing else of its size is allocated.
        """
        if out is None:
            out = np.empty(self.packed_shape(array.shape), array.dtype)
        if self.pairs is None:
            self._blocks(array, out)
            return out
        before = (slice(None),) * self.pairs
        there = (slice(None),) * (self.pairs + (self.pairs < self.axis))
        size = array.shape[self.pairs]
        for side in (0, 1):
            count = (size + 1 - side) // 2
            self._blocks(
                array[(*before, slice(side, None, 2))], out[(*there, slice(count))][..., side]
            )
            out[(*there, slice(count, None))][..., side] = 0
        return out

    def _blocks(self, array: npt.NDArray[np.generic], out: npt.NDArray[np.generic]) -> None:
        """Write `array`, its dimension blocked, to `out`."""
        ordered = np.moveaxis(array, self.axis, 0)
        whole, rest = divmod(len(ordered), self.factor)
        blocks = ordered[: whole * self.factor].reshape(whole, self.factor, *ordered.shape[1:])
        np.copyto(out[:whole], np.moveaxis(blocks, 1, -1))
        if rest:
            out[whole, ..., :rest] = np.moveaxis(ordered[whole * self.factor :], 0, -1)
            out[whole, ..., rest:] = 0

    def apply(self, func: Func) -> Func:
        source = next((b for b in func.params if b.name == self.buffer), None)
        if source is None:
            raise ScheduleError(f"pack: {self.buffer} is not a parameter of {func.name}")
        if source in func.params[len(func.params) - func.outputs :]:
            raise ScheduleError(f"pack: {self.buffer} is an output of {func.name}")
        if not 0 <= self.axis < len(source.shape) or self.factor < 1:
            raise ScheduleError(
                f"pack: expected one of the {len(source.shape)} dimensions of {self.buffer} and "
                f"a positive factor, found dimension {self.axis} and factor {self.factor}"
            )
        if self.pairs is not None and self.pairs not in {*range(len(source.shape))} - {self.axis}:
            raise ScheduleError(
                f"pack: expected pairs of another dimension of {self.buffer}, found {self.pairs}"
            )
        if self.packed_name in all_names(func):
            raise ScheduleError(f"pack: there is a {self.packed_name} already")
        packed = Buffer(self.packed_name, self.packed_shape(source.shape), source.dtype)

        def redirect(expr: Expr) -> Expr:
            if not isinstance(expr, Load) or expr.buffer is not source:
                return expr
            index = expr.indices[self.axis]
            others = list(expr.indices)
            innermost = [binary("floormod", index, self.factor)]
            if self.pairs is not None:
                innermost.append(binary("floormod", others[self.pairs], 2))
                others[self.pairs] = binary("floordiv", others[self.pairs], 2)
            del others[self.axis]
            return Load(packed, [binary("floordiv", index, self.factor), *others, *innermost])

        body = map_expressions(func.body, lambda e: rewrite(e, redirect))
        body = simplify_in(body, {})
        copy = self._copy(source, packed)
        return Func(
            func.name,
            func.params,
            block(copy, body),
            (*func.workspaces, packed),
            func.outputs,
        )

    def _copy(self, source: Buffer, packed: Buffer) -> Stmt:
        axes = [Var(f"{packed.name}.{k}") for k in range(len(packed.shape))]
        lane = axes[-1] if self.pairs is None else axes[-2]
        index = binary("add", binary("mul", axes[0], self.factor), lane)
        place: list[Expr] = [*axes[1 : len(source.shape)]]
        place.insert(self.axis, index)
        if self.pairs is not None:
            place[self.pairs] = binary("add", binary("mul", place[self.pairs], 2), axes[-1])
        value: Expr = Load(source, place)
        for dimension, factor in ((self.axis, self.factor), (self.pairs, 2)):
            if dimension is not None and source.shape[dimension] % factor:
                inside = place[dimension] < source.shape[dimension]
                value = select(inside, value, Const(0, value.dtype))
        body: Stmt = Store(packed, tuple(axes), value)
        for axis, extent in zip(reversed(axes), reversed(packed.shape), strict=True):
            body = For(axis, extent, Kind.SERIAL, body)
        return simplify_in(body, {})


@dataclass(frozen=True)
class Prefetch(Step):
    """Loads of `buffer` bring what lies `ahead` elements further into the nearest cache."""

    buffer: str
    ahead: int

    def apply(self, func: Func) -> Func:
        if self.ahead < 1:
            raise ScheduleError(f"prefetch: expected places ahead, found {self.ahead}")
        if not any(e.buffer.name == self.buffer for e in loads(func.body)):
            raise ScheduleError(f"prefetch: nothing in {func.name} reads {self.buffer}")

        def look(expr: Expr) -> Expr:
            if isinstance(expr, Load) and expr.buffer.name == self.buffer:
                return Load(expr.buffer, expr.indices, self.ahead)
            return expr

        return with_body(func, map_expressions(func.body, lambda e: rewrite(e, look)))
