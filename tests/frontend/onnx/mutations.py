"""The standard's test models, damaged, and what becomes of them in a process with little memory.

``python -m frontend.onnx.mutations FOLDER`` reads numbers of mutations from its standard input, one
a line, and answers each with a line of JSON. `FOLDER` has the sound models.
"""

import json
import os
import random
import resource
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto
from onnx.backend.test.loader import load_model_tests

import relay
from relay import dtypes
from relay.frontend.onnx import from_onnx
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.support.errors import InternalError, RelayError

#: Bytes of addresses that a process may take beyond what it has when it starts.
MEMORY = 3 << 30
NUMBERS = (0, 1, 2, 3, 7, -1, -2, -7, 255, 2**31, -(2**31), 2**40, 2**62, -(2**63), 2**63 - 1)
WORDS = (
    "",
    "x",
    "y",
    "sum",
    "linear",
    "NOTSET",
    "SAME_UPPER",
    "ij,jk->ik",
    "i...->...",
    "\u00e9",
    "->",
)

Data = bytearray


def standard_models(folder: Path) -> None:
    """Put the standard's own test models into `folder`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = ("node", "simple", "pytorch-converted", "pytorch-operator")
        cases = [case for kind in kinds for case in load_model_tests(kind=kind)]
    for case in cases:
        if case.model is not None:
            text = case.model.SerializeToString()
        else:
            text = (Path(case.model_dir) / "model.onnx").read_bytes()
        if len(text) < 100_000:
            (folder / f"{case.name}.onnx").write_bytes(text)


# ---------------------------------------------------------------- bytes


def damaged(rng: random.Random, text: bytes, other: bytes) -> bytes:
    """`text` with one to three changes of bytes."""
    data = bytearray(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(len(data) + 1)
        span = rng.choice((1, 1, 2, 4, 8, 16, 64))
        match rng.randrange(7):
            case 0 if place < len(data):
                data[place] ^= 1 << rng.randrange(8)
            case 1 if place < len(data):
                data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                del data[place : place + span]
            case 3:
                data[place:place] = rng.randbytes(span)
            case 4:
                data[place:place] = data[place : place + span]
            case 5 if rng.random() < 0.3:
                del data[place:]
            case _:
                start = rng.randrange(len(other))
                data[place : place + rng.choice((0, span))] = other[start : start + span]
    return bytes(data)


# ---------------------------------------------------------------- structure


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """`graph` and those inside of it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def tensors(graph: GraphProto) -> list[TensorProto]:
    """The tensors of `graph`, those in attributes too."""
    inside = [a.t for n in graph.node for a in n.attribute if a.type == AttributeProto.TENSOR]
    return [*graph.initializer, *inside]


def _number(rng: random.Random, value: int) -> int:
    return rng.choice((*NUMBERS, value + 1, value - 1, -value, value * 2))


def _in_range(value: int, low: int = -(2**63), high: int = 2**63 - 1) -> int:
    return max(low, min(high, value))


def _attribute(rng: random.Random, node: NodeProto, other: NodeProto) -> None:
    """An attribute gets another value or type, another name, or goes."""
    if not node.attribute or rng.random() < 0.1:
        if other.attribute:
            node.attribute.add().CopyFrom(rng.choice(other.attribute))
        return
    found = rng.choice(node.attribute)
    match rng.randrange(8):
        case 0:
            node.attribute.remove(found)
        case 1:
            found.type = rng.randrange(0, 15)
        case 2:
            found.name = rng.choice(("axis", "axes", "perm", "to", "value", "kernel_shape", "x"))
        case 3 if other.attribute:
            name = found.name
            found.CopyFrom(rng.choice(other.attribute))
            found.name = name
        case _:
            _value(rng, found)


def _value(rng: random.Random, found: AttributeProto) -> None:
    """Another value of the same type."""
    match found.type:
        case AttributeProto.INT:
            found.i = _in_range(_number(rng, found.i))
        case AttributeProto.INTS:
            if found.ints and rng.random() < 0.7:
                place = rng.randrange(len(found.ints))
                found.ints[place] = _in_range(_number(rng, found.ints[place]))
            elif found.ints and rng.random() < 0.5:
                found.ints.pop()
            else:
                found.ints.append(rng.choice(NUMBERS))
        case AttributeProto.FLOAT:
            found.f = rng.choice((0.0, -1.0, 1e30, float("nan"), float("inf"), 0.5))
        case AttributeProto.FLOATS:
            found.floats.append(rng.choice((0.0, -1.0, 1e30, float("nan"))))
        case AttributeProto.STRING:
            found.s = rng.choice((*(w.encode() for w in WORDS), b"\xff\xfe", found.s * 2))
        case AttributeProto.STRINGS:
            found.strings.append(rng.choice(WORDS).encode())


def _names(rng: random.Random, graph: GraphProto, node: NodeProto) -> None:
    """An input or output is missing, double, or another value; perhaps one that comes later."""
    known = [i.name for i in graph.input] + [o for n in graph.node for o in n.output] + ["", "none"]
    names = node.input if rng.random() < 0.75 else node.output
    if not names or rng.random() < 0.15:
        names.append(rng.choice(known))
        return
    place = rng.randrange(len(names))
    match rng.randrange(5):
        case 0:
            del names[place]
        case 1:
            names.append(names[place])
        case 2:
            names[place] = ""
        case _:
            names[place] = rng.choice(known)


def _tensor(rng: random.Random, tensor: TensorProto) -> None:
    """Another shape, type, or other elements than declared."""
    match rng.randrange(6):
        case 0 if tensor.dims:
            place = rng.randrange(len(tensor.dims))
            tensor.dims[place] = _in_range(_number(rng, tensor.dims[place]))
        case 1:
            tensor.dims.append(rng.choice(NUMBERS))
        case 2 if tensor.dims:
            tensor.dims.pop()
        case 3:
            tensor.data_type = rng.choice((*range(0, 27), 99))
        case 4 if tensor.raw_data:
            data = bytearray(tensor.raw_data)
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            tensor.raw_data = bytes(data[: len(data) - rng.choice((0, 0, 1))])
        case _:
            for field in (tensor.int64_data, tensor.int32_data, tensor.float_data):
                if field:
                    high = 2**63 - 1 if field is tensor.int64_data else 2**31 - 1
                    field[rng.randrange(len(field))] = _in_range(rng.choice(NUMBERS), -high, high)


def _declaration(rng: random.Random, graph: GraphProto) -> None:
    """An input or output of the graph has another type, or there is one more or less."""
    infos = graph.input if rng.random() < 0.8 else graph.output
    if not infos:
        return
    info = rng.choice(infos)
    shape = info.type.tensor_type.shape
    match rng.randrange(7):
        case 0:
            info.type.tensor_type.elem_type = rng.choice((*range(0, 27), 99))
        case 1:
            info.type.ClearField("value")
        case 2:
            shape.dim.add().dim_value = rng.choice(NUMBERS)
        case 3 if shape.dim:
            shape.dim.pop()
        case 4:
            infos.remove(info)
        case 5 if shape.dim:
            rng.choice(shape.dim).dim_param = rng.choice(("n", "m", "", "batch size"))
        case _:
            if shape.dim:
                found = rng.choice(shape.dim)
                found.dim_value = _in_range(_number(rng, found.dim_value))


def _nodes(rng: random.Random, graph: GraphProto, other: GraphProto) -> None:
    """A node is gone, double, from elsewhere, or another operator."""
    place = rng.randrange(len(graph.node))
    node = graph.node[place]
    match rng.randrange(6):
        case 0:
            del graph.node[place]
        case 1:
            graph.node.add().CopyFrom(node)
        case 2 if other.node:
            graph.node.add().CopyFrom(rng.choice(other.node))
        case 3:
            node.domain = rng.choice(("", "ai.onnx.ml", "ai.onnx", "x", "ai.onnx.preview.training"))
        case _ if other.node:
            node.op_type = rng.choice(other.node).op_type


def restructured(rng: random.Random, text: bytes, other: bytes) -> bytes:
    """The model `text` with one to three changes of its fields."""
    model, source = ModelProto.FromString(text), ModelProto.FromString(other)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        graph = rng.choice(list(graphs(model.graph)))
        foreign = rng.choice(list(graphs(source.graph)))
        kind = rng.choice("aaaannntttdddoovf")
        if kind == "v" and model.opset_import:
            rng.choice(model.opset_import).version = rng.choice((*range(1, 27), *NUMBERS))
        elif kind == "f" and model.functions:
            function = rng.choice(model.functions)
            if function.node:
                _attribute(rng, rng.choice(function.node), rng.choice(function.node))
                _names(rng, graph, rng.choice(function.node))
        elif kind == "d":
            _declaration(rng, graph)
        elif kind == "t" and tensors(graph):
            _tensor(rng, rng.choice(tensors(graph)))
        elif graph.node and kind == "a":
            strange = rng.choice(foreign.node) if foreign.node else graph.node[0]
            _attribute(rng, rng.choice(graph.node), strange)
        elif graph.node and kind == "n":
            _names(rng, graph, rng.choice(graph.node))
        elif graph.node:
            _nodes(rng, graph, foreign)
    return model.SerializeToString()


def mutated(number: int, files: Sequence[Path]) -> bytes:
    """The mutation of this `number`."""
    rng = random.Random(number)
    text, other = (rng.choice(files).read_bytes() for _ in range(2))
    if rng.random() < 0.35:
        return damaged(rng, text, other)
    text = restructured(rng, text, other)
    return damaged(rng, text, other) if rng.random() < 0.05 else text


# ---------------------------------------------------------------- what becomes of it


def arguments(module: IRModule) -> dict[str, np.ndarray] | None:
    """Values for ``main``; None where they would not be small tensors of numbers."""
    random_numbers = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for parameter in module["main"].params:
        type_ = parameter.checked_type
        if not isinstance(type_, TensorType) or not dtypes.is_native(type_.dtype):
            return None
        shape = tuple(d if isinstance(d, int) else 2 for d in type_.shape)
        if np.prod([float(d) for d in shape]) > 1e6:
            return None
        numbers = random_numbers.integers(0, 4, shape)
        found[parameter.name_hint] = np.asarray(numbers).astype(dtypes.to_numpy(type_.dtype))
    return found


def examine(path: Path) -> dict[str, str]:
    """How far a model gets; `error` says where it is no documented one."""
    stage = "import"
    try:
        module, _ = from_onnx(path)
        stage = "arguments"
        given = arguments(module)
        if given is None:
            return {"stage": "imported"}
        stage = "interpreter"
        _allowed(lambda: relay.create_executor("debug", mod=module).evaluate()(**given))
        stage = "machine"
        _allowed(lambda: relay.create_executor("vm", mod=module).evaluate()(**given))
    except InternalError as error:
        return {"stage": stage, "error": f"InternalError: {error}"}
    except RelayError as error:
        return {"stage": stage, "refused": f"{type(error).__name__}: {error}"[:300]}
    except BaseException as error:
        return {"stage": stage, "error": f"{type(error).__name__}: {error}"[:1000]}
    return {"stage": "run"}


def _allowed(action: Callable[[], object]) -> None:
    """Run `action`; a documented refusal there is as good as a result."""
    try:
        action()
    except InternalError:
        raise
    except RelayError:
        pass


def endless(text: bytes) -> bool:
    """Whether a model has a loop, which may have no end."""
    try:
        model = ModelProto.FromString(text)
    except DecodeError:
        return False
    return any(n.op_type == "Loop" for g in graphs(model.graph) for n in g.node)


def limit_memory(more: int = MEMORY) -> None:
    """Let this process take only so many bytes of addresses more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(folder: Path) -> None:
    """Answer the numbers on the standard input."""
    files = sorted((folder / "sound").glob("*.onnx"))
    path = folder / f"mutated_{os.getpid()}.onnx"
    warnings.simplefilter("ignore")
    limit_memory()
    for line in sys.stdin:
        path.write_bytes(mutated(int(line), files))
        print(json.dumps(examine(path)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
