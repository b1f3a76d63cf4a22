"""Models that random ones came down to (``tools/fuzz.py``), on every executor."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import pytest

import relay
from onnx_models import floats, helper, ints, model_of, runtime, single
from relay.frontend.onnx import from_onnx
from relay.support.errors import ImportModelError, InputError, RelayError


def same_everywhere(
    model: onnx.ModelProto,
    inputs: Mapping[str, np.ndarray],
    levels: Sequence[int] = (0, 1, 2, 3),
) -> None:
    """What onnxruntime makes of `model` is what every executor makes of it."""
    expected = runtime(model, inputs)
    module = from_onnx(model)[0]
    static = from_onnx(model, shape={n: a.shape for n, a in inputs.items()})[0]
    found = [relay.create_executor(kind, mod=module).evaluate() for kind in ("debug", "vm")]
    for level in levels:
        with relay.transform.PassContext(opt_level=level):
            found.append(relay.create_executor("graph", mod=static).evaluate())
    for function in found:
        result = function(**inputs)
        arrays = [r.numpy() for r in (result if isinstance(result, tuple) else (result,))]
        for ours, theirs in zip(arrays, expected, strict=True):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def opened(model: onnx.ModelProto, name: str, *dims: str | int) -> onnx.ModelProto:
    """`model` with an input of open sizes."""
    (declared,) = (i for i in model.graph.input if i.name == name)
    code = declared.type.tensor_type.elem_type
    declared.CopyFrom(helper.make_tensor_value_info(name, code, dims))
    return model


@pytest.mark.parametrize("fixed", [(), (1,)])
def test_elements_gathered_from_a_part_of_the_other_axes(fixed):
    indices = ints(0, -1, 3, 1, 2, 1).reshape(1, 3, 2)
    same_everywhere(*single("GatherElements", [floats(2, 4, 5), indices], fixed=fixed, axis=1))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_several_outputs_for_each_channel(rank):
    image, weight = floats(1, 2, *[4] * rank), floats(32, 1, *[3] * rank)
    same_everywhere(*single("Conv", [image, weight], fixed=[1], group=2))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("places", ["half_pixel", "pytorch_half_pixel"])
def test_resizing_to_nothing(mode, places):
    arguments = [floats(1, 2, 3, 1), None, np.array([1, 1, 1, 0.5], np.float32)]
    options = {"mode": mode, "coordinate_transformation_mode": places}
    same_everywhere(*single("Resize", arguments, fixed=[2], **options))


def test_padding_what_is_cut_off_whole():
    same_everywhere(*single("Pad", [floats(2, 1), ints(0, -1, 0, 3)], fixed=[1]))


def test_a_padded_open_size_is_another_size():
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["wide"]),
        helper.make_node("Einsum", ["wide", "w"], ["y"], equation="ab,c->ba"),
    ]
    x = floats(4, 4)
    model = model_of(nodes, {"x": x}, ["y"], {"pads": ints(1, 0, 0, 0), "w": floats(2)})
    same_everywhere(opened(model, "x", "n", "n"), {"x": x})


def test_a_window_of_open_sizes():
    image, window = floats(1, 2, 5, 5), floats(3, 2, 3, 3)
    model, inputs = single("Conv", [image, window])
    same_everywhere(opened(model, "i1", "m", 2, "n", "n"), inputs)


@pytest.mark.parametrize(
    ("shape", "axis", "opset"), [((0,), 0, 20), ((2, 0), -1, 13), ((0, 3), 1, 11)]
)
def test_the_largest_of_nothing(shape, axis, opset):
    same_everywhere(*single("Hardmax", [floats(*shape)], opset=opset, axis=axis))


def test_where_the_least_of_nothing_is():
    model, inputs = single("ArgMin", [floats(0, 1, 0, 1)], opset=13, axis=0)
    same_everywhere(model, inputs)
    model, inputs = single("ArgMax", [floats(2, 0)], opset=13, axis=0, select_last_index=1)
    same_everywhere(model, inputs)


def test_exponentials_of_whole_numbers():
    model, inputs = single("ReduceLogSumExp", [ints(1, 5, 2)], opset=16)
    same_everywhere(model, inputs)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-6), ("float64", 1e-14)])
def test_small_results_have_all_digits(dtype, bound):
    x = np.concatenate([np.linspace(-80, 80, 999), np.geomspace(1e-6, 1, 99)]).astype(dtype)
    wide = x.astype(np.longdouble)
    soft = np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))
    for name, expected in (("Softplus", soft), ("Mish", wide * np.tanh(soft))):
        module, _ = from_onnx(single(name, [x], opset=22)[0])
        for executor in ("debug", "graph"):
            found = relay.create_executor(executor, mod=module).evaluate()(x).numpy()
            np.testing.assert_allclose(found, expected, rtol=bound, atol=np.finfo(dtype).tiny)


def test_a_pool_whose_last_window_would_be_beside_the_image():
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p"], ceil_mode=1, kernel_shape=[1], strides=[3]),
        helper.make_node("Add", ["p", "z"], ["y"]),
    ]
    inputs = {"x": floats(1, 2, 6), "z": floats(1, 2, 2, seed=1)}
    same_everywhere(opened(model_of(nodes, inputs, ["y"]), "x", "l", "m", "n"), inputs)


def test_a_bias_of_open_sizes_for_known_ones():
    model, inputs = single("LayerNormalization", [floats(2, 1, 3), floats(1, 3), floats(1, 3)])
    model.graph.node[0].attribute.append(helper.make_attribute("axis", 1))
    same_everywhere(opened(model, "i2", "m", "n"), inputs)
    machine = relay.create_executor("vm", mod=from_onnx(opened(model, "i2", "m", "n"))[0])
    with pytest.raises(RelayError, match=r"\(2, 3\) does not broadcast to \(1, 3\)"):
        machine.evaluate()(floats(2, 1, 3), floats(1, 3), floats(2, 3))


# ---------------------------------------------------------------- what damaged models came down to


@pytest.mark.parametrize("version", [2**31, -1, -(2**63)])
def test_versions_that_are_none(version):
    model, _ = single("Relu", [floats(3)])
    model.opset_import[0].version = version
    with pytest.raises(ImportModelError, match=r"asks for version -?\d+ of the operators"):
        from_onnx(model)


def test_too_many_inputs_of_a_node_for_later():
    arguments = [floats(2, 3), ints(0), ints(1)]
    model, _ = single("ReduceL2", arguments, opset=18)
    with pytest.raises(RelayError, match=r"'tested' \(ReduceL2\).*input size 3"):
        from_onnx(model)


def test_a_shape_of_a_billion_sizes():
    model, _ = single("ConstantOfShape", [ints(2, 3)])
    with pytest.raises(ImportModelError, match="has 1099511627776 numbers"):
        from_onnx(model, shape={"i0": (2**40,)})


def test_parts_that_have_no_names():
    model, _ = single("Split", [floats(4)], opset=18, outputs=2, num_outputs=2**40)
    with pytest.raises(ImportModelError, match=r"num_outputs is 1099511627776, .* 2 outputs"):
        from_onnx(model)


def test_an_open_size_that_turns_out_not_to_fit():
    model, _ = single("Sub", [floats(3, 4), floats(3, 4)])
    module, _ = from_onnx(opened(model, "i1", "m", 4))
    found = relay.create_executor("debug", mod=module).evaluate()
    with pytest.raises(InputError, match=r"subtract of .* could not be broadcast"):
        found(floats(3, 4), floats(2, 4))
