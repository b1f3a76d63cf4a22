"""Tutorials as pages: runs a notebook from top to bottom and writes it as Markdown.

Usage: ``python tools/notebooks.py NOTEBOOK``

Prints the page: the text of the notebook, its code, and what each cell prints and shows. Notebooks
are stored without outputs, so a page can show none that is out of date. The cells run in this
process, in the folder of the notebook; an exception in one ends the program.
"""

import ast
import contextlib
import io
import json
import os
import re
import sys
from pathlib import Path


def cells(notebook: Path) -> list[tuple[str, str]]:
    """Kind (``markdown`` or ``code``) and source of each cell."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    return [(cell["cell_type"], "".join(cell["source"])) for cell in content["cells"]]


def block(language: str, text: str) -> str:
    """A fenced block, without blanks at line ends."""
    lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
    return f"```{language}\n{lines}\n```"


def linked_to_pages(text: str) -> str:
    """Markdown whose links to notebooks lead to their pages instead."""
    return re.sub(r"\]\((\w+)\.ipynb\)", r"](\1.md)", text)


def run(source: str, name: str, namespace: dict[str, object]) -> list[str]:
    """Run a cell in `namespace`: what it shows, as Markdown.

    As in a notebook, an expression at the end shows its value, as HTML or SVG where it has that.
    """
    printed, shown = io.StringIO(), list[str]()

    def display(value: object) -> None:
        if hasattr(value, "_repr_html_"):
            shown.append(value._repr_html_())
        elif hasattr(value, "_repr_svg_"):
            shown.append(value._repr_svg_())
        elif value is not None:
            shown.append(block("text", repr(value)))

    tree = ast.parse(source, name)
    last = [tree.body.pop()] if tree.body and isinstance(tree.body[-1], ast.Expr) else []
    before, sys.displayhook = sys.displayhook, display
    try:
        with contextlib.redirect_stdout(printed):
            # The notebooks are part of the project: running them is what this program is for.
            exec(compile(tree, name, "exec"), namespace)  # noqa: S102
            exec(compile(ast.Interactive(last), name, "single"), namespace)  # noqa: S102
    finally:
        sys.displayhook = before
    return [*([block("text", printed.getvalue())] if printed.getvalue() else []), *shown]


def page(notebook: Path) -> str:
    """The notebook as a page. Raises what its cells raise."""
    parts: list[str] = []
    namespace: dict[str, object] = {"__name__": "__main__"}
    for number, (kind, source) in enumerate(cells(notebook), 1):
        if kind == "markdown":
            parts.append(linked_to_pages(source))
        else:
            parts += [block("python", source)]
            parts += run(source, f"{notebook.name}, cell {number}", namespace)
    parts.append(f"[This page as a notebook]({notebook.name})")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Print the page of the notebook that the command line names."""
    notebook = Path(sys.argv[1]).resolve()
    os.chdir(notebook.parent)
    sys.stdout.write(page(notebook))


if __name__ == "__main__":
    main()
