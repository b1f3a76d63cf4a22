"""Text in arrays, in parameter files, in programs and in metadata."""

import struct

import numpy as np
import pytest

import relay
from relay import load_param_dict, save_param_dict
from relay.ir.metadata import MetadataError, load
from relay.runtime.memory import aligned_empty
from relay.runtime.ndarray import NDArray, array
from relay.runtime.text import as_text, decode, encode
from relay.support.errors import ArtifactError, InputError

TEXTS = np.array([["a", "\u00fc\U0001f600"], ["", 'line\n "quoted"']], object)


def test_arrays() -> None:
    for given in (TEXTS, TEXTS.astype(str), TEXTS.tolist()):
        found = array(given)
        assert (found.dtype, found.shape) == ("string", (2, 2))
        assert found.numpy().tolist() == TEXTS.tolist()
    assert NDArray(np.asarray("x")).item() == "x"
    assert NDArray(TEXTS).numpy() is TEXTS
    assert relay.const("x").data.item() == "x"
    assert aligned_empty((2,), "string").tolist() == ["", ""]
    assert found[0].numpy().tolist() == TEXTS[0].tolist()
    with pytest.raises(BufferError):
        found.__dlpack__()


def test_what_is_no_text() -> None:
    for given in (np.array([1, "a"], object), np.array([b"a"], object), np.array([None])):
        with pytest.raises(InputError, match="expected text, found an element of type"):
            NDArray(given)
    with pytest.raises(InputError, match="expected text, found float64"):
        as_text(np.zeros(2))
    with pytest.raises(InputError, match=r"relay\.cast"):
        array(["1"], "float32")
    with pytest.raises(InputError, match=r"relay\.cast"):
        array([1.0], "string")


@pytest.mark.parametrize("texts", [TEXTS, np.array("x", object), np.zeros((0, 3), object)])
def test_in_files(texts: np.ndarray) -> None:
    params = {"a": NDArray(texts), "b": np.ones(2, np.float32)}
    data = save_param_dict(params)
    found = load_param_dict(data)
    assert found["a"].dtype == "string"
    assert found["a"].shape == texts.shape
    assert found["a"].numpy().tolist() == texts.tolist()
    for length in range(len(data)):
        with pytest.raises(ArtifactError):
            load_param_dict(data[:length])


def test_lies_in_files() -> None:
    assert decode(encode(TEXTS), (2, 2)).tolist() == TEXTS.tolist()
    for data, shape, message in (
        (struct.pack("<Q", 2**60), (1,), "said to take"),
        (struct.pack("<Q", 1) + b"\xff", (1,), "not UTF-8"),
        (b"", (2**60,), "bytes are left"),
        (b"", (-1,), "bytes are left"),
        (b"", (0, 2**62, 2**62), "too large"),
    ):
        with pytest.raises(ArtifactError, match=message):
            decode(data, shape)
    with pytest.raises(ArtifactError, match="cannot be written"):
        encode(np.array(["\ud800"], object))


def test_in_programs() -> None:
    x = relay.var("x", shape=(2,), dtype="string")
    body = relay.Tuple([x, relay.const(TEXTS), relay.const('one\n"line"')])
    module = relay.infer_types(relay.IRModule.from_expr(relay.Function([x], body)))
    parsed = relay.parse(module.astext())
    assert relay.structural_equal(parsed, module)
    assert relay.structural_hash(parsed) == relay.structural_hash(module)
    other = relay.const(TEXTS[::-1].copy())
    assert not relay.structural_equal(relay.const(TEXTS), other)
    assert relay.structural_equal(relay.const(TEXTS), relay.const(TEXTS.copy()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('["a"]', "takes 2 elements, but its data holds 1"),
        ('["a", 1]', "must be a list of strings"),
        ('"YWI="', "must be a list of strings"),
    ],
)
def test_metadata_that_lies(data: str, message: str) -> None:
    entry = f'{{"dtype": "string", "shape": [2], "data": {data}}}'
    with pytest.raises(MetadataError, match=message):
        load(f'{{"relay.Constant": [{entry}]}}')
