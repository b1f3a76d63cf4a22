"""The step that makes one long loop of two whose data lie one after the other."""

from dataclasses import dataclass

from relay.loop.ir import Buffer, For, Func, Load, Stmt, Store
from relay.loop.walk import (
    allocated,
    children,
    expressions,
    loads,
    map_expressions,
    statements,
    stores,
    with_body,
    with_children,
)
from relay.schedule.names import Fresh
from relay.schedule.steps import Step, find, replace_loop
from relay.support.errors import ScheduleError
from relay.te.expr import Expr, Var
from relay.te.walk import rewrite, variables


@dataclass(frozen=True)
class Collapse(Step):
    """Loops ``i`` directly over ``j``, used only as ``[.., i, j, ..]``, become one, ``i.j``.

    Both must run over the whole of the two dimensions wherever they are used, and the buffers be
    used nowhere else: then the two dimensions of each of these buffers become one. `also` are
    further pairs of loops, in other nests that use these buffers, which collapse at once.
    """

    outer: str
    inner: str
    also: tuple[tuple[str, str], ...] = ()

    def name(self, func: Func) -> str:
        """The name of the collapsed loop."""
        return Fresh(func)(f"{self.outer}.{self.inner}")

    def apply(self, func: Func) -> Func:
        merged: dict[Buffer, tuple[Buffer, int]] = {}
        apart: set[Buffer] = set()
        pairs = [self._pair(func, *names) for names in ((self.outer, self.inner), *self.also)]
        for outer, inner in pairs:
            self._merge(outer, inner, merged, apart)
        self._check_uses(func, [inner.body for _, inner in pairs], merged)

        for outer, inner in pairs:
            fused = Var(Fresh(func)(f"{outer.var.name}.{inner.var.name}"))
            loop = For(
                fused,
                outer.extent * inner.extent,
                outer.kind,
                _flattened(inner.body, fused, merged),
            )
            func = with_body(func, _replaced(func.body, outer.var.name, loop))
        params = tuple(merged[b][0] if b in merged else b for b in func.params)
        spaces = tuple(merged[b][0] if b in merged else b for b in func.workspaces)
        return Func(func.name, params, func.body, spaces, func.outputs)

    def _pair(self, func: Func, outer: str, inner: str) -> tuple[For, For]:
        """The two loops; raises `ScheduleError` where one is not directly inside the other."""
        found = find(func, outer)
        if not isinstance(found.body, For) or found.body.var.name != inner:
            raise ScheduleError(f"collapse: {inner} is not directly inside {outer}")
        return found, found.body

    def _merge(
        self,
        outer: For,
        inner: For,
        merged: dict[Buffer, tuple[Buffer, int]],
        apart: set[Buffer],
    ) -> None:
        """Note the buffers that the two loops run over, with one dimension for two, and others."""
        for buffer, indices in _accesses(inner.body):
            dimension = self._dimension(buffer, indices, outer, inner)
            if dimension is None:
                apart.add(buffer)
                continue
            if buffer in merged and merged[buffer][1] != dimension:
                raise ScheduleError(f"collapse: {buffer.name} is accessed in two ways")
            shape = buffer.shape
            size = shape[dimension] * shape[dimension + 1]
            flat = (*shape[:dimension], size, *shape[dimension + 2 :])
            merged.setdefault(buffer, (Buffer(buffer.name, flat, buffer.dtype), dimension))
        if both := next((b for b in merged if b in apart), None):
            raise ScheduleError(f"collapse: {both.name} is accessed in two ways")
        if _used_as_value(inner.body, {outer.var.name, inner.var.name}):
            raise ScheduleError(
                f"collapse: {outer.var.name} or {inner.var.name} is used as a value"
            )

    def _dimension(
        self, buffer: Buffer, indices: tuple[Expr, ...], outer: For, inner: For
    ) -> int | None:
        """The first of the two dimensions that the loops run over; None where they do not."""
        pair = {outer.var, inner.var}
        used = [k for k, index in enumerate(indices) if variables(index) & pair]
        if not used:
            return None
        k = used[0]
        whole = (
            used == [k, k + 1]
            and indices[k] is outer.var
            and indices[k + 1] is inner.var
            and buffer.shape[k : k + 2] == (outer.extent, inner.extent)
        )
        if not whole:
            raise ScheduleError(
                f"collapse: {buffer.name} is not accessed as a whole by "
                f"{outer.var.name}, {inner.var.name}"
            )
        return k

    def _check_uses(
        self, func: Func, bodies: list[Stmt], merged: dict[Buffer, tuple[Buffer, int]]
    ) -> None:
        everywhere = sum(1 for b, _ in _accesses(func.body) if b in merged)
        here = sum(1 for body in bodies for b, _ in _accesses(body) if b in merged)
        if everywhere != here or merged.keys() & allocated(func.body):
            raise ScheduleError(f"collapse: a buffer of {self.outer} is also used elsewhere")


def _replaced(root: Stmt, name: str, new: For) -> Stmt:
    return replace_loop(root, name, lambda _: new)


def _flattened(root: Stmt, fused: Var, merged: dict[Buffer, tuple[Buffer, int]]) -> Stmt:
    """`root` on the `merged` buffers, `fused` being the index along the one dimension for two."""

    def place(buffer: Buffer, indices: tuple[Expr, ...]) -> tuple[Expr, ...]:
        d = merged[buffer][1]
        return (*indices[:d], fused, *indices[d + 2 :])

    def visit(stmt: Stmt) -> Stmt:
        if isinstance(stmt, Store):
            if stmt.buffer not in merged:
                return stmt
            indices = place(stmt.buffer, stmt.indices)
            return Store(merged[stmt.buffer][0], indices, stmt.value, stmt.reduce)
        return with_children(stmt, tuple(visit(c) for c in children(stmt)))

    def redirect(expr: Expr) -> Expr:
        if isinstance(expr, Load) and expr.buffer in merged:
            return Load(merged[expr.buffer][0], place(expr.buffer, expr.indices))
        return expr

    return visit(map_expressions(root, lambda e: rewrite(e, redirect)))


def _accesses(root: Stmt) -> list[tuple[Buffer, tuple[Expr, ...]]]:
    found = [(s.buffer, s.indices) for s in stores(root)]
    return found + [(e.buffer, e.indices) for e in loads(root)]


def _used_as_value(root: Stmt, names: set[str]) -> bool:
    """Whether a loop variable called one of `names` occurs outside of indices."""
    for stmt in statements(root):
        values = (stmt.value,) if isinstance(stmt, Store) else expressions(stmt)
        stack = list(values)
        while stack:
            node = stack.pop()
            if isinstance(node, Var) and node.name in names:
                return True
            if not isinstance(node, Load):
                stack.extend(node.children())
    return False
