"""`DecomposeTransposedConv`: what becomes a convolution, and that it means the same."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pass_helpers import evaluate, names, random_arguments, run_pass, tensor, weights
from relay.ir import IRModule
from relay.ir.expr import Expr, Function, Var
from relay.ir.types import Any, TensorType
from relay.ir.visit import post_order
from relay.transform import DecomposeTransposedConv
from relay.transform.calls import attribute, is_call_of, make

LANES = DecomposeTransposedConv(vector_lanes=8)


def transposed(x: Expr, outputs: int, *window: int, **attrs: object) -> Expr:
    kernel = weights(x.checked_type.shape[1], outputs, *window)
    return make(f"nn.conv{len(window)}d_transpose", x, kernel, **attrs)


def agrees(body: Expr) -> Expr:
    """The body after the pass, which must mean what `body` does."""
    (x,) = (n for n in post_order(body) if isinstance(n, Var))
    before = Function([x], body)
    after = LANES(IRModule.from_expr(before))["main"]
    assert after.body.checked_type == body.checked_type
    arguments = random_arguments(before)
    np.testing.assert_allclose(
        evaluate(after, arguments), evaluate(before, arguments), rtol=1e-3, atol=1e-4
    )
    return after.body


@pytest.mark.parametrize(
    ("window", "stride", "padding"),
    list(itertools.product((1, 2, 3, 4, 5), (1, 2, 3), (0, 1, 2, 4))),
)
def test_line(window, stride, padding):
    if 5 * stride + window <= 2 * padding:
        pytest.skip("the padding leaves nothing")
    agrees(transposed(tensor("x", 2, 3, 6), 4, window, strides=stride, padding=padding))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_images_and_volumes(data):
    rank = data.draw(st.sampled_from((2, 3)))
    draw = [st.lists(st.integers(a, b), min_size=rank, max_size=rank) for a, b in ((1, 5), (1, 3))]
    window, strides = (data.draw(d) for d in draw)
    size = data.draw(st.lists(st.integers(2, 4), min_size=rank, max_size=rank))
    padding = [data.draw(st.integers(0, min(2, k - 1))) for k in (*window, *window)]
    more = [data.draw(st.integers(0, s - 1)) for s in strides]
    groups = data.draw(st.sampled_from((1, 2)))
    # Padding may not cut off everything.
    assume(
        all(
            (n - 1) * step + k + extra > before + after
            for n, step, k, extra, before, after in zip(
                size, strides, window, more, padding[:rank], padding[rank:], strict=True
            )
        )
    )
    agrees(
        transposed(
            tensor("x", 1, 4, *size),
            data.draw(st.integers(1, 5)),
            *window,
            strides=strides,
            padding=padding,
            output_padding=more,
            groups=groups,
        )
    )


def test_phases_are_channels():
    body = agrees(transposed(tensor("x", 1, 8, 6, 6), 16, 4, 4, strides=2, padding=1))
    assert names(body) == ["nn.conv2d", "nn.contrib_interleave"]
    (conv,) = (n for n in post_order(body) if is_call_of(n, "nn.conv2d"))
    assert conv.args[1].checked_type.shape == (64, 8, 2, 2)
    assert attribute(conv, "padding") == (1, 1, 1, 1)


def test_vectors_are_filled():
    body = agrees(transposed(tensor("x", 1, 8, 6, 6), 3, 4, 4, strides=2, padding=1))
    (conv,) = (n for n in post_order(body) if is_call_of(n, "nn.conv2d"))
    assert attribute(conv, "channels") == 16


def test_strides_of_one_are_one_convolution():
    body = agrees(transposed(tensor("x", 1, 8, 6, 6), 16, 3, 3, padding=1))
    assert names(body) == ["nn.conv2d"]


@pytest.mark.parametrize(
    "body",
    [
        transposed(tensor("x", 1, 4, 6, 6), 8, 3, 3, dilation=2),
        make("nn.conv2d_transpose", tensor("x", 1, 4, 6, 6), tensor("w", 4, 8, 3, 3)),
        make("nn.conv2d_transpose", tensor("x", 1, 6, 6, 4), weights(4, 8, 3, 3),
             data_layout="NHWC"),
    ],
    ids=["dilation", "weight-unknown", "layout"],
)  # fmt: skip
def test_left_alone(body):
    assert run_pass(LANES, body) is body


def test_left_alone_when_dynamic():
    x = Var("x", TensorType((1, 4, Any(), 6)))
    module = IRModule.from_expr(make("nn.conv2d_transpose", x, weights(4, 8, 3, 3)))
    assert LANES(module) is module
