"""Borders: loops are cut where a condition on them changes, so that most of it is decided.

A padded copy ``select(1 <= h and h < 57, x[h - 1], 0)`` becomes a first row, the rows between, and
a last row; only they differ, and none of them has a condition left.
"""

from collections.abc import Sequence

from relay.loop.ir import For, Kind
from relay.loop.simplify import linear
from relay.schedule import Schedule
from relay.strategy.nests import Nest, nests_of
from relay.te.expr import Compare, Expr, Select, Var
from relay.te.walk import post_order

#: Cuts in all, at most: a copy padded in two dimensions takes 2 + 3 * 2.
_MAX_CUTS = 12


def _change(condition: Expr) -> tuple[Var, int] | None:
    """The loop variable and the value from which `condition` is different; None where not so."""
    if not isinstance(condition, Compare) or condition.a.dtype != "int64":
        return None
    form = linear(condition.a).plus(linear(condition.b), -1)
    if len(form.terms) != 1:
        return None
    ((atom, factor),) = form.terms.values()
    if not isinstance(atom, Var) or abs(factor) != 1:
        return None
    # factor * v + const OP 0 changes between v = at - 1 and v = at.
    at = -form.const * factor
    after = {"ge": 0, "lt": 0, "gt": 1, "le": 1}.get(condition.op)
    if after is None:
        return None
    return atom, at + (after if factor > 0 else 1 - after)


def next_cut(nest: Nest, axes: Sequence[For]) -> tuple[str, int] | None:
    """One of the serial `axes` of `nest` and where to cut it; None where all is decided."""
    extents = {a.var: a.extent for a in axes if a.kind is Kind.SERIAL}
    for select in post_order(nest.store.value):
        if isinstance(select, Select):
            for condition in post_order(select.cond):
                found = _change(condition)
                if found is not None and 0 < found[1] < extents.get(found[0], 0):
                    return found[0].name, found[1]
    return None


def peel(schedule: Schedule, buffer: str) -> None:
    """Cut the serial loops that write `buffer` wherever a condition on them changes."""
    for _ in range(_MAX_CUTS):
        cuts = (next_cut(nest, nest.axes) for nest in nests_of(schedule.func, buffer))
        found = next((c for c in cuts if c is not None), None)
        if found is None:
            return
        schedule.cut(*found)
