"""Loop programs made by hand as text: names, depth, equality."""

import pytest

import relay.loop
from relay.loop.ir import Block, Buffer, For, Func, Kind, Load, Store
from relay.te.expr import Const, Expr, Unary, Var, binary, const

DEEP = 20_000


def scale(var: Var, factor: float = 2.0, kind: Kind = Kind.SERIAL) -> Func:
    x, out = Buffer("x", (8,), "float32"), Buffer("out", (8,), "float32")
    store = Store(out, (var,), binary("mul", Load(x, (var,)), factor))
    return Func("scale", (x, out), For(var, 8, kind, store))


def test_str_is_the_text() -> None:
    assert str(scale(Var("i"))) == (
        "func @scale(x: float32[8]) -> (out: float32[8]) {\n"
        "  for i < 8 {\n"
        "    out[i] = x[i] * 2.0\n"
        "  }\n"
        "}"
    )


def test_a_variable_bound_by_two_loops_has_two_names() -> None:
    func = scale(Var("i"))
    twice = Func("scale", func.params, Block((func.body, func.body)))
    printed = relay.loop.text(twice)
    assert "for i_1 < 8 {\n    out[i_1] = x[i_1] * 2.0" in printed
    assert relay.loop.equal(relay.loop.parse(printed), twice)


@pytest.mark.parametrize("name", ["for", "2x", "a-b", "float32", ""])
def test_any_name_becomes_one_that_parses(name: str) -> None:
    func = scale(Var(name))
    assert relay.loop.equal(relay.loop.parse(str(func)), func)


def test_equal() -> None:
    func = scale(Var("i"))
    assert relay.loop.equal(func, scale(Var("j")))
    assert not relay.loop.equal(func, scale(Var("i"), factor=3.0))
    assert not relay.loop.equal(func, scale(Var("i"), kind=Kind.PARALLEL))


def nested(depth: int) -> Expr:
    value: Expr = Const(1.0, "float32")
    for _ in range(depth):
        value = Unary("exp", binary("add", value, 1.0))
    return value


def test_deep_expressions_print_and_parse() -> None:
    out = Buffer("out", (1,), "float32")
    func = Func("deep", (out,), Store(out, (const(0),), nested(DEEP)))
    assert relay.loop.equal(relay.loop.parse(str(func)), func)


def test_deep_statements_print_and_parse() -> None:
    text = "func @deep() -> (out: float32[1]) {" + "if true {" * 2000 + "out[0] = 1.0" + "}" * 2001
    func = relay.loop.parse(text)
    assert relay.loop.equal(relay.loop.parse(str(func)), func)
