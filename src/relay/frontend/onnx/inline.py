"""Functions that a model defines for itself, expanded where they are called."""

from collections.abc import Mapping
from typing import TypeAlias

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, inliner

from relay.support.errors import ImportModelError

_Key: TypeAlias = tuple[str, str, str]

MAX_NODES = 1_000_000


def _key(proto: FunctionProto) -> _Key:
    return proto.domain, proto.name, getattr(proto, "overload", "")


def _called(node: NodeProto) -> _Key:
    return node.domain, node.op_type, getattr(node, "overload", "")


def inline_functions(model: ModelProto) -> ModelProto:
    """`model` without functions of its own; itself when it has none.

    Raises `ImportModelError` when functions call each other in a circle, or expand to more than
    `MAX_NODES` nodes.
    """
    if not model.functions:
        return model
    functions = {_key(f): f for f in model.functions}
    sizes = _expanded_sizes(functions)
    total = sum(sizes.get(_called(n), 1) for n in _nodes(model.graph.node))
    if total > MAX_NODES:
        raise ImportModelError(
            f"the functions of the model expand to {total} nodes; at most {MAX_NODES} are accepted"
        )
    # Only the structure goes through the inliner: the weights stay where they are.
    shell = ModelProto()
    shell.ir_version = model.ir_version
    shell.opset_import.extend(model.opset_import)
    shell.functions.extend(model.functions)
    shell.graph.name = model.graph.name
    shell.graph.node.extend(model.graph.node)
    shell.graph.output.extend(model.graph.output)
    declared = {i.name for i in model.graph.input}
    shell.graph.input.extend(model.graph.input)
    for tensor in model.graph.initializer:
        if tensor.name not in declared:
            shell.graph.input.add().name = tensor.name
    try:
        expanded = inliner.inline_local_functions(shell, convert_version=True)
    except (RuntimeError, ValueError) as error:
        raise ImportModelError(f"the functions of the model cannot be expanded: {error}") from None
    result = ModelProto()
    result.opset_import.extend(expanded.opset_import)
    result.graph.name = model.graph.name
    result.graph.node.extend(expanded.graph.node)
    result.graph.input.extend(model.graph.input)
    result.graph.output.extend(model.graph.output)
    result.graph.initializer.extend(model.graph.initializer)
    result.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    return result


def _nodes(roots: "list[NodeProto]") -> list[NodeProto]:
    """`roots` and the nodes of the graphs nested in them."""
    found, stack = [], list(roots)
    while stack:
        node = stack.pop()
        found.append(node)
        for attribute in node.attribute:
            graphs: list[GraphProto] = [*attribute.graphs]
            if attribute.HasField("g"):
                graphs.append(attribute.g)
            for graph in graphs:
                stack.extend(graph.node)
    return found


def _expanded_sizes(functions: Mapping[_Key, FunctionProto]) -> dict[_Key, int]:
    """How many nodes a call of each function expands to, counted without expanding."""
    bodies = {k: [_called(n) for n in _nodes(f.node)] for k, f in functions.items()}
    sizes: dict[_Key, int] = {}
    open_: set[_Key] = set()
    for root in functions:
        stack = [(root, False)]
        while stack:
            key, ready = stack.pop()
            if ready:
                sizes[key] = sum(sizes.get(c, 1) for c in bodies[key])
                open_.discard(key)
            elif key in open_:
                raise ImportModelError(f"the function {key[1]!r} of the model calls itself")
            elif key not in sizes:
                open_.add(key)
                stack.append((key, True))
                stack.extend((c, False) for c in dict.fromkeys(bodies[key]) if c in functions)
    return sizes
