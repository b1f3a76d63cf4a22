"""Closure conversion: the functions inside of a function, with what they capture made explicit.

`ClosureConversion` finds the inner functions and the variables they use from outside, and takes
them apart; derived classes say what becomes of an inner function, and of the place where it stood.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from relay.ir.expr import Expr, Function, Let, Var
from relay.ir.types import TypeVar
from relay.ir.visit import bound_vars, free_type_vars

CLOSED: Final = frozenset({"Primitive", "Composite", "Compiler", "Extern"})
"""Functions with one of these attributes mean something to the compiler as they are."""


@dataclass(eq=False)
class Lambda:
    """An inner function: its place among all (`start` to `end` are those inside of it), the let

    variables that name it, what it captures, and the type variables that it uses from outside.
    """

    function: Function
    start: int
    end: int = 0
    names: list[Var] = field(default_factory=list)
    free: dict[Var, None] = field(default_factory=dict)
    captured: list[Var] = field(default_factory=list)
    type_vars: list[TypeVar] = field(default_factory=list)

    @property
    def is_closed(self) -> bool:
        """Whether it needs nothing from outside, so that it is a global function already."""
        return not self.captured and not self.type_vars

    def holds(self, other: "Lambda") -> bool:
        """Whether `other` is this function, or inside of it."""
        return self.start <= other.start < self.end


def is_lambda(node: Expr) -> bool:
    """Whether `node` is a function value that may be taken apart."""
    return isinstance(node, Function) and not CLOSED & node.attrs.keys()


def flat_order(body: Expr) -> list[Expr]:
    """The post-order of `body` without the insides of functions."""
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack = [(body, False)]
    while stack:
        node, ready = stack.pop()
        if ready or isinstance(node, Function):
            if ready or node not in seen:
                seen.add(node)
                order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((c, False) for c in reversed(node.children()) if c not in seen)
    return order


class ClosureConversion:
    """One run over one global function."""

    def __init__(self, root: Function) -> None:
        self.root = root
        self.lambdas: dict[Function, Lambda] = {}
        self.named: dict[Var, Lambda] = {}
        self._bound: set[Var] = set()
        self._explore()
        self._capture()

    # ------------------------------------------------------------------ for derived classes

    def closure(self, inner: Lambda, captured: Sequence[Expr]) -> Expr:
        """What stands where `inner` was; `captured` are the values that it captures."""
        raise TypeError(f"{type(self).__name__} does not define `closure`")

    def variable(self, variable: Var) -> Var:
        """What a variable becomes where it is bound."""
        return variable

    def node(self, old: Expr, new: Expr) -> Expr:
        """What `old` becomes: `new` is it over what its children have become."""
        return new

    def inlines(self, inner: Lambda) -> bool:
        """Whether the variables that name `inner` give way to what stands for it."""
        return False

    # ------------------------------------------------------------------ analysis

    def _explore(self) -> None:
        """Number the inner functions, outer ones first, and find their free variables."""
        stack: list[tuple[Function, bool]] = [(self.root, False)]
        flats: dict[Function, list[Expr]] = {}
        lets: list[tuple[Var, Function]] = []
        polymorphic = bool(self.root.type_params)
        while stack:
            function, done = stack.pop()
            if done:
                inner = self.lambdas[function]
                inner.end = len(self.lambdas)
                inner.free = self._free(function, flats.pop(function))
                continue
            if function in self.lambdas:
                continue
            self.lambdas[function] = Lambda(function, len(self.lambdas))
            flat = flats[function] = flat_order(function.body)
            polymorphic = polymorphic or bool(function.type_params)
            nested = [n for n in flat if isinstance(n, Function) and is_lambda(n)]
            stack.append((function, True))
            stack.extend((n, False) for n in reversed(nested))
            for node in flat:
                if isinstance(node, Let) and isinstance(node.value, Function):
                    lets.append((node.variable, node.value))
        for variable, function in lets:
            if function in self.lambdas:
                self.lambdas[function].names.append(variable)
                self.named[variable] = self.lambdas[function]
        if polymorphic:
            for inner in self.lambdas.values():
                inner.type_vars = free_type_vars(inner.function)

    def _free(self, function: Function, flat: Sequence[Expr]) -> dict[Var, None]:
        bound = {*function.params, *(v for node in flat for v in bound_vars(node))}
        found: dict[Var, None] = {}
        for node in flat:
            if isinstance(node, Var):
                found[node] = None
            elif isinstance(node, Function) and node in self.lambdas:
                found.update(self.lambdas[node].free)
        return {v: None for v in found if v not in bound}

    def _capture(self) -> None:
        """What each inner function captures; its own name, and those around it, are made anew."""
        for inner in self.lambdas.values():
            captured: dict[Var, None] = {}
            for variable in inner.free:
                other = self.named.get(variable)
                if other is inner:
                    continue
                if other is not None and (other.holds(inner) or self.inlines(other)):
                    captured.update(dict.fromkeys(other.captured))
                else:
                    captured[variable] = None
            inner.captured = list(captured)

    # ------------------------------------------------------------------ conversion

    def convert(self, inner: Lambda) -> tuple[list[Var], list[Var], Expr]:
        """The captured variables (new ones), the parameters and the body of `inner`."""
        captured: list[Var] = []
        values: dict[Expr, Expr] = {}
        for variable in inner.captured:
            new = self.variable(variable)
            if new is variable and inner.function is not self.root:
                # What is free in the root stays free: a function around it binds it.
                new = Var(variable.name_hint, variable.type_annotation, variable.span)
            values[variable] = new
            captured.append(new)
        for variable in inner.free:
            other = self.named.get(variable)
            if other is not None and (other.holds(inner) or self.inlines(other)):
                values[variable] = self.closure(other, [values[v] for v in other.captured])
        params = [self._binder(p, values) for p in inner.function.params]
        return captured, params, self._body(inner.function.body, values)

    def _binder(self, variable: Var, values: dict[Expr, Expr]) -> Var:
        """The new variable for a binding; a body that is used twice binds different ones."""
        new = self.variable(variable)
        if new is variable and variable in self._bound:
            new = Var(variable.name_hint, variable.type_annotation, variable.span)
        self._bound.add(variable)
        values[variable] = new
        return new

    def _body(self, body: Expr, values: dict[Expr, Expr]) -> Expr:
        order = flat_order(body)
        for node in order:
            for variable in bound_vars(node):
                inner = self.named.get(variable)
                if inner is None or not self.inlines(inner):
                    self._binder(variable, values)
        for node in order:
            if isinstance(node, Function) and node in self.lambdas:
                inner = self.lambdas[node]
                made = self.closure(inner, [self._value(v, values) for v in inner.captured])
                values[node] = made
                if self.inlines(inner):
                    values.update(dict.fromkeys(inner.names, made))
            elif isinstance(node, Let) and self._is_inlined(node):
                values[node] = values[node.body]
            elif node not in values:
                if not isinstance(node, Var) and node.children():
                    children = [values.get(c, c) for c in node.children()]
                    values[node] = self.node(node, node.rebuild(children))
                elif not (isinstance(node, Var) and self._is_late(node)):
                    values[node] = self.node(node, node)
        return values[body]

    def _value(self, variable: Var, values: dict[Expr, Expr]) -> Expr:
        return values.get(variable, variable)

    def _is_inlined(self, let: Let) -> bool:
        inner = self.named.get(let.variable)
        return inner is not None and self.inlines(inner)

    def _is_late(self, variable: Var) -> bool:
        """Whether `variable` gets its value when the function that it names is reached."""
        inner = self.named.get(variable)
        return inner is not None and self.inlines(inner)
