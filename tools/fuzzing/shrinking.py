"""A smaller model with the same fault."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from fuzzing.building import Array, Fuzzed, info, model_of, run_onnxruntime
from fuzzing.comparing import inputs_of

#: Whether a model still has the fault.
Faulty = Callable[[Fuzzed], bool]


def _values(fuzzed: Fuzzed) -> dict[str, Array]:
    """Everything that the nodes of a model make, apart from what is no tensor."""
    graph = fuzzed.model.graph
    names = [name for node in graph.node for name in node.output if name]
    values = dict(fuzzed.inputs)
    values |= {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    model = _with(fuzzed, list(graph.node), names)
    made: list[object] = [*run_onnxruntime(model, fuzzed.inputs)]  # sequences are lists
    values.update((n, a) for n, a in zip(names, made, strict=True) if isinstance(a, np.ndarray))
    return values


def _with(fuzzed: Fuzzed, nodes: list[onnx.NodeProto], outputs: list[str]) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(fuzzed.model)
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in outputs)
    return model


def _reads(node: onnx.NodeProto) -> set[str]:
    names = {n for n in node.input if n}
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names |= _reads(inner)
        names |= {o.name for o in attribute.g.output}
    return names


def _part(
    fuzzed: Fuzzed, values: Mapping[str, Array], nodes: list[onnx.NodeProto], outputs: list[str]
) -> Fuzzed | None:
    """The model of `nodes` alone: what they read and do not make becomes an input."""
    made = {name for node in nodes for name in node.output}
    read = {name for node in nodes for name in _reads(node)} - made
    graph = fuzzed.model.graph
    fixed = {t.name for t in graph.initializer}
    dims = {
        i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]
        for i in graph.input
    }
    outputs = [o for o in outputs if o in made]
    read = {n for n in read if n in values}
    if not outputs:
        return None
    inputs = {n: values[n] for n in sorted(read) if n not in fixed}
    weights = {n: values[n] for n in sorted(read) if n in fixed}
    opset = fuzzed.model.opset_import[0].version
    return Fuzzed(model_of(nodes, inputs, weights, outputs, opset, dims), inputs)


def _live(nodes: list[onnx.NodeProto], outputs: list[str]) -> list[onnx.NodeProto]:
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= _reads(node)
            kept.append(node)
    return kept[::-1]


def _smaller(fuzzed: Fuzzed) -> Iterator[Fuzzed]:
    """Models with less in them, the most promising first."""
    try:
        values = _values(fuzzed)
    except Exception:
        return
    nodes = list(fuzzed.model.graph.node)
    outputs = [o.name for o in fuzzed.model.graph.output]
    parts: list[tuple[list[onnx.NodeProto], list[str]]] = []
    if len(nodes) > 1:
        parts += [([n], [o for o in n.output if o]) for n in nodes if n.op_type != "Constant"]
        parts += [(nodes[k : k + 2], []) for k in range(len(nodes) - 1)]
    if len(outputs) > 1:
        parts += [(_live(nodes, [o]), [o]) for o in outputs]
        parts += [
            (_live(nodes, rest), rest)
            for k in range(len(outputs))
            if (rest := outputs[:k] + outputs[k + 1 :])
        ]
    for k, node in enumerate(nodes):
        rest = nodes[:k] + nodes[k + 1 :]
        made = set(node.output)
        parts.append((rest, [o for o in outputs if o not in made]))
        parts.append((_live(nodes[: k + 1], list(node.output)), [o for o in node.output if o]))
    seen: set[tuple[tuple[int, ...], tuple[str, ...]]] = set()
    places = {id(n): k for k, n in enumerate(nodes)}
    for chosen, wanted in parts:
        if not wanted:
            read = {name for n in chosen for name in _reads(n)}
            wanted = [o for n in chosen for o in n.output if o and o not in read]
        key = (tuple(places[id(n)] for n in chosen), tuple(wanted))
        if key in seen or not chosen or (len(chosen) == len(nodes) and len(wanted) >= len(outputs)):
            continue
        seen.add(key)
        part = _part(fuzzed, values, chosen, wanted)
        if part is not None:
            yield part
    yield from _simpler(fuzzed)


def _simpler(fuzzed: Fuzzed) -> Iterator[Fuzzed]:
    """The same nodes on smaller or rounder values."""
    graph = fuzzed.model.graph
    arrays = dict(fuzzed.inputs) | {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    sizes = sorted({d for a in arrays.values() for d in a.shape if d > 1}, reverse=True)
    if any(d.dim_param for i in graph.input for d in i.type.tensor_type.shape.dim):
        yield _on(fuzzed, arrays)
    for size in sizes:
        for smaller in (1, 2, size // 2, size - 1):
            if 0 < smaller < size:
                window = {
                    n: a[tuple(slice(0, smaller if d == size else d) for d in a.shape)]
                    for n, a in arrays.items()
                }
                yield _on(fuzzed, window)
    for name, array in arrays.items():
        if array.dtype.kind == "f" and array.size:
            rounded = np.round(array * 2) / 2
            if (rounded != array).any() and rounded.any():
                yield _on(fuzzed, {**arrays, name: rounded.astype(array.dtype)})
    for node in graph.node:
        for attribute in node.attribute:
            model = onnx.ModelProto()
            model.CopyFrom(fuzzed.model)
            place = list(graph.node).index(node)
            kept = [a for a in node.attribute if a.name != attribute.name]
            del model.graph.node[place].attribute[:]
            model.graph.node[place].attribute.extend(kept)
            yield Fuzzed(model, fuzzed.inputs)


def _on(fuzzed: Fuzzed, arrays: Mapping[str, Array]) -> Fuzzed:
    """The model of `fuzzed` with other inputs and weights, all of them of fixed shapes."""
    model = onnx.ModelProto()
    model.CopyFrom(fuzzed.model)
    for declared in model.graph.input:
        declared.CopyFrom(info(declared.name, arrays[declared.name]))
    for tensor in model.graph.initializer:
        tensor.CopyFrom(
            numpy_helper.from_array(np.ascontiguousarray(arrays[tensor.name]), tensor.name)
        )
    return Fuzzed(model, {n: np.ascontiguousarray(a) for n, a in inputs_of(model, arrays).items()})


def shrink(fuzzed: Fuzzed, faulty: Faulty, attempts: int = 300) -> Fuzzed:
    """The smallest model that is found with the fault of `fuzzed`."""
    while attempts > 0:
        for smaller in _smaller(fuzzed):
            attempts -= 1
            if attempts <= 0:
                break
            if faulty(smaller):
                fuzzed = smaller
                break
        else:
            break
    return fuzzed
