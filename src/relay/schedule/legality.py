"""What must hold before a schedule step may be taken."""

from relay.loop.ir import Buffer, For, Stmt, Store
from relay.loop.simplify import Range, bounds, linear
from relay.loop.walk import allocated, children, loads, loops, statements
from relay.support.errors import ScheduleError
from relay.te.expr import Expr, Var
from relay.te.walk import variables


def coefficient(index: Expr, variable: Var) -> int | None:
    """How much `index` grows by one step of `variable`; None where it is not linear in it."""
    form = linear(index)
    total = 0
    for atom, factor in form.terms.values():
        if atom is variable:
            total += factor
        elif variable in variables(atom):
            return None
    return total


def separates(store: Store, variable: Var, inner: dict[Var, Range]) -> bool:
    """Whether `store` writes different places in different iterations of `variable`.

    `inner` are the ranges of the loops inside; loops outside are fixed. True where some index is
    ``c * variable + rest`` and the inner loops move `rest` by less than ``|c|``.
    """
    for index in store.indices:
        step = coefficient(index, variable)
        if not step:
            continue
        low = high = 0
        for atom, factor in linear(index).terms.values():
            if atom is variable:
                continue
            if not variables(atom) & inner.keys():
                continue  # fixed by the loops outside
            found = bounds(atom, inner)
            if found is None:
                break
            ends = found[0] * factor, found[1] * factor
            low, high = low + min(ends), high + max(ends)
        else:
            if high - low < abs(step):
                return True
    return False


def check_independent(loop: For, step: str, reductions_too: bool = False) -> None:
    """Raise `ScheduleError` unless the iterations of `loop` do not depend on each other.

    With `reductions_too`, updates of one place by several iterations are allowed: they may be
    carried out in another order, though not at once.
    """
    if loop.extent <= 1:
        return
    private = allocated(loop.body)
    inner = {f.var: (0, f.extent - 1) for f in loops(loop.body)}
    written: set[Buffer] = set()
    for stmt in statements(loop.body):
        if not isinstance(stmt, Store) or stmt.buffer in private:
            continue
        written.add(stmt.buffer)
        if separates(stmt, loop.var, inner) or (reductions_too and stmt.reduce):
            continue
        raise ScheduleError(
            f"{step}: iterations of loop {loop.var.name} may write the same place of "
            f"{stmt.buffer.name}; expected an index that {loop.var.name} alone moves"
        )
    for load in loads(loop.body):
        if load.buffer in written and not _reads_own(load.buffer, loop):
            raise ScheduleError(
                f"{step}: iterations of loop {loop.var.name} read {load.buffer.name}, "
                "which other iterations write"
            )


def _reads_own(buffer: Buffer, loop: For) -> bool:
    """Whether every access to `buffer` in an iteration stays on that iteration's own slice."""
    inner = {f.var: (0, f.extent - 1) for f in loops(loop.body)}
    accesses: list[tuple[Expr, ...]] = [
        s.indices for s in statements(loop.body) if isinstance(s, Store) and s.buffer is buffer
    ]
    accesses += [e.indices for e in loads(loop.body) if e.buffer is buffer]
    for dimension in range(len(buffer.shape)):
        steps = {coefficient(a[dimension], loop.var) for a in accesses}
        if len(steps) == 1 and (step := steps.pop()):
            spans = [_span(a[dimension], loop.var, inner) for a in accesses]
            if all(s is not None for s in spans):
                low = min(s[0] for s in spans if s)
                high = max(s[1] for s in spans if s)
                if high - low < abs(step):
                    return True
    return False


def _span(index: Expr, variable: Var, inner: dict[Var, Range]) -> Range | None:
    form = linear(index)
    low = high = form.const
    for atom, factor in form.terms.values():
        if atom is variable or not variables(atom) & inner.keys():
            continue
        found = bounds(atom, inner)
        if found is None:
            return None
        ends = found[0] * factor, found[1] * factor
        low, high = low + min(ends), high + max(ends)
    return low, high


def outer_ranges(root: Stmt, target: str) -> dict[Var, Range]:
    """The ranges of the loops around (and including) the loop called `target`."""
    found: dict[Var, Range] = {}

    def visit(stmt: Stmt, around: dict[Var, Range]) -> bool:
        if isinstance(stmt, For):
            around = {**around, stmt.var: (0, stmt.extent - 1)}
            if stmt.var.name == target:
                found.update(around)
                return True
        return any(visit(c, around) for c in children(stmt))

    visit(root, {})
    return found
