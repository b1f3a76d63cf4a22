"""Which part of a buffer one iteration of a loop touches."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.loop.simplify import Linear, Range, bounds, linear, simplify
from relay.support.errors import ScheduleError
from relay.te.expr import INDEX, Const, Expr, Var
from relay.te.walk import substitute, variables


@dataclass(frozen=True)
class Region:
    """A box: its first index (fixed in the iteration) and number of indices in every dimension."""

    bases: list[Expr]
    extents: list[int]


def region(
    accesses: Sequence[Sequence[Expr]],
    fixed: dict[Var, Range],
    inner: dict[Var, Range],
    what: str,
) -> Region:
    """The box around `accesses`, each the indices of one, while the variables of `inner` run.

    `fixed` are the variables that do not change meanwhile. `what` is said in the `ScheduleError`
    that is raised where the box cannot be told: ``step: the reads of x in loop``.
    """
    found = Region([], [])
    for indices in zip(*accesses, strict=True):
        base: Linear | None = None
        low = high = 0
        for index in indices:
            outer, span = _separate(index, fixed, inner, what)
            if base is None:
                base, (low, high) = outer, span
                continue
            apart = outer.plus(base, -1)
            if apart.terms:
                raise ScheduleError(f"{what} are not a fixed distance apart")
            low, high = min(low, span[0] + apart.const), max(high, span[1] + apart.const)
        assert base is not None
        found.bases.append(base.plus(Linear(low)).expr())
        found.extents.append(high - low + 1)
    return found


def _separate(
    index: Expr, fixed: dict[Var, Range], inner: dict[Var, Range], what: str
) -> tuple[Linear, Range]:
    """`index` as a part that is fixed in the loop and the range of the rest."""
    zero: dict[Var, Expr] = {v: Const(0, INDEX) for v, found in inner.items() if found == (0, 0)}
    if zero.keys() & variables(index):
        index = simplify(substitute(index, zero), {**fixed, **inner})
    form = linear(index)
    outer, moving = Linear(0, {}), Linear(form.const, {})
    for key, (atom, factor) in form.terms.items():
        part = moving if variables(atom) & inner.keys() else outer
        part.terms[key] = (atom, factor)
    found = bounds(moving.expr(), inner)
    if found is None or any(variables(a) & fixed.keys() for a, _ in moving.terms.values()):
        raise ScheduleError(f"{what} are at places that cannot be told")
    return outer, found
