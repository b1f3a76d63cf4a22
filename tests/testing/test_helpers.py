"""Initial values and the small helpers."""

import numpy as np
import pytest

import relay
from relay import testing
from relay.testing import init


def test_create_workload_is_reproducible() -> None:
    _, first = testing.mlp.get_workload(1)
    _, second = testing.mlp.get_workload(1)
    _, other = testing.create_workload(testing.mlp.get_net(1), seed=1)
    for name, value in first.items():
        np.testing.assert_array_equal(value.numpy(), second[name].numpy())
    assert not np.array_equal(first["fc1_weight"].numpy(), other["fc1_weight"].numpy())


def test_values_by_suffix() -> None:
    _, params = testing.resnet.get_workload(1, 10, 8, (3, 8, 8))
    assert np.all(params["fc1_bias"].numpy() == 0)
    assert np.all(params["bn1_gamma"].numpy() == 1)
    assert np.all(params["bn1_beta"].numpy() == 0)
    assert np.all(params["bn1_moving_mean"].numpy() == 0)
    assert np.all(params["bn1_moving_var"].numpy() == 1)
    assert "data" not in params


@pytest.mark.parametrize(
    ("factor_type", "fan"), [("avg", (6 * 9 + 4 * 9) / 2), ("in", 6 * 9), ("out", 4 * 9)]
)
def test_xavier_bound(factor_type: str, fan: float) -> None:
    weight = np.zeros((4, 6, 3, 3))
    init.Xavier(factor_type=factor_type)("conv_weight", weight)
    bound = np.sqrt(3 / fan)
    assert np.all(np.abs(weight) <= bound)
    assert np.max(np.abs(weight)) > 0.9 * bound


def test_xavier_gaussian() -> None:
    weight = np.zeros((64, 64))
    init.Xavier("gaussian", magnitude=2)("weight", weight)
    assert np.std(weight) == pytest.approx(np.sqrt(2 / 64), rel=0.1)


def test_constant_sums_to_one() -> None:
    _, params = testing.synthetic.get_workload()
    assert params["conv_weight"].numpy().sum() == pytest.approx(1)


def test_initializer_refusals() -> None:
    with pytest.raises(ValueError, match="ends in weight"):
        init.Xavier()("stray", np.zeros(3))
    with pytest.raises(ValueError, match="a vector"):
        init.Xavier()("weight", np.zeros(3))
    with pytest.raises(ValueError, match="rnd_type"):
        init.Xavier("odd")
    with pytest.raises(ValueError, match="factor_type"):
        init.Xavier(factor_type="odd")
    with pytest.raises(TypeError, match="how to fill the weight"):
        init.Initializer()("weight", np.zeros(3))


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_parameters_have_the_data_type(dtype: str) -> None:
    module, params = testing.mlp.get_workload(1, dtype=dtype)
    types = {p.name_hint: p.checked_type.dtype for p in module["main"].params}
    assert {types[name] for name in params} == {dtype}
    assert {value.dtype for value in params.values()} == {dtype}
    assert np.any(params["fc1_weight"].numpy() != 0)


def test_run_infer_type() -> None:
    x = relay.var("x", shape=(2, 3))
    typed = testing.run_infer_type(relay.nn.relu(x))
    assert typed.checked_type == relay.TensorType((2, 3))
    function = testing.run_infer_type(relay.Function([x], relay.nn.relu(x)))
    assert isinstance(function, relay.Function)
    assert function.ret_type == relay.TensorType((2, 3))


def test_run_opt_pass() -> None:
    x = relay.var("x", shape=(2, 3))
    found = testing.run_opt_pass(relay.add(x, relay.const(0.0)), relay.transform.SimplifyExpr())
    assert isinstance(found, relay.Var)


def test_rand() -> None:
    value = testing.rand("float32", 3, 4)
    assert (value.shape, value.dtype) == ((3, 4), "float32")
    assert 0 <= value.numpy().min() <= value.numpy().max() < 1


def test_count_ops() -> None:
    x = relay.var("x", shape=(2, 3))
    assert testing.count_ops(relay.add(relay.exp(x), relay.exp(x))) == {"exp": 2, "add": 1}


def test_targets() -> None:
    assert testing.ctx_list() == testing.config.ctx_list() == testing.enabled_targets()
    assert testing.ctx_list()[0][0] == "llvm"


def test_layers_take_given_parameters() -> None:
    x, w, b = relay.var("x", shape=(1, 4)), relay.var("w"), relay.var("b")
    found = testing.layers.dense_add_bias(x, w, b, units=2, name="fc")
    assert {v.name_hint for v in relay.analysis.free_vars(found)} == {"x", "w", "b"}
    assert testing.layers.conv_kernel_layout("NHWC", is_depthwise=True) == "HWOI"
    assert testing.layers.conv_kernel_layout("NDHWC") == "DHWIO"
