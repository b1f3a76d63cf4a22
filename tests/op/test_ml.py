"""Trees and probabilities: tables that are wrong, sizes that come late, and large forests."""

import numpy as np
import pytest

import relay
from op.record import Record
from op.records_ml import RECORDS
from relay.ir.expr import Function, Var, const
from relay.ir.module import IRModule
from relay.ir.types import Any, TensorType
from relay.support.errors import InputError, RelayError, TypeInferenceError
from relay.testing import evaluate_operator

DATA = np.array([[0, 1], [1, 0], [np.nan, 3]], np.float32)
TABLES = {
    "splits": np.array([0.5], np.float32),
    "nodes": np.array([[0, 1, 2]], np.int32),
    "roots": np.array([0], np.int32),
    "targets": np.array([[0], [0]], np.int32),
    "weights": np.array([[1], [2]], np.float32),
}


def call(data, depth=1, **tables):
    given = {**TABLES, **tables}
    return relay.op.ml.tree_ensemble(data, *(const(v) for v in given.values()), depth=depth)


def run(kind, **tables):
    x = Var("x", TensorType(DATA.shape))
    module = IRModule.from_expr(Function([x], call(x, **tables)))
    return relay.create_executor(kind, module).evaluate()(DATA).numpy()


@pytest.mark.parametrize("kind", ["debug", "graph"])
def test_a_stump(kind):
    assert run(kind).tolist() == [[2], [1], [1]]


@pytest.mark.parametrize("kind", ["debug", "graph"])
def test_a_missing_feature_that_counts_as_small(kind):
    assert run(kind, nodes=np.array([[-1, 1, 2]], np.int32)).tolist() == [[2], [1], [2]]


@pytest.mark.parametrize(
    "tables",
    [
        {"nodes": np.array([[0, 7, 2**31 - 1]], np.int32)},
        {"nodes": np.array([[0, -5, -(2**31)]], np.int32)},
        {"nodes": np.array([[99, 1, 2]], np.int32)},
        {"nodes": np.array([[-(2**31), 1, 2]], np.int32)},
        {"nodes": np.array([[0, 0, 0]], np.int32)},
        {"roots": np.array([-3], np.int32)},
        {"roots": np.array([3], np.int32)},
    ],
)
def test_places_outside(tables):
    """The interpreter refuses them, compiled code stays within the tables."""
    with pytest.raises(InputError):
        run("debug", **tables)
    assert set(run("graph", **tables).reshape(-1)) <= {0, 1, 2}


@pytest.mark.parametrize("kind", ["debug", "graph"])
def test_votes_for_targets_that_there_are_not(kind):
    targets = np.array([[-1], [1]], np.int32)
    assert run(kind, targets=targets).tolist() == [[0], [0], [0]]


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"splits": np.zeros(1)}, "one data type"),
        ({"nodes": np.zeros((1, 2), np.int32)}, "numbers that a node has"),
        ({"nodes": np.zeros((1, 3), np.int64)}, "nodes must be of type int32"),
        ({"roots": np.zeros((1, 1), np.int32)}, "roots must have 1 dimension"),
        ({"targets": np.zeros((2, 2), np.int32)}, "sizes of targets and weights"),
        (
            {"targets": np.zeros((0, 1), np.int32), "weights": np.zeros((0, 1), np.float32)},
            "leaves",
        ),
    ],
)
def test_tables_of_wrong_types(tables, words):
    with pytest.raises(TypeInferenceError, match=words):
        _ = call(Var("x", TensorType((3, 2))), **tables).checked_type


@pytest.mark.parametrize("changes", [{"depth": -1}, {"n_targets": 0}, {"aggregate": "mean"}])
def test_wrong_attributes(changes):
    values = [const(v) for v in TABLES.values()]
    with pytest.raises(RelayError, match=next(iter(changes))):
        relay.op.ml.tree_ensemble(Var("x", TensorType((3, 2))), *values, **{"depth": 1, **changes})


@pytest.mark.parametrize("record", [r for r in RECORDS if r.op == "ml.tree_ensemble"], ids=str)
def test_sizes_known_at_run_time(record: Record):
    declaration = record.call()[0].attrs
    found = evaluate_operator(declaration, record.arrays(), symbolic=True)
    expected = declaration.reference(*record.arrays())
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-6)


def test_any_number_of_rows():
    x = Var("x", TensorType((Any(), 2)))
    module = IRModule.from_expr(Function([x], call(x)))
    compiled = relay.create_executor("vm", module).evaluate()
    for rows in (1, 3, 40):
        data = np.random.default_rng(rows).normal(size=(rows, 2)).astype("float32")
        expected = np.where(data[:, :1] <= 0.5, 2, 1)
        assert np.array_equal(compiled(data).numpy(), expected)


@pytest.mark.parametrize("kind", ["debug", "graph"])
def test_coupled_probabilities_of_two_classes(kind):
    pairwise = np.array([[0.25], [0.9]])
    x = Var("x", TensorType((2, 1), "float64"))
    module = IRModule.from_expr(Function([x], relay.op.ml.couple_probabilities(x)))
    found = relay.create_executor(kind, module).evaluate()(pairwise).numpy()
    np.testing.assert_allclose(found, [[0.25, 0.75], [0.9, 0.1]], atol=5e-3)


def test_numbers_of_pairs_that_there_are_not():
    with pytest.raises(TypeInferenceError, match="which 4 is not"):
        _ = relay.op.ml.couple_probabilities(Var("x", TensorType((2, 4)))).checked_type


def test_words_that_are_not_there():
    x = Var("x", TensorType((3,), "string"))
    words = const(np.array(["b", "a", "b"], object))
    module = IRModule.from_expr(Function([x], relay.op.ml.find_text(x, words)))
    for kind in ("debug", "vm"):
        found = relay.create_executor(kind, module).evaluate()(np.array(["a", "b", "c"], object))
        assert found.numpy().tolist() == [1, 0, -1]
