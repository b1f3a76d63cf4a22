"""Models of ``ai.onnx.ml``, run by onnxruntime, the virtual machine and the interpreter."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

import relay
from onnx_models import runtime
from relay.frontend import from_onnx

DOMAIN = "ai.onnx.ml"
MODES = "BRANCH_LEQ BRANCH_LT BRANCH_GTE BRANCH_GT BRANCH_EQ BRANCH_NEQ".split()


class Map(NamedTuple):
    """A map as relay has it."""

    keys: np.ndarray
    values: np.ndarray


def text(*values: str) -> np.ndarray:
    """A vector of text."""
    return np.array(values, object)


def model(
    op_type: str,
    inputs: Sequence[np.ndarray | Map],
    outputs: int = 1,
    version: int = 1,
    rows: str | None = None,
    **attributes: object,
) -> onnx.ModelProto:
    """A model of one node of a version of the domain; `rows` is the name of a size left open."""
    names = [f"i{k}" for k in range(len(inputs))]
    results = [f"o{k}" for k in range(outputs)]
    node = helper.make_node(op_type, names, results, name="tested", domain=DOMAIN, **attributes)
    infos = [
        helper.make_value_info(name, type_of(value, rows))
        for name, value in zip(names, inputs, strict=True)
    ]
    graph = helper.make_graph(
        [node], "graph", infos, [onnx.ValueInfoProto(name=name) for name in results]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def type_of(value: np.ndarray | Map, rows: str | None = None) -> onnx.TypeProto:
    """The ONNX type of an argument."""
    if isinstance(value, Map):
        code = code_of(value.keys)
        return helper.make_map_type_proto(
            code, helper.make_tensor_type_proto(code_of(value.values), [])
        )
    shape = value.shape if rows is None else (rows, *value.shape[1:])
    return helper.make_tensor_type_proto(code_of(value), shape)


def code_of(array: np.ndarray) -> int:
    """The ONNX element type of `array`."""
    text = array.dtype == object
    return onnx.TensorProto.STRING if text else helper.np_dtype_to_tensor_dtype(array.dtype)


def run(
    proto: onnx.ModelProto, inputs: Sequence[np.ndarray | Map], kind: str = "vm"
) -> list[np.ndarray]:
    """What relay makes of it, compiled or as the reference interpreter."""
    module, _ = from_onnx(proto)
    given = [tuple(a) if isinstance(a, Map) else a for a in inputs]
    found = relay.create_executor(kind, module).evaluate()(*given)
    return [r.numpy() for r in (found if isinstance(found, Sequence) else [found])]


def check(
    proto: onnx.ModelProto,
    inputs: Sequence[np.ndarray | Map],
    expected: Sequence[np.ndarray] | None = None,
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Compare the virtual machine and the interpreter with onnxruntime."""
    if expected is None:
        feeds = [
            dict(zip(a.keys.tolist(), a.values.tolist(), strict=True)) if isinstance(a, Map) else a
            for a in inputs
        ]
        expected = runtime(proto, {f"i{k}": a for k, a in enumerate(feeds)})
    for kind in ("vm", "debug"):
        found = run(proto, inputs, kind)
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.dtype == theirs.dtype
            assert ours.shape == theirs.shape
            if ours.dtype == object:
                assert ours.tolist() == theirs.tolist()
            else:
                np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


def random_trees(
    count: int, depth: int, features: int, modes: Sequence[str], seed: int = 0, grown: float = 0.85
) -> dict[str, list]:
    """The ``nodes_`` attributes of `count` trees; splits are halves, so that numbers are equal."""
    random = np.random.default_rng(seed)
    names = "treeids nodeids featureids modes values truenodeids falsenodeids".split()
    columns: dict[str, list] = {f"nodes_{n}": [] for n in (*names, "missing_value_tracks_true")}

    def add(tree: int, level: int) -> int:
        number = len(columns["nodes_modes"])
        grows = level < depth and (level == 0 or random.random() < grown)
        row = (
            tree, number, int(random.integers(features)), str(random.choice(modes)),
            float(random.integers(-4, 5)) / 2, 0, 0, int(random.integers(2)),
        )  # fmt: skip
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
        if grows:
            columns["nodes_truenodeids"][number] = add(tree, level + 1)
            columns["nodes_falsenodeids"][number] = add(tree, level + 1)
        else:
            columns["nodes_modes"][number] = "LEAF"
        return number

    for tree in range(count):
        add(tree, 0)
    return columns


def random_votes(
    trees: dict[str, list], prefix: str, targets: int, each: int = 1, seed: int = 0, low: float = -1
) -> dict[str, list]:
    """Votes of every leaf for `each` of the targets."""
    random = np.random.default_rng(seed)
    found: dict[str, list] = {f"{prefix}_{n}": [] for n in ("treeids", "nodeids", "ids", "weights")}
    for tree, number, mode in zip(
        trees["nodes_treeids"], trees["nodes_nodeids"], trees["nodes_modes"], strict=True
    ):
        if mode == "LEAF":
            for target in random.permutation(targets)[:each]:
                row = (tree, number, int(target), float(random.uniform(low, 1)))
                for column, value in zip(found.values(), row, strict=True):
                    column.append(value)
    return found


def halves(*shape: int, seed: int = 0, missing: float = 0.1, dtype: str = "float32") -> np.ndarray:
    """Numbers -2, -1.5, .. 2, some of them missing where `dtype` is a float."""
    random = np.random.default_rng(seed)
    numbers = random.integers(-4, 5, shape) / 2
    if np.dtype(dtype).kind == "f":
        numbers[random.random(shape) < missing] = np.nan
    return numbers.astype(dtype)


def tensor(values: Sequence[float], dtype: str) -> onnx.TensorProto:
    """A tensor attribute."""
    return numpy_helper.from_array(np.array(values, dtype))
