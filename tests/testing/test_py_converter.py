"""Programs as Python source: against the interpreter, by hand and by chance."""

import ast
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relay
from properties.agreement import assert_close, examples, plain, run, small
from relay.ir.module import IRModule
from relay.testing import run_as_python, to_python
from relay_programs import programs, tensor_programs

T = np.random.default_rng(1).uniform(-2, 2, (2, 3)).astype(np.float32)
HEADER = '#[version = "0.0.5"]\n'
INT = relay.TensorType((), "int32")


def evaluated(text: str, *arguments: object) -> object:
    """What ``@main`` gives as Python, compared with what the interpreter gives."""
    module = relay.parse(HEADER + text)
    found = plain(run_as_python(module.get_global_var("main"), module)(*arguments))
    assert_close(found, run("debug", module, arguments))
    return found


def number(value: relay.NDArray) -> float:
    return value.numpy().item()


@examples(40, 1000)
@given(programs(), st.integers(-4, 4))
def test_functional_programs(module: IRModule, x: int) -> None:
    module = small(module)
    found = run_as_python(module.get_global_var("main"), module)(np.int32(x))
    assert_close(plain(found), run("debug", module, [np.int32(x)]), 0)


@examples(25, 1000)
@given(tensor_programs(), st.integers(-4, 4))
def test_tensor_programs(module: IRModule, x: int) -> None:
    module = small(module)
    arguments = (np.int32(x), T)
    found = run_as_python(module.get_global_var("main"), module)(*arguments)
    assert_close(plain(found), run("debug", module, arguments), 0)


def test_the_source_is_readable() -> None:
    x = relay.var("x", shape=(2,))
    y = relay.Var("y")
    body = relay.Let(y, relay.nn.softmax(x, axis=0), relay.add(y, relay.const(1.0)))
    assert str(to_python(relay.Function([x], body))).split("\n\n", 1)[1] == (
        "nn_softmax = operator('nn.softmax', axis=0)\n"
        "add = operator('add')\n"
        "c = constant(1.0, 'float32')\n"
        "\n\n"
        "def main(x):\n"
        "    y = nn_softmax(x)\n"
        "    t = add(y, c)\n"
        "    return t\n"
    )


def test_data_references_and_closures() -> None:
    text = """
    type List[A] { Cons(A, List[A]), Nil, }
    def @sum(%l: List[int32]) -> int32 {
      match (%l) {
        Cons(%h, Cons(%k, _)) => { %h - %k },
        Cons(%h, %t) => { %h + @sum(%t) },
        Nil => { 0 },
      }
    }
    def @main(%x: int32) -> (int32, List[int32]) {
      let %r = ref(%x);
      let %f = fn (%y: int32) -> int32 {
        if (less(%y, 1)) { 0 } else { ref_write(%r, %y); %x + ref_read(%r) }
      };
      let %p = (%f(%x), %f(3));
      (%p.0 + %p.1 + @sum(Cons(1, Cons(2, Nil))) + @sum(Cons(7, Nil)), Cons(ref_read(%r), Nil))
    }
    """
    assert evaluated(text, 5)[0] == 24


def test_values_that_are_no_functions() -> None:
    assert number(run_as_python(relay.add(relay.const(1), relay.const(2)))) == 3
    first, second = run_as_python(relay.Tuple([relay.const(1), relay.Tuple([])]))
    assert (number(first), second) == (1, ())
    assert run_as_python(relay.op.get("add")) is relay.op.get("add")
    x, f = relay.var("x", INT), relay.var("f", relay.FuncType([INT], INT))
    apply = relay.Function([f], f(relay.const(2)))
    negated = run_as_python(relay.Call(apply, [relay.op.get("negative")]))
    assert number(negated) == -2
    y = relay.var("y", INT)
    adder = relay.Function([x], relay.Function([y], relay.subtract(x, y)))
    assert number(run_as_python(adder)(5)(y=3)) == 2


def test_an_expression_is_evaluated_once_and_only_where_needed() -> None:
    x, seen = relay.var("x", INT), []
    costly = relay.debug(relay.negative(x), lambda value: seen.append(number(value)))
    inner = relay.If(relay.less(x, relay.const(0)), costly, relay.const(0))
    both = relay.add(relay.If(relay.less(x, relay.const(5)), inner, costly), relay.const(1))
    function = relay.Function([x], both)
    for argument, result, expected in ((-2, 3, [2]), (2, 1, []), (6, -5, [-6])):
        seen.clear()
        assert number(run_as_python(function)(argument)) == result
        assert seen == expected
    cell = relay.RefCreate(relay.const(1))
    write = relay.Function([], relay.RefWrite(cell, relay.const(7)))
    a = relay.Var("a")
    program = relay.Let(a, relay.Call(write, []), relay.RefRead(cell))
    expected = relay.create_executor("debug").evaluate(program)
    assert number(run_as_python(program)) == number(expected) == 1  # each call has its own


def test_names_that_python_has_uses_for() -> None:
    names = ["class", "operator", "a.b", "_", "1", "ref", "objects", "add", "é", "truth"]
    variables = [relay.var(n, INT) for n in names]
    body: relay.Expr = relay.const(0)
    for k, variable in enumerate(variables):
        body = relay.add(body, relay.multiply(variable, relay.const(k)))
    function = relay.Function(variables, body)
    source = to_python(function).source
    assert isinstance(ast.parse(source), ast.Module)
    assert number(run_as_python(function)(*range(10))) == sum(k * k for k in range(10))


def test_constants_and_attributes_without_text() -> None:
    large = np.arange(100, dtype="float32")
    odd = np.array([np.inf, np.nan], dtype="float32")
    fields = [relay.const(large), relay.const(odd), relay.const(np.zeros((0, 3), "float32"))]
    bfloat = relay.Constant(relay.NDArray(np.array(0x3FC0, "uint16"), "bfloat16"))
    found = run_as_python(relay.Tuple([*fields, bfloat]))
    expected = relay.create_executor("debug").evaluate(relay.Tuple(fields))
    assert_close(plain(found[:3]), plain(expected), 0)
    assert found[3].dtype == "bfloat16"
    x = relay.var("x", shape=(2,))
    clipped = relay.Function([x], relay.clip(x, a_min=-1.0, a_max=float("inf")))
    assert run_as_python(clipped)(np.array([-5.0, 5.0], "float32")).numpy().tolist() == [-1, 5]


@pytest.mark.parametrize("kind", ["calls", "lets"])
def test_length(kind: str) -> None:
    length, x = 100_000, relay.var("x", shape=())
    body: relay.Expr = x
    if kind == "calls":
        for _ in range(length):
            body = relay.add(body, x)
    else:
        variables = [relay.Var(f"v{k}") for k in range(length)]
        body = variables[-1]
        for k in reversed(range(length)):
            body = relay.Let(variables[k], relay.add(variables[k - 1] if k else x, x), body)
    assert number(run_as_python(relay.Function([x], body))(1.0)) == length + 1


@pytest.mark.parametrize("kind", ["ifs", "functions", "shared"])
def test_depth_of_blocks(kind: str) -> None:
    x = relay.var("x", shape=())
    body: relay.Expr = x
    one = relay.const(1.0)
    for k in range(200):
        if kind == "ifs":
            body = relay.If(relay.less(x, relay.const(float(k))), one, relay.add(body, one))
        elif kind == "functions":
            body = relay.Call(relay.Function([], relay.add(body, one)), [])
        else:
            sides = relay.add(body, one), relay.subtract(body, one)
            body = relay.If(relay.less(body, x), *sides)
    function = relay.Function([x], body)
    expected = relay.create_executor("debug").evaluate(function)(150.5)
    assert number(run_as_python(function)(150.5)) == number(expected)


def test_deep_recursion_and_the_limit_of_python() -> None:
    text = """
    def @count(%n: int32) -> int32 { if (equal(%n, 0)) { 0 } else { 1 + @count(%n - 1) } }
    """
    module = relay.parse(HEADER + text)
    before = sys.getrecursionlimit()
    count = run_as_python(module.get_global_var("count"), module)
    assert number(count(5000)) == 5000
    assert sys.getrecursionlimit() == before


def test_what_goes_wrong_is_said() -> None:
    with pytest.raises(relay.RelayError, match="%missing has no value here"):
        to_python(relay.var("missing", INT))
    text = """
    type Option[A] { Some(A), None, }
    def @main(%o: Option[int32]) -> int32 { match? (%o) { Some(%x) => { %x } } }
    def @none() -> int32 { let %o: Option[int32] = None; @main(%o) }
    """
    module = relay.parse(HEADER + text)
    none = run_as_python(module.get_global_var("none"), module)
    with pytest.raises(relay.RelayError, match="no clause of the match covers a value of None"):
        none()
    x = relay.var("x", INT)
    with pytest.raises(relay.RelayError, match=r"expected 1 inputs \(x\), found 0"):
        run_as_python(relay.Function([x], x))()
