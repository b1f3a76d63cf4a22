"""`FuseOps`: group operator calls into functions that become one kernel each."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from relay.ir.expr import Call, Constant, Expr, Function, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.visit import rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import is_call_of
from relay.transform.fusion_groups import Grouping, operands
from relay.transform.lets import Effects, impure_nodes

DEFAULT_MAX_DEPTH = 256


@dataclass(frozen=True)
class FuseOps(FunctionPass):
    """Group operator calls into functions with the attribute ``Primitive=1``, one kernel each.

    `fuse_opt_level` 0 makes every call a group of its own; -1 takes the context's level.
    `max_depth` (or the context's ``relay.FuseOps.max_depth``, where that is set) bounds the number
    of calls in a group. Which calls join is said in `relay.transform.fusion_groups`.

    Constants of one element go into the function, larger ones are passed as arguments. A group
    that consists of views only (``reshape`` and the like) also gets ``reshape_only=1``. The marks
    ``annotation.stop_fusion``, over which no group goes, and ``annotation.checkpoint`` go. ::

        %0 = nn.dense(%x, %w);  %1 = add(%0, %b);  nn.relu(%1)
        ->
        %3 = fn (%p0, %p1, %p2, Primitive=1) { nn.relu(add(nn.dense(%p0, %p1), %p2)) };
        %3(%x, %w, %b)
    """

    fuse_opt_level: int = -1
    max_depth: int = DEFAULT_MAX_DEPTH

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        if "Primitive" in func.attrs:
            return func
        level = context.opt_level if self.fuse_opt_level == -1 else self.fuse_opt_level
        configured = context.config.get("relay.FuseOps.max_depth", self.max_depth)
        assert isinstance(configured, int), "the context checks the types of its configuration"
        body = _without_checkpoints(func.body)
        grouping = Grouping(body, configured, fuse=level > 0)
        if grouping.calls:
            body = _rewrite(body, grouping)
        result = func.rebuild((*func.params, body))
        assert isinstance(result, Function)
        return result


def _without_checkpoints(body: Expr) -> Expr:
    """`body` without the marks of checkpoints, and without tuples that are taken apart at once."""
    effects = Effects()

    def simplified(expr: Expr) -> Expr:
        unmarked = expr.args[0] if is_call_of(expr, "annotation.checkpoint") else expr
        return _projected(unmarked, effects)

    return rewrite(body, simplified, enter_primitive=False)


def _projected(expr: Expr, effects: Effects) -> Expr:
    """`expr`, noted in `effects`; the field itself where it is one of a tuple that stands there.

    The tuple stays where another field of it has an effect.
    """
    effects.note(expr)
    if isinstance(expr, TupleGetItem) and isinstance(expr.tuple_value, Tuple):
        fields = expr.tuple_value.fields
        others = (*fields[: expr.index], *fields[expr.index + 1 :])
        return expr if any(f in effects.nodes for f in others) else fields[expr.index]
    return expr


def _rewrite(body: Expr, grouping: Grouping) -> Expr:
    """`body` with each group of calls replaced by a call of one primitive function."""
    groups = grouping.members()
    impure = impure_nodes(grouping.order)
    position = {node: k for k, node in enumerate(grouping.order)} if impure else {}
    effects = Effects()
    done: dict[Expr, Expr] = {}
    for node in grouping.order:
        index = grouping.index.get(node)
        if index is None:
            children = node.children()
            # What is in a primitive function is not walked over, so its children are not there.
            known = not children or children[-1] in done
            new = node.rebuild([done[c] for c in children]) if known else node
            done[node] = _projected(new, effects)
        elif index in groups:
            calls = [grouping.calls[i] for i in groups[index]]
            if is_call_of(node, "annotation.stop_fusion"):
                done[node] = _value(node.args[0], done)
                continue
            values = _read(calls, impure, position)
            views = all(grouping.is_view(i) for i in groups[index])
            done[node] = _primitive_call(calls, values, done, reshape_only=views)
            effects.note(done[node])
    return done[body]


def _read(
    calls: Sequence[Call], impure: AbstractSet[Expr], position: Mapping[Expr, int]
) -> list[Expr]:
    """What a group of calls reads from outside, by first use.

    Where evaluating it may have an effect, it is in the order of evaluation instead.
    """
    inside = set[Expr](calls)
    read = dict.fromkeys(
        value
        for call in calls
        for value in operands(call)
        if value not in inside and not (isinstance(value, Constant) and is_scalar(value))
    )
    if impure.isdisjoint(read):
        return list(read)
    return sorted(read, key=lambda value: position[value])


def _value(expr: Expr, done: Mapping[Expr, Expr]) -> Expr:
    """What `expr` has become; a tuple may be an argument only, and not have become anything."""
    if isinstance(expr, Tuple) and expr not in done:
        return expr.rebuild([done[f] for f in expr.fields])
    return done[expr]


def _primitive_call(
    calls: Sequence[Call], values: Sequence[Expr], outer: Mapping[Expr, Expr], reshape_only: bool
) -> Call:
    """A call of the primitive function that computes the last of `calls` from all of them.

    `values` are read from outside of the group; `outer` gives what they have become.
    """
    params = [Var(f"p{k}", value.checked_type) for k, value in enumerate(values)]
    arguments = [outer[value] for value in values]
    inner: dict[Expr, Expr] = dict(zip(values, params, strict=True))

    def operand(value: Expr) -> Expr:
        return inner.get(value, value)  # constants of one element stand where they are used

    for call in calls:
        inside = [
            Tuple([operand(f) for f in a.fields], a.span) if isinstance(a, Tuple) else operand(a)
            for a in call.args
        ]
        inner[call] = Call(call.op, inside, call.attrs, call.type_args, call.span)
    attrs: dict[str, object] = {"Primitive": 1}
    if reshape_only:
        attrs["reshape_only"] = 1
    last = calls[-1]
    return Call(
        Function(params, inner[last], last.checked_type, attrs=attrs), arguments, span=last.span
    )


def is_scalar(constant: Constant) -> bool:
    """Whether a constant has exactly one element."""
    return all(size == 1 for size in constant.data.shape)
