"""Tensor expressions to loop nests: one nest a stage, in order, nothing scheduled yet.

Ordered stages (`relay.te.ordered`) bring their statements with them. Sums of ``float16`` and
``bfloat16`` are accumulated in ``float32`` and rounded where they are read.

A tensor is inlined into its readers where that costs nothing: it is not reduced, and its elements
are cheap to compute again or are read once. Everything else becomes a stage with a buffer.
"""

from collections import Counter
from collections.abc import Sequence

from relay.loop.ir import Block, Buffer, For, Func, Kind, Load, Stmt, Store
from relay.loop.names import Names
from relay.loop.ordered import LoopWriter
from relay.loop.simplify import Range, simplify
from relay.te.expr import (
    Axis,
    Binary,
    Expr,
    Reduce,
    Select,
    Unary,
    Var,
    binary,
    cast,
    identity,
)
from relay.te.tensor import Read, Tensor
from relay.te.walk import post_order, rewrite, structural_key, substitute

#: Unary operations that cost about as much as an addition.
_CHEAP_UNARY = frozenset("neg abs not bitnot floor ceil trunc round isnan isinf isfinite".split())

#: A tensor read in several places is inlined only while its expression stays below this many nodes.
_MAX_SHARED_NODES = 64

#: Sums of these are accumulated in float32.
_NARROW = ("float16", "bfloat16")


def topological(outputs: Sequence[Tensor]) -> list[Tensor]:
    """All tensors that `outputs` are computed from, and they themselves, producers first."""
    order: list[Tensor] = []
    seen: set[Tensor] = set()
    stack = [(t, False) for t in reversed(outputs)]
    while stack:
        tensor, ready = stack.pop()
        if ready:
            order.append(tensor)
        elif tensor not in seen:
            seen.add(tensor)
            stack.append((tensor, True))
            stack.extend((t, False) for t in reversed(tensor.sources))
    return order


def _elements(tensor: Tensor) -> int:
    size = 1
    for d in tensor.static_shape:
        size *= d
    return size


def _iterations(tensor: Tensor) -> int:
    size = _elements(tensor)
    if isinstance(tensor.body, Reduce):
        for axis in tensor.body.axes:
            assert isinstance(axis.extent, int)
            size *= axis.extent
    return size


def _work(body: Expr) -> int:
    """How much it costs to compute `body` again: 0 for moving data only."""
    cost = 0
    for node in post_order(body):
        if node.dtype == "int64":
            continue
        if isinstance(node, Unary):
            cost += 1 if node.op in _CHEAP_UNARY else 10
        elif isinstance(node, Binary):
            cost += 10 if node.op in ("div", "pow") else 1
        elif isinstance(node, Select):
            cost += 1
    return cost


class _Inliner:
    """Decides which tensors are inlined, and carries it out, in topological order."""

    def __init__(self, outputs: Sequence[Tensor]) -> None:
        self.bodies: dict[Tensor, Expr] = {}
        self.inlined: set[Tensor] = set()
        self.order = topological(outputs)
        self.readers: dict[Tensor, list[Tensor]] = {t: [] for t in self.order}
        self.reads: Counter[Tensor] = Counter()
        for tensor in self.order:
            self.reads.update(tensor.sources)
            for t in dict.fromkeys(tensor.sources):
                self.readers[t].append(tensor)
        for tensor in self.order:
            if tensor.body is not None:
                self.bodies[tensor] = self.resolve(tensor.body)
                if tensor not in outputs and self._wanted(tensor):
                    self.inlined.add(tensor)

    def _wanted(self, tensor: Tensor) -> bool:
        body = self.bodies[tensor]
        if tensor.stage or isinstance(body, Reduce):
            return False
        work = _work(body)
        if work == 0:
            return True
        if any(r.ordered is not None for r in self.readers[tensor]):
            return False
        nodes = sum(1 for _ in post_order(body))
        if self.reads[tensor] > 1 and nodes > _MAX_SHARED_NODES:
            return False
        again = max(
            (_iterations(r) / max(1, _elements(tensor)) for r in self.readers[tensor]), default=0
        )
        reduced = any(isinstance(r.body, Reduce) for r in self.readers[tensor])
        if reduced and again > 1:
            return False
        return not (work >= 10 and (again > 1 or len(self.readers[tensor]) > 1))

    def resolve(self, body: Expr) -> Expr:
        """`body` with the reads of inlined tensors replaced by what they read."""
        shared: dict[object, Expr] = {}

        def inline(node: Expr) -> Expr:
            if not isinstance(node, Read) or node.tensor not in self.inlined:
                return node
            key = (node.tensor, *(structural_key(i) for i in node.indices))
            if key not in shared:
                axes = [a.var for a in node.tensor.axes]
                values = dict(zip(axes, node.indices, strict=True))
                shared[key] = substitute(self.bodies[node.tensor], values)
            return shared[key]

        return rewrite(body, inline)


def build(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Func:
    """The kernel that computes `outputs` from `inputs`: a nest for every stage.

    Every store stands in a loop, of one iteration where there is nothing to run over, so that what
    it reads can be computed there. What has no elements has no nest, and a reduction over nothing
    only its start.
    An output that is a reduction or asks for a stage gets one of its own and is copied from it, so
    that there is a consumer that it can be computed at.
    """
    inliner = _Inliner(outputs)
    names, buffer_names = Names(), Names()
    buffers: dict[Tensor, Buffer] = {}
    for tensor in inputs:
        buffers[tensor] = Buffer(buffer_names(tensor.name), tensor.static_shape, tensor.dtype)
    workspaces: list[Buffer] = []
    results: dict[Tensor, Buffer] = {}
    nests: list[Stmt] = []
    for tensor in inliner.order:
        if tensor.ordered is not None and tensor not in buffers:
            for made in tensor.ordered.outputs:
                shape = made.static_shape
                buffers[made] = Buffer(buffer_names(made.name), shape, made.dtype)
                if made in outputs:
                    results[made] = buffers[made]
                else:
                    workspaces.append(buffers[made])
            writer = LoopWriter(buffers, names, buffer_names, inliner.resolve)
            tensor.ordered.write(writer, tensor.ordered.inputs, tensor.ordered.outputs)
            nests.extend(writer.statements())
            workspaces.extend(writer.workspaces)
        if tensor.body is None or tensor in inliner.inlined:
            continue
        buffer = Buffer(buffer_names(tensor.name), tensor.static_shape, tensor.dtype)
        body = inliner.bodies[tensor]
        wide = _accumulated(tensor, body, inliner.readers[tensor])
        is_output = tensor in outputs
        if is_output:
            results[tensor] = buffer
        if is_output and (tensor.stage or isinstance(body, Reduce)):
            buffer = Buffer(buffer_names(f"{tensor.name}.sum"), buffer.shape, wide)
            is_output = False
        elif wide != buffer.dtype:
            buffer = Buffer(buffer.name, buffer.shape, wide)
        if not is_output:
            workspaces.append(buffer)
        buffers[tensor] = buffer
        nests.extend(_stage(tensor, body, buffer, buffers, names))
    for tensor in outputs:
        if buffers[tensor] is not results.get(tensor):
            if tensor not in results:
                results[tensor] = Buffer(buffer_names("out"), tensor.static_shape, tensor.dtype)
            nests.extend(_copy(tensor, buffers[tensor], results[tensor], names))
    params = (*(buffers[t] for t in inputs), *(results[t] for t in outputs))
    return Func(name, params, Block(tuple(nests)), tuple(workspaces), len(outputs))


def _accumulated(tensor: Tensor, body: Expr, readers: Sequence[Tensor]) -> str:
    """The data type in which the elements of a stage are computed."""
    sums = isinstance(body, Reduce) and body.kind == "sum"
    if sums and tensor.dtype in _NARROW and all(r.ordered is None for r in readers):
        return "float32"
    return tensor.dtype


def _widened(term: Expr, dtype: str) -> Expr:
    """A term of a sum in `dtype`: the factors of a product, which is not rounded then."""
    if isinstance(term, Binary) and term.op == "mul" and term.dtype != dtype:
        return binary("mul", cast(term.a, dtype), cast(term.b, dtype))
    return cast(term, dtype)


def _nest(axes: Sequence[tuple[Var, int]], body: Stmt, names: Names) -> list[Stmt]:
    """`body` in loops; nothing where one of them has no iterations."""
    if any(extent == 0 for _, extent in axes):
        return []
    for variable, extent in reversed(axes or [(Var(names("once")), 1)]):
        body = For(variable, extent, Kind.SERIAL, body)
    return [body]


def _fresh_axes(axes: Sequence[Axis], names: Names, suffix: str = "") -> list[tuple[Var, int]]:
    fresh = []
    for axis in axes:
        assert isinstance(axis.extent, int)
        fresh.append((Var(names(axis.var.name + suffix)), axis.extent))
    return fresh


def _stage(
    tensor: Tensor, body: Expr, target: Buffer, buffers: dict[Tensor, Buffer], names: Names
) -> list[Stmt]:
    """The nests of one tensor: one, or initialisation and update for a reduction."""

    def load(node: Expr) -> Expr:
        if not isinstance(node, Read):
            return node
        return cast(Load(buffers[node.tensor], node.indices), node.dtype)

    def placed(expr: Expr, old: Sequence[Axis], new: Sequence[tuple[Var, int]]) -> Expr:
        values: dict[Var, Expr] = {a.var: v for a, (v, _) in zip(old, new, strict=True)}
        ranges: dict[Var, Range] = {v: (0, n - 1) for v, n in new}
        return simplify(rewrite(substitute(expr, values), load), ranges)

    stages: list[Stmt] = []
    if isinstance(body, Reduce):
        axes = _fresh_axes(tensor.axes, names, ".init")
        place = tuple(v for v, _ in axes)
        start = Store(target, place, identity(body.kind, target.dtype))
        stages.extend(_nest(axes, start, names))
    axes = _fresh_axes(tensor.axes, names)
    place = tuple(v for v, _ in axes)
    if isinstance(body, Reduce):
        reduced = _fresh_axes(body.axes, names)
        term = _widened(body.body, target.dtype)
        value = placed(term, (*tensor.axes, *body.axes), (*axes, *reduced))
        stages.extend(_nest([*axes, *reduced], Store(target, place, value, body.kind), names))
    else:
        store = Store(target, place, placed(body, tensor.axes, axes))
        stages.extend(_nest(axes, store, names))
    return stages


def _copy(tensor: Tensor, source: Buffer, target: Buffer, names: Names) -> list[Stmt]:
    axes = [(Var(names(f"o{k}")), size) for k, size in enumerate(tensor.static_shape)]
    place = tuple(v for v, _ in axes)
    value = cast(Load(source, place), target.dtype)
    return _nest(axes, Store(target, place, value), names)
