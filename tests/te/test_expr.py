"""Scalar expressions and tensors: folding, walks without recursion, structural keys."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import te
from relay.te.expr import INDEX, REINTERPRETS, UNARY, Const, Expr
from relay.te.walk import post_order, rewrite, structural_key, substitute, variables

i, j = te.Var("i"), te.Var("j")
x = te.placeholder((4, 8), "float32", "x")


@pytest.mark.parametrize(
    ("expr", "wanted"),
    [
        (te.const(7) + 5, 12),
        (te.const(7) - 9, -2),
        (te.const(-7) // 2, -4),
        (te.const(-7) % 2, 1),
        (te.minimum(te.const(3), -1), -1),
        (te.clamp(te.const(9), 0, 7), 7),
        (i * 0, 0),
        (i % 1, 0),
        (-te.const(4), -4),
    ],
)
def test_integers_fold(expr: Expr, wanted: int) -> None:
    assert te.constant_value(expr) == wanted


@pytest.mark.parametrize("expr", [i + 0, 0 + i, i - 0, i * 1, 1 * i, i // 1])
def test_units_vanish(expr: Expr) -> None:
    assert expr is i


def test_division_by_zero_stays() -> None:
    assert te.constant_value(te.const(1) // 0) is None
    assert te.constant_value(te.const(1) % 0) is None


def test_data_does_not_fold() -> None:
    """Floating-point zeros and ones have signs and nan to care for; integers wrap around."""
    a = x[i, j]
    assert (a + 0.0) is not a
    assert (a * 0.0) is not a
    assert te.constant_value(te.const(200, "uint8") + 100) is None


def test_conditions_fold() -> None:
    some = i < j
    true, false = te.const(True, "bool"), te.const(False, "bool")
    assert te.both().dtype == "bool"
    assert te.both(true, some) is some
    assert te.both(some, false) is false
    assert te.either(false, some) is some
    assert te.either(some, true) is true
    assert te.select(true, i, j) is i
    assert te.select(te.const(2) < 1, i, j) is j


def test_numbers_take_the_other_type() -> None:
    assert (x[i, j] + 1).dtype == "float32"
    assert (1 - i).dtype == INDEX
    assert te.cast(te.const(3), "float16").dtype == "float16"
    assert te.cast(i, INDEX) is i
    with pytest.raises(AssertionError):
        x[i, j] + i


@pytest.mark.parametrize("op", sorted(UNARY - REINTERPRETS - {"not", "bitnot"}))
def test_unary_types(op: str) -> None:
    wanted = "bool" if op.startswith("is") else "float32"
    assert te.unary(op, x[i, j]).dtype == wanted


def test_bits_of_a_float() -> None:
    bits = te.unary("asint", x[i, j])
    assert bits.dtype == "int32"
    assert te.unary("asfloat", bits).dtype == "float32"
    small = te.unary("asfloat4_e2m1fn", te.const(3, "int4"))
    assert (small.dtype, te.unary("asint", small).dtype) == ("float4_e2m1fn", "int4")


def test_compute_names_indices() -> None:
    t = te.compute((4, 8), lambda row, column: x[row, column], "t")
    assert [a.var.name for a in t.axes] == ["row", "column"]
    t = te.compute((4, 8), lambda *index: x(*index), "t")
    assert [a.var.name for a in t.axes] == ["i0", "i1"]
    t = te.compute((4, 8), lambda row, *rest: x(row, *rest), "t")
    assert [a.extent for a in t.axes] == [4, 8]
    scalar = te.compute((), lambda: 1.0, "one")
    assert (scalar.ndim, scalar.dtype) == (0, "float32")


def test_symbolic_shape() -> None:
    n = te.Var("n")
    t = te.placeholder((n, te.const(4)), "float32", "t")
    assert t.shape == (n, 4)
    with pytest.raises(ValueError, match="the shape of t is not static"):
        _ = t.static_shape


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_positions_and_indices(shape: list[int]) -> None:
    """`unflatten_index` and `flatten_index` undo each other."""
    for position, indices in enumerate(itertools.product(*map(range, shape))):
        assert te.constant_value(te.flatten_index(indices, shape)) == position
        found = te.unflatten_index(te.const(position), shape)
        assert [te.constant_value(index) for index in found] == list(indices)


# ------------------------------------------------------------------ walks


def chain(length: int) -> Expr:
    """A deep expression."""
    expr: Expr = x[i, j]
    for _ in range(length):
        expr = te.unary("neg", expr) * x[i, j]
    return expr


def test_deep_expressions() -> None:
    deep = chain(20_000)
    assert sum(1 for _ in post_order(deep)) > 40_000
    moved = substitute(deep, {i: j})
    assert variables(moved) == {j}
    assert structural_key(moved) == structural_key(substitute(deep, {i: j}))
    assert structural_key(moved) != structural_key(deep)


def test_shared_nodes_are_visited_once() -> None:
    expr: Expr = x[i, j]
    for _ in range(64):
        expr = expr + expr
    assert sum(1 for _ in post_order(expr)) == 67
    assert sum(1 for _ in post_order(substitute(expr, {i: j}))) == 66
    assert rewrite(expr, lambda node: node) is expr


EXPRESSIONS = [
    x[i, j],
    x[j, i],
    x[i, j] + x[j, i],
    x[j, i] + x[i, j],
    x[i, j] - x[j, i],
    te.const(1.0, "float32"),
    te.const(1.0, "float64"),
    te.const(0.0, "float32"),
    te.const(-0.0, "float32"),
    te.cast(x[i, j], "float64"),
    te.unary("exp", x[i, j]),
    te.select(i < j, x[i, j], x[j, i]),
    te.select(i <= j, x[i, j], x[j, i]),
    te.placeholder((4, 8), "float32", "x")[i, j],
    te.power(x[i, j], x[j, i]),
]


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations(range(len(EXPRESSIONS)), 2)))
def test_structural_keys_differ(a: int, b: int) -> None:
    assert structural_key(EXPRESSIONS[a]) != structural_key(EXPRESSIONS[b])


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_structural_keys_agree(expr: Expr) -> None:
    k = te.Var("k")
    there_and_back = substitute(substitute(expr, {i: k}), {k: i})
    assert structural_key(there_and_back) == structural_key(expr)
    hash(structural_key(expr))


def test_structural_key_by_name() -> None:
    k = te.Var("k")
    assert structural_key(x[i, j], {i: 0, j: 1}) == structural_key(x[k, j], {k: 0, j: 1})


@pytest.mark.parametrize("kind", ["sum", "prod", "min", "max"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "int64"])
def test_identities(kind: str, dtype: str) -> None:
    found = te.identity(kind, dtype)
    assert isinstance(found, Const)
    for some in (0, 1, 5):
        operations = {"sum": some + found.value, "prod": some * found.value}
        operations |= {"min": min(some, found.value), "max": max(some, found.value)}
        assert operations[kind] == some
