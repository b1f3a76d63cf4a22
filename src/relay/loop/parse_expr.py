"""Expressions of loop programs, read from text: tokens, precedence, data types."""

from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from relay import dtypes
from relay.loop.ir import Buffer, Load
from relay.loop.printer import (
    AHEAD,
    BINARY_SIGNS,
    CALLS_OF_ONE,
    CALLS_OF_TWO,
    COMPARE_SIGNS,
    INFIX,
    NUMBERS,
    PREFIX,
    RESERVED,
    UNARY_SIGNS,
)
from relay.support.diagnostics import Diagnostic, did_you_mean
from relay.support.lexer import END, Lexer, Positions, Token, fail
from relay.support.source import Source
from relay.te.expr import BOOL, INDEX, Binary, Cast, Compare, Const, Expr, Select, Unary, Var

_LEXER: Final = Lexer(
    (
        ("update", r"(?:\b(?:min|max|and|or)|[+*])=(?!=)|=(?!=)"),
        ("function", r"@[A-Za-z0-9_.]+"),
        ("name", r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*"),
        ("number", r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?"),
        ("sign", r"->|<<|>>|<=|>=|==|!=|//|[-+*/%<>|&^~(){}\[\],:]"),
    ),
    line_comment="#",
)
_COMPARES: Final = {sign: op for op, sign in COMPARE_SIGNS.items()}
_UNARIES: Final = {sign: op for op, sign in UNARY_SIGNS.items()}
_BINARIES: Final = {sign: op for op, sign in BINARY_SIGNS.items()} | {"and": "and", "or": "or"}
_ARITY: Final = (
    dict.fromkeys(CALLS_OF_ONE, 1)
    | dict.fromkeys(CALLS_OF_TWO, 2)
    | dict.fromkeys(dtypes.NAMES, 1)
    | {"select": 3}
)
_CLOSING: Final = {"(": ")", "[": "]"}
_LOGIC: Final = frozenset({"and", "or", "not"})
_BITS: Final = frozenset({"&", "|"})

Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Operand:
    """A finished part of an expression, and the offsets in the text that it spans."""

    expr: Expr
    place: Place


@dataclass(frozen=True)
class _Operator:
    """A sign that waits for its right operand, or an open bracket, whose `level` is 0."""

    sign: str
    level: int
    token: Token
    prefix: bool = False
    head: Token | None = None  # what stands before an open bracket: a function or a buffer
    below: int = 0  # operands that were there before the bracket


class ExprParser:
    """A position among tokens, and the names in scope."""

    def __init__(self, source: Source) -> None:
        self.positions = Positions(source)
        self.tokens = _LEXER.tokens(source, self.positions)
        self.at = 0
        self.scope: dict[str, Var | Buffer] = {}

    # ------------------------------------------------------------------ tokens

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """The next token, which is passed."""
        token = self.tokens[self.at]
        self.at += token.kind != END
        return token

    def accept(self, text: str) -> bool:
        """Whether the next token is `text`; if so it is passed."""
        if self.token.text != text or self.token.kind == END:
            return False
        self.at += 1
        return True

    def expect(self, text: str, where: str) -> Token:
        """Pass `text`."""
        if self.token.text != text:
            self.unexpected(f"`{text}` {where}")
        return self.take()

    def natural(self, what: str) -> int:
        """An integer literal."""
        if self.token.kind != "number" or not self.token.text.isdigit():
            self.unexpected(f"{what}, an integer")
        return int(self.take().text)

    def unexpected(self, expected: str, hints: tuple[str, ...] = ()) -> NoReturn:
        """Fail: the next token is not what was expected."""
        token = self.token
        found = "the end of the text" if token.kind == END else f"`{token.text}`"
        self.error(f"unexpected {found}", (token.start, token.end), expected=expected, hints=hints)

    def error(
        self,
        message: str,
        place: Place,
        *,
        expected: str = "",
        found: str = "",
        hints: tuple[str, ...] = (),
    ) -> NoReturn:
        """Fail at a place of the text."""
        span = self.positions.span(*place)
        fail(Diagnostic(message, span, expected=expected, found=found, hints=hints))

    # ------------------------------------------------------------------ expressions

    def typed(self, dtype: str, what: str) -> Expr:
        """An expression of `dtype`."""
        operand = self.expr()
        if operand.expr.dtype != dtype:
            message = f"{what} has the wrong data type"
            self.error(message, operand.place, expected=dtype, found=operand.expr.dtype)
        return operand.expr

    def expr(self) -> Operand:
        """An expression; the stacks of operator precedence are spelt out, as chains are deep."""
        operands: list[Operand] = []
        waiting: list[_Operator] = []
        wanted = True  # whether an operand comes next, else an operator
        while True:
            if wanted:
                wanted = self.operand(operands, waiting)
                continue
            token = self.token
            if token.text in INFIX:
                self.infix(operands, waiting)
                wanted = True
                continue
            self.reduce(operands, waiting, 1)
            if not waiting:
                return operands.pop()
            if waiting[-1].head is not None and self.accept(","):
                wanted = True
            elif self.accept(_CLOSING[waiting[-1].sign]):
                self.close_bracket(operands, waiting)
            else:
                comma = "`,` or " if waiting[-1].head is not None else ""
                self.unexpected(f"an operator, {comma}`{_CLOSING[waiting[-1].sign]}`")

    def operand(self, operands: list[Operand], waiting: list[_Operator]) -> bool:
        """Pass what starts an operand; true when the operand itself is still to come."""
        token = self.token
        follows = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        negative = token.text == "-" and (follows.kind == "number" or follows.text in NUMBERS[:2])
        if token.kind == "number" or token.text in NUMBERS or negative:
            operands.append(self.literal())
            return False
        if token.text in PREFIX:
            self.take()
            waiting.append(_Operator(token.text, PREFIX[token.text], token, prefix=True))
            return True
        if token.text == "(":
            self.take()
            waiting.append(_Operator("(", 0, token, below=len(operands)))
            return True
        if token.text in _ARITY:
            self.take()
            opened = self.expect("(", f"after `{token.text}`")
            waiting.append(_Operator("(", 0, opened, head=token, below=len(operands)))
            return True
        if token.kind != "name" or token.text in RESERVED:
            self.unexpected("an expression")
        thing = self.scope.get(token.text)
        if isinstance(thing, Var):
            self.take()
            operands.append(Operand(thing, (token.start, token.end)))
            return False
        self.buffer(token)
        self.take()
        opened = self.expect("[", "after a buffer")
        waiting.append(_Operator("[", 0, opened, head=token, below=len(operands)))
        if self.accept("]"):
            self.close_bracket(operands, waiting)
            return False
        return True

    def literal(self) -> Operand:
        """A number, `true` or `false`, with its type where it is not the usual one."""
        start = self.token.start
        sign = "-" if self.accept("-") else ""
        token = self.take()
        is_float = not token.text.isdigit()
        if token.text in ("true", "false"):
            return Operand(Const(token.text == "true", BOOL), (start, token.end))
        dtype = "float32" if is_float else INDEX
        if self.accept(":"):
            dtype = self.dtype()
        place = start, self.tokens[self.at - 1].end
        if dtypes.is_float(dtype):
            return Operand(Const(float(sign + token.text), dtype), place)
        if is_float or not dtypes.is_integer(dtype):
            self.error(f"this is no literal of type {dtype}", place)
        low, high = dtypes.integer_range(dtype)
        value = int(sign + token.text)
        if not low <= value <= high:
            self.error(f"this is no {dtype}", place, expected=f"{low} to {high}")
        return Operand(Const(value, dtype), place)

    def infix(self, operands: list[Operand], waiting: list[_Operator]) -> None:
        """Pass an operator between operands, after everything that binds as tightly."""
        token = self.take()
        level = INFIX[token.text]
        self.reduce(operands, waiting, level + (token.text in _COMPARES))
        if token.text in _COMPARES and waiting and waiting[-1].sign in _COMPARES:
            hint = ("write `a < b and b < c`",)
            self.error("comparisons do not chain", (token.start, token.end), hints=hint)
        waiting.append(_Operator(token.text, level, token))

    def reduce(self, operands: list[Operand], waiting: list[_Operator], least: int) -> None:
        """Apply the operators that wait and bind at least as tightly as `least`."""
        while waiting and waiting[-1].level >= least:
            operator = waiting.pop()
            b = operands.pop()
            if operator.prefix:
                place = operator.token.start, b.place[1]
                self.check_logic(operator.sign, b)
                operands.append(Operand(Unary(_UNARIES[operator.sign], b.expr), place))
                continue
            a = operands.pop()
            place = a.place[0], b.place[1]
            self.check_same(operator.sign, a, b)
            if operator.sign in _COMPARES:
                compared = Compare(_COMPARES[operator.sign], a.expr, b.expr)
                operands.append(Operand(compared, place))
                continue
            self.check_logic(operator.sign, a)
            operands.append(Operand(Binary(_BINARIES[operator.sign], a.expr, b.expr), place))

    def close_bracket(self, operands: list[Operand], waiting: list[_Operator]) -> None:
        """Make one operand of what stands between the brackets, and of what stands before them."""
        opened = waiting.pop()
        inside = operands[opened.below :]
        end = self.tokens[self.at - 1].end
        if opened.head is None:
            operands[-1] = Operand(inside[0].expr, (opened.token.start, end))
            return
        del operands[opened.below :]
        place = opened.head.start, end
        if opened.sign == "[":
            buffer = self.buffer(opened.head)
            self.check_indices(buffer, inside, place)
            ahead = self.natural("the number of places to look ahead") if self.accept(AHEAD) else 0
            operands.append(Operand(Load(buffer, [i.expr for i in inside], ahead), place))
        else:
            operands.append(Operand(self.call(opened.head.text, inside, place), place))

    def call(self, name: str, inside: list[Operand], place: Place) -> Expr:
        """A function of `inside`."""
        if len(inside) != _ARITY[name]:
            wanted = f"{_ARITY[name]}, found {len(inside)}"
            self.error(f"`{name}` has the wrong number of arguments", place, expected=wanted)
        if name in CALLS_OF_ONE:
            return Unary(name, inside[0].expr)
        if name in dtypes.NAMES:
            return Cast(name, inside[0].expr)
        self.check_same(name, inside[-2], inside[-1])
        if name in CALLS_OF_TWO:
            return Binary(name, inside[0].expr, inside[1].expr)
        self.check_logic("select", inside[0])
        return Select(*(i.expr for i in inside))

    # ------------------------------------------------------------------ checks

    def dtype(self) -> str:
        """A data type."""
        if self.token.text not in dtypes.NAMES:
            self.unexpected("a data type", did_you_mean(self.token.text, dtypes.NAMES))
        return self.take().text

    def buffer(self, token: Token) -> Buffer:
        """The buffer that `token` names."""
        found = self.scope.get(token.text)
        place = (token.start, token.end)
        if found is None:
            known = [name for name, thing in self.scope.items() if isinstance(thing, Buffer)]
            hints = did_you_mean(token.text, known)
            self.error(f"there is no buffer `{token.text}` here", place, hints=hints)
        if isinstance(found, Var):
            self.error(f"`{token.text}` is a loop variable", place, expected="a buffer")
        return found

    def check_indices(self, buffer: Buffer, indices: list[Operand], place: Place) -> None:
        """One ``int64`` for every dimension."""
        if len(indices) != len(buffer.shape):
            self.error(
                f"`{buffer.name}` has the wrong number of indices",
                place,
                expected=str(len(buffer.shape)),
                found=str(len(indices)),
            )
        for index in indices:
            if index.expr.dtype != INDEX:
                message = "an index has the wrong data type"
                self.error(message, index.place, expected=INDEX, found=index.expr.dtype)

    def check_same(self, sign: str, a: Operand, b: Operand) -> None:
        """Both operands have one data type."""
        if a.expr.dtype != b.expr.dtype:
            message = f"the operands of `{sign}` differ in data type"
            found = f"{a.expr.dtype} and {b.expr.dtype}"
            self.error(message, (a.place[0], b.place[1]), found=found)

    def check_logic(self, sign: str, operand: Operand) -> None:
        """What connects truth values is given some, and what connects bits is not."""
        found = operand.expr.dtype
        if sign in (*_LOGIC, "select") and found != BOOL:
            message = f"`{sign}` has an operand of the wrong data type"
            self.error(message, operand.place, expected=BOOL, found=found)
        if sign in _BITS and found == BOOL:
            word = "and" if sign == "&" else "or"
            message = f"`{sign}` is for integers"
            self.error(message, operand.place, found=BOOL, hints=(f"write `{word}`",))
