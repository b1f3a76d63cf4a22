"""Programs as HTML: the same text, escaped, with spans of known classes."""

import re
from html import unescape

import pytest

import relay
from relay.ir.html import STYLE, highlighted

PROGRAM = """#[version = "0.0.5"]
type Shape[A] { Round(A), Flat }
def @main[A](%x: Tensor[(2, ?), float32], %y: Shape[A]) {
  let %f = fn (%a: float32) -> float32 { if (less(%a, 1e-5f)) { %a } else { exp(%a) } };
  %0 = nn.pad(%x, 0f, pad_width=[[0, 1], [0, 2]], pad_mode="edge");
  match (%y) { Round(_) => { (%f(2f), %0, True) }, Flat => { (@one(), %0, False) } }
}
def @one() { 1f }
"""


def text_of(html: str) -> str:
    body = html.removeprefix(STYLE + '<pre class="relay-program">').removesuffix("</pre>")
    return unescape(re.sub(r'</?span(?: class="[a-z]+")?>', "", body))


def spans(html: str, kind: str) -> set[str]:
    return set(re.findall(rf'<span class="{kind}">(.*?)</span>', html, re.DOTALL))


def test_module_shows_its_text() -> None:
    mod = relay.parse(PROGRAM)
    html = mod._repr_html_()
    assert text_of(html) == str(mod)
    assert {"def", "fn", "if", "else", "let", "match", "type"} <= spans(html, "keyword")
    assert {"Tensor", "float32", "bool"} <= spans(html, "type")
    assert {"less", "exp", "nn.pad"} <= spans(html, "operator")
    assert {"@main", "@one"} == spans(html, "global")
    assert {"2f", "True", "&quot;edge&quot;"} <= spans(html, "literal")
    assert any("ty=" in comment for comment in spans(html, "comment"))


def test_expression_shows_its_text() -> None:
    x = relay.var("x", shape=(2,))
    expr = relay.nn.relu(x + x)
    assert text_of(expr._repr_html_()) == str(expr)
    assert spans(expr._repr_html_(), "operator") == {"add", "nn.relu"}


@pytest.mark.parametrize("text", ["", "%x", "a < b && c", '"<b>\\"', '"\\"<i>" /* <u> */', "/* <x"])
def test_all_text_is_escaped(text: str) -> None:
    html = highlighted(text)
    assert text_of(html) == text
    assert set(re.findall(r"<(\w+)", html)) <= {"style", "pre", "span"}


def test_strings_of_a_program_are_escaped() -> None:
    hostile = relay.Function([], relay.const(1.0)).with_attr(
        "Compiler", "<script>alert(1)</script>"
    )
    assert "<script" not in hostile._repr_html_()
    assert text_of(hostile._repr_html_()) == str(hostile)


def test_a_deep_program_is_shown() -> None:
    expr: relay.Expr = relay.var("x", shape=(2,))
    for _ in range(20_000):
        expr = relay.exp(expr)
    assert expr._repr_html_().count('<span class="operator">') == 20_000
