"""Quantized operators of ``com.microsoft``, element by element and over windows and axes.

They are what the standard's operator makes of the numbers that the integers stand for, quantized
again.
"""

from collections.abc import Callable

from relay.frontend.onnx.converters.activation import softmax, softmax_flattened
from relay.frontend.onnx.converters.contrib_common import (
    DOMAIN,
    channels_first,
    channels_last,
)
from relay.frontend.onnx.converters.pooling import average_pool, global_average_pool
from relay.frontend.onnx.converters.quantization import dequantize_linear, quantize_linear
from relay.frontend.onnx.converters.reduction import reduce
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

onnx_op(DOMAIN, "QuantizeLinear")(quantize_linear)
onnx_op(DOMAIN, "DequantizeLinear")(dequantize_linear)


def dequantized(node: Node, index: int) -> Expr:
    """What input `index` stands for; its scale and zero point follow it."""
    inputs = [node.arg(index), node.arg(index + 1), node.optional(index + 2)]
    return dequantize_linear(node.derived(inputs))


def quantized(node: Node, value: Expr, index: int, dtype: str) -> Expr:
    """`value` with the scale that is input `index`, and the zero point that follows it."""
    zero = node.optional(index + 1)
    zero = node.constant(0, dtype) if zero is None else zero
    return quantize_linear(node.derived([value, node.arg(index), zero]))


def _binary(operator: str) -> Callable[[Node], Expr]:
    def convert(node: Node) -> Expr:
        result = node.call(operator, dequantized(node, 0), dequantized(node, 3))
        return quantized(node, result, 6, node.dtype(node.arg(0)))

    return convert


def _unary(apply: Callable[[Node, Expr], Expr]) -> Callable[[Node], Expr]:
    def convert(node: Node) -> Expr:
        result = apply(node, dequantized(node, 0))
        return quantized(node, result, 3, node.dtype(node.arg(0)))

    return convert


def _softmax(node: Node, value: Expr) -> Expr:
    inner = node.derived([value], axis=node.integer("axis", -1))
    return softmax(inner) if node.integer("opset") >= 13 else softmax_flattened(inner)


def _pooled(pool: Callable[[Node], Expr]) -> Callable[[Node, Expr], Expr]:
    """`pool` of images whose channels may be last."""

    def apply(node: Node, value: Expr) -> Expr:
        if not node.integer("channels_last", 0):
            return pool(node.derived([value]))
        return channels_last(node, pool(node.derived([channels_first(node, value)])))

    return apply


def _mean(node: Node, value: Expr) -> Expr:
    rank = node.rank(value)
    axes = sorted(node.normal_axes(node.integers("axes") or [*range(rank)], rank))
    return reduce(node, "mean", value, axes, bool(node.integer("keepdims", 1)))


def _leaky_relu(node: Node, value: Expr) -> Expr:
    return node.call("nn.leaky_relu", value, alpha=node.number("alpha", 0.01))


onnx_op(DOMAIN, "QLinearAdd")(_binary("add"))
onnx_op(DOMAIN, "QLinearMul")(_binary("multiply"))
onnx_op(DOMAIN, "QLinearSigmoid")(_unary(lambda node, x: node.call("sigmoid", x)))
onnx_op(DOMAIN, "QLinearLeakyRelu")(_unary(_leaky_relu))
onnx_op(DOMAIN, "QLinearSoftmax")(_unary(_softmax))
onnx_op(DOMAIN, "QLinearAveragePool")(_unary(_pooled(average_pool)))
onnx_op(DOMAIN, "QLinearGlobalAveragePool")(_unary(_pooled(global_average_pool)))
onnx_op(DOMAIN, "QLinearReduceMean")(_unary(_mean))


@onnx_op(DOMAIN, "QLinearConcat")
def quantized_concatenation(node: Node) -> Expr:
    """Quantized tensors one after the other, all with the scale of the result."""
    if len(node.inputs) < 5 or len(node.inputs) % 3 != 2:
        node.fail(f"it needs a scale and a zero point for each tensor, found {len(node.inputs)}")
    dtype = node.dtype(node.arg(1))
    parts = [quantized(node, dequantized(node, k), 0, dtype) for k in range(2, len(node.inputs), 3)]
    return node.concatenate(parts, node.axis("axis", node.rank(parts[0])))


@onnx_op(DOMAIN, "QLinearWhere")
def quantized_choice(node: Node) -> Expr:
    """Elements of one tensor where a condition holds, of the other elsewhere, quantized again."""
    dtype = node.dtype(node.arg(1))
    sides = [quantized(node, dequantized(node, k), 7, dtype) for k in (1, 4)]
    return node.call("where", node.arg(0), *sides)
