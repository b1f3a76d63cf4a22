"""Whole networks, compiled, against onnxruntime."""

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

import relay
from models.builders import NETWORKS, Inputs, Network, image
from onnx_models import operators, runtime
from relay.frontend.onnx import from_onnx
from relay.runtime.threads import get_num_threads, set_num_threads
from relay.transform import PassContext

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
TOLERANCE = 1e-4
"""Largest difference, relative to the largest value of an output."""


@pytest.fixture(autouse=True)
def same_threads_after():
    before = get_num_threads()
    yield
    set_num_threads(before)


def compiled(model: onnx.ModelProto, inputs: Inputs, level: int = 3) -> list[np.ndarray]:
    """What relay makes of it; with one thread and with two, which must agree in every bit."""
    module, params = from_onnx(model)
    with PassContext(opt_level=level):
        graph = relay.build(module, "llvm", params)["default"](relay.cpu(0))
    runs = []
    for threads in (1, 2):
        set_num_threads(threads)
        graph.run(**inputs)
        outputs = range(graph.get_num_outputs())
        runs.append([graph.get_output(k).numpy().copy() for k in outputs])
    for one, two in zip(*runs, strict=True):
        assert one.tobytes() == two.tobytes()
    return runs[0]


def assert_close(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert np.isfinite(theirs).all()
        assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()


@cache
def network(name: str) -> tuple[onnx.ModelProto, Inputs, list[np.ndarray]]:
    """A network, its inputs, and what onnxruntime makes of them."""
    model, inputs = NETWORKS[name]()
    return model, inputs, runtime(model, inputs)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_network(name, level):
    model, inputs, wanted = network(name)
    assert_close(compiled(model, inputs, level), wanted)


def resnet18(size: int) -> Network:
    """The ResNet-18 of the examples for images of `size` x `size`."""
    spec = importlib.util.spec_from_file_location("digits_resnet18", DIGITS / "resnet18.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    model = example.resnet18()
    for k in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[k].dim_value = size
    return model, {example.INPUT: image(1, 3, size, size)}


@pytest.mark.parametrize("size", [64, pytest.param(224, marks=pytest.mark.slow)])
def test_resnet18(size):
    model, inputs = resnet18(size)
    assert_close(compiled(model, inputs), runtime(model, inputs))


def test_flattening_through_shapes_imports_to_static_shapes():
    """``Shape -> Gather -> Unsqueeze -> Concat(-1) -> Reshape`` leaves one reshape."""
    main = from_onnx(NETWORKS["residual_old_style"]()[0])[0]["main"]
    assert [p.name_hint for p in main.params] == ["0"]
    found = operators(main)
    assert not {"shape_of", "take", "concatenate", "expand_dims"} & set(found)
    assert main.ret_type.concrete_shape == (10, 20)


def test_exported_masks_import_to_static_shapes():
    main = from_onnx(NETWORKS["text_encoder"]()[0])[0]["main"]
    assert not {"shape_of", "dyn.broadcast_to", "dyn.reshape"} & set(operators(main))
    states, pooled = main.ret_type.fields
    assert states.concrete_shape == (2, 12, 32)
    assert pooled.concrete_shape == (2, 32)


def test_digits_are_recognised():
    with np.load(DIGITS / "heldout.npz") as archive:
        images, labels = archive["images"], archive["labels"]
    module, params = from_onnx(str(DIGITS / "digits.onnx"))
    graph = relay.build(module, "llvm", params)["default"](relay.cpu(0))
    found = np.concatenate([graph(image[None])[0].numpy() for image in images])
    assert (found.argmax(1) == labels).mean() >= 0.97
    model = onnx.load(DIGITS / "digits.onnx")
    name = model.graph.input[0].name
    for k in range(5):
        wanted = runtime(model, {name: images[k : k + 1]})
        assert_close([found[k : k + 1]], wanted)
