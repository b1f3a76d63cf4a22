"""Simplification never changes a value, and bounds are bounds: by trying every value there is."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loop.printer import text
from relay.loop.simplify import Range, bounds, linear, simplify
from relay.te.expr import (
    BOOL,
    INDEX,
    Binary,
    Compare,
    Const,
    Expr,
    Select,
    Unary,
    Var,
    binary,
    compare,
    const,
)
from relay.te.walk import post_order, rewrite

VARIABLES = [Var(name) for name in "ijk"]
RANGES: list[dict[Var, Range]] = [
    dict(zip(VARIABLES, ranges, strict=True))
    for ranges in (
        ((0, 5), (0, 3), (0, 2)),
        ((-4, 3), (-7, -5), (0, 0)),
        ((3, 9), (-2, 2), (-1, 4)),
    )
]
_OPS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "floormod": lambda a, b: a % b,
    "min": min,
    "max": max,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
}


def value(root: Expr, at: Mapping[Expr, int]) -> int:
    """The value of an index expression or condition."""
    done: dict[Expr, int] = {}
    for node in post_order(root):
        children = [done[c] for c in node.children()]
        match node:
            case Var():
                done[node] = at[node]
            case Const():
                done[node] = int(node.value)
            case Unary(op=op):
                done[node] = -children[0] if op == "neg" else int(not children[0])
            case Select():
                done[node] = children[1] if children[0] else children[2]
            case Binary(op=op) | Compare(op=op):
                done[node] = int(_OPS[op](*children))
    return done[root]


def points(ranges: Mapping[Var, Range]) -> list[dict[Expr, int]]:
    """Every assignment within `ranges`."""
    spans = [range(low, high + 1) for low, high in ranges.values()]
    return [dict(zip(ranges, values, strict=True)) for values in itertools.product(*spans)]


POINTS = [points(ranges) for ranges in RANGES]

constants = st.integers(-12, 12).map(const)
divisors = st.sampled_from([1, 2, 3, 4, 5, 6, 8, 12, -1, -2, -3]).map(const)


def _larger(index: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    conditions = st.builds(
        Compare, st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]), index, index
    )
    return st.one_of(
        st.builds(Binary, st.sampled_from(["add", "sub", "min", "max"]), index, index),
        st.builds(Binary, st.just("mul"), index, constants),
        st.builds(Binary, st.just("mul"), constants, index),
        st.builds(Binary, st.just("mul"), index, index),
        st.builds(Binary, st.sampled_from(["floordiv", "floormod"]), index, divisors),
        st.builds(Unary, st.just("neg"), index),
        st.builds(Select, conditions, index, index),
    )


#: Index expressions that no helper has folded yet.
indices = st.recursive(st.one_of(st.sampled_from(VARIABLES), constants), _larger, max_leaves=10)
comparisons = st.builds(
    Compare, st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]), indices, indices
)
conditions = st.recursive(
    comparisons,
    lambda c: st.one_of(
        st.builds(Binary, st.sampled_from(["and", "or"]), c, c),
        st.builds(Unary, st.just("not"), c),
    ),
    max_leaves=3,
)
worlds = st.integers(0, len(RANGES) - 1)


@given(indices, worlds)
def test_values_stay(expr: Expr, world: int) -> None:
    simple = simplify(expr, RANGES[world])
    assert simple.dtype == INDEX
    for point in POINTS[world]:
        assert value(simple, point) == value(expr, point), text(simple)


@given(conditions, worlds)
def test_conditions_stay(expr: Expr, world: int) -> None:
    simple = simplify(expr, RANGES[world])
    assert simple.dtype == BOOL
    for point in POINTS[world]:
        assert value(simple, point) == value(expr, point), text(simple)


@given(indices)
def test_nothing_known(expr: Expr) -> None:
    """Without ranges, what holds must hold everywhere."""
    simple = simplify(expr, {})
    for point in POINTS[1]:
        assert value(simple, point) == value(expr, point), text(simple)


@given(indices, worlds)
def test_bounds(expr: Expr, world: int) -> None:
    for form in (expr, simplify(expr, RANGES[world])):
        found = bounds(form, RANGES[world])
        if found is not None:
            values = [value(form, point) for point in POINTS[world]]
            assert found[0] <= min(values)
            assert max(values) <= found[1]


@given(indices)
def test_linear_form(expr: Expr) -> None:
    form = linear(expr)
    for point in POINTS[2]:
        assert value(form.expr(), point) == value(expr, point)
        assert value(form.scaled(-3).expr(), point) == -3 * value(expr, point)
        assert value(form.plus(form, -1).expr(), point) == 0


@given(indices)
def test_helpers_fold_alike(expr: Expr) -> None:
    """What the constructors' helpers fold has the value of what they were given."""

    def fold(node: Expr) -> Expr:
        match node:
            case Binary(op=op, a=a, b=b):
                return binary(op, a, b)
            case Compare(op=op, a=a, b=b):
                return compare(op, a, b)
            case _:
                return node

    folded = rewrite(expr, fold)
    for point in POINTS[2]:
        assert value(folded, point) == value(expr, point)


i, j, k = VARIABLES
_SIMPLE = [
    ((i * 4 + j) // 4, "i"),
    ((i * 4 + j) % 4, "j"),
    ((i * 8 + j * 2 + 1) // 4, "i * 2 + j // 2"),
    ((i * 6 + j) // 12 * 2 + (i * 6 + j) // 6 % 2, "i"),
    ((i * 12 + j * 3 + k) // 12 * 4 + (i * 12 + j * 3 + k) // 3 % 4, "i * 4 + j"),
    ((i * 6 + j * 3 + k) % 18, "(i * 2 + j) % 6 * 3 + k"),
    (i // 2 * 2 + i % 2, "i"),
    (i // 2 // 3, "0"),
    ((i + 100) // 2 // 3, "(i // 2 + 2) // 3 + 16"),
    (i - i, "0"),
    (-i + i + 3, "3"),
    (const(5) - i + j - 5, "j - i"),
    (binary("min", i, 9), "i"),
    (binary("max", i, -1), "i"),
    (i < 6, "true"),
    (i < 5, "i < 5"),
    (i >= 6, "false"),
    (compare("ne", i * 2 + 20, j), "true"),
]


@pytest.mark.parametrize(("expr", "wanted"), _SIMPLE)
def test_simplest_form(expr: Expr, wanted: str) -> None:
    assert text(simplify(expr, RANGES[0])) == wanted


@given(indices, worlds)
def test_simplified_twice(expr: Expr, world: int) -> None:
    """What is simple does not get longer by another go."""
    once = simplify(expr, RANGES[world])
    twice = simplify(once, RANGES[world])
    assert sum(1 for _ in post_order(twice)) <= sum(1 for _ in post_order(once))
