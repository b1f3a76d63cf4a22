import numpy as np
import pytest

from pass_helpers import add, multiply, names, positive, run_pass, tensor, weights
from relay.ir.expr import Expr, Tuple, TupleGetItem, const
from relay.transform.base import PassContext, Sequential
from relay.transform.calls import make
from relay.transform.fold_constant import FoldConstant
from relay.transform.fold_scale_axis import (
    BackwardFoldScaleAxis,
    FoldScaleAxis,
    ForwardFoldScaleAxis,
)
from relay.transform.simplify_inference import SimplifyInference

X = tensor("x", 1, 4, 6, 6)
BACK, FORWARD = BackwardFoldScaleAxis(), ForwardFoldScaleAxis()


def conv(x: Expr, outputs: int = 6, groups: int = 1) -> Expr:
    channels = x.checked_type.shape[1] // groups
    return make("nn.conv2d", x, weights(outputs, channels, 3, 3), padding=(1, 1), groups=groups)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("scale", [positive(6, 1, 1), positive(1, 6, 1, 1), const(0.5)])
def test_scale_after_convolution(groups, scale):
    assert names(run_pass(BACK, multiply(conv(X, 6, groups), scale))) == ["nn.conv2d"]
    assert names(run_pass(BACK, multiply(scale, conv(X, 6, groups)))) == ["nn.conv2d"]


def test_scale_after_dense():
    x = tensor("x", 2, 8)
    body = multiply(make("nn.dense", x, weights(5, 8)), weights(5))
    assert names(run_pass(BACK, body)) == ["nn.dense"]


def test_scale_travels_back_through_relu_bias_and_additions():
    body = make("nn.bias_add", conv(X), weights(6))
    body = make("nn.relu", add(body, weights(6, 1, 1)))
    body = make("subtract", weights(6, 1, 1, seed=7), body)
    result = run_pass(BACK, multiply(body, positive(6, 1, 1)))
    assert names(result) == ["nn.conv2d", "nn.bias_add", "add", "nn.relu", "subtract"]


def test_negative_scale_stays_after_relu():
    body = multiply(make("nn.relu", conv(X)), weights(6, 1, 1))
    assert run_pass(BACK, body) is body


def test_scale_of_a_shared_convolution_stays():
    shared = conv(X)
    body = Tuple([shared, multiply(shared, positive(6, 1, 1))])
    assert run_pass(BACK, body) is body


def test_scale_along_another_axis_stays():
    body = multiply(conv(X), positive(6))
    assert run_pass(BACK, body) is body


def test_two_scales_in_a_row():
    body = multiply(add(multiply(conv(X), weights(6, 1, 1)), weights(6, 1, 1)), positive(6, 1, 1))
    assert names(run_pass(BACK, body)) == ["nn.conv2d", "add"]


def test_channels_last():
    x = tensor("x", 1, 6, 6, 4)
    layouts = {"data_layout": "NHWC", "kernel_layout": "HWIO"}
    call = make("nn.conv2d", x, weights(3, 3, 4, 6), padding=(1, 1), **layouts)
    assert names(run_pass(BACK, multiply(call, weights(6)))) == ["nn.conv2d"]
    scaled = multiply(x, weights(4))
    call = make("nn.conv2d", scaled, weights(3, 3, 4, 6), padding=(1, 1), **layouts)
    assert names(run_pass(FORWARD, call)) == ["nn.conv2d"]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_scale_before_convolution(groups):
    body = conv(make("nn.relu", multiply(X, positive(4, 1, 1))), 8, groups)
    assert names(run_pass(FORWARD, body)) == ["nn.relu", "nn.conv2d"]
    negative = conv(multiply(X, weights(4, 1, 1)), 8, groups)
    assert names(run_pass(FORWARD, negative)) == ["nn.conv2d"]


def test_scale_before_dense():
    body = make("nn.dense", multiply(tensor("x", 2, 8), weights(8)), weights(5, 8))
    assert names(run_pass(FORWARD, body)) == ["nn.dense"]


def test_batch_norm_folds_fully():
    statistics = (positive(6), weights(6), weights(6, seed=2), positive(6, seed=3))
    body = TupleGetItem(make("nn.batch_norm", conv(X), *statistics), 0)
    body = make("nn.relu", body)
    with PassContext(opt_level=3):
        steps = Sequential([SimplifyInference(), FoldConstant(), FoldScaleAxis()])
        assert names(run_pass(steps, body)) == ["nn.conv2d", "add", "nn.relu"]


def test_weights_keep_their_type():
    result = run_pass(BACK, multiply(conv(X), positive(6, 1, 1)))
    assert result.args[1].data.numpy().dtype == np.float32
