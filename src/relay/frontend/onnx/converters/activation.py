"""Activations that Relay spells out of simpler operators, and softmax."""

import math
from collections.abc import Callable

from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr


def affine(node: Node, value: Expr, scale: float, offset: float) -> Expr:
    """``scale * value + offset``."""
    if scale != 1:
        value = node.call("multiply", value, node.like(scale, value))
    return value if offset == 0 else node.call("add", value, node.like(offset, value))


def clamped_affine(node: Node, value: Expr, scale: float, offset: float) -> Expr:
    """``scale * value + offset``, limited to 0..1."""
    return node.call("clip", affine(node, value, scale, offset), a_min=0.0, a_max=1.0)


def exponential_unit(node: Node, value: Expr, alpha: float, scale: float = 1.0) -> Expr:
    """``alpha * (exp(x / scale) - 1)`` below zero, x above."""
    zero = node.like(0, value)
    negative = affine(node, node.call("minimum", value, zero), 1 / scale, 0)
    below = affine(node, node.call("exp", negative), alpha, -alpha)
    return node.call("add", node.call("nn.relu", value), below)


def soft_plus(node: Node, value: Expr) -> Expr:
    """``log(1 + exp(x))``, in a form that neither overflows nor loses small results."""
    negative = node.call("negative", node.call("abs", value))
    rest = _log_of_one_plus(node, node.call("exp", negative))
    return node.call("add", node.call("nn.relu", value), rest)


def _log_of_one_plus(node: Node, value: Expr) -> Expr:
    """``log(1 + x)`` for x in 0 .. 1, which rounding ``1 + x`` would make wrong for small x.

    W. Kahan's correction: ``log(u) * x / (u - 1)`` for the rounded ``u = 1 + x``.
    """
    whole = affine(node, value, 1, 1)
    rounded = affine(node, whole, 1, -1)
    factor = node.call("divide", value, rounded)
    right = node.call("multiply", node.call("log", whole), factor)
    return node.call("where", node.call("equal", rounded, node.like(0, rounded)), value, right)


def soft_sign(node: Node, value: Expr) -> Expr:
    """``x / (1 + |x|)``."""
    return node.call("divide", value, affine(node, node.call("abs", value), 1, 1))


@onnx_op("", "Relu")
def relu(node: Node) -> Expr:
    """``max(x, 0)``."""
    return node.call("nn.relu", node.arg(0))


@onnx_op("", "LeakyRelu")
def leaky_relu(node: Node) -> Expr:
    """``alpha * x`` below zero, x above."""
    return node.call("nn.leaky_relu", node.arg(0), alpha=node.number("alpha", 0.01))


@onnx_op("", "PRelu")
def parametric_relu(node: Node) -> Expr:
    """``slope * x`` below zero, x above; the slope broadcasts."""
    value, slope = node.arg(0), node.arg(1)
    if node.opset < 7 and node.rank(slope) == 1:  # one for each channel, or for all
        slope = node.reshape(slope, (*node.shape(slope), *[1] * max(0, node.rank(value) - 2)))
    below = node.call("minimum", value, node.like(0, value))
    above = node.call("maximum", value, node.like(0, value))
    return node.call("add", above, node.call("multiply", slope, below))


@onnx_op("", "Elu")
def elu(node: Node) -> Expr:
    """Exponential linear unit."""
    return exponential_unit(node, node.arg(0), node.number("alpha", 1.0))


@onnx_op("", "Celu")
def celu(node: Node) -> Expr:
    """Continuously differentiable exponential linear unit."""
    alpha = node.number("alpha", 1.0)
    return exponential_unit(node, node.arg(0), alpha, alpha)


@onnx_op("", "Selu")
def selu(node: Node) -> Expr:
    """Scaled exponential linear unit."""
    alpha = node.number("alpha", 1.6732632423543772)
    gamma = node.number("gamma", 1.0507009873554805)
    return affine(node, exponential_unit(node, node.arg(0), alpha), gamma, 0)


def thresholded(node: Node, value: Expr, limit: float) -> Expr:
    """x above `limit`, zero elsewhere."""
    above = node.call("greater", value, node.like(limit, value))
    return node.call("where", above, value, node.like(0, value))


@onnx_op("", "ThresholdedRelu")
def thresholded_relu(node: Node) -> Expr:
    """x above `alpha`, zero elsewhere."""
    return thresholded(node, node.arg(0), node.number("alpha", 1.0))


@onnx_op("", "Shrink")
def shrink(node: Node) -> Expr:
    """Values nearer to zero than `lambd` become zero, others move towards it by `bias`."""
    value = node.arg(0)
    limit, bias = node.number("lambd", 0.5), node.number("bias", 0.0)
    above = node.call("greater", value, node.like(limit, value))
    below = node.call("less", value, node.like(-limit, value))
    zero = node.like(0, value)
    rest = node.call("where", below, affine(node, value, 1, bias), zero)
    return node.call("where", above, affine(node, value, 1, -bias), rest)


@onnx_op("", "HardSigmoid")
def hard_sigmoid(node: Node) -> Expr:
    """A sigmoid of straight lines."""
    return clamped_affine(node, node.arg(0), node.number("alpha", 0.2), node.number("beta", 0.5))


@onnx_op("", "HardSwish")
def hard_swish(node: Node) -> Expr:
    """``x * hard_sigmoid(x)`` with slope 1/6."""
    return node.call("multiply", node.arg(0), clamped_affine(node, node.arg(0), 1 / 6, 0.5))


@onnx_op("", "Swish")
def swish(node: Node) -> Expr:
    """``x * sigmoid(alpha * x)``."""
    scaled = affine(node, node.arg(0), node.number("alpha", 1.0), 0)
    return node.call("multiply", node.arg(0), node.call("sigmoid", scaled))


@onnx_op("", "Softplus")
def softplus(node: Node) -> Expr:
    """``log(1 + exp(x))``."""
    return soft_plus(node, node.arg(0))


@onnx_op("", "Softsign")
def softsign(node: Node) -> Expr:
    """``x / (1 + |x|)``."""
    return soft_sign(node, node.arg(0))


@onnx_op("", "Mish")
def mish(node: Node) -> Expr:
    """``x * tanh(softplus(x))``, which is ``x * n / (n + 2)`` for ``n = exp(x) * (exp(x) + 2)``."""
    value = node.arg(0)
    # From here on the fraction is 1 to all digits; a little further, it would overflow.
    limit = 5.0 if node.dtype(value) == "float16" else 20.0
    e = node.call("exp", node.call("minimum", value, node.like(limit, value)))
    n = node.call("multiply", e, affine(node, e, 1, 2))
    return node.call("multiply", value, node.call("divide", n, affine(node, n, 1, 2)))


@onnx_op("", "Gelu")
def gelu(node: Node) -> Expr:
    """Gaussian error linear unit, exact or approximated by tanh."""
    value = node.arg(0)
    match node.text("approximate", "none"):
        case "none":
            inner = node.call("erf", affine(node, value, math.sqrt(0.5), 0))
        case "tanh":
            cube = node.call("multiply", node.call("multiply", value, value), value)
            argument = node.call("add", value, affine(node, cube, 0.044715, 0))
            inner = node.call("tanh", affine(node, argument, math.sqrt(2 / math.pi), 0))
        case other:
            node.fail(f"its approximation must be none or tanh, found {other!r}")
    half = affine(node, value, 0.5, 0)
    return node.call("multiply", half, affine(node, inner, 1, 1))


def _over_the_rest(node: Node, function: Callable[[Expr], Expr]) -> Expr:
    """`function` of the rows of a matrix: before version 13, all axes from `axis` on were one."""
    value = node.arg(0)
    shape = node.dims(value)
    axis = node.integer("axis", 1)
    axis = len(shape) if axis == len(shape) else node.normal_axis(axis, len(shape))
    flat = node.reshape(value, (math.prod(shape[:axis]), math.prod(shape[axis:])))
    return node.reshape(function(flat), shape)


def _flattened(node: Node, operator: str) -> Expr:
    value = node.arg(0)
    if node.integer("axis", 1) in (-1, node.rank(value) - 1):
        return node.call(operator, value, axis=-1)
    return _over_the_rest(node, lambda flat: node.call(operator, flat, axis=-1))


@onnx_op("", "Softmax")
def softmax_flattened(node: Node) -> Expr:
    """Softmax over all axes from `axis` on."""
    return _flattened(node, "nn.softmax")


@onnx_op("", "LogSoftmax")
def log_softmax_flattened(node: Node) -> Expr:
    """Logarithm of the softmax over all axes from `axis` on."""
    return _flattened(node, "nn.log_softmax")


@onnx_op("", "Softmax", since=13)
def softmax(node: Node) -> Expr:
    """Softmax along one axis."""
    return node.call("nn.softmax", node.arg(0), axis=node.axis("axis", node.rank(node.arg(0)), -1))


@onnx_op("", "LogSoftmax", since=13)
def log_softmax(node: Node) -> Expr:
    """Logarithm of the softmax along one axis."""
    axis = node.axis("axis", node.rank(node.arg(0)), -1)
    return node.call("nn.log_softmax", node.arg(0), axis=axis)


def _hardmax(node: Node, value: Expr, axis: int) -> Expr:
    shape = node.shape(value)
    if 0 in shape:
        return value  # there is nothing to be the largest
    largest = node.call("argmax", value, axis=(axis,), keepdims=True)
    extent = [shape[axis] if i == axis else 1 for i in range(len(shape))]
    positions = node.constant([*range(shape[axis])], node.dtype(largest))
    hit = node.call("equal", node.reshape(positions, extent), largest)
    return node.cast(hit, node.dtype(value))


@onnx_op("", "Hardmax")
def hardmax_flattened(node: Node) -> Expr:
    """One at the first largest element over all axes from `axis` on, zero elsewhere."""
    return _over_the_rest(node, lambda flat: _hardmax(node, flat, 1))


@onnx_op("", "Hardmax", since=13)
def hardmax(node: Node) -> Expr:
    """One at the first largest element along an axis, zero elsewhere."""
    value = node.arg(0)
    return _hardmax(node, value, node.axis("axis", node.rank(value), -1))
