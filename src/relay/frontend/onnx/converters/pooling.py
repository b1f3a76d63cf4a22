"""Pooling over windows and over whole images."""

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce

import numpy as np
import numpy.typing as npt

from relay.frontend.onnx.converters.convolution import Window, spatial_rank, window
from relay.frontend.onnx.converters.reduction import reduce as reduce_axes
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr


def _pooling_window(node: Node, value: Expr) -> tuple[Window, tuple[int, ...]]:
    """The window, and by how much `ceil_mode` lets it reach beyond the padded image."""
    rank = spatial_rank(node, value)
    kernel = node.integers("kernel_shape")
    if kernel is None or len(kernel) != rank or any(k < 1 for k in kernel):
        node.fail(f"its kernel_shape must have {rank} positive numbers, found {kernel}")
    image = node.dims(value)[2:]
    moves = window(node, image, kernel)
    beyond = [0] * rank
    if node.integer("ceil_mode", 0):
        for i, (size, reach) in enumerate(zip(node.fixed(image), moves.reach, strict=True)):
            stride, before, after = moves.strides[i], moves.before[i], moves.after[i]
            steps = -(-(size + before + after - reach) // stride)
            # A window must start inside the image or the padding before it.
            if steps * stride >= size + before:
                steps -= 1
            beyond[i] = max(0, steps * stride + reach - (size + before + after))
    return moves, tuple(beyond)


def _grown(moves: Window, beyond: tuple[int, ...]) -> Window:
    return replace(moves, after=tuple(a + b for a, b in zip(moves.after, beyond, strict=True)))


@onnx_op("", "MaxPool")
def max_pool(node: Node) -> list[Expr | None]:
    """The largest element in each window, and where in the image it is."""
    value = node.arg(0)
    moves, beyond = _pooling_window(node, value)
    moves = _grown(moves, beyond)
    largest = node.call(
        f"nn.max_pool{len(beyond)}d",
        value,
        pool_size=moves.kernel,
        strides=moves.strides,
        dilation=moves.dilations,
        padding=moves.padding,
    )
    return [largest, _places(node, value, moves) if node.output_is_used(1) else None]


def _places(node: Node, value: Expr, moves: Window) -> Expr:
    """Where in a tensor taken as one row the first largest element of each window is."""
    batch, channels, *image = node.shape(value)
    size = math.prod(image)
    steps = moves.steps(image)
    node.spend((math.prod(steps), math.prod(moves.kernel)), "int64")
    rank, touched = len(image), moves.touched(image)
    outside = reduce(
        np.logical_or, [(at < 0) | (at >= d) for at, d in zip(touched, image, strict=True)]
    )

    def numbered(axes: Iterable[int]) -> npt.NDArray[np.int64]:
        number = np.zeros((1,) * (2 * rank), np.int64)
        for axis in axes:
            number = number * image[axis] + touched[axis]
        return number

    flat = numbered(range(rank))
    told = numbered(reversed(range(rank))) if node.integer("storage_order", 0) else flat
    shape = (math.prod(steps), math.prod(moves.kernel))
    beside = np.broadcast_to(outside, (*steps, *moves.kernel)).reshape(shape)
    # What is beside the image is read from the window's first place inside: ties go to that one.
    first_inside = beside.argmin(1)[:, None]
    flat, told = (
        np.where(beside, np.take_along_axis(places, first_inside, 1), places)
        for places in (table.reshape(shape) for table in (flat, told))
    )
    rows = node.reshape(value, (batch * channels, size))
    windows = node.call("take", rows, node.constant(flat, "int64"), axis=1, mode="clip")
    tap = node.call("argmax", windows, axis=(2,), keepdims=False)
    first = node.constant(np.arange(shape[0]) * shape[1], "int64")
    where = node.call("add", node.cast(tap, "int64"), first)
    table = node.constant(told.reshape(-1), "int64")
    found = node.call("take", table, where, axis=0, mode="clip")
    starts = node.constant(np.arange(batch * channels)[:, None] * size, "int64")
    return node.reshape(node.call("add", found, starts), (batch, channels, *steps))


@onnx_op("", "AveragePool")
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


@onnx_op("", "LpPool")
def norm_pool(node: Node) -> Expr:
    """The norm of the elements in each window."""
    value = node.arg(0)
    moves, beyond = _pooling_window(node, value)
    moves = _grown(moves, beyond)
    order = float(node.integer("p", 2)) if node.opset > 1 else node.number("p", 2.0)
    mean = node.call(
        f"nn.avg_pool{len(beyond)}d",
        _powered(node, value, order),
        pool_size=moves.kernel,
        strides=moves.strides,
        dilation=moves.dilations,
        padding=moves.padding,
        count_include_pad=True,
    )
    total = node.call("multiply", mean, node.like(math.prod(moves.kernel), mean))
    return _root(node, total, order)


def _powered(node: Node, value: Expr, order: float) -> Expr:
    """``|x| ** order``."""
    if order == 2:
        return node.call("multiply", value, value)
    size = node.call("abs", value)
    return size if order == 1 else node.call("power", size, node.like(order, value))


def _root(node: Node, value: Expr, order: float) -> Expr:
    if order == 1:
        return value
    if order == 2:
        return node.call("sqrt", value)
    return node.call("power", value, node.like(1 / order, value))


@onnx_op("", "GlobalLpPool")
def global_norm_pool(node: Node) -> Expr:
    """The norm of each channel."""
    value = node.arg(0)
    order = float(node.integer("p", 2)) if node.opset > 1 else node.number("p", 2.0)
    axes = [*range(2, node.rank(value))]
    total = reduce_axes(node, "sum", _powered(node, value, order), axes, keep=True)
    return _root(node, total, order)


@onnx_op("", "MaxUnpool")
def max_unpool(node: Node) -> Expr:
    """Elements put back to where a pooling found them, zero elsewhere."""
    value, places = node.arg(0), node.arg(1)
    batch, channels, *image = node.shape(value)
    kernel = node.integers("kernel_shape") or []
    moves = window(node, image, kernel) if len(kernel) == len(image) else None
    if moves is None:
        node.fail(f"its kernel_shape must have {len(image)} numbers, found {kernel}")
    inner = [
        (d - 1) * s - b - a + k
        for d, s, b, a, k in zip(
            image, moves.strides, moves.before, moves.after, moves.kernel, strict=True
        )
    ]
    whole = [batch, channels, *inner]
    size = math.prod(whole)
    node.check_size(whole, node.dtype(value))
    count = math.prod(node.shape(value))
    found = node.call(
        "scatter_elements",
        node.filled((size,), 0, node.dtype(value)),
        node.reshape(places, (count,)),
        node.reshape(value, (count,)),
        axis=0,
        reduction="update",
    )
    result = node.reshape(found, whole)
    if node.optional(2) is None:
        return result
    wanted = node.static_integers(2, "shape")
    if len(wanted) != len(whole) or any(w < d for w, d in zip(wanted, whole, strict=True)):
        node.fail(f"its shape {wanted} does not hold what it makes, {whole}")
    widths = tuple((0, w - d) for w, d in zip(wanted, whole, strict=True))
    return node.call("nn.pad", result, node.like(0, result), pad_width=widths)


@onnx_op("", "GlobalAveragePool")
def global_average_pool(node: Node) -> Expr:
    """The mean of each channel."""
    value = node.arg(0)
    return reduce_axes(node, "mean", value, [*range(2, node.rank(value))], keep=True)


@onnx_op("", "GlobalMaxPool")
def global_max_pool(node: Node) -> Expr:
    """The largest element of each channel."""
    value = node.arg(0)
    if node.rank(value) == 4:
        return node.call("nn.global_max_pool2d", value)
    return reduce_axes(node, "max", value, [*range(2, node.rank(value))], keep=True)
