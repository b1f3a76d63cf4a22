"""`PadChannels`: output channels filled up to whole vectors, carried, absorbed and cut off."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import relay
from pass_helpers import (
    add,
    chain,
    evaluate,
    groups,
    multiply,
    names,
    positive,
    random_arguments,
    run_pass,
    tensor,
    weights,
)
from relay.executor.build import resolve_target
from relay.ir import IRModule
from relay.ir.expr import Call, Constant, Expr, Function, If, Let, Tuple, TupleGetItem, Var, const
from relay.ir.types import Any, TensorType
from relay.ir.visit import free_vars, post_order
from relay.support.source import Source, Span
from relay.transform import AlterOpLayout, PassContext, graph_pipeline
from relay.transform.calls import attribute, is_call_of, make
from relay.transform.pad_channels import PadChannels

X = tensor("x", 1, 64, 8, 8)
PAD = PadChannels(vector_lanes=16)


def conv(x: Expr, outputs: int, size: int = 1, groups: int = 1, **attrs: object) -> Call:
    type_ = x.checked_type
    kernel = weights(outputs, type_.shape[1] // groups, size, size, dtype=type_.dtype)
    kernel = const(kernel.data.numpy() / np.float32(type_.shape[1] * size * size) ** 0.5)
    if type_.dtype != "float32":
        kernel = const(kernel.data.numpy().astype(type_.dtype))
    return make("nn.conv2d", x, kernel, padding=size // 2, groups=groups, **attrs)


def convolutions(body: Expr) -> list[tuple[int, ...]]:
    """The shapes of the weights, in order."""
    calls = (n for n in post_order(body) if is_call_of(n, "nn.conv2d"))
    return [call.args[1].checked_type.concrete_shape[:2] for call in calls]


def cuts(body: Expr) -> int:
    return names(body).count("strided_slice")


def squeezenet_end(x: Expr) -> Expr:
    y = chain(add(conv(x, 1000), positive(1000, 1, 1)), "nn.relu")
    return make("nn.softmax", make("nn.batch_flatten", make("nn.global_avg_pool2d", y)))


def relu6(x: Expr) -> Expr:
    return make("clip", x, a_min=0.0, a_max=6.0)


def inverted_residual(x: Expr) -> Expr:
    y = add(conv(x, 24), positive(24, 1, 1))
    z = relu6(conv(relu6(conv(y, 144)), 144, 3, groups=144))
    return conv(add(y, add(conv(z, 24), positive(24, 1, 1))), 96)


def depthwise_in_the_middle(x: Expr) -> Expr:
    y = relu6(conv(x, 72, channels=72, kernel_size=1))
    y = relu6(conv(y, 72, 3, groups=72, channels=72, strides=2))
    return conv(y, 64)


def squeeze_excite(x: Expr) -> Expr:
    y = chain(conv(x, 72), "nn.relu")
    gate = chain(conv(make("nn.global_avg_pool2d", y), 24), "nn.relu")
    gate = chain(conv(gate, 72), "sigmoid")
    return conv(multiply(y, gate), 64)


def test_end_of_squeezenet():
    body = run_pass(PAD, squeezenet_end(X))
    assert convolutions(body) == [(1008, 64)]
    assert names(body)[-4:] == [
        "nn.global_avg_pool2d", "strided_slice", "nn.batch_flatten", "nn.softmax",
    ]  # fmt: skip
    assert cuts(body) == 1


def test_inverted_residual():
    body = run_pass(PAD, inverted_residual(X))
    assert convolutions(body) == [(32, 64), (144, 32), (144, 1), (32, 144), (96, 32)]
    assert cuts(body) == 0


def test_depthwise_in_the_middle():
    body = run_pass(PAD, depthwise_in_the_middle(X))
    assert convolutions(body) == [(80, 64), (80, 1), (64, 80)]
    middle = next(n for n in post_order(body) if is_call_of(n, "nn.conv2d") and n.attrs.groups > 1)
    assert (attribute(middle, "groups"), attribute(middle, "channels")) == (80, 80)
    assert cuts(body) == 0


def test_gate_of_one_pixel():
    body = run_pass(PAD, squeeze_excite(X))
    assert convolutions(body) == [(80, 64), (32, 80), (80, 32), (64, 80)]
    assert cuts(body) == 0


def test_spans_stay():
    span = Span(Source("model", "x"), 1, 1, 1, 2)
    first = conv(X, 24)
    first = Call(first.op, first.args, first.attrs, first.type_args, span)
    body = run_pass(PAD, conv(make("nn.global_avg_pool2d", first), 64))
    assert next(n.span for n in post_order(body) if is_call_of(n, "nn.conv2d")) == span


@pytest.mark.parametrize(
    ("outputs", "lanes", "padded"),
    [(24, 16, 32), (40, 16, 48), (200, 16, 208), (1000, 16, 1008), (255, 16, 256), (20, 8, 24)],
)
def test_padded(outputs, lanes, padded):
    body = run_pass(PadChannels(lanes), conv(conv(X, outputs), 2))
    assert convolutions(body) == [(padded, 64), (2, padded)]


@pytest.mark.parametrize(
    ("outputs", "lanes"),
    [(64, 16), (8, 16), (12, 16), (24, 8), (1000, 8), (24, 4), (24, 1)],
)
def test_whole_vectors_and_few_channels_stay(outputs, lanes):
    body = conv(conv(X, outputs), 16)
    assert run_pass(PadChannels(lanes), body) is body


def test_readers_may_cost_more_than_is_saved():
    body = conv(conv(tensor("x", 1, 2, 8, 8), 24), 128, 3)
    assert run_pass(PAD, body) is body


CHANNELS = (24, 1, 1)


def with_channels(*parts: Callable[[Expr], Expr]) -> Expr:
    """A convolution with 24 channels and one that absorbs them, and `parts` in between."""
    y: Expr = conv(X, 24)
    for part in parts:
        y = part(y)
    return conv(y, 16)


def named(name: str, **attributes: object) -> Callable[[Expr], Expr]:
    return lambda x: make(name, x, **attributes)


def right(name: str, other: Expr, **attributes: object) -> Callable[[Expr], Expr]:
    return lambda x: make(name, x, other, **attributes)


def left(name: str, other: Expr) -> Callable[[Expr], Expr]:
    return lambda x: make(name, other, x)


ATTENTION = tensor("a", 1, 1, 8, 8)
WIDTHS = ((0, 0), (0, 0), (1, 0), (2, 1))
OUTER = ((0, 0), (1, 1), (0, 0), (0, 0))

CARRIED = {
    "unary": (named("nn.relu"), named("nn.leaky_relu", alpha=0.1), named("sigmoid"),
              named("tanh"), named("negative"), named("abs"), named("exp"), named("log")),
    "mish": (lambda x: multiply(x, make("tanh", make("log", add(make("exp", x), const(1.0))))),),
    "hard-swish": (lambda x: make("divide", multiply(x, relu6(add(x, const(3.0)))), const(6.0)),),
    "factor": (named("sigmoid"), right("multiply", positive(*CHANNELS))),
    "factor-left": (left("multiply", positive(1, *CHANNELS)),),
    "divisor": (named("cos"), right("divide", positive(*CHANNELS))),
    "difference": (left("subtract", positive(*CHANNELS)), right("subtract", positive(24, 8, 8))),
    "extremes": (right("maximum", positive(*CHANNELS)), left("minimum", positive(*CHANNELS))),
    "power": (named("abs"), right("power", positive(*CHANNELS))),
    "pixels": (right("add", positive(8, 8)), right("multiply", const(0.5)), named("tanh")),
    "bias_add": (right("nn.bias_add", positive(24)), right("nn.bias_add", weights(24), axis=-3)),
    "prelu": (named("cos"), named("negative"), right("nn.prelu", weights(24))),
    "attention": (right("multiply", ATTENTION), left("add", ATTENTION), named("sigmoid")),
    "itself": (lambda x: add(x, x), lambda x: multiply(make("nn.relu", x), x)),
    "max_pool": (named("cos"), named("nn.max_pool2d", pool_size=3, strides=2, padding=1)),
    "avg_pool": (named("cos"), named("nn.avg_pool2d", pool_size=3, padding=1),
                 named("nn.avg_pool2d", pool_size=2, padding=1, count_include_pad=True)),
    "ceil_mode": (named("nn.max_pool2d", pool_size=3, strides=2, ceil_mode=True),),
    "global": (named("sigmoid"), named("nn.global_max_pool2d")),
    "adaptive": (named("cos"), named("nn.adaptive_avg_pool2d", output_size=(3, 3))),
    "upsampling": (named("cos"), named("nn.upsampling", scale_h=2.0, scale_w=2.0)),
    "mean": (named("mean", axis=(-1, -2), keepdims=True),),
    "sum": (named("cos"), named("sum", axis=3, keepdims=True), named("tanh")),
    "pad": (named("cos"), right("nn.pad", const(0.5), pad_width=WIDTHS), named("tanh"),
            right("nn.pad", const(0.0), pad_width=WIDTHS, pad_mode="edge")),
    "depthwise": (named("cos"), lambda x: conv(x, 24, 3, groups=24)),
}  # fmt: skip


@pytest.mark.parametrize("parts", CARRIED.values(), ids=CARRIED)
def test_carried(parts):
    body = run_pass(PAD, with_channels(*parts))
    assert convolutions(body)[0] == (32, 64)
    assert convolutions(body)[-1] == (16, 32)
    assert cuts(body) == 0


@pytest.mark.parametrize("parts", CARRIED.values(), ids=CARRIED)
def test_new_channels_are_finite_and_alike(parts):
    body = PAD(IRModule.from_expr(with_channels(*parts)))["main"].body
    wide = [
        n
        for n in post_order(body)
        if isinstance(n, Call) and n.checked_type.concrete_shape[:2] == (1, 32)
    ]
    everything = Function(free_vars(body), Tuple(wide))
    for value in evaluate(everything, random_arguments(everything)):
        assert np.all(np.isfinite(value))
        assert np.all(value[:, 24:] == value[:, 24:25])


B = tensor("b", 1, 24, 8, 8)
LEAKS = {
    "concatenate": (lambda x: make("concatenate", Tuple([x, X]), axis=1),),
    "split": (lambda x: TupleGetItem(make("split", x, indices_or_sections=2, axis=1), 0),),
    "reshape": (named("reshape", newshape=(1, 12, 16, 8)),),
    "softmax": (named("nn.softmax", axis=1),),
    "channel-mean": (named("mean", axis=1, keepdims=True),),
    "batch-sum": (named("sum", axis=0, keepdims=True),),
    "other-input": (right("add", B),),
    "log-of-zero": (named("log"),),
    "rsqrt-of-zero": (named("rsqrt"),),
    "too-large": (*(named("exp") for _ in range(5)),),
    "zero-by-zero": (lambda x: make("divide", x, x),),
    "divided-by-it": (left("divide", positive(*CHANNELS)),),
    "unknown-exponent": (right("add", ATTENTION), named("exp")),
    "unknown-products": (right("add", ATTENTION), lambda x: multiply(x, x)),
    "comparison": (lambda x: make("where", make("greater", x, B), x, B),),
    "integers": (named("cast", dtype="int32"), named("cast", dtype="float32")),
    "grouped": (lambda x: conv(x, 24, groups=2),),
    "multiplier": (lambda x: conv(x, 48, groups=24),),
    "weight-at-run-time": (right("nn.conv2d", tensor("w", 8, 24, 1, 1)),),
    "channels-last": (named("layout_transform", src_layout="NCHW", dst_layout="NHWC"),
                      named("nn.max_pool2d", layout="NHWC"),
                      named("layout_transform", src_layout="NHWC", dst_layout="NCHW")),
    "pool-outside": (named("nn.max_pool2d", pool_size=2, padding=2),),
    "border-of-channels": (right("nn.pad", const(0.0), pad_width=OUTER),),
    "infinite-border": (right("nn.pad", const(-np.inf), pad_width=WIDTHS),
                        named("nn.max_pool2d", pool_size=4)),
}  # fmt: skip


@pytest.mark.parametrize("parts", LEAKS.values(), ids=LEAKS)
def test_leaks(parts):
    body = with_channels(*parts)
    assert run_pass(PAD, body) is body


def test_results_leak():
    for body in (conv(X, 24), Tuple([conv(X, 24), X]), chain(conv(X, 1000), "nn.relu")):
        assert run_pass(PAD, body) is body


def test_a_leak_of_one_reader_is_a_leak():
    y = conv(X, 24)
    body = Tuple([conv(y, 64), y])
    assert run_pass(PAD, body) is body


def test_a_leak_concerns_its_region_alone():
    body = run_pass(PAD, conv(chain(conv(conv(X, 24), 40), "nn.softmax"), 16))
    assert convolutions(body) == [(32, 64), (40, 32), (16, 40)]


def test_a_leak_concerns_all_of_its_region():
    y, z = conv(X, 24), conv(X, 24, 3)
    body = Tuple([conv(add(y, z), 64), make("nn.softmax", z)])
    assert run_pass(PAD, body) is body


def test_small_leaks_are_cut_once():
    y = make("nn.avg_pool2d", conv(X, 24), pool_size=4, strides=4)
    body = run_pass(PAD, Tuple([make("nn.softmax", y, axis=1), chain(y, "log")]))
    assert convolutions(body) == [(32, 64)]
    assert cuts(body) == 1


def test_constants_stay_shared():
    bias = positive(*CHANNELS)
    body = run_pass(PAD, conv(add(add(conv(X, 24), bias), bias), 64))
    constants = [n for n in post_order(body) if isinstance(n, Constant)]
    assert len(constants) == 3


@pytest.mark.parametrize(
    "first",
    [
        make("nn.conv2d", X, tensor("w", 24, 64, 1, 1)),
        make("nn.conv2d", X, weights(24, 8, 64, 1), data_layout="NHWC", kernel_layout="HWIO"),
        conv(X, 24, groups=8),
        conv(X, 24, out_layout="NHWC"),
    ],
    ids=["weight", "nhwc", "grouped", "out_layout"],
)
def test_other_convolutions_stay(first):
    module = IRModule.from_expr(make("nn.global_avg_pool2d", first))
    assert PAD(module) is module


def test_unknown_sizes_stay():
    x = Var("x", TensorType((1, 64, Any(), 8)))
    module = IRModule.from_expr(conv(conv(x, 24), 64))
    assert PAD(module) is module


def test_half_precision():
    x = tensor("x", 1, 64, 8, 8, dtype="float16")
    module = IRModule.from_expr(conv(chain(conv(x, 24), "sigmoid"), 64))
    assert convolutions(PAD(module)["main"].body) == [(32, 64), (64, 32)]
    far = make("nn.global_avg_pool2d", add(conv(x, 24), const(np.float16(500.0))))
    module = IRModule.from_expr(conv(far, 64))
    assert PAD(module) is module


def test_control_flow_leaks():
    flag = Var("flag", TensorType((), "bool"))
    body = If(flag, conv(conv(X, 24), 64), conv(conv(X, 40), 64))
    padded = PAD(IRModule.from_expr(body))["main"].body
    assert convolutions(padded) == [(32, 64), (64, 32), (48, 64), (64, 48)]
    y = Var("y", TensorType((1, 24, 8, 8)))
    module = IRModule.from_expr(Let(y, conv(X, 24), conv(y, 64)))
    assert PAD(module) is module


def test_primitive_functions_are_left_alone():
    p = tensor("p", 1, 64, 8, 8)
    inner = Function([p], conv(conv(p, 24), 64)).with_attr("Primitive", 1)
    module = IRModule.from_expr(conv(conv(Call(inner, [X]), 40), 64))
    body = PAD(module)["main"].body
    assert convolutions(body) == [(24, 64), (64, 24), (48, 64), (64, 48)]


def test_long_chains():
    y: Expr = conv(X, 24)
    for _ in range(30_000):
        y = make("nn.relu", y)
    body = PAD(IRModule.from_expr(conv(y, 64)))["main"].body
    assert convolutions(body) == [(32, 64), (64, 32)]


NETWORKS = {
    "squeezenet": squeezenet_end,
    "inverted-residual": inverted_residual,
    "depthwise": depthwise_in_the_middle,
    "squeeze-excite": squeeze_excite,
    "winograd": lambda x: conv(chain(conv(chain(conv(x, 40, 3), "nn.relu"), 40, 3), "tanh"), 64, 3),
}
WIDE = replace(resolve_target(None), vector_bytes=64)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_compiled(network):
    module = IRModule.from_expr(network(X))
    (data,) = random_arguments(module["main"])
    want = relay.create_executor("debug", mod=module).evaluate()(data).numpy()
    padded = PAD(module)
    assert padded is not module
    found = relay.create_executor("debug", mod=padded).evaluate()(data).numpy()
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)
    with PassContext(opt_level=3):
        graph = relay.build(padded)["default"](None)
    graph.set_input("x", data)
    graph.run()
    np.testing.assert_allclose(graph.get_output(0).numpy(), want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("network", "more"),
    [
        (squeezenet_end, 1),
        (inverted_residual, 0),
        (depthwise_in_the_middle, 0),
        (squeeze_excite, 0),
    ],
)
def test_kernels(network, more):
    """No kernels come of it, but one that cuts."""
    kernels = []
    for disabled in (["PadChannels"], []):
        with PassContext(opt_level=3, disabled_pass=disabled):
            body = graph_pipeline(3, WIDE)(IRModule.from_expr(network(X)))["main"].body
        views = ("reshape", "nn.batch_flatten")
        kernels.append([g for g in groups(body) if not all(name in views for name in g)])
    assert len(kernels[1]) == len(kernels[0]) + more


def test_blocks_fill_vectors():
    body = AlterOpLayout(16)(PAD(IRModule.from_expr(inverted_residual(X))))["main"].body
    blocked = ("nn.contrib_conv2d_NCHWc", "nn.contrib_depthwise_conv2d_NCHWc")
    calls = [n for n in post_order(body) if is_call_of(n, *blocked)]
    assert {attribute(c, "out_layout") for c in calls} == {"NCHW16c"}
