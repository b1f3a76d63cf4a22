"""Loop programs: what runs, in which order, on which memory.

The whole grammar (scalar expressions are those of `relay.te.expr`, with `Load` in place of reads)::

    func  ::= Func(name, params, body, workspaces)
    s     ::= For(var, extent, kind, s) | Block(s...) | If(e, s, s?) | Allocate(buffer, s)
            | Store(buffer, e..., e, reduce?)
    kind  ::= serial | parallel | vectorized | unrolled
    e     ::= te.expr | Load(buffer, e..., ahead?)

Contract
- A loop runs its variable over ``0 .. extent-1``. A serial loop runs in order.
- The iterations of a ``parallel`` loop may run in any order and at once: no iteration may write
  what another one reads or writes. Parallel loops do not nest.
- A ``vectorized`` loop has a constant extent and only stores (and blocks of stores) inside; each
  store is done for all lanes before the next one. Its iterations are independent, like parallel
  ones: a store whose place does not depend on the lane is illegal.
- An ``unrolled`` loop has a constant extent and is written out; it means the same as a serial
  loop.
- A store with `reduce` combines what is there with the value (``sum``: ``b[i] += v``). Sum updates
  of the form ``a * b`` may be contracted to a fused multiply-add; those by two products of
  ``bfloat16`` as ``float32`` may add them in any order, and take denormals for zero.
- ``float16`` and ``bfloat16`` are rounded where they are stored, compared or converted; what
  arithmetic hands to arithmetic in one expression need not be.
- Every access is within its buffer. The one exception is a `Select`: the side that is not chosen
  does not touch memory.
- Buffers do not overlap. Parameters come first inputs, then outputs; all are dense and row-major,
  aligned to `ALIGNMENT` bytes. `workspaces` are scratch buffers the caller provides, uninitialised.
  A buffer of an `Allocate` is private to the iteration that reaches it, uninitialised, and lives on
  the stack or in registers.
- Sizes are constants in this version of the grammar.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeAlias, final

from relay import dtypes
from relay.te.expr import INDEX, Expr, Var

ALIGNMENT = 64


class Kind(Enum):
    """How the iterations of a loop are carried out."""

    SERIAL = "serial"
    PARALLEL = "parallel"
    VECTORIZED = "vectorized"
    UNROLLED = "unrolled"


@final
class Buffer:
    """A dense, row-major array in memory. Its identity is the object."""

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, name: str, shape: Sequence[int], dtype: str) -> None:
        self.name = name
        self.shape = tuple(shape)
        self.dtype = dtypes.check(dtype)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for d in self.shape:
            size *= d
        return size

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.size * dtypes.itemsize(self.dtype)

    @property
    def strides(self) -> tuple[int, ...]:
        """Elements from one index to the next, for every dimension."""
        strides, step = [], 1
        for d in reversed(self.shape):
            strides.append(step)
            step *= d
        return tuple(reversed(strides))

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


@final
class Load(Expr):
    """The element of `buffer` at `indices` (``int64``).

    With `ahead`, the element so many places further, if there is one, is worth having in the
    nearest cache: a hint, which changes no result.
    """

    __slots__ = ("ahead", "buffer", "indices")

    def __init__(self, buffer: Buffer, indices: Sequence[Expr], ahead: int = 0) -> None:
        assert len(indices) == len(buffer.shape), f"{buffer!r} indexed with {len(indices)} indices"
        self.buffer = buffer
        self.indices = tuple(indices)
        self.ahead = ahead
        self.dtype = buffer.dtype

    def children(self) -> tuple[Expr, ...]:
        return self.indices

    @property
    def place(self) -> object:
        return self.buffer

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        if all(a is b for a, b in zip(self.indices, children, strict=True)):
            return self
        return Load(self.buffer, children, self.ahead)


class Printed:
    """A part of a loop program whose `str` is its text.

    `relay.loop.printer` knows how; this module is below it, so that the printer sets `formatter`.
    """

    __slots__ = ()
    formatter: "ClassVar[Callable[[Func | Stmt], str]]"

    def __str__(self) -> str:
        assert isinstance(self, Func | Stmt)
        return Printed.formatter(self)


@final
@dataclass(frozen=True, eq=False)
class For(Printed):
    """Run `body` with `var` over ``0 .. extent-1``."""

    var: Var
    extent: int
    kind: Kind
    body: "Stmt"


@final
@dataclass(frozen=True, eq=False)
class Block(Printed):
    """Run `stmts` one after the other."""

    stmts: "tuple[Stmt, ...]"


@final
@dataclass(frozen=True, eq=False)
class If(Printed):
    """Run `then` where `cond` holds, else `otherwise` if there is one."""

    cond: Expr
    then: "Stmt"
    otherwise: "Stmt | None" = None


@final
@dataclass(frozen=True, eq=False)
class Allocate(Printed):
    """Run `body` with the private scratch `buffer`."""

    buffer: Buffer
    body: "Stmt"


@final
@dataclass(frozen=True, eq=False)
class Store(Printed):
    """Put `value` into `buffer` at `indices`, or combine it with what is there (`reduce`)."""

    buffer: Buffer
    indices: tuple[Expr, ...]
    value: Expr
    reduce: str | None = None

    def __post_init__(self) -> None:
        assert len(self.indices) == len(self.buffer.shape)
        assert self.value.dtype == self.buffer.dtype, (
            f"store of {self.value.dtype} into {self.buffer!r}"
        )
        assert all(i.dtype == INDEX for i in self.indices)


Stmt: TypeAlias = For | Block | If | Allocate | Store


@final
@dataclass(frozen=True, eq=False)
class Func(Printed):
    """A kernel: `params` are the inputs, then the `outputs` last ones are written."""

    name: str
    params: tuple[Buffer, ...]
    body: Stmt
    workspaces: tuple[Buffer, ...] = ()
    outputs: int = 1


def block(*stmts: Stmt) -> Stmt:
    """`stmts` in sequence: flat, and a single statement stays itself."""
    flat: list[Stmt] = []
    for stmt in stmts:
        flat.extend(stmt.stmts if isinstance(stmt, Block) else (stmt,))
    return flat[0] if len(flat) == 1 else Block(tuple(flat))
