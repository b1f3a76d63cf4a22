"""What the passes over lets share: effects, uses of variables, inlining."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Expr, Function, Let, Op, Var
from relay.ir.op import Operator
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.visit import bound_vars, used_children


def lets_of(order: Sequence[Expr]) -> dict[Var, Let]:
    """The lets among the nodes of `order`, by the variable that they bind."""
    return {node.variable: node for node in order if isinstance(node, Let)}


def impure_nodes(order: Sequence[Expr]) -> set[Expr]:
    """The nodes of `order` (a post-order) whose evaluation may have an effect.

    Effects come from stateful operators, from references, and from calls of functions that are not
    written out where they are called. A function's own effects happen where it is called.
    """
    impure: set[Expr] = set()
    for node in order:
        if isinstance(node, Function):
            continue
        called = isinstance(node, Call) and _call_is_impure(node, impure)
        called = called or isinstance(node, RefCreate | RefRead | RefWrite)
        if called or any(child in impure for child in used_children(node)):
            impure.add(node)
    return impure


def _call_is_impure(call: Call, impure: AbstractSet[Expr]) -> bool:
    if isinstance(call.op, Op):
        return isinstance(call.attrs, Operator) and call.attrs.stateful
    if isinstance(call.op, Constructor):
        return False
    return not isinstance(call.op, Function) or call.op.body in impure


def live_uses(root: Expr, lets: Mapping[Var, Let], impure: AbstractSet[Expr]) -> dict[Var, int]:
    """How often each variable of `lets` is used by what is itself used or has effects.

    Variables without such uses are not in the result.
    """
    uses: dict[Var, int] = {}
    seen: set[Expr] = {root}
    stack: list[Expr] = [root]
    while stack:
        node = stack.pop()
        for child in _reached(node, lets, impure):
            if isinstance(child, Var) and child in lets:
                uses[child] = uses.get(child, 0) + 1
            if child not in seen:
                seen.add(child)
                stack.append(child)
    return uses


def _reached(node: Expr, lets: Mapping[Var, Let], impure: AbstractSet[Expr]) -> tuple[Expr, ...]:
    """What is used because `node` is used. Bindings are used through their variables."""
    if isinstance(node, Let):
        return (node.value, node.body) if node.value in impure else (node.body,)
    if isinstance(node, Var):
        bound = lets.get(node)
        return () if bound is None else (bound.value,)
    if isinstance(node, Function) and "Primitive" in node.attrs:
        return ()
    return used_children(node)


def remove_lets(
    func: Function,
    order: Sequence[Expr],
    lets: Mapping[Var, Let],
    dead: AbstractSet[Var],
    inline: AbstractSet[Var],
) -> Function:
    """`func` without the lets of `dead`, and with the values of `inline` in place of their uses.

    `order` is the post-order of `func`.
    """
    done: dict[Expr, Expr] = {}
    resolved: dict[Expr, Expr] = {}

    def resolve(child: Expr) -> Expr:
        """What a use of `child` has become; follows variables bound to variables."""
        path: list[Expr] = []
        while isinstance(child, Var) and child in inline and child not in resolved:
            path.append(child)
            child = lets[child].value
        found = resolved[child] if child in resolved else done[child]
        resolved.update(dict.fromkeys(path, found))
        return found

    for node in order:
        children = node.children()
        if isinstance(node, Let) and (node.variable in dead or node.variable in inline):
            done[node] = resolve(node.body)
        elif not children or children[-1] not in done:
            done[node] = node
        else:
            binders = len(bound_vars(node))
            used = [resolve(child) for child in children[binders:]]
            done[node] = node.rebuild([*children[:binders], *used])
    result = done[func]
    assert isinstance(result, Function)
    return result
