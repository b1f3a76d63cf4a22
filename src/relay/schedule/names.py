"""Names of loops and buffers: what a schedule step says things by, and the program's text shows.

All loops and buffers of a program have different names, whatever their scopes, and a step calls
what it makes after what it was given, joined by points: splitting ``i`` gives ``i.0`` and ``i.1``.
Where such a name is taken, a number is appended.
"""

from collections import Counter

from relay.loop.ir import Allocate, Buffer, For, Func, Stmt
from relay.loop.names import Names
from relay.loop.printer import RESERVED, available
from relay.loop.walk import children, map_buffers, statements, substitute_in, with_children
from relay.support.errors import ScheduleError
from relay.te.expr import Var


def names_in(root: Stmt) -> list[str]:
    """The names of the loops and of the buffers allocated in `root`, outer ones first."""
    found: list[str] = []
    for stmt in statements(root):
        if isinstance(stmt, For):
            found.append(stmt.var.name)
        elif isinstance(stmt, Allocate):
            found.append(stmt.buffer.name)
    return found


def all_names(func: Func) -> list[str]:
    """The names of all loops and buffers of `func`."""
    given = [buffer.name for buffer in (*func.params, *func.workspaces)]
    return given + names_in(func.body)


def check_names(func: Func) -> None:
    """Raise `ScheduleError` where two loops or buffers have one name: steps could not tell them."""
    for name, count in Counter(all_names(func)).items():
        if count > 1:
            raise ScheduleError(
                f"{count} loops or buffers of {func.name} are called {name}; "
                "expected a name of its own for each"
            )


def as_printed(func: Func) -> Func:
    """`func` with every loop and buffer called as its text shows; `func` if they are so."""
    taken = set(RESERVED)

    def name(wish: str) -> str:
        found = available(wish, taken)
        taken.add(found)
        return found

    def buffer(old: Buffer) -> Buffer:
        found = name(old.name)
        return old if found == old.name else Buffer(found, old.shape, old.dtype)

    params = tuple(buffer(b) for b in func.params)
    workspaces = tuple(buffer(b) for b in func.workspaces)
    given = zip((*func.params, *func.workspaces), (*params, *workspaces), strict=True)
    renamed = {old: new for old, new in given if old is not new}

    def visit(stmt: Stmt) -> Stmt:
        if isinstance(stmt, For):
            found = name(stmt.var.name)
            body = visit(stmt.body)
            if found != stmt.var.name:
                var = Var(found, stmt.var.dtype)
                return For(var, stmt.extent, stmt.kind, substitute_in(body, {stmt.var: var}))
            return stmt if body is stmt.body else For(stmt.var, stmt.extent, stmt.kind, body)
        if isinstance(stmt, Allocate):
            private = buffer(stmt.buffer)
            body = visit(stmt.body)
            if private is not stmt.buffer:
                return Allocate(private, map_buffers(body, {stmt.buffer: private}))
            return stmt if body is stmt.body else Allocate(private, body)
        old = children(stmt)
        new = tuple(visit(c) for c in old)
        same = all(a is b for a, b in zip(old, new, strict=True))
        return stmt if same else with_children(stmt, new)

    body = visit(func.body)
    if renamed:
        body = map_buffers(body, renamed)
    if not renamed and body is func.body:
        return func
    return Func(func.name, params, body, workspaces, func.outputs)


class Fresh(Names):
    """Gives names that nothing in a program has, nor has been given before."""

    def __init__(self, func: Func) -> None:
        super().__init__(all_names(func))
