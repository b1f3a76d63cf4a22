"""What operators can do: ``python tools/operator_matrix.py [--markdown] [--dtypes] [WORD ..]``.

A row of the table is an operator (with words, one that has any of them in its name), a column a
capability. What an operator lacks has a number, and below the table the reason for it. The exit
status is 1 where a cell is empty: something is lacking and nothing says why. The documentation
shows the same table.

With ``--dtypes`` a column is a data type: how many calls with arguments of that type the tests
derive from the records, or the reason for which the operator refuses it.
"""

import importlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from relay import dtypes
from relay.ir.expr import Op
from relay.ir.layout import FollowsLayout
from relay.ir.op import Operator, Pattern
from relay.op.dynamic import DynamicOperator
from relay.op.tensor.join import Concatenate, Split
from relay.op.tensor.reduce import SimpleReduction
from relay.op.tensor.slicing import StridedSlice

TESTS = Path(__file__).resolve().parents[1] / "tests"
COLUMNS: Mapping[str, str] = {
    "type": "the type of the result follows from those of the arguments",
    "compute": "how compilers make code of it: from its tensor expression or ordered stage "
    "(`yes`), from other operators that they put in its place (`expands`), or not at all where "
    "`reference` runs on the host (`host`)",
    "reference": "its meaning in NumPy, which the interpreter runs and compiled code is tested "
    "against",
    "gradient": "it can be differentiated; `zero`: the result does not follow small changes",
    "pattern": "how it fuses",
    "layouts": "how it follows a change of data layout: by a rule of its own (`own`) or of its "
    "kind (`kind`); `kept`: it runs in the layouts of the program",
    "dynamic sizes": "it is typed where sizes are unknown, and compiled once they are known",
    "tests": "the calls that the operator matrix of the tests checks",
}


@dataclass
class Notes:
    """Reasons, each with a number, in order of their first use."""

    numbers: dict[str, int] = field(default_factory=dict)

    def lacking(self, reason: str) -> str:
        """What a cell says where something is lacking."""
        return f"no ({self.numbers.setdefault(reason, len(self.numbers) + 1)})"


@dataclass(frozen=True)
class Tested:
    """What the records of the tests say: calls by operator, why there are none, unknown sizes."""

    counts: Mapping[str, int]
    exempt: Mapping[str, str]
    fixed: Mapping[str, str]


def tested() -> Tested:
    """Read the records of the tests."""
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    counts: dict[str, int] = {}
    exempt: dict[str, str] = {}
    skipped: dict[str, list[str | None]] = {}
    for file in sorted((TESTS / "op").glob("records*.py")):
        module = importlib.import_module(f"op.{file.stem}")
        exempt |= getattr(module, "EXEMPT", {})
        for record in getattr(module, "RECORDS", []):
            counts[record.op] = counts.get(record.op, 0) + 1
            skipped.setdefault(record.op, []).append(record.skip.get("infer_any"))
    fixed = {
        name: reasons[0]
        for name, reasons in skipped.items()
        if all(reasons) and reasons[0] is not None
    }
    return Tested(counts, exempt, fixed)


def _compute(declaration: type[Operator], notes: Notes) -> str:
    if declaration.expand is not Operator.expand:
        return "expands"
    if declaration.host:
        return "host"
    if "compute" in declaration.missing:
        return notes.lacking(declaration.missing["compute"])
    return "yes" if declaration.compute is not Operator.compute else ""


def _defined(declaration: type[Operator], capability: str, notes: Notes) -> str:
    if capability in declaration.missing:
        return notes.lacking(declaration.missing[capability])
    own = getattr(declaration, capability) is not getattr(Operator, capability)
    return "yes" if own else ""


def _gradient(declaration: type[Operator], notes: Notes) -> str:
    return "zero" if declaration.piecewise_constant else _defined(declaration, "gradient", notes)


def _layouts(declaration: type[Operator]) -> str:
    if issubclass(declaration, FollowsLayout):
        return "own"
    if issubclass(declaration, Concatenate | Split | StridedSlice | SimpleReduction):
        return "kind"
    elementwise = declaration.pattern == Pattern.ELEMWISE and len(declaration.inputs) == 1
    plain = declaration.pattern == Pattern.BROADCAST and not declaration.__match_args__
    return "kind" if elementwise or plain else "kept"


def _sizes(name: str, declaration: type[Operator], found: Tested, notes: Notes) -> str:
    if issubclass(declaration, DynamicOperator):
        return "yes"
    if name in found.fixed:
        return notes.lacking(found.fixed[name])
    if name in found.exempt:
        return notes.lacking(found.exempt[name])
    return "yes" if name in found.counts else ""


def _tests(name: str, found: Tested, notes: Notes) -> str:
    if name in found.counts:
        return str(found.counts[name])
    return notes.lacking(found.exempt[name]) if name in found.exempt else ""


def row(name: str, found: Tested, notes: Notes) -> list[str]:
    """The cells of an operator, in the order of `COLUMNS`."""
    declaration = Op.get(name).declaration
    assert isinstance(declaration, type)
    assert issubclass(declaration, Operator)
    typed = any(getattr(declaration, n) is not getattr(Operator, n) for n in ("infer", "call_type"))
    return [
        "yes" if typed else "",
        _compute(declaration, notes),
        _defined(declaration, "reference", notes),
        _gradient(declaration, notes),
        Pattern(declaration.pattern).name.lower(),
        _layouts(declaration),
        _sizes(name, declaration, found, notes),
        _tests(name, found, notes),
    ]


def operators(words: Sequence[str] = ()) -> list[str]:
    """The names of all operators that have any of `words` in them; all without words."""
    names = [n for n in Op.list_names() if not n.startswith("test.")]
    return [n for n in names if not words or any(word in n for word in words)]


def table(words: Sequence[str] = ()) -> tuple[list[list[str]], Notes]:
    """The rows, each with the name in front, and the reasons for what is lacking."""
    found, notes = tested(), Notes()
    return [[name, *row(name, found, notes)] for name in operators(words)], notes


def _plain(name: str, reason: str) -> str:
    """The reason for a refusal without what is different for every operator and type."""
    if "does not compute with" in reason:
        return "it does not compute with small types"
    if "does not work on" in reason:
        return "it does not work on text"
    short = reason.removeprefix(f"{name}: ").split("; convert it")[0]
    return re.split(r",? (?:but )?found ", short)[0].replace(f"{name} ", "it ")


def dtype_table(words: Sequence[str] = ()) -> tuple[list[list[str]], Notes]:
    """For each operator its name, and by data type how many calls are tested, or why none is."""
    exempt, notes = tested().exempt, Notes()
    records = importlib.import_module("op.test_matrix").RECORDS
    chosen = set(operators(words))
    found = importlib.import_module("op.variants").derive([r for r in records if r.op in chosen])
    rows: list[list[str]] = []
    for name in operators(words):
        row = [name]
        for dtype in dtypes.NAMES:
            count, why = found.tested.get((name, dtype)), found.refused.get((name, dtype))
            if count is not None:
                row.append(str(max(1, count)))
            elif why is None and name not in exempt:
                row.append("")
            else:
                row.append(notes.lacking(exempt[name] if why is None else _plain(name, why)))
        rows.append(row)
    return rows, notes


def as_text(rows: Iterable[Sequence[str]], columns: Iterable[str] = COLUMNS) -> Iterator[str]:
    """The lines of the table, aligned."""
    lines = [["operator", *columns], *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    for line in lines:
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()


def as_markdown(rows: Iterable[Sequence[str]], columns: Iterable[str] = COLUMNS) -> Iterator[str]:
    """The lines of the table in Markdown."""
    names = ["operator", *columns]
    yield f"| {' | '.join(names)} |"
    yield "|---" * len(names) + "|"
    for name, *cells in rows:
        yield f"| `{name}` | {' | '.join(cells)} |"


def page() -> str:
    """The table as a page of the documentation."""
    rows, notes = table()
    lines = [
        "# What operators can do\n",
        "A number in brackets is the reason, below the table, why something is lacking.\n",
        *(f"- **{name}**: {meaning}" for name, meaning in COLUMNS.items()),
        "",
        *as_markdown(rows),
        "",
        *(f"{number}. {reason}" for reason, number in notes.numbers.items()),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Print the table; returns the exit status."""
    words = [a for a in arguments if not a.startswith("--")]
    by_dtype = "--dtypes" in arguments
    rows, notes = dtype_table(words) if by_dtype else table(words)
    columns = dtypes.NAMES if by_dtype else COLUMNS
    shape = as_markdown if "--markdown" in arguments else as_text
    print("\n".join(shape(rows, columns)))
    for reason, number in notes.numbers.items():
        print(f"({number}) {reason}")
    empty = [line[0] for line in rows if not all(line)]
    if empty:
        print(f"something is lacking without a reason: {', '.join(empty)}", file=sys.stderr)
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
