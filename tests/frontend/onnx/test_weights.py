"""Large weights, which are read past the protocol buffer."""

import io
from contextlib import suppress

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx_models import evaluate, floats, model_of
from relay.frontend.onnx import from_onnx, load
from relay.frontend.onnx.load import read
from relay.frontend.onnx.wire import WireError, split
from relay.runtime.memory import is_aligned
from relay.support.errors import ImportModelError, UnsupportedError

LARGE = 5000


def identity(weight: onnx.TensorProto) -> onnx.ModelProto:
    """A model that gives its `weight`, called ``w``."""
    model = model_of([helper.make_node("Identity", ["w"], ["y"])], {}, ["y"], {"w": floats(1)})
    model.graph.initializer[0].CopyFrom(weight)
    return model


def saved(tmp_path, model):
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8", "bool", "float16"])
def test_every_type(tmp_path, dtype):
    values = np.random.default_rng(0).integers(0, 2, (LARGE,)).astype(dtype)
    path = saved(tmp_path, identity(numpy_helper.from_array(values, "w")))
    loaded = read(path)
    assert list(loaded.weights) == ["w"]
    assert is_aligned(loaded.weights["w"].numpy())
    assert not loaded.model.graph.initializer[0].raw_data
    assert evaluate(from_onnx(path)[0], {})[0].tobytes() == values.tobytes()
    assert load(path) == onnx.load(path)


def test_true_is_stored_as_any_byte_but_zero(tmp_path):
    weight = helper.make_tensor(
        "w", TensorProto.BOOL, [LARGE], bytes([0, 1, 7, 255, 128] * 1000), True
    )
    found = evaluate(from_onnx(saved(tmp_path, identity(weight)))[0], {})[0]
    assert found.tolist() == [False, True, True, True, True] * 1000


def test_a_weight_of_another_size_than_declared(tmp_path):
    weight = numpy_helper.from_array(floats(LARGE), "w")
    for size in (LARGE - 1, LARGE + 1, 1 << 40):
        weight.dims[0] = size
        with pytest.raises(ImportModelError, match="'w' declares the shape"):
            from_onnx(saved(tmp_path, identity(weight)))


def test_a_type_that_is_not_supported_matters_only_where_it_is_used(tmp_path):
    weight = numpy_helper.from_array(floats(LARGE), "w")
    weight.data_type = TensorProto.COMPLEX64
    model = identity(weight)
    with pytest.raises(UnsupportedError, match="COMPLEX64"):
        from_onnx(saved(tmp_path, model))
    model.graph.initializer.add().CopyFrom(numpy_helper.from_array(floats(3), "v"))
    model.graph.node[0].input[0] = "v"
    assert evaluate(from_onnx(saved(tmp_path, model))[0], {})[0].tolist() == floats(3).tolist()


def test_two_weights_of_one_name(tmp_path):
    model = identity(numpy_helper.from_array(floats(LARGE), "w"))
    model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
    with pytest.raises(ImportModelError, match="two initializers are named 'w'"):
        from_onnx(saved(tmp_path, model))
    assert load(saved(tmp_path, model)) == model


def test_parts_of_a_message_that_come_twice(tmp_path):
    """Protocol buffers merge messages: a file may be the sum of two."""
    first = identity(numpy_helper.from_array(floats(LARGE), "w"))
    second = onnx.ModelProto()
    second.graph.initializer.add().CopyFrom(numpy_helper.from_array(floats(LARGE, seed=1), "v"))
    path = tmp_path / "model.onnx"
    path.write_bytes(first.SerializeToString() + second.SerializeToString())
    loaded = read(path)
    assert list(loaded.weights) == ["w", "v"]
    assert load(path) == onnx.load(path)


def test_no_damage_leads_outside_of_the_file():
    data = identity(numpy_helper.from_array(floats(LARGE), "w")).SerializeToString()
    generator = np.random.default_rng(0)
    damaged = [data[:size] for size in [*range(60), *range(60, len(data), 997)]]
    for _ in range(300):
        changed = bytearray(data)
        changed[generator.integers(100)] = generator.integers(256)
        damaged.append(bytes(changed))
    for text in damaged:
        with suppress(WireError):
            skeleton = split(io.BytesIO(text), len(text))
            assert all(0 < at <= at + size <= len(text) for at, size in skeleton.data.values())
