"""Instructions: their text, the verifier, registers, and the table in the documentation."""

import re
from pathlib import Path

import pytest

from relay.executor.vm.instructions import (
    INSTRUCTIONS,
    Instruction,
    Jump,
    JumpUnless,
    Kill,
    LoadConst,
    Move,
    Ret,
    VMFunction,
    roles,
)
from relay.executor.vm.liveness import allocate
from relay.executor.vm.text import Program, instruction_text, parse, program_text
from relay.executor.vm.verify import verify
from relay.support.errors import ArtifactError, ParseError

PAGE = Path(__file__).resolve().parents[3] / "docs" / "vm.md"


def example(kind: type[Instruction]) -> Instruction:
    """An instruction with different numbers in all fields."""
    values: dict[str, object] = {}
    for k, (name, letter) in enumerate(roles(kind).items(), 1):
        values[name] = (k, k + 1) if letter in "WR" else letter == "b" or k
    return kind(**values)


@pytest.mark.parametrize("kind", INSTRUCTIONS)
def test_text_and_back(kind: type[Instruction]) -> None:
    function = VMFunction("f", ("a", 'odd name, (with) "marks"'), 9, (example(kind),))
    program = Program((function,), {"f": 0}, ((1, 2),), 3, (("Cons", 2), ("odd/name", 0)))
    assert parse(program_text(program)) == program


def test_the_table_of_the_documentation(request: pytest.FixtureRequest) -> None:
    rows = "".join(f"| `{_form(kind)}` | {_meaning(kind)} |\n" for kind in INSTRUCTIONS)
    text = PAGE.read_text(encoding="utf-8")
    head = "| instruction | meaning |\n|---|---|\n"
    found = re.search(re.escape(head) + r"((?:\|.*\n)*)", text)
    assert found is not None
    if request.config.getoption("--bless"):
        PAGE.write_text(text.replace(found[0], head + rows), encoding="utf-8")
    else:
        assert found[1] == rows, "run pytest --bless tests/executor/vm"


def _form(kind: type[Instruction]) -> str:
    return instruction_text(example(kind))


def _meaning(kind: type[Instruction]) -> str:
    first = (kind.__doc__ or "").strip().split("\n\n")[0]
    shown = " ".join(first.split()).replace("``", "`")
    return f"`{kind.__name__}`: {shown}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ret r1 r2", "it is no instruction"),
        ("r0 = call 0 (r0,r1)", "it is no instruction"),
        ("r0 = closure 0 often (r0)", "expected recursive"),
        ("r99999999999 = const 0", "it is no instruction"),
    ],
)
def test_lines_that_are_none(line: str, message: str) -> None:
    with pytest.raises(ParseError, match=rf"line 2 of the bytecode, .*{message}"):
        parse(f"function 0 @main () 1 registers\n  {line}\n")
    with pytest.raises(ParseError, match="before the first function"):
        parse("  ret r0\n")
    with pytest.raises(ParseError, match="expected function 0, found 1"):
        parse("function 1 @main () 1 registers\n")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ((), "does not end with a return"),
        ((Move(0, 0),), "does not end with a return"),
        ((Ret(1),), "r1 has no value"),
        ((Ret(5),), "the register does not exist"),
        ((Kill((0,)), Ret(0)), "r0 has no value"),
        ((LoadConst(1, 0), Ret(1)), "the constant does not exist"),
        ((Jump(0), Ret(0)), "jumps backwards"),
        ((Jump(2), Ret(0)), "jumps backwards or out"),
        ((JumpUnless(0, 2), Move(1, 0), Ret(1)), "r1 has no value"),
    ],
)
def test_the_verifier(code: tuple[Instruction, ...], message: str) -> None:
    program = Program((VMFunction("f", ("a",), 2, code),), {"f": 0})
    with pytest.raises(ArtifactError, match=message):
        verify(program)


def test_the_verifier_follows_both_ways() -> None:
    code = (JumpUnless(0, 3), Move(1, 0), Jump(2), Move(1, 0), Ret(1))
    verify(Program((VMFunction("f", ("a",), 2, code),), {"f": 0}))


def test_registers_are_used_again() -> None:
    code = [Move(k + 1, k) for k in range(100)]
    shorter, count = allocate([*code, Ret(100)], 1)
    assert count == 1
    verify(Program((VMFunction("f", ("a",), count, shorter),), {"f": 0}))


def test_registers_of_two_ways() -> None:
    code = [JumpUnless(0, 4), Move(2, 1), Move(3, 2), Jump(3), Move(4, 0), Move(3, 4), Ret(3)]
    shorter, count = allocate(code, 2)
    assert count <= 3
    verify(Program((VMFunction("f", ("a", "b"), count, shorter),), {"f": 0}))
