"""Loop programs as text that people read and `relay.loop.parser` reads back.

::

    func @scale(x: float32[8, 16], w: float32[16]) -> (out: float32[8, 16]) {
      parallel i < 8 {
        alloc acc: float32[16]
        vectorized v < 16 {
          acc[v] = 0.0
          acc[v] += x[i, v] * w[v]
          out[i, v] = max(acc[v], 0.0)
        }
      }
    }

Rules
- Loops are ``for``, ``parallel``, ``vectorized`` and ``unrolled``. An ``alloc`` reaches to the end
  of the braces it stands in. ``workspace (...)`` after the results names the scratch buffers.
- A literal without a point is an ``int64``, one with a point or exponent, ``inf`` and ``nan`` are
  ``float32``, ``true`` and ``false`` are ``bool``; others are followed by their type: ``3:uint8``.
- ``/`` is `div`, ``//`` and ``%`` are `floordiv` and `floormod`; ``and`` and ``or`` are for
  ``bool``, ``&`` and ``|`` for integers; what has no sign of its own is written like a call, and so
  is a cast: ``pow(a, b)``, ``float32(a)``.
- Operators bind as in Python and group to the left; parentheses stand only where they are needed.
- Every variable and every buffer has a name of its own: a second ``i`` is called ``i_1``.
- ``#`` starts a comment.
"""

import re
from collections.abc import Collection, Sequence
from typing import TypeAlias

from relay import dtypes
from relay.loop.ir import (
    Allocate,
    Block,
    Buffer,
    For,
    Func,
    If,
    Kind,
    Load,
    Printed,
    Stmt,
    Store,
)
from relay.te.expr import (
    BINARY,
    BOOL,
    INDEX,
    UNARY,
    Binary,
    Cast,
    Compare,
    Const,
    Expr,
    Select,
    Unary,
    Var,
)

WIDTH = 100
LOOPS = {
    Kind.SERIAL: "for",
    Kind.PARALLEL: "parallel",
    Kind.VECTORIZED: "vectorized",
    Kind.UNROLLED: "unrolled",
}
UPDATES = {
    None: "=",
    "sum": "+=",
    "prod": "*=",
    "min": "min=",
    "max": "max=",
    "any": "or=",
    "all": "and=",
}
#: Operators between two operands, and how tightly they bind.
INFIX = {
    "or": 1,
    "and": 2,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "==": 4,
    "!=": 4,
    "|": 5,
    "^": 6,
    "&": 7,
    "<<": 8,
    ">>": 8,
    "+": 9,
    "-": 9,
    "*": 10,
    "/": 10,
    "//": 10,
    "%": 10,
}
#: Operators before one operand, and how tightly they bind.
PREFIX = {"not": 3, "-": 11, "~": 11}
TIGHTEST = 12

UNARY_SIGNS = {"not": "not", "neg": "-", "bitnot": "~"}
COMPARE_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
BINARY_SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "floordiv": "//",
    "floormod": "%",
    "and": "&",
    "or": "|",
    "xor": "^",
    "shl": "<<",
    "shr": ">>",
}
CALLS_OF_ONE = UNARY - UNARY_SIGNS.keys()
CALLS_OF_TWO = BINARY - BINARY_SIGNS.keys()
NUMBERS = ("inf", "nan", "true", "false")
#: What stands before the number of places that a load looks ahead.
AHEAD = "ahead"

#: Words that are no names of variables or buffers.
RESERVED = frozenset(
    {AHEAD, "func", "workspace", "alloc", "if", "else", "and", "or", "not", "select"}
    | set(LOOPS.values())
    | set(NUMBERS)
    | set(dtypes.NAMES)
    | CALLS_OF_ONE
    | CALLS_OF_TWO
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")
_Named: TypeAlias = Var | Buffer
_Work: TypeAlias = str | tuple[Expr, int]


def text(node: Func | Stmt | Expr) -> str:
    """The text of a function, a statement or an expression, without a line end at its end.

    What is not bound inside a statement or an expression goes by its own name.
    """
    printer = _Printer()
    if isinstance(node, Expr):
        return printer.expr(node)
    if isinstance(node, Func):
        printer.func(node)
    else:
        printer.stmt(node, 0)
    return "\n".join(printer.lines)


def heading(stmt: Stmt) -> str:
    """The first line of a statement: what stands before its body."""
    printer = _Printer()
    match stmt:
        case For(var=var, extent=extent, kind=kind):
            return f"{LOOPS[kind]} {printer.name(var)} < {extent}"
        case If(cond=cond):
            return f"if {printer.expr(cond)}"
        case Allocate(buffer=buffer):
            return f"alloc {printer.declaration(buffer)}"
        case Block():
            return "{"
        case Store():
            return text(stmt)


def flatten(stmt: Stmt) -> list[Stmt]:
    """The statements that `stmt` runs in sequence: blocks in blocks are one block."""
    flat: list[Stmt] = []
    stack = [stmt]
    while stack:
        top = stack.pop()
        if isinstance(top, Block):
            stack.extend(reversed(top.stmts))
        else:
            flat.append(top)
    return flat


def literal(value: Const) -> str:
    """A constant as text."""
    if value.dtype == BOOL:
        return "true" if value.value else "false"
    digits = repr(value.value)
    return digits if value.dtype in (INDEX, "float32") else f"{digits}:{value.dtype}"


def available(wish: str, taken: Collection[str]) -> str:
    """A name that the grammar allows and that is not in `taken`: `wish`, or nearly."""
    if not _NAME.fullmatch(wish):
        wish = re.sub(r"[^A-Za-z0-9_]", "_", wish)
        wish = wish if _NAME.fullmatch(wish) else f"_{wish}"
    name, number = wish, 0
    while name in taken:
        number += 1
        name = f"{wish}_{number}"
    return name


def sign_of(node: Binary) -> str | None:
    """The sign between the operands of `node`; None where it is written like a call."""
    if node.dtype == BOOL and node.op in ("and", "or"):
        return node.op
    return BINARY_SIGNS.get(node.op)


class _Printer:
    """Lines of text, and the names given so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[_Named, str] = {}
        self.taken: set[str] = set(RESERVED)

    # ------------------------------------------------------------------ names

    def bind(self, thing: _Named) -> str:
        """A new name for `thing`, that nothing else in the text has."""
        name = available(thing.name, self.taken)
        self.taken.add(name)
        self.names[thing] = name
        return name

    def name(self, thing: _Named) -> str:
        """The name of `thing`."""
        return self.names.get(thing) or self.bind(thing)

    def declaration(self, buffer: Buffer) -> str:
        """`buffer` as it is introduced: a new name, its dtype and its shape."""
        return f"{self.bind(buffer)}: {buffer.dtype}[{', '.join(map(str, buffer.shape))}]"

    # ------------------------------------------------------------------ statements

    def func(self, func: Func) -> None:
        """Add the lines of `func`."""
        split = len(func.params) - func.outputs
        groups = [
            (f"func @{re.sub(r'[^A-Za-z0-9_.]', '_', func.name)}(", func.params[:split]),
            (") -> (", func.params[split:]),
        ]
        if func.workspaces:
            groups.append((") workspace (", func.workspaces))
        declared = [(head, [self.declaration(b) for b in buffers]) for head, buffers in groups]
        line = "".join(head + ", ".join(buffers) for head, buffers in declared) + ") {"
        if len(line) <= WIDTH:
            self.lines.append(line)
        else:
            for head, buffers in declared:
                self.lines.append(head)
                self.lines.extend(f"    {b}," for b in buffers[:-1])
                self.lines.extend(f"    {b}" for b in buffers[-1:])
            self.lines.append(") {")
        self.stmt(func.body, 1)
        self.lines.append("}")

    def stmt(self, root: Stmt, depth: int) -> None:
        """Add the lines of `root`, `depth` steps from the margin."""
        # An element is a statement to print, a line to add, or a name to give back.
        work: list[tuple[Stmt | str | tuple[_Named, str | None], int]] = []

        def push(body: Stmt, depth: int) -> None:
            stmts = flatten(body)
            for k, stmt in reversed(list(enumerate(stmts))):
                if isinstance(stmt, Allocate) and k + 1 < len(stmts):
                    work.extend([("}", depth), (stmt, depth + 1), ("{", depth)])
                else:
                    work.append((stmt, depth))

        push(root, depth)
        while work:
            item, depth = work.pop()
            match item:
                case str():
                    self.add(item, depth)
                case (thing, previous):
                    self.restore(thing, previous)
                case For(var=var, extent=extent, kind=kind, body=body):
                    work.extend([("}", depth), ((var, self.names.get(var)), depth)])
                    self.add(f"{LOOPS[kind]} {self.bind(var)} < {extent} {{", depth)
                    push(body, depth + 1)
                case Allocate(buffer=buffer, body=body):
                    work.append(((buffer, self.names.get(buffer)), depth))
                    self.add(f"alloc {self.declaration(buffer)}", depth)
                    push(body, depth)
                case If(cond=cond, then=then, otherwise=otherwise):
                    self.add(f"if {self.expr(cond)} {{", depth)
                    work.append(("}", depth))
                    if otherwise is not None:
                        push(otherwise, depth + 1)
                        work.append(("} else {", depth))
                    push(then, depth + 1)
                case Store():
                    self.add(self.store(item), depth)
                case Block():
                    push(item, depth)

    def add(self, line: str, depth: int) -> None:
        """Add one line."""
        self.lines.append("  " * depth + line)

    def restore(self, thing: _Named, previous: str | None) -> None:
        """Forget the name of `thing`, whose scope ends; outside it may have had another."""
        if previous is None:
            del self.names[thing]
        else:
            self.names[thing] = previous

    def store(self, stmt: Store) -> str:
        """A store as one line."""
        place = self.expr(Load(stmt.buffer, stmt.indices))
        return f"{place} {UPDATES[stmt.reduce]} {self.expr(stmt.value)}"

    # ------------------------------------------------------------------ expressions

    def expr(self, root: Expr) -> str:
        """An expression in one line; no recursion, as fused chains are deep."""
        out: list[str] = []
        work: list[_Work] = [(root, 0)]
        while work:
            item = work.pop()
            if isinstance(item, str):
                out.append(item)
            else:
                work.extend(reversed(self.pieces(*item)))
        return "".join(out)

    def pieces(self, node: Expr, least: int) -> Sequence[_Work]:
        """What `node` consists of, in parentheses if it binds less tightly than `least`."""
        match node:
            case Var():
                return (self.name(node),)
            case Const():
                return (literal(node),)
            case Compare(op=op, a=a, b=b):
                # Comparisons do not chain: a comparison inside one needs its parentheses.
                return _infix(COMPARE_SIGNS[op], a, b, least, chains=False)
            case Binary(op=op, a=a, b=b):
                sign = sign_of(node)
                return _call(op, (a, b)) if sign is None else _infix(sign, a, b, least)
            case Unary(op=op, value=value) if op in UNARY_SIGNS:
                return _prefix(UNARY_SIGNS[op], value, least)
            case Unary(op=op, value=value):
                return _call(op, (value,))
            case Select(cond=cond, then=then, otherwise=otherwise):
                return _call("select", (cond, then, otherwise))
            case Cast(dtype=dtype, value=value):
                return _call(dtype, (value,))
            case Load(buffer=buffer, indices=indices, ahead=ahead):
                hint: list[_Work] = [f" {AHEAD} {ahead}"] if ahead else []
                return [*_call(self.name(buffer), indices, "[]"), *hint]
            case _:  # no part of the grammar: only `verify` meets it, to report it
                return _call(f"<{type(node).__name__}>", node.children())


def _call(name: str, arguments: Sequence[Expr], brackets: str = "()") -> list[_Work]:
    pieces: list[_Work] = [name + brackets[0]]
    for k, argument in enumerate(arguments):
        if k:
            pieces.append(", ")
        pieces.append((argument, 0))
    pieces.append(brackets[1])
    return pieces


def _infix(sign: str, a: Expr, b: Expr, least: int, *, chains: bool = True) -> list[_Work]:
    level = INFIX[sign]
    pieces: list[_Work] = [(a, level if chains else level + 1), f" {sign} ", (b, level + 1)]
    return ["(", *pieces, ")"] if level < least else pieces


def _prefix(sign: str, value: Expr, least: int) -> list[_Work]:
    level = PREFIX[sign]
    space = " " if sign.isalpha() else ""
    pieces: list[_Work] = [sign + space, (value, level)]
    if isinstance(value, Const) and sign == "-":  # `-1` is a literal, `-(1)` a negation
        pieces = ["-(", (value, 0), ")"]
    return ["(", *pieces, ")"] if level < least else pieces


Printed.formatter = text
