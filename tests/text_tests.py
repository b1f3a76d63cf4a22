"""Text files as tests.

A test file is a header, a program and the text that the program must become::

    // test: fuse-ops{fuse_opt_level=2}
    #[version = "0.0.5"]
    def @main(...) { ... }
    // ---- expect
    #[version = "0.0.5"]
    ...

The header names one step or several (``// test: infer-type | fuse-ops``); `text_handlers` says what
there is. ``pytest --bless`` rewrites the part after the marker. A line of the program that ends in
``// error: part of the message`` (``# error:`` in a loop program) says instead that the steps must
fail with an error about that very line; the expected part, the whole message, may then be left out.

Each file gives up to three tests: `expected`, `round_trip` (what it prints parses back to the
same) and, for a Relay file, `execution` (before and after the steps, the program computes the
same). A line ``// no-execution: reason`` under the header leaves the last one out.
"""

import ast
import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import text_handlers
from text_handlers import Option, Step

MARKER = "// ---- expect"
SUFFIXES = (".relay", ".loop")
HEADER = re.compile(r"// test: (?P<steps>.+)")
STEP = re.compile(r"(?P<name>[a-z][a-z0-9_-]*)(\{(?P<options>.*)\})?")
ERROR = re.compile(r"(?://|#) error: (?P<fragment>.+?)\s*$")
NO_EXECUTION = re.compile(r"^// no-execution: (?P<reason>.+)$", re.MULTILINE)


class TextTestError(Exception):
    """A text test went wrong; the message is all that a person needs to see."""


@dataclass(frozen=True)
class TextTest:
    """The content of a test file.

    `program` has as many lines before it as in the file, so that positions in it are positions in
    the file. `errors` maps line numbers to fragments of the error's message expected there.
    """

    path: Path
    steps: tuple[Step, ...]
    program: str
    expected: str | None
    errors: dict[int, str] = field(default_factory=dict)
    no_execution: str | None = None


def read_option(node: ast.expr) -> Option:
    """An option's value: a Python literal, or a bare word (`float32`, `nn.conv2d`) for a string."""
    try:
        value: Option = ast.literal_eval(node)
    except ValueError:
        value = ast.unparse(node)
    return value


def read_step(text: str) -> Step:
    """`fuse-ops{fuse_opt_level=2}` as a step."""
    match = STEP.fullmatch(text.strip())
    if match is None:
        raise TextTestError(f"expected `name` or `name{{option=value, ...}}`, found `{text}`")
    call = ast.parse(f"f({match['options'] or ''})", mode="eval").body
    assert isinstance(call, ast.Call)
    return Step(match["name"], {str(k.arg): read_option(k.value) for k in call.keywords})


def read_test(path: Path, text: str) -> TextTest:
    """Take a test file apart; `TextTestError` when it is not one."""
    header, _, rest = text.partition("\n")
    match = HEADER.fullmatch(header.strip())
    if match is None:
        raise TextTestError(f"{path}:1: expected `// test: NAME` here, found `{header}`")
    program, marker, expected = rest.partition(MARKER + "\n")
    lines = enumerate(program.split("\n"), start=2)
    errors = {line: found["fragment"] for line, row in lines if (found := ERROR.search(row))}
    if len(errors) > 1:
        raise TextTestError(f"{path}: one `// error:` is enough: the first error ends the test")
    no_execution = NO_EXECUTION.search(program)
    return TextTest(
        path=path,
        steps=tuple(read_step(step) for step in match["steps"].split(" | ")),
        program="\n" + program,
        expected=expected if marker else None,
        errors=errors,
        no_execution=no_execution["reason"] if no_execution else None,
    )


def bless(path: Path, actual: str) -> None:
    """Make `actual` the expected part of a test file."""
    program, _, _ = path.read_text(encoding="utf-8").partition(MARKER + "\n")
    path.write_text(f"{program.rstrip()}\n{MARKER}\n{actual}", encoding="utf-8")


def check_error(test: TextTest) -> str:
    """The message of the error that the steps end in, after a look at where it points."""
    ((line, fragment),) = test.errors.items()
    error = text_handlers.error_of(test.path, test.program, test.steps)
    if error is None:
        raise TextTestError(f"expected an error on line {line} (`{fragment}`), but there was none")
    if fragment not in error.message:
        raise TextTestError(f"expected an error with `{fragment}`, found:\n{error}")
    if error.span is None or error.span.line != line:
        where = "without a position" if error.span is None else f"on line {error.span.line}"
        raise TextTestError(f"expected the error on line {line}, found it {where}:\n{error}")
    return str(error)


def check_expected(test: TextTest, *, rewrite: bool) -> None:
    """The steps give the expected text, or the expected error."""
    if test.errors:
        actual = check_error(test)
        if test.expected is None:
            return
    else:
        actual = text_handlers.printed(test.path, test.program, test.steps)
    actual = actual.rstrip() + "\n"
    if rewrite:
        bless(test.path, actual)
    elif test.expected is None:
        raise TextTestError(f"no `{MARKER}` line yet; run pytest --bless to write:\n\n{actual}")
    elif actual != test.expected.rstrip() + "\n":
        old, new = test.expected.rstrip().splitlines(), actual.splitlines()
        diff = difflib.unified_diff(old, new, "expected", "found", lineterm="")
        raise TextTestError("\n".join(diff))


class TextItem(pytest.Item):
    """One check of one file."""

    def __init__(self, *, check: Callable[[], None], **arguments: object) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]
        self.check = check

    def runtest(self) -> None:
        self.check()

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        if isinstance(excinfo.value, TextTestError | text_handlers.MismatchError):
            return f"{self.path}\n{excinfo.value}"
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.path.name}::{self.name}"


class TextFile(pytest.File):
    """A test file."""

    def collect(self) -> Iterator[TextItem]:
        test = read_test(self.path, self.path.read_text(encoding="utf-8"))
        rewrite = bool(self.config.getoption("bless"))
        checks: dict[str, Callable[[], None]] = {
            "expected": lambda: check_expected(test, rewrite=rewrite)
        }
        if not test.errors:
            arguments = (test.path, test.program, test.steps)
            checks["round_trip"] = lambda: text_handlers.check_round_trip(*arguments)
            if self.path.suffix == ".relay" and test.no_execution is None:
                checks["execution"] = lambda: text_handlers.check_execution(*arguments)
        for name, check in checks.items():
            yield TextItem.from_parent(self, name=name, check=check)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> TextFile | None:
    """Collect `file_path` when it is a text test."""
    if file_path.suffix not in SUFFIXES:
        return None
    return TextFile.from_parent(parent, path=file_path)
