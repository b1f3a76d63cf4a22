"""Text in ONNX models, and what is found in tensors."""

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

import relay
from relay.frontend import from_onnx
from relay.support.errors import ImportModelError, RelayError

VALUE = helper.make_tensor_value_info


def model(
    nodes: list[object], inputs: list[object], outputs: list[str], **more: object
) -> ModelProto:
    declared = [VALUE(name, TensorProto.UNDEFINED, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", inputs, declared, **more)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def run(given: ModelProto, *arguments: object) -> list[object]:
    module, params = from_onnx(given)
    machine = relay.vm.VirtualMachine(relay.vm.compile(module, params=params))
    results = machine.invoke("main", *arguments)
    whole = results if isinstance(results, tuple) else (results,)
    return [v.numpy() for v in whole]


def texts(name: str, *values: str) -> TensorProto:
    return helper.make_tensor(name, TensorProto.STRING, [len(values)], [v.encode() for v in values])


def test_constants_and_initializers() -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value_strings=[b"a", "\u00fc".encode()]),
        helper.make_node("Constant", [], ["s"], value_string=b"!"),
        helper.make_node("StringConcat", ["c", "w"], ["cw"]),
        helper.make_node("StringConcat", ["cw", "s"], ["cws"]),
        helper.make_node("Concat", ["x", "cws"], ["y"], axis=0),
        helper.make_node("Reshape", ["y", "shape"], ["z"]),
        helper.make_node("Equal", ["x", "s"], ["e"]),
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [3, 1])
    inputs = [VALUE("x", TensorProto.STRING, [1])]
    given = model(nodes, inputs, ["z", "e"], initializer=[texts("w", "1", "2"), shape])
    found, equal = run(given, ["!"])
    assert found.tolist() == [["!"], ["a1!"], ["\u00fc2!"]]
    assert equal.tolist() == [True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.string_data.append(b"x"), "carries 2 texts"),
        (lambda t: t.ClearField("string_data"), "carries 0 texts"),
        (lambda t: t.string_data.__setitem__(0, b"\xff"), "not UTF-8"),
        (lambda t: setattr(t, "raw_data", b"12345678"), "where only numbers"),
    ],
)
def test_damaged_text(change: object, message: str) -> None:
    tensor = texts("w", "a")
    change(tensor)  # type: ignore[operator]
    nodes = [helper.make_node("StringConcat", ["x", "w"], ["y"])]
    given = model(nodes, [VALUE("x", TensorProto.STRING, [1])], ["y"], initializer=[tensor])
    with pytest.raises(ImportModelError, match=message):
        from_onnx(given)


def test_bad_patterns_are_refused() -> None:
    node = helper.make_node("RegexFullMatch", ["x"], ["y"], pattern="(")
    with pytest.raises(RelayError, match="no regular expression"):
        from_onnx(model([node], [VALUE("x", TensorProto.STRING, [1])], ["y"]))


def test_words_are_counted_in_text() -> None:
    node = helper.make_node(
        "TfIdfVectorizer",
        ["x"],
        ["y"],
        mode="TFIDF",
        min_gram_length=1,
        max_gram_length=2,
        max_skip_count=0,
        ngram_counts=[0, 2],
        ngram_indexes=[0, 1, 2],
        pool_strings=["a", "b", "a", "b"],
        weights=[1.0, 2.0, 0.5],
    )
    given = model([node], [VALUE("x", TensorProto.STRING, [2, 3])], ["y"])
    (found,) = run(given, [["a", "b", "a"], ["b", "b", "b"]])
    assert found.tolist() == [[2, 2, 0.5], [0, 6, 0]]


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("dtype", ["float32", "bool", "uint64", "str"])
def test_compress(axis: int | None, dtype: str) -> None:
    x = np.arange(12).reshape(3, 4).astype(dtype)
    kind = TensorProto.STRING if dtype == "str" else helper.np_dtype_to_tensor_dtype(x.dtype)
    condition = np.array([False, True, True])
    node = helper.make_node(
        "Compress", ["x", "c"], ["y"], **({} if axis is None else {"axis": axis})
    )
    inputs = [VALUE("x", kind, [3, 4]), VALUE("c", TensorProto.BOOL, [3])]
    (found,) = run(model([node], inputs, ["y"]), x, condition)
    np.testing.assert_array_equal(found, np.compress(condition, x, axis))
    fixed = helper.make_tensor("c", TensorProto.BOOL, [3], condition)
    (found,) = run(model([node], inputs[:1], ["y"], initializer=[fixed]), x)
    np.testing.assert_array_equal(found, np.compress(condition, x, axis))


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("dtype", ["float32", "bool", "int64", "str"])
def test_unique(axis: int | None, dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 2, (3, 4, 2)).astype(dtype)
    kind = TensorProto.STRING if dtype == "str" else helper.np_dtype_to_tensor_dtype(x.dtype)
    node = helper.make_node(
        "Unique", ["x"], ["y", "i", "n", "k"], **({} if axis is None else {"axis": axis})
    )
    given = model([node], [VALUE("x", kind, [3, 4, 2])], ["y", "i", "n", "k"])
    found = run(given, x)
    values, first, inverse, counts = np.unique(x, True, True, True, axis=axis)
    for a, b in zip(found, (values, first, inverse.reshape(-1), counts), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [a.dtype for a in found[1:]] == [np.int64] * 3


def test_some_outputs_of_unique() -> None:
    node = helper.make_node("Unique", ["x"], ["", "", "n"], sorted=0)
    given = model([node], [VALUE("x", TensorProto.FLOAT, [4])], ["n"])
    (found,) = run(given, np.array([3, 1, 3, 2], np.float32))
    assert found.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 0)])
def test_nonzero(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 2, shape).astype(np.int32)
    node = helper.make_node("NonZero", ["x"], ["y"])
    given = model([node], [VALUE("x", TensorProto.INT32, shape)], ["y"])
    (found,) = run(given, x)
    np.testing.assert_array_equal(found, np.argwhere(x).T)
    assert found.dtype == np.int64
