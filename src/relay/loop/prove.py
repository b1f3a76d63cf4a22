"""What is known at a point of a loop program, and what follows from it about index expressions.

Known are the ranges of the loop variables and, below a condition, linear inequalities. A goal
``form >= 0`` is proved when its smallest value over the ranges is not negative, alone or after a
multiple of a known inequality is taken away. No answer is wrong, but "not proved" may be weak.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from relay.loop.simplify import Linear, Range, Ranges, bounds, linear, simplify
from relay.te.expr import INDEX, Binary, Compare, Const, Expr, Unary, Var

#: How many floor divisions inside each other a proof looks into.
_DEPTH = 4
#: A comparison as inequalities between `a` and `b`; and the comparison that holds where it fails.
_NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}


@final
@dataclass(frozen=True)
class Known:
    """Ranges of variables (inclusive) and linear forms that are not negative.

    `certain` says that every point within the ranges is reached: no condition was met on the way.
    """

    ranges: Ranges
    facts: tuple[Linear, ...] = ()
    certain: bool = True

    def within(self, var: Var, extent: int) -> "Known":
        """This, inside a loop of `var` over ``0 .. extent-1``."""
        return Known({**self.ranges, var: (0, extent - 1)}, self.facts, self.certain)

    def assuming(self, cond: Expr, *, holds: bool = True) -> "Known":
        """This, where `cond` holds (or fails)."""
        facts = [_normal(f) for f in _inequalities(cond, holds, self.ranges)]
        ranges = dict(self.ranges)
        for fact in facts:
            _tighten(ranges, fact)
        return Known(ranges, (*self.facts, *facts), certain=False)

    def impossible(self) -> bool:
        """Whether what is known contradicts itself, so that the point is never reached."""
        if any(low > high for low, high in self.ranges.values()):
            return True
        return any(
            (found := bounds(fact.expr(), self.ranges)) is not None and found[1] < 0
            for fact in self.facts
        )

    def form(self, expr: Expr) -> Linear:
        """`expr`, simplified, as a linear form."""
        return linear(simplify(expr, self.ranges))

    def proves(self, goal: Linear, depth: int = _DEPTH) -> bool:
        """Whether ``goal >= 0`` everywhere."""
        if self._at_least_zero(goal):
            return True
        for fact in reversed(self.facts):
            for factor in _factors(goal, fact):
                if self._at_least_zero(goal.plus(fact.scaled(factor), -1)):
                    return True
        return depth > 0 and any(self.proves(g, depth - 1) for g in _without_division(goal))

    def _at_least_zero(self, form: Linear) -> bool:
        found = bounds(form.expr(), self.ranges)
        return found is not None and found[0] >= 0


def _inequalities(cond: Expr, holds: bool, ranges: Ranges) -> Iterator[Linear]:
    """What is not negative where `cond` holds (or fails); what is not linear is left out."""
    work = [(cond, holds)]
    while work:
        node, holds = work.pop()
        match node:
            case Unary(op="not", value=value):
                work.append((value, not holds))
            case Binary(op="and" | "or" as op, a=a, b=b) if (op == "and") == holds:
                work.extend([(a, holds), (b, holds)])
            case Compare(op=op, a=a, b=b) if a.dtype == INDEX:
                op = op if holds else _NEGATED[op]
                more = linear(simplify(a, ranges)).plus(linear(simplify(b, ranges)), -1)
                less = more.scaled(-1)
                if op in ("gt", "ge", "eq"):
                    yield more.plus(Linear(int(op == "gt")), -1)
                if op in ("lt", "le", "eq"):
                    yield less.plus(Linear(int(op == "lt")), -1)


def _normal(fact: Linear) -> Linear:
    """An equivalent inequality with the smallest coefficients."""
    common = math.gcd(*(c for _, c in fact.terms.values()))
    if common <= 1:
        return fact
    terms = {key: (atom, c // common) for key, (atom, c) in fact.terms.items()}
    return Linear(fact.const // common, terms)


def _tighten(ranges: dict[Var, Range], fact: Linear) -> None:
    """Narrow the range of every variable in `fact` by it."""
    for key, (atom, coefficient) in fact.terms.items():
        if not isinstance(atom, Var) or atom not in ranges:
            continue
        rest = Linear(fact.const, {k: t for k, t in fact.terms.items() if k != key})
        found = bounds(rest.expr(), ranges)
        if found is None:
            continue
        low, high = ranges[atom]
        if coefficient > 0:
            low = max(low, -(found[1] // coefficient))
        else:
            high = min(high, found[1] // -coefficient)
        ranges[atom] = low, high


def _factors(goal: Linear, fact: Linear) -> set[int]:
    """How often to take `fact` away from `goal`, so that an atom disappears."""
    shared = (
        (goal.terms[key][1], coefficient)
        for key, (_, coefficient) in fact.terms.items()
        if key in goal.terms
    )
    return {g // c for g, c in shared if g % c == 0 and g // c > 0}


def _without_division(goal: Linear) -> Iterator[Linear]:
    """Goals equivalent to `goal` in which one floor division is multiplied out.

    For integers and ``d > 0``: ``a // d + r >= 0`` is ``a + d*r >= 0``, and ``r - a // d >= 0`` is
    ``d*r + d - 1 - a >= 0``.
    """
    for key, (atom, coefficient) in goal.terms.items():
        match atom:
            case Binary(op="floordiv", a=a, b=Const(value=divisor)) if divisor > 0:
                if coefficient not in (1, -1):
                    continue
                divisor = int(divisor)
                rest = Linear(goal.const, {k: t for k, t in goal.terms.items() if k != key})
                cleared = rest.scaled(divisor).plus(linear(a), coefficient)
                yield cleared if coefficient == 1 else cleared.plus(Linear(divisor - 1))
