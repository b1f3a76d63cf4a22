"""Walks over expressions. None of them recurses, so program depth is no limit.

Expressions form a directed acyclic graph: a node that is used twice is still visited once.
"""

from collections.abc import Callable, Iterable, Mapping

from relay.ir.expr import Call, Expr, Function, GlobalVar, Let, Var
from relay.ir.match import Match
from relay.ir.types import FuncType, Type, TypeVar


def post_order(expr: Expr, enter_primitive: bool = True) -> list[Expr]:
    """Every node of `expr` once, children before parents, in evaluation order; `expr` comes last.

    Operators (the `op` of their calls) are not nodes of the walk. With `enter_primitive` false a
    nested function that carries the attribute ``Primitive`` is listed, but what is in it is not.
    """
    return post_order_all((expr,), enter_primitive)


def post_order_all(exprs: Iterable[Expr], enter_primitive: bool = True) -> list[Expr]:
    """`post_order` of several expressions; a node that they share is listed once."""
    order: list[Expr] = []
    seen: set[Expr] = set()
    for root in exprs:
        stack: list[tuple[Expr, bool]] = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
                continue
            if node in seen:
                continue
            seen.add(node)
            children = node.children()
            if not children or (not enter_primitive and node is not root and _primitive(node)):
                order.append(node)
                continue
            stack.append((node, True))
            for child in reversed(children):
                if child not in seen:
                    stack.append((child, False))
    return order


def _primitive(node: Expr) -> bool:
    return isinstance(node, Function) and "Primitive" in node.attrs


def bound_vars(node: Expr) -> tuple[Var, ...]:
    """The variables that `node` itself binds: a function's parameters, a let's variable, those in

    the patterns of a match. They are the first of its children.
    """
    if isinstance(node, Function):
        return node.params
    if isinstance(node, Let):
        return (node.variable,)
    return node.bound if isinstance(node, Match) else ()


def used_children(node: Expr) -> tuple[Expr, ...]:
    """The children that `node` uses: all but the variables that it binds."""
    children = node.children()
    return children[len(bound_vars(node)) :]


def rewrite(expr: Expr, fn: Callable[[Expr], Expr], enter_primitive: bool = True) -> Expr:
    """Rewrite bottom-up: each node is rebuilt over its rewritten children, then given to `fn`.

    Every node is rewritten once; where `fn` returns what it was given all the way down, the result
    is `expr` itself. `fn` also sees the binding occurrences of variables, which have to stay
    variables.
    """
    done: dict[Expr, Expr] = {}
    for node in post_order(expr, enter_primitive):
        children = node.children()
        if not children or (not enter_primitive and node is not expr and _primitive(node)):
            done[node] = fn(node)
        else:
            done[node] = fn(node.rebuild([done[child] for child in children]))
    return done[expr]


def substitute(expr: Expr, mapping: Mapping[Var, Expr]) -> Expr:
    """`expr` with each variable in `mapping` replaced by what it maps to.

    A binding occurrence follows only when its variable is mapped to another variable. What is
    substituted is not looked into, and every variable is assumed to be bound at most once.
    """
    if not mapping:
        return expr
    done: dict[Expr, Expr] = {}
    for node in post_order(expr):
        if isinstance(node, Var):
            done[node] = mapping.get(node, node)
            continue
        children = node.children()
        binders = len(bound_vars(node))
        replaced = [done[child] for child in children]
        for i in range(binders):
            if not isinstance(replaced[i], Var):
                replaced[i] = children[i]
        done[node] = node.rebuild(replaced)
    return done[expr]


def bind(expr: Expr, mapping: Mapping[Var, Expr]) -> Expr:
    """`substitute`; a function loses the parameters that are bound (Relay: ``relay.bind``)."""
    if not isinstance(expr, Function):
        return substitute(expr, mapping)
    kept = [p for p in expr.params if p not in mapping]
    return expr.with_body(substitute(expr.body, mapping), kept)


def free_vars(expr: Expr) -> list[Var]:
    """The variables that `expr` uses and does not bind, in order of first use."""
    order = post_order(expr)
    bound = {v for node in order for v in bound_vars(node)}
    return [node for node in order if isinstance(node, Var) and node not in bound]


def free_type_vars(expr: Expr) -> list[TypeVar]:
    """The type variables that `expr` uses in annotations and does not bind, by first use."""
    found: dict[TypeVar, None] = {}
    bound: set[TypeVar] = set()
    for node in post_order(expr):
        for annotation in annotations(node):
            stack = [annotation]
            while stack:
                current = stack.pop()
                if isinstance(current, TypeVar):
                    found.setdefault(current)
                elif isinstance(current, FuncType):
                    bound.update(current.type_params)
                stack.extend(reversed(current.children()))
        if isinstance(node, Function):
            bound.update(node.type_params)
    return [v for v in found if v not in bound]


def annotations(node: Expr) -> list[Type]:
    """The types written at `node` itself: of a variable, a result, type arguments."""
    if isinstance(node, Var):
        return [] if node.type_annotation is None else [node.type_annotation]
    if isinstance(node, Function):
        return [] if node.ret_type is None else [node.ret_type]
    return list(node.type_args) if isinstance(node, Call) else []


def all_vars(expr: Expr) -> list[Var]:
    """Every variable in `expr`, bound or free, in order of first occurrence."""
    return [node for node in post_order(expr) if isinstance(node, Var)]


def use_counts(expr: Expr, enter_primitive: bool = True) -> dict[Expr, int]:
    """How often each node is used in `expr` (as an argument, field, body, ...).

    Binding a variable is no use of it. `expr` itself has one use more, by whoever holds it.
    """
    counts: dict[Expr, int] = {}
    for node in post_order(expr, enter_primitive):
        counts.setdefault(node, 0)
        for child in used_children(node):
            if child in counts:
                counts[child] += 1
    counts[expr] += 1
    return counts


def callees_first(functions: Mapping[GlobalVar, Function]) -> list[GlobalVar]:
    """The functions so that each comes after those that it calls, as far as there are no cycles."""
    own = {variable.name_hint: variable for variable in functions}
    order: list[GlobalVar] = []
    seen: set[str] = set()
    stack = [(variable, False) for variable in reversed(list(functions))]
    while stack:
        variable, ready = stack.pop()
        if ready:
            order.append(variable)
        elif variable.name_hint not in seen:
            seen.add(variable.name_hint)
            stack.append((variable, True))
            used = (n for n in post_order(functions[variable]) if isinstance(n, GlobalVar))
            called = [own[g.name_hint] for g in used if g.name_hint in own]
            stack.extend((callee, False) for callee in reversed(called))
    return order
