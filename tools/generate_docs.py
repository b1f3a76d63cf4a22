"""The pages of the documentation that are made: from declarations in the sources, and notebooks.

MkDocs calls `on_files` for every build, so that the pages can never be out of date, and runs the
notebooks for theirs (`tools/notebooks.py`). As a program it writes all pages into a
folder: ``python tools/generate_docs.py FOLDER``.
"""

import ast
import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from argparse import ArgumentParser
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import operator_matrix
import relay
import relay.op
import relay.transform
from notebooks import linked_to_pages
from relay.frontend.onnx import supported_operators
from relay.ir.expr import Op
from relay.ir.op import Operator, Pattern
from relay.schedule import STEPS
from relay.transform import Pass

OPERATORS = "reference/operators"
PATTERNS = {
    Pattern.ELEMWISE: "elementwise: one element of the result from the same element of the input",
    Pattern.BROADCAST: "elementwise after broadcasting",
    Pattern.INJECTIVE: "every element of the result is one element of an input",
    Pattern.COMM_REDUCE: "reduction; takes elementwise operators before it",
    Pattern.OUT_ELEMWISE_FUSABLE: "takes elementwise operators after it",
    Pattern.TUPLE: "tuple",
    Pattern.OPAQUE: "fuses with nothing",
}
#: Packages of the public interface that have a section of their own on the API page.
PACKAGES = (
    "executor",
    "executor.profile",
    "frontend",
    "loop",
    "runtime.threads",
    "schedule",
    "target",
    "te",
    "testing",
)
ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"


# ---------------------------------------------------------------- docstrings


def fenced(lines: list[str]) -> list[str]:
    """Indented or doctest lines as a code block."""
    language = "python" if lines[0].lstrip().startswith(">>>") else "text"
    return [f"```{language}", *inspect.cleandoc("\n".join(lines)).splitlines(), "```"]


def prose(line: str) -> str:
    """A line of a docstring in Markdown: stars and angle brackets stand for themselves."""
    parts = re.split(r"(``.+?``|`[^`]+`)", line)
    for k in range(0, len(parts), 2):
        parts[k] = re.sub(r"(?<!^)\*|<(?=\w)", lambda m: "\\" + m[0], parts[k])
    return "".join(parts)


def markdown(documentation: str) -> str:
    """A docstring, with code in doctests and after ``::``, in Markdown."""
    found: list[str] = []
    code: list[str] = []
    code_follows = False
    for line in [*documentation.splitlines(), ""]:
        indented = line.startswith("    ") and found[-1:] == [""]
        if line.strip() and (code or code_follows or indented or line.startswith(">>> ")):
            code.append(line)
            code_follows = False
            continue
        if code:
            found += [*fenced(code), ""]
            code = []
        text = line.rstrip()
        if text.endswith("::"):
            code_follows = True
            text = text.removesuffix("::").rstrip()
            text += ":" if text and text[-1].isalnum() else ""
        if re.match("[-*] ", text) and found and not found[-1].startswith(("-", " ")):
            found.append("")  # Markdown wants a blank line before a list
        found.append(prose(text))
    return "\n".join(found).strip()


def summary(documentation: str) -> str:
    """The first sentence of a docstring, on one line."""
    paragraph = " ".join(documentation.split("\n\n")[0].split()).removesuffix("::").strip()
    first = re.split(r"(?<=[.;])\s", paragraph)[0].rstrip(".;:")
    return cell(prose(first))


def documentation_of(value: object) -> str:
    """The docstring of `value`, or nothing."""
    return inspect.getdoc(value) or ""


# ---------------------------------------------------------------- operators


def annotation(field: "dataclasses.Field[object]") -> str:
    """The type of an attribute, as it is written in the declaration."""
    return field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)


def default(field: "dataclasses.Field[object]") -> str:
    """The default of an attribute."""
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()!r}`"
    return "must be given"


def cell(text: str) -> str:
    """`text` for a cell of a table: a bar outside of code would end the cell."""
    parts = re.split(r"(``.+?``|`[^`]+`)", text)
    return "".join(p if k % 2 else p.replace("|", "&#124;") for k, p in enumerate(parts))


def capabilities(declaration: type[Operator]) -> Iterator[str]:
    """What is known of the operator beyond its type and meaning, and what is missing."""
    if declaration.compute is not Operator.compute and "compute" not in declaration.missing:
        yield "is compiled"
    if declaration.expand is not Operator.expand:
        yield "is expanded into other operators"
    if declaration.reference is not Operator.reference and "reference" not in declaration.missing:
        yield "runs in the interpreter"
    if hasattr(declaration, "layouts"):
        yield "follows a change of data layout"
    if declaration.complete_inputs is not Operator.complete_inputs:
        yield "tells types of arguments that are not given"
    for capability, reason in sorted(declaration.missing.items()):
        yield f"no `{capability}`: {prose(reason)}"


def operator_section(name: str, declaration: type[Operator]) -> Iterator[str]:
    """The lines about one operator."""
    pattern = Pattern(declaration.pattern)
    yield f"\n## {name}\n"
    yield f"`{name}({', '.join(declaration.inputs)})`\n"
    yield markdown(documentation_of(declaration))
    fields = dataclasses.fields(declaration)  # type: ignore[arg-type]
    if fields:
        yield "\n| attribute | type | default |\n|---|---|---|"
        for field in fields:
            yield f"| `{field.name}` | `{annotation(field)}` | {default(field)} |"
    yield f"\nFusion: `{pattern.name.lower()}` ({PATTERNS[pattern]})."
    yield f"Capabilities: {'; '.join(capabilities(declaration))}."


def families() -> dict[ModuleType, dict[str, type[Operator]]]:
    """The operators by the module that declares them."""
    found: dict[str, dict[str, type[Operator]]] = {}
    for name in sorted(Op.list_names()):
        declaration = Op.get(name).declaration
        if isinstance(declaration, type) and issubclass(declaration, Operator):
            found.setdefault(declaration.__module__, {})[name] = declaration
    return {importlib.import_module(module): found[module] for module in sorted(found)}


def title_of(module: ModuleType) -> str:
    """``nn: convolution`` for `relay.op.nn.convolution`."""
    package, _, name = module.__name__.removeprefix("relay.op.").rpartition(".")
    return f"{package or 'op'}: {name.replace('_', ' ')}"


def operator_pages() -> Iterator[tuple[str, str]]:
    """Path and text of the pages about operators: one a family, and the list of all."""
    groups = families()
    count = sum(map(len, groups.values()))
    index = [
        "# Operators\n",
        f"{count} operators, by family. The Python function of an operator takes its inputs, then "
        "its attributes: `relay.nn.relu(x)`, `relay.sum(x, axis=[1])`. In the text format a call "
        "names the attributes that differ from their defaults. [A table](matrix.md) shows what "
        "each of them can do.\n",
    ]
    for module, operators in groups.items():
        title = title_of(module)
        file = title.replace(": ", "_").replace(" ", "_") + ".md"
        page = [f"# {title}\n", markdown(documentation_of(module))]
        index.append(f"\n## [{title}]({file})\n\n| operator | what it does |\n|---|---|")
        for name, declaration in operators.items():
            page.extend(operator_section(name, declaration))
            anchor = re.sub(r"[^a-z0-9_]", "", name.lower())
            what = summary(documentation_of(declaration))
            index.append(f"| [`{name}`]({file}#{anchor}) | {what} |")
        yield f"{OPERATORS}/{file}", "\n".join(page) + "\n"
    yield f"{OPERATORS}/index.md", "\n".join(index) + "\n"


# ---------------------------------------------------------------- passes and schedule steps


def passes_page() -> str:
    """The passes of `relay.transform`."""
    lines = [
        "# Passes\n",
        "The passes of `relay.transform`. A pass is called with a module and returns a module. "
        "The *level* is the one from which `relay.build` and `Sequential` run it.",
    ]
    for name in relay.transform.__all__:
        value = getattr(relay.transform, name)
        concrete = isinstance(value, type) and issubclass(value, Pass) and "Pass" not in name
        if concrete and dataclasses.is_dataclass(value):
            lines += [f"\n## {name}\n", f"```python\n{name}{signature(value)}\n```\n"]
            lines += [f"Level {value.opt_level}.\n", markdown(documentation_of(value))]
    return "\n".join(lines) + "\n"


def schedule_page() -> str:
    """The steps of `relay.schedule`."""
    lines = [
        "# Schedule steps\n",
        "Each step maps a loop program to an equivalent one, or raises `ScheduleError`. "
        "`relay.schedule.Schedule` has a method for each; in the text of a trace a step is written "
        "as below.\n",
        "| step | what it does |\n|---|---|",
    ]
    lines += [f"| [`{n}`](#{n}) | {summary(documentation_of(s))} |" for n, s in STEPS.items()]
    for name, step in STEPS.items():
        fields = dataclasses.fields(step)  # type: ignore[arg-type]
        shown = ", ".join(f"{f.name}: {annotation(f)}" for f in fields)
        lines += [f"\n## {name}\n", f"`{name}({shown})`\n", markdown(documentation_of(step))]
    return "\n".join(lines) + "\n"


def onnx_page() -> str:
    """The ONNX operators that the importer knows."""
    known = supported_operators()
    names = ", ".join(f"`{name}`" for name in known)
    return (
        "# ONNX\n\n`relay.frontend.from_onnx` imports models of every operator set since the "
        f"first. It converts {len(known)} operators itself, expands those that the standard "
        f"defines by others, and functions that a model defines:\n\n{names}\n"
    )


# ---------------------------------------------------------------- the Python interface


def signature(value: object) -> str:
    """The signature of a function or class, with the types as the source writes them."""
    if isinstance(value, type):
        if issubclass(value, Enum | BaseException):
            return ""
        constructor = value.__init__
        if not inspect.isfunction(constructor):
            return ""
        if dataclasses.is_dataclass(value) and constructor.__code__.co_filename == "<string>":
            fields = (f for f in dataclasses.fields(value) if f.init)
            return plain(f"({', '.join(map(parameter, fields))})")
        value = constructor
    if not inspect.isfunction(value) or value.__name__ == "_no_init_or_replace_init":
        return ""
    tree = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.args.args = [a for a in tree.args.args if a.arg != "self"]
    returns = "" if tree.returns is None or tree.name == "__init__" else ast.unparse(tree.returns)
    return f"({ast.unparse(tree.args)})" + (f" -> {returns}" if returns else "")


def parameter(field: "dataclasses.Field[object]") -> str:
    """A field of a dataclass as a parameter of its constructor."""
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return f"{field.name}: {annotation(field)}"
    return f"{field.name}: {annotation(field)} = {default(field).strip('`')}"


def plain(text: str) -> str:
    """A signature without the modules of its types."""
    text = re.sub(r"<(\w+\.\w+): .*?>", r"\1", text)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)


def api_entry(owner: str, name: str, value: object) -> Iterator[str]:
    """The lines about one public name."""
    yield f"\n### {name}\n"
    if inspect.isclass(value) and value.__name__ != name:
        yield f"Another name of `{value.__name__}`."
    elif inspect.isclass(value):
        yield f"```python\nclass {owner}.{name}{signature(value)}\n```\n"
    elif callable(value):
        yield f"```python\n{owner}.{name}{signature(value)}\n```\n"
    yield markdown(documentation_of(value))
    if inspect.isclass(value) and value.__name__ == name:
        methods = [
            (n, m)
            for n, m in vars(value).items()
            if not n.startswith("_") and documentation_of(m) and (callable(m) or is_accessor(m))
        ]
        if methods:
            yield "\n| member | what it is |\n|---|---|"
        for member, method in methods:
            yield f"| `{member}` | {summary(documentation_of(method))} |"


def is_accessor(value: object) -> bool:
    """Whether a member of a class is no plain function, but documented like one."""
    return isinstance(value, property | staticmethod | classmethod)


def public_names(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Public classes and functions of `module`, in order of their names."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    declared = getattr(module, "__all__", None) or [n for n in own if not n.startswith("_")]
    for name in sorted(declared, key=str.lower):
        value = getattr(module, name)
        if (inspect.isclass(value) or callable(value)) and documentation_of(value):
            yield name, value


def api_page() -> str:
    """The public names of `relay` and of its packages that users import from."""
    lines = [
        "# Python interface\n",
        "The public names. Operators have [pages of their own](operators/index.md), and so have "
        "[passes](passes.md) and [schedule steps](schedule.md).",
    ]
    for module in (relay, *(importlib.import_module(f"relay.{name}") for name in PACKAGES)):
        if module is not relay:
            lines += [f"\n## {module.__name__}\n", markdown(documentation_of(module))]
        else:
            lines.append("\n## relay\n")
        for name, value in public_names(module):
            lines.extend(api_entry(module.__name__, name, value))
    lines += ["\n## relay.transform\n", "Everything but the passes themselves."]
    for name, value in public_names(relay.transform):
        is_pass = isinstance(value, type) and issubclass(value, Pass) and value is not Pass
        if not is_pass or name in ("FunctionPass", "Sequential"):
            lines.extend(api_entry("relay.transform", name, value))
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- tutorials


def tutorial_pages() -> Iterator[tuple[str, str]]:
    """Path and text of the page of each notebook, which is run in a process of its own."""
    program = str(ROOT / "tools" / "notebooks.py")
    for notebook in sorted(TUTORIALS.glob("*.ipynb")):
        done = subprocess.run(
            [sys.executable, "-X", "utf8", program, str(notebook)],
            stdout=subprocess.PIPE,
            check=True,
            encoding="utf-8",
        )
        yield f"tutorials/{notebook.stem}.md", done.stdout


# ---------------------------------------------------------------- the site


def pages() -> dict[str, str]:
    """All generated pages: path in the documentation -> Markdown."""
    return {
        "reference/api.md": api_page(),
        "reference/passes.md": passes_page(),
        "reference/onnx.md": onnx_page(),
        "reference/schedule.md": schedule_page(),
        f"{OPERATORS}/matrix.md": operator_matrix.page(),
        **dict(operator_pages()),
        **dict(tutorial_pages()),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """MkDocs event: add the pages to the files of the site."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """MkDocs event: the list of tutorials leads to their pages, not to the notebooks."""
    return linked_to_pages(markdown) if page.file.src_uri == "tutorials/index.md" else markdown


def main() -> None:
    """Write the pages into the folder that the command line names."""
    parser = ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for path, text in pages().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
