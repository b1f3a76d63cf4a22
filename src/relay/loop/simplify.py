"""Simplification of index expressions, knowing the ranges of the loop variables.

An ``int64`` expression is kept as a linear form ``c0 + c1*atom1 + ...``; an atom is a variable or
something opaque (a floor division, a load). The laws used, for integers and ``c > 0``:

- ``(c*a + r) floordiv c = a + r floordiv c`` and ``(c*a + r) floormod c = r floormod c``
- ``r floordiv c = 0`` and ``r floormod c = r`` where ``0 <= r < c``
- ``(g*a + r) floordiv (g*c) = a floordiv c`` where ``0 <= r < g``; the same for floormod:
  ``(g*a + r) floormod (g*c) = g*(a floormod c) + r``
- ``(a floordiv b) floordiv c = a floordiv (b*c)``
- ``c*(a floordiv c) + a floormod c = a``
- comparisons, ``min`` and ``max`` are decided where the ranges decide them.
"""

import math
from collections.abc import Mapping
from typing import TypeAlias

from relay.te.expr import (
    BOOL,
    INDEX,
    Binary,
    Compare,
    Const,
    Expr,
    Unary,
    Var,
    binary,
    compare,
)
from relay.te.walk import rewrite, structural_key

Range: TypeAlias = tuple[int, int]
Ranges: TypeAlias = Mapping[Var, Range]
_Key: TypeAlias = object


class Linear:
    """``const + sum(coefficient * atom)``; atoms are kept by structural key."""

    __slots__ = ("const", "terms")

    def __init__(self, const: int = 0, terms: dict[_Key, tuple[Expr, int]] | None = None) -> None:
        self.const = const
        self.terms = terms or {}

    def scaled(self, factor: int) -> "Linear":
        """This form times `factor`."""
        if factor == 0:
            return Linear()
        return Linear(self.const * factor, {k: (a, c * factor) for k, (a, c) in self.terms.items()})

    def plus(self, other: "Linear", sign: int = 1) -> "Linear":
        """This form plus `sign` times `other`."""
        terms = dict(self.terms)
        for key, (atom, coefficient) in other.terms.items():
            total = terms[key][1] + sign * coefficient if key in terms else sign * coefficient
            if total:
                terms[key] = (atom, total)
            else:
                terms.pop(key, None)
        return Linear(self.const + sign * other.const, terms)

    def expr(self) -> Expr:
        """This form as an expression, in a fixed order of terms."""
        result: Expr | None = None
        for atom, coefficient in self.terms.values():
            if coefficient < 0:
                continue
            term = binary("mul", atom, coefficient)
            result = term if result is None else binary("add", result, term)
        for atom, coefficient in self.terms.values():
            if coefficient < 0:
                term = binary("mul", atom, -coefficient)
                result = binary("sub", 0 if result is None else result, term)
        if result is None:
            return Const(self.const, INDEX)
        if self.const < 0:
            return binary("sub", result, -self.const)
        return binary("add", result, self.const)


def linear(expr: Expr) -> Linear:
    """`expr` as a linear form (no simplification inside its atoms)."""
    match expr:
        case Const():
            return Linear(int(expr.value))
        case Binary(op="add", a=a, b=b):
            return linear(a).plus(linear(b))
        case Binary(op="sub", a=a, b=b):
            return linear(a).plus(linear(b), -1)
        case Binary(op="mul", a=a, b=Const() as b):
            return linear(a).scaled(int(b.value))
        case Binary(op="mul", a=Const() as a, b=b):
            return linear(b).scaled(int(a.value))
        case Unary(op="neg", value=value):
            return linear(value).scaled(-1)
        case Var():
            return Linear(0, {expr: (expr, 1)})
        case _:
            return Linear(0, {structural_key(expr): (expr, 1)})


def bounds(expr: Expr, ranges: Ranges) -> Range | None:
    """Smallest and largest value of an index expression; None where that is not known."""
    match expr:
        case Const():
            return int(expr.value), int(expr.value)
        case Var():
            return ranges.get(expr)
        case Binary(op="floordiv", a=a, b=Const() as b) if b.value > 0:
            inner = bounds(a, ranges)
            return inner and (inner[0] // int(b.value), inner[1] // int(b.value))
        case Binary(op="floormod", a=a, b=Const() as b) if b.value > 0:
            inner = bounds(a, ranges)
            if inner and inner[0] >= 0 and inner[1] < b.value:
                return inner
            return 0, int(b.value) - 1
        case Binary(op="min" | "max" as op, a=a, b=b):
            p, q = bounds(a, ranges), bounds(b, ranges)
            pick = min if op == "min" else max
            return (pick(p[0], q[0]), pick(p[1], q[1])) if p and q else None
        case Binary(op="add" | "sub" | "mul") | Unary(op="neg"):
            return _linear_bounds(linear(expr), ranges)
        case _:
            return None


def _linear_bounds(form: Linear, ranges: Ranges) -> Range | None:
    low = high = form.const
    for atom, coefficient in form.terms.values():
        if isinstance(atom, Binary) and atom.op in ("add", "sub", "mul"):
            return None  # a product of variables: its linear form is itself
        inner = bounds(atom, ranges)
        if inner is None:
            return None
        ends = inner[0] * coefficient, inner[1] * coefficient
        low, high = low + min(ends), high + max(ends)
    return low, high


def _within(form: Linear, size: int, ranges: Ranges) -> bool:
    found = _linear_bounds(form, ranges)
    return found is not None and found[0] >= 0 and found[1] < size


def _divide(form: Linear, divisor: int, ranges: Ranges) -> tuple[Linear, Linear]:
    """Quotient and remainder of `form` by `divisor`, both as linear forms."""
    whole = Linear(
        form.const // divisor,
        {k: (a, c // divisor) for k, (a, c) in form.terms.items() if c % divisor == 0},
    )
    rest = Linear(
        form.const % divisor,
        {k: (a, c) for k, (a, c) in form.terms.items() if c % divisor},
    )
    if _within(rest, divisor, ranges):
        return whole, rest
    if not rest.terms:
        return whole, rest
    common, low = _step(rest, divisor, ranges)
    large = rest.plus(low, -1)
    small = Linear(
        large.const // common, {k: (a, c // common) for k, (a, c) in large.terms.items()}
    )
    size = divisor // common
    inner = small.expr()
    if isinstance(inner, Binary) and inner.op == "floordiv" and isinstance(inner.b, Const):
        quotient = binary("floordiv", inner.a, int(inner.b.value) * size)
    else:
        quotient = binary("floordiv", inner, size)
    remainder = linear(binary("floormod", inner, size)).scaled(common)
    return whole.plus(linear(quotient)), remainder.plus(low)


def _step(form: Linear, divisor: int, ranges: Ranges) -> tuple[int, Linear]:
    """A divisor ``g`` of `divisor`, and ``r`` with ``0 <= r < g``: `form` is ``g*a + r``."""
    terms = sorted(form.terms.items(), key=lambda item: -abs(item[1][1]))
    for count in range(len(terms), 0, -1):
        common = math.gcd(divisor, *(c for _, (_, c) in terms[:count]))
        low = Linear(form.const % common, dict(terms[count:]))
        if common > 1 and _within(low, common, ranges):
            return common, low
    return 1, Linear()


def _rejoin(form: Linear) -> Linear:
    """Apply ``c*(a floordiv c) + a floormod c = a`` wherever both are there."""
    for atom, coefficient in list(form.terms.values()):
        if not (isinstance(atom, Binary) and atom.op == "floormod" and isinstance(atom.b, Const)):
            continue
        divisor = int(atom.b.value)
        partner = linear(binary("floordiv", atom.a, divisor))
        if len(partner.terms) != 1 or partner.const:
            continue
        ((key, _),) = partner.terms.items()
        if key in form.terms and form.terms[key][1] == coefficient * divisor:
            without = form.plus(partner.scaled(coefficient * divisor), -1)
            without = without.plus(linear(atom).scaled(coefficient), -1)
            return _rejoin(without.plus(linear(atom.a).scaled(coefficient)))
    return form


def _simplify_node(node: Expr, ranges: Ranges) -> Expr:
    if isinstance(node, Compare) and node.a.dtype == INDEX:
        return _simplify_compare(node, ranges)
    if node.dtype != INDEX:
        return node
    match node:
        case Binary(op="floordiv", a=a, b=Const() as b) if b.value > 0:
            return _divide(linear(a), int(b.value), ranges)[0].expr()
        case Binary(op="floormod", a=a, b=Const() as b) if b.value > 0:
            return _divide(linear(a), int(b.value), ranges)[1].expr()
        case Binary(op="min" | "max" as op, a=a, b=b):
            difference = _linear_bounds(linear(a).plus(linear(b), -1), ranges)
            if difference is not None and (difference[1] <= 0 or difference[0] >= 0):
                return a if (difference[1] <= 0) == (op == "min") else b
            return node
        case Binary(op="add" | "sub" | "mul") | Unary(op="neg"):
            return _rejoin(linear(node)).expr()
        case _:
            return node


def _simplify_compare(node: Compare, ranges: Ranges) -> Expr:
    difference = linear(node.a).plus(linear(node.b), -1)
    found = _linear_bounds(difference, ranges)
    if found is None:
        return node
    low, high = found
    always = {"lt": high < 0, "le": high <= 0, "gt": low > 0, "ge": low >= 0}
    never = {"lt": low >= 0, "le": low > 0, "gt": high <= 0, "ge": high < 0}
    apart = low > 0 or high < 0
    if always.get(node.op, apart if node.op == "ne" else low == high == 0):
        return Const(True, BOOL)
    if never.get(node.op, apart if node.op == "eq" else low == high == 0):
        return Const(False, BOOL)
    return compare(node.op, node.a, node.b)


def simplify(expr: Expr, ranges: Ranges) -> Expr:
    """`expr` with its index arithmetic in simplest form, given inclusive variable `ranges`."""
    return rewrite(expr, lambda node: _simplify_node(node, ranges))
