"""Values at the functions of external compilers."""

import numpy as np
import pytest

import relay
from relay import transform
from relay.executor import get_calibration_data
from relay.op.contrib import register_supported
from relay.support.errors import RelayError

register_supported("nn.dense", "calibrated")
register_supported("split", "calibrated")
X = relay.var("x", shape=(2, 4))
W = relay.var("w", shape=(6, 4))
DATA = {
    "x": np.arange(8, dtype="float32").reshape(2, 4),
    "w": np.ones((6, 4), "float32"),
}


def partitioned(expr: relay.Expr) -> relay.IRModule:
    module = transform.InferType()(relay.IRModule.from_expr(relay.Function([X, W], expr)))
    for step in (
        transform.AnnotateTarget("calibrated"),
        transform.MergeCompilerRegions(),
        transform.PartitionGraph(),
    ):
        module = step(module)
    return module


def test_inputs_and_outputs() -> None:
    parts = relay.split(relay.exp(relay.nn.dense(X, W)), 3, axis=1)
    module = partitioned(relay.add(relay.exp(parts[0]), parts[2]))
    first, second = (g for g, f in module.functions.items() if "Compiler" in f.attrs)
    found = get_calibration_data(module, DATA)
    assert list(found) == [first, second]
    np.testing.assert_array_equal(found[first]["inputs"][0].numpy(), DATA["x"])
    np.testing.assert_array_equal(found[first]["inputs"][1].numpy(), DATA["w"])
    dense = DATA["x"] @ DATA["w"].T
    np.testing.assert_allclose(found[first]["outputs"][0].numpy(), dense, rtol=1e-5)
    np.testing.assert_allclose(found[second]["inputs"][0].numpy(), np.exp(dense), rtol=1e-5)
    for array, part in zip(
        found[second]["outputs"], np.split(np.exp(dense), 3, axis=1), strict=False
    ):
        assert array.shape == part.shape
    for variable, values in found.items():
        assert len(values["inputs"]) == len(module[variable].params)
        body = module[variable].body
        count = len(body.fields) if isinstance(body, relay.Tuple) else 1
        assert len(values["outputs"]) in (count, 3)


def test_without_functions_there_is_nothing() -> None:
    assert get_calibration_data(partitioned(relay.exp(relay.nn.relu(X))), DATA) == {}


def test_refusals() -> None:
    module = partitioned(relay.nn.dense(X, W))
    with pytest.raises(relay.RelayError, match="x"):
        get_calibration_data(module, {})
    (name,) = (g for g, f in module.functions.items() if "Compiler" in f.attrs)
    call = relay.Call(name, [X, W])
    twice = relay.Function([X, W], relay.add(call, relay.Call(name, [X, W])))
    with pytest.raises(RelayError, match="is called twice"):
        get_calibration_data(module.with_function("main", twice), DATA)
    branch = relay.If(relay.const(True), call, call)
    with pytest.raises(RelayError, match="without branches"):
        get_calibration_data(module.with_function("main", relay.Function([X, W], branch)), DATA)
    with pytest.raises(RelayError, match="does not call @"):
        get_calibration_data(module.with_function("main", relay.Function([X, W], X)), DATA)
