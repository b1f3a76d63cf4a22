"""Show how the sources stand against their size budgets, and fail where a hard limit is passed.

A file should stay within 500 lines and must stay within 800; a function should stay within 60 and
must stay within 100. Flat tables of data (literals of many entries) do not count. No function may
import anything. Usage: ``python tools/budget.py [PATH ...]``, by default ``src/relay``.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE_LIMIT, FILE_HARD_LIMIT = 500, 800
FUNCTION_LIMIT, FUNCTION_HARD_LIMIT = 60, 100
TABLE_LINES = 12
"""A literal of at least this many lines is a table."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, order=True)
class Finding:
    """Something to tell about one place; `fatal` where it must not stay."""

    path: str
    line: int
    message: str
    fatal: bool

    def __str__(self) -> str:
        return f"{'error' if self.fatal else 'note '} {self.path}:{self.line}: {self.message}"


def table_lines(tree: ast.AST) -> int:
    """How many lines of `tree` lie inside flat tables."""
    total = 0
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Dict | ast.List | ast.Tuple | ast.Set):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            flat = not any(isinstance(inner, ast.Lambda) for inner in ast.walk(node))
            if lines >= TABLE_LINES and flat:
                total += lines
                continue
        pending.extend(ast.iter_child_nodes(node))
    return total


def docstring_lines(function: Definition) -> int:
    """How many lines the docstring of `function` takes: documenting must not cost budget."""
    if ast.get_docstring(function) is None:
        return 0
    first = function.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def own_nodes(function: Definition) -> Iterator[ast.AST]:
    """What stands in `function` itself, not in a function inside it."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if not isinstance(node, Definition):
            yield node
            pending.extend(ast.iter_child_nodes(node))


def judge(
    path: str, line: int, what: str, lines: int, limits: tuple[int, int]
) -> Iterator[Finding]:
    """The finding about something of `lines` lines, if it passes the soft limit."""
    limit, hard_limit = limits
    if lines > limit:
        wanted = hard_limit if lines > hard_limit else limit
        yield Finding(
            path, line, f"{what} has {lines} lines, more than {wanted}", lines > hard_limit
        )


def check_file(path: Path) -> Iterator[Finding]:
    """All findings about one source file."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, filename=str(path))
    lines = text.count("\n") - table_lines(tree)
    yield from judge(str(path), 1, "the file", lines, (FILE_LIMIT, FILE_HARD_LIMIT))
    for node in ast.walk(tree):
        if not isinstance(node, Definition):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        length -= docstring_lines(node) + table_lines(node)
        limits = (FUNCTION_LIMIT, FUNCTION_HARD_LIMIT)
        yield from judge(str(path), node.lineno, f"function {node.name}", length, limits)
        for inner in own_nodes(node):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                yield Finding(str(path), inner.lineno, f"import inside {node.name}", True)


def main(arguments: list[str]) -> int:
    """Print every finding; 1 when one of them is fatal."""
    roots = [Path(argument) for argument in arguments or ["src/relay"]]
    paths = sorted(
        path for root in roots for path in ([root] if root.is_file() else root.rglob("*.py"))
    )
    findings = sorted({finding for path in paths for finding in check_file(path)})
    for finding in findings:
        print(finding)
    fatal = sum(finding.fatal for finding in findings)
    print(
        f"{len(paths)} files, {len(findings) - fatal} over budget, {fatal} beyond what is allowed"
    )
    return 1 if fatal else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
