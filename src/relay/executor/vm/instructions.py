"""The instructions of the virtual machine: one frozen dataclass each.

A function works on numbered registers; each instruction reads some and writes at most one, except
`InvokeGraph`, which writes one for every result. Jumps are relative to the instruction itself.
Tensor computation happens in graphs only: straight-line dataflow, compiled to one native call.
"""

from dataclasses import dataclass
from typing import TypeAlias, final


class Instruction:
    """Base of all instructions."""

    __slots__ = ()


@final
@dataclass(frozen=True, slots=True)
class Move(Instruction):
    """``dst = src``"""

    dst: int
    src: int


@final
@dataclass(frozen=True, slots=True)
class LoadConst(Instruction):
    """``dst`` = constant number `index` of the program."""

    dst: int
    index: int


@final
@dataclass(frozen=True, slots=True)
class InvokeGraph(Instruction):
    """Run compiled graph number `graph` on `args`; its results go to `dsts`, in order."""

    dsts: tuple[int, ...]
    graph: int
    args: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Invoke(Instruction):
    """``dst`` = function number `function` of `args`. With `tail`, it replaces this activation."""

    dst: int
    function: int
    args: tuple[int, ...]
    tail: bool = False


@final
@dataclass(frozen=True, slots=True)
class InvokeClosure(Instruction):
    """``dst`` = the closure in `closure` of `args`. With `tail`, it replaces this activation."""

    dst: int
    closure: int
    args: tuple[int, ...]
    tail: bool = False


@final
@dataclass(frozen=True, slots=True)
class AllocClosure(Instruction):
    """``dst`` = function number `function` with its first parameters bound to `captured`.

    `itself`, where given, is the position among those parameters of the closure itself: that is how
    a local function calls itself.
    """

    dst: int
    function: int
    captured: tuple[int, ...]
    itself: int | None = None


@final
@dataclass(frozen=True, slots=True)
class AllocTuple(Instruction):
    """``dst`` = the tuple of `fields`."""

    dst: int
    fields: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class AllocData(Instruction):
    """``dst`` = a value of an algebraic data type: constructor `tag` with `fields`."""

    dst: int
    tag: int
    fields: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class GetField(Instruction):
    """``dst`` = field `index` of the tuple or data value in `src`."""

    dst: int
    src: int
    index: int


@final
@dataclass(frozen=True, slots=True)
class JumpUnless(Instruction):
    """Go on `offset` instructions further unless the boolean scalar in `cond` is true."""

    cond: int
    offset: int


@final
@dataclass(frozen=True, slots=True)
class JumpUnlessTag(Instruction):
    """Go on `offset` instructions further unless the data value in `src` has `tag`."""

    src: int
    tag: int
    offset: int


@final
@dataclass(frozen=True, slots=True)
class Goto(Instruction):
    """Go on `offset` instructions further."""

    offset: int


@final
@dataclass(frozen=True, slots=True)
class RefCreate(Instruction):
    """``dst`` = a new reference to the value in `src`."""

    dst: int
    src: int


@final
@dataclass(frozen=True, slots=True)
class RefRead(Instruction):
    """``dst`` = what the reference in `ref` refers to."""

    dst: int
    ref: int


@final
@dataclass(frozen=True, slots=True)
class RefWrite(Instruction):
    """The reference in `ref` refers to the value in `src` from now on."""

    ref: int
    src: int


@final
@dataclass(frozen=True, slots=True)
class Ret(Instruction):
    """Return the value in `src`."""

    src: int


@final
@dataclass(frozen=True, slots=True)
class Fatal(Instruction):
    """Stop: no clause of a ``match?`` covers the value."""


AnyInstruction: TypeAlias = (
    Move
    | LoadConst
    | InvokeGraph
    | Invoke
    | InvokeClosure
    | AllocClosure
    | AllocTuple
    | AllocData
    | GetField
    | JumpUnless
    | JumpUnlessTag
    | Goto
    | RefCreate
    | RefRead
    | RefWrite
    | Ret
    | Fatal
)

INSTRUCTIONS: tuple[type[Instruction], ...] = (
    Move,
    LoadConst,
    InvokeGraph,
    Invoke,
    InvokeClosure,
    AllocClosure,
    AllocTuple,
    AllocData,
    GetField,
    JumpUnless,
    JumpUnlessTag,
    Goto,
    RefCreate,
    RefRead,
    RefWrite,
    Ret,
    Fatal,
)


@final
@dataclass(frozen=True)
class VMFunction:
    """A function: its parameters are the first registers, captured ones before others."""

    name: str
    params: tuple[str, ...]
    registers: int
    code: tuple[AnyInstruction, ...]
