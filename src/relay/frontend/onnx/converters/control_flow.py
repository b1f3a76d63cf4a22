"""Branches and loops: nodes with graphs inside."""

from collections.abc import Sequence
from typing import Final

from onnx import GraphProto

from relay.frontend.onnx.captures import Captured
from relay.frontend.onnx.division import Divided, chosen
from relay.frontend.onnx.loops import Loop, Step, stacked
from relay.frontend.onnx.node import Node, Result
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.structure import all_nodes, graphs_in
from relay.ir.expr import Expr

_INDEX: Final = "int64"


def _scalar(node: Node, value: Expr, dtype: str) -> Expr:
    """`value`, a scalar or a tensor of one element, as a scalar of `dtype`."""
    found = node.type_of(value)
    if found.dtype != dtype or any(d != 1 for d in found.shape if isinstance(d, int)):
        node.fail(f"expected one element of {dtype}, found {found}")
    return node.call("reshape", value, newshape=()) if found.shape else value


# ---------------------------------------------------------------- branches


@onnx_op("", "If")
def branches(node: Node) -> Result:
    """One of two graphs, as a condition says; that one alone, where it is known."""
    condition = _scalar(node, node.arg(0), "bool")
    graphs = node.graph("then_branch"), node.graph("else_branch")
    if any(len(g.output) < len(node.outputs) for g in graphs):
        node.fail(f"it has {len(node.outputs)} outputs, but one of its branches has less")
    known = node.known(condition)
    if known is not None:
        return node.scope.inner(graphs[0] if known else graphs[1], [])
    made = [_branch(node, g) for g in graphs]
    inner = next((m for m in made if isinstance(m, Divided)), None)
    if inner is not None:
        raise Divided(inner.message, condition, made, node.span)
    used = [k for k in range(len(node.outputs)) if node.output_is_used(k)]
    sides = [[m[k] for k in used] for m in made if not isinstance(m, Divided)]
    values = chosen(condition, sides[0], sides[1], node.span)
    if isinstance(values, int):
        one, other = (side[values].checked_type for side in sides)
        raise Divided(
            f"{node}: its output {used[values]} ({node.outputs[used[values]]!r}) is {one} in one "
            f"branch and {other} in the other; only sizes may differ",
            condition,
            (_in_place(node, used, sides[0]), _in_place(node, used, sides[1])),
            node.span,
        )
    return _in_place(node, used, values)


def _branch(node: Node, graph: GraphProto) -> list[Expr] | Divided:
    """The outputs of a branch; how it is divided, if it is."""
    try:
        return node.scope.inner(graph, [])
    except Divided as division:
        return division


def _in_place(node: Node, used: Sequence[int], values: Sequence[Expr]) -> list[Expr | None]:
    """Values of the outputs that are `used`, and None for the others."""
    found = dict(zip(used, values, strict=True))
    return [found.get(k) for k in range(len(node.outputs))]


# ---------------------------------------------------------------- loops


def _size(graph: GraphProto) -> int | None:
    """The number of nodes of a body, where it is simple enough to be written out."""
    return None if any(map(graphs_in, graph.node)) else len(list(all_nodes(graph.node)))


@onnx_op("", "Loop")
def loop(node: Node) -> Result:
    """A graph again and again, so many times or as long as a condition holds.

    Its values for the next iteration come out at the end; what else it makes is gathered. Without
    a condition at first, the condition that the body makes does not matter.
    """
    graph = node.graph("body")
    trip, condition = node.optional(0), node.optional(1)
    carried = [node.arg(k) for k in range(2, len(node.inputs))]
    count = len(carried)
    outputs = len(graph.output) - 1 - count
    if len(graph.input) != 2 + count or not max(0, len(node.outputs) - count) <= outputs:
        node.fail(
            f"its body has {len(graph.input)} inputs and {len(graph.output)} outputs, which do not "
            f"go with its own {len(node.inputs)} inputs and {len(node.outputs)} outputs"
        )
    used = [k for k in range(outputs) if node.output_is_used(count + k)]
    trip = None if trip is None else _scalar(node, trip, _INDEX)

    def body(index: Expr, goes_on: Expr, values: Sequence[Expr], captured: Captured | None) -> Step:
        made = node.scope.inner(graph, [index, goes_on, *values], captured)
        left = [made[1 + count + k] for k in used]
        return Step(made[1 : 1 + count], left, _scalar(node, made[0], "bool"))

    names = [i.name for i in graph.input[2:]] + [graph.output[1 + count + k].name for k in used]
    first = None if condition is None else _scalar(node, condition, "bool")
    last, gathered = Loop(node, body, carried, names, trip, first, size=_size(graph)).results()
    exact = trip if condition is None else None
    stacks = [
        stacked(node, g, graph.output[1 + count + k], exact)
        for g, k in zip(gathered, used, strict=True)
    ]
    found = dict(zip(used, stacks, strict=True))
    return [*last, *(found.get(k) for k in range(outputs))]


# ---------------------------------------------------------------- scans


def _extent(node: Node, value: Expr, axis: int) -> Expr:
    """The size of `value` along `axis`, a scalar."""
    size = node.type_of(value).shape[axis]
    if isinstance(size, int):
        return node.constant(size, _INDEX)
    sizes = node.call("shape_of", value, dtype=_INDEX)
    return node.call("take", sizes, node.constant(axis, _INDEX), axis=0)


def _at(node: Node, value: Expr, position: Expr, axis: int) -> Expr:
    """The slice of `value` at `position` along `axis`, without that axis."""
    return node.call("take", value, position, axis=axis)


class _Scan:
    """A scan: a graph for each slice of its last inputs, with states from one to the next."""

    def __init__(self, node: Node, arguments: Sequence[Expr], axis: int) -> None:
        self.node = node
        self.graph = node.graph("body")
        scanned = node.integer("num_scan_inputs")
        self.states = len(arguments) - scanned
        self.outputs = len(self.graph.output) - self.states
        fits = scanned > 0 and self.states >= 0 and len(self.graph.input) == len(arguments)
        if not fits or not max(0, len(node.outputs) - self.states) <= self.outputs:
            node.fail(
                f"its body has {len(self.graph.input)} inputs and {len(self.graph.output)} "
                f"outputs, which do not go with {len(arguments)} inputs, {scanned} of which are "
                f"scanned, and {len(node.outputs)} outputs"
            )
        old = "directions" if node.has("directions") else "scan_input_directions"
        self.axes = self._each("scan_input_axes", scanned, axis)
        self.backward = self._each(old, scanned, 0)
        self.output_axes = self._each("scan_output_axes", self.outputs, 0)
        self.output_backward = self._each("scan_output_directions", self.outputs, 0)
        self.used = [k for k in range(self.outputs) if node.output_is_used(self.states + k)]

    def _each(self, name: str, count: int, default: int) -> list[int]:
        found = self.node.integers(name)
        if found is not None and len(found) != count:
            self.node.fail(f"its attribute {name!r} needs {count} numbers, found {found}")
        return [default] * count if found is None else found

    def run(
        self, arguments: Sequence[Expr], outer: Captured | None, length: Expr | None = None
    ) -> list[Expr]:
        """The states after all slices of `arguments`, then the outputs that are used.

        From slice number `length` on, if that is given, states stay and outputs are 0.
        """
        node, graph = self.node, self.graph
        states, scanned = arguments[: self.states], arguments[self.states :]
        axes = [node.normal_axis(a, node.rank(x)) for a, x in zip(self.axes, scanned, strict=True)]
        extents = [_extent(node, x, a) for a, x in zip(axes, scanned, strict=True)]
        trip = next((e for e in extents if node.known(e) is not None), extents[0])

        def seen(name: str, value: Expr, captured: Captured | None) -> Expr:
            return value if captured is None else captured.variable(name, value)

        def body(index: Expr, _: Expr, values: Sequence[Expr], captured: Captured | None) -> Step:
            slices = []
            for k, value in enumerate(scanned):
                position = index
                if self.backward[k]:
                    last = node.call("subtract", trip, node.constant(1, _INDEX))
                    position = node.call("subtract", seen("last", last, captured), index)
                source = seen(graph.input[self.states + k].name, value, captured)
                slices.append(_at(node, source, position, axes[k]))
            made = node.scope.inner(graph, [*values, *slices], captured)
            made = [*made[: self.states], *(made[self.states + k] for k in self.used)]
            if length is not None:
                inside = node.call("less", index, seen("length", length, captured))
                made = [
                    node.call("where", inside, m, values[k])
                    if k < self.states
                    else node.call("where", inside, m, node.call("zeros_like", m))
                    for k, m in enumerate(made)
                ]
            return Step(made[: self.states], made[self.states :])

        names = [i.name for i in graph.input[: self.states]]
        names += [graph.output[self.states + k].name for k in self.used]
        size = _size(graph) if outer is None else None
        last, gathered = Loop(node, body, states, names, trip, outer=outer, size=size).results()
        stacks = [
            stacked(
                node,
                g,
                graph.output[self.states + k],
                trip,
                self.output_axes[k],
                bool(self.output_backward[k]),
            )
            for k, g in zip(self.used, gathered, strict=True)
        ]
        return [*last, *stacks]

    def results(self, found: Sequence[Expr]) -> Result:
        """The outputs of the node: all states, and those of the others that are used."""
        rest = dict(zip(self.used, found[self.states :], strict=True))
        return [*found[: self.states], *(rest.get(k) for k in range(self.outputs))]


@onnx_op("", "Scan", since=9)
def scan(node: Node) -> Result:
    """A graph for each slice of tensors, which hands states on and makes slices of outputs."""
    arguments = node.args()
    scanned = _Scan(node, arguments, 0)
    return scanned.results(scanned.run(arguments, None))


@onnx_op("", "Scan", since=8)
def batched_scan(node: Node) -> Result:
    """A scan for each element of a batch: the first axis of everything; the next one is scanned.

    Sequences may have a length each: what is behind it leaves the states as they are.
    """
    lengths = node.optional(0)
    arguments = [node.arg(k) for k in range(1, len(node.inputs))]
    inner = _Scan(node, arguments, 0)
    batch = _extent(node, arguments[-1], 0)

    def body(index: Expr, _: Expr, __: Sequence[Expr], captured: Captured | None) -> Step:
        own = [
            _at(node, value if captured is None else captured.variable(f"x{k}", value), index, 0)
            for k, value in enumerate(arguments)
        ]
        length = None
        if lengths is not None:
            every = lengths if captured is None else captured.variable("lengths", lengths)
            length = _at(node, every, index, 0)
        return Step([], inner.run(own, captured, length))

    outputs = [*range(inner.states), *(inner.states + k for k in inner.used)]
    names = [inner.graph.output[k].name for k in outputs]
    _, gathered = Loop(node, body, [], names, batch).results()
    stacks = [
        stacked(node, g, inner.graph.output[k], batch)
        for g, k in zip(gathered, outputs, strict=True)
    ]
    return inner.results(stacks)
