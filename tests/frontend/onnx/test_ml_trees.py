import numpy as np
import pytest

from frontend.onnx.ml_models import (
    MODES,
    check,
    halves,
    model,
    random_trees,
    random_votes,
    run,
    tensor,
)
from onnx_models import runtime

AGGREGATES = ["SUM", "AVERAGE", "MIN", "MAX"]
TRANSFORMS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"]


@pytest.mark.parametrize("rows", [1, 15, 16, 700])
def test_a_forest(rows):
    trees = random_trees(20, 6, 5, ["BRANCH_LEQ"])
    trees.pop("nodes_missing_value_tracks_true")
    data = halves(rows, 5, missing=0)
    proto = model(
        "TreeEnsembleRegressor", [data], **trees, **random_votes(trees, "target", 1), n_targets=1
    )
    check(proto, [data])


@pytest.mark.parametrize("mode", MODES)
def test_modes_and_missing_features(mode):
    trees = random_trees(20, 6, 5, [mode])
    data = halves(40, 5)
    proto = model(
        "TreeEnsembleRegressor", [data], **trees, **random_votes(trees, "target", 3), n_targets=3
    )
    check(proto, [data])


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("base", [False, True])
def test_aggregates(aggregate, targets, base):
    trees = random_trees(5, 4, 5, MODES)
    data = halves(40, 5)
    values = {"base_values": np.linspace(0.5, 2, targets).tolist()} if base else {}
    # onnxruntime leaves the base value out where there are no votes.
    votes = random_votes(trees, "target", targets, each=targets if base else 1)
    proto = model(
        "TreeEnsembleRegressor", [data], **trees, **votes, **values,
        n_targets=targets, aggregate_function=aggregate,
    )  # fmt: skip
    check(proto, [data])


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_of_several_targets(transform):
    trees = random_trees(5, 4, 5, MODES)
    data = halves(40, 5)
    proto = model(
        "TreeEnsembleRegressor", [data], **trees, **random_votes(trees, "target", 3, each=2),
        n_targets=3, post_transform=transform,
    )  # fmt: skip
    check(proto, [data])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_classes(dtype, transform):
    trees = random_trees(20, 6, 5, ["BRANCH_LEQ", "BRANCH_LT"])
    data = halves(40, 5, dtype=dtype)
    proto = model(
        "TreeEnsembleClassifier", [data], 2, **trees, **random_votes(trees, "class", 4, each=4),
        classlabels_int64s=[5, 3, 9, 1], post_transform=transform, base_values=[0.1, 0.2, 0.3, 0.4],
    )  # fmt: skip
    check(proto, [data])


def test_quantiles():
    trees = random_trees(1, 4, 5, MODES)
    data = halves(40, 5)
    votes = random_votes(trees, "class", 3, each=3, low=0.05)
    proto = model(
        "TreeEnsembleClassifier", [data], 2, **trees, **votes, classlabels_int64s=[0, 1, 2],
        post_transform="PROBIT",
    )  # fmt: skip
    check(proto, [data])


@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize("base", [[], [0.25]])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
def test_two_classes_of_which_one_has_votes(low, base, transform):
    trees = random_trees(3, 4, 5, MODES)
    data = halves(40, 5)
    values = {"base_values": base} if base else {}
    proto = model(
        "TreeEnsembleClassifier", [data], 2, **trees, **random_votes(trees, "class", 1, low=low),
        **values, classlabels_int64s=[4, 7], post_transform=transform,
    )  # fmt: skip
    check(proto, [data])


def test_the_second_class_alone_has_votes():
    trees = random_trees(3, 4, 5, MODES)
    data = halves(40, 5)
    votes = random_votes(trees, "class", 1)
    votes["class_ids"] = [1] * len(votes["class_ids"])
    proto = model("TreeEnsembleClassifier", [data], 2, **trees, **votes, classlabels_int64s=[4, 7])
    check(proto, [data])


def test_only_one_class():
    trees = random_trees(3, 4, 5, MODES)
    data = halves(40, 5)
    votes = random_votes(trees, "class", 1)
    proto = model("TreeEnsembleClassifier", [data], 2, **trees, **votes, classlabels_int64s=[1])
    check(proto, [data])


def test_the_best_of_two_classes_is_that_with_the_larger_score():
    trees = random_trees(3, 4, 5, MODES)
    data = halves(40, 5)
    votes = random_votes(trees, "class", 2, each=2, low=0)
    proto = model("TreeEnsembleClassifier", [data], 2, **trees, **votes, classlabels_int64s=[4, 7])
    label, scores = run(proto, [data])
    assert label.tolist() == np.where(scores[:, 1] > scores[:, 0], 7, 4).tolist()


def test_double_precision():
    trees = random_trees(20, 6, 5, MODES)
    data = halves(40, 5, dtype="float64")
    votes = random_votes(trees, "target", 2)
    votes["target_weights_as_tensor"] = tensor(votes.pop("target_weights"), "float64")
    trees["nodes_values_as_tensor"] = tensor(trees.pop("nodes_values"), "float64")
    proto = model(
        "TreeEnsembleRegressor", [data], version=3, **trees, **votes, n_targets=2,
        base_values_as_tensor=tensor([0.5, 0.25], "float64"),
    )  # fmt: skip
    check(proto, [data])


def test_any_number_of_rows():
    trees = random_trees(20, 6, 5, ["BRANCH_LEQ"])
    data = halves(40, 5)
    votes = random_votes(trees, "class", 3)
    proto = model(
        "TreeEnsembleClassifier", [data], 2, rows="n", **trees, **votes,
        classlabels_int64s=[5, 3, 9], post_transform="SOFTMAX",
    )  # fmt: skip
    check(proto, [data])


def deep_chain(depth):
    """A tree as deep as it has nodes: the number of halves by which a feature is above 0."""
    inner = list(range(depth))
    return {
        "tree_roots": [0],
        "nodes_featureids": [0] * depth,
        "nodes_splits": tensor([k / 2 for k in inner], "float32"),
        "nodes_modes": tensor([0] * depth, "uint8"),
        "nodes_truenodeids": inner,
        "nodes_trueleafs": [1] * depth,
        "nodes_falsenodeids": [*inner[1:], depth],
        "nodes_falseleafs": [0] * (depth - 1) + [1],
        "leaf_targetids": [0] * (depth + 1),
        "leaf_weights": tensor(range(depth + 1), "float32"),
    }


@pytest.mark.parametrize("rows", [3, 40])
def test_a_deep_tree(rows):
    data = np.linspace(-1, 600, rows, dtype=np.float32)[:, np.newaxis]
    proto = model("TreeEnsemble", [data], version=5, **deep_chain(999), n_targets=1)
    expected = np.clip(np.ceil(data * 2), 0, 999)
    check(proto, [data], [expected.astype(np.float32)])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("transform", range(4))
@pytest.mark.parametrize("aggregate", range(4))
def test_inner_nodes_and_leaves(dtype, transform, aggregate):
    attributes, data = members(np.random.default_rng(aggregate), dtype)
    common = {"n_targets": 3, "aggregate_function": aggregate}
    proto = model(
        "TreeEnsemble", [data], version=5, **attributes, **common, post_transform=transform
    )
    # Which onnxruntime does not have for float16, and it takes SOFTMAX and LOGISTIC for each other.
    wide = "float32" if dtype == "float16" else dtype
    attributes, _ = members(np.random.default_rng(aggregate), wide)
    other = model(
        "TreeEnsemble", [data.astype(wide)], version=5, **attributes, **common,
        post_transform=(0, 2, 1, 3)[transform],
    )  # fmt: skip
    expected = [e.astype(dtype) for e in runtime(other, {"i0": data.astype(wide)})]
    tolerance = 4e-3 if dtype == "float16" else 1e-5
    check(proto, [data], expected, rtol=tolerance, atol=tolerance)


def members(random, dtype):
    """Ten trees of three inner nodes with all modes, sets among them."""
    count = 30
    modes = random.integers(0, 7, count)
    sets = [
        value
        for mode in modes
        if mode == 6
        for value in (*random.integers(1, 9, random.integers(1, 6)), np.nan)
    ]
    attributes = {
        "tree_roots": list(range(0, count, 3)),
        "nodes_featureids": random.integers(0, 4, count).tolist(),
        "nodes_splits": tensor(random.integers(-4, 5, count) / 2, dtype),
        "nodes_modes": tensor(modes, "uint8"),
        "nodes_truenodeids": [k + 1 if k % 3 == 0 else 2 * k for k in range(count)],
        "nodes_trueleafs": [int(k % 3 != 0) for k in range(count)],
        "nodes_falsenodeids": [k + 2 if k % 3 == 0 else 2 * k + 1 for k in range(count)],
        "nodes_falseleafs": [int(k % 3 != 0) for k in range(count)],
        "nodes_missing_value_tracks_true": random.integers(0, 2, count).tolist(),
        "leaf_targetids": random.integers(0, 3, 2 * count).tolist(),
        "leaf_weights": tensor(random.normal(size=2 * count), dtype),
    }
    if sets:
        attributes["membership_values"] = tensor(sets, dtype)
    return attributes, halves(50, 4, dtype=dtype)
