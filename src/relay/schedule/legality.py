"""What must hold before a schedule step may be taken."""

from relay.loop.concurrent import conflicts
from relay.loop.ir import Buffer, For, Load, Stmt, Store
from relay.loop.simplify import Range, bounds, linear
from relay.loop.walk import allocated, children, loads, loops, statements, stores
from relay.support.errors import ScheduleError
from relay.te.expr import Expr, Var
from relay.te.walk import post_order, variables


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
            if any(isinstance(node, Load) for node in post_order(atom)):
                break  # what is in memory may change
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
    problem = _dependence(loop, reductions_too)
    # What is not plainly independent may still be proved so, the longer way.
    ranges = {loop.var: (0, loop.extent - 1)}
    if problem is not None and next(conflicts(loop, ranges), None) is not None:
        raise ScheduleError(f"{step}: iterations of loop {loop.var.name} {problem}")


def _dependence(loop: For, reductions_too: bool) -> str | None:
    """What iterations of `loop` may do that another one minds; None where they do nothing."""
    private = allocated(loop.body)
    inner = {f.var: (0, f.extent - 1) for f in loops(loop.body)}
    written: dict[Buffer, list[Store]] = {}
    for stmt in stores(loop.body):
        if stmt.buffer not in private:
            written.setdefault(stmt.buffer, []).append(stmt)
    read = {load.buffer for load in loads(loop.body)}
    for buffer, found in written.items():
        updates = {stmt.reduce for stmt in found}
        if reductions_too and buffer not in read and len(updates) == 1 and None not in updates:
            continue
        apart = (buffer not in read and len(found) == 1) or _stays_apart(buffer, loop)
        if not all(separates(s, loop.var, inner) for s in found) or (len(found) > 1 and not apart):
            return (
                f"may write the same place of {buffer.name}; "
                f"expected an index that {loop.var.name} alone moves"
            )
        if not apart:
            return f"read {buffer.name}, which other iterations write"
    return None


def _stays_apart(buffer: Buffer, loop: For) -> bool:
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
            known = [s for s in spans if s is not None]
            if len(known) < len(spans) or len({fixed for fixed, _, _ in known}) > 1:
                continue
            if max(h for _, _, h in known) - min(low for _, low, _ in known) < abs(step):
                return True
    return False


def _span(
    index: Expr, variable: Var, inner: dict[Var, Range]
) -> tuple[frozenset[tuple[object, int]], int, int] | None:
    """`index` but for `variable`: the terms that loops outside fix, and the range of the rest."""
    form = linear(index)
    low = high = form.const
    fixed: set[tuple[object, int]] = set()
    for key, (atom, factor) in form.terms.items():
        if atom is variable:
            continue
        if any(isinstance(node, Load) for node in post_order(atom)):
            return None  # what is in memory may change
        if not variables(atom) & inner.keys():
            fixed.add((key, factor))
            continue
        found = bounds(atom, inner)
        if found is None:
            return None
        ends = found[0] * factor, found[1] * factor
        low, high = low + min(ends), high + max(ends)
    return frozenset(fixed), low, high


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
