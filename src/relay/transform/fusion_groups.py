"""Which operator calls make one kernel: the grouping behind `FuseOps`, without any rewriting.

The rule is Relay's. Every operator has a `Pattern`; each call is looked at together with its
immediate post-dominator, the nearest call through which everything it computes must pass. Fusing a
call with everything up to its post-dominator never makes a group that another group depends on and
that depends on it. What may join what is said by the constants of type `PathRule`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from relay.analysis.post_dominators import OUTSIDE, Edge, PostDominator, immediate_post_dominators
from relay.ir.expr import Call, Constant, Expr, Tuple
from relay.ir.layout import Layout
from relay.ir.op import Operator, Pattern
from relay.ir.types import TensorType, Type
from relay.ir.visit import post_order
from relay.op.nn.layout import LayoutTransform
from relay.transform.calls import declaration, is_operator_call, operator_name
from relay.transform.split_joins import MAX_JOINED

VIEWS: Final = frozenset(
    {"reshape", "contrib_reverse_reshape", "squeeze", "expand_dims", "nn.batch_flatten"}
)
"""Operators whose result is their argument's memory under another shape."""

PERMUTATIONS: Final = VIEWS | {
    "transpose",
    "swapaxes",
    "reverse",
    "nn.depth_to_space",
    "nn.space_to_depth",
    "layout_transform",
}
"""Operators that put every element of their argument at exactly one place of the result, where
both have the same number of elements."""

READS_ONCE: Final = PERMUTATIONS | {"concatenate", "stack", "nn.pad"}
"""Operators that read every element of their arguments at most once, however large the result."""

COPYING: Final = {"nn.contrib_attention": 3}
"""Anchors that copy so many of their first operands into an order of their own before they use
them, reading each element once."""

COSTLY: Final = frozenset(
    {
        *("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "sin", "sinh", "tan"),
        *("erf", "exp", "log", "log2", "log10", "sigmoid", "tanh", "fast_exp", "fast_tanh"),
        *("fast_erf", "power", "divide", "floor_divide", "mod", "floor_mod", "sqrt", "rsqrt"),
    }
)
"""Elementwise operators worth computing once per element, not once per use of a broadcast."""


def operands(call: Call) -> list[Expr]:
    """The values that an operator call reads; a tuple written out counts as its fields."""
    found: list[Expr] = []
    for argument in call.args:
        found.extend(argument.fields if isinstance(argument, Tuple) else (argument,))
    return found


def materialized(order: Sequence[Expr]) -> set[Expr]:
    """The nodes of `order` (a post-order), without tuples that only operators take as arguments."""
    needed = {order[-1]}
    for node in reversed(order):
        if node not in needed:
            continue
        if is_operator_call(node):
            needed.update(operands(node))
        else:
            needed.update(node.children())
    return needed


def elements(type_: Type) -> int | None:
    """The number of elements of a tensor of static shape, otherwise None."""
    if isinstance(type_, TensorType) and type_.is_static:
        return math.prod(type_.concrete_shape)
    return None


def edge_pattern(operator: Operator, argument: Type, result: Type) -> Pattern:
    """How a call of `operator` uses one argument. A broadcast of equal shapes is elementwise."""
    if operator.pattern == Pattern.BROADCAST:
        if isinstance(argument, TensorType) and isinstance(result, TensorType):
            if argument.shape == result.shape and argument.is_static:
                return Pattern.ELEMWISE
    return operator.pattern


def _transposes(call: Call) -> bool:
    """Whether `call` changes which axis is contiguous: a copy of squares does that far faster."""
    if not isinstance(call.attrs, LayoutTransform) or not isinstance(call.checked_type, TensorType):
        return False
    source, target = Layout(call.attrs.src_layout), Layout(call.attrs.dst_layout)
    return source.axes[-1].letter != target.axes[-1].letter and call.checked_type.shape[-1] != 1


def _joined(call: Call) -> int:
    """How many tensors a call joins."""
    if operator_name(call) not in ("concatenate", "stack") or not isinstance(call.args[0], Tuple):
        return 0
    return len(call.args[0].fields)


@dataclass
class Group:
    """A set of calls, as a union-find node at the call that its results leave by.

    `costly`: it computes something worth computing only once per element. `joined` counts the
    tensors that its calls join.
    """

    index: int
    pattern: int
    size: int
    costly: bool
    joined: int
    parent: "Group | None" = None

    def root(self) -> "Group":
        """The group that this one has become part of; halves the path on the way."""
        node = self
        while node.parent is not None:
            if node.parent.parent is not None:
                node.parent = node.parent.parent
            node = node.parent
        return node


@dataclass(frozen=True)
class PathRule:
    """The largest patterns of groups allowed between two calls, and at the end of the paths."""

    inside: Pattern
    end: Pattern


AFTER_ANCHOR: Final = PathRule(Pattern.BROADCAST, Pattern.BROADCAST)
"""After an anchor (a contraction, a row-wise operator): what maps its elements one by one."""

AFTER_BROADCAST: Final = PathRule(Pattern.INJECTIVE, Pattern.OUT_ELEMWISE_FUSABLE)
"""Elementwise calls join all that is injective; at the end a reduction, or an epilogue."""

AFTER_INJECTIVE: Final = PathRule(Pattern.INJECTIVE, Pattern.COMM_REDUCE)
"""Injective calls join injective calls; at the end a reduction."""

PERMUTED: Final = PathRule(Pattern.INJECTIVE, Pattern.INJECTIVE)
"""After an anchor that only a permutation uses: that permutation."""


INTO_COPY: Final = PathRule(Pattern.INJECTIVE, Pattern.OUT_ELEMWISE_FUSABLE)
"""Injective calls join an anchor that brings its operands into an order of its own anyway."""


class Grouping:
    """The operator calls of an expression in groups. `calls[i]` is in the group `root(i)`."""

    def __init__(self, body: Expr, max_depth: int, fuse: bool) -> None:
        order = post_order(body, enter_primitive=False)
        needed = materialized(order)
        self.order = [node for node in order if node in needed]
        self.calls = [node for node in self.order if is_operator_call(node)]
        self.index: dict[Expr, int] = {call: i for i, call in enumerate(self.calls)}
        self._groups = [
            Group(i, declaration(call).pattern, 1, operator_name(call) in COSTLY, _joined(call))
            for i, call in enumerate(self.calls)
        ]
        self._max_depth = max_depth
        self._edges = self._dataflow(body)
        if fuse:
            dominators = immediate_post_dominators(self._edges)
            # Anchors take their epilogues before injective calls can take those away.
            for phase in (0, 1):
                for i, dominator in enumerate(dominators):
                    self._visit(i, dominator, phase)

    def _dataflow(self, body: Expr) -> list[list[Edge]]:
        """Edges from each call to the calls that use it; any other use leads outside."""
        edges: list[list[Edge]] = [[] for _ in self.calls]
        for node in self.order:
            inside = self.index.get(node, OUTSIDE)
            used = operands(node) if isinstance(node, Call) and inside >= 0 else node.children()
            copied = COPYING.get(operator_name(node), len(used))
            for position, operand in enumerate(used):
                source = self.index.get(operand)
                if source is None:
                    continue
                pattern = Pattern.OPAQUE
                if isinstance(node, Call) and inside >= 0 and position < copied:
                    pattern = edge_pattern(
                        declaration(node), operand.checked_type, node.checked_type
                    )
                edges[source].append((inside, pattern))
        if body in self.index:
            edges[self.index[body]].append((OUTSIDE, Pattern.OPAQUE))
        return edges

    def root(self, index: int) -> int:
        """The number of the call that the group of call `index` ends in."""
        return self._groups[index].root().index

    def _visit(self, index: int, dominator: PostDominator, phase: int) -> None:
        group = self._groups[index]
        sink = dominator.node
        if sink == OUTSIDE or group.root() is self._groups[sink].root():
            return
        if group.pattern == Pattern.OUT_ELEMWISE_FUSABLE:
            if phase == 0:
                self._visit_anchor(index, dominator)
        elif operator_name(self.calls[sink]) in COPYING and group.pattern <= Pattern.INJECTIVE:
            copied = phase == 1 and dominator.weight <= Pattern.OUT_ELEMWISE_FUSABLE
            if copied and not self._repeats_work(index, sink):
                self._fuse(index, sink, INTO_COPY)
        elif group.pattern <= Pattern.BROADCAST:
            if dominator.weight <= Pattern.COMM_REDUCE and not self._repeats_work(index, sink):
                self._fuse(index, sink, AFTER_BROADCAST)
        elif group.pattern == Pattern.INJECTIVE:
            if phase == 1 and not self._repeats_work(index, sink):
                self._fuse(index, sink, AFTER_INJECTIVE)

    def _visit_anchor(self, index: int, dominator: PostDominator) -> None:
        if dominator.weight == Pattern.ELEMWISE:
            self._fuse(index, dominator.node, AFTER_ANCHOR)
            return
        # A permutation keeps a one-to-one relation only while nothing else uses the result.
        if len(self._edges[index]) == 1 and self._permutes(dominator.node):
            self._fuse(index, dominator.node, PERMUTED)

    def _permutes(self, index: int) -> bool:
        call = self.calls[index]
        size = elements(call.checked_type)
        return (
            operator_name(call) in PERMUTATIONS
            and not _transposes(call)
            and size is not None
            and size == elements(call.args[0].checked_type)
        )

    def _repeats_work(self, index: int, sink: int) -> bool:
        """Whether fusion would compute costly elements once per use, where uses outnumber them."""
        if not self._groups[index].costly:
            return False
        only_user = all(target == sink for target, _ in self._edges[index])
        if only_user and operator_name(self.calls[sink]) in READS_ONCE:
            return False
        source_size = elements(self.calls[index].checked_type)
        sink_size = elements(self.calls[sink].checked_type)
        if source_size is None or sink_size is None:
            return False
        return source_size < sink_size

    def _fuse(self, source: int, sink: int, rule: PathRule) -> None:
        """Fuse everything on the paths from `source` to `sink`, if the rule allows all of it."""
        between = self._between(source, sink, rule)
        if between is None:
            return
        target = self._groups[sink].root()
        roots = {id(g): g for g in (self._groups[i].root() for i in (source, *between))}
        roots.pop(id(target), None)
        if target.size + sum(g.size for g in roots.values()) > self._max_depth:
            return
        joining = [g.joined for g in (target, *roots.values()) if g.joined]
        if len(joining) > 1 and sum(joining) > MAX_JOINED:
            return
        for group in roots.values():
            group.parent = target
            target.size += group.size
            target.costly |= group.costly
            target.joined += group.joined
            target.pattern = max(target.pattern, group.pattern)

    def _between(self, source: int, sink: int, rule: PathRule) -> list[int] | None:
        """The calls strictly between `source` and `sink`; None where the rule forbids one."""
        if self._groups[sink].root().pattern > rule.end:
            return None
        seen = {source, sink}
        found: list[int] = []
        stack = [source]
        while stack:
            for target, _ in self._edges[stack.pop()]:
                if target in seen:
                    continue
                if target == OUTSIDE or self._groups[target].root().pattern > rule.inside:
                    return None
                seen.add(target)
                found.append(target)
                stack.append(target)
                if len(found) >= self._max_depth:
                    return None
        return found

    def members(self) -> dict[int, list[int]]:
        """The calls of each group in order of evaluation, by the call that the group ends in.

        Views at the borders of a group are groups of their own: they cost nothing there, and
        without them the kernel reads and writes in a simpler order.
        """
        groups: dict[int, list[int]] = {}
        for i in range(len(self.calls)):
            groups.setdefault(self.root(i), []).append(i)
        return {part[-1]: part for group in groups.values() for part in self._peel(group)}

    def _peel(self, group: list[int]) -> list[list[int]]:
        """Split a group into its leading views, the rest, and its trailing views."""
        if all(self.is_view(i) for i in group):
            return [group]
        trailing: list[list[int]] = []
        while self.is_view(group[-1]):
            trailing.append([group[-1]])
            group = group[:-1]
        inside = set(group)
        leading: list[list[int]] = []
        for i in group:
            if self.is_view(i) and self.index.get(self.calls[i].args[0], OUTSIDE) not in inside:
                leading.append([i])
                inside.discard(i)
        return [*leading, [i for i in group if i in inside], *reversed(trailing)]

    def is_view(self, index: int) -> bool:
        """Whether a call only gives its first argument another shape."""
        call = self.calls[index]
        return operator_name(call) in VIEWS and not isinstance(call.args[0], Constant)
