"""The Python of the documentation runs, and prints what the pages say it prints.

The ``python`` blocks of a page are one program, run from top to bottom in a process of its own; a
``text`` block that directly follows one of them is what it prints. ``pytest --bless`` rewrites
these. A block under the comment ``<!-- not run -->`` is left out. Then the lines of ``sh`` blocks
that begin with ``relay`` are run. All run in an empty folder that holds a copy of
``examples/digits``.
"""

import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<content>.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = "<!-- not run -->"
#: What is printed between two blocks: nothing else prints it.
SEPARATOR = "\x1e"


@dataclass(frozen=True)
class Snippet:
    """A Python block: its first line in the page, its lines, and where its output is shown."""

    line: int
    code: str
    output: re.Match[str] | None


def blocks_of(page: str, language: str) -> Iterator[tuple[re.Match[str], re.Match[str] | None]]:
    """The blocks of a language that are run, each with the block that comes next."""
    blocks = list(BLOCK.finditer(page))
    for number, block in enumerate(blocks, 1):
        following = blocks[number] if number < len(blocks) else None
        skipped = page[: block.start()].rstrip().endswith(NOT_RUN)
        if block["language"] == language and not skipped:
            yield block, following


def snippets(page: str) -> Iterator[Snippet]:
    """The Python blocks of `page` that are run."""
    for block, following in blocks_of(page, "python"):
        shown = following is not None and following["language"] == "text"
        if shown and page[block.end() : following.start()].strip():
            shown = False
        line = page.count("\n", 0, block.start("content")) + 1
        yield Snippet(line, block["content"], following if shown else None)


def commands(page: str) -> Iterator[list[str]]:
    """The command lines of `relay` in the shell blocks of `page`."""
    for block, _ in blocks_of(page, "sh"):
        for line in block["content"].splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "relay":
                yield words[1:]


def program(found: list[Snippet]) -> str:
    """One program of all snippets, each on the lines that it has in the page."""
    lines: list[str] = []
    for snippet in found:
        lines += [""] * (snippet.line - 1 - len(lines))
        lines += [*snippet.code.splitlines(), f"print({SEPARATOR!r}, end='')"]
    return "\n".join(lines) + "\n"


def execute(page: Path, arguments: list[str], folder: Path) -> str:
    """What Python with these arguments prints; the test fails where it fails."""
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-X", "utf8", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    if done.returncode:
        what = " ".join(arguments)
        pytest.fail(f"{page.relative_to(ROOT)}: {what}\n{done.stderr}", pytrace=False)
    return done.stdout


def rewritten(page: str, found: list[Snippet], printed: list[str]) -> str:
    """`page` with what the snippets print now."""
    for snippet, output in reversed(list(zip(found, printed, strict=True))):
        if snippet.output is not None:
            start, end = snippet.output.span("content")
            page = page[:start] + normal(output) + page[end:]
    return page


def normal(text: str) -> str:
    """`text` without blanks at line ends and with one line end at its end."""
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    text = page.read_text(encoding="utf-8")
    shutil.copytree(ROOT / "examples" / "digits", tmp_path / "examples" / "digits")
    found = list(snippets(text))
    script = tmp_path / page.with_suffix(".py").name
    script.write_text(program(found), encoding="utf-8")
    printed = execute(page, [script.name], tmp_path).split(SEPARATOR)[: len(found)]
    for words in commands(text):
        execute(page, ["-m", "relay.cli.main", *words], tmp_path)
    fresh = rewritten(text, found, printed)
    if request.config.getoption("bless"):
        page.write_text(fresh, encoding="utf-8")
    elif fresh != text:
        old, new = text.splitlines(), fresh.splitlines()
        diff = "\n".join(difflib.unified_diff(old, new, "shown", "printed", lineterm=""))
        pytest.fail(f"{page.relative_to(ROOT)} shows other output:\n{diff}", pytrace=False)
