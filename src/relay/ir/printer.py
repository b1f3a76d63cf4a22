"""Programs as Relay text (version 0.0.5), exactly: what is printed parses back to an equal program.

What is used once at the end of a block is printed in place, variables, constants, operators and
global names always are, and everything else gets a name: ``%0 = add(%x, %y);``. A named node
stands in the innermost block that encloses all its uses. Numbers and names are unique in the whole
text. Types, once derived, follow as comments. Printing is iterative and linear.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final, TypeAlias

import numpy as np

from relay import dtypes
from relay.ir.adt import Constructor, TypeData
from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    GlobalVar,
    If,
    Let,
    Op,
    Tuple,
    TupleGetItem,
    Var,
)
from relay.ir.match import Match
from relay.ir.metadata import dump
from relay.ir.op import Operator, changed_attributes
from relay.ir.patterns import pattern_text
from relay.ir.placement import Block, Edge, Piece, Placement
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.types import Any, GlobalTypeVar, Type, TypeVar, substitute_types
from relay.support.source import Source, Span

VERSION: Final = "0.0.5"
HEADER: Final = f'#[version = "{VERSION}"]\n'
HIDDEN_METADATA: Final = """
/* The metadata (tensor constants) is left out; astext(show_meta_data=True) prints it. */
"""
LONGEST_COMMENT: Final = 2000
"""Types in comments are cut off after about so many characters.

The comments on nested values would be longer than their program by far: each holds all before.
"""

Annotate: TypeAlias = Callable[[Expr], str]
Functions: TypeAlias = Mapping[GlobalVar, Function]
Types: TypeAlias = Mapping[GlobalTypeVar, TypeData]

_LITERAL_SUFFIX: Final = {
    "int16": "i16",
    "int32": "",
    "int64": "i64",
    "float16": "f16",
    "float32": "f",
    "float64": "f64",
}


def expr_text(expr: Expr) -> str:
    """`expr` as text, without header and metadata (what `str` of an expression is)."""
    return _Printer().expr(expr)


def module_text(functions: Functions, types: Types | None = None) -> str:
    """The types and functions of a module as text, without header and metadata."""
    return _Printer().module(functions, types or {})


def astext(
    program: Expr | Functions,
    show_meta_data: bool = True,
    annotate: Annotate | None = None,
    types: Types | None = None,
) -> str:
    """`program` as a complete text: header, program, metadata.

    Without `show_meta_data` a comment stands for the metadata, and the text cannot be parsed back
    when the program holds tensors. `annotate` gives the text of the comment after an expression
    ("" for none) instead of its type. `types` are the type definitions of a module.
    """
    printer = _Printer(annotate)
    if isinstance(program, Expr):
        body = printer.expr(program)
    else:
        body = printer.module(program, types or {})
    return HEADER + body + "\n" + _metadata(printer.constants, show_meta_data)


def positioned_text(program: Expr | Functions, name: str) -> tuple[Source, dict[Expr, Span]]:
    """`program` as a source called `name`, and where in it each expression stands."""
    printer = _Printer()
    text = printer.expr(program) if isinstance(program, Expr) else printer.module(program, {})
    source = Source(name, text)
    spans = {
        expr: Span(source, line, column, line, column + width)
        for expr, (line, column, width) in printer.positions.items()
    }
    return source, spans


def _metadata(constants: Mapping[Constant, int], show: bool) -> str:
    if not constants:
        return ""
    if not show:
        return HIDDEN_METADATA
    return f"\n#[metadata]\n{dump(constants)}\n"


def attribute_text(value: object) -> str:
    """An attribute's value as text; what has no text form appears as ``<TypeName>``."""
    if value is None:
        return "None"
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, IntEnum | int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return _float_text(repr(float(value))) + "f"
    if isinstance(value, Enum):
        return attribute_text(value.value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Any):
        return "?"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(attribute_text, value))}]"
    return f"<{type(value).__name__}>"


def _float_text(shortest: str) -> str:
    return shortest.removesuffix(".0")


def literal_text(constant: Constant) -> str | None:
    """A scalar constant as a literal, exactly; None when it has no literal."""
    data = constant.data
    if data.shape != ():
        return None
    scalar = data.numpy()[()]
    if data.dtype == dtypes.STRING:
        return json.dumps(scalar)
    if data.dtype == "bool":
        return str(bool(scalar))
    suffix = _LITERAL_SUFFIX.get(data.dtype)
    if suffix is None:
        return None
    if data.dtype.startswith("int"):
        return f"{int(scalar)}{suffix}"
    if np.isnan(scalar) and scalar.tobytes() != np.asarray(np.nan, data.dtype).tobytes():
        return None
    return _float_text(str(scalar)) + suffix


class _Stage(Enum):
    ENTER = "visit the children, then compose"
    BIND = "the value of a let is done, its body is next"
    COMPOSE = "all children are done"


@dataclass
class _Printer:
    """Prints one text: numbers and names are unique within one printer."""

    annotate: Annotate | None = None
    constants: dict[Constant, int] = field(default_factory=dict)
    positions: dict[Expr, tuple[int, int, int]] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _next_suffix: dict[str, int] = field(default_factory=dict)
    _commented: set[Expr] = field(default_factory=set)
    _names: dict[Expr, str] = field(default_factory=dict)
    _inlined: dict[Expr, Sequence[Piece]] = field(default_factory=dict)
    _type_names: dict[TypeVar, str] = field(default_factory=dict)
    _types: frozenset[str] = frozenset()
    _temporaries: int = 0

    def expr(self, expr: Expr) -> str:
        top = Block(None)
        self._program(expr, top)
        top.lines.append(self._take(expr))
        return self._flatten(top).strip("\n")

    def module(self, functions: Functions, types: Types) -> str:
        top = Block(None)
        self._types = frozenset(t.name_hint for t in types)
        for type_var in sorted(types, key=lambda g: g.name_hint):
            if top.lines:
                top.lines.append(())
            top.lines.extend((line,) for line in str(types[type_var]).split("\n"))
        for variable in sorted(functions, key=lambda g: g.name_hint):
            if top.lines:
                top.lines.append(())
            top.lines.append(self._definition(variable, functions[variable]))
        return self._flatten(top).strip("\n")

    def _definition(self, variable: GlobalVar, function: Function) -> Sequence[Piece]:
        self._names.clear()
        self._type_names.clear()
        self._name_types(function.type_params)
        head = f"def {self._name(variable)}"
        params = self._parameters(function)
        body = Block(Block(None))
        self._program(function.body, body)
        body.lines.append(self._take(function.body))
        return [function, head, *params, "{", body, "}"]

    def _program(self, root: Expr, top: Block) -> None:
        """Print everything below `root` into the blocks, children first."""
        placement = Placement(root, top)
        stack = [(root, _Stage.ENTER)]
        while stack:
            node, stage = stack.pop()
            if stage is _Stage.ENTER:
                if node not in self._names and node not in self._inlined:
                    self._enter(node, top, stack)
            elif stage is _Stage.BIND:
                assert isinstance(node, Let)
                declared = self._declaration(node.variable)
                value = self._take(node.value)
                placement.inner[node][0].lines.append([node, "let ", *declared, " = ", *value, ";"])
            else:
                pieces = self._compose(node, placement)
                if placement.in_place(node):
                    self._inlined[node] = pieces
                else:
                    name = f"%{self._temporaries}"
                    self._temporaries += 1
                    placement.home[node].lines.append([f"{name} = ", *pieces, ";"])
                    self._names[node] = name

    def _enter(self, node: Expr, top: Block, stack: list[tuple[Expr, _Stage]]) -> None:
        match node:
            case Var():
                self._names[node] = self._unique(node)
                top.lines.append(["free_var ", *self._declaration(node), ";"])
                return
            case Constant() | GlobalVar() | Op() | Constructor():
                self._name(node)
                return
            case Match():
                for variable in node.bound:
                    self._names[variable] = self._unique(variable)
                inside = (node.data, *(clause.rhs for clause in node.clauses))
                children: list[tuple[Expr, _Stage]] = [(child, _Stage.ENTER) for child in inside]
            case Function():
                self._name_types(node.type_params)
                for parameter in node.params:
                    self._names[parameter] = self._unique(parameter)
                children = [(node.body, _Stage.ENTER)]
            case Let():
                self._names[node.variable] = self._unique(node.variable)
                children = [
                    (node.value, _Stage.ENTER),
                    (node, _Stage.BIND),
                    (node.body, _Stage.ENTER),
                ]
            case Call():
                # Arguments come before the callee.
                callee = () if isinstance(node.op, Op) else (node.op,)
                children = [(child, _Stage.ENTER) for child in (*node.args, *callee)]
            case _:
                children = [(child, _Stage.ENTER) for child in node.children()]
        stack.append((node, _Stage.COMPOSE))
        stack.extend(reversed(children))

    def _compose(self, node: Expr, placement: Placement) -> Sequence[Piece]:
        match node:
            case Call():
                return [node, self._call(node), self._comment(node)]
            case Tuple():
                fields = ", ".join(self._atom(f) for f in node.fields)
                text = f"({fields},)" if len(node.fields) == 1 else f"({fields})"
                return [node, text, self._comment(node)]
            case TupleGetItem():
                text = f"{self._atom(node.tuple_value)}.{node.index}"
                return [node, text, self._comment(node)]
            case Function():
                (body,) = placement.inner[node]
                body.lines.append(self._take(node.body))
                head = self._parameters(node)
                return [node, "fn ", *head, "{", body, "}", self._comment(node)]
            case If():
                blocks = placement.inner[node]
                blocks[0].lines.append(self._take(node.true_branch))
                blocks[1].lines.append(self._take(node.false_branch))
                condition = f"if ({self._atom(node.cond)}) "
                return [node, condition, "{", blocks[0], "} else {", blocks[1], "}"]
            case Match():
                return [node, *self._match(node, placement)]
            case RefCreate(value=value):
                return [node, f"ref({self._atom(value)})", self._comment(node)]
            case RefRead(ref=ref):
                return [node, f"ref_read({self._atom(ref)})", self._comment(node)]
            case RefWrite(ref=ref, value=value):
                text = f"ref_write({self._atom(ref)}, {self._atom(value)})"
                return [node, text, self._comment(node)]
            case Let():
                body = placement.inner[node][0]
                if placement.edges[node] is Edge.TAIL:
                    return self._take(node.body)
                body.lines.append(self._take(node.body))
                return ["(", body, ")"]
            case _:
                return [node, f"<{type(node).__name__}>"]

    def _match(self, match: Match, placement: Placement) -> list[Piece]:
        cases = Block(None)
        for clause, block in zip(match.clauses, placement.inner[match], strict=True):
            block.lines.append(self._take(clause.rhs))
            pattern = pattern_text(clause.lhs, self._annotated)
            cases.lines.append([f"{pattern} => {{", block, "},"])
        word = "match" if match.complete else "match?"
        return [f"{word} ({self._atom(match.data)}) {{", cases, "}"]

    def _call(self, call: Call) -> str:
        if isinstance(call.op, Constructor) and not call.op.inputs and not call.args:
            return self._name(call.op)
        parts = [self._atom(argument) for argument in call.args]
        if isinstance(call.attrs, Operator):
            changed = changed_attributes(call.attrs).items()
            parts += [f"{name}={attribute_text(value)}" for name, value in changed]
        callee = call.op.name if isinstance(call.op, Op) else self._names[call.op]
        return f"{callee}({', '.join(parts)})"

    def _parameters(self, function: Function) -> list[Piece]:
        """``[A](%x: T, Primitive=1) -> R``, with a space at the end."""
        type_params = ", ".join(self._type(t) for t in function.type_params)
        pieces: list[Piece] = [f"[{type_params}](" if type_params else "("]
        separator = ""
        for parameter in function.params:
            if parameter not in self._names:
                self._names[parameter] = self._unique(parameter)
            pieces += [separator, *self._declaration(parameter)]
            separator = ", "
        for name, value in function.attrs.items():
            pieces.append(f"{separator}{name}={attribute_text(value)}")
            separator = ", "
        result = "" if function.ret_type is None else f"-> {self._type(function.ret_type)} "
        pieces.append(f") {result}")
        return pieces

    def _declaration(self, variable: Var) -> list[Piece]:
        return [variable, self._annotated(variable), self._comment(variable)]

    def _annotated(self, variable: Var) -> str:
        annotation = variable.type_annotation
        return self._names[variable] + ("" if annotation is None else f": {self._type(annotation)}")

    def _name_types(self, params: Sequence[TypeVar]) -> None:
        """Give type parameters names that nothing else in this definition has."""
        taken = self._types.union(self._type_names.values(), dtypes.TENSOR_NAMES)
        for param in params:
            base = _NOT_NAME.sub("_", param.name_hint).replace("/", "_")
            base = base if base[:1].isalpha() and base.isascii() else f"t{base}"
            name, suffix = base, 1
            while name in taken:
                name, suffix = f"{base}{suffix}", suffix + 1
            self._type_names[param] = name
            taken |= {name}

    def _type(self, type_: Type, limit: int | None = None) -> str:
        renamed = {t: TypeVar(n) for t, n in self._type_names.items() if t.name_hint != n}
        return substitute_types(type_, renamed).text(limit)

    def _take(self, node: Expr) -> Sequence[Piece]:
        """The text of `node` where it may stand in place."""
        found = self._inlined.pop(node, None)
        return [self._atom(node)] if found is None else found

    def _atom(self, node: Expr) -> str:
        """The name or literal of `node`, which has been printed already."""
        return self._name(node) + (self._comment(node) if isinstance(node, Constant) else "")

    def _name(self, node: Expr) -> str:
        found = self._names.get(node)
        if found is not None:
            return found
        match node:
            case Constant():
                found = literal_text(node)
                if found is None:
                    index = self.constants.setdefault(node, len(self.constants))
                    found = f"meta[relay.Constant][{index}]"
            case GlobalVar(name_hint=name):
                found = f"@{_identifier(name)}"
            case Op(name=name):
                found = name
            case Constructor(name_hint=name):
                found = name
            case _:
                found = f"<{type(node).__name__}>"
        self._names[node] = found
        return found

    def _unique(self, variable: Var) -> str:
        base = f"%{_identifier(variable.name_hint)}"
        name = base
        while name in self._taken:
            suffix = self._next_suffix.get(base, 1)
            self._next_suffix[base] = suffix + 1
            name = f"{base}{suffix}"
        self._taken.add(name)
        return name

    def _comment(self, node: Expr) -> str:
        if node in self._commented:
            return ""
        self._commented.add(node)
        if self.annotate is not None:
            text = self.annotate(node)
        else:
            text = "" if node._type is None else f"ty={self._type(node._type, LONGEST_COMMENT)}"
        return f" /* {text.replace('*/', '* /')} */" if text else ""

    def _flatten(self, top: Block) -> str:
        """The text of `top`, recording where expressions begin."""
        out: list[str] = []
        line, column = 1, 1
        waiting: list[Expr] = []
        stack: list[tuple[Piece, int]] = [(top, -1)]
        while stack:
            piece, level = stack.pop()
            if isinstance(piece, str):
                ends = piece.count("\n")
                if not ends and piece.strip():
                    for expr in waiting:
                        self.positions.setdefault(expr, (line, column, len(piece.rstrip())))
                    waiting.clear()
                out.append(piece)
                line += ends
                column = column + len(piece) if not ends else len(piece) - piece.rindex("\n")
            elif isinstance(piece, Block):
                margin = "\n" + "  " * (level + 1)
                items: list[tuple[Piece, int]] = []
                for pieces in piece.lines:
                    items.append((margin if pieces else "\n", level))
                    items.extend((p, level + 1) for p in pieces)
                if level >= 0:
                    items.append(("\n" + "  " * level, level))
                stack.extend(reversed(items))
            else:
                waiting.append(piece)
        # The top block starts with a line end that is not part of the text.
        for expr, (at, start, width) in self.positions.items():
            self.positions[expr] = (at - 1, start, width)
        return "".join(out)


# A slash has to stand between name characters, or it would be a division or a comment.
_NOT_NAME = re.compile(r"[^A-Za-z0-9_/]|/(?![A-Za-z0-9_])")


def _identifier(name: str) -> str:
    """`name` as the text format allows it."""
    cleaned = _NOT_NAME.sub("_", name)
    return cleaned if cleaned[:1].isalpha() and cleaned.isascii() else f"v{cleaned}"


Expr.formatter = staticmethod(expr_text)
