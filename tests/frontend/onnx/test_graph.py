import subprocess
import sys
import time

import numpy as np
import pytest
from onnx import TensorProto, helper

import relay
from onnx_models import check, evaluate, floats, ints, model_of, operators, single, value_info
from relay import frontend
from relay.frontend.onnx import from_onnx, supported_operators
from relay.ir.expr import Call
from relay.ir.types import TensorType
from relay.ir.visit import post_order
from relay.support.errors import ImportModelError, RelayError, UnsupportedError

X = floats(3, 4)


def message_of(error, model, **options):
    with pytest.raises(error) as caught:
        from_onnx(model, **options)
    return str(caught.value)


def test_importing_relay_does_not_import_onnx():
    code = "import sys, relay, relay.frontend; assert 'onnx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_package_is_named():
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from relay.support.errors import ImportModelError\n"
        "try:\n    from relay.frontend import from_onnx\n"
        "except ImportModelError as e:\n    assert 'pip install relay-ir[onnx]' in str(e), e\n"
        "else:\n    raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_supported_operators_are_listed():
    names = supported_operators()
    assert names == sorted(names)
    assert {"Conv", "LSTM", "MatMul"} <= set(names)


# ---------------------------------------------------------------- main


def test_names_order_and_types_of_inputs():
    nodes = [helper.make_node("Add", ["b", "0"], ["y"]), helper.make_node("Mul", ["b", "b"], ["z"])]
    module, params = from_onnx(model_of(nodes, {"0": X, "b": X, "unused": ints(1)}, ["y", "z"]))
    main = module["main"]
    assert [p.name_hint for p in main.params] == ["0", "b", "unused"]
    assert main.params[2].checked_type == TensorType((1,), "int64")
    assert params == {}
    assert [r.shape for r in evaluate(module, {"0": X, "b": X, "unused": ints(1)})] == [(3, 4)] * 2


def test_free_weights_are_returned():
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["m"]),
        helper.make_node("Clip", ["m", "low"], ["y"]),
    ]
    weights = {"w": floats(6, 2), "shape": ints(2, 6), "low": np.array(0, np.float32)}
    weights["unused"] = floats(7)
    model = model_of(nodes, {"x": X}, ["y"], weights)
    module, params = from_onnx(model, freeze_params=False)
    assert list(params) == ["w"]
    assert [p.name_hint for p in module["main"].params] == ["x", "w"]
    np.testing.assert_array_equal(params["w"].numpy(), weights["w"])


def test_initializers_among_the_inputs_are_no_inputs():
    model = model_of(
        [helper.make_node("Add", ["x", "w"], ["y"])], {"x": X, "w": X}, ["y"], {"w": X}
    )
    module, _ = from_onnx(model)
    assert [p.name_hint for p in module["main"].params] == ["x"]


def test_an_output_may_be_an_input_or_a_weight():
    module, _ = from_onnx(model_of([], {"x": X}, ["x", "w"], {"w": X}))
    assert len(evaluate(module, {"x": X})) == 2


def test_spans_name_the_node():
    model, _ = single("Softplus", [X])
    for node in post_order(from_onnx(model)[0]["main"].body):
        if isinstance(node, Call):
            assert node.span is not None
            assert node.span.source.line(node.span.line) == "tested: o0 = Softplus(i0)"


def test_nodes_in_any_order():
    nodes = [helper.make_node("Neg", [f"v{i}"], [f"v{i + 1}"]) for i in range(6)]
    model = model_of([nodes[i] for i in (3, 0, 5, 2, 4, 1)], {"v0": X}, ["v6"])
    np.testing.assert_array_equal(evaluate(from_onnx(model)[0], {"v0": X})[0], X)


def test_nodes_without_effect_are_left_out():
    nodes = [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("NoSuch", ["x"], ["z"])]
    assert operators(from_onnx(model_of(nodes, {"x": X}, ["y"]))[0]["main"]) == ["negative"]


# ---------------------------------------------------------------- shapes of inputs


def open_model():
    model = model_of([helper.make_node("Flatten", ["x"], ["y"])], {}, ["y"])
    model.graph.input.append(value_info("x", X, ["batch", 3, None]))
    return model


def test_open_sizes_keep_their_names():
    main = from_onnx(open_model())[0]["main"]
    assert str(main.params[0].checked_type) == "Tensor[(batch, 3, ?), float32]"


def test_open_sizes_are_decided_at_run_time():
    module, _ = from_onnx(open_model())
    assert relay.parse(module.astext()).astext() == module.astext()
    machine = relay.vm.VirtualMachine(relay.vm.compile(module))
    for batch, rest in ((2, 5), (1, 4), (2, 5)):
        x = floats(batch, 3, rest)
        np.testing.assert_array_equal(machine.invoke("main", x).numpy(), x.reshape(batch, -1))
        np.testing.assert_array_equal(evaluate(module, {"x": x})[0], x.reshape(batch, -1))
    assert len(machine.executable.compilations) == 2


def test_open_sizes_are_named_where_they_must_be_known():
    with pytest.raises(UnsupportedError) as caught:
        relay.build(from_onnx(open_model())[0])
    message = str(caught.value)
    assert "x: (batch, 3, ?)" in message
    assert "from_onnx(model, shape={'x': (1, 3, 1)})" in message
    assert "--shape x=1,3,1" in message
    assert "relay.vm.compile" in message


def test_values_that_decide_at_run_time():
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("ReduceSum", ["r", "axes"], ["y"], keepdims=0),
    ]
    model = model_of(nodes, {"x": X, "shape": ints(2, 6), "axes": ints(1)}, ["y"], opset=18)
    module, _ = from_onnx(model)
    machine = relay.vm.VirtualMachine(relay.vm.compile(module))
    for shape, axis in (((2, 6), 1), ((4, 3), 0)):
        given = {"x": X, "shape": ints(*shape), "axes": ints(axis)}
        expected = X.reshape(shape).sum(axis)
        found = machine.invoke("main", *given.values()).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        np.testing.assert_allclose(evaluate(module, given)[0], expected, rtol=1e-6)


def test_a_rank_that_only_values_tell():
    model = model_of([helper.make_node("ConstantOfShape", ["s"], ["y"])], {}, ["y"])
    model.graph.input.append(value_info("s", ints(1, 2), ["rank"]))
    assert "number of dimensions" in message_of(UnsupportedError, model)


def test_open_sizes_are_no_ones_to_squeeze():
    model = model_of([helper.make_node("Squeeze", ["x"], ["y"])], {}, ["y"])
    model.graph.input.append(value_info("x", X, ["batch", 1, 3]))
    module, _ = from_onnx(model)
    assert len(module["main"].ret_type.shape) == 2
    machine = relay.vm.VirtualMachine(relay.vm.compile(module))
    assert machine.invoke("main", floats(2, 1, 3)).shape == (2, 3)
    with pytest.raises(RelayError, match="an open size is 1"):
        machine.invoke("main", floats(1, 1, 3))


def test_given_shapes():
    main = from_onnx(open_model(), shape={"x": (2, 3, 5)})[0]["main"]
    assert main.ret_type == TensorType((2, 15), "float32")


def test_wrong_shapes():
    message = message_of(ImportModelError, open_model(), shape={"input": (1, 3, 4)})
    assert message == "the model has no input named 'input'; its inputs are 'x'"
    message = message_of(ImportModelError, open_model(), shape={"x": (1, 3)})
    assert "has 3 dimensions (batch, 3, ?)" in message
    assert "negative" in message_of(ImportModelError, open_model(), shape={"x": (-1, 3, 4)})


def test_input_types():
    model = open_model()
    model.graph.input[0].type.tensor_type.elem_type = 0
    shape = {"x": (1, 3, 4)}
    main = from_onnx(model, shape=shape, dtype="float16")[0]["main"]
    assert main.params[0].checked_type == TensorType((1, 3, 4), "float16")
    main = from_onnx(open_model(), shape=shape, dtype={"x": "float64"})[0]["main"]
    assert main.params[0].checked_type == TensorType((1, 3, 4), "float64")
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.COMPLEX64
    assert "'x' has the element type COMPLEX64" in message_of(UnsupportedError, model, shape=shape)


# ---------------------------------------------------------------- what is wrong with a model


def test_all_unsupported_operators_are_named():
    nodes = [
        helper.make_node("NoSuch", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("NoSuch", ["b"], ["c"], name="second"),
        helper.make_node("Other", ["c"], ["y"], domain="com.example"),
    ]
    message = message_of(
        UnsupportedError, model_of(nodes, {"x": X}, ["y"], domains={"com.example": 3})
    )
    assert message.splitlines() == [
        "2 operators of the model cannot be imported:",
        "  NoSuch (domain ai.onnx, opset 17) in 'first', 'second'",
        "  Other (domain com.example, opset 3) in 'y'",
    ]


def test_a_version_of_the_future():
    model, _ = single("Relu", [X])
    assert "newer" in message_of(UnsupportedError, model, opset=1000)


def test_given_opset():
    model, inputs = single("Softmax", [floats(2, 3, 4)], opset=13, axis=1)
    old = evaluate(from_onnx(model, opset=11)[0], inputs)[0]
    np.testing.assert_allclose(old.sum((1, 2)), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "word"),
    [
        ([("Neg", ["nothing"], ["y"])], "nothing makes the value 'nothing'"),
        ([("Neg", ["x"], ["z"])], "the model has it as an output"),
        ([("Neg", ["x"], ["y"]), ("Abs", ["x"], ["y"])], "'y' is made twice"),
        ([("Neg", ["x"], ["x"]), ("Abs", ["x"], ["y"])], "'x' is made twice"),
        ([("Add", ["x", "b"], ["a"]), ("Neg", ["a"], ["b"]), ("Neg", ["a"], ["y"])], "cycle"),
        ([("Add", ["x"], ["y"])], "needs an input 1"),
        ([("Concat", ["x", "x"], ["y"])], "lacks the attribute 'axis'"),
    ],
)
def test_malformed_graphs(nodes, word):
    made = [helper.make_node(*node) for node in nodes]
    assert word in message_of(ImportModelError, model_of(made, {"x": X}, ["y"]))


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "words"),
    [
        ("MatMul", [X, X], {}, ["(3, 4) and (3, 4) do not multiply"]),
        ("Reshape", [X, ints(5, -1)], {}, ["(3, 4) cannot become (5, -1)"]),
        ("Reshape", [X, ints(5)], {}, ["(3, 4) cannot become (5,)"]),
        ("Transpose", [X], {"perm": [0, 0]}, ["not an order of 2 axes"]),
        ("Softmax", [X], {"axis": 5}, ["axis 5"]),
        ("Add", [X, floats(3)], {}, ["add"]),
        ("Gather", [X, ints(7)], {}, ["elements 7 to 7", "has 3"]),
        ("Tile", [X, ints(2**31, 2**31)], {}, ["bytes"]),
        ("Expand", [X, ints(2**40, 3, 4)], {}, ["bytes"]),
        ("ConstantOfShape", [ints(2**20, 2**20)], {}, ["bytes"]),
        ("Conv", [floats(1, 3, 8, 8), floats(4, 3, 3, 3)], {"pads": [1, 1]}, ["padding"]),
        ("Softmax", [X], {"axis": "one"}, ["'axis' must be of type INT"]),
        ("Range", [np.array(0.0), np.array(np.inf), np.array(1.0)], {}, ["malformed"]),
    ],
)
def test_malformed_nodes(op_type, inputs, attributes, words):
    fixed = range(op_type not in ("Range", "ConstantOfShape"), len(inputs))
    model, _ = single(op_type, inputs, fixed=fixed, **attributes)
    message = message_of(ImportModelError, model)
    assert "node 'tested'" in message
    assert all(word in message for word in words), message


def test_unsupported_uses():
    inputs = [ints(1, 2), None, None, ints(4)]
    model, _ = single("Resize", inputs, opset=19, fixed=[3], mode="linear")
    message = message_of(UnsupportedError, model)
    assert "node 'tested'" in message
    assert "interpolation of int64" in message


# ---------------------------------------------------------------- functions


def function(name, nodes, inputs=("a",), outputs=("b",)):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    return helper.make_function("local", name, inputs, outputs, nodes, opsets)


def call(name, *values):
    return helper.make_node(name, values[:-1], values[-1:], domain="local")


def test_functions_are_expanded():
    twice = function("Twice", [helper.make_node("Add", ["a", "a"], ["b"])])
    four = function("Four", [call("Twice", "a", "c"), call("Twice", "c", "b")])
    nodes = [call("Four", "x", "y"), helper.make_node("Add", ["y", "w"], ["z"])]
    model = model_of(
        nodes, {"x": X}, ["z"], {"w": X}, functions=[twice, four], domains={"local": 1}
    )
    check(model, {"x": X}, expected=[X * 5])


def test_functions_that_call_themselves():
    a = function("A", [call("B", "a", "b")])
    b = function("B", [call("A", "a", "b")])
    model = model_of([call("A", "x", "y")], {"x": X}, ["y"], functions=[a, b], domains={"local": 1})
    assert "calls itself" in message_of(ImportModelError, model)


def test_functions_that_expand_without_end():
    functions = [function("F0", [helper.make_node("Neg", ["a"], ["b"])])]
    for i in range(1, 40):
        name = f"F{i - 1}"
        functions.append(function(f"F{i}", [call(name, "a", "c"), call(name, "c", "b")]))
    model = model_of(
        [call("F39", "x", "y")], {"x": X}, ["y"], functions=functions, domains={"local": 1}
    )
    assert "expand to" in message_of(ImportModelError, model)


# ---------------------------------------------------------------- size


def test_a_small_model_cannot_fill_the_memory():
    count = 30
    nodes = [helper.make_node("Concat", ["v0", "v0"], ["v1"], axis=0)]
    for i in range(1, count):
        nodes.append(helper.make_node("Concat", [f"v{i}", f"v{i}"], [f"v{i + 1}"], axis=0))
    nodes.append(helper.make_node("Shape", [f"v{count}"], ["y"]))
    weights = {"v0": np.zeros(1 << 18, np.float32)}
    main = from_onnx(model_of(nodes, {"x": X}, ["y"], weights))[0]["main"]
    assert main.body.data.numpy().tolist() == [1 << (18 + count)]


def test_long_chains_and_wide_graphs():
    count = 10_000
    chain = [helper.make_node("Neg", [f"v{i}"], [f"v{i + 1}"]) for i in range(count)]
    wide = [helper.make_node("Neg", ["v0"], [f"w{i}"]) for i in range(count)]
    wide.append(helper.make_node("Concat", [f"w{i}" for i in range(count)], ["all"], axis=0))
    x = floats(2)
    start = time.perf_counter()
    deep, _ = from_onnx(model_of(chain, {"v0": x}, [f"v{count}"]))
    broad, _ = from_onnx(model_of(wide, {"v0": x}, ["all"]))
    assert time.perf_counter() - start < 20
    np.testing.assert_array_equal(evaluate(deep, {"v0": x})[0], x)
    assert evaluate(broad, {"v0": x})[0].shape == (2 * count,)


def test_frontend_finds_its_importers():
    assert frontend.from_onnx is from_onnx
    assert frontend.onnx.from_onnx is from_onnx
    assert {"from_onnx", "onnx"} <= set(dir(frontend))
    with pytest.raises(AttributeError, match="from_nothing"):
        frontend.from_nothing  # noqa: B018
