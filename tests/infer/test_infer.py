"""Type inference on programs that have no text."""

import pytest

import relay
from relay.ir.types import TensorType
from relay.support.errors import TypeInferenceError


def module(*params: relay.Var, body: relay.Expr) -> relay.IRModule:
    return relay.IRModule.from_expr(relay.Function(params, body))


def test_a_typed_module_is_returned_as_it_is() -> None:
    x = relay.var("x", shape=(2,))
    before = module(x, body=x + x)
    typed = relay.infer_types(before)
    assert typed is not before
    assert before["main"].ret_type is None
    assert typed["main"].ret_type == TensorType((2,))
    assert typed.get_global_var("main").checked_type == typed["main"].checked_type
    assert relay.infer_types(typed) is typed


def test_only_what_lacks_a_type_is_rebuilt() -> None:
    x, y = relay.var("x", shape=(2,)), relay.var("y")
    typed_part = relay.op.nn.relu(x)
    typed = relay.infer_types(module(x, body=relay.Let(y, typed_part, y + x)))["main"]
    assert isinstance(typed.body, relay.Let)
    assert typed.body.value is typed_part
    assert typed.body.variable.type_annotation == TensorType((2,))
    assert typed.params == (x,)


def test_infer_expr_types_free_variables() -> None:
    x, w = relay.var("x", shape=(1, 4)), relay.var("w")
    typed = relay.infer_expr(relay.op.nn.dense(x, w, units=8))
    assert typed.checked_type == TensorType((1, 8))
    assert typed.args[1].checked_type == TensorType((8, 4))


def test_a_program_without_text_is_shown_as_it_prints() -> None:
    x, y = relay.var("x", shape=(3, 5)), relay.var("y", shape=(10, 1))
    with pytest.raises(TypeInferenceError) as caught:
        relay.infer_types(module(x, y, body=relay.op.nn.relu(x + y)))
    lines = str(caught.value).split("\n")
    assert lines[0] == "program:2:8: 1 type error:"
    assert lines[2] == "2 |   %0 = add(%x, %y);"
    assert lines[3].startswith("  |        ^^^^^^^^^^^ add: shapes (3, 5) and (10, 1)")


def test_all_errors_are_reported_once_each() -> None:
    x = relay.var("x", shape=(2,))
    wrong = [relay.op.add(x, relay.const(i)) for i in range(30)]
    uses = [relay.op.nn.relu(w) for w in wrong]
    with pytest.raises(TypeInferenceError) as caught:
        relay.infer_types(module(x, body=relay.Tuple(uses)))
    assert "30 type errors" in str(caught.value)
    assert "... and 10 more" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("def @main(%x: int32) { %x(1) }", "expected a function to call"),
        ("def @main(%x: int32) { %x.0 }", "expected a tuple before .0, found int32"),
        ("def @main(%x: int32) -> float32 { %x }", "declared to return float32"),
        ("def @main() { @main(1) }", "@main takes 0 arguments, found 1"),
        ("def @main() { let %f = fn (%x) { %f }; 1 }", "would have to contain itself"),
        ("def @main() { add(1) }", "takes 2 arguments"),
        ("def @main() { (add, 1) }", "cannot be used as a value"),
    ],
)
def test_errors(text: str, fragment: str) -> None:
    with pytest.raises(TypeInferenceError) as caught:
        relay.parse(f'#[version = "0.0.5"]\n{text}')
    assert fragment in str(caught.value)


def test_waiting_calls_are_typed_in_linear_time() -> None:
    # Every call waits for the parameter, whose type is known only at the very end.
    x = relay.var("x")
    body: relay.Expr = x
    for _ in range(20_000):
        body = relay.op.add(body, relay.const(1.0))
    f = relay.var("f")
    program = relay.Let(f, relay.Function([x], body), f(relay.const(1.0)))
    assert relay.infer_expr(program).checked_type == TensorType(())


def test_curried_functions_are_typed_in_linear_time() -> None:
    body: relay.Expr = relay.const(1)
    for k in range(20_000):
        body = relay.Function([relay.Var(f"x{k}", TensorType((), "int32"))], body)
    kind: relay.Type = relay.infer_types(module(body=body))["main"].ret_type
    depth = 0
    while isinstance(kind, relay.FuncType):
        kind, depth = kind.ret_type, depth + 1
    assert depth == 20_000


def test_nested_tuples_are_typed_in_linear_time() -> None:
    body: relay.Expr = relay.const(1)
    for k in range(20_000):
        variable = relay.Var(f"x{k}")
        body = relay.Let(variable, relay.Tuple([body, relay.const(1.0)]), variable)
    kind: relay.Type = relay.infer_types(module(body=body))["main"].ret_type
    depth = 0
    while isinstance(kind, relay.TupleType):
        kind, depth = kind.fields[0], depth + 1
    assert depth == 20_000
