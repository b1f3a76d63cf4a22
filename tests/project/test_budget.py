"""The size budgets, on sources made for them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def budget() -> ModuleType:
    """`tools/budget.py` as a module."""
    path = Path(__file__).parents[2] / "tools" / "budget.py"
    spec = importlib.util.spec_from_file_location("budget", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def body(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        (body(60), []),
        (body(61), [(False, "function f has 61 lines, more than 60")]),
        (body(101), [(True, "function f has 101 lines, more than 100")]),
        ("x = 1\n" * 501, [(False, "the file has 501 lines, more than 500")]),
        ("x = 1\n" * 801, [(True, "the file has 801 lines, more than 800")]),
        ("table = {\n" + "    1: 2,\n" * 900 + "}\n", []),
        ("def f():\n    return [\n" + "        1,\n" * 200 + "    ]\n", []),
        (
            "def f():\n    return [\n" + "        lambda: 1,\n" * 99 + "    ]\n",
            [(True, "function f has 102 lines, more than 100")],
        ),
        ("def f():\n    import os\n", [(True, "import inside f")]),
        ("def f():\n    def g():\n        import os\n", [(True, "import inside g")]),
    ],
)
def test_findings(
    budget: ModuleType, tmp_path: Path, text: str, findings: list[tuple[bool, str]]
) -> None:
    path = tmp_path / "source.py"
    path.write_text(text)
    assert [(found.fatal, found.message) for found in budget.check_file(path)] == findings
