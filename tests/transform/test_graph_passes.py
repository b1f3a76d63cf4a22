import pytest

from pass_helpers import add, assert_same_results, chain, multiply, names, run_pass, tensor, weights
from relay.ir import IRModule
from relay.ir.expr import Call, Expr, Function, GlobalVar, Let, Tuple, Var, const
from relay.ir.types import FuncType
from relay.ir.visit import post_order
from relay.target import Target
from relay.transform import (
    CanonicalizeOps,
    DeadCodeElimination,
    EliminateCommonSubexpr,
    PassContext,
    RemoveUnusedFunctions,
    ToGraphNormalForm,
    VerifyInstrument,
    graph_pipeline,
)
from relay.transform.calls import is_call_of, make

X = tensor("x", 4, 8)


def local(name: str) -> Var:
    return Var(name, X.type_annotation)


def distinct_calls(expr: Expr) -> int:
    return sum(isinstance(n, Call) for n in post_order(expr))


def test_equal_calls_are_merged():
    body = multiply(add(X, const(1.0)), add(X, const(1.0)))
    result = run_pass(EliminateCommonSubexpr(), body)
    assert distinct_calls(result) == 2
    assert result.args[0] is result.args[1]


def test_different_attributes_and_constants_are_not_merged():
    one, two = make("sum", X, axis=(0,)), make("sum", X, axis=(1,))
    body = Tuple([one, two, add(X, const(1.0)), add(X, const(2.0)), add(X, const(1, "float32"))])
    result = run_pass(EliminateCommonSubexpr(), body)
    assert distinct_calls(result) == 4


def test_fskip_keeps_calls():
    body = multiply(chain(X, "exp"), chain(X, "exp"))
    keep_exp = EliminateCommonSubexpr(fskip=lambda e: is_call_of(e, "exp"))
    assert run_pass(keep_exp, body) is body


def test_bias_add_becomes_a_broadcasting_add():
    image = tensor("x", 1, 4, 3, 3)
    body = make("nn.bias_add", image, weights(4))
    assert names(run_pass(CanonicalizeOps(), body)) == ["add"]
    body = make("nn.bias_add", image, tensor("b", 4))
    assert names(run_pass(CanonicalizeOps(), body)) == ["expand_dims", "add"]
    body = make("nn.bias_add", X, tensor("b", 8), axis=-1)
    assert names(run_pass(CanonicalizeOps(), body)) == ["add"]


def test_lets_become_sharing():
    a, b, c = local("a"), local("b"), local("c")
    body = Let(a, chain(X, "exp"), Let(b, a, Let(c, add(b, a), multiply(c, c))))
    result = run_pass(ToGraphNormalForm(), body)
    assert not [n for n in post_order(result) if isinstance(n, Let)]
    assert distinct_calls(result) == 3


def test_a_chain_of_a_hundred_thousand_lets():
    body: Expr = X
    variables = [local(f"v{i}") for i in range(100_000)]
    for i in range(len(variables) - 1, -1, -1):
        value = chain(variables[i - 1] if i else X, "nn.relu")
        body = Let(variables[i], value, variables[i] if i == len(variables) - 1 else body)
    function = Function((X,), body)
    module = IRModule.from_expr(function)
    result = ToGraphNormalForm()(module)["main"]
    assert distinct_calls(result) == len(variables)
    assert DeadCodeElimination()(module) is module
    assert distinct_calls(DeadCodeElimination(inline_once=True)(module)["main"]) == len(variables)


def test_unused_lets_are_dropped():
    a, b = local("a"), local("b")
    body = Let(a, chain(X, "exp"), Let(b, chain(a, "tanh"), X))
    assert run_pass(DeadCodeElimination(), body) is X


def test_used_lets_stay_unless_inlined():
    a, b = local("a"), local("b")
    body = Let(a, chain(X, "exp"), Let(b, chain(a, "tanh"), add(b, b)))
    assert run_pass(DeadCodeElimination(), body) is body
    result = run_pass(DeadCodeElimination(inline_once=True), body)
    assert [n.variable for n in post_order(result) if isinstance(n, Let)] == [b]


def test_calls_of_unknown_functions_stay_unless_effects_are_ignored():
    f = Var("f", FuncType([X.type_annotation], X.type_annotation))
    body = Let(local("a"), Call(f, (X,)), X)
    function = Function((X, f), body)
    module = IRModule.from_expr(function)
    assert DeadCodeElimination()(module) is module
    assert DeadCodeElimination(ignore_impurity=True)(module)["main"].body is X


def test_unused_functions_are_removed():
    type_ = FuncType([X.type_annotation], X.type_annotation)
    f, g, h = (GlobalVar(n, type_) for n in "fgh")
    y, z, w = (local(n) for n in "yzw")
    module = IRModule(
        {
            GlobalVar("main"): Function((X,), Call(f, (X,))),
            f: Function((y,), Call(g, (y,))),
            g: Function((z,), chain(z, "exp")),
            h: Function((w,), Call(h, (w,))),
        }
    )
    kept = RemoveUnusedFunctions()(module)
    assert [v.name_hint for v in kept] == ["main", "f", "g"]
    assert RemoveUnusedFunctions()(kept) is kept
    assert [v.name_hint for v in RemoveUnusedFunctions(["h"])(module)] == ["h"]


def block(x: Expr, channels: int, seed: int) -> Expr:
    weight = weights(channels, x.checked_type.shape[1], 3, 3, seed=seed)
    x = make("nn.conv2d", x, weight, padding=(1, 1))
    return make("nn.bias_add", x, weights(channels, seed=seed + 1))


@pytest.mark.parametrize("target", [None, Target("x86_64", "x86-64", ("sse2",))])
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_pipeline_keeps_the_meaning_at_every_level(level, target):
    image = tensor("x", 1, 3, 8, 8)
    start = make("nn.relu", multiply(block(image, 4, 1), weights(4, 1, 1)))
    body = make("nn.relu", add(block(start, 4, 2), start))
    body = make("nn.batch_flatten", make("nn.global_avg_pool2d", body))
    body = make("nn.softmax", make("nn.dense", body, weights(5, 4)))
    function = Function((image,), body)
    with PassContext(opt_level=level, instruments=[VerifyInstrument()]):
        module = graph_pipeline(level, target)(IRModule.from_expr(function))
    assert_same_results(function, module["main"])
