"""Other operators of ``com.microsoft``: shapes, padding, images, distances, transforms."""

from relay.frontend.onnx.converters.contrib_common import DOMAIN
from relay.frontend.onnx.converters.images import grid_sample
from relay.frontend.onnx.converters.shape import pad_by_inputs, triangle
from relay.frontend.onnx.converters.signal import fourier
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

onnx_op(DOMAIN, "GridSample")(grid_sample)
onnx_op(DOMAIN, "Trilu")(triangle)


@onnx_op(DOMAIN, "ExpandDims")
def expand_dims(node: Node) -> Expr:
    """An axis of size 1 put in."""
    value = node.arg(0)
    places = node.static(1, "axis").reshape(-1)
    if places.size != 1:
        node.fail(f"its axis must be one number, found {places.tolist()}")
    axis = node.normal_axis(int(places[0]), node.rank(value) + 1)
    return node.call("expand_dims", value, axis=axis)


@onnx_op(DOMAIN, "Pad")
def pad(node: Node) -> Expr:
    """Elements put around a tensor; how many may be a matrix of one row."""
    widths = node.arg(1)
    if node.rank(widths) == 2:
        widths = node.reshape(widths, node.shape(widths)[1:])
    return pad_by_inputs(node.derived([node.arg(0), widths, node.optional(2)]))


@onnx_op(DOMAIN, "CropAndResize")
def crop_and_resize(node: Node) -> Expr:
    """Parts of images, resized to one size."""
    modes = {"bilinear": "bilinear", "nearest": "nearest_neighbor"}
    mode = node.text("mode", "bilinear")
    if mode not in modes:
        node.fail(f"its mode must be bilinear or nearest, found {mode!r}")
    size = node.static_integers(3, "crop size")
    if len(size) != 2 or min(size) < 1:
        node.fail(f"its crop size must be a height and a width, found {size}")
    channels = node.shape(node.arg(0))[1]
    node.check_size((*node.shape(node.arg(2)), channels, *size), node.dtype(node.arg(0)))
    return node.call(
        "image.crop_and_resize",
        node.arg(0),
        node.arg(1),
        node.arg(2),
        crop_size=tuple(size),
        layout="NCHW",
        method=modes[mode],
        extrapolation_value=node.number("extrapolation_value", 0.0),
    )


@onnx_op(DOMAIN, "CDist")
def distances(node: Node) -> Expr:
    """The distance of every row of one matrix from every row of another."""
    metric = node.text("metric", "sqeuclidean")
    if metric not in ("euclidean", "sqeuclidean"):
        node.unsupported(f"its metric {metric!r} is not supported; euclidean, sqeuclidean are")
    left = node.call("expand_dims", node.arg(0), axis=1)
    right = node.call("expand_dims", node.arg(1), axis=0)
    apart = node.call("subtract", left, right)
    total = node.call("sum", node.call("multiply", apart, apart), axis=(2,), keepdims=False)
    return node.call("sqrt", total) if metric == "euclidean" else total


def _check_transform(node: Node) -> None:
    if node.integer("signal_ndim", 1) != 1:
        node.unsupported("it transforms several axes; only the last one is supported")
    if node.integer("normalized", 0) or not node.integer("onesided", 1):
        node.unsupported("its transform is normalized or has both sides")


@onnx_op(DOMAIN, "Rfft")
def real_fourier(node: Node) -> Expr:
    """The first half of the spectrum of real rows: a real and an imaginary part, unscaled."""
    _check_transform(node)
    value = node.call("expand_dims", node.arg(0), axis=-1)
    inner = node.derived([value], inverse=0)
    return fourier(inner, value, node.rank(value) - 2, None, True)


@onnx_op(DOMAIN, "Irfft")
def inverse_real_fourier(node: Node) -> Expr:
    """The real rows of even length that a half of a spectrum is of."""
    _check_transform(node)
    value = node.arg(0)
    inner = node.derived([value], inverse=1)
    return node.call("squeeze", fourier(inner, value, node.rank(value) - 2, None, True), axis=(-1,))
