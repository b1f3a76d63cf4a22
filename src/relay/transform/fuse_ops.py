"""`FuseOps`: group operator calls into functions that become one kernel each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.ir.expr import Call, Constant, Expr, Function, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.visit import rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import is_call_of
from relay.transform.fusion_groups import Grouping

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
        body = rewrite(func.body, _without_checkpoint, enter_primitive=False)
        grouping = Grouping(body, configured, fuse=level > 0)
        if grouping.calls:
            body = _rewrite(body, grouping)
        result = func.rebuild((*func.params, body))
        assert isinstance(result, Function)
        return result


def _without_checkpoint(expr: Expr) -> Expr:
    return _projected(expr.args[0] if is_call_of(expr, "annotation.checkpoint") else expr)


def _projected(expr: Expr) -> Expr:
    """`expr`; the field itself where it is one of a tuple that stands there."""
    if isinstance(expr, TupleGetItem) and isinstance(expr.tuple_value, Tuple):
        return expr.tuple_value.fields[expr.index]
    return expr


def _rewrite(body: Expr, grouping: Grouping) -> Expr:
    """`body` with each group of calls replaced by a call of one primitive function."""
    groups = grouping.members()
    done: dict[Expr, Expr] = {}
    for node in grouping.order:
        index = grouping.index.get(node)
        if index is None:
            children = node.children()
            # What is in a primitive function is not walked over, so its children are not there.
            known = not children or children[-1] in done
            done[node] = _projected(node.rebuild([done[c] for c in children])) if known else node
        elif index in groups:
            calls = [grouping.calls[i] for i in groups[index]]
            if is_call_of(node, "annotation.stop_fusion"):
                done[node] = _value(node.args[0], done)
                continue
            views = all(grouping.is_view(i) for i in groups[index])
            done[node] = _primitive_call(calls, done, reshape_only=views)
    return done[body]


def _value(expr: Expr, done: Mapping[Expr, Expr]) -> Expr:
    """What `expr` has become; a tuple may be an argument only, and not have become anything."""
    if isinstance(expr, Tuple) and expr not in done:
        return expr.rebuild([done[f] for f in expr.fields])
    return done[expr]


def _primitive_call(calls: Sequence[Call], outer: Mapping[Expr, Expr], reshape_only: bool) -> Call:
    """A call of the primitive function that computes the last of `calls` from all of them.

    `outer` gives what the values from outside of the group have become.
    """
    inner: dict[Expr, Expr] = {}
    params: list[Var] = []
    arguments: list[Expr] = []

    def operand(value: Expr) -> Expr:
        if value not in inner:
            if isinstance(value, Constant) and is_scalar(value):
                inner[value] = value
            else:
                params.append(Var(f"p{len(params)}", value.checked_type))
                arguments.append(outer[value])
                inner[value] = params[-1]
        return inner[value]

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
