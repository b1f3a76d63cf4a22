"""Drawings: what is in them, that nothing overlaps, and what is refused."""

import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import relay
from relay.drawing import Drawing, layout
from relay.drawing.layout import place
from relay.drawing.scopes import Kind, Node, Scope, count, scope_of
from relay.prelude import Prelude
from relay.support.errors import RelayError

X = relay.var("x", shape=(2, 3))
W = relay.var("w", shape=(4, 3))
PROGRAM = """
#[version = "0.0.5"]
def @main(%x: Tensor[(2, 3), float32], %c: bool) {
  let %f = fn (%a: Tensor[(2, 3), float32]) { exp(%a) * %x };
  let %y = nn.softmax(%x, axis=0);
  %0 = %y + %f(%y);
  if (%c) { (%0, 1f) } else { (@other(%0), sum(%0)) }
}
def @other(%x: Tensor[(2, 3), float32]) { nn.relu(%x) * 2f }
"""


def texts(drawing: Drawing) -> list[str]:
    return [
        "".join(t.itertext()) for t in ET.fromstring(drawing.svg).iter() if t.tag[-4:] == "text"
    ]


def titles(scope: Scope) -> list[str]:
    return [node.title for node in scope.nodes]


def links(scope: Scope) -> set[tuple[str, str, str]]:
    nodes = scope.nodes
    return {(nodes[e.source].title, nodes[e.target].title, e.label) for e in scope.edges}


def test_an_expression() -> None:
    hidden = relay.nn.dense(X, W)
    drawing = relay.draw(relay.nn.relu(hidden) + hidden)
    shown = texts(drawing)
    assert {
        "%x",
        "%w",
        "nn.dense",
        "nn.relu",
        "add",
        "2×3 float32",
        "2×4 float32",
        "4×3 float32",
    } == set(shown)
    assert shown.count("nn.dense") == 1
    assert drawing.svg.count('class="edge"') == 5
    assert drawing._repr_svg_() == drawing.svg
    assert "drawing of" in repr(drawing)


def test_a_module_with_all_there_is() -> None:
    drawing = relay.draw(relay.parse(PROGRAM))
    assert {"@main", "@other", "fn", "if", "then", "else", "callee", "1f", "bool"} <= set(
        texts(drawing)
    )
    main = scope_of(relay.parse(PROGRAM)["main"])
    assert ("%x", "fn", "") in links(main)
    assert ("nn.softmax", "call", "") in links(main)
    assert ("fn", "call", "callee") in links(main)
    inner = next(n.scope for n in main.nodes if n.kind is Kind.FUNCTION)
    assert inner is not None
    assert sorted(titles(inner)) == ["%a", "%x", "exp", "multiply"]
    assert count([main]) == len(main.nodes) + 4


def test_fused_functions_are_boxes() -> None:
    body = relay.nn.relu(relay.nn.dense(X, W))
    module = relay.transform.FuseOps(3)(relay.IRModule.from_expr(body))
    scope = scope_of(module["main"])
    assert sorted(titles(scope)) == ["%w", "%x", "fused"]
    assert links(scope) == {("%x", "fused", ""), ("%w", "fused", "")}


def test_recursion_match_and_references() -> None:
    module = Prelude().mod
    scope = scope_of(module["map"])
    assert "match" in titles(scope)
    assert any(label.startswith("Cons(") for _, _, label in links(scope))
    loop = relay.parse_expr(
        '#[version = "0.0.5"]\nlet %f = fn (%n: int32) -> int32 { %f(%n) }; %f(1)'
    )
    assert titles(scope_of(loop)).count("fn") == 1
    cell = relay.RefCreate(X)
    both = relay.Tuple([relay.RefRead(cell), relay.RefWrite(cell, X)])
    assert {"ref", "read", "write", "tuple"} <= set(titles(scope_of(both)))
    for function in module.functions.values():
        relay.draw(function)


def test_numbers_stand_where_they_are_used_and_tensors_once() -> None:
    one = relay.const(1.0)
    table = relay.const([1.0, 2.0, 3.0])
    scope = scope_of((X + one) * (X + one) + table * table)
    assert titles(scope).count("1f") == 2
    assert titles(scope).count("constant") == 1


def test_untyped_programs_are_drawn_without_types() -> None:
    assert texts(relay.draw(relay.exp(relay.Var("u")))) == ["%u", "exp"]


def test_unused_parameters_are_shown() -> None:
    assert "%w" in texts(relay.draw(relay.Function([X, W], relay.exp(X))))


def test_close_to_the_result() -> None:
    y: relay.Expr = X
    for _ in range(50_000):
        y = relay.exp(y)
    shown = texts(relay.draw(y, depth=3))
    assert shown == ["...", "exp", *["exp", "2×3 float32"] * 3]
    assert texts(relay.draw(X, depth=0)) == ["%x", "2×3 float32"]


def test_large_programs_are_refused_or_fast() -> None:
    y: relay.Expr = X
    for _ in range(600):
        y = relay.add(relay.exp(y), y)
    start = time.perf_counter()
    relay.draw(y)
    assert time.perf_counter() - start < 60
    y = X
    for _ in range(600):
        y = relay.add(relay.exp(y), X)
    with pytest.raises(RelayError, match=r"so far from where they are made .* depth=8"):
        relay.draw(y)
    with pytest.raises(RelayError, match=r"3\d\d\d nodes, .* at most 2000: .*depth=8"):
        relay.draw(relay.Tuple([relay.exp(X) for _ in range(3000)]))
    module = relay.IRModule.from_expr(relay.Tuple([relay.exp(X) for _ in range(3000)]))
    module["other"] = relay.Function([X], X)
    with pytest.raises(RelayError, match=r"draw one function, `relay.draw\(mod"):
        relay.draw(module)


def test_a_wide_program() -> None:
    relay.draw(relay.Tuple([relay.exp(X) for _ in range(1500)]))


def test_nothing_overlaps() -> None:
    sizes = [(60.0 + 13 * (k % 7), 20.0 + 9 * (k % 5)) for k in range(60)]
    edges = [(k, j) for j in range(60) for k in (j // 2, j * 2 // 3, j - 1) if 0 <= k < j]
    placed = place(sizes, edges)
    boxes = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        for (x, y), (w, h) in zip(placed.centres, sizes, strict=True)
    ]
    for i, a in enumerate(boxes):
        assert a[0] >= -0.01
        assert a[2] <= placed.width + 0.01
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for a, b in edges:
        assert placed.bands[a][1] < placed.bands[b][0]


def test_text_is_escaped() -> None:
    name = '<script>alert("1")</script>'
    svg = relay.draw(relay.exp(relay.Var(name))).svg
    assert "<script" not in svg
    assert f"%{name}" in [t.text for t in ET.fromstring(svg).iter()]
    assert scope_of(relay.Var("long" * 50)).nodes[0].title.endswith("…")


def test_the_hint_tells_attributes() -> None:
    (node, *_) = (n for n in scope_of(relay.nn.softmax(X, axis=0)).nodes if n.kind is Kind.OPERATOR)
    assert node == Node(
        Kind.OPERATOR,
        "nn.softmax",
        "2×3 float32",
        "nn.softmax\naxis = 0\nTensor[(2, 3), float32]",
    )


def test_files(tmp_path: Path) -> None:
    drawing = relay.draw(relay.exp(X))
    drawing.save(tmp_path / "a.svg")
    assert ET.parse(tmp_path / "a.svg").getroot().get("class") == "relay-drawing"
    with pytest.raises(RelayError, match=r"saved as SVG.*a\.png"):
        drawing.save(tmp_path / "a.png")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "AVAILABLE", False)
    with pytest.raises(RelayError, match=re.escape("pip install relay-ir[draw]")):
        relay.draw(X)
