"""The operator page of the documentation, made from the operators' declarations.

MkDocs calls `on_files` for every build, so that the page can never be out of date; as a program it
prints the page: ``python tools/generate_docs.py``.
"""

import dataclasses
import inspect
import sys
from collections.abc import Iterator

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import relay.op  # noqa: F401 - declares the operators
from relay.ir.expr import Op
from relay.ir.op import Operator, Pattern

PAGE = "reference/operators.md"
HEAD = """# Operators

{count} operators, in alphabetical order. An operator's *pattern* says how it takes part in fusion,
its *attributes* are what a call may say between the parentheses after the arguments.
"""


def annotation(field: "dataclasses.Field[object]") -> str:
    """The type of an attribute, as it is written in the declaration."""
    return field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)


def default(field: "dataclasses.Field[object]") -> str:
    """The default of an attribute; a dash for one that a call must give."""
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()!r}`"
    return "-"


def section(name: str, declaration: type[Operator]) -> Iterator[str]:
    """The lines about one operator."""
    pattern = Pattern(declaration.pattern).name.lower()
    yield f"\n## {name}\n"
    call = f"{name}({', '.join(declaration.inputs)})"
    yield f"`{call}` · pattern `{pattern}` · level {declaration.level}\n"
    yield inspect.getdoc(declaration) or ""
    fields = dataclasses.fields(declaration)  # type: ignore[arg-type]
    if fields:
        yield "\n| attribute | type | default |\n|---|---|---|"
        for field in fields:
            kind = annotation(field).replace("|", "\\|")
            yield f"| `{field.name}` | `{kind}` | {default(field).replace('|', chr(92) + '|')} |"
    for capability, reason in sorted(declaration.missing.items()):
        yield f"\nNo {capability}: {reason}."


def operator_page() -> str:
    """The whole page, in Markdown."""
    declarations = {name: Op.get(name).declaration for name in Op.list_names()}
    operators = {
        name: declaration
        for name, declaration in declarations.items()
        if isinstance(declaration, type) and issubclass(declaration, Operator)
    }
    lines = [HEAD.format(count=len(operators))]
    for name, declaration in operators.items():
        lines.extend(section(name, declaration))
    return "\n".join(lines) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """MkDocs event: add the page to the files of the site."""
    files.append(File.generated(config, PAGE, content=operator_page()))
    return files


if __name__ == "__main__":
    sys.stdout.write(operator_page())
