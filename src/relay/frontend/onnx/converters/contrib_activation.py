"""Activations of ``com.microsoft``, and what is added before or after them."""

from relay.frontend.onnx.converters.activation import affine, gelu, softmax_flattened
from relay.frontend.onnx.converters.contrib_common import DOMAIN, plus, split_columns
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

onnx_op(DOMAIN, "Gelu")(gelu)


def fast_gelu(node: Node, value: Expr) -> Expr:
    """The Gaussian error linear unit approximated by tanh."""
    return gelu(node.derived([value], approximate="tanh"))


@onnx_op(DOMAIN, "BiasGelu")
def bias_gelu(node: Node) -> Expr:
    """The Gaussian error linear unit of a sum."""
    return gelu(node.derived([plus(node, node.arg(0), node.arg(1))]))


@onnx_op(DOMAIN, "FastGelu")
def fast_bias_gelu(node: Node) -> Expr:
    """The Gaussian error linear unit of a sum, approximated by tanh."""
    return fast_gelu(node, plus(node, node.arg(0), node.optional(1)))


@onnx_op(DOMAIN, "QuickGelu")
def quick_gelu(node: Node) -> Expr:
    """``x * sigmoid(alpha * x)``."""
    scaled = affine(node, node.arg(0), node.number("alpha", 1.702), 0)
    return node.call("multiply", node.arg(0), node.call("sigmoid", scaled))


@onnx_op(DOMAIN, "ScaledSiLU")
def scaled_sigmoid_unit(node: Node) -> Expr:
    """``z * sigmoid(z)`` where z is x times a number, from an input or an attribute."""
    value, scale = node.arg(0), node.optional(1)
    if scale is None:
        value = affine(node, value, node.number("alpha", 1.0), 0)
    else:
        factor = node.cast(node.reshape(scale, ()), node.dtype(value))
        value = node.call("multiply", value, factor)
    return node.call("multiply", value, node.call("sigmoid", value))


@onnx_op(DOMAIN, "BiasSplitGelu")
def bias_split_gelu(node: Node) -> Expr:
    """The left half of the columns times the Gaussian error linear unit of the right half."""
    value = plus(node, node.arg(0), node.arg(1))
    (size,) = node.fixed(node.dims(value)[-1:])
    left, right = split_columns(node, value, (size // 2, size - size // 2))
    return node.call("multiply", left, gelu(node.derived([right])))


@onnx_op(DOMAIN, "BiasAdd")
def bias_add(node: Node) -> Expr:
    """The sum of a tensor, a number for each column and another tensor."""
    return plus(node, node.arg(0), node.arg(1), node.arg(2))


@onnx_op(DOMAIN, "BiasSoftmax")
def bias_softmax(node: Node) -> Expr:
    """Softmax of a sum over all axes from `axis` on."""
    return softmax_flattened(node.derived([plus(node, node.arg(0), node.arg(1))]))


@onnx_op(DOMAIN, "BiasDropout")
def bias_dropout(node: Node) -> list[Expr | None]:
    """The sum of two or three tensors; nothing is dropped, and the mask says so."""
    if node.optional(4) is not None and node.static(4, "training mode").any():
        node.unsupported("it drops elements at random, which only training does")
    result = plus(node, node.arg(0), node.arg(1), node.optional(2))
    mask = None
    if node.output_is_used(1):
        mask = node.filled(node.shape(node.arg(0)), True, "bool")
    return [result, mask]
