"""The tool that says what operators can do, and that all operators of Relay are there."""

import importlib.util
from pathlib import Path

import pytest

from relay.ir.expr import Op

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location(
    "operator_matrix", ROOT / "tools" / "operator_matrix.py"
)
assert SPEC is not None
assert SPEC.loader is not None
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)

LINES = (ROOT / "tests" / "data" / "relay_operators.txt").read_text().splitlines()
RELAY = [line for line in LINES if not line.startswith("#")]


def test_every_operator_of_relay_is_there() -> None:
    assert len(RELAY) == 298
    assert sorted(set(RELAY) - set(Op.list_names())) == []


def test_nothing_is_lacking_without_a_reason() -> None:
    rows, notes = TOOL.table()
    assert [line for line in rows if not all(line)] == []
    assert all(notes.numbers)
    assert len({line[0] for line in rows}) == len(rows) >= len(RELAY)


def test_words_choose_operators(capsys: pytest.CaptureFixture[str]) -> None:
    assert TOOL.main(["vision.roi"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split()[:2] == ["operator", "type"]
    assert [line.split()[0] for line in shown[1:3]] == ["vision.roi_align", "vision.roi_pool"]
    assert shown[3].startswith("(1) ")


def test_the_page_has_a_row_for_each() -> None:
    page = TOOL.page()
    assert "| `nn.conv2d` | yes |" in page
    assert page.count("\n| `") == len(TOOL.operators())
