"""Boxes and regions of images."""

import numpy as np

from relay.frontend.onnx.converters.selection import first
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr


def _scalar(node: Node, index: int, default: float, dtype: str) -> Expr:
    value = node.optional(index)
    if value is None:
        return node.constant(default, dtype)
    return node.reshape(node.cast(value, dtype), ())


@onnx_op("", "NonMaxSuppression")
def non_max_suppression(node: Node) -> Expr:
    """Of boxes that overlap the best, for each image and class: rows (image, class, box)."""
    boxes, scores = node.arg(0), node.arg(1)
    kind = node.integer("center_point_box", 0)
    if kind not in (0, 1):
        node.fail(f"its center_point_box must be 0 or 1, found {kind}")
    if kind:
        centre = node.call("strided_slice", boxes, begin=(0,), end=(2,), axes=(2,))
        size = node.call("strided_slice", boxes, begin=(2,), end=(4,), axes=(2,))
        half = node.call("multiply", size, node.like(0.5, size))
        corners = [node.call("subtract", centre, half), node.call("add", centre, half)]
        boxes = node.call("concatenate", node.tuple_of(corners), axis=2)
    lowest = float(np.finfo(np.float32).min)
    found = node.call(
        "vision.all_class_non_max_suppression",
        boxes,
        scores,
        _scalar(node, 2, 0, "int64"),
        _scalar(node, 3, 0.0, "float32"),
        _scalar(node, 4, lowest, "float32"),
        output_format="onnx",
    )
    return first(node, node.field(found, 0), node.field(found, 1))


def _regions(node: Node, boxes: Expr, images: Expr) -> Expr:
    """Rows of image, left, top, right and bottom."""
    column = node.call("expand_dims", node.cast(images, node.dtype(boxes)), axis=1)
    return node.call("concatenate", node.tuple_of([column, boxes]), axis=1)


def _roi_align(node: Node, coordinates: str) -> Expr:
    value = node.arg(0)
    rows, columns = node.integer("output_height", 1), node.integer("output_width", 1)
    mode = node.text("mode", "avg")
    if mode not in ("avg", "max") or coordinates not in ("half_pixel", "output_half_pixel"):
        node.fail(f"its mode {mode!r} or its coordinates {coordinates!r} are unknown")
    return node.call(
        "vision.roi_align",
        value,
        _regions(node, node.arg(1), node.arg(2)),
        pooled_size=(rows, columns),
        spatial_scale=node.number("spatial_scale", 1.0),
        sample_ratio=node.integer("sampling_ratio", 0),
        mode="avg" if mode == "avg" else "max_weighted",
        aligned=coordinates == "half_pixel",
    )


@onnx_op("", "RoiAlign")
def roi_align_by_edges(node: Node) -> Expr:
    """Regions of images brought to one size by interpolation, as version 10 defines it."""
    return _roi_align(node, "output_half_pixel")


@onnx_op("", "RoiAlign", since=16)
def roi_align(node: Node) -> Expr:
    """Regions of images brought to one size by interpolation."""
    return _roi_align(node, node.text("coordinate_transformation_mode", "half_pixel"))


@onnx_op("", "MaxRoiPool")
def max_roi_pool(node: Node) -> Expr:
    """The largest elements in the parts of regions of images."""
    shape = node.integers("pooled_shape") or []
    if len(shape) != 2 or any(d < 1 for d in shape):
        node.fail(f"its pooled_shape must be two positive numbers, found {shape}")
    return node.call(
        "vision.roi_pool",
        node.arg(0),
        node.arg(1),
        pooled_size=tuple(shape),
        spatial_scale=node.number("spatial_scale", 1.0),
    )
