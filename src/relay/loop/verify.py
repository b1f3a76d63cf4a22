"""Whether a loop program keeps the contract of `relay.loop.ir`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from relay.loop.concurrent import conflicts
from relay.loop.ir import Allocate, Block, Buffer, For, Func, If, Kind, Load, Stmt, Store
from relay.loop.printer import UPDATES, heading, text
from relay.loop.prove import Known
from relay.loop.simplify import Linear, bounds
from relay.support.errors import InternalError
from relay.te.expr import BOOL, INDEX, Binary, Cast, Compare, Const, Expr, Select, Unary, Var


class VerifyError(InternalError):
    """A loop program breaks the contract: whoever made it has a bug."""


def verify(func: Func, *, strict: bool = False) -> None:
    """Check that `func` keeps the contract of `relay.loop.ir`.

    Raises `VerifyError`, with the text of the statement, where the contract is broken for certain.
    With `strict`, it is raised as well where an access cannot be proved to be within its buffer, or
    iterations of a parallel or vectorized loop to touch different places.
    """
    _Verifier(func, strict).run()


@dataclass(frozen=True)
class _Scope:
    """What holds at a statement."""

    known: Known
    buffers: frozenset[Buffer]
    parallel: bool = False
    vectorized: bool = False


class _Verifier:
    """The function under test, and which buffers were stored to."""

    def __init__(self, func: Func, strict: bool) -> None:
        self.func = func
        self.strict = strict
        self.inputs = frozenset(func.params[: len(func.params) - func.outputs])
        self.stored: set[Buffer] = set()

    def run(self) -> None:
        """Check the function."""
        func = self.func
        given = (*func.params, *func.workspaces)
        if len(set(given)) != len(given):
            self.fail("a buffer is a parameter or workspace twice")
        if not 0 <= func.outputs <= len(func.params):
            self.fail(f"there are {len(func.params)} parameters and {func.outputs} outputs")
        work: list[tuple[Stmt, _Scope]] = [(func.body, _Scope(Known({}), frozenset(given)))]
        while work:
            stmt, scope = work.pop()
            work.extend(self.stmt(stmt, scope))
        for buffer in func.params[len(self.inputs) :]:
            if buffer.size and buffer not in self.stored:
                self.fail(f"nothing is stored to the output {buffer!r}")

    def fail(self, message: str, stmt: Stmt | None = None) -> NoReturn:
        """Raise, naming the function and the statement."""
        place = f" in `{heading(stmt)}`" if stmt is not None else ""
        raise VerifyError(f"@{self.func.name}: {message}{place}")

    # ------------------------------------------------------------------ statements

    def stmt(self, stmt: Stmt, scope: _Scope) -> Iterable[tuple[Stmt, _Scope]]:
        """Check `stmt` but for its bodies, which are returned."""
        if scope.vectorized and not isinstance(stmt, Store | Block):
            self.fail("a vectorized loop has only stores inside", stmt)
        match stmt:
            case For():
                return self.loop(stmt, scope)
            case Block(stmts=stmts):
                return [(inner, scope) for inner in reversed(stmts)]
            case Allocate(buffer=buffer, body=body):
                if buffer in scope.buffers:
                    self.fail("the buffer is there already", stmt)
                return [(body, replace(scope, buffers=scope.buffers | {buffer}))]
            case If(cond=cond, then=then, otherwise=otherwise):
                if cond.dtype != BOOL:
                    self.fail(f"the condition is {cond.dtype}, expected bool", stmt)
                self.expr(cond, scope, stmt)
                sides = [(then, replace(scope, known=scope.known.assuming(cond)))]
                if otherwise is not None:
                    known = scope.known.assuming(cond, holds=False)
                    sides.append((otherwise, replace(scope, known=known)))
                return reversed(sides)
            case Store():
                self.store(stmt, scope)
                return ()

    def loop(self, stmt: For, scope: _Scope) -> Iterable[tuple[Stmt, _Scope]]:
        """Check the head of a loop."""
        if stmt.extent < 0:
            self.fail("the number of iterations is negative", stmt)
        if stmt.var.dtype != INDEX:
            self.fail(f"the loop variable is {stmt.var.dtype}, expected {INDEX}", stmt)
        if stmt.var in scope.known.ranges:
            self.fail("the loop variable is bound already", stmt)
        if stmt.kind is Kind.PARALLEL and scope.parallel:
            self.fail("parallel loops do not nest", stmt)
        inner = replace(
            scope,
            known=scope.known.within(stmt.var, stmt.extent),
            parallel=scope.parallel or stmt.kind is Kind.PARALLEL,
            vectorized=stmt.kind is Kind.VECTORIZED,
        )
        if stmt.kind in (Kind.PARALLEL, Kind.VECTORIZED):
            for conflict in conflicts(stmt, inner.known.ranges):
                if conflict.certain or self.strict:
                    self.fail(f"{conflict.message} (`{heading(stmt)}`)", conflict.stmt)
        return [(stmt.body, inner)]

    def store(self, stmt: Store, scope: _Scope) -> None:
        """Check a store."""
        buffer, value = stmt.buffer, stmt.value
        if buffer in self.inputs:
            self.fail(f"{buffer.name} is an input", stmt)
        if stmt.reduce not in UPDATES:
            self.fail(f"there is no update {stmt.reduce!r} of {buffer!r}")
        if value.dtype != buffer.dtype:
            self.fail(f"the value is {value.dtype}, expected {buffer.dtype}", stmt)
        if stmt.reduce is not None and (stmt.reduce in ("any", "all")) != (buffer.dtype == BOOL):
            self.fail(f"no value of type {buffer.dtype} is updated so", stmt)
        self.stored.add(buffer)
        self.access(buffer, stmt.indices, scope, scope.known, stmt)
        for expr in (*stmt.indices, value):
            self.expr(expr, scope, stmt)

    # ------------------------------------------------------------------ expressions

    def expr(self, root: Expr, scope: _Scope, stmt: Stmt) -> None:
        """Check `root` and all that is inside it."""
        seen: set[tuple[int, int]] = set()
        assumed: list[Known] = []  # keeps what `seen` knows by identity alive
        work = [(root, scope.known)]
        while work:
            node, known = work.pop()
            if (id(node), id(known)) in seen:
                continue
            seen.add((id(node), id(known)))
            match node:
                case Var():
                    if node not in known.ranges:
                        self.fail(f"the variable {node.name} is not bound", stmt)
                case Load(buffer=buffer, indices=indices):
                    self.access(buffer, indices, scope, known, stmt)
                case Unary() | Binary() | Compare() | Cast() | Const() | Select():
                    self.types(node, stmt)
                case _:
                    self.fail(f"{type(node).__name__} is no part of a loop program", stmt)
            if isinstance(node, Select):
                sides = [known.assuming(node.cond), known.assuming(node.cond, holds=False)]
                assumed.extend(sides)
                work.extend([(node.otherwise, sides[1]), (node.then, sides[0]), (node.cond, known)])
            else:
                work.extend((child, known) for child in reversed(node.children()))

    def types(self, node: Expr, stmt: Stmt) -> None:
        """Check that the children of `node` have the data types that it takes."""
        found = [child.dtype for child in node.children()]
        match node:
            case Select():
                wrong = found[0] != BOOL or found[1] != found[2]
            case Unary(op="not"):
                wrong = found[0] != BOOL
            case Binary() | Compare():
                wrong = found[0] != found[1]
            case _:
                wrong = False
        if wrong:
            self.fail(f"{text(node)} has operands of type {' and '.join(found)}", stmt)

    def access(
        self, buffer: Buffer, indices: Iterable[Expr], scope: _Scope, known: Known, stmt: Stmt
    ) -> None:
        """Check one access."""
        if buffer not in scope.buffers:
            self.fail(f"there is no buffer {buffer!r} here", stmt)
        for k, (index, size) in enumerate(zip(indices, buffer.shape, strict=True)):
            if index.dtype != INDEX:
                self.fail(f"index {k} of {buffer.name} is {index.dtype}, expected {INDEX}", stmt)
            form = known.form(index)
            if not (known.proves(form) and known.proves(form.scaled(-1).plus(Linear(size - 1)))):
                self.outside(buffer, k, form, known, stmt)

    def outside(self, buffer: Buffer, k: int, form: Linear, known: Known, stmt: Stmt) -> None:
        """An index was not proved to be within its buffer: fail if that is enough to."""
        exact = all(isinstance(atom, Var) and atom in known.ranges for atom in _atoms(form))
        if known.impossible() or not (self.strict or (known.certain and exact)):
            return
        found = bounds(form.expr(), known.ranges)
        runs = f"runs over {found[0]} .. {found[1]}" if found else "is not known"
        verb = "" if known.certain and exact else "may leave its buffer: it "
        self.fail(f"index {k} of {buffer!r} {verb}{runs}", stmt)


def _atoms(form: Linear) -> Iterator[Expr]:
    return (atom for atom, _ in form.terms.values())
