"""Products of matrices and convolutions of ``com.microsoft``, with what is fused to them."""

from relay.frontend.onnx.converters.activation import affine
from relay.frontend.onnx.converters.contraction import gemm, matrix_product
from relay.frontend.onnx.converters.contrib_activation import fast_gelu
from relay.frontend.onnx.converters.contrib_common import (
    DOMAIN,
    activated,
    channels_first,
    channels_last,
    plus,
)
from relay.frontend.onnx.converters.convolution import convolution
from relay.frontend.onnx.converters.pooling import max_pool
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr


def _turned(node: Node, value: Expr, side: str) -> Expr:
    """A factor of a product, its axes moved as the attributes for `side` (A or B) say.

    The batch transposed means that (K, ..., M) stands for (..., K, M), and then that the last two
    change places if those are transposed too.
    """
    axes = list(range(node.rank(value)))
    if len(axes) < 2:
        return value
    if node.integer(f"transBatch{side}", 0):
        axes = [*axes[1:-1], axes[0], axes[-1]]
    if node.integer(f"trans{side}", 0):
        axes = [*axes[:-2], axes[-1], axes[-2]]
    return node.transpose(value, axes)


@onnx_op(DOMAIN, "FusedMatMul", "TransposeMatMul", "FusedMatMulActivation")
def fused_matmul(node: Node) -> Expr:
    """NumPy's product times `alpha`, of factors whose axes are moved, then activated."""
    left, right = (_turned(node, node.arg(k), side) for k, side in enumerate("AB"))
    alpha = node.number("alpha", 1.0)
    if alpha != 1 and node.known(right) is not None:
        right, alpha = affine(node, right, alpha, 0), 1.0
    return activated(node, affine(node, matrix_product(node, left, right), alpha, 0))


@onnx_op(DOMAIN, "FusedGemm")
def fused_gemm(node: Node) -> Expr:
    """``activation(alpha * A @ B + beta * C)``."""
    return activated(node, gemm(node))


@onnx_op(DOMAIN, "GemmFastGelu")
def gemm_fast_gelu(node: Node) -> Expr:
    """A product of matrices, then the Gaussian error linear unit approximated by tanh."""
    product = matrix_product(node, node.arg(0), node.arg(1))
    return fast_gelu(node, plus(node, product, node.optional(2)))


@onnx_op(DOMAIN, "FusedConv")
def fused_convolution(node: Node) -> Expr:
    """A convolution with another tensor added, then activated."""
    return activated(node, plus(node, convolution(node), node.optional(3)))


@onnx_op(DOMAIN, "NhwcConv", "NhwcFusedConv")
def channels_last_convolution(node: Node) -> Expr:
    """A convolution of images with their channels last; weights are as ever."""
    inputs = [channels_first(node, node.arg(0)), *node.inputs[1:3]]
    result = channels_last(node, convolution(node.derived(inputs)))
    return activated(node, plus(node, result, node.optional(3)))


@onnx_op(DOMAIN, "NhwcMaxPool")
def channels_last_max_pool(node: Node) -> Expr:
    """The largest element in each window of images with their channels last."""
    (largest, *_) = max_pool(node.derived([channels_first(node, node.arg(0))]))
    assert largest is not None
    return channels_last(node, largest)
