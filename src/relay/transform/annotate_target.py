"""`AnnotateTarget`: mark what external compilers take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.analysis.regions import begin, end, find_regions, mark_of
from relay.ir.expr import Call, Expr, Function, Op, Tuple, TupleGetItem
from relay.ir.module import IRModule
from relay.ir.visit import bound_vars, post_order, post_order_all
from relay.op.contrib.register import is_supported
from relay.transform.base import FunctionPass, PassContext
from relay.transform.merge_composite import COMPOSITE


@dataclass(frozen=True)
class AnnotateTarget(FunctionPass):
    """Put each call that one of `targets` supports between ``compiler_begin`` and ``compiler_end``.

    The first target that supports it counts. A target supports the calls of operators registered by
    `relay.op.contrib.register_supported`, and those of composite functions of its name. With
    `include_non_call_ops` a tuple all of whose fields come from one target, and a projection of
    what comes from one, are marked for it, too. What is in a region already stays as it is, and
    what no target supports stays unmarked. ::

        exp(nn.relu(%x))
        ->
        %0 = annotation.compiler_begin(%x, compiler="toy");
        %1 = nn.relu(%0);
        %2 = annotation.compiler_end(%1, compiler="toy");
        exp(%2)
    """

    targets: str | Sequence[str]
    include_non_call_ops: bool = True

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        if "Primitive" in func.attrs:
            return func
        order = post_order(func.body, enter_primitive=False)
        known = find_regions(order).target
        closed = [n.body for n in order if isinstance(n, Function) and COMPOSITE in n.attrs]
        inside = set(post_order_all(closed))
        done: dict[Expr, Expr] = {}
        for node in order:
            children = node.children()
            if node in inside or (isinstance(node, Function) and node.body in inside):
                done[node] = node
            elif children and children[-1] not in done:
                done[node] = node  # a primitive function
            else:
                target = None if node in known else self._target_of(node, done)
                done[node] = _annotated(node, done, target)
        result = func.rebuild((*func.params, done[func.body]))
        assert isinstance(result, Function)
        return result

    def _target_of(self, node: Expr, done: Mapping[Expr, Expr]) -> str | None:
        """The target that takes `node`."""
        names = (self.targets,) if isinstance(self.targets, str) else self.targets
        if isinstance(node, Call):
            return next((name for name in names if _takes(name, node)), None)
        if not self.include_non_call_ops or not isinstance(node, Tuple | TupleGetItem):
            return None
        marks = [mark_of(done[child]) for child in node.children()]
        found = {None if mark is None else mark.compiler for mark in marks}
        target = next(iter(found)) if len(found) == 1 else None
        return target if target in names else None


def _takes(target: str, call: Call) -> bool:
    if isinstance(call.op, Function):
        name = call.op.attrs.get(COMPOSITE)
        return isinstance(name, str) and name.partition(".")[0] == target
    return isinstance(call.op, Op) and is_supported(call, target)


def _annotated(node: Expr, done: Mapping[Expr, Expr], target: str | None) -> Expr:
    """`node` over what its children have become, as a region of its own if it has a `target`."""
    children = node.children()
    binders = len(bound_vars(node))
    used = [*children[:binders], *(done[child] for child in children[binders:])]
    if target is None:
        return node.rebuild(used)
    entered = [child if isinstance(child, Function) else _entered(child, target) for child in used]
    return end(node.rebuild(entered), target)


def _entered(value: Expr, target: str) -> Expr:
    """`value` as it goes into a region; a tuple goes in field by field."""
    if isinstance(value, Tuple):
        return Tuple([_entered(f, target) for f in value.fields], value.span)
    return begin(value, target)
