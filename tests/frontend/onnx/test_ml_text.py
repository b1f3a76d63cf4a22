import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

import relay
from frontend.onnx.ml_models import (
    Map,
    check,
    halves,
    model,
    random_trees,
    random_votes,
    run,
    tensor,
    text,
)
from onnx_models import floats, runtime
from relay.frontend import from_onnx
from relay.support.errors import ImportModelError

# ---------------------------------------------------------------- encoders


@pytest.mark.parametrize("values", [{"values_int64s": [3, 4, 5]}, {"values_floats": [3.0, 4, 5]}])
def test_text_to_numbers(values):
    data = np.array([["a", "c"], ["\u00e4", "b"]], object)
    check(
        model("LabelEncoder", [data], version=2, keys_strings=["b", "\u00e4", "a"], **values),
        [data],
    )


def test_text_to_text():
    data = text("a", "b", "c")
    proto = model(
        "LabelEncoder", [data], version=2, keys_strings=["b", "a"], values_strings=["B", "A"]
    )
    check(proto, [data])


@pytest.mark.parametrize("keys", [{"keys_int64s": [3, 4]}, {"keys_floats": [3.0, 4]}])
def test_numbers_to_text(keys):
    data = np.array([4, 3, 2], "int64" if "keys_int64s" in keys else "float32")
    proto = model(
        "LabelEncoder",
        [data],
        version=4,
        values_strings=["three", "four"],
        default_string="?",
        **keys,
    )
    check(proto, [data])


def test_the_first_of_equal_keys_counts():
    data = text("b")
    proto = model("LabelEncoder", [data], version=2, keys_strings=["b", "b"], values_int64s=[1, 2])
    check(proto, [data])


def test_classes_of_the_first_label_encoder():
    names, numbers = text("b", "a", "x"), np.array([0, 1, 2, -1])
    check(model("LabelEncoder", [names], classes_strings=["a", "b"]), [names])
    check(model("LabelEncoder", [numbers], classes_strings=["a", "b"]), [numbers])


def test_categories():
    names, numbers = text("b", "a", "x"), np.array([7, 8, 9])
    for data in (names, numbers):
        proto = model("CategoryMapper", [data], cats_strings=["a", "b"], cats_int64s=[8, 7])
        check(proto, [data])


@pytest.mark.parametrize("shape", [(4,), (2, 2)])
def test_one_hot(shape):
    data = text("b", "a", "x", "c").reshape(shape)
    check(model("OneHotEncoder", [data], cats_strings=["a", "b", "c"], zeros=1), [data])


# ---------------------------------------------------------------- classes with text for names


def test_a_linear_classifier():
    data = floats(9, 5)
    for classes, labels in ((3, ["a", "b", "c"]), (1, ["no", "yes"])):
        proto = model(
            "LinearClassifier", [data], 2, coefficients=floats(5 * classes, seed=1).tolist(),
            intercepts=floats(classes, seed=2).tolist(), classlabels_strings=labels,
        )  # fmt: skip
        check(proto, [data])


@pytest.mark.parametrize("classes", [1, 3])
def test_a_forest(classes):
    trees = random_trees(3, 4, 5, ["BRANCH_LEQ"])
    data = halves(40, 5)
    labels = ["no", "yes"] if classes == 1 else ["a", "b", "c"]
    proto = model(
        "TreeEnsembleClassifier", [data], 2, **trees,
        **random_votes(trees, "class", classes, each=classes), classlabels_strings=labels,
    )  # fmt: skip
    check(proto, [data])


def test_a_class_alone_is_there_or_is_not():
    data = np.array([[-1], [1]], np.float32)
    proto = model("LinearClassifier", [data], 2, coefficients=[1.0], classlabels_strings=["it"])
    assert run(proto, [data])[0].tolist() == ["", "it"]


# ---------------------------------------------------------------- maps


def elements(value) -> list:
    """The elements of a list of the program."""
    found = []
    while value.constructor.name_hint == "Cons":
        first, value = value.fields
        found.append(first)
    return found


@pytest.mark.parametrize("rows", [3, 100])
@pytest.mark.parametrize("late", [None, "n"])
@pytest.mark.parametrize("kind", ["vm", "debug"])
@pytest.mark.parametrize(
    "names", [{"classlabels_strings": ["a", "b"]}, {"classlabels_int64s": [5, 7]}]
)
def test_rows_as_maps(rows, late, kind, names):
    data = floats(rows, 2)
    proto = model("ZipMap", [data], rows=late, **names)
    module, _ = from_onnx(proto)
    found = elements(relay.create_executor(kind, module).evaluate()(data))
    maps = [dict(zip(*(f.numpy().tolist() for f in m), strict=True)) for m in found]
    assert maps == runtime(proto, {"i0": data})[0]


@pytest.mark.parametrize("sizes", [("n", 5), ("n", "m")])
def test_a_pipeline(sizes):
    """Missing numbers, scaling, a forest, and a map from classes to probabilities for each row."""
    trees = random_trees(10, 5, 5, ["BRANCH_LEQ"])
    votes = random_votes(trees, "class", 3, each=3)
    nodes = [
        ml_node("Imputer", "x", "whole", imputed_value_floats=[0.5], replaced_value_float=np.nan),
        ml_node("Scaler", "whole", "scaled", offset=[0.1] * 5, scale=[2.0, 1, 1, 0.5, 1]),
        ml_node(
            "TreeEnsembleClassifier", "scaled", "label scores", **trees, **votes,
            classlabels_strings=["a", "b", "c"], post_transform="SOFTMAX",
        ),
        ml_node("ZipMap", "scores", "maps", classlabels_strings=["a", "b", "c"]),
    ]  # fmt: skip
    data = halves(20, 5)
    graph = helper.make_graph(
        nodes, "pipeline", [helper.make_tensor_value_info("x", 1, sizes)],
        [onnx.ValueInfoProto(name="label"), onnx.ValueInfoProto(name="maps")],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    module, _ = from_onnx(proto)
    label, maps = relay.create_executor("vm", module).evaluate()(data)
    expected, wanted = runtime(proto, {"x": data})
    assert label.numpy().tolist() == expected.tolist()
    for found, one in zip(elements(maps), wanted, strict=True):
        keys, values = (f.numpy().tolist() for f in found)
        assert keys == list(one)
        np.testing.assert_allclose(values, list(one.values()), rtol=1e-4)


def ml_node(op_type: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(
        op_type, inputs.split(), outputs.split(), domain="ai.onnx.ml", **attributes
    )


@pytest.mark.parametrize(
    ("given", "vocabulary", "expected"),
    [
        (Map(text("b", "x", "a"), np.float32([1, 2, 3])), ["a", "q", "b"], np.float32([3, 0, 1])),
        (Map(text("b"), np.int64([7])), ["a", "b"], np.int64([0, 7])),
        (Map(np.int64([5, -2, 9]), np.float32([1, 2, 3])), [9, 8, -2], np.float32([3, 0, 2])),
        (Map(np.int64([5, -2, 9]), text("x", "y", "z")), [9, 8, -2], text("z", "", "y")),
    ],
)
def test_maps_as_rows(given, vocabulary, expected):
    name = "string_vocabulary" if isinstance(vocabulary[0], str) else "int64_vocabulary"
    check(model("DictVectorizer", [given], **{name: vocabulary}), [given], [expected[np.newaxis]])


def test_a_map_as_a_row_is_that_of_onnxruntime():
    given = Map(text("b", "x", "a"), np.float32([1, 2, 3]))
    check(model("DictVectorizer", [given], string_vocabulary=["a", "q", "b"]), [given])


def test_an_empty_map():
    given = Map(np.zeros(0, np.int64), np.zeros(0, np.float32))
    proto = model("DictVectorizer", [given], int64_vocabulary=[1, 2])
    check(proto, [given], [np.zeros((1, 2), np.float32)])


@pytest.mark.parametrize("kind", ["TO_FLOAT", "TO_INT64"])
@pytest.mark.parametrize("form", ["DENSE", "SPARSE"])
def test_casts_of_maps(kind, form):
    given = Map(np.int64([4, 0, 2]), np.float32([1.5, 2, 3]))
    check(model("CastMap", [given], cast_to=kind, map_form=form, max_map=6), [given])


@pytest.mark.parametrize(
    ("kind", "dense", "sparse"),
    [
        ("TO_FLOAT", np.float32([8, 9, 7]), np.float32([8, 0, 9, 0, 7, 0])),
        ("TO_INT64", np.int64([8, 9, 7]), np.int64([8, 0, 9, 0, 7, 0])),
        ("TO_STRING", text("8", "9", "7"), text("8", "", "9", "", "7", "")),
    ],
)
def test_casts_of_maps_to_text(kind, dense, sparse):
    given = Map(np.int64([4, 0, 2]), text("7", "8", "9"))
    for form, expected in (("DENSE", dense), ("SPARSE", sparse)):
        proto = model("CastMap", [given], cast_to=kind, map_form=form, max_map=6)
        check(proto, [given], [expected[np.newaxis]])


# ---------------------------------------------------------------- the standard's own reference


def test_set_membership_is_that_of_the_reference():
    data = np.array([[1.2], [3.4], [0.0], [np.nan], [12], [7]], np.float32)
    proto = model(
        "TreeEnsemble", [data], version=5, tree_roots=[0], n_targets=2, nodes_featureids=[0, 0],
        nodes_splits=tensor([0, 0], "float32"), nodes_modes=tensor([6, 6], "uint8"),
        nodes_truenodeids=[0, 1], nodes_trueleafs=[1, 1], nodes_falsenodeids=[1, 2],
        nodes_falseleafs=[0, 1], leaf_targetids=[0, 1, 0],
        leaf_weights=tensor([1, 2, 3], "float32"),
        membership_values=tensor([1.2, 3.7, np.nan, 12, 7, np.nan], "float32"),
    )  # fmt: skip
    check(proto, [data], ReferenceEvaluator(proto).run(None, {"i0": data}))


# ---------------------------------------------------------------- what is wrong with a model

FOREST = random_trees(2, 2, 3, ["BRANCH_LEQ"], grown=1)
VOTES = random_votes(FOREST, "target", 1)


def broken(**changes):
    found = {**FOREST, **VOTES, "n_targets": 1}
    for name, change in changes.items():
        found[name] = [*found[name]]
        for place, value in change.items():
            found[name][place] = value
    return found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes_truenodeids": {1: 0}}, "cycle"),
        ({"nodes_truenodeids": {0: 99}}, "no node 99 in the tree 0"),
        ({"nodes_featureids": {0: 3}}, "feature 3, but there are 3"),
        ({"nodes_featureids": {0: -1}}, "feature -1"),
        ({"nodes_modes": {0: "BRANCH_ODD"}}, "BRANCH_ODD"),
        ({"nodes_nodeids": {1: 0}}, "the same id"),
        ({"target_ids": {0: 1}}, "target 1"),
        ({"target_nodeids": {0: 77}}, "no node 77"),
    ],
)
def test_broken_trees(changes, words):
    data = halves(4, 3)
    with pytest.raises(ImportModelError, match=words):
        from_onnx(model("TreeEnsembleRegressor", [data], **broken(**changes)))


@pytest.mark.parametrize(
    ("op_type", "attributes", "words"),
    [
        ("Scaler", {"scale": [1.0, 2.0]}, "3 features"),
        ("Imputer", {}, "lacks the values"),
        ("LinearRegressor", {"coefficients": [1.0]}, "coefficients"),
        ("Normalizer", {"norm": "L3"}, "L3"),
        ("SVMRegressor", {"coefficients": [1.0] * 3, "post_transform": "ODD"}, "ODD"),
        ("SVMRegressor", {"coefficients": [1.0], "n_supports": 1, "kernel_type": "X"}, "rows"),
        ("LabelEncoder", {"keys_int64s": [1], "values_int64s": [1]}, "keys are of type int64"),
    ],
)
def test_broken_models(op_type, attributes, words):
    data = floats(2, 3)
    version = 2 if op_type == "LabelEncoder" else 1
    with pytest.raises(ImportModelError, match=words):
        from_onnx(model(op_type, [data], version=version, **attributes))
