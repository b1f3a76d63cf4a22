"""The collector of text tests itself, on a language whose only step writes in capitals."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

HANDLERS = """
from dataclasses import dataclass, field
from types import SimpleNamespace

Option = object
calls = []

@dataclass(frozen=True)
class Step:
    name: str
    options: dict = field(default_factory=dict)

class MismatchError(Exception): pass

class ProgramError(Exception):
    def __init__(self, message, line):
        super().__init__(message)
        self.message, self.span = message, SimpleNamespace(line=line)

def printed(path, program, steps):
    for line, row in enumerate(program.split("\\n"), start=1):
        if row.startswith("bad"):
            raise ProgramError("this is bad", line)
    return "".join(step.options.get("prefix", "") for step in steps) + program.strip().upper()

def error_of(path, program, steps):
    try:
        printed(path, program, steps)
    except ProgramError as error:
        return error

def check_round_trip(path, program, steps): pass

def check_execution(path, program, steps):
    if "changes" in program:
        raise MismatchError("result 0 changed")
"""

FILES = {
    "good.relay": "// test: shout\nhello\n// ---- expect\nHELLO\n",
    "option.relay": "// test: shout{prefix=a} | shout{prefix='b '}\nc\n// ---- expect\nab C\n",
    "loop.loop": "// test: shout\nchanges nothing: a loop file has no execution\n// ---- expect\n"
    "CHANGES NOTHING: A LOOP FILE HAS NO EXECUTION\n",
    "kept.relay": "// test: shout\n// no-execution: changes on purpose\n// ---- expect\n"
    "// NO-EXECUTION: CHANGES ON PURPOSE\n",
    "error.relay": "// test: shout\nfine\nbad line // error: is bad\n",
    "wrong.relay": "// test: shout\nhello\n// ---- expect\nHALLO\n",
    "changed.relay": "// test: shout\nchanges\n// ---- expect\nCHANGES\n",
    "place.relay": "// test: shout\nfine // error: is bad\nbad\n",
    "silent.relay": "// test: shout\nfine // error: is bad\n",
    "new.relay": "// test: shout\nhello\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the collector, the little language and one file per case."""
    (tmp_path / "text_tests.py").write_text((TESTS / "text_tests.py").read_text())
    (tmp_path / "text_handlers.py").write_text(HANDLERS)
    (tmp_path / "conftest.py").write_text(
        "from text_tests import pytest_collect_file\n"
        "def pytest_addoption(parser): parser.addoption('--bless', action='store_true')\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    """What pytest says about the files of `folder`."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_collect_and_compare(folder: Path) -> None:
    said = run(folder)
    passed = {line.split()[1] for line in said.splitlines() if line.startswith("PASSED")}
    failed = {line.split()[1] for line in said.splitlines() if line.startswith("FAILED")}
    every = ("expected", "round_trip", "execution")
    assert {f"good.relay::{name}" for name in every} <= passed
    assert {f"option.relay::{name}" for name in every} <= passed
    assert {"loop.loop::expected", "kept.relay::expected", "error.relay::expected"} <= passed
    assert not any("loop.loop::execution" in line for line in said.splitlines())
    assert failed == {
        "wrong.relay::expected",
        "changed.relay::execution",
        "place.relay::expected",
        "silent.relay::expected",
        "new.relay::expected",
    }
    assert "-HALLO\n+HELLO" in said
    assert "result 0 changed" in said
    assert "expected the error on line 2, found it on line 3" in said
    assert "but there was none" in said


def test_bless(folder: Path) -> None:
    run(folder, "--bless", "wrong.relay", "new.relay", "error.relay")
    for name in ("wrong.relay", "new.relay"):
        assert (folder / name).read_text() == FILES["good.relay"]
    assert (folder / "error.relay").read_text() == FILES["error.relay"]
    assert " failed" not in run(folder, "wrong.relay", "new.relay")


def test_not_a_test(folder: Path) -> None:
    (folder / "odd.relay").write_text("def @main() {}\n")
    assert "odd.relay:1: expected `// test: NAME` here, found `def @main() {}`" in run(folder)
