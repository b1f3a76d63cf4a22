"""Bytecode as text, one instruction a line, and back.

::

    constant 0..0
    constructor 0 Cons/2
    constructor 1 Nil/0
    graph 0 2 -> 1
    host 0 strings.upper/1

    function 0 @main (n, x) 4 registers
      r2 = graph 0 (r0, r1)
      unless r2 jump +2
      ret r1
      ret r0

Global functions carry ``@``. Names with odd characters are JSON strings. `Instruction.form` says
how each instruction is written; numbers stand for functions, graphs, operators on the host,
constants, constructors.
"""

import json
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field

from relay.executor.vm.instructions import (
    INSTRUCTIONS,
    AnyInstruction,
    Instruction,
    VMFunction,
    roles,
)
from relay.support.errors import ParseError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
#: No program has more registers, functions or fields; a number with more digits is not looked at.
_NUMBER = r"\d{1,9}"
_LIST = rf"(?:r{_NUMBER}(?:, r{_NUMBER})*)"
_PATTERNS = {
    "w": rf"r({_NUMBER})",
    "r": rf"r({_NUMBER})",
    "W": rf"({_LIST}?)",
    "R": rf"({_LIST}?)",
    "j": rf"\+({_NUMBER})",
    "b": r"((?: \w+)?)",
}


@dataclass(frozen=True)
class Program:
    """Functions and what they may refer to.

    `graphs` are the numbers of tensors that graphs take and give, `operators` the names of those
    on the host and how many arguments they take, `constants` is how many there are, `constructors`
    are names and numbers of fields.
    """

    functions: tuple[VMFunction, ...] = ()
    entries: dict[str, int] = field(default_factory=dict)
    graphs: tuple[tuple[int, int], ...] = ()
    constants: int = 0
    constructors: tuple[tuple[str, int], ...] = ()
    operators: tuple[tuple[str, int], ...] = ()


# ---------------------------------------------------------------------- printing


def program_text(program: Program) -> str:
    """`program` as text."""
    lines = [f"constants {program.constants}"]
    for number, (name, arity) in enumerate(program.constructors):
        lines.append(f"constructor {number} {_name_text(name)}/{arity}")
    for number, (inputs, outputs) in enumerate(program.graphs):
        lines.append(f"graph {number} {inputs} -> {outputs}")
    for number, (name, arity) in enumerate(program.operators):
        lines.append(f"host {number} {_name_text(name)}/{arity}")
    entries = {number: name for name, number in program.entries.items()}
    for number, function in enumerate(program.functions):
        mark = "@" if number in entries else ""
        lines.extend(["", f"function {number} {mark}{function_text(function)}"])
    return "\n".join(lines) + "\n"


def function_text(function: VMFunction) -> str:
    """A function: its name, its parameters, its number of registers and its instructions."""
    params = ", ".join(map(_name_text, function.params))
    head = f"{_name_text(function.name)} ({params}) {function.registers} registers"
    return "\n".join([head, *(f"  {instruction_text(i)}" for i in function.code)])


def instruction_text(instruction: Instruction) -> str:
    """One instruction, in the form of its class."""
    shown = {
        name: _field_text(name, letter, getattr(instruction, name))
        for name, letter in roles(type(instruction)).items()
    }
    parts = string.Formatter().parse(instruction.form)
    return "".join(before + (shown[name] if name else "") for before, name, _, _ in parts)


def _field_text(name: str, letter: str, value: int | tuple[int, ...]) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"r{v}" for v in value)
    if letter == "b":
        return f" {name}" if value else ""
    return {"w": "r", "r": "r", "j": "+"}.get(letter, "") + str(value)


def _name_text(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name)


# ---------------------------------------------------------------------- parsing


def parse(text: str) -> Program:
    """The program that `text` is the text of. Raises `ParseError`, which names the line.

    What the instructions refer to is not looked at: see `relay.executor.vm.verify`.
    """
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    reader = _Reader()
    for number, line in lines:
        try:
            reader.line(line)
        except ValueError as error:
            raise ParseError(f"line {number} of the bytecode, {line.strip()!r}: {error}") from None
    return reader.finish()


_CONSTANTS = re.compile(rf"constants ({_NUMBER})")
_CONSTRUCTOR = re.compile(rf"constructor ({_NUMBER}) (.+)/({_NUMBER})")
_OPERATOR = re.compile(rf"host ({_NUMBER}) (.+)/({_NUMBER})")
_GRAPH = re.compile(rf"graph ({_NUMBER}) ({_NUMBER}) -> ({_NUMBER})")
_ANY_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_.]*|"(?:[^"\\]|\\.)*"')
_FUNCTION = re.compile(
    rf"function ({_NUMBER}) (@?)({_ANY_NAME.pattern}) \((.*)\) ({_NUMBER}) registers"
)


class _Reader:
    """Collects a program line by line."""

    def __init__(self) -> None:
        self.constants = 0
        self.constructors: list[tuple[str, int]] = []
        self.graphs: list[tuple[int, int]] = []
        self.operators: list[tuple[str, int]] = []
        self.entries: dict[str, int] = {}
        self.heads: list[tuple[str, tuple[str, ...], int]] = []
        self.codes: list[list[AnyInstruction]] = []

    def line(self, line: str) -> None:
        """Read one line."""
        if line.startswith("  "):
            if not self.codes:
                raise ValueError("an instruction stands before the first function")
            self.codes[-1].append(_instruction(line.strip()))
        elif found := _CONSTANTS.fullmatch(line):
            self.constants = int(found[1])
        elif found := _CONSTRUCTOR.fullmatch(line):
            _expect(int(found[1]), len(self.constructors), "constructor")
            self.constructors.append((_name(found[2]), int(found[3])))
        elif found := _GRAPH.fullmatch(line):
            _expect(int(found[1]), len(self.graphs), "graph")
            self.graphs.append((int(found[2]), int(found[3])))
        elif found := _OPERATOR.fullmatch(line):
            _expect(int(found[1]), len(self.operators), "operator")
            self.operators.append((_name(found[2]), int(found[3])))
        elif found := _FUNCTION.fullmatch(line):
            self._function(found)
        else:
            raise ValueError("expected constants, a constructor, a graph, a host or a function")

    def _function(self, found: re.Match[str]) -> None:
        number, name = int(found[1]), _name(found[3])
        _expect(number, len(self.heads), "function")
        if found[2]:
            if name in self.entries:
                raise ValueError(f"there are two functions @{name}")
            self.entries[name] = number
        self.heads.append((name, tuple(_names(found[4])), int(found[5])))
        self.codes.append([])

    def finish(self) -> Program:
        """What was read."""
        pairs = zip(self.heads, self.codes, strict=True)
        return Program(
            functions=tuple(VMFunction(*head, tuple(code)) for head, code in pairs),
            entries=self.entries,
            graphs=tuple(self.graphs),
            operators=tuple(self.operators),
            constants=self.constants,
            constructors=tuple(self.constructors),
        )


def _expect(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise ValueError(f"expected {what} {expected}, found {found}")


def _name(text: str) -> str:
    if _NAME.fullmatch(text):
        return text
    name = json.loads(text)
    if not isinstance(name, str):
        raise ValueError(f"{text} is no name")
    return name


def _names(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = _ANY_NAME.match(text, at)
        if found is None:
            raise ValueError(f"expected names, found {text[at:]!r}")
        yield _name(found[0])
        at = found.end()
        if at < len(text):
            if not text.startswith(", ", at) or at + 2 == len(text):
                raise ValueError(f"expected a comma and a name, found {text[at:]!r}")
            at += 2


def _instruction(text: str) -> AnyInstruction:
    for kind, pattern in _FORMS.items():
        found = pattern.fullmatch(text)
        if found is not None:
            pairs = zip(roles(kind).items(), found.groups(), strict=True)
            values = {n: _field(n, letter, value) for (n, letter), value in pairs}
            return kind(**values)  # type: ignore[arg-type]
    raise ValueError("it is no instruction")


def _pattern(kind: type[Instruction]) -> re.Pattern[str]:
    parts = string.Formatter().parse(kind.form)
    return re.compile(
        "".join(
            re.escape(before) + (_PATTERNS.get(letter or "", f"({_NUMBER})") if name else "")
            for before, name, letter, _ in parts
        )
    )


_FORMS = {kind: _pattern(kind) for kind in INSTRUCTIONS}


def _field(name: str, letter: str, text: str) -> int | tuple[int, ...]:
    if letter in "WR":
        return tuple(int(part[1:]) for part in text.split(", ")) if text else ()
    if letter == "b":
        if text.strip() not in ("", name):
            raise ValueError(f"expected {name}, found{text}")
        return bool(text)
    return int(text)
