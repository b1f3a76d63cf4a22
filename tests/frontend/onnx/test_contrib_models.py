"""Operators of ``com.microsoft`` with open sizes, and models that onnxruntime makes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.testing import assert_allclose
from onnx import helper

from frontend.onnx.contrib_models import agree, contrib
from onnx_models import floats, model_of, runtime
from relay import vm
from relay.frontend.onnx import from_onnx
from relay.support.errors import UnsupportedError

INT = np.int32
HEADS = {"num_heads": 2}
#: An operator's inputs and attributes, its outputs, and which inputs are stored.
CASES = {
    "SkipLayerNormalization": (
        [floats(2, 5, 8), floats(2, 5, 8, seed=1), *(floats(8, seed=k) for k in (2, 3, 4))],
        {},
        (0, 3),
        (2, 3, 4),
    ),
    "SkipSimplifiedLayerNormalization": (
        [floats(2, 5, 8), floats(2, 5, 8, seed=1), floats(8, seed=2)],
        {},
        (0, 3),
        (2,),
    ),
    "EmbedLayerNormalization": (
        [
            np.arange(10, dtype=INT).reshape(2, 5),
            np.ones((2, 5), INT),
            *(floats(n, 8, seed=n) for n in (12, 6, 2)),
            floats(8),
            floats(8, seed=1),
            np.ones((2, 5), INT),
        ],
        {},
        (0, 1),
        (2, 3, 4, 5, 6),
    ),
    "BiasGelu": ([floats(2, 5, 8), floats(8, seed=1)], {}, (0,), (1,)),
    "FusedMatMul": ([floats(2, 5, 8), floats(8, 4, seed=1)], {"alpha": 0.5}, (0,), (1,)),
    "RotaryEmbedding": (
        [floats(2, 5, 16), np.arange(10).reshape(2, 5), floats(12, 4), floats(12, 4, seed=1)],
        {},
        (0,),
        (2, 3),
    ),
    "MatMulNBits": (
        [floats(2, 5, 32), np.arange(48, dtype=np.uint8).reshape(3, 2, 8), floats(3, 2)],
        {"K": 32, "N": 3, "block_size": 16, "bits": 4},
        (0,),
        (1, 2),
    ),
    "DynamicQuantizeMatMul": (
        [floats(2, 5, 8), np.arange(24, dtype=np.int8).reshape(8, 3), np.float32(0.1)],
        {},
        (0,),
        (1, 2),
    ),
}
ATTENTION = [floats(2, 5, 6), floats(6, 24, seed=1), floats(24, seed=2)]
SEPARATE = [*(floats(2, 5, 8, seed=k) for k in range(3)), floats(24, seed=3)]


def with_open_sizes(model: onnx.ModelProto, open_axes: int) -> onnx.ModelProto:
    """The model with the first `open_axes` sizes of its inputs left open, but not the last one."""
    for info in model.graph.input:
        dims = info.type.tensor_type.shape.dim
        for axis in range(min(open_axes, max(1, len(dims) - 1))):
            dims[axis].Clear()
            dims[axis].dim_param = "batch" if axis == 0 else f"{info.name}_{axis}"
    return model


def check_open(model: onnx.ModelProto, given: Mapping[str, np.ndarray], open_axes: int) -> None:
    wanted = runtime(model, given)
    module, params = from_onnx(with_open_sizes(model, open_axes))
    assert "onnx.node" not in str(module)
    result = vm.VirtualMachine(vm.compile(module, params=params)).invoke("main", **given)
    results = result if isinstance(result, tuple | list) else [result]
    for ours, theirs in zip(results, wanted, strict=True):
        assert_allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_an_open_batch(name: str) -> None:
    inputs, attributes, outputs, fixed = CASES[name]
    check_open(*contrib(name, inputs, outputs, fixed, **attributes), 1)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mask", [None, [5, 3], [[1] * 5, [1, 1, 1, 0, 0]]])
def test_attention_to_an_open_sequence(causal: int, mask: list[object] | None) -> None:
    given = None if mask is None else np.array(mask, INT)
    options = {**HEADS, "unidirectional": causal}
    for open_axes in (1, 2):
        check_open(*contrib("Attention", [*ATTENTION, given], (0,), (1, 2), **options), open_axes)


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_with_an_open_past(causal: int) -> None:
    options = {**HEADS, "unidirectional": causal}
    past = floats(2, 2, 2, 3, 4, seed=5)
    model, given = contrib("Attention", [*ATTENTION, None, past], (0, 1), (1, 2), **options)
    shape = model.graph.input[1].type.tensor_type.shape
    for axis, name in ((1, "batch"), (3, "past")):
        shape.dim[axis].Clear()
        shape.dim[axis].dim_param = name
    check_open(model, given, 0)
    check_open(*contrib("MultiHeadAttention", SEPARATE, (0,), (3,), **options), 2)


def named(model: onnx.ModelProto, sizes: Mapping[str, Sequence[str | None]]) -> onnx.ModelProto:
    """The model with names for `sizes` of its inputs, which leaves them open."""
    for info in model.graph.input:
        for dim, name in zip(info.type.tensor_type.shape.dim, sizes[info.name], strict=True):
            if name is not None:
                dim.Clear()
                dim.dim_param = name
    return model


@pytest.mark.parametrize("rotary", [0, 1])
def test_text_is_written_word_by_word(rotary: int) -> None:
    """The sizes of the result of GroupQueryAttention are found by trying some."""
    numbers = [[(2, 5, 64), (2, 5, 32), (2, 5, 32)], [(2, 1, 64), (2, 1, 32), (2, 1, 32)]]
    new = [[floats(*shape, seed=k) for k, shape in enumerate(shapes)] for shapes in numbers]
    past = [np.zeros((2, 2, 0, 16), np.float32)] * 2
    angles = np.outer(np.arange(20), 1 / 10 ** np.arange(0, 2, 0.25)).astype(np.float32)
    tables = [np.cos(angles), np.sin(angles)]
    options = {"num_heads": 4, "kv_num_heads": 2, "do_rotary": rotary}
    machine = None
    for total, words in zip((5, 6), new, strict=True):
        inputs = [*words, *past, np.full(2, total - 1, INT), np.array(total, INT), *tables]
        model, given = contrib("GroupQueryAttention", inputs, (0, 1, 2), (7, 8), **options)
        wanted = runtime(model, given)
        if machine is None:
            rows, kept = ("batch", "rows", None), ("batch", None, "past", None)
            sizes = {"i5": ("batch",), "i6": ()}
            sizes.update({f"i{k}": rows for k in range(3)} | {"i3": kept, "i4": kept})
            module, params = from_onnx(named(model, sizes))
            result = module["main"].checked_type.ret_type
            assert [str(field) for field in result.fields] == [
                "Tensor[(batch, rows, 64), float32]",
                "Tensor[(batch, 2, ?, 16), float32]",
                "Tensor[(batch, 2, ?, 16), float32]",
            ]
            machine = vm.VirtualMachine(vm.compile(module, params=params))
        found = machine.invoke("main", **given)
        for ours, theirs in zip(found, wanted, strict=True):
            assert_allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-4)
        past = wanted[1:]


def test_types_that_no_trial_finds() -> None:
    inputs = [floats(2, 3, 8, 8), floats(4, 3, 3, 3, seed=1)]
    model, _ = contrib("FusedConv", inputs, activation="Relu")
    weights = ("outputs", None, None, None)
    named(model, {"i0": ("batch", "channels", None, None), "i1": weights})
    with pytest.raises(UnsupportedError, match=r"what it makes is not known: .*48 channels"):
        from_onnx(model)


def test_values_of_which_no_trial_is_made() -> None:
    """Whether something is dropped is a truth value."""
    inputs = [floats(2, 4), floats(4), None, np.float32(0.5), np.array(False)]
    model, _ = contrib("BiasDropout", inputs)
    named(model, {"i0": ("batch", None), "i1": (None,), "i3": (), "i4": ()})
    with pytest.raises(UnsupportedError, match=r"it depends on the value of a bool"):
        from_onnx(model)


# ---------------------------------------------------------------------- made by onnxruntime


def optimised(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The model as onnxruntime would run it, without what only its own kernels understand."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return onnx.load(options.optimized_model_filepath)


def contributed(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node if node.domain}


def test_a_convolution_net(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "v"], ["c"]),
        node("LeakyRelu", ["c"], ["d"], alpha=0.2),
        node("Conv", ["d", "v"], ["e"]),
        node("HardSigmoid", ["e"], ["y"]),
    ]
    given = {"x": floats(1, 3, 8, 8)}
    weights = {"w": floats(4, 3, 3, 3, seed=1), "v": floats(4, 4, 1, 1, seed=2)}
    model = model_of(nodes, given, ["y"], weights)
    found = optimised(model, tmp_path)
    assert contributed(found) == {"FusedConv"}
    agree(found, given, runtime(model, given))


def test_a_transformer_layer(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q", "kt"], ["s"]),
        node("Mul", ["s", "scale"], ["scaled"]),
        node("Softmax", ["scaled"], ["p"], axis=-1),
        node("MatMul", ["p", "v"], ["o"]),
        node("MatMul", ["o", "w"], ["l"]),
        node("Add", ["l", "b"], ["h"]),
        node("Div", ["h", "root"], ["g1"]),
        node("Erf", ["g1"], ["g2"]),
        node("Add", ["g2", "one"], ["g3"]),
        node("Mul", ["h", "g3"], ["g4"]),
        node("Mul", ["g4", "half"], ["y"]),
    ]
    given = {n: floats(2, 3, 5, 8, seed=k) for k, n in enumerate("qkv")}
    numbers = {"scale": 0.35, "root": 2**0.5, "one": 1.0, "half": 0.5}
    weights = {n: np.array(v, np.float32) for n, v in numbers.items()}
    weights |= {"w": floats(8, 6, seed=4), "b": floats(6, seed=5)}
    model = model_of(nodes, given, ["y"], weights)
    found = optimised(model, tmp_path)
    assert contributed(found) == {"FusedMatMul", "Gelu"}
    agree(found, given, runtime(model, given))


def test_a_quantized_net(tmp_path: Path) -> None:
    """Operators between conversions become quantized ones."""
    node = helper.make_node
    nodes, last = [], "x"
    weights = {"scale": np.float32(0.05), "zero": np.uint8(120)}
    weights = {n: np.asarray(v) for n, v in weights.items()}
    given = {"x": floats(1, 4, 6, 6)}

    def quantized(name: str) -> str:
        nodes.append(node("QuantizeLinear", [name, "scale", "zero"], [f"{name}_q"]))
        nodes.append(node("DequantizeLinear", [f"{name}_q", "scale", "zero"], [f"{name}_f"]))
        return f"{name}_f"

    last = quantized("x")
    for op_type, more, options in (
        ("LeakyRelu", [], {"alpha": 0.1}),
        ("Sigmoid", [], {}),
        ("Add", ["x_f"], {}),
        ("AveragePool", [], {"kernel_shape": [2, 2]}),
        ("Mul", [last], {}),
    ):
        others = ["AveragePool_f"] if op_type == "Mul" else more
        nodes.append(node(op_type, [last, *others], [op_type], **options))
        last = quantized(op_type)
    model = model_of(nodes, given, [last], weights)
    found = optimised(model, tmp_path)
    wanted = {"QLinearLeakyRelu", "QLinearSigmoid", "QLinearAdd", "QLinearAveragePool"}
    assert contributed(found) == {*wanted, "QLinearMul"}
    agree(found, given, runtime(found, given), atol=0.16)


def test_a_dynamically_quantized_product(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "w", "z", "wz"], ["i"]),
        node("Cast", ["i"], ["f"], to=onnx.TensorProto.FLOAT),
        node("Mul", ["s", "ws"], ["m"]),
        node("Mul", ["f", "m"], ["p"]),
        node("Add", ["p", "b"], ["y"]),
    ]
    weights = {"w": np.arange(24, dtype=np.int8).reshape(8, 3), "wz": np.array(3, np.int8)}
    weights |= {"ws": np.array(0.1, np.float32), "b": floats(3)}
    given = {"x": floats(2, 5, 8)}
    model = model_of(nodes, given, ["y"], weights)
    found = optimised(model, tmp_path)
    assert contributed(found) == {"DynamicQuantizeMatMul"}
    agree(found, given, runtime(model, given), atol=1e-4)
