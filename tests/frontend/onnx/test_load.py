import os
from contextlib import suppress

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_models import evaluate, floats, model_of
from relay.frontend.onnx import from_onnx, load
from relay.support.errors import ImportModelError, UnsupportedError


def small_model():
    weights = {"w": floats(4, 5)}
    return model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": floats(3, 4)}, ["y"], weights
    )


def saved(tmp_path, model=None):
    path = tmp_path / "model.onnx"
    path.write_bytes((model or small_model()).SerializeToString())
    return path


def refused(action, *words):
    with pytest.raises(ImportModelError) as caught:
        action()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_a_path_is_loaded(tmp_path):
    path = saved(tmp_path)
    x = floats(3, 4)
    for given in (path, str(path), load(path)):
        module, params = from_onnx(given)
        assert params == {}
        np.testing.assert_allclose(evaluate(module, {"x": x})[0], x @ floats(4, 5), rtol=1e-5)


def test_no_such_file(tmp_path):
    refused(lambda: load(tmp_path / "absent.onnx"), "no such file", "absent.onnx")


def test_folder_and_empty_file(tmp_path):
    refused(lambda: load(tmp_path), "is a folder")
    (tmp_path / "empty").touch()
    refused(lambda: load(tmp_path / "empty"), "empty")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"hello, world", "is not an ONNX model"),
        (b"\x00" * 40, "is not an ONNX model"),
        (b"\x08\x0a\xff\xff\xff", "is not an ONNX model"),
        (b"\x08\x0a", "has no graph"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04 and so on", "PyTorch"),
        (b"<html>", "web page"),
        (b'{"a": 1}', "JSON"),
    ],
)
def test_not_a_model(tmp_path, content, word):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    refused(lambda: load(path), word)


def test_every_truncation_is_refused(tmp_path):
    data = saved(tmp_path).read_bytes()
    path = tmp_path / "short.onnx"
    for size in range(1, len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(ImportModelError) as caught:
            from_onnx(path)
        assert "short.onnx" in str(caught.value) or size > 4
    path.write_bytes(data[: len(data) // 2])
    refused(lambda: load(path), "is cut off", "download it again")


def test_damaged_bytes_never_escape_as_another_error(tmp_path):
    data = bytearray(saved(tmp_path).read_bytes())
    path = tmp_path / "damaged.onnx"
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        changed[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(changed)
        with suppress(ImportModelError, UnsupportedError):
            from_onnx(path)


# ---------------------------------------------------------------- data files


def external_model(dims=(4, 5), **entries):
    model = small_model()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.dims[:] = dims
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    return model


def test_data_beside_the_model(tmp_path):
    (tmp_path / "data").mkdir()
    weight = floats(4, 5)
    (tmp_path / "data" / "w.bin").write_bytes(b"12345678" + weight.tobytes())
    x = floats(3, 4)
    for entries in ({"length": 80}, {}):
        path = saved(tmp_path, external_model(location="data/w.bin", offset=8, **entries))
        module, _ = from_onnx(path)
        np.testing.assert_allclose(evaluate(module, {"x": x})[0], x @ weight, rtol=1e-5)


def test_data_written_by_onnx(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(small_model(), path, save_as_external_data=True, location="weights", size_threshold=0)
    assert load(path).graph.initializer[0].raw_data == floats(4, 5).tobytes()


@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../x", "data/../../x", "", "C:\\x", "C:x", "\\\\host\\x", "a\0b"],
)
def test_data_outside_the_folder(tmp_path, location):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "x").write_bytes(bytes(1000))
    path = saved(inside, external_model(location=location))
    refused(lambda: load(path), "inside the folder of the model")


@pytest.mark.parametrize("kind", ["file", "folder", "hard"])
def test_data_behind_links(tmp_path, kind):
    inside = tmp_path / "inside"
    outside = tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_bytes(bytes(1000))
    location = "secret"
    if kind == "file":
        (inside / "secret").symlink_to(outside / "secret")
    elif kind == "folder":
        (inside / "folder").symlink_to(outside)
        location = "folder/secret"
    else:
        os.link(outside / "secret", inside / "secret")
    path = saved(inside, external_model(location=location))
    refused(lambda: load(path), "link")


def test_data_that_are_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path = saved(tmp_path, external_model(location="pipe"))
    refused(lambda: load(path), "no regular file")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"length": 79}, ("80 bytes", "79 bytes")),
        ({"offset": 21}, ("bytes 21 to 101", "only 100 bytes")),
        ({"offset": 2**62}, ("only 100 bytes",)),
        ({"offset": "-1"}, ("offset",)),
        ({"length": "many"}, ("length",)),
        ({"dims": (2**40, 2**40)}, ("only 100 bytes",)),
        ({"dims": (-1, 4)}, ("declares the shape",)),
        ({"location": "absent"}, ("cannot be read",)),
    ],
)
def test_data_of_another_size(tmp_path, entries, words):
    (tmp_path / "w").write_bytes(bytes(100))
    path = saved(tmp_path, external_model(**{"location": "w", **entries}))
    refused(lambda: load(path), "'w'", *words)


def test_data_named_many_times(tmp_path):
    (tmp_path / "w").write_bytes(bytes(80))
    model = external_model(location="w")
    for i in range(10):
        model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
        model.graph.initializer[-1].name = f"w{i}"
    refused(lambda: load(saved(tmp_path, model)), "times over")


def test_data_not_read():
    refused(lambda: from_onnx(external_model(location="w")), "give the path")


# ---------------------------------------------------------------- tensors


@pytest.mark.parametrize("dims", [(4, 6), (2**31, 2**31), (4,)])
def test_declared_size_of_raw_data(dims):
    model = small_model()
    model.graph.initializer[0].dims[:] = dims
    refused(lambda: from_onnx(model), "'w'", "carries 80 bytes")


def test_declared_size_of_typed_data():
    model = small_model()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.float_data.extend([1.0] * 19)
    refused(lambda: from_onnx(model), "'w'", "19 elements in float_data")


@pytest.mark.parametrize(
    "dtype", "float16 float32 float64 int8 int32 int64 uint8 uint32 uint64 bool".split()
)
@pytest.mark.parametrize("raw", [False, True])
def test_element_types(dtype, raw):
    value = np.array([0, 1, 1, 3], dtype)
    code = helper.np_dtype_to_tensor_dtype(value.dtype)
    tensor = helper.make_tensor("w", code, [4], value.tobytes() if raw else value, raw=raw)
    node = helper.make_node("Identity", ["w"], ["y"])
    model = model_of([node], {}, ["y"])
    model.graph.initializer.append(tensor)
    (found,) = evaluate(from_onnx(model)[0], {})
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


def test_unknown_element_type():
    model = small_model()
    model.graph.initializer[0].data_type = TensorProto.COMPLEX64
    with pytest.raises(UnsupportedError, match="'w' has the element type COMPLEX64"):
        from_onnx(model)


def test_bytes_of_a_model():
    model = small_model()
    whole = model.SerializeToString()
    assert str(from_onnx(whole)[0]) == str(from_onnx(model)[0])
    for damaged in (b"", b"not a model", whole[: len(whole) // 2]):
        with pytest.raises(ImportModelError, match="bytes are no ONNX model"):
            from_onnx(damaged)
