"""Carrying data layouts through a function: what `AlterOpLayout` and `ConvertLayout` share.

A pass brings a seed: the rule that says which calls are to run in other layouts. The engine
rewrites these calls and lets the calls around them follow (`relay.transform.layout_rules`), so that
``layout_transform`` appears only where a region of one layout ends. A value that is needed in two
layouts is transformed once for each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from relay.ir.expr import Call, Expr, Function, Op, Tuple, TupleGetItem
from relay.ir.layout import ArgumentChange, LayoutChange, LayoutPlan
from relay.ir.op import Operator
from relay.ir.types import TensorType, Type
from relay.ir.visit import post_order
from relay.op.nn.layout import LayoutTransform
from relay.op.tensor.reshape import ExpandDims
from relay.support.errors import InternalError
from relay.transform.layout_rules import Changes, follow

Seed: TypeAlias = Callable[[Operator, Changes, tuple[Type, ...]], LayoutPlan | None]
"""From a call's declaration, the layouts its arguments are at hand in and their types, a plan."""


@dataclass(frozen=True)
class _Moved:
    """The rewritten value of a node whose results are in other layouts than in the program."""

    value: Expr
    changes: tuple[LayoutChange | None, ...]


def carry_layouts(function: Function, seed: Seed) -> Function:
    """`function` with the calls that `seed` plans, and those that follow them, in other layouts.

    `function` itself when there are none. Parameters and result keep their layouts.
    """
    engine = _Engine(seed)
    result = function
    for node in post_order(function, enter_primitive=False):
        rewritten = engine.visit(node)
        if node is function and isinstance(rewritten, Function):
            result = rewritten
    if result is not function and result.checked_type != function.checked_type:
        raise InternalError(
            f"a change of layouts changed the type of a function from {function.checked_type} "
            f"to {result.checked_type}"
        )
    return result


class _Engine:
    """One walk, children first.

    A node's value is in `_plain`, or in `_moved`, and then in `_plain` too once somebody wants it
    in its program layout.
    """

    def __init__(self, seed: Seed) -> None:
        self._seed = seed
        self._plain: dict[Expr, Expr] = {}
        self._moved: dict[Expr, _Moved] = {}
        self._transformed: dict[tuple[Expr, LayoutChange], Expr] = {}

    def visit(self, node: Expr) -> Expr | None:
        """Rewrite `node`, whose children are rewritten; None when it moved to another layout."""
        if isinstance(node, Call) and self._visit_call(node):
            return None
        if isinstance(node, TupleGetItem) and node.tuple_value in self._moved:
            moved = self._moved[node.tuple_value]
            value, change = TupleGetItem(moved.value, node.index), moved.changes[node.index]
            if change is not None:
                self._moved[node] = _Moved(value, (change,))
                return None
            self._plain[node] = value
            return value
        children = node.children()
        entered = not children or children[0] in self._plain or children[0] in self._moved
        rebuilt = node.rebuild([self._program(c) for c in children]) if entered else node
        self._plain[node] = rebuilt
        return rebuilt

    def _visit_call(self, node: Call) -> bool:
        """Whether a plan was found for the call; then it is carried out."""
        declaration = node.attrs
        if not (isinstance(node.op, Op) and isinstance(declaration, Operator)):
            return False
        incoming = tuple(self._incoming(a) for a in node.args)
        types = tuple(a.checked_type for a in node.args)
        plan = self._seed(declaration, incoming, types)
        if plan is None:
            plan = follow(declaration, incoming, types, node.checked_type)
        if plan is None:
            return False
        args = [self._argument(a, c) for a, c in zip(node.args, plan.inputs, strict=True)]
        call = Call(plan.declaration.op, args, plan.declaration, span=node.span)
        outputs = tuple(None if c is None or c.is_identity else c for c in plan.outputs)
        if any(outputs):
            self._moved[node] = _Moved(call, outputs)
        else:
            self._plain[node] = call
        return True

    def _incoming(self, argument: Expr) -> ArgumentChange:
        if isinstance(argument, Tuple):
            return tuple(self._change(f) for f in argument.fields)
        return self._change(argument)

    def _change(self, node: Expr) -> LayoutChange | None:
        moved = self._moved.get(node)
        return moved.changes[0] if moved is not None and len(moved.changes) == 1 else None

    def _argument(self, node: Expr, change: ArgumentChange) -> Expr:
        if isinstance(change, tuple):
            assert isinstance(node, Tuple), "only the fields of a tuple expression change"
            return Tuple([self._in(f, c) for f, c in zip(node.fields, change, strict=True)])
        return self._in(node, change)

    def _in(self, node: Expr, change: LayoutChange | None) -> Expr:
        """The value of `node` in the layout that `change` leads to."""
        if change is None or change.is_identity:
            return self._program(node)
        moved = self._moved.get(node)
        at_hand = moved.changes[0] if moved is not None else None
        if moved is not None and at_hand == change:
            return moved.value
        key = (node, change)
        if key not in self._transformed:
            if moved is not None and at_hand is not None and at_hand.source == change.source:
                value, step = moved.value, LayoutChange(at_hand.target, change.target)
            else:
                value, step = self._program(node), change
            self._transformed[key] = _transform(value, step)
        return self._transformed[key]

    def _program(self, node: Expr) -> Expr:
        """The value of `node` in the layout that the program says."""
        if node not in self._plain:
            moved = self._moved[node]
            if len(moved.changes) == 1:
                self._plain[node] = _back(moved.value, moved.changes[0])
            else:
                fields = [
                    _back(TupleGetItem(moved.value, k), c) for k, c in enumerate(moved.changes)
                ]
                self._plain[node] = Tuple(fields)
        return self._plain[node]


def _back(value: Expr, change: LayoutChange | None) -> Expr:
    if change is None:
        return value
    return _transform(value, LayoutChange(change.target, change.source))


def _transform(value: Expr, change: LayoutChange) -> Expr:
    """`value` taken from one layout to the other; missing axes are added first."""
    type_ = value.checked_type
    assert isinstance(type_, TensorType), "only tensors have layouts"
    rank = len(type_.shape)
    if change.trailing:
        value = ExpandDims.call(value, axis=rank, num_newaxis=change.trailing)
    leading = change.source.rank - change.trailing - rank
    if leading:
        value = ExpandDims.call(value, axis=0, num_newaxis=leading)
    return LayoutTransform.call(value, src_layout=change.source.name, dst_layout=change.target.name)
