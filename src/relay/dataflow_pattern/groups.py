"""Where a pattern matches all over an expression, and functions made of the matches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from relay.dataflow_pattern.engine import Graph, Match, PatternNode, find_match, parts_of
from relay.infer import infer_expr
from relay.ir.expr import Call, Constant, Expr, Function, GlobalVar, If, Let, Op, Var
from relay.ir.types import Type
from relay.ir.visit import bound_vars, free_vars, post_order, post_order_all
from relay.support.errors import TypeInferenceError

PARTITIONED: Final = "PartitionedFromPattern"
"""The attribute of the functions that partitioning makes: the operators in them, by name."""


@dataclass(frozen=True)
class Group:
    """One match: the expressions that belong to it, the last of which is `root`, and its inputs."""

    root: Expr
    match: Match
    interior: frozenset[Expr]
    inputs: tuple[Expr, ...]


def accept(_: Expr) -> bool:
    """Take every match."""
    return True


def typed_for(pattern: PatternNode, expr: Expr) -> Expr:
    """`expr`, annotated where `pattern` asks for types that cannot be had otherwise."""
    if not any(part.needs_types for part in parts_of(pattern)):
        return expr
    try:
        expr.checked_type  # noqa: B018 - derives the types, or fails to
    except TypeInferenceError:
        return infer_expr(expr)
    return expr


def matches(pattern: PatternNode, expr: Expr) -> bool:
    """Whether `pattern` matches `expr` itself.

    Raises `TypeInferenceError` where the pattern asks for types and `expr` is ill typed.
    """
    expr = typed_for(pattern, expr)
    return find_match(pattern, expr, Graph(expr)) is not None


def find_groups(
    pattern: PatternNode, root: Expr, check: Callable[[Expr], bool] = accept
) -> dict[Expr, Group]:
    """The matches of `pattern` in `root` that can be replaced, by the node that they end in.

    They are looked for from the results backwards, and do not overlap. Left out is a match of which
    a node other than its last is used elsewhere, one that `check` (given its last node) refuses,
    and everything in functions that come from an earlier partitioning.
    """
    graph = Graph(root)
    done = [n.body for n in graph.order if isinstance(n, Function) and PARTITIONED in n.attrs]
    taken: set[Expr] = set(post_order_all(done))
    binders = {v for node in graph.order for v in bound_vars(node)}
    groups: dict[Expr, Group] = {}
    for node in reversed(graph.order):
        if node in taken:
            continue
        match = find_match(pattern, node, graph)
        if match is None or (node in binders and not graph.users[node]):
            continue
        group = _group(node, match)
        if taken.isdisjoint(group.interior) and _is_closed(group, graph) and check(node):
            groups[node] = group
            taken.update(group.interior)
    return groups


def _group(root: Expr, match: Match) -> Group:
    """What belongs to a match, and what it takes from outside, in order of use."""
    interior: set[Expr] = set()
    inputs: dict[Expr, None] = {}
    stack = [(root, False)]
    order: list[Expr] = []
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif (node is root or node in match.interior) and node not in interior:
            interior.add(node)
            stack.append((node, True))
            stack.extend((c, False) for c in reversed(_operands(node)))
    for node in order:
        for child in _operands(node):
            if child in interior:
                continue
            if isinstance(child, Function):
                inputs.update(dict.fromkeys(free_vars(child)))
            elif not _stays(child, match):
                inputs[child] = None
    return Group(root, match, frozenset(interior), tuple(inputs))


def _operands(node: Expr) -> tuple[Expr, ...]:
    """What `node` takes as it is. What has a scope of its own is taken whole: its free variables.

    The branches of an if are such, too, since only one of them is evaluated.
    """
    if isinstance(node, Let | Function):
        return tuple(free_vars(node))
    if isinstance(node, If):
        return (node.cond, *free_vars(node.true_branch), *free_vars(node.false_branch))
    return node.children()


def _stays(node: Expr, match: Match) -> bool:
    """Whether an operand of a match goes into the function that is made of it."""
    return isinstance(node, GlobalVar | Op) or (
        isinstance(node, Constant) and node in match.constants
    )


def _is_closed(group: Group, graph: Graph) -> bool:
    """Whether only the last node of the match is used outside of it."""
    return all(
        node is group.root
        or (node is not graph.root and group.interior.issuperset(graph.users[node]))
        for node in group.interior
    )


def type_or_none(expr: Expr) -> Type | None:
    """The type of `expr`, where it has one without inference."""
    try:
        return expr.checked_type
    except TypeInferenceError:
        return None


def _extracted(group: Group, number: int, attrs: Mapping[str, object]) -> Function:
    """The function of the inputs of a match that computes its last node."""
    params = [
        Var(f"FunctionVar_{number}_{k}", type_or_none(value))
        for k, value in enumerate(group.inputs)
    ]
    done: dict[Expr, Expr] = dict(zip(group.inputs, params, strict=True))
    names: list[str] = []
    stack = [(group.root, False)]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        children = node.children()
        if not ready:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children) if child not in done)
            continue
        binders = len(bound_vars(node))
        used = [*children[:binders], *(done[child] for child in children[binders:])]
        done[node] = node.rebuild(used)
        if isinstance(node, Call) and isinstance(node.op, Op):
            names.append(f"{node.op.name}_")
    marked = {PARTITIONED: "".join(names), **attrs}
    return Function(params, done[group.root], type_or_none(group.root), attrs=marked)


def partition_expr(
    pattern: PatternNode,
    expr: Expr,
    attrs: Mapping[str, object] | None = None,
    check: Callable[[Expr], bool] = accept,
) -> Expr:
    """`expr` with each match of `pattern` as a call of a function of its own.

    The function has the attribute ``PartitionedFromPattern``, which names its operators, and those
    of `attrs`. What wildcards and variables matched become its parameters; constants that the
    pattern names as constants stay inside. `check` may refuse a match, given its last node. See
    `find_groups` for which matches count. ::

        relu(conv2d(%x, %w))
        ->
        (fn (%FunctionVar_0_0, %FunctionVar_0_1, PartitionedFromPattern="nn.conv2d_nn.relu_") {
          nn.relu(nn.conv2d(%FunctionVar_0_0, %FunctionVar_0_1))
        })(%x, %w)
    """
    expr = typed_for(pattern, expr)
    groups = find_groups(pattern, expr, check)
    if not groups:
        return expr
    done: dict[Expr, Expr] = {}
    number = 0
    for node in post_order(expr):
        group = groups.get(node)
        if group is None:
            done[node] = rebuilt(node, done)
            continue
        function = _extracted(group, number, attrs or {})
        done[node] = Call(function, [done[value] for value in group.inputs], span=node.span)
        number += 1
    return done[expr]


def rebuilt(node: Expr, done: Mapping[Expr, Expr]) -> Expr:
    """`node` over what its children have become; variables that it binds stay as they are."""
    children = node.children()
    if not children:
        return node
    binders = len(bound_vars(node))
    return node.rebuild([*children[:binders], *(done[child] for child in children[binders:])])
