"""Where the nodes of a function are evaluated: its body, the branches, the functions inside.

A scope is a place of its own that is evaluated as a whole or not at all. A node belongs to the
innermost scope that all its uses are in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Constant, Expr, Function, GlobalVar, If, Let, Op, Var
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.visit import bound_vars, post_order


@dataclass(eq=False)
class Scope:
    """A place where values may be bound: the body of a function, a branch, a clause."""

    parent: "Scope | None"
    bindings: list[tuple[Var, Expr]] = field(default_factory=list)
    depth: int = field(init=False)
    jump: "Scope" = field(init=False, repr=False)
    """A scope around this one, further out the deeper this one is; how far depends on `depth`

    alone, so that a few jumps lead from anywhere to anywhere outside.
    """

    def __post_init__(self) -> None:
        parent = self.parent
        if parent is None:
            self.depth, self.jump = 0, self
            return
        self.depth = parent.depth + 1
        near, far = parent.jump, parent.jump.jump
        same = parent.depth - near.depth == near.depth - far.depth
        self.jump = far if same else parent

    def common(self, other: "Scope") -> "Scope":
        """The innermost scope that both are in, in steps logarithmic in the depth.

        (Myers, "An applicative random-access stack", 1983.)
        """
        a, b = (self, other) if self.depth >= other.depth else (other, self)
        while a.depth > b.depth:
            a = a.jump if a.jump.depth >= b.depth else a._outer()
        while a is not b:
            if a.jump is b.jump:
                a, b = a._outer(), b._outer()
            else:
                a, b = a.jump, b.jump
        return a

    def _outer(self) -> "Scope":
        assert self.parent is not None, "all scopes are in the function's own"
        return self.parent

    def close(self, result: Expr) -> Expr:
        """The bindings around `result`. A last binding that is the result is not needed."""
        bindings = self.bindings
        if bindings and bindings[-1][0] is result and not isinstance(bindings[-1][1], Function):
            result, bindings = bindings[-1][1], bindings[:-1]
        for variable, value in reversed(bindings):
            result = Let(variable, value, result)
        return result


def is_opened(node: Expr) -> bool:
    """Whether `node` is a function that passes look into: one that is not primitive."""
    return isinstance(node, Function) and "Primitive" not in node.attrs


def is_atomic(node: Expr) -> bool:
    """Whether evaluating `node` is no work."""
    return isinstance(node, Var | GlobalVar | Constant | Constructor | Op)


def own_scopes(node: Expr) -> Sequence[Expr]:
    """The children of `node` that are evaluated in scopes of their own."""
    if isinstance(node, If):
        return (node.true_branch, node.false_branch)
    if isinstance(node, Function) and is_opened(node):
        return (node.body,)
    if isinstance(node, Match):
        return tuple(clause.rhs for clause in node.clauses)
    return ()


@dataclass(eq=False)
class ScopeTree:
    """The scopes of the function `root`.

    `order` is the post-order of `root`, primitive functions closed; `scope_of` the scope of each
    node, `inner` that of child number *i* of those in `own_scopes` of a node; `shared` the nodes
    that are used in several scopes.
    """

    root: Expr
    order: list[Expr] = field(init=False)
    scope_of: dict[Expr, Scope] = field(init=False)
    inner: dict[tuple[Expr, int], Scope] = field(default_factory=dict)
    shared: set[Expr] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.order = post_order(self.root, enter_primitive=False)
        self.scope_of = {self.root: Scope(None)}
        for node in reversed(self.order):
            scope = self.scope_of[node]
            own = own_scopes(node)
            for position, child in enumerate(own):
                inner = self.inner[node, position] = Scope(scope)
                self._use(child, inner)
            bound = bound_vars(node)
            for variable in bound:
                self.scope_of.setdefault(variable, scope)
            if isinstance(node, Function):
                continue
            for child in node.children()[len(bound) :]:
                if child not in own:
                    self._use(child, scope)

    def _use(self, node: Expr, scope: Scope) -> None:
        known = self.scope_of.get(node)
        if known is None:
            self.scope_of[node] = scope
        elif known is not scope:
            self.scope_of[node] = known.common(scope)
            self.shared.add(node)

    def crossing(self) -> list[Expr]:
        """The nodes that are work and are used in several scopes, in order of evaluation.

        A primitive function that is only called is no work.
        """
        return [n for n in self.order if n in self.shared and not is_atomic(n) and _is_work(n)]


def _is_work(node: Expr) -> bool:
    return not isinstance(node, Function) or is_opened(node)


def check_basic_block_normal_form(expr: Expr | IRModule) -> bool:
    """Whether no value is used in several scopes other than through a variable."""
    if isinstance(expr, IRModule):
        return all(check_basic_block_normal_form(f) for f in expr.functions.values())
    return not ScopeTree(expr).crossing()


def is_a_normal_form(func: Function) -> bool:
    """Whether the arguments of all that is computed in `func` are atoms already."""
    bound_or_last: set[Expr] = {func, func.body}
    order = post_order(func, enter_primitive=False)
    for node in order:
        if isinstance(node, Let):
            bound_or_last.add(node.body)
            if not isinstance(node.value, Let):
                bound_or_last.add(node.value)
        bound_or_last.update(own_scopes(node))
        if isinstance(node, Call) and isinstance(node.op, Function) and not is_opened(node.op):
            bound_or_last.add(node.op)
    return all(is_atomic(node) or node in bound_or_last for node in order)
