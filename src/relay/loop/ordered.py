"""Ordered stages to loops: what `relay.te.ordered` takes down becomes the statements it says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import final

from relay.loop.ir import Allocate, Block, Buffer, For, Func, If, Kind, Load, Stmt, Store, block
from relay.loop.names import Names
from relay.loop.simplify import Range, simplify
from relay.te.expr import INDEX, Expr, Operand, Var, as_expr
from relay.te.ordered import Ordered, Writer
from relay.te.tensor import Read, Tensor, placeholder
from relay.te.walk import rewrite


@final
class LoopWriter(Writer):
    """Writes loops; `buffers` are the memory of tensors, `inlined` resolves those without any.

    `workspaces` are what the statements need besides, from the caller.
    """

    def __init__(
        self,
        buffers: Mapping[Tensor, Buffer],
        loop_names: Names,
        buffer_names: Names,
        inlined: Callable[[Expr], Expr],
    ) -> None:
        self.workspaces: list[Buffer] = []
        self._buffers = dict(buffers)
        self._loop_names = loop_names
        self._buffer_names = buffer_names
        self._inlined = inlined
        self._ranges: dict[Var, Range] = {}
        self._bodies: list[list[Stmt | Buffer]] = [[]]

    def statements(self) -> list[Stmt]:
        """What was written; each a parallel loop, which says that it is scheduled already."""
        found = _folded(self._bodies[0])
        top = found.stmts if isinstance(found, Block) else (found,)
        return [self._once(s) for s in top]

    def _once(self, stmt: Stmt) -> Stmt:
        if isinstance(stmt, For) and stmt.kind is Kind.PARALLEL:
            return stmt
        return For(Var(self._loop_names("once")), 1, Kind.PARALLEL, stmt)

    @contextmanager
    def loop(self, extent: int, name: str = "i", *, kind: str = "serial") -> Iterator[Var]:
        variable = Var(self._loop_names(name))
        self._ranges[variable] = (0, max(0, extent - 1))
        self._bodies.append([])
        yield variable
        body = _folded(self._bodies.pop())
        if extent > 0 and body != Block(()):
            self._bodies[-1].append(For(variable, extent, Kind(kind), body))

    @contextmanager
    def when(self, cond: Expr) -> Iterator[None]:
        self._bodies.append([])
        yield
        body = _folded(self._bodies.pop())
        self._bodies[-1].append(If(self._expr(cond), body))

    def private(self, dtype: str, shape: Sequence[int], name: str) -> Tensor:
        tensor = self._memory(dtype, shape, name)
        self._bodies[-1].append(self._buffers[tensor])
        return tensor

    def shared(self, dtype: str, shape: Sequence[int], name: str) -> Tensor:
        tensor = self._memory(dtype, shape, name)
        self.workspaces.append(self._buffers[tensor])
        return tensor

    def _memory(self, dtype: str, shape: Sequence[int], name: str) -> Tensor:
        buffer = Buffer(self._buffer_names(name), shape, dtype)
        tensor = placeholder(shape, dtype, buffer.name)
        self._buffers[tensor] = buffer
        return tensor

    def store(
        self,
        target: Tensor,
        indices: Sequence[Operand],
        value: Operand,
        reduce: str | None = None,
    ) -> None:
        place = tuple(self._expr(as_expr(i, INDEX)) for i in indices)
        stored = self._expr(as_expr(value, target.dtype))
        self._bodies[-1].append(Store(self._buffers[target], place, stored, reduce))

    def _expr(self, expr: Expr) -> Expr:
        def load(node: Expr) -> Expr:
            return (
                Load(self._buffers[node.tensor], node.indices) if isinstance(node, Read) else node
            )

        return simplify(rewrite(self._inlined(expr), load), self._ranges)


def _folded(body: Sequence[Stmt | Buffer]) -> Stmt:
    """`body` as one statement; a buffer is there for all that comes after it."""
    parts: list[Stmt] = []
    for part in reversed(body):
        if isinstance(part, Buffer):
            parts = [Allocate(part, block(*reversed(parts)))]
        else:
            parts.append(part)
    return block(*reversed(parts))


def function_of(stage: Ordered, shapes: Sequence[Sequence[int]]) -> Func:
    """The loop program of one stage alone, its inputs and then its outputs of `shapes`."""
    names = Names()
    given = [
        placeholder(shape, t.dtype, t.name)
        for t, shape in zip((*stage.inputs, *stage.outputs), shapes, strict=True)
    ]
    buffers = {t: Buffer(names(t.name), t.static_shape, t.dtype) for t in given}
    writer = LoopWriter(buffers, Names(), names, lambda e: e)
    count = len(stage.inputs)
    stage.write(writer, given[:count], given[count:])
    body = Block(tuple(writer.statements()))
    return Func(
        "stage", tuple(buffers.values()), body, tuple(writer.workspaces), len(stage.outputs)
    )
