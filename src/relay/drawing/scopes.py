"""What a drawing shows: the values of a program as nodes, a scope for each function.

An edge leads from a value to what uses it. Lets are no nodes: a use of the variable is a use of the
value. A function is a node that holds a scope of its own, with edges from what it captures.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from relay.ir.adt import Constructor
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
from relay.ir.op import Operator, changed_attributes
from relay.ir.printer import attribute_text, literal_text
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.types import TensorType, TupleType, Type
from relay.ir.visit import free_vars, post_order
from relay.support.errors import RelayError

LONGEST = 44
"""Texts in nodes are cut after so many characters; what hovers over a node shows them whole."""


LONGEST_LABEL = 18
"""The same for labels of edges."""


class Kind(StrEnum):
    """What a node stands for; decides its colour and form."""

    OPERATOR = "operator"
    VARIABLE = "variable"
    CONSTANT = "constant"
    GLOBAL = "global"
    CONTROL = "control"
    DATA = "data"
    FUNCTION = "function"
    CUT = "cut"


@dataclass(frozen=True)
class Node:
    """A box: `title`, under it `detail` (a type), `hint` for who points at it, or a scope."""

    kind: Kind
    title: str
    detail: str = ""
    hint: str = ""
    scope: "Scope | None" = None


@dataclass(frozen=True)
class Edge:
    """An arrow between two nodes by their numbers, with a label that may be empty."""

    source: int
    target: int
    label: str = ""


@dataclass
class Scope:
    """The nodes and edges of a function, or of an expression without a title."""

    title: str = ""
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)


def scope_of(expr: Expr, title: str = "", depth: int | None = None) -> Scope:
    """The scope of `expr`; of a function, that of its body.

    With `depth`, only what is at most so many steps from the result; dots stand for the rest.
    """
    scopes: dict[Function, Scope] = {}
    for node in post_order(expr):
        if isinstance(node, Function) and node is not expr:
            scopes[node] = _Builder(scopes, None).build(node, function_title(node))
    return _Builder(scopes, depth).build(expr, title)


def function_title(function: Function) -> str:
    """How the box of a function is called: by the attribute that says what it is for."""
    for name in ("Composite", "Compiler", "global_symbol"):
        found = function.attrs.get(name)
        if isinstance(found, str):
            return found
    return "fused" if "Primitive" in function.attrs else "fn"


class _Builder:
    """Builds one scope. `scopes` holds those of the functions inside."""

    def __init__(self, scopes: Mapping[Function, Scope], depth: int | None) -> None:
        self.scopes = scopes
        self.depth = depth
        self.scope = Scope()
        self.number: dict[Expr, int] = {}
        self.bound: dict[Var, Expr] = {}

    def build(self, root: Expr, title: str) -> Scope:
        """The scope of `root`."""
        self.scope.title = title
        start = root.body if isinstance(root, Function) else root
        order = self._order(start)
        distance = self._distances(order, start)
        shown = [n for n in order if self.depth is None or distance.get(n, 0) <= self.depth]
        for node in shown:
            if _scalar(node) is not None and node is not shown[-1]:
                continue  # drawn where it is used
            cut = self.depth is not None and distance.get(node) == self.depth
            self._add(node, cut and bool(self._inputs(node)))
        if isinstance(root, Function) and self.depth is None:
            for parameter in root.params:
                if parameter not in self.number:
                    self._add(parameter, False)
        return self.scope

    def _order(self, start: Expr) -> list[Expr]:
        """The values of the scope, each after what it uses."""
        order: list[Expr] = []
        seen: set[Expr] = set()
        stack: list[tuple[Expr, bool]] = [(start, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
                continue
            if isinstance(node, Let):
                self.bound[node.variable] = node.value
                stack += [(node.body, False), (node.value, False)]
                continue
            if node in seen or node in self.bound:
                continue
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for _, child in reversed(self._inputs(node)))
        return order

    def _distances(self, order: Sequence[Expr], start: Expr) -> dict[Expr, int]:
        """How many steps each value is from the result, on the shortest way."""
        found = {self._value(start): 0}
        if self.depth is None:
            return found
        for node in reversed(order):
            if node not in found:
                found[node] = len(order)
            for _, child in self._inputs(node):
                value = self._value(child)
                found[value] = min(found.get(value, len(order)), found[node] + 1)
        return found

    def _value(self, expr: Expr) -> Expr:
        """The node that `expr` is shown as."""
        while True:
            if isinstance(expr, Let):
                expr = expr.body
            elif isinstance(expr, Var) and expr in self.bound:
                expr = self.bound[expr]
            else:
                return expr

    def _inputs(self, node: Expr) -> list[tuple[str, Expr]]:
        """What `node` uses, each with the label of its edge."""
        match node:
            case Call(op=Function() as function):
                return [("", a) for a in (*node.args, *free_vars(function))]
            case Call(op=Op() | GlobalVar() | Constructor()):
                return [("", a) for a in node.args]
            case Call():
                return [("callee", node.op), *(("", a) for a in node.args)]
            case Function():
                return [("", v) for v in free_vars(node)]
            case If():
                labels = ("", "then", "else")
                return list(zip(labels, node.children(), strict=True))
            case Match():
                return [("", node.data), *((str(c.lhs), c.rhs) for c in node.clauses)]
            case _:
                return [("", child) for child in node.children()]

    def _add(self, expr: Expr, cut: bool) -> None:
        number = self._node(Node(Kind.CUT, "...", _short(_name(expr))) if cut else self._made(expr))
        self.number[expr] = number
        if cut:
            return
        used: set[tuple[int, str]] = set()
        for label, child in self._inputs(expr):
            value = self._value(child)
            literal = _scalar(value)
            if literal is not None:
                # Each use of a number has its own, close by.
                source = self._node(literal)
            elif value in self.number:
                source = self.number[value]
            else:
                continue  # a function that calls itself
            if (source, label) not in used:
                used.add((source, label))
                self.scope.edges.append(Edge(source, number, _short(label, LONGEST_LABEL)))

    def _node(self, node: Node) -> int:
        self.scope.nodes.append(node)
        return len(self.scope.nodes) - 1

    def _made(self, expr: Expr) -> Node:
        """`expr` as a node."""
        type_ = _type_of(expr)
        detail = "" if type_ is None else type_text(type_)
        function = expr.op if isinstance(expr, Call) else expr
        if isinstance(function, Function):
            scope = self.scopes[function]
            shown = "" if isinstance(expr, Function) else _short(detail)
            return Node(Kind.FUNCTION, scope.title, shown, detail, scope)
        hint = f"{_name(expr)}{_attributes(expr)}" + (f"\n{type_}" if type_ is not None else "")
        return Node(_kind(expr), _short(_name(expr)), _short(detail), hint)


def _scalar(expr: Expr) -> Node | None:
    """A number as a node; None for anything else."""
    literal = literal_text(expr) if isinstance(expr, Constant) else None
    return None if literal is None else Node(Kind.CONSTANT, literal, "", str(_type_of(expr)))


def _kind(expr: Expr) -> Kind:
    match expr:
        case Call(op=Op()):
            return Kind.OPERATOR
        case Call(op=GlobalVar()) | GlobalVar():
            return Kind.GLOBAL
        case Var():
            return Kind.VARIABLE
        case Constant():
            return Kind.CONSTANT
        case Tuple() | TupleGetItem() | Constructor() | Call(op=Constructor()):
            return Kind.DATA
        case _:
            return Kind.CONTROL


def _name(expr: Expr) -> str:
    match expr:
        case Call(op=Op() | GlobalVar() | Constructor()):
            return _name(expr.op)
        case Op(name=name) | Constructor(name_hint=name):
            return name
        case Var(name_hint=name):
            return f"%{name}"
        case GlobalVar(name_hint=name):
            return f"@{name}"
        case TupleGetItem(index=index):
            return f".{index}"
        case RefCreate():
            return "ref"
        case RefRead():
            return "read"
        case RefWrite():
            return "write"
        case Constant():
            return literal_text(expr) or "constant"
        case _:
            return type(expr).__name__.lower()


def _attributes(expr: Expr) -> str:
    """The attributes of a call that are not as usual, a line for each."""
    if not isinstance(expr, Call) or not isinstance(expr.attrs, Operator):
        return ""
    changed = changed_attributes(expr.attrs)
    return "".join(f"\n{name} = {attribute_text(value)}" for name, value in changed.items())


def _type_of(expr: Expr) -> Type | None:
    """The type of `expr` where it is known."""
    try:
        return expr.checked_type
    except RelayError:
        return None


def type_text(type_: Type) -> str:
    """A type as nodes show it: ``2×3 float32``."""
    if isinstance(type_, TensorType):
        return " ".join(filter(None, ("×".join(map(str, type_.shape)), type_.dtype)))
    inner = type_.children()
    if isinstance(type_, TupleType) and all(isinstance(t, TensorType) for t in inner):
        if len(inner) > 2:
            return f"({type_text(inner[0])}, … {len(inner)} fields)"
        return f"({', '.join(map(type_text, inner))})"
    return str(type_)


def _short(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def count(scopes: Iterable[Scope]) -> int:
    """How many nodes `scopes` have, with those inside of functions."""
    total = 0
    stack = list(scopes)
    while stack:
        scope = stack.pop()
        total += len(scope.nodes)
        stack.extend(node.scope for node in scope.nodes if node.scope is not None)
    return total
