"""Parameter files, in TVM's binary form."""

import struct

import numpy as np
import pytest

from relay import dtypes
from relay.runtime.ndarray import NDArray, array
from relay.runtime.params import LIST_MAGIC, load_param_dict, save_param_dict
from relay.runtime.records import ARRAY_MAGIC
from relay.support.errors import ArtifactError


def test_the_bytes_are_those_of_tvm() -> None:
    values = np.array([[1.0, 2.0]], "<f4")
    expected = (
        struct.pack("<QQQ", LIST_MAGIC, 0, 1)
        + struct.pack("<Q", 2)
        + b"w0"
        + struct.pack("<Q", 1)
        + struct.pack("<QQiiiBBH", ARRAY_MAGIC, 0, 1, 0, 2, 2, 32, 1)
        + struct.pack("<qqq", 1, 2, 8)
        + values.tobytes()
    )
    assert save_param_dict({"w0": values}) == expected
    np.testing.assert_array_equal(load_param_dict(expected)["w0"].numpy(), values)


@pytest.mark.parametrize("dtype", dtypes.NAMES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_what_is_saved_is_loaded(dtype: str, shape: tuple[int, ...]) -> None:
    values = array(np.arange(np.prod(shape, dtype=int)).reshape(shape), dtype)
    found = load_param_dict(save_param_dict({"a": values, "β": values}))
    assert list(found) == ["a", "β"]
    for value in found.values():
        assert isinstance(value, NDArray)
        assert (value.dtype, value.shape) == (dtype, shape)
        np.testing.assert_array_equal(value.numpy(), values.numpy())


def test_nothing_at_all_is_a_file_too() -> None:
    assert load_param_dict(save_param_dict({})) == {}


def test_a_file_cut_anywhere_is_refused() -> None:
    whole = save_param_dict({"a": np.ones((2, 3), "float32"), "b": np.ones(1, "int8")})
    for length in range(len(whole)):
        with pytest.raises(ArtifactError):
            load_param_dict(whole[:length])
    with pytest.raises(ArtifactError, match="goes on for 1 bytes"):
        load_param_dict(whole + b"x")


def test_lies_about_sizes_are_refused_before_anything_is_allocated() -> None:
    head = struct.pack("<QQ", LIST_MAGIC, 0)
    with pytest.raises(ArtifactError, match="cannot hold that many"):
        load_param_dict(head + struct.pack("<Q", 2**60))
    with pytest.raises(ArtifactError, match="ends too early"):
        load_param_dict(head + struct.pack("<QQ", 1, 2**60))
    named = head + struct.pack("<QQ", 1, 1) + b"a" + struct.pack("<Q", 1)
    kind = struct.pack("<QQiiiBBH", ARRAY_MAGIC, 0, 1, 0, 1, 2, 32, 1)
    with pytest.raises(ArtifactError, match="ends too early"):
        load_param_dict(named + kind + struct.pack("<qq", 2**40, 2**42))
    with pytest.raises(ArtifactError, match="said to take 8"):
        load_param_dict(named + kind + struct.pack("<qq", 2**40, 8))
    cube = struct.pack("<QQiiiBBH", ARRAY_MAGIC, 0, 1, 0, 3, 2, 32, 1)
    with pytest.raises(ArtifactError, match="too large"):
        load_param_dict(named + cube + struct.pack("<qqqq", 0, 2**62, 2**62, 0))
    with pytest.raises(ArtifactError, match="said to take"):
        load_param_dict(named + kind + struct.pack("<qq", -1, -4))


def test_other_files_are_refused() -> None:
    with pytest.raises(ArtifactError, match="no parameter file"):
        load_param_dict(b"PK\x03\x04" + bytes(100))
    twice = struct.pack("<QQQ", LIST_MAGIC, 0, 2) + (struct.pack("<Q", 1) + b"a") * 2
    with pytest.raises(ArtifactError, match="names 'a' twice"):
        load_param_dict(twice + bytes(200))
    bad = struct.pack("<QQQ", LIST_MAGIC, 0, 1) + struct.pack("<Q", 1) + b"\xff"
    with pytest.raises(ArtifactError, match="not UTF-8"):
        load_param_dict(bad + bytes(100))
    whole = bytearray(save_param_dict({"a": np.ones(1, "float32")}))
    codes = whole.index(struct.pack("<BBH", 2, 32, 1))
    whole[codes] = 9
    with pytest.raises(ArtifactError, match=r"cannot be read: \?32x1"):
        load_param_dict(whole)
