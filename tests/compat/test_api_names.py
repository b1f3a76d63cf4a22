"""The tool that counts names."""

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "tools" / "api_names.py"
SPEC = importlib.util.spec_from_file_location("api_names", PATH)
assert SPEC is not None
assert SPEC.loader is not None
TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)

LIST = """
# A comment
  12   3  tvm.relay.var
   1   0  tvm.relay.nonsense
   0   2  tvm.get_global_func
  44  .checked_type
   2  .nobody_has_this
"""


def test_every_name_is_counted_once() -> None:
    report = TOOL.check(LIST)
    assert [n.name for n in report.here] == ["tvm.relay.var", ".checked_type"]
    assert [n.name for n in report.missing] == ["tvm.relay.nonsense", ".nobody_has_this"]
    assert [n.name for found in report.absent.values() for n in found] == ["tvm.get_global_func"]
    text = str(report)
    assert text.startswith("5 names: 2 resolved, 1 absent for a reason, 2 missing\n")
    assert "missing: tvm.relay.nonsense (used 1 + 0 times)" in text


def test_the_section_of_the_page() -> None:
    section = TOOL.section(TOOL.check(LIST))
    assert "| Registries of functions | `get_global_func` |" in section
    page = f"before\n{TOOL.BEGIN}\nold\n{TOOL.END}\nafter\n"
    assert TOOL.with_section(page, section) == f"before\n{section}\nafter\n"
    with pytest.raises(SystemExit, match="has no section"):
        TOOL.with_section("no section", section)
