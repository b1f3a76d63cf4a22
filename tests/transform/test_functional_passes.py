"""Closures, continuations, first-order programs and partial evaluation, on programs by hand."""

import numpy as np
import pytest

import relay
from pass_helpers import add, chain, tensor
from relay.analysis import check_basic_block_normal_form
from relay.infer import infer_types
from relay.ir.expr import Call, Function, GlobalVar, If, Let, Var, const
from relay.ir.module import IRModule
from relay.ir.types import FuncType, TensorType, TypeVar
from relay.ir.visit import post_order
from relay.ir.well_formed import check_well_formed
from relay.support.errors import UnsupportedError
from relay.transform import (
    Defunctionalization,
    EtaExpand,
    LambdaLift,
    PartialEvaluate,
    RemoveUnusedFunctions,
    ToANormalFormExpr,
    ToBasicBlockNormalForm,
    to_cps,
    un_cps,
)

DEEP = 20_000
INT = TensorType((), "int32")
HEADER = '#[version = "0.0.5"]\n'


def parse(text: str) -> IRModule:
    return infer_types(relay.parse(HEADER + text))


def value(module: IRModule, *arguments: int) -> int:
    check_well_formed(module)
    run = relay.create_executor("debug", mod=infer_types(module)).evaluate()
    return int(run(*(np.asarray(a, "int32") for a in arguments)).numpy())


HIGHER_ORDER = """
type List[A] {
  Cons(A, List[A]),
  Nil,
}
def @map[A, B](%f: fn (A) -> B, %l: List[A]) -> List[B] {
  match (%l) {
    Cons(%h, %t) => { Cons(%f(%h), @map(%f, %t)) },
    Nil => { Nil },
  }
}
def @compose[A, B, C](%f: fn (B) -> C, %g: fn (A) -> B) -> fn (A) -> C {
  fn (%x: A) -> C { %f(%g(%x)) }
}
def @id[A](%x: A) -> A { %x }
def @sum(%l: List[int32]) -> int32 {
  match (%l) {
    Cons(%h, %t) => { add(%h, @sum(%t)) },
    Nil => { 0 },
  }
}
def @main(%x: int32) -> int32 {
  let %r = ref(%x);
  let %count = fn (%i: int32) -> int32 {
    ref_write(%r, add(ref_read(%r), 1));
    multiply(%i, ref_read(%r))
  };
  let %loop = fn (%n: int32, %f: fn (int32) -> int32) -> int32 {
    if (less(%n, 1)) { %f(%n) } else { %loop(subtract(%n, 1), @compose(%f, %count)) }
  };
  let %l = Cons(%x, Cons(2, Cons(%loop(%x, @id), Nil)));
  add(@sum(@map(@compose(%count, @id), %l)), @id(ref_read(%r)))
}
"""


def converted_by_hand(module: IRModule, name: str) -> IRModule:
    after = IRModule(module.functions, module.type_definitions)
    if name == "defunctionalization":
        after["main"] = Defunctionalization(module["main"], after)
        return after
    if name == "cps":
        after["main"] = un_cps(to_cps(module["main"], after))
        return after
    step = {"lift": LambdaLift(), "evaluate": PartialEvaluate(), "bbnf": ToBasicBlockNormalForm()}
    return step[name](module)


@pytest.mark.parametrize("name", ["defunctionalization", "cps", "lift", "evaluate", "bbnf"])
def test_a_higher_order_program(name: str) -> None:
    before = parse(HIGHER_ORDER)
    after = converted_by_hand(before, name)
    for x in (0, 1, 4):
        assert value(after, x) == value(before, x)


def test_defunctionalization_leaves_no_function_values() -> None:
    module = parse(HIGHER_ORDER)
    module["main"] = Defunctionalization(module["main"], module)
    used = infer_types(RemoveUnusedFunctions()(module))
    for function in used.functions.values():
        assert not function.type_params
        for node in post_order(function.body):
            assert not isinstance(node.checked_type, FuncType) or isinstance(
                node, GlobalVar | relay.Constructor
            )


def test_defunctionalization_refuses_functions_in_the_interface() -> None:
    module = parse("def @main(%f: fn (int32) -> int32) -> int32 { %f(1) }")
    with pytest.raises(UnsupportedError, match="first-order"):
        Defunctionalization(module["main"], module)


def test_the_type_of_a_function_in_continuation_passing_style() -> None:
    module = parse("def @main(%x: int32) -> bool { less(%x, 1) }")
    found = to_cps(module["main"]).checked_type
    answer = TypeVar("R")
    boolean = TensorType((), "bool")
    assert found == FuncType([INT, FuncType([boolean], answer)], answer, [answer])
    with pytest.raises(UnsupportedError, match="continuation-passing"):
        un_cps(module["main"])


def test_every_call_is_the_last_thing_in_continuation_passing_style() -> None:
    module = parse(HIGHER_ORDER)
    found = to_cps(module["main"], module)
    for function in (found, module["map_cps"], module["compose_cps"]):
        for node in post_order(function):
            if isinstance(node, Let):
                call = node.value
                assert not isinstance(call, Call) or isinstance(
                    call.op, relay.Op | relay.Constructor
                )


def test_partial_evaluation_ends() -> None:
    loops = parse("def @main(%x: int32) -> int32 { @f(%x) } def @f(%x: int32) -> int32 { @f(%x) }")
    after = PartialEvaluate(fuel=10)(loops)
    assert any(isinstance(n, GlobalVar) for n in post_order(after["main"]))
    exponential = "def @main(%x: int32) -> int32 { @f0(%x) }"
    for i in range(30):
        following = f"add(@f{i + 1}(%x), @f{i + 1}(%x))" if i < 29 else "add(%x, %x)"
        exponential += f" def @f{i}(%x: int32) -> int32 {{ {following} }}"
    after = PartialEvaluate(fuel=50)(parse(exponential))
    assert len(post_order(after["main"])) < 1000


def deep_function() -> Function:
    x = tensor("x", 2)
    return Function([x], chain(x, *["nn.relu"] * DEEP))


def deep_lets() -> Function:
    x = Var("x", INT)
    f, y = Var("f", FuncType([INT], INT)), Var("y", INT)
    variables = [Var(f"v{i}", INT) for i in range(DEEP)]
    body = variables[-1]
    for i in reversed(range(DEEP)):
        body = Let(variables[i], Call(f, [variables[i - 1] if i else x]), body)
    return Function([x], Let(f, Function([y], add(y, const(1))), body))


@pytest.mark.parametrize(
    "step", [LambdaLift(), PartialEvaluate(), ToBasicBlockNormalForm(), EtaExpand(True, True)]
)
@pytest.mark.parametrize("make", [deep_function, deep_lets])
def test_depth_is_no_limit(step: relay.transform.Pass, make: object) -> None:
    module = infer_types(IRModule.from_expr(make()))
    check_well_formed(infer_types(step(module)))


def test_depth_is_no_limit_for_conversions() -> None:
    module = infer_types(IRModule.from_expr(deep_lets()))
    back = un_cps(to_cps(module["main"], module))
    check_well_formed(back)
    check_well_formed(Defunctionalization(module["main"], module))


def test_basic_block_normal_form_is_checked() -> None:
    x, c = tensor("x", 2), Var("c", TensorType((), "bool"))
    shared = chain(x, "exp")
    module = infer_types(IRModule.from_expr(Function([x, c], If(c, shared, add(shared, shared)))))
    assert not check_basic_block_normal_form(module)
    normal = ToBasicBlockNormalForm()(module)
    assert check_basic_block_normal_form(normal)
    assert ToBasicBlockNormalForm()(normal) is normal


def test_a_normal_form_of_an_expression() -> None:
    x = tensor("x", 2)
    normal = ToANormalFormExpr(add(chain(x, "exp"), chain(x, "tanh")))
    assert isinstance(normal, Let)
    assert relay.analysis.free_vars(normal) == [x]
