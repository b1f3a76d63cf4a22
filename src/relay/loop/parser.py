"""The text of loop programs, read back: what `relay.loop.printer` writes is the grammar."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from relay.loop.ir import Allocate, Buffer, For, Func, If, Kind, Stmt, Store, block
from relay.loop.parse_expr import ExprParser, Operand
from relay.loop.printer import LOOPS, RESERVED, UPDATES
from relay.support.lexer import END
from relay.support.source import Source
from relay.te.expr import BOOL, Expr, Var

_KINDS: Final = {word: kind for kind, word in LOOPS.items()}
_REDUCES: Final = {sign: reduce for reduce, sign in UPDATES.items()}


def parse(text: str, name: str = "text") -> Func:
    """The function that `text` is; `name` is what messages call the text.

    Raises `ParseError` with the place, what was expected and what was found.
    """
    return _Parser(Source(name, text)).func()


@dataclass
class _Frame:
    """Statements of a body that is not finished yet, and what becomes of it."""

    finish: Callable[[Stmt], Stmt]
    braces: bool = True  # else it ends where the body around it ends: an `alloc`
    cond: Expr | None = None  # of an `if` that may still be followed by `else`
    names: list[str] = field(default_factory=list)
    stmts: list[Stmt] = field(default_factory=list)


def _allocate(buffer: Buffer) -> Callable[[Stmt], Stmt]:
    return lambda body: Allocate(buffer, body)


def _choice(cond: Expr, then: Stmt) -> Callable[[Stmt], Stmt]:
    return lambda otherwise: If(cond, then, otherwise)


class _Parser(ExprParser):
    """Functions and statements."""

    # ------------------------------------------------------------------ functions and names

    def func(self) -> Func:
        """The whole text."""
        self.expect("func", "at the start of a function")
        if self.token.kind != "function":
            self.unexpected("the function's name, as in `@name`")
        name = self.take().text[1:]
        inputs = self.declarations("after the name")
        self.expect("->", "before the results")
        outputs = self.declarations("before the results")
        workspaces = self.declarations("here") if self.accept("workspace") else ()
        body = self.body()
        if self.token.kind != END:
            self.unexpected("the end of the text after the function")
        return Func(name, (*inputs, *outputs), body, workspaces, len(outputs))

    def declarations(self, where: str) -> tuple[Buffer, ...]:
        """Buffers in parentheses."""
        self.expect("(", where)
        buffers: list[Buffer] = []
        while not self.accept(")"):
            if buffers:
                self.expect(",", "or `)` after a buffer")
            buffers.append(self.declaration())
        return tuple(buffers)

    def declaration(self) -> Buffer:
        """``name: dtype[shape]``; the name is in scope from here on."""
        name = self.new_name("buffer")
        self.expect(":", "after the name of a buffer")
        dtype = self.dtype()
        self.expect("[", "before the shape")
        shape: list[int] = []
        while not self.accept("]"):
            if shape:
                self.expect(",", "or `]` after a dimension")
            shape.append(self.natural("a dimension"))
        buffer = Buffer(name, shape, dtype)
        self.scope[name] = buffer
        return buffer

    def new_name(self, what: str) -> str:
        """A name that nothing in scope has."""
        token = self.token
        if token.kind != "name":
            self.unexpected(f"the name of a {what}")
        if token.text in RESERVED:
            self.unexpected(f"the name of a {what}", ("this word has a meaning of its own",))
        if token.text in self.scope:
            self.error(f"`{token.text}` is already in scope", (token.start, token.end))
        return self.take().text

    # ------------------------------------------------------------------ statements

    def body(self) -> Stmt:
        """Statements in braces; nothing recurses on how deep they nest."""
        self.expect("{", "before the body")
        frames = [_Frame(lambda body: body)]
        while True:
            word = self.token.text
            if self.accept("}"):
                done = self.close(frames)
                if done is not None and not frames:
                    return done
                if done is not None:
                    frames[-1].stmts.append(done)
            elif word in _KINDS:
                frames.append(self.loop(_KINDS[word]))
            elif self.accept("alloc"):
                buffer = self.declaration()
                frames.append(_Frame(_allocate(buffer), braces=False, names=[buffer.name]))
            elif self.accept("if"):
                cond = self.typed(BOOL, "the condition")
                self.expect("{", "after the condition")
                frames.append(_Frame(lambda body: body, cond=cond))
            elif self.accept("{"):
                frames.append(_Frame(lambda body: body))
            elif self.token.kind == "name" and word not in RESERVED:
                frames[-1].stmts.append(self.store())
            else:
                self.unexpected("a statement or `}`")

    def close(self, frames: list[_Frame]) -> Stmt | None:
        """The statement that ends with the brace just passed; None where `else` follows."""
        while True:
            frame = frames.pop()
            for name in frame.names:
                del self.scope[name]
            body = block(*frame.stmts)
            if not frame.braces:
                frames[-1].stmts.append(frame.finish(body))
                continue
            if frame.cond is None:
                return frame.finish(body)
            if not self.accept("else"):
                return If(frame.cond, body)
            self.expect("{", "after `else`")
            frames.append(_Frame(_choice(frame.cond, body)))
            return None

    def loop(self, kind: Kind) -> _Frame:
        """The head of a loop."""
        self.take()
        name = self.new_name("loop variable")
        self.expect("<", "before the number of iterations")
        extent = self.natural("the number of iterations")
        self.expect("{", "before the body of the loop")
        var = Var(name)
        self.scope[name] = var
        return _Frame(lambda body: For(var, extent, kind, body), names=[name])

    def store(self) -> Store:
        """``buffer[indices] = value`` or an update."""
        buffer = self.buffer(self.token)
        start = self.take()
        self.expect("[", "after a buffer")
        indices: list[Operand] = []
        while not self.accept("]"):
            if indices:
                self.expect(",", "or `]` after an index")
            indices.append(self.expr())
        place = (start.start, self.tokens[self.at - 1].end)
        self.check_indices(buffer, indices, place)
        if self.token.kind != "update":
            self.unexpected(f"one of {', '.join(f'`{sign}`' for sign in _REDUCES)}")
        reduce = _REDUCES[self.take().text]
        value = self.typed(buffer.dtype, f"what is stored in `{buffer.name}`")
        return Store(buffer, tuple(i.expr for i in indices), value, reduce)
