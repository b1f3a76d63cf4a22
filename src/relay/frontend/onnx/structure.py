"""Questions about nodes and graphs of a model, answered without converting them."""

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto

from relay.support.errors import ImportModelError


def graphs_in(node: NodeProto) -> list[GraphProto]:
    """The graphs that are attributes of `node`."""
    found: list[GraphProto] = []
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            found.append(attribute.g)
        elif attribute.type == AttributeProto.GRAPHS:
            found.extend(attribute.graphs)
    return found


def label(node: NodeProto) -> str:
    """What a node is called where there is little room: by its name, or by its outputs."""
    return " ".join(node.name.split()) or _several(node.output)


def as_line(node: NodeProto) -> str:
    """One line of text for a node: what a span of an imported expression points at."""
    made, given = _several(node.output), _several(node.input)
    return f"{label(node)}: {made} = {node.op_type}({given})"


def _several(names: Iterable[str]) -> str:
    shown = [" ".join(n.split()) for n in names]
    return ", ".join(shown[:4] + ["..."] * (len(shown) > 4))


def names_read(node: NodeProto) -> list[str]:
    """The values that `node` reads: its inputs, and what its graphs take from around them."""
    names = [name for name in node.input if name]
    if node.op_type == "Gradient":  # it names what it differentiates
        for attribute in node.attribute:
            names.extend(text.decode("utf-8", "replace") for text in attribute.strings)
            if attribute.s:
                names.append(attribute.s.decode("utf-8", "replace"))
    for graph in graphs_in(node):
        names.extend(_captured(graph))
    return names


def _captured(graph: GraphProto) -> list[str]:
    """The names that `graph` and those inside of it use without making them."""
    captured: dict[str, None] = {}
    pending: list[tuple[GraphProto, frozenset[str]]] = [(graph, frozenset())]
    while pending:
        inside, around = pending.pop()
        made = {i.name for i in inside.input} | {t.name for t in inside.initializer}
        made |= {t.values.name for t in inside.sparse_initializer}
        made.update(name for node in inside.node for name in node.output)
        known = around | made
        for node in inside.node:
            captured.update((n, None) for n in node.input if n and n not in known)
            pending.extend((g, known) for g in graphs_in(node))
        captured.update((o.name, None) for o in inside.output if o.name not in known)
    return list(captured)


def all_nodes(roots: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """`roots` and the nodes of the graphs nested in them."""
    stack = list(roots)[::-1]
    while stack:
        node = stack.pop()
        yield node
        for graph in graphs_in(node):
            stack.extend(reversed(graph.node))


def with_attributes(function: FunctionProto, call: NodeProto) -> list[NodeProto]:
    """The nodes of `function` with the attributes of a `call` in the places that name them."""
    given = {a.name: a for a in function.attribute_proto}
    given.update((a.name, a) for a in call.attribute)
    if not any(a.ref_attr_name for node in all_nodes(function.node) for a in node.attribute):
        return list(function.node)
    nodes = []
    for node in function.node:
        copy = NodeProto()
        copy.CopyFrom(node)
        for inside in all_nodes([copy]):
            _replace_references(inside, given)
        nodes.append(copy)
    return nodes


def _replace_references(node: NodeProto, given: dict[str, AttributeProto]) -> None:
    if not any(a.ref_attr_name for a in node.attribute):
        return
    kept = []
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            kept.append(attribute)
        elif attribute.ref_attr_name in given:
            value = AttributeProto()
            value.CopyFrom(given[attribute.ref_attr_name])
            value.name = attribute.name
            kept.append(value)
    copies = [AttributeProto() for _ in kept]
    for copy, attribute in zip(copies, kept, strict=True):
        copy.CopyFrom(attribute)
    del node.attribute[:]
    node.attribute.extend(copies)


def check_names(graph: GraphProto) -> None:
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
