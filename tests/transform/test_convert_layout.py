"""`ConvertLayout`: layouts that the user chooses."""

import pytest

from pass_helpers import add, chain, names, positive, run_pass, tensor, weights
from relay.ir.expr import Expr, Tuple
from relay.ir.visit import post_order
from relay.support.errors import RelayError
from relay.transform.calls import attribute, is_call_of, make
from relay.transform.convert_layout import ConvertLayout, LayoutConfig

X = tensor("x", 1, 8, 6, 6)
NHWC = ConvertLayout({"nn.conv2d": ["NHWC", "default"]})
NCHW = ConvertLayout({"nn.conv2d": ["NCHW", "default"]})


def conv(x: Expr, outputs: int = 8, groups: int = 1) -> Expr:
    kernel = weights(outputs, x.checked_type.shape[1] // groups, 3, 3)
    return make("nn.conv2d", x, kernel, padding=1, groups=groups)


def net(x: Expr) -> Expr:
    y = chain(make("nn.bias_add", conv(x), positive(8)), "nn.relu")
    y = make("nn.max_pool2d", add(conv(y, groups=4), y), pool_size=2, strides=2)
    y = make("concatenate", Tuple([conv(y, 3), conv(y, 5)]), axis=1)
    return make("nn.global_avg_pool2d", add(conv(y), positive(8, 1, 1)))


def test_whole_net():
    after = run_pass(NHWC, net(X))
    convolutions = [n for n in post_order(after) if is_call_of(n, "nn.conv2d")]
    assert {attribute(c, "data_layout") for c in convolutions} == {"NHWC"}
    assert {attribute(c, "kernel_layout") for c in convolutions} == {"HWIO"}
    # One for the data, one for each of five weights and for one constant, one for the result.
    assert names(after).count("layout_transform") == 8


def test_there_and_back():
    there = run_pass(NHWC, net(X))
    back = run_pass(NCHW, there)
    assert all(
        attribute(n, "data_layout") == "NCHW"
        for n in post_order(back)
        if is_call_of(n, "nn.conv2d")
    )


def test_blocked_layout():
    step = ConvertLayout({"nn.conv2d": ["NCHW4c", "OIHW4i4o"]})
    after = run_pass(step, conv(chain(conv(X), "nn.relu")))
    assert names(after).count("layout_transform") == 4
    untouched = conv(tensor("x", 1, 6, 5, 5))
    assert run_pass(step, untouched) is untouched


def test_pooling_and_transposed_convolution():
    step = ConvertLayout({"nn.avg_pool2d": ["NHWC"], "nn.conv2d_transpose": ["NHWC", "HWOI"]})
    y = make("nn.conv2d_transpose", X, weights(8, 4, 2, 2), strides=2)
    after = run_pass(step, make("nn.avg_pool2d", y, pool_size=2))
    assert names(after) == [
        *("layout_transform", "layout_transform", "nn.conv2d_transpose", "nn.avg_pool2d"),
        "layout_transform",
    ]


def test_default_keeps_the_layout():
    body = conv(X)
    assert run_pass(ConvertLayout({"nn.conv2d": ["default", "default"]}), body) is body


@pytest.mark.parametrize(
    ("desired", "message"),
    [
        ({"nn.relu": ["NHWC"]}, "has no layout"),
        ({"nn.conv9d": ["NHWC"]}, "no operator named"),
        ({"nn.conv2d": []}, "takes a data layout"),
    ],
)
def test_wrong_options(desired, message):
    with pytest.raises(RelayError, match=message):
        ConvertLayout(desired)


def test_kernel_layout_must_be_known():
    with pytest.raises(RelayError, match="no kernel layout"):
        run_pass(ConvertLayout({"nn.conv2d": ["NCHW4c"]}), conv(X))


def layouts(after: Expr) -> list[str]:
    return [attribute(n, "data_layout") for n in post_order(after) if is_call_of(n, "nn.conv2d")]


def test_convolutions_can_be_skipped():
    net = conv(conv(conv(X)))
    assert LayoutConfig.current is None
    with LayoutConfig(skip_layers=[0, 2]) as config:
        assert LayoutConfig.current is config
        assert layouts(run_pass(NHWC, net)) == ["NCHW", "NHWC", "NCHW"]
        with LayoutConfig() as inner:
            assert LayoutConfig.current is inner
            assert layouts(run_pass(NHWC, net)) == ["NHWC"] * 3
            assert inner.skip_counter == 3
        # The count goes on where the pass runs again.
        assert layouts(run_pass(NHWC, net)) == ["NHWC"] * 3
        config.reset()
        config.skip_layers = [1]
        assert layouts(run_pass(NHWC, net)) == ["NHWC", "NCHW", "NHWC"]
    assert LayoutConfig.current is None


def test_only_convolutions_that_are_to_be_converted_count():
    y = make("nn.max_pool2d", conv(X), pool_size=2, strides=2)
    step = ConvertLayout({"nn.conv2d": ["NHWC", "default"], "nn.max_pool2d": ["NHWC"]})
    with LayoutConfig(skip_layers=[1]):
        assert layouts(run_pass(step, conv(y))) == ["NHWC", "NCHW"]
    with LayoutConfig(skip_layers=[0]) as config:
        run_pass(ConvertLayout({"nn.conv2d_transpose": ["NHWC", "HWOI"]}), conv(y))
        assert config.skip_counter == 0
