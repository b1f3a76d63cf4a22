"""`ToANormalForm`: from sharing to lets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Constant, Expr, Function, GlobalVar, If, Let, Op, Var
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.visit import post_order
from relay.transform.base import FunctionPass, PassContext


@dataclass(frozen=True)
class ToANormalForm(FunctionPass):
    """Bind every intermediate value to a variable, in order of evaluation.

    What two branches or functions share is bound outside of both. Variables, constants, and
    primitive functions where they are called stay as they are. ::

        add(exp(%x), tanh(%x))   ->   let %x1 = exp(%x); let %x2 = tanh(%x); add(%x1, %x2)
    """

    opt_level = 1
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        if "Primitive" in func.attrs:
            return func
        return func if _is_normal(func) else _Normalizer(func).run()


@dataclass(eq=False)
class _Scope:
    """A place where values are bound: the body of a function, a branch of an if."""

    parent: "_Scope | None"
    bindings: list[tuple[Var, Expr]] = field(default_factory=list)
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        self.depth = 0 if self.parent is None else self.parent.depth + 1

    def common(self, other: "_Scope") -> "_Scope":
        """The innermost scope that both are in."""
        a, b = self, other
        while a is not b:
            if a.depth < b.depth:
                a, b = b, a
            assert a.parent is not None, "all scopes are in the function's own"
            a = a.parent
        return a

    def close(self, result: Expr) -> Expr:
        """The bindings around `result`. A last binding that is the result is not needed."""
        bindings = self.bindings
        if bindings and bindings[-1][0] is result and not isinstance(bindings[-1][1], Function):
            result, bindings = bindings[-1][1], bindings[:-1]
        for variable, value in reversed(bindings):
            result = Let(variable, value, result)
        return result


def _is_opened(node: Expr) -> bool:
    return isinstance(node, Function) and "Primitive" not in node.attrs


def _is_atomic(node: Expr) -> bool:
    return isinstance(node, Var | GlobalVar | Constant | Constructor | Op)


def _own_scopes(node: Expr) -> Sequence[Expr]:
    """The children of `node` that are evaluated in scopes of their own."""
    if isinstance(node, If):
        return (node.true_branch, node.false_branch)
    if isinstance(node, Function) and _is_opened(node):
        return (node.body,)
    if isinstance(node, Match):
        return tuple(clause.rhs for clause in node.clauses)
    return ()


class _Normalizer:
    """One run over one function."""

    def __init__(self, func: Function) -> None:
        self.func = func
        self.order = post_order(func, enter_primitive=False)
        self.inner: dict[tuple[Expr, int], _Scope] = {}
        self.scope_of = self._scopes()
        self.names = self._names()
        self.atoms: dict[Expr, Expr] = {}
        self._fresh = 0

    def _scopes(self) -> Mapping[Expr, _Scope]:
        """The scope of each node: the innermost one that all its uses are in."""
        scopes: dict[Expr, _Scope] = {self.func: _Scope(None)}
        for node in reversed(self.order):
            scope = scopes[node]
            own = _own_scopes(node)
            for position, child in enumerate(own):
                inner = self.inner[node, position] = _Scope(scope)
                scopes[child] = scopes[child].common(inner) if child in scopes else inner
            if isinstance(node, Function):
                for parameter in node.params:
                    scopes[parameter] = scope
                continue
            for child in node.children():
                if child not in own:
                    scopes[child] = scopes[child].common(scope) if child in scopes else scope
        return scopes

    def _names(self) -> Mapping[Expr, Var]:
        """The variables that lets give to values; the first one where there are several."""
        names: dict[Expr, Var] = {}
        for node in self.order:
            if isinstance(node, Let) and not _is_atomic(node.value):
                names.setdefault(node.value, node.variable)
        return names

    def _atom(self, node: Expr) -> Expr:
        return self.atoms.get(node, node)

    def _name(self, node: Expr) -> Var:
        named = self.names.get(node)
        if named is not None:
            return named
        self._fresh += 1
        return Var(f"x{self._fresh}", node.checked_type)

    def _alias(self) -> None:
        """What the variable of a let stands for where its value has another name already."""
        for node in self.order:
            if isinstance(node, Let):
                value = node.value
                name = self.names.get(value)
                if name is not node.variable:
                    self.atoms[node.variable] = self._atom(value) if name is None else name

    def run(self) -> Function:
        self._alias()
        for node in self.order:
            if _is_atomic(node) or node is self.func:
                continue
            if isinstance(node, Let):
                self.atoms[node] = self._atom(node.body)
            elif isinstance(node, Function) and not _is_opened(node):
                continue
            else:
                self._bind(node)
        body = self.inner[self.func, 0].close(self._atom(self.func.body))
        result = self.func.rebuild((*self.func.params, body))
        assert isinstance(result, Function)
        return result

    def _bind(self, node: Expr) -> None:
        """Bind the value of `node` in its scope."""
        closed = [
            self.inner[node, position].close(self._atom(child))
            for position, child in enumerate(_own_scopes(node))
        ]
        if isinstance(node, If):
            value = node.rebuild((self._atom(node.cond), *closed))
        elif isinstance(node, Function):
            value = node.rebuild((*node.params, *closed))
        elif isinstance(node, Match):
            value = node.rebuild((*node.bound, self._atom(node.data), *closed))
        else:
            value = node.rebuild([self._atom(child) for child in node.children()])
        variable = self._name(node)
        self.scope_of[node].bindings.append((variable, value))
        self.atoms[node] = variable


def _is_normal(func: Function) -> bool:
    """Whether the arguments of all that is computed in `func` are atoms already."""
    bound_or_last: set[Expr] = {func, func.body}
    order = post_order(func, enter_primitive=False)
    for node in order:
        if isinstance(node, Let):
            bound_or_last.update((node.value, node.body))
        bound_or_last.update(_own_scopes(node))
        if isinstance(node, Call) and isinstance(node.op, Function) and not _is_opened(node.op):
            bound_or_last.add(node.op)
    return all(_is_atomic(node) or node in bound_or_last for node in order)
