"""Walks, substitution and user-written visitors."""

import pytest

import relay
from relay.ir.visit import bind, free_vars, post_order, rewrite, substitute, use_counts
from relay.ir.well_formed import check_well_formed
from relay.support.errors import RelayError, UnsupportedError

X = relay.var("x", shape=(2,))
Y = relay.var("y", shape=(2,))
DEPTH = 100_000


def chain(depth: int = DEPTH) -> relay.Expr:
    result: relay.Expr = X
    for _ in range(depth):
        result = relay.op.add(result, X)
    return result


def test_post_order_lists_each_node_once_children_first() -> None:
    shared = X + Y
    expr = shared * shared
    assert post_order(expr) == [X, Y, shared, expr]


def test_post_order_can_stay_out_of_primitive_functions() -> None:
    inner = relay.Function([Y], Y + Y).with_attr("Primitive", 1)
    expr = inner(X)
    assert post_order(expr, enter_primitive=False) == [inner, X, expr]
    assert Y in post_order(expr)


def test_rewrite_keeps_what_does_not_change() -> None:
    expr = relay.Tuple([X + X, Y * Y])
    assert rewrite(expr, lambda e: e) is expr
    new = rewrite(expr, lambda e: Y if e is X else e)
    assert isinstance(new, relay.Tuple)
    assert new.fields[1] is expr.fields[1]
    assert relay.structural_equal(new.fields[0], Y + Y)


def test_substitute_renames_binders_only_by_variables() -> None:
    function = relay.Function([X], X + Y)
    assert free_vars(function) == [Y]
    assert relay.structural_equal(
        substitute(function, {Y: relay.const(1)}).body, X + relay.const(1)
    )
    assert substitute(function, {X: relay.const(1)}).params == (X,)
    bound = bind(relay.Function([X, Y], X + Y), {Y: X})
    assert bound.params == (X,)


def test_use_counts() -> None:
    shared = X + X
    counts = use_counts(relay.Let(Y, shared, shared * Y))
    assert (counts[X], counts[shared], counts[Y]) == (2, 2, 1)


def test_deep_programs_survive_every_walk() -> None:
    expr = chain()
    assert len(post_order(expr)) == DEPTH + 1
    assert rewrite(expr, lambda e: e) is expr
    assert substitute(expr, {Y: X}) is expr
    assert use_counts(expr)[X] == DEPTH + 1


class Counter(relay.ExprVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def visit_call(self, call: relay.Call) -> None:
        for argument in call.args:
            self.visit(argument)
        self.calls += 1


class Doubler(relay.ExprMutator):
    def visit_call(self, call: relay.Call) -> relay.Expr:
        new = super().visit_call(call)
        return relay.op.multiply(*new.args) if call.op == relay.op.get("add") else new


def nested(depth: int) -> relay.Expr:
    result: relay.Expr = X
    for _ in range(depth):
        result = relay.If(relay.const(True), result, X)
    return result


def test_recursive_visitors_survive_deep_programs() -> None:
    counter = Counter()
    counter.visit(chain())
    assert counter.calls == DEPTH
    new = Doubler().visit(chain())
    assert isinstance(new, relay.Call)
    assert new.op == relay.op.get("multiply")
    assert relay.ExprMutator().visit(same := nested(DEPTH)) is same


def test_a_visitor_decides_about_function_bodies() -> None:
    class Outside(Counter):
        def visit_function(self, fn: relay.Function) -> None:
            pass

    outside = Outside()
    outside.visit(relay.Function([X], X + X)(Y))
    assert outside.calls == 1


def test_a_functor_without_a_case_says_so() -> None:
    with pytest.raises(UnsupportedError, match="has no case for a Var"):
        relay.ExprFunctor().visit(X + X)


def test_modules() -> None:
    module = relay.IRModule.from_expr(X + Y)
    assert module["main"].params == (X, Y)
    assert "main" in module
    assert module.get_global_var("main").name_hint == "main"
    with pytest.raises(RelayError, match="no function @other; it has @main"):
        module["other"]
    assert module.with_functions(module.functions) is module
    other = module.with_function("other", relay.Function([], relay.const(1)))
    assert len(module) == 1
    assert sorted(g.name_hint for g in other) == ["main", "other"]


@pytest.mark.parametrize(
    ("expr", "fragment"),
    [
        (relay.Let(X, Y, relay.Let(X, Y, X)), "binds %x a second time"),
        (relay.Tuple([relay.Function([X], X), X]), "uses %x where it is not bound"),
        (relay.Let(X, relay.op.add(X, X), X), "uses %x where it is not bound"),
        (relay.IRModule({relay.GlobalVar("main"): relay.Function([], X)}), "which nothing binds"),
    ],
)
def test_ill_formed_programs_are_named(expr, fragment: str) -> None:
    with pytest.raises(RelayError, match=fragment):
        check_well_formed(expr)


def test_well_formed_programs_pass() -> None:
    f = relay.var("f")
    check_well_formed(relay.Let(f, relay.Function([X], f(X)), f(Y)))
    check_well_formed(chain())
