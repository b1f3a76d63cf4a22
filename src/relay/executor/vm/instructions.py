"""The instructions of the virtual machine: one frozen dataclass each.

A function works on numbered registers; each instruction reads some and writes at most one, except
`InvokeGraph`, which writes one for every result. Jumps go forward only, by a number of instructions
counted from the jump itself, so that every activation ends and the order of the code is an order of
evaluation. Tensor computation happens in graphs: straight-line dataflow, compiled to one native
call. What only the host can do, such as work on text, is `InvokeHost`, one operator at a time.

`Instruction.form` is what an instruction looks like as text, and says what its fields are: ``w`` a
register that it writes, ``W`` several of them, ``r`` a register that it reads, ``R`` several,
``f`` the number of a function, ``g`` of a graph, ``h`` of a call on the host, ``c`` of a constant,
``k`` of a constructor, ``n`` the number of a field, ``j`` how far to jump, ``b`` a word that may be
there.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, final


class Instruction:
    """Base of all instructions."""

    __slots__ = ()
    form: ClassVar[str]


@final
@dataclass(frozen=True, slots=True)
class Move(Instruction):
    """``dst = src``"""

    form: ClassVar[str] = "{dst:w} = {src:r}"
    dst: int
    src: int


@final
@dataclass(frozen=True, slots=True)
class LoadConst(Instruction):
    """``dst`` = constant number `constant` of the program."""

    form: ClassVar[str] = "{dst:w} = const {constant:c}"
    dst: int
    constant: int


@final
@dataclass(frozen=True, slots=True)
class InvokeGraph(Instruction):
    """Run compiled graph number `graph` on `args`; its results go to `dsts`, in order."""

    form: ClassVar[str] = "{dsts:W} = graph {graph:g} ({args:R})"
    dsts: tuple[int, ...]
    graph: int
    args: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class InvokeHost(Instruction):
    """``dst`` = operator number `operator` of `args`, by what it means to NumPy."""

    form: ClassVar[str] = "{dst:w} = host {operator:h} ({args:R})"
    dst: int
    operator: int
    args: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Invoke(Instruction):
    """``dst`` = function number `function` of `args`."""

    form: ClassVar[str] = "{dst:w} = call {function:f} ({args:R})"
    dst: int
    function: int
    args: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class InvokeClosure(Instruction):
    """``dst`` = the closure in `closure` of `args`."""

    form: ClassVar[str] = "{dst:w} = call {closure:r} ({args:R})"
    dst: int
    closure: int
    args: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class TailInvoke(Instruction):
    """Return function number `function` of `args`, whose activation replaces this one."""

    form: ClassVar[str] = "ret call {function:f} ({args:R})"
    function: int
    args: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class TailInvokeClosure(Instruction):
    """Return the closure in `closure` of `args`; its activation replaces this one."""

    form: ClassVar[str] = "ret call {closure:r} ({args:R})"
    closure: int
    args: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class AllocClosure(Instruction):
    """``dst`` = function number `function` with its first parameters bound to `captured`.

    A `recursive` closure calls itself: its function's very first parameter is the closure.
    """

    form: ClassVar[str] = "{dst:w} = closure {function:f}{recursive:b} ({captured:R})"
    dst: int
    function: int
    captured: tuple[int, ...]
    recursive: bool = False


@final
@dataclass(frozen=True, slots=True)
class AllocTuple(Instruction):
    """``dst`` = the tuple of `fields`."""

    form: ClassVar[str] = "{dst:w} = tuple ({fields:R})"
    dst: int
    fields: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class AllocData(Instruction):
    """``dst`` = a value of an algebraic data type: constructor number `tag` of `fields`."""

    form: ClassVar[str] = "{dst:w} = data {tag:k} ({fields:R})"
    dst: int
    tag: int
    fields: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class GetField(Instruction):
    """``dst`` = field `index` of the tuple or data value in `src`."""

    form: ClassVar[str] = "{dst:w} = {src:r}.{index:n}"
    dst: int
    src: int
    index: int


@final
@dataclass(frozen=True, slots=True)
class JumpUnless(Instruction):
    """Jump by `offset` unless the boolean scalar in `cond` is true."""

    form: ClassVar[str] = "unless {cond:r} jump {offset:j}"
    cond: int
    offset: int


@final
@dataclass(frozen=True, slots=True)
class JumpUnlessTag(Instruction):
    """Jump by `offset` unless constructor number `tag` made the data value in `src`."""

    form: ClassVar[str] = "unless {src:r} is {tag:k} jump {offset:j}"
    src: int
    tag: int
    offset: int


@final
@dataclass(frozen=True, slots=True)
class Jump(Instruction):
    """Jump by `offset`."""

    form: ClassVar[str] = "jump {offset:j}"
    offset: int


@final
@dataclass(frozen=True, slots=True)
class Kill(Instruction):
    """Forget the values in `registers`, which nothing reads any more."""

    form: ClassVar[str] = "kill {registers:W}"
    registers: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class RefCreate(Instruction):
    """``dst`` = a new reference to the value in `src`."""

    form: ClassVar[str] = "{dst:w} = ref {src:r}"
    dst: int
    src: int


@final
@dataclass(frozen=True, slots=True)
class RefRead(Instruction):
    """``dst`` = what the reference in `ref` refers to."""

    form: ClassVar[str] = "{dst:w} = read {ref:r}"
    dst: int
    ref: int


@final
@dataclass(frozen=True, slots=True)
class RefWrite(Instruction):
    """The reference in `ref` refers to the value in `src` from now on."""

    form: ClassVar[str] = "write {ref:r} {src:r}"
    ref: int
    src: int


@final
@dataclass(frozen=True, slots=True)
class Ret(Instruction):
    """Return the value in `src`."""

    form: ClassVar[str] = "ret {src:r}"
    src: int


@final
@dataclass(frozen=True, slots=True)
class Fatal(Instruction):
    """Stop: no clause of a ``match?`` covers the value."""

    form: ClassVar[str] = "fatal"


AnyInstruction: TypeAlias = (
    Move
    | LoadConst
    | InvokeGraph
    | InvokeHost
    | Invoke
    | InvokeClosure
    | TailInvoke
    | TailInvokeClosure
    | AllocClosure
    | AllocTuple
    | AllocData
    | GetField
    | JumpUnless
    | JumpUnlessTag
    | Jump
    | Kill
    | RefCreate
    | RefRead
    | RefWrite
    | Ret
    | Fatal
)

INSTRUCTIONS: tuple[type[AnyInstruction], ...] = (
    Move,
    LoadConst,
    InvokeGraph,
    InvokeHost,
    Invoke,
    InvokeClosure,
    TailInvoke,
    TailInvokeClosure,
    AllocClosure,
    AllocTuple,
    AllocData,
    GetField,
    JumpUnless,
    JumpUnlessTag,
    Jump,
    Kill,
    RefCreate,
    RefRead,
    RefWrite,
    Ret,
    Fatal,
)

#: Instructions after which an activation does not go on.
ENDS: tuple[type[AnyInstruction], ...] = (TailInvoke, TailInvokeClosure, Ret, Fatal)


_ROLES: dict[type[Instruction], dict[str, str]] = {
    kind: {n: str(letter) for _, n, letter, _ in string.Formatter().parse(kind.form) if n}
    for kind in INSTRUCTIONS
}


def roles(kind: type[Instruction]) -> Mapping[str, str]:
    """What the fields of an instruction are, by their names: the letters of its form."""
    return _ROLES[kind]


def changed(instruction: AnyInstruction, fields: Mapping[str, int | tuple[int, ...]]) -> Any:
    """`instruction` with other `fields`."""
    same = {name: getattr(instruction, name) for name in _ROLES[type(instruction)]}
    return type(instruction)(**{**same, **fields})


def numbers(instruction: Instruction, letters: str) -> list[int]:
    """The numbers in the fields of `instruction` whose role is one of `letters`."""
    found: list[int] = []
    for name, letter in roles(type(instruction)).items():
        if letter in letters:
            value = getattr(instruction, name)
            found.extend(value if isinstance(value, tuple) else (value,))
    return found


def reads(instruction: Instruction) -> list[int]:
    """The registers that `instruction` reads."""
    return numbers(instruction, "rR")


def writes(instruction: Instruction) -> list[int]:
    """The registers that `instruction` writes."""
    return numbers(instruction, "wW")


@final
@dataclass(frozen=True)
class VMFunction:
    """A function: its parameters are the first registers, captured ones before others."""

    name: str
    params: tuple[str, ...]
    registers: int
    code: tuple[AnyInstruction, ...]
