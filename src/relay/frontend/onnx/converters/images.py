"""Images read and written at computed places."""

import math
from collections.abc import Sequence

import numpy as np

from relay.frontend.onnx.converters.contraction import matrix_product
from relay.frontend.onnx.converters.convolution import add_bias, window
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

#: ONNX's names of interpolations, those before version 20 too, and ours.
_METHODS = {
    "nearest": "nearest",
    "linear": "bilinear",
    "bilinear": "bilinear",
    "cubic": "bicubic",
    "bicubic": "bicubic",
}


@onnx_op("", "GridSample")
def grid_sample(node: Node) -> Expr:
    """An image or volume read at the positions of a grid, each from -1 to 1."""
    value, grid = node.arg(0), node.arg(1)
    rank = node.rank(value)
    mode = node.text("mode", "linear")
    if mode not in _METHODS:
        node.fail(f"its mode {mode!r} is not one of {', '.join(_METHODS)}")
    if rank not in (4, 5):
        node.unsupported(f"it reads {node.type_of(value)}; expected an image or a volume")
    places = node.transpose(grid, [0, rank - 1, *range(1, rank - 1)])
    return node.call(
        "image.grid_sample",
        value,
        places,
        method=_METHODS[mode],
        layout="NCHW" if rank == 4 else "NCDHW",
        padding_mode=node.text("padding_mode", "zeros"),
        align_corners=bool(node.integer("align_corners", 0)),
    )


@onnx_op("", "Col2Im")
def columns_to_image(node: Node) -> Expr:
    """Blocks, columns of a matrix, added up to the image that they were cut from."""
    value = node.arg(0)
    image, kernel = node.static_integers(1, "image shape"), node.static_integers(2, "block shape")
    if len(image) != len(kernel) or not image or any(k < 1 for k in kernel):
        node.fail(f"blocks of {kernel} do not fit an image of {image}")
    moves = window(node, image, kernel)
    batch, rows, blocks = node.shape(value)
    taps, size = math.prod(kernel), math.prod(image)
    if rows % taps or math.prod(moves.steps(image)) != blocks:
        node.fail(f"{rows} rows and {blocks} blocks do not make an image of {image}")
    channels = rows // taps
    node.check_size((batch, channels, size), node.dtype(value))
    node.spend((taps, blocks), "int64")
    flat = np.zeros((1,) * (2 * len(image)), np.int64)
    outside = flat != 0
    for at, extent in zip(moves.touched(image), image, strict=True):
        flat = flat * extent + at
        outside = outside | (at < 0) | (at >= extent)
    # What falls beside the image goes to one more element, which is cut off.
    places = np.where(outside, size, flat).reshape(blocks, taps).T.reshape(1, taps * blocks)
    found = node.call(
        "scatter_elements",
        node.filled((batch * channels, size + 1), 0, node.dtype(value)),
        node.broadcast(node.constant(places, "int64"), (batch * channels, taps * blocks)),
        node.reshape(value, (batch * channels, taps * blocks)),
        axis=1,
        reduction="add",
    )
    return node.reshape(node.slice_axis(found, 1, 0, size), (batch, channels, *image))


@onnx_op("", "DeformConv")
def deformable_convolution(node: Node) -> Expr:
    """Convolution of an image read at positions that offsets move, and masks weigh.

    X. Zhu et al., "Deformable ConvNets v2", 2018.
    """
    value, weight, offset, mask = node.arg(0), node.arg(1), node.arg(2), node.optional(4)
    batch, channels, height, width = node.shape(value)
    outputs, inner, *kernel = node.shape(weight)
    groups, bundles = node.integer("group", 1), node.integer("offset_group", 1)
    if groups < 1 or bundles < 1 or channels % bundles or inner * groups != channels:
        node.fail(f"{channels} channels do not divide into {groups} groups and {bundles} bundles")
    moves = window(node, (height, width), kernel)
    taps = math.prod(kernel)
    rows, columns = node.shape(offset)[2:]
    if node.shape(offset) != (batch, 2 * bundles * taps, rows, columns):
        node.fail(f"its offsets have the shape {node.shape(offset)}, for {taps} taps")
    moved = node.reshape(offset, (batch * bundles, taps, 2, rows, columns))
    places = [
        _normal(node, moved, axis, size, moves.strides[axis], start, (rows, columns))
        for axis, size, start in (
            (0, height, _starts(moves.before[0], moves.dilations[0], kernel, 0)),
            (1, width, _starts(moves.before[1], moves.dilations[1], kernel, 1)),
        )
    ]
    grid = node.concatenate([places[1], places[0]], 1)  # x before y
    image = node.reshape(value, (batch * bundles, channels // bundles, height, width))
    read = node.call(
        "image.grid_sample",
        image,
        grid,
        method="bilinear",
        layout="NCHW",
        padding_mode="zeros",
        align_corners=False,
    )
    if mask is not None:
        weights = node.reshape(mask, (batch * bundles, 1, taps * rows, columns))
        read = node.call("multiply", read, weights)
    # The taps become channels of a convolution with windows of one pixel.
    spread = node.reshape(read, (batch, channels * taps, rows, columns))
    flat = node.reshape(weight, (outputs, inner * taps, 1, 1))
    result = node.call(
        "nn.conv2d", spread, flat, kernel_size=(1, 1), channels=outputs, groups=groups
    )
    return add_bias(node, result, node.optional(3))


def _starts(before: int, dilation: int, kernel: Sequence[int], axis: int) -> list[int]:
    """Where each tap of the first window reads, along `axis`."""
    return [int(at[axis]) * dilation - before for at in np.ndindex(*kernel)]


def _normal(
    node: Node,
    moved: Expr,
    axis: int,
    size: int,
    stride: int,
    starts: Sequence[int],
    result: Sequence[int],
) -> Expr:
    """Positions along `axis` from -1 to 1 between the outer edges of the image."""
    count = node.shape(moved)[0]
    extent = [1, 1]
    extent[axis] = result[axis]
    steps = np.arange(result[axis]).reshape(extent) * stride
    base = np.array(starts)[:, None, None] + np.broadcast_to(steps, result)
    own = node.reshape(node.slice_axis(moved, 2, axis, axis + 1), (count, len(starts), *result))
    at = node.call("add", own, node.constant(base, node.dtype(moved)))
    scaled = node.call("multiply", at, node.like(2 / size, at))
    shifted = node.call("add", scaled, node.like(1 / size - 1, at))
    return node.reshape(shifted, (count, 1, len(starts) * result[0], result[1]))


@onnx_op("", "ImageDecoder")
def image_decoder(node: Node) -> Expr:
    """The picture in a file."""
    return node.call("image.decode", node.arg(0), pixel_format=node.text("pixel_format", "RGB"))


@onnx_op("", "AffineGrid")
def affine_grid(node: Node) -> Expr:
    """Where an affine map takes the pixels of an image, or of a volume: x first, from -1 to 1."""
    theta = node.arg(0)
    batch, *space = node.static_integers(1, "size")
    space = space[1:]  # behind the channels
    rank = len(space)
    if rank not in (2, 3) or node.shape(theta) != (batch, rank, rank + 1):
        node.fail(f"maps {node.shape(theta)} do not fit {rank} axes of {batch} images")
    dtype = node.dtype(theta)
    node.check_size((batch, *space, rank), dtype)
    node.spend((*space, rank + 1), "float64")
    lines = []
    for size in space:
        steps = np.arange(size)
        if node.integer("align_corners", 0):
            lines.append(2 * steps / max(1, size - 1) - 1 if size > 1 else 0.0 * steps)
        else:
            lines.append((2 * steps + 1) / size - 1)
    axes = np.meshgrid(*lines, indexing="ij")
    places = np.stack([*reversed(axes), np.ones(space)], -1)
    base = node.constant(places.reshape(1, math.prod(space), rank + 1), dtype)
    moved = matrix_product(node, base, node.transpose(theta, (0, 2, 1)))
    return node.reshape(moved, (batch, *space, rank))
