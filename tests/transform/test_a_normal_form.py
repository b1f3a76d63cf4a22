from pass_helpers import add, chain, run_pass, tensor
from relay.ir import IRModule
from relay.ir.expr import Call, Expr, Function, If, Let, Tuple, Var, const
from relay.ir.types import TensorType
from relay.ir.visit import post_order
from relay.ir.well_formed import check_well_formed
from relay.transform import FuseOps, ToANormalForm, ToGraphNormalForm
from relay.transform.calls import is_operator_call, make

X = tensor("x", 2, 3)


def arguments_are_atoms(expr: Expr) -> bool:
    calls = [n for n in post_order(expr) if is_operator_call(n)]
    return all(not isinstance(a, Call | Tuple) for call in calls for a in call.args)


def test_every_intermediate_value_is_bound():
    shared = chain(X, "exp")
    result = run_pass(ToANormalForm(), add(shared, chain(shared, "tanh")))
    assert arguments_are_atoms(result)
    assert sum(isinstance(n, Let) for n in post_order(result)) == 2


def test_it_is_idempotent():
    module = ToANormalForm()(IRModule.from_expr(Function((X,), chain(X, "exp", "tanh"))))
    assert ToANormalForm()(module) is module


def test_names_of_lets_are_kept_and_aliases_vanish():
    a, b = Var("a", X.type_annotation), Var("b", X.type_annotation)
    result = run_pass(ToANormalForm(), Let(a, chain(X, "exp"), Let(b, a, add(add(b, a), a))))
    assert [n.variable for n in post_order(result) if isinstance(n, Let)][-1] is a
    assert b not in post_order(result)


def test_what_branches_share_is_bound_outside_and_the_rest_inside():
    condition = Var("c", TensorType((), "bool"))
    shared = chain(X, "exp")
    branches = add(shared, const(1.0)), chain(shared, "tanh", "nn.relu")
    function = Function((X, condition), If(condition, *branches))
    module = ToANormalForm()(IRModule.from_expr(function))
    check_well_formed(module)
    body = module["main"].body
    assert isinstance(body, Let)
    assert isinstance(body.body, If)
    assert isinstance(body.body.false_branch, Let)


def test_primitive_functions_stay_where_they_are_called():
    module = FuseOps(fuse_opt_level=0)(IRModule.from_expr(chain(X, "exp", "tanh")))
    bound = [n.value for n in post_order(ToANormalForm()(module)["main"]) if isinstance(n, Let)]
    assert [isinstance(v, Call) and isinstance(v.op, Function) for v in bound] == [True]


def test_there_and_back_for_a_deep_chain():
    function = Function((X,), chain(X, *["nn.relu"] * 20_000))
    module = ToANormalForm()(IRModule.from_expr(function))
    back = ToGraphNormalForm()(module)["main"]
    assert sum(isinstance(n, Call) for n in post_order(back)) == 20_000


def test_a_let_in_the_value_of_a_let() -> None:
    x, a, b = tensor("x", 3), Var("a", TensorType((3,))), Var("b", TensorType((3,)))
    inner = Let(b, make("exp", x), make("tanh", b))
    body = Let(a, inner, add(make("sin", make("cos", a)), a))
    run_pass(ToANormalForm(), body, [x])
    outer = Let(a, Let(b, make("exp", x), b), add(make("sin", make("cos", a)), a))
    run_pass(ToANormalForm(), outer, [x])
