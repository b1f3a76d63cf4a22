"""From an ONNX graph to a Relay module."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

import relay.frontend.onnx.converters  # noqa: F401  (fills the registry)
from relay import dtypes
from relay.frontend.onnx.inline import MAX_NODES, inline_functions
from relay.frontend.onnx.load import read
from relay.frontend.onnx.node import Allowance, Node, Result, describe
from relay.frontend.onnx.registry import (
    DEFAULT_DOMAINS,
    OLDEST_OPSET,
    find,
    supported_operators,
)
from relay.frontend.onnx.tensors import element_type, to_ndarray
from relay.ir.expr import Constant, Expr, Function, Tuple, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import free_vars
from relay.runtime.ndarray import NDArray
from relay.support.collector import paused_collector
from relay.support.errors import (
    ImportModelError,
    RelayError,
    TypeInferenceError,
    UnsupportedError,
)
from relay.support.source import Source, Span

#: How malformed models make converters fail where no check names the fault.
_MALFORMED = (ValueError, TypeError, IndexError, KeyError, ArithmeticError, MemoryError)


def from_onnx(
    model: ModelProto | str | os.PathLike[str],
    shape: Mapping[str, Sequence[int]] | None = None,
    dtype: str | Mapping[str, str] = "float32",
    opset: int | None = None,
    freeze_params: bool = True,
) -> tuple[IRModule, dict[str, NDArray]]:
    """The Relay module for an ONNX model, and its parameters by name.

    - `model`: a model, or the path of one (see `relay.frontend.onnx.load`). Large weights stay in
      the file until they are needed; it must not be written to before that.
    - `shape`: sizes of inputs by name, where the model leaves them open or others are wanted.
    - `dtype`: data types of inputs by name; one name serves inputs the model gives no type.
    - `opset`: the version of the default operator set, instead of the one the model says.
    - `freeze_params`: with True, weights are constants of the module and the dictionary is empty.
      With False, the weights (floating-point initializers with at least one dimension) become
      parameters of ``main`` after the inputs, named as in the model, and the dictionary has their
      values; other initializers, those that feed shapes among them, are constants still.

    ``main`` takes the inputs in the order of the model and returns its output, or a tuple of its
    outputs, whose names are the module's attribute ``output_names``. Values that do not depend on
    inputs are computed while importing, so that shapes are static. The span of an expression names
    the ONNX node it stands for.

    Raises `ImportModelError` when the model is not well formed or its inputs have open sizes, and
    `UnsupportedError` with all operators of the model that cannot be imported.
    """
    source_name, weights = "model", dict[str, NDArray]()
    if not isinstance(model, ModelProto):
        source_name = os.fspath(model)
        loaded = read(model)
        model, weights = loaded.model, loaded.weights
    model = inline_functions(model)
    opsets = _opsets(model, opset)
    importer = _Importer(model.graph, weights, opsets, source_name, freeze_params)
    inputs = importer.declare_inputs(shape or {}, dtype)
    with paused_collector():
        return importer.run(inputs)


def _opsets(model: ModelProto, opset: int | None) -> dict[str, int]:
    """The version of each operator set, by domain; the default domain is ``""``."""
    if not model.opset_import and opset is None:
        raise ImportModelError(
            "the model does not say which versions of operators it uses: it is damaged, "
            "or needs opset= to be given"
        )
    opsets = {
        "" if o.domain in DEFAULT_DOMAINS else o.domain: int(o.version) for o in model.opset_import
    }
    if opset is not None:
        opsets[""] = opset
    version = opsets.setdefault("", 1)
    newest = onnx.defs.onnx_opset_version()
    if version < OLDEST_OPSET:
        raise UnsupportedError(
            f"the model uses version {version} of the ONNX operators; the oldest supported is "
            f"{OLDEST_OPSET}. Convert it first: "
            f"onnx.version_converter.convert_version(model, {OLDEST_OPSET})"
        )
    if version > newest:
        raise UnsupportedError(
            f"the model uses version {version} of the ONNX operators, but the installed package "
            f"onnx knows versions up to {newest}; install a newer one"
        )
    return opsets


class _Importer:
    """One import of one graph."""

    def __init__(
        self,
        graph: GraphProto,
        weights: dict[str, NDArray],
        opsets: Mapping[str, int],
        source_name: str,
        freeze: bool,
    ) -> None:
        if len(graph.node) > MAX_NODES:
            raise ImportModelError(
                f"the model has {len(graph.node)} nodes; at most {MAX_NODES} are accepted"
            )
        _check_names(graph)
        self.graph = graph
        self.weights = weights
        self.opsets = opsets
        self.freeze = freeze
        self.nodes: list[NodeProto] = list(graph.node)
        self.initializers: dict[str, TensorProto] = {}
        for tensor in graph.initializer:
            if tensor.name in self.initializers:
                raise ImportModelError(f"two initializers are named {tensor.name!r}")
            self.initializers[tensor.name] = tensor
        if graph.sparse_initializer:
            names = ", ".join(repr(t.values.name) for t in graph.sparse_initializer[:8])
            raise UnsupportedError(f"sparse initializers are not supported: {names}")
        self.values: dict[str, Expr] = {}
        self.parameters: dict[Var, NDArray] = {}
        self.allowance = Allowance()
        self.source = Source(source_name, "\n".join(map(_line, self.nodes)))
        self.producers = self._producers()

    # ------------------------------------------------------------------ structure

    def _producers(self) -> dict[str, int]:
        """Which node makes which value."""
        taken = {i.name for i in self.graph.input} | self.initializers.keys()
        producers: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            for name in filter(None, node.output):
                if name in producers or name in taken:
                    raise ImportModelError(
                        f"the value {name!r} is made twice: {_describe(node)} makes it, and "
                        + ("an input or initializer" if name in taken else "another node")
                        + " has that name"
                    )
                producers[name] = index
        return producers

    def _live(self) -> list[int]:
        """The nodes that outputs depend on, in the order of the model."""
        known = {i.name for i in self.graph.input} | self.initializers.keys()
        live: set[int] = set()
        pending = [(o.name, "the model has it as an output") for o in self.graph.output]
        while pending:
            name, reader = pending.pop()
            if name in known or not name:
                continue
            if name not in self.producers:
                raise ImportModelError(f"nothing makes the value {name!r}, but {reader}")
            index = self.producers[name]
            if index not in live:
                live.add(index)
                node = self.nodes[index]
                pending.extend((i, f"{_describe(node)} reads it") for i in node.input)
        return sorted(live)

    def _order(self, live: Sequence[int]) -> list[int]:
        """`live` nodes, each after those that make its inputs."""
        readers: dict[int, list[int]] = {}
        missing: dict[int, int] = {}
        for index in live:
            makers = {self.producers[i] for i in self.nodes[index].input if i in self.producers}
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

    def _check_supported(self, live: Sequence[int]) -> None:
        """Name all operators that have no converter, at once."""
        lacking: dict[tuple[str, str, int], list[str]] = {}
        for index in live:
            node = self.nodes[index]
            domain, version = self._opset(node)
            if find(domain, node.op_type, version) is None:
                lacking.setdefault((domain, node.op_type, version), []).append(
                    node.name or (node.output[0] if node.output else "?")
                )
        if not lacking:
            return
        lines = []
        for (domain, op_type, version), names in sorted(lacking.items()):
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            lines.append(
                f"  {op_type} (domain {domain or 'ai.onnx'}, opset {version}) "
                f"in {', '.join(map(repr, names[:5]))}{more}"
            )
        raise UnsupportedError(
            f"{len(lacking)} operator{'s' * (len(lacking) > 1)} of the model cannot be imported:\n"
            + "\n".join(lines)
        )

    def _opset(self, node: NodeProto) -> tuple[str, int]:
        domain = "" if node.domain in DEFAULT_DOMAINS else node.domain
        return domain, self.opsets.get(domain, 1)

    # ------------------------------------------------------------------ inputs

    def declare_inputs(
        self, shapes: Mapping[str, Sequence[int]], dtype: str | Mapping[str, str]
    ) -> list[Var]:
        """The inputs as typed variables; initializers that are listed as inputs are none."""
        inputs = [i for i in self.graph.input if i.name not in self.initializers]
        names = [i.name for i in inputs]
        if len(set(names)) != len(names):
            raise ImportModelError(f"two inputs of the model have one name: {', '.join(names)}")
        given = dtype if isinstance(dtype, Mapping) else {}
        for name in [*shapes, *given]:
            if name not in names:
                raise ImportModelError(
                    f"the model has no input named {name!r}; its inputs are "
                    + (", ".join(map(repr, names)) or "none")
                )
        default = dtype if isinstance(dtype, str) else "float32"
        found = {
            i.name: (_input_shape(i, shapes.get(i.name)), _input_dtype(i, given, default))
            for i in inputs
        }
        self._check_closed(inputs, {name: dims for name, (dims, _) in found.items()})
        variables = []
        for name, (dims, element) in found.items():
            variable = Var(name, TensorType([d for d in dims if isinstance(d, int)], element))
            self.values[name] = variable
            variables.append(variable)
        return variables

    def _check_closed(
        self, inputs: Sequence[ValueInfoProto], found: Mapping[str, Sequence[int | str]]
    ) -> None:
        """Refuse inputs with open sizes, and show how to give them."""
        open_ = [i.name for i in inputs if any(isinstance(d, str) for d in found[i.name])]
        if not open_:
            return
        lines = [f"  {name}: ({', '.join(map(str, found[name]))})" for name in open_]
        example = {n: tuple(1 if isinstance(d, str) else d for d in found[n]) for n in open_}
        options = " ".join(f"--shape {n}={','.join(map(str, d))}" for n, d in example.items())
        raise ImportModelError(
            "the model leaves sizes of its inputs open:\n"
            + "\n".join(lines)
            + f"\ngive them, for example: from_onnx(model, shape={example!r})"
            + f"\non the command line: {options}"
        )

    # ------------------------------------------------------------------ conversion

    def run(self, inputs: Sequence[Var]) -> tuple[IRModule, dict[str, NDArray]]:
        """Convert what the outputs depend on."""
        if not self.graph.output:
            raise ImportModelError("the model has no outputs")
        live = self._live()
        self._check_supported(live)
        used = {o.name for o in self.graph.output}
        for index in live:
            used.update(self.nodes[index].input)
        for index in self._order(live):
            self._convert(index, used.__contains__)
        outputs = [self._value(o.name) for o in self.graph.output]
        body = outputs[0] if len(outputs) == 1 else Tuple(outputs)
        needed = {p for p in free_vars(body) if p in self.parameters} if self.parameters else set()
        weights = [p for p in self.parameters if p in needed]
        main = Function([*inputs, *weights], body, body.checked_type)
        module = IRModule.from_expr(main)
        module.attrs["output_names"] = tuple(o.name for o in self.graph.output)
        return module, {w.name_hint: self.parameters[w] for w in weights}

    def _value(self, name: str) -> Expr:
        """The value called `name`; initializers are read when they are first asked for."""
        found = self.values.get(name)
        if found is None:
            if name not in self.initializers:
                raise ImportModelError(f"nothing makes the value {name!r}")
            held = self.weights.pop(name, None)
            data = to_ndarray(self.initializers[name]) if held is None else held
            self.allowance.earn(data.nbytes)
            if self.freeze or not (dtypes.is_float(data.dtype) and data.shape):
                found = Constant(data)
            else:
                found = Var(name, TensorType(data.shape, data.dtype))
                self.parameters[found] = data.keep()
            self.values[name] = found
        return found

    def _convert(self, index: int, is_used: Callable[[str], bool]) -> None:
        proto = self.nodes[index]
        domain, version = self._opset(proto)
        converter = find(domain, proto.op_type, version)
        assert converter is not None
        arguments = [self._value(i) if i else None for i in proto.input]
        line = index + 1
        span = Span(self.source, line, 1, line, len(_line(proto)) + 1)
        node = Node(proto, arguments, version, span, self.parameters, self.allowance, is_used)
        try:
            results = _as_sequence(converter(node))
            for result in results:
                if result is not None:
                    node.type_of(result)
        except TypeInferenceError as error:
            raise ImportModelError(f"{node}: {error.message}", span) from error
        except RelayError as error:
            error.span = error.span or span
            raise
        except _MALFORMED as error:
            reason = str(error) or type(error).__name__
            raise ImportModelError(f"{node} is malformed: {reason}", span) from error
        for position, name in enumerate(proto.output):
            made = results[position] if position < len(results) else None
            if made is not None:
                self.values[name] = made
            elif name and is_used(name):
                node.unsupported(f"its output {position} ({name!r}) is not supported")


def _check_names(graph: GraphProto) -> None:
    """Refuse names that are not UTF-8, which protobuf hands over as bytes."""
    names: list[object] = []
    for node in graph.node:
        names += (node.op_type, node.domain, node.name, *node.input, *node.output)
        names += (a.name for a in node.attribute)
    for named in (*graph.input, *graph.output, *graph.initializer):
        names.append(named.name)
    for info in graph.input:
        names += (d.dim_param for d in info.type.tensor_type.shape.dim)
    for name in names:
        if not isinstance(name, str):
            raise ImportModelError(f"the model has a name that is not UTF-8: {name!r}")


def _as_sequence(result: Result) -> Sequence[Expr | None]:
    return (result,) if isinstance(result, Expr) else result


def _describe(node: NodeProto) -> str:
    return describe(node.name, node.op_type, node.output)


def _line(node: NodeProto) -> str:
    """One line of text for a node: what a span of an imported expression points at."""

    def several(names: Iterable[str]) -> str:
        shown = [" ".join(n.split()) for n in names]
        return ", ".join(shown[:4] + ["..."] * (len(shown) > 4))

    name = " ".join(node.name.split()) or several(node.output)
    return f"{name}: {several(node.output)} = {node.op_type}({several(node.input)})"


def _input_shape(info: ValueInfoProto, given: Sequence[int] | None) -> list[int | str]:
    """The sizes of an input; a text where one is open."""
    kind = info.type.WhichOneof("value")
    if kind not in ("tensor_type", None):
        raise UnsupportedError(f"the input {info.name!r} is no tensor but a {kind}")
    declared = info.type.tensor_type
    dims = [
        int(d.dim_value) if d.HasField("dim_value") else (d.dim_param or "?")
        for d in declared.shape.dim
    ]
    if given is not None:
        sizes = [int(d) for d in given]
        if any(d < 0 for d in sizes):
            raise ImportModelError(f"the shape of {info.name!r} cannot be negative: {sizes}")
        if declared.HasField("shape") and len(sizes) != len(dims):
            raise ImportModelError(
                f"the input {info.name!r} has {len(dims)} dimensions ({_sizes(dims)}), "
                f"but the given shape has {len(sizes)} ({_sizes(sizes)})"
            )
        return list(sizes)
    if not declared.HasField("shape"):
        raise ImportModelError(
            f"the model does not say how many dimensions its input {info.name!r} has; "
            f"give its shape: from_onnx(model, shape={{{info.name!r}: (...)}})"
        )
    if any(isinstance(d, int) and d < 0 for d in dims):
        raise ImportModelError(f"the input {info.name!r} declares the shape ({_sizes(dims)})")
    return dims


def _sizes(dims: Sequence[int | str]) -> str:
    return ", ".join(map(str, dims))


def _input_dtype(info: ValueInfoProto, given: Mapping[str, str], default: str) -> str:
    if info.name in given:
        return dtypes.check(given[info.name])
    code = info.type.tensor_type.elem_type
    return element_type(code, f"the input {info.name!r}") if code else dtypes.check(default)


__all__ = ["from_onnx", "supported_operators"]
