"""Which names of TVM's Relay are here: ``python tools/api_names.py [--write]``.

Looks up every name of ``tests/data/api_names.txt`` in `relay.compat.tvm`, and every attribute that
programs use of what they get in the classes that are there, and prints how many are there, how many
are absent for a reason that `relay.compat.absent` gives, and which are missing without one. The
exit status is 1 when any is, or when ``docs/compatibility.md`` does not list the absent names as
they are now; ``--write`` brings the page up to date.
"""

import functools
import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relay.compat import tvm
from relay.compat.absent import ABSENT, Absent
from relay.compat.table import NAMESPACES

ROOT = Path(__file__).parents[1]
NAMES = ROOT / "tests" / "data" / "api_names.txt"
PAGE = ROOT / "docs" / "compatibility.md"
BEGIN = "<!-- begin: names that are absent; written by tools/api_names.py -->"
END = "<!-- end: names that are absent -->"


@dataclass(frozen=True)
class Name:
    """A name and how often programs of TVM 0.19 and 0.6 use it."""

    name: str
    late: int
    early: int


def names(text: str) -> Iterator[Name]:
    """The names in the text of a list: two counts and a name a line, one count for attributes."""
    for line in text.splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            counts = [*map(int, words[:-1]), 0]
            yield Name(words[-1], counts[0], counts[1])


def resolve(name: str) -> object:
    """What `name` is here; raises `AttributeError` when it is nothing."""
    if name.startswith("."):
        if name[1:] not in attributes():
            raise AttributeError(name)
        return None
    found: object = tvm
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return found


@functools.cache
def attributes() -> frozenset[str]:
    """The attributes of everything that a program may be given."""
    for sources in NAMESPACES.values():
        for source in sources:
            importlib.import_module(source.partition(":")[0])
    modules = [m for name, m in sys.modules.items() if name.startswith("relay.")]
    classes = {c for m in modules for c in vars(m).values() if isinstance(c, type)}
    found: set[str] = set()
    for kind in classes | {str, list, dict, tuple, set, np.ndarray, Exception, types.FunctionType}:
        found.update(dir(kind))
        for base in kind.__mro__:
            found.update(inspect.get_annotations(base))
    return frozenset(found)


@dataclass
class Report:
    """What became of every name."""

    here: list[Name]
    absent: dict[Absent, list[Name]]
    missing: list[Name]
    stale: list[Name]
    """Names with a reason to be absent that are there."""

    def __str__(self) -> str:
        known = sum(len(found) for found in self.absent.values())
        total = len(self.here) + known + len(self.missing)
        lines = [
            f"{total} names: {len(self.here)} resolved, "
            f"{known} absent for a reason, {len(self.missing)} missing"
        ]
        lines += [f"  missing: {n.name} (used {n.late} + {n.early} times)" for n in self.missing]
        lines += [f"  has a reason to be absent, but is here: {n.name}" for n in self.stale]
        return "\n".join(lines)


def check(text: str) -> Report:
    """Look up the names of a list."""
    report = Report([], {}, [], [])
    for name in names(text):
        group = next((a for a in ABSENT if a.covers(name.name)), None)
        if group is not None and name.name.startswith("."):
            # Another class may have an attribute of this name; what is meant is that one's.
            report.absent.setdefault(group, []).append(name)
            continue
        try:
            resolve(name.name)
        except AttributeError:
            if group is None:
                report.missing.append(name)
            else:
                report.absent.setdefault(group, []).append(name)
        else:
            report.here.append(name)
            if group is not None and name.name in group.names:
                report.stale.append(name)
    return report


def section(report: Report) -> str:
    """The absent names as the page lists them."""
    known = sum(len(found) for found in report.absent.values())
    lines = [
        BEGIN,
        "",
        f"Of {len(report.here) + known + len(report.missing)} names that programs written for "
        f"TVM 0.6 and 0.19 use, {len(report.here)} are here. The others:",
        "",
        "| group | names | why, and what to use |",
        "|---|---|---|",
    ]
    for group in ABSENT:
        found = [f"`{n.name.removeprefix('tvm.')}`" for n in report.absent.get(group, [])]
        if found:
            why = group.reason + (f"; use {group.instead}" if group.instead else "")
            lines.append(f"| {group.group} | {', '.join(sorted(found))} | {why} |")
    return "\n".join([*lines, "", END])


def with_section(page: str, text: str) -> str:
    """`page` with its list of absent names replaced by `text`."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE} has no section between {BEGIN!r} and {END!r}")
    return before + text + after


def main(arguments: list[str]) -> int:
    """Print the report; returns the exit status."""
    report = check(NAMES.read_text())
    print(report)
    page = PAGE.read_text()
    wanted = with_section(page, section(report))
    if "--write" in arguments:
        PAGE.write_text(wanted)
    elif page != wanted:
        print(f"{PAGE.name} is out of date: run python tools/api_names.py --write")
        return 1
    return 1 if report.missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
