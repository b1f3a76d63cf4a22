"""Models with sizes that stay open: imported by operators, not by nodes left for run time."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import relay
from relay.frontend import from_onnx
from relay.frontend.onnx.sizes import SizeVar, compared, quotient, symbol
from relay.ir.expr import Call
from relay.ir.visit import post_order

_KINDS = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}


def model_of(nodes, inputs, outputs=("y",), opset=18, **constants):
    """A model of `nodes`; `inputs` are (name, shape, data type), `constants` initializers."""
    given = [helper.make_tensor_value_info(n, _KINDS[d], s) for n, s, d in inputs]
    made = [helper.make_empty_tensor_value_info(n) for n in outputs]
    stored = [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()]
    graph = helper.make_graph(nodes, "open", given, made, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def node(op_type, inputs, output="y", **attributes):
    outputs = output.split() if isinstance(output, str) else output
    return helper.make_node(op_type, inputs.split(), outputs, **attributes)


def values_of(inputs, sizes, seed=0):
    random = np.random.default_rng(seed)
    found = {}
    for name, shape, dtype in inputs:
        concrete = [sizes.get(d, d) for d in shape]
        if dtype == "float32":
            found[name] = random.standard_normal(concrete).astype(np.float32)
        else:
            found[name] = random.integers(0, 2, concrete).astype(dtype)
    return found


def names_of(module):
    return [c.attrs.name for c in post_order(module["main"]) if isinstance(c, Call)]


def check(model, inputs, *runs, shape=None, late=0, graphs=1):
    """Compare with onnxruntime for each of `runs`; returns the names of all operators called."""
    module, _ = from_onnx(model)
    names = names_of(module)
    assert names.count("onnx.node") == late
    if shape is not None:
        assert str(module["main"].body.checked_type) == shape
    executable = relay.vm.compile(module)
    assert len(executable.graphs) == graphs
    machine = relay.vm.VirtualMachine(executable)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for sizes in runs:
        given = values_of(inputs, sizes)
        found = machine.invoke("main", *given.values())
        found = list(found) if isinstance(found, tuple | list) else [found]
        for a, b in zip(found, session.run(None, given), strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-5, atol=1e-5)
    return names


_X = [("x", ["batch", "seq", 8], "float32")]
_RUNS = ({"batch": 1, "seq": 1}, {"batch": 2, "seq": 5}, {"batch": 3, "seq": 4})


def test_formulas():
    b, s = symbol(SizeVar("b")), symbol(SizeVar("s"))
    assert (b + 1) * s - s == b * s
    assert b - b == 0
    assert quotient(6 * b * s, 2 * b) == 3 * s
    assert quotient(b, s) is None
    assert compared(b + 1, 0) == 1
    assert compared(b, s) is None
    assert compared(b, -1) == 1
    assert str(2 * b + 1) == "2*b + 1"


@pytest.mark.parametrize(
    ("wanted", "shape"),
    [
        ((0, 0, 2, 4), "(batch, seq, 2, 4)"),
        ((0, -1), "(batch, ?)"),
        ((-1, 8), "(?, 8)"),
        ((-1, 4), "(?, 4)"),
        ((0, -1, 4, 2), "(batch, seq, 4, 2)"),
        ((1, 0, -1, 8), "(1, seq, batch, 8)"),
    ],
)
def test_reshape(wanted, shape):
    model = model_of([node("Reshape", "x s")], _X, s=np.array(wanted, np.int64))
    assert check(model, _X, *_RUNS, shape=f"Tensor[{shape}, float32]") == ["reshape"]


def test_sizes_are_computed_while_importing():
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "batch", axis=0),
        node("Gather", "shape one", "seq", axis=0),
        node("Gather", "shape two", "width", axis=0),
        node("Div", "width heads", "part"),
        node("Unsqueeze", "batch axis", "b"),
        node("Unsqueeze", "seq axis", "s"),
        node("Unsqueeze", "part axis", "p"),
        node("Unsqueeze", "heads axis", "h"),
        node("Concat", "b s h p", "all", axis=0),
        node("Reshape", "x all"),
    ]
    model = model_of(
        nodes,
        _X,
        zero=np.int64(0),
        one=np.int64(1),
        two=np.int64(2),
        heads=np.int64(2),
        axis=np.array([0]),
    )
    names = check(model, _X, *_RUNS, shape="Tensor[(batch, seq, 2, 4), float32]")
    assert names == ["reshape"]


def test_reshape_to_the_sizes_of_another():
    nodes = [
        node("Reshape", "x rows", "flat"),
        node("Gemm", "flat w", "product"),
        node("Shape", "x", "sizes", start=0, end=2),
        node("Concat", "sizes units", "shape", axis=0),
        node("Reshape", "product shape"),
    ]
    weight = np.random.default_rng(1).standard_normal((8, 3)).astype(np.float32)
    model = model_of(nodes, _X, rows=np.array([-1, 8]), w=weight, units=np.array([3]))
    names = check(model, _X, *_RUNS, shape="Tensor[(batch, seq, 3), float32]")
    assert "dyn.reshape" in names


def test_flatten():
    inputs = [("x", ["batch", 2, 3], "float32")]
    runs = [{"batch": 1}, {"batch": 4}]
    names = check(
        model_of([node("Flatten", "x")], inputs), inputs, *runs, shape="Tensor[(batch, 6), float32]"
    )
    assert names == ["reshape"]


def test_expand():
    nodes = [
        node("Shape", "x", "sizes", start=0, end=2),
        node("Expand", "mask sizes"),
    ]
    model = model_of(nodes, _X, mask=np.arange(1, dtype=np.float32).reshape(1, 1))
    check(model, _X, *_RUNS, shape="Tensor[(batch, seq), float32]")


def test_expand_marked_by_minus_one():
    nodes = [
        node("Shape", "x", "sizes", start=0, end=1),
        node("Concat", "sizes rest", "wanted", axis=0),
        node("Equal", "wanted minus", "kept"),
        node("Where", "kept ones wanted", "shape"),
        node("Expand", "token shape"),
    ]
    model = model_of(
        nodes,
        _X,
        rest=np.array([-1, -1]),
        minus=np.array([-1]),
        ones=np.ones(3, np.int64),
        token=np.ones((1, 1, 4), np.float32),
    )
    names = check(model, _X, *_RUNS, shape="Tensor[(batch, 1, 4), float32]")
    assert "dyn.broadcast_to" in names


def test_expand_where_it_shows_late_which_size_is_one():
    inputs = [("x", ["n", 3], "float32"), ("z", ["m"], "float32")]
    nodes = [
        node("Shape", "z", "sizes"),
        node("Concat", "sizes three", "shape", axis=0),
        node("Expand", "x shape"),
    ]
    model = model_of(nodes, inputs, three=np.array([3]))
    names = check(model, inputs, {"n": 1, "m": 4}, {"n": 4, "m": 1}, {"n": 2, "m": 2})
    assert "where" in names


def test_slices():
    far = np.iinfo(np.int64).max
    whole = model_of(
        [node("Slice", "x a b c")], _X, a=np.array([0]), b=np.array([far]), c=np.array([1])
    )
    assert check(whole, _X, *_RUNS, shape="Tensor[(batch, seq, 8), float32]", graphs=0) == []
    cut = model_of(
        [node("Slice", "x a b c")], _X, a=np.array([1, 0]), b=np.array([far, 2]), c=np.array([1, 2])
    )
    names = check(cut, _X, *_RUNS[1:], shape="Tensor[(batch, ?, 2), float32]")
    assert names == ["strided_slice"]


def test_slice_of_a_table():
    nodes = [
        node("Shape", "x", "seq", start=1, end=2),
        node("Slice", "table zero seq one", "part"),
        node("Add", "x part"),
    ]
    table = np.random.default_rng(2).standard_normal((1, 16, 8)).astype(np.float32)
    model = model_of(nodes, _X, table=table, zero=np.array([0]), one=np.array([1]))
    names = check(model, _X, *_RUNS, shape="Tensor[(batch, seq, 8), float32]")
    assert "dyn.strided_slice" in names


def test_constant_of_shape_and_range():
    nodes = [
        node("Shape", "x", "sizes", start=0, end=2),
        node("ConstantOfShape", "sizes", "ones", value=helper.make_tensor("v", 7, [1], [1])),
        node("Gather", "sizes one", "seq", axis=0),
        node("Range", "zero seq one", "places"),
        node("Add", "ones places"),
    ]
    model = model_of(nodes, _X, one=np.int64(1), zero=np.int64(0))
    names = check(model, _X, *_RUNS, shape="Tensor[(batch, seq), int64]")
    assert {"dyn.full", "dyn.arange"} <= set(names)


def test_tile_and_triangle():
    nodes = [
        node("Shape", "x", "batch", start=0, end=1),
        node("Concat", "batch one", "times", axis=0),
        node("Tile", "row times", "rows"),
        node("Transpose", "x", "turned", perm=[0, 2, 1]),
        node("MatMul", "x turned", "square"),
        node("Trilu", "square", "low", upper=0),
        node("ReduceSum", "low axes", "sums", keepdims=0),
        node("Expand", "ones times", "more"),
        node("Add", "rows sums", "a"),
        node("Add", "a more"),
    ]
    model = model_of(
        nodes,
        _X,
        one=np.array([1]),
        row=np.full((1, 1), 3, np.float32),
        ones=np.ones((1, 1), np.float32),
        axes=np.array([2]),
    )
    names = check(model, _X, *({"batch": n, "seq": n} for n in (1, 3)))
    assert {"dyn.tile", "dyn.broadcast_to", "dyn.arange"} <= set(names)


def test_batches_of_products_that_broadcast_late():
    inputs = [("x", ["n", 2, 3, 4], "float32"), ("z", ["m", 2, 4, 5], "float32")]
    model = model_of([node("MatMul", "x z")], inputs)
    check(model, inputs, {"n": 1, "m": 3}, {"n": 3, "m": 1}, {"n": 2, "m": 2})


def test_gather():
    nodes = [node("Gather", "x last", "a", axis=1), node("Gather", "a two", axis=1)]
    model = model_of(nodes, _X, last=np.int64(-1), two=np.array([2, 0]))
    check(model, _X, *_RUNS, shape="Tensor[(batch, 2), float32]")


def test_gather_of_tuples():
    inputs = [("x", ["batch", "seq"], "float32"), ("i", ["seq", 2], "int64")]
    model = model_of([node("GatherND", "x i")], inputs)
    check(model, inputs, *_RUNS[1:], shape="Tensor[(seq), float32]")


def test_convolution_and_pooling():
    inputs = [("x", ["batch", 2, "height", "width"], "float32")]
    nodes = [
        node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        node("MaxPool", "c", "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "m", "g"),
        node("Flatten", "g"),
    ]
    weight = np.random.default_rng(3).standard_normal((4, 2, 3, 3)).astype(np.float32)
    runs = [{"batch": 1, "height": 4, "width": 6}, {"batch": 2, "height": 8, "width": 8}]
    check(model_of(nodes, inputs, w=weight), inputs, *runs, shape="Tensor[(batch, 4), float32]")


def _weights(*shapes):
    random = np.random.default_rng(4)
    return [(0.3 * random.standard_normal(s)).astype(np.float32) for s in shapes]


@pytest.mark.parametrize("steps", [3, "seq"])
def test_lstm(steps):
    inputs = [("x", [steps, "batch", 4], "float32")]
    w, r = _weights((1, 20, 4), (1, 20, 5))
    nodes = [node("LSTM", "x w r", "a", hidden_size=5), node("Squeeze", "a axis")]
    model = model_of(nodes, inputs, w=w, r=r, axis=np.array([1]))
    # How often a layer is unrolled is decided by the length of the sequence.
    check(model, inputs, *_RUNS, shape=f"Tensor[({steps}, batch, 5), float32]", late=steps == "seq")


def test_attention_block():
    """A block of a transformer as exporters write it."""
    qkv, out, scale, bias = _weights((8, 24), (8, 8), (8,), (8,))
    nodes = [
        node("LayerNormalization", "x scale bias", "n", axis=-1),
        node("MatMul", "n qkv", "all"),
        node("Split", "all", "q k v", axis=-1, num_outputs=3),
        node("Shape", "x", "sizes", start=0, end=2),
        node("Concat", "sizes heads", "shape", axis=0),
        node("Reshape", "q shape", "q1"),
        node("Reshape", "k shape", "k1"),
        node("Reshape", "v shape", "v1"),
        node("Transpose", "q1", "q2", perm=[0, 2, 1, 3]),
        node("Transpose", "k1", "k2", perm=[0, 2, 3, 1]),
        node("Transpose", "v1", "v2", perm=[0, 2, 1, 3]),
        node("MatMul", "q2 k2", "scores"),
        node("Where", "mask scores low", "masked"),
        node("Softmax", "masked", "weights", axis=-1),
        node("MatMul", "weights v2", "mixed"),
        node("Transpose", "mixed", "turned", perm=[0, 2, 1, 3]),
        node("Reshape", "turned joined", "rows"),
        node("MatMul", "rows out", "o"),
        node("Add", "x o"),
    ]
    inputs = [*_X, ("mask", ["batch", 1, 1, "seq"], "bool")]
    model = model_of(
        nodes,
        inputs,
        qkv=qkv,
        out=out,
        scale=scale,
        bias=bias,
        heads=np.array([2, 4]),
        joined=np.array([0, 0, -1]),
        low=np.float32(-1e4),
    )
    names = check(model, inputs, *_RUNS, shape="Tensor[(batch, seq, 8), float32]")
    assert not any(name.startswith("dyn.") for name in names)
