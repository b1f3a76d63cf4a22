"""`AlterOpLayout`: blocked convolutions, and regions that follow them."""

import numpy as np
import pytest

import relay
from pass_helpers import (
    add,
    chain,
    evaluate,
    multiply,
    names,
    positive,
    random_arguments,
    run_pass,
    tensor,
    weights,
)
from relay.ir import IRModule
from relay.ir.expr import Expr, Function, Let, Tuple, TupleGetItem, Var, const
from relay.ir.types import Any, TensorType
from relay.ir.visit import post_order
from relay.transform.alter_op_layout import AlterOpLayout, channel_block
from relay.transform.calls import attribute, is_call_of, make
from relay.transform.fold_constant import FoldConstant

X = tensor("x", 1, 16, 6, 6)
ALTER = AlterOpLayout(vector_lanes=8)


def conv(x: Expr, outputs: int = 16, size: int = 3, groups: int = 1, **attrs: object) -> Expr:
    kernel = weights(outputs, x.checked_type.shape[1] // groups, size, size)
    return make("nn.conv2d", x, kernel, padding=size // 2, groups=groups, **attrs)


def line(x: Expr, inputs: int, **attrs: object) -> Expr:
    """The rows of an image as one line, convolved."""
    return make(
        "nn.conv1d", make("reshape", x, newshape=(1, 16, 36)), weights(16, inputs, 3), **attrs
    )


def altered(body: Expr) -> list[str]:
    """The operators after the pass, with constants folded."""
    return names(run_pass(FoldConstant(), run_pass(ALTER, body)))


def data_transforms(body: Expr) -> int:
    return altered(body).count("layout_transform")


@pytest.mark.parametrize(
    ("channels", "lanes", "expected"),
    [(64, 16, 16), (24, 16, 8), (20, 16, 4), (255, 16, 15), (10, 16, 10), (127, 16, 1), (3, 16, 3),
     (64, 8, 8), (64, 4, 4), (64, 1, 1)],
)  # fmt: skip
def test_channel_block(channels, lanes, expected):
    assert channel_block(channels, lanes) == expected


def test_convolution():
    body = run_pass(ALTER, conv(X, 24))
    (call,) = (n for n in post_order(body) if is_call_of(n, "nn.contrib_conv2d_NCHWc"))
    assert attribute(call, "data_layout") == "NCHW8c"
    assert attribute(call, "kernel_layout") == "OIHW8i8o"
    assert attribute(call, "out_layout") == "NCHW8c"
    assert altered(conv(X)) == ["layout_transform", "nn.contrib_conv2d_NCHWc", "layout_transform"]


def test_image_is_read_in_blocks_of_one():
    body = run_pass(ALTER, conv(tensor("x", 1, 3, 6, 6)))
    (call,) = (n for n in post_order(body) if is_call_of(n, "nn.contrib_conv2d_NCHWc"))
    assert attribute(call, "data_layout") == "NCHW1c"


def test_depthwise():
    assert "nn.contrib_depthwise_conv2d_NCHWc" in altered(conv(X, groups=16))


@pytest.mark.parametrize(
    ("outputs", "groups", "data_layout", "kernel_layout", "out_layout"),
    [(16, 2, "NCHW8c", "OIHW8i8o", "NCHW8c"), (16, 4, "NCHW4c", "OIHW4i4o", "NCHW4c"),
     (80, 2, "NCHW8c", "OIHW8i8o", "NCHW8c")],
)  # fmt: skip
def test_groups(outputs, groups, data_layout, kernel_layout, out_layout):
    """Blocks lie within a group."""
    body = run_pass(ALTER, conv(X, outputs, groups=groups))
    (call,) = (n for n in post_order(body) if is_call_of(n, "nn.contrib_conv2d_NCHWc"))
    found = [attribute(call, f"{n}_layout") for n in ("data", "kernel", "out")]
    assert found == [data_layout, kernel_layout, out_layout]


def test_volumes():
    x = tensor("x", 1, 16, 3, 4, 4)
    y = make("nn.conv3d", chain(make("nn.conv3d", x, weights(8, 16, 3, 3, 3)), "nn.relu"),
             weights(16, 8, 1, 1, 1))  # fmt: skip
    assert altered(y) == ["layout_transform", "nn.conv3d", "nn.relu", "nn.conv3d",
                          "layout_transform"]  # fmt: skip


@pytest.mark.parametrize("attrs", [{"strides": 2}, {"groups": 2}])
def test_lines_that_are_no_long_vectors(attrs):
    body = run_pass(ALTER, line(X, 16 // attrs.get("groups", 1), **attrs))
    (call,) = (n for n in post_order(body) if is_call_of(n, "nn.conv1d"))
    assert attribute(call, "data_layout") == "NCW8c"


def volume(groups: int, **attrs: object) -> Expr:
    x = tensor("x", 1, 32, 3, 5, 4)
    return make("nn.conv3d", x, weights(32, 32 // groups, 2, 3, 3), groups=groups, **attrs)


@pytest.mark.parametrize(
    "body",
    [
        conv(tensor("x", 1, 96, 9, 8), 96, 5, groups=2),
        conv(tensor("x", 2, 48, 9, 8), 80, groups=2, strides=2),
        conv(tensor("x", 1, 64, 7, 7), 64, groups=8),
        volume(1, padding=1, strides=2),
        volume(2),
        volume(32, padding=1),
        line(tensor("x", 1, 16, 6, 6), 8, groups=2),
        make("nn.relu", line(tensor("x", 1, 16, 6, 6), 16, strides=2)),
    ],
)
def test_compiled(body):
    """What runs, for this machine, gives what the program says."""
    (x,) = (n for n in post_order(body) if isinstance(n, Var))
    function = Function([x], body)
    (data,) = random_arguments(function)
    module = relay.build(IRModule.from_expr(function))["default"](relay.cpu(0))
    module.set_input("x", data)
    module.run()
    np.testing.assert_allclose(
        module.get_output(0).numpy(), evaluate(function, [data]), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    "body",
    [
        conv(X, groups=8),
        conv(X, outputs=32, groups=16),
        line(X, 16),
        line(X, 1, strides=2, groups=16),
        conv(X, outputs=3),
        make("nn.conv2d", X, weights(3, 3, 6, 8), data_layout="NHWC", kernel_layout="HWIO"),
        chain(X, "nn.relu", "nn.softmax"),
    ],
    ids=[
        "narrow-groups",
        "multiplier",
        "line",
        "line-depthwise",
        "few-outputs",
        "nhwc",
        "no-convolution",
    ],
)
def test_left_alone(body):
    assert run_pass(ALTER, body) is body


def test_left_alone_when_dynamic():
    x = Var("x", TensorType((1, 16, Any(), 6)))
    module = IRModule.from_expr(make("nn.conv2d", x, weights(16, 16, 3, 3)))
    assert ALTER(module) is module


BIAS = positive(16)


def relu_chain(x: Expr) -> Expr:
    return conv(chain(conv(x), "nn.relu", "sigmoid", "tanh", "nn.leaky_relu", "negative"))


def residual(x: Expr) -> Expr:
    y = chain(conv(x), "nn.relu")
    return chain(add(conv(y), y), "nn.relu")


def per_channel(x: Expr) -> Expr:
    y = multiply(conv(x), positive(16, 1, 1))
    y = add(positive(1, 16, 1, 1), y)
    return conv(make("nn.bias_add", multiply(y, const(0.5)), BIAS))


def squeeze_excite(x: Expr) -> Expr:
    y = conv(x)
    gate = chain(conv(make("nn.global_avg_pool2d", y), size=1), "sigmoid")
    return multiply(y, gate)


def pools(x: Expr) -> Expr:
    y = make("nn.max_pool2d", conv(x), pool_size=3, strides=2, padding=1)
    y = make("nn.avg_pool2d", y, pool_size=3, padding=1)
    y = make("nn.adaptive_avg_pool2d", y, output_size=2)
    return conv(make("nn.upsampling", y, scale_h=2.0, scale_w=2.0))


def concatenated(x: Expr) -> Expr:
    return conv(make("concatenate", Tuple([conv(x), conv(x, 24)]), axis=1))


def padded(x: Expr) -> Expr:
    width = ((0, 0), (0, 0), (1, 0), (2, 1))
    return conv(make("nn.pad", conv(x), const(0.0), pad_width=width))


def cut(x: Expr) -> Expr:
    parts = make("split", conv(x), indices_or_sections=2, axis=1)
    return conv(add(TupleGetItem(parts, 0), TupleGetItem(parts, 1)))


def cut_at(x: Expr) -> Expr:
    parts = make("split", conv(x, 24), indices_or_sections=(8,), axis=1)
    return add(conv(TupleGetItem(parts, 0)), conv(TupleGetItem(parts, 1)))


def sliced(x: Expr) -> Expr:
    y = conv(x, 24)
    columns = make("strided_slice", y, begin=(8, 1), end=(24, 6), strides=(1, 2), axes=(1, 3))
    rows = make("strided_slice", y, begin=(0, 8, 1), end=(1, 16, 2), slice_mode="size")
    return Tuple([conv(columns), conv(rows)])


def dropped(x: Expr) -> Expr:
    return conv(TupleGetItem(make("nn.dropout", conv(x)), 0))


def over_space(x: Expr) -> Expr:
    return conv(make("mean", conv(x), axis=(2, 3), keepdims=True), size=1)


def over_channels(x: Expr) -> Expr:
    y = conv(x)
    return conv(multiply(y, make("max", y, axis=(1,), keepdims=True)))


def without_space(x: Expr) -> Expr:
    return make("mean", conv(x), axis=(2, 3))


@pytest.mark.parametrize(
    "region",
    [relu_chain, residual, per_channel, squeeze_excite, pools, concatenated, padded, cut, cut_at,
     dropped, sliced, over_space, over_channels, without_space],
)  # fmt: skip
def test_region_keeps_its_layout(region):
    """Data is transformed on the way in and on the way out, and nowhere between."""
    body = region(X)
    results = len(body.fields) if isinstance(body, Tuple) else 1
    assert data_transforms(body) == 1 + results


@pytest.mark.parametrize(
    "body",
    [
        conv(make("nn.softmax", conv(X), axis=1)),
        conv(make("transpose", conv(X), axes=(0, 1, 3, 2))),
        conv(make("nn.prelu", conv(X), positive(16))),
        conv(make("strided_slice", conv(X, 24), begin=(4,), end=(20,), axes=(1,))),
    ],
    ids=["softmax", "transpose", "prelu", "slice-through-blocks"],
)
def test_operators_that_do_not_follow(body):
    assert data_transforms(body) == 4


def test_concatenation_that_does_not_fit_stays():
    body = make("concatenate", Tuple([conv(X), tensor("y", 1, 3, 6, 6)]), axis=1)
    after = run_pass(ALTER, body)
    assert is_call_of(after, "concatenate")


def test_concatenation_takes_a_common_block():
    body = make("concatenate", Tuple([conv(X), conv(X, 12)]), axis=1)
    after = run_pass(ALTER, conv(body))
    (call,) = (n for n in post_order(after) if is_call_of(n, "concatenate"))
    assert call.checked_type.shape == (1, 7, 6, 6, 4)


def test_reduction_over_everything():
    assert altered(make("sum", conv(X)))[-1] == "sum"


def test_value_needed_in_both_layouts_is_transformed_once():
    y = conv(X)
    softmax = [make("nn.softmax", y, axis=k) for k in (1, 2)]
    assert data_transforms(Tuple([*softmax, conv(y)])) == 3


def test_lets_and_tuples_are_borders():
    variable = Var("y", X.checked_type)
    body = Let(variable, conv(X), Tuple([conv(variable), make("nn.dropout", conv(variable))]))
    after = run_pass(ALTER, body)
    assert isinstance(after, Let)
    assert names(after).count("nn.contrib_conv2d_NCHWc") == 3


def test_a_second_run_changes_nothing():
    once = run_pass(ALTER, squeeze_excite(X))
    assert run_pass(ALTER, once) is once


def test_deep_chain():
    x: Expr = tensor("x", 1, 8, 1, 1)
    y = conv(x, 8, 1)
    for _ in range(5000):
        y = make("nn.relu", y)
    assert data_transforms(y) == 2


def test_single_elements_keep_the_layout_that_they_are_said_to_have():
    """What has one element is broadcast as it is, but not where the result has one element too."""
    mean = make("mean", conv(X, groups=16), keepdims=True)
    body = make("abs", add(mean, mean))
    assert run_pass(ALTER, body).checked_type == body.checked_type
    assert data_transforms(body) == 2  # into blocks, and back at the end
