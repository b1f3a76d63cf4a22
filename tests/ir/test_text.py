"""Printing and parsing: exactness, errors, and programs of great depth."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import relay
from relay.ir.metadata import MetadataError, dump, load
from relay.ir.parser import parse, parse_expr
from relay.ir.printer import HIDDEN_METADATA
from relay.runtime.ndarray import NDArray
from relay.support.errors import ParseError

HEADER = '#[version = "0.0.5"]\n'
DEPTH = 100_000


def round_trip(expr: relay.Expr) -> None:
    text = relay.astext(expr)
    again = parse_expr(text)
    relay.assert_structural_equal(expr, again, map_free_vars=True)
    assert relay.astext(again) == text


def test_the_first_cells_of_a_tutorial_print_as_relay_text() -> None:
    x = relay.var("x", shape=(10, 1))
    assert str(x) == "free_var %x: Tensor[(10, 1), float32];\n%x"
    expected = "free_var %x: Tensor[(10, 1), float32];\nadd(%x, %x)"
    assert str(relay.op.add(x, x)) == str(x + x) == repr(x + x) == expected
    function = relay.Function([x], x + x)
    assert str(function) == "fn (%x: Tensor[(10, 1), float32]) {\n  add(%x, %x)\n}"
    module = relay.Module({})
    module[relay.GlobalVar("f")] = function
    assert str(module) == "def @f(%x: Tensor[(10, 1), float32]) {\n  add(%x, %x)\n}"
    assert module.astext() == HEADER + str(module) + "\n"


def test_arguments_are_printed_before_the_callee() -> None:
    x, y = relay.var("x"), relay.var("y")
    inner = relay.Function([y], y)(relay.const(1))
    assert str(relay.Function([x], x)(inner)) == (
        "%0 = fn (%y) {\n  %y\n};\n%1 = %0(1);\n%2 = fn (%x) {\n  %x\n};\n%2(%1)"
    )


def test_let_and_sharing() -> None:
    x = relay.var("x")
    pair = relay.Tuple([relay.const(0), relay.const(0)])
    assert str(relay.Let(x, pair, pair)) == "%0 = (0, 0);\nlet %x = %0;\n%0"
    assert str(relay.Let(x, pair, x)) == "let %x = (0, 0);\n%x"


def test_what_a_branch_shares_with_the_outside_is_named_outside() -> None:
    x, c = relay.var("x", shape=(2,)), relay.var("c", "bool")
    shared = x + x
    expr = relay.If(c, shared * x, x) - shared
    text = str(expr)
    assert text.index("%0 = add(%x, %x);") < text.index("if (%c)")
    round_trip(expr)


@pytest.mark.parametrize("name", ["1", "a.b", "a b", "", "/a//b/", "_x", "ünï", "let", "a:0"])
def test_any_name_hint_prints_as_a_name(name: str) -> None:
    x = relay.var(name, shape=(2,))
    round_trip(relay.Tuple([x, relay.var(name, shape=(2,))]))


def test_astext_hides_metadata_on_request() -> None:
    expr = relay.const(np.zeros((2,), "float32"))
    assert relay.astext(expr, show_meta_data=False).endswith(HIDDEN_METADATA)
    assert "meta" in str(expr)
    assert "#[metadata]" not in str(expr)


def test_annotate_replaces_the_type_comment() -> None:
    x = relay.var("x", shape=(2,))
    text = relay.astext(x + x, annotate=lambda e: "here" if isinstance(e, relay.Call) else "")
    assert text.endswith("add(%x, %x) /* here */\n")


@given(
    hnp.arrays(
        st.sampled_from(
            ["bool", "int8", "int16", "int32", "int64", "uint8", "float16", "float32", "float64"]
        ),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    )
)
def test_constants_survive_bit_by_bit(array: np.ndarray) -> None:
    expr = relay.const(array)
    found = parse_expr(relay.astext(expr))
    assert isinstance(found, relay.Constant)
    assert found.data.dtype == expr.data.dtype
    assert found.data.numpy().tobytes() == array.tobytes()


def test_bfloat16_survives() -> None:
    expr = relay.Constant(NDArray(np.asarray([1, 2], "uint16"), "bfloat16"))
    round_trip(relay.Tuple([expr, expr]))


def test_constants_are_rounded_to_bfloat16() -> None:
    for value, found in [(1.5, 1.5), (3, 3.0), (0.1, 0.10009765625), (np.float32(-2.0), -2.0)]:
        constant = relay.const(value, "bfloat16")
        assert constant.checked_type == relay.TensorType((), "bfloat16")
        assert constant.data.item() == found
    several = relay.const([[1.0, 0.5]], "bfloat16")
    assert several.checked_type == relay.TensorType((1, 2), "bfloat16")
    assert [element.item() for element in several.data[0]] == [1.0, 0.5]
    relay.assert_structural_equal(parse_expr(relay.astext(several)), several)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("[1]", "must be a JSON object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"other": []}', "holds other"),
        ('{"relay.Constant": [{"dtype": "float32"}]}', "dtype, shape and data"),
        ('{"relay.Constant": [{"dtype": "O", "shape": [], "data": ""}]}', "not a data type"),
        ('{"relay.Constant": [{"dtype": "int8", "shape": [-1], "data": ""}]}', "list of sizes"),
        (
            '{"relay.Constant": [{"dtype": "int64", "shape": [1000000, 1000000], "data": "AA=="}]}',
            "takes 8000000000000 bytes, but its data holds 1",
        ),
        ('{"relay.Constant": [{"dtype": "int8", "shape": [1], "data": "A***"}]}', "not base64"),
    ],
)
def test_metadata_is_checked(text: str, fragment: str) -> None:
    with pytest.raises(MetadataError, match=fragment):
        load(text)
    with pytest.raises(ParseError, match=fragment):
        parse_expr(f"1\n#[metadata]\n{text}")


def test_metadata_round_trip() -> None:
    (constant,) = load(dump([relay.const(np.arange(6, dtype="int16").reshape(2, 3))]))
    assert constant.data.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "expected an expression, found the end of the text"),
        ("let %x = 1;", "expected an expression"),
        ("(1, 2", "opened on line 1"),
        ("/* never closed", "this comment has no end"),
        (r'"te\xt"', "this string has an unknown escape"),
        ("1x", "expected the end of the expression"),
        ("1f99", "`f99` is not the type of a number"),
        ("1.5i32", "not a whole number"),
        ("1e99f", "does not fit float32"),
        ("9" * 5000, "is too large"),
        ("meta[relay.Constant][0]", "has 0 constants"),
        ("sum(1, axis=" + "[" * 2000 + ")", "nest at most"),
        ("sum(1, axis=1, axis=2)", "given twice"),
        ("sum(axis=1, 1)", "arguments come before attributes"),
        ("fn (%x, %x) { %x }", "two parameters %x"),
        ("fn (%x) { %x }(1, axis=1)", "only calls of operators take attributes"),
        ("@f(1) else", "expected the end of the expression"),
    ],
)
def test_errors_say_what_is_wrong(text: str, fragment: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_expr(text)
    assert fragment in str(caught.value)
    assert caught.value.span is not None


@given(st.text(alphabet='%@x01 (){}[],:;=.<>+-*/"#letifnaddrusm\n'))
def test_any_text_parses_or_raises_parse_error(text: str) -> None:
    with contextlib.suppress(ParseError):
        parse_expr(text)


def test_a_module_may_not_define_a_name_twice() -> None:
    with pytest.raises(ParseError, match="two functions @f"):
        parse(HEADER + "def @f() { 1 }\ndef @f() { 2 }")


def test_parse_keeps_the_program_as_written_and_relay_parse_types_it() -> None:
    text = HEADER + "def @main(%x: int32) { let %y = %x; %y }"
    assert parse(text)["main"].ret_type is None
    assert str(relay.parse(text)["main"].ret_type) == "int32"
    assert relay.structural_equal(relay.fromtext(text), relay.parse(text))


def test_an_expression_is_a_module_of_main() -> None:
    module = relay.parse(HEADER + "free_var %x: int32; %x + 1")
    assert [p.name_hint for p in module["main"].params] == ["x"]


def chain(depth: int) -> relay.Expr:
    x = relay.var("x", shape=(2,))
    result: relay.Expr = x
    for _ in range(depth):
        result = relay.op.add(result, x)
    return relay.Function([x], result)


def lets(depth: int) -> relay.Expr:
    x = relay.var("x", shape=(2,))
    variables = [relay.var("v") for _ in range(depth)]
    result: relay.Expr = variables[-1]
    for i in reversed(range(depth)):
        value = relay.op.add(variables[i - 1] if i else x, x)
        result = relay.Let(variables[i], value, result)
    return relay.Function([x], result)


@pytest.mark.parametrize("depth", [5_000, pytest.param(DEPTH, marks=pytest.mark.slow)])
@pytest.mark.parametrize("program", [chain, lets])
def test_a_deep_program_prints_parses_and_types(program, depth: int) -> None:
    module = relay.infer_types(relay.IRModule.from_expr(program(depth)))
    text = module.astext()
    again = relay.parse(text)
    assert relay.structural_equal(module, again)
    assert relay.structural_hash(module) == relay.structural_hash(again)
    assert relay.infer_types(again) is again


def test_deeply_nested_text_parses() -> None:
    depth = 20_000
    text = "fn (%x: int32) { " + "add(" * depth + "%x" + ", %x)" * depth + " }"
    assert len(relay.ir.visit.post_order(parse_expr(text))) == depth + 2
    assert isinstance(parse_expr("(" * depth + "1" + ")" * depth), relay.Constant)
    assert isinstance(parse_expr("fn () { " * depth + "1" + "}" * depth), relay.Function)


def test_deeply_nested_functions_print_with_their_indentation() -> None:
    result: relay.Expr = relay.const(1)
    for _ in range(2000):
        result = relay.If(relay.const(True), result, relay.const(2))
    round_trip(result)
