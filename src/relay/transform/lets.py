"""What the passes over lets share: effects, uses of variables, inlining."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Expr, Function, GlobalVar, Let, Op, Var
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.visit import bound_vars, post_order, used_children


def lets_of(order: Sequence[Expr]) -> dict[Var, Let]:
    """The lets among the nodes of `order`, by the variable that they bind."""
    return {node.variable: node for node in order if isinstance(node, Let)}


def pure_functions(module: IRModule) -> frozenset[str]:
    """The names of the functions of `module` whose calls have no effects, whatever they are given.

    A function is pure when nothing in it is an effect, or calls a function that is not. Whether it
    ends is not asked.
    """
    callers: dict[str, list[str]] = {}
    waiting: list[str] = []
    for variable, function in module.functions.items():
        name = variable.name_hint
        order = post_order(function, enter_primitive=False)
        for node in order:
            if isinstance(node, GlobalVar):
                callers.setdefault(node.name_hint, []).append(name)
        if _has_effects(order, None):
            waiting.append(name)
    impure = set(waiting)
    while waiting:
        for caller in callers.get(waiting.pop(), ()):
            if caller not in impure:
                impure.add(caller)
                waiting.append(caller)
    return frozenset(g.name_hint for g in module if g.name_hint not in impure)


def _has_effects(order: Sequence[Expr], pure: AbstractSet[str] | None) -> bool:
    """Whether anything in a program may be an effect, the insides of its functions included.

    `pure` names the global functions without effects; None: all are taken to be.
    """
    local = {n.variable for n in order if isinstance(n, Let) and isinstance(n.value, Function)}
    for node in order:
        if isinstance(node, RefCreate | RefRead | RefWrite):
            return True
        if isinstance(node, Call):
            callee = node.op
            if isinstance(callee, GlobalVar):
                if pure is not None and callee.name_hint not in pure:
                    return True
            elif isinstance(callee, Op):
                if isinstance(node.attrs, Operator) and node.attrs.stateful:
                    return True
            elif not isinstance(callee, Constructor | Function) and callee not in local:
                return True
    return False


def impure_nodes(
    order: Sequence[Expr], pure: AbstractSet[str] = frozenset(), lasting: bool = False
) -> set[Expr]:
    """The nodes of `order` (a post-order) whose evaluation may have an effect.

    Effects come from stateful operators, from references, and from calls of functions that are not
    written out where they are called. A function's own effects happen where it is called. `pure`
    names global functions that have none. With `lasting` making and reading a reference, which
    nobody notices when the result is not used, are no effects.
    """
    if not _has_effects(order, pure):
        return set()
    impure: set[Expr] = set()
    effects = RefWrite if lasting else RefCreate | RefRead | RefWrite
    for node in order:
        if isinstance(node, Function):
            continue
        called = isinstance(node, Call) and _call_is_impure(node, impure, pure)
        called = called or isinstance(node, effects)
        if called or any(child in impure for child in used_children(node)):
            impure.add(node)
    return impure


def _call_is_impure(call: Call, impure: AbstractSet[Expr], pure: AbstractSet[str]) -> bool:
    if isinstance(call.op, Op):
        return isinstance(call.attrs, Operator) and call.attrs.stateful
    if isinstance(call.op, GlobalVar):
        return call.op.name_hint not in pure
    if isinstance(call.op, Constructor):
        return False
    return not isinstance(call.op, Function) or call.op.body in impure


class Effects:
    """The nodes with lasting effects among those that `note` is given, children first.

    A call of a global function may always have one. It is for walks that make nodes as they go.
    """

    def __init__(self) -> None:
        self.nodes: set[Expr] = set()

    def note(self, node: Expr) -> None:
        """Remember `node` if its evaluation may have an effect."""
        if isinstance(node, Function):
            return
        called = isinstance(node, Call) and _call_is_impure(node, self.nodes, frozenset())
        if (
            called
            or isinstance(node, RefWrite)
            or (self.nodes and any(child in self.nodes for child in used_children(node)))
        ):
            self.nodes.add(node)


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
