"""Products of quantized matrices of ``com.microsoft``, with integers in ``int32``."""

from typing import TypeAlias

from relay.frontend.onnx.converters.activation import affine
from relay.frontend.onnx.converters.contraction import matrix_product
from relay.frontend.onnx.converters.contrib_common import (
    DOMAIN,
    channels_first,
    channels_last,
    plus,
)
from relay.frontend.onnx.converters.quantization import (
    dynamic_quantize_linear,
    matmul_integer,
    qlinear_conv,
    quantize_linear,
)
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

#: Integers, their scale and their zero point.
Quantized: TypeAlias = tuple[Expr, Expr, Expr | None]


def _scalar(node: Node, value: Expr) -> Expr:
    """A tensor of one element as a scalar, others as they are."""
    return node.reshape(value, ()) if node.shape(value) == (1,) else value


def scaled_product(node: Node, a: Quantized, b: Quantized, bias: Expr | None) -> Expr:
    """``(a - zero point) @ (b - zero point)`` times both scales, plus `bias`."""
    total = matmul_integer(node.derived([a[0], b[0], a[2], b[2]]))
    factor = node.call("multiply", _scalar(node, a[1]), _scalar(node, b[1]))
    product = node.call("multiply", node.cast(total, node.dtype(factor)), factor)
    return plus(node, product, bias)


@onnx_op(DOMAIN, "MatMulIntegerToFloat")
def matmul_integer_to_float(node: Node) -> Expr:
    """NumPy's product of quantized matrices, as floats."""
    left = node.arg(0), node.arg(2), node.optional(4)
    right = node.arg(1), node.arg(3), node.optional(5)
    return scaled_product(node, left, right, node.optional(6))


@onnx_op(DOMAIN, "DynamicQuantizeMatMul")
def dynamic_quantize_matmul(node: Node) -> Expr:
    """NumPy's product of a matrix that is quantized first, and a quantized one."""
    number, scale, zero = dynamic_quantize_linear(node)
    right = node.arg(1), node.arg(2), node.optional(3)
    return scaled_product(node, (number, scale, zero), right, node.optional(4))


@onnx_op(DOMAIN, "MatMulInteger16")
def matmul_wide_integer(node: Node) -> Expr:
    """NumPy's product of matrices of 16-bit integers, in 32 bits."""
    dtype = "uint32" if node.dtype(node.arg(0)).startswith("u") else "int32"
    left, right = (node.cast(node.arg(k), dtype) for k in (0, 1))
    return matrix_product(node, left, right)


@onnx_op(DOMAIN, "MulInteger")
def multiply_integer(node: Node) -> Expr:
    """``(a - zero point) * (b - zero point)`` in ``int32``."""

    def centred(index: int) -> Expr:
        value, zero = node.cast(node.arg(index), "int32"), node.optional(index + 1)
        return value if zero is None else node.call("subtract", value, node.cast(zero, "int32"))

    return node.call("multiply", centred(0), centred(2))


@onnx_op(DOMAIN, "QGemm")
def quantized_gemm(node: Node) -> Expr:
    """``alpha * A @ B + C`` of quantized matrices; C has the scale of the product.

    The result is quantized where a scale for it is given.
    """
    left, right = node.arg(0), node.arg(3)
    left = node.transpose(left, (1, 0)) if node.integer("transA", 0) else left
    right = node.transpose(right, (1, 0)) if node.integer("transB", 0) else right
    total = matmul_integer(node.derived([left, right, node.optional(2), node.optional(5)]))
    total = plus(node, total, node.optional(6))
    scales = node.call("multiply", _scalar(node, node.arg(1)), _scalar(node, node.arg(4)))
    factor = affine(node, scales, node.number("alpha", 1.0), 0)
    result = node.call("multiply", node.cast(total, node.dtype(factor)), factor)
    if node.optional(7) is None:
        return result
    zero = node.optional(8)
    zero = node.constant(0, node.dtype(node.arg(0))) if zero is None else zero
    return quantize_linear(node.derived([result, node.arg(7), zero]))


@onnx_op(DOMAIN, "QLinearConv")
def quantized_convolution(node: Node) -> Expr:
    """A convolution of quantized images, the channels of which may be last."""
    if not node.integer("channels_last", 0):
        return qlinear_conv(node)
    inputs = [channels_first(node, node.arg(0)), *node.inputs[1:]]
    return channels_last(node, qlinear_conv(node.derived(inputs)))
