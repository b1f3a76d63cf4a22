"""Pooling over windows and over whole images."""

from dataclasses import replace

from relay.frontend.onnx.converters.convolution import Window, spatial_rank, window
from relay.frontend.onnx.converters.reduction import reduce
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_operator
from relay.ir.expr import Expr


def _pooling_window(node: Node, value: Expr) -> tuple[Window, tuple[int, ...]]:
    """The window, and by how much `ceil_mode` lets it reach beyond the padded image."""
    rank = spatial_rank(node, value)
    kernel = node.integers("kernel_shape")
    if kernel is None or len(kernel) != rank or any(k < 1 for k in kernel):
        node.fail(f"its kernel_shape must have {rank} positive numbers, found {kernel}")
    image = node.shape(value)[2:]
    moves = window(node, image, kernel)
    beyond = [0] * rank
    if node.integer("ceil_mode", 0):
        for i, (size, reach) in enumerate(zip(image, moves.reach, strict=True)):
            stride, before, after = moves.strides[i], moves.before[i], moves.after[i]
            steps = -(-(size + before + after - reach) // stride)
            # A window must start inside the image or the padding before it.
            if steps * stride >= size + before:
                steps -= 1
            beyond[i] = max(0, steps * stride + reach - (size + before + after))
    return moves, tuple(beyond)


def _grown(moves: Window, beyond: tuple[int, ...]) -> Window:
    return replace(moves, after=tuple(a + b for a, b in zip(moves.after, beyond, strict=True)))


@onnx_operator("MaxPool")
def max_pool(node: Node) -> Expr:
    """The largest element in each window."""
    node.only_outputs(1)
    value = node.arg(0)
    moves, beyond = _pooling_window(node, value)
    moves = _grown(moves, beyond)
    return node.call(
        f"nn.max_pool{len(beyond)}d",
        value,
        pool_size=moves.kernel,
        strides=moves.strides,
        dilation=moves.dilations,
        padding=moves.padding,
    )


@onnx_operator("AveragePool")
def average_pool(node: Node) -> Expr:
    """The mean of the elements in each window; padding counts where `count_include_pad` is 1."""
    value = node.arg(0)
    moves, beyond = _pooling_window(node, value)
    include = bool(node.integer("count_include_pad", 0))
    if include and any(beyond):
        # Padding counts, but not what lies beyond it: so the padding becomes part of the image.
        widths = ((0, 0), (0, 0), *zip(moves.before, moves.after, strict=True))
        value = node.call("nn.pad", value, node.like(0, value), pad_width=widths)
        none = (0,) * len(beyond)
        moves, include = replace(moves, before=none, after=none), False
    moves = _grown(moves, beyond)
    return node.call(
        f"nn.avg_pool{len(beyond)}d",
        value,
        pool_size=moves.kernel,
        strides=moves.strides,
        dilation=moves.dilations,
        padding=moves.padding,
        count_include_pad=include,
    )


@onnx_operator("GlobalAveragePool")
def global_average_pool(node: Node) -> Expr:
    """The mean of each channel."""
    value = node.arg(0)
    return reduce(node, "mean", value, [*range(2, node.rank(value))], keep=True)


@onnx_operator("GlobalMaxPool")
def global_max_pool(node: Node) -> Expr:
    """The largest element of each channel."""
    value = node.arg(0)
    if node.rank(value) == 4:
        return node.call("nn.global_max_pool2d", value)
    return reduce(node, "max", value, [*range(2, node.rank(value))], keep=True)
