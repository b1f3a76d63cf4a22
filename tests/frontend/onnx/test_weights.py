"""Large weights, which are read past the protocol buffer, and the largest when they are needed."""

import gc
import io
import os
from contextlib import suppress

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx_models import evaluate, floats, model_of
from relay.frontend.onnx import from_onnx, load
from relay.frontend.onnx.load import read
from relay.frontend.onnx.wire import WireError, split
from relay.ir.expr import Constant
from relay.ir.visit import post_order
from relay.runtime.memory import is_aligned
from relay.support.errors import ImportModelError, UnsupportedError

LARGE = 5000
#: So large that it is not read before somebody asks for the elements.
LARGEST = 20_000


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


def settled(path):
    """The file, as if it had been written a minute ago."""
    earlier = os.stat(path).st_mtime - 60
    os.utime(path, (earlier, earlier))
    return path


def beside(tmp_path, values):
    """A model whose weight ``w`` is in the file ``data``."""
    model = identity(numpy_helper.from_array(values, "w"))
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="data", size_threshold=0)
    return path, tmp_path / "data"


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="files are read at once here")
@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_the_largest_are_read_when_they_are_needed(tmp_path, dtype):
    values = np.random.default_rng(0).integers(0, 2, (LARGEST * 4,)).astype(dtype)
    path = settled(saved(tmp_path, identity(numpy_helper.from_array(values, "w"))))
    module, _ = from_onnx(path)
    data = module["main"].body.data
    assert data.is_deferred
    assert is_aligned(data.numpy())
    assert load(path) == onnx.load(path)
    path.unlink()  # an open file stays
    assert evaluate(module, {})[0].tobytes() == values.tobytes()


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="files are read at once here")
def test_files_beside_the_model_are_read_when_they_are_needed(tmp_path):
    values = floats(LARGEST)
    path, data = beside(tmp_path, values)
    settled(data)
    module, _ = from_onnx(path)
    assert module["main"].body.data.is_deferred
    assert evaluate(module, {})[0].tobytes() == values.tobytes()
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(ImportModelError, match="data has been written to since"):
        evaluate(module, {})


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="files are read at once here")
@pytest.mark.parametrize("size", [0, 1000, None])
def test_a_file_that_changes_is_an_error_and_no_crash(tmp_path, size):
    path = settled(saved(tmp_path, identity(numpy_helper.from_array(floats(LARGEST), "w"))))
    module, _ = from_onnx(path)
    content = bytes(path.stat().st_size)
    path.write_bytes(content[:size])
    with pytest.raises(ImportModelError, match=r"relay\.frontend\.onnx\.load\(path\)"):
        evaluate(module, {})


def test_a_file_that_was_just_written_may_be_written_again(tmp_path):
    values = floats(LARGEST)
    path = saved(tmp_path, identity(numpy_helper.from_array(values, "w")))
    module, _ = from_onnx(path)
    path.write_bytes(b"")
    assert evaluate(module, {})[0].tobytes() == values.tobytes()


def test_parameters_stay_in_memory(tmp_path):
    model = model_of(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        {"x": floats(LARGEST)},
        ["y"],
        {"w": floats(LARGEST)},
    )
    _, params = from_onnx(settled(saved(tmp_path, model)), freeze_params=False)
    params["w"].numpy()[0] = 7
    assert params["w"].numpy()[0] == 7


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="open files cannot be counted")
def test_files_are_closed_with_the_last_weight(tmp_path):
    path = settled(saved(tmp_path, identity(numpy_helper.from_array(floats(LARGEST), "w"))))
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    module, _ = from_onnx(path)
    assert len(os.listdir("/proc/self/fd")) > before
    del module
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="files are read at once here")
def test_what_only_moves_weights_waits_too(tmp_path):
    weight = np.arange(LARGEST, dtype="float32").reshape(100, 200)
    nodes = [
        helper.make_node("Transpose", ["w"], ["t"]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]
    path = saved(tmp_path, model_of(nodes, {"x": floats(1, 200)}, ["y"], {"w": weight}))
    module, _ = from_onnx(settled(path))
    held = [n for n in post_order(module["main"]) if isinstance(n, Constant)]
    assert all(constant.data.is_deferred for constant in held)
    x = floats(1, 200)
    np.testing.assert_allclose(evaluate(module, {"x": x})[0], x @ weight.T, rtol=1e-4)
