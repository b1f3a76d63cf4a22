"""The conversion of one graph: the model's own, one inside of a node, or the body of a function."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Final, NoReturn

from onnx import FunctionProto, GraphProto, NodeProto, TensorProto

from relay import dtypes
from relay.frontend.onnx.attributes import describe
from relay.frontend.onnx.captures import Captured
from relay.frontend.onnx.division import Divided, chosen
from relay.frontend.onnx.late import MALFORMED, postpone, stand_ins
from relay.frontend.onnx.node import Node, Result
from relay.frontend.onnx.registry import find
from relay.frontend.onnx.session import (
    DEFAULT_DOMAINS,
    MAX_DEPTH,
    Problem,
    Session,
    called,
    kind,
    versions,
)
from relay.frontend.onnx.standard import standard_function
from relay.frontend.onnx.structure import as_line, check_names, names_read, with_attributes
from relay.frontend.onnx.tensors import sparse_to_ndarray, to_ndarray
from relay.frontend.onnx.types import to_onnx
from relay.frontend.onnx.values import Postponed, Values
from relay.ir.expr import Constant, Expr, Var
from relay.ir.types import TensorType
from relay.support.errors import (
    ImportModelError,
    RelayError,
    TypeInferenceError,
    UnsupportedError,
)
from relay.support.source import Source, Span

#: So many branches without a common type may follow from each other: each doubles what is behind.
_MAX_DIVISIONS: Final = 8


class Scope:
    """Nodes in any order, and what names stand for, those of the graphs around included."""

    def __init__(
        self,
        session: Session,
        nodes: Iterable[NodeProto],
        opsets: Mapping[str, int],
        name: str,
        outer: "Scope | None" = None,
        depth: int = 0,
        captured: Captured | None = None,
    ) -> None:
        self.session = session
        self.nodes = list(nodes)
        self.opsets = opsets
        self.name = name
        self.outer = outer
        self.depth = depth
        self.captured = captured
        self.values: dict[str, Expr] = {}
        self.absent: set[str] = set()
        """Inputs of a function that its caller leaves out."""
        self.unknown: set[str] = set()
        """What nodes that cannot be imported would have made."""
        self.initializers: dict[str, TensorProto] = {}
        self._used: set[str] = set()
        self.divisions = 0
        """Branches around, without a common type."""
        if depth > MAX_DEPTH:
            raise ImportModelError(
                f"graphs and functions of the model are more than {MAX_DEPTH} deep in each other"
            )
        self.source = Source(name, "\n".join(map(as_line, self.nodes)))
        self.producers = self._producers()

    @staticmethod
    def of_graph(
        session: Session,
        graph: GraphProto,
        opsets: Mapping[str, int],
        name: str,
        outer: "Scope | None" = None,
        depth: int = 0,
        captured: Captured | None = None,
    ) -> "Scope":
        """The scope of `graph`, with its initializers.

        Values of the graphs around are used by way of `captured`.
        """
        check_names(graph)
        scope = Scope(session, graph.node, opsets, name, outer, depth, captured)
        for tensor in graph.initializer:
            if tensor.name in scope.initializers:
                raise ImportModelError(f"two initializers are named {tensor.name!r}")
            if tensor.name in scope.producers:
                scope.refuse(tensor.name)
            scope.initializers[tensor.name] = tensor
        for sparse in graph.sparse_initializer:
            data = sparse_to_ndarray(sparse, session.allowance.spend)
            scope.values[sparse.values.name] = Constant(data)
        return scope

    # ------------------------------------------------------------------ structure

    def _producers(self) -> dict[str, int]:
        """Which node makes which value."""
        producers: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            for name in filter(None, node.output):
                if name in producers:
                    raise ImportModelError(
                        f"the value {name!r} is made twice: {_describe(node)} makes it, and "
                        "another node has that name"
                    )
                producers[name] = index
        return producers

    def bind(self, name: str, value: Expr) -> None:
        """Let `name` stand for `value`, an input of the graph."""
        if name in self.producers:
            self.refuse(name)
        self.values[name] = value

    def refuse(self, name: str) -> NoReturn:
        """Raise `ImportModelError`: a node makes `name`, which an input or initializer has."""
        raise ImportModelError(
            f"the value {name!r} is made twice: {_describe(self.nodes[self.producers[name]])} "
            "makes it, and an input or initializer has that name"
        )

    def live(self, outputs: Sequence[str]) -> list[int]:
        """The nodes that `outputs` depend on, in the order of the graph."""
        live: set[int] = set()
        pending = [(name, "the model has it as an output") for name in outputs]
        while pending:
            name, reader = pending.pop()
            if name in self.values or name in self.initializers or name in self.absent:
                continue
            if name not in self.producers:
                if self.outer is None or not self.outer.knows(name):
                    raise ImportModelError(f"nothing makes the value {name!r}, but {reader}")
                continue
            index = self.producers[name]
            if index not in live:
                live.add(index)
                node = self.nodes[index]
                pending.extend((i, f"{_describe(node)} reads it") for i in names_read(node))
        return sorted(live)

    def knows(self, name: str) -> bool:
        """Whether `name` stands for something here or in a graph around."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values or name in scope.initializers:
                return True
            scope = scope.outer
        return False

    def _order(self, live: Sequence[int]) -> list[int]:
        """`live` nodes, each after those that make its inputs."""
        readers: dict[int, list[int]] = {}
        missing: dict[int, int] = {}
        for index in live:
            read = names_read(self.nodes[index])
            makers = {self.producers[i] for i in read if i in self.producers}
            missing[index] = len(makers)
            for maker in makers:
                readers.setdefault(maker, []).append(index)
        ready = deque(i for i in live if not missing[i])
        order: list[int] = []
        while ready:
            index = ready.popleft()
            order.append(index)
            for reader in readers.get(index, ()):
                missing[reader] -= 1
                if not missing[reader]:
                    ready.append(reader)
        if len(order) != len(live):
            stuck = next(i for i in live if missing[i])
            raise ImportModelError(f"the graph has a cycle through {_describe(self.nodes[stuck])}")
        return order

    def is_used(self, name: str) -> bool:
        """Whether anybody reads the value `name`."""
        return name in self._used

    # ------------------------------------------------------------------ values

    def value(self, name: str) -> Expr:
        """The value called `name`; initializers are read when they are first asked for."""
        passed: list[Captured] = []
        scope: Scope | None = self
        while scope is not None:
            found = scope.values.get(name)
            if found is None and name in scope.initializers:
                found = scope.values[name] = scope._initializer(name)
            if found is not None:
                for captured in reversed(passed):
                    found = captured.of_graph(name, found)
                return found
            if scope.captured is not None:
                passed.append(scope.captured)
            scope = scope.outer
        raise ImportModelError(f"nothing makes the value {name!r}")

    def _initializer(self, name: str) -> Expr:
        session = self.session
        held = session.weights.pop(name, None) if self.outer is None else None
        data = to_ndarray(self.initializers[name]) if held is None else held
        session.allowance.earn(data.nbytes)
        if session.freeze or not (dtypes.is_float(data.dtype) and data.shape) or self.depth:
            return Constant(data)
        variable = Var(name, TensorType(data.shape, data.dtype))
        session.parameters[variable] = data.keep()
        return variable

    # ------------------------------------------------------------------ conversion

    def convert(self, outputs: Sequence[str]) -> list[Expr]:
        """The values called `outputs`, and before them those that they depend on."""
        live = self.live(outputs)
        self.session.count(len(live))
        self._used = set(outputs)
        for index in live:
            self._used.update(names_read(self.nodes[index]))
        return self._all(self._order(live), outputs)

    def _all(self, order: Sequence[int], outputs: Sequence[str]) -> list[Expr]:
        """The values called `outputs`, after the nodes in `order` are converted."""
        for position, index in enumerate(order):
            try:
                self._convert(index)
            except Divided as division:
                return self._divided(division, index, order[position + 1 :], outputs)
        if self.unknown.intersection(outputs):
            raise ImportModelError(f"{self.name} has nodes that cannot be imported")
        return [self.value(name) for name in outputs]

    def _divided(
        self, division: Divided, index: int, rest: Sequence[int], outputs: Sequence[str]
    ) -> list[Expr]:
        """The `outputs`, where what follows from node `index` belongs to both of its branches.

        Raises `Divided` where not even the outputs of a graph inside of another one have a common
        type, and `UnsupportedError` where those of the model have none.
        """
        changed = set(self.nodes[index].output)
        following: list[int] = []
        others: list[int] = []
        for other in rest:
            names = names_read(self.nodes[other])
            (others if changed.isdisjoint(names) else following).append(other)
            if not changed.isdisjoint(names):
                changed.update(self.nodes[other].output)
                for name in names:
                    if name in self.initializers:
                        self.value(name)  # read once, for both
        if others:  # they are part of neither
            return self._all([*others, index, *following], outputs)
        self.divisions += 1
        if self.divisions > _MAX_DIVISIONS:
            raise UnsupportedError(division.message, division.span)
        sides: list[list[Expr]] = []
        for values in division.sides:
            side = copy(self)
            side.values, side.unknown = dict(self.values), set(self.unknown)
            self.session.count(len(following))
            if isinstance(values, Divided):
                sides.append(side._divided(values, index, following, outputs))
                continue
            made = zip(self.nodes[index].output, values, strict=False)
            side.values.update((n, v) for n, v in made if v is not None)
            sides.append(side._all(following, outputs))
        holds, fails = sides
        found = chosen(division.condition, holds, fails, division.span)
        if isinstance(found, int):
            if self.outer is not None:
                raise Divided(division.message, division.condition, sides, division.span)
            raise UnsupportedError(division.message, division.span)
        return found

    def inner(
        self, graph: GraphProto, arguments: Sequence[Expr], captured: Captured | None = None
    ) -> list[Expr]:
        """The outputs of a `graph` inside of this one, for values of its inputs.

        Values from around the graph are used by way of `captured`.
        """
        name = f"{self.name}:{graph.name}"
        scope = Scope.of_graph(
            self.session, graph, self.opsets, name, self, self.depth + 1, captured
        )
        for info, argument in zip(graph.input, arguments, strict=True):
            scope.bind(info.name, argument)
        return scope.convert([o.name for o in graph.output])

    def expand(
        self, function: FunctionProto, node: Values, opsets: Mapping[str, int]
    ) -> list[Expr | None]:
        """The outputs of `function`, which `node` calls."""
        nodes = with_attributes(function, node.proto)
        scope = Scope(
            self.session, nodes, opsets, f"{self.name}:{function.name}", None, self.depth + 1
        )
        for index, name in enumerate(function.input):
            argument = node.optional(index)
            if argument is not None:
                scope.bind(name, argument)
            else:
                scope.absent.add(name)
        wanted = [n for i, n in enumerate(function.output) if node.output_is_used(i)]
        found = dict(zip(wanted, scope.convert(wanted), strict=True))
        return [found.get(name) for name in function.output]

    def _convert(self, index: int) -> None:
        proto = self.nodes[index]
        if any(name in self.unknown for name in names_read(proto)):
            self.unknown.update(filter(None, proto.output))
            return
        line = index + 1
        span = Span(self.source, line, 1, line, len(as_line(proto)) + 1)
        domain, opset = self.operator_set(proto)
        arguments = [self.value(i) if i and i not in self.absent else None for i in proto.input]
        node = Node(proto, arguments, opset, span, self)
        try:
            results = self._checked_results(node, domain)
        except RelayError as error:
            error.span = error.span or span
            if self.session.problems is None:
                raise
            if (domain, node.op_type) not in self.session.lacking:
                where, named = node.name or str(node), kind(domain, node.op_type, opset)
                self.session.problems.append(Problem(named, where, error.message))
            self._go_on(node, domain)
            return
        for position, name in enumerate(proto.output):
            made = results[position] if position < len(results) else None
            if made is not None:
                self.values[name] = made
            elif name and self.is_used(name):
                node.unsupported(f"its output {position} ({name!r}) is not supported")

    def _checked_results(self, node: Node, domain: str) -> Sequence[Expr | None]:
        """What `node` makes; every error names it."""
        try:
            return self._results(node, domain)
        except TypeInferenceError as error:
            raise ImportModelError(f"{node}: {error.message}") from error
        except MALFORMED as error:
            reason = str(error) or type(error).__name__
            raise ImportModelError(f"{node} is malformed: {reason}") from error

    def _go_on(self, node: Node, domain: str) -> None:
        """Let variables stand for what `node` would have made, where their types are known."""
        for name, value in zip(node.outputs, stand_ins(node, domain), strict=True):
            if value is not None:
                self.values[name] = value
            elif name:
                self.unknown.add(name)

    def operator_set(self, node: NodeProto) -> tuple[str, int]:
        """The domain and version that `node` means."""
        domain = "" if node.domain in DEFAULT_DOMAINS else node.domain
        return domain, self.opsets.get(domain, 1)

    def _results(self, node: Node, domain: str) -> Sequence[Expr | None]:
        """What `node` makes: by a function of the model, a converter, or the standard's body."""
        function = self.session.functions.get(called(node.proto))
        if function is not None:
            return self.expand(function, node, versions(function.opset_import))
        converter = find(domain, node.op_type, node.opset)
        if converter is None:
            types = {
                name: to_onnx(value.checked_type)
                for name, value in zip(node.proto.input, node.inputs, strict=True)
                if value is not None
            }
            found = standard_function(node.proto, domain, node.opset, types)
            if found is None:
                raise UnsupportedError(f"{node} cannot be imported: it has no converter")
            return self.expand(found[0], node, found[1])
        try:
            results = as_sequence(converter.convert(node))
        except Postponed as reason:
            return postpone(node, domain, converter, reason)
        for result in results:
            if result is not None:
                assert result.checked_type is not None  # a type error names the node
        return results


def as_sequence(result: Result) -> Sequence[Expr | None]:
    """What a converter gives, one expression for one output too, as a sequence."""
    return (result,) if isinstance(result, Expr) else result


def _describe(node: NodeProto) -> str:
    return describe(node.name, node.op_type, node.output)
