"""Elements picked by index.

ONNX lets indices count from the end and leaves indices outside a tensor undefined. Indices that are
known are checked and made positive while importing; the others wrap around, which serves the
negative ones and never reads outside the tensor.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.sizes import Extent, compared
from relay.ir.expr import Constant, Expr


def _positive(node: Node, indices: npt.NDArray[Any], extent: int) -> npt.NDArray[np.int64]:
    found = indices.astype(np.int64)
    if found.size and (found.min() < -extent or found.max() >= extent):
        node.fail(f"it reads elements {found.min()} to {found.max()} of an axis that has {extent}")
    return np.where(found < 0, found + extent, found)


def _take_known(node: Node, value: Expr, indices: npt.NDArray[np.int64], axis: int) -> Expr:
    """Elements at known `indices`: a slice where they are equally spaced, which reads in order."""
    flat = indices.reshape(-1)
    shape = node.dims(value)
    result = (*shape[:axis], *indices.shape, *shape[axis + 1 :])
    steps = np.diff(flat)
    if flat.size == 0:
        return node.filled(node.fixed(result), 0, node.dtype(value))
    (extent,) = node.fixed(shape[axis : axis + 1])
    if flat.size == 1 or (steps[0] != 0 and (steps == steps[0]).all()):
        step = int(steps[0]) if flat.size > 1 else 1
        begin, end = int(flat[0]), int(flat[-1]) + (1 if step > 0 else -1)
        end = -extent - 1 if end == -1 else end
        part = node.slice_axis(value, axis, begin, min(end, extent), step)
        if not indices.shape:
            return node.call("squeeze", part, axis=(axis,))
        return node.reshape(part, result)
    return node.call("take", value, node.constant(indices, "int64"), axis=axis, mode="clip")


@onnx_op("", "Gather")
def gather(node: Node) -> Expr:
    """Slices of a tensor along an axis, at the places that indices name."""
    value, indices = node.arg(0), node.arg(1)
    axis = node.axis("axis", node.rank(value), 0)
    known = node.known(indices)
    extent = node.dims(value)[axis]
    if known is None or not isinstance(extent, int):
        return node.call("take", value, indices, axis=axis, mode="wrap")
    places = _positive(node, known, extent)
    if isinstance(value, Constant):
        return node.call("take", value, node.constant(places, "int64"), axis=axis, mode="clip")
    return _take_known(node, value, places, axis)


@onnx_op("", "GatherElements")
def gather_elements(node: Node) -> Expr:
    """Single elements along an axis: the indices replace one coordinate."""
    value, indices = node.arg(0), node.arg(1)
    axis = node.axis("axis", node.rank(value), 0)
    extent = node.dims(value)[axis]
    value = _as_far_as(node, value, node.dims(indices), axis)
    known = node.known(indices)
    if known is None or not isinstance(extent, int):
        indices = node.call("floor_mod", indices, node.scalar(extent, node.dtype(indices)))
    else:
        indices = node.constant(_positive(node, known, extent), "int64")
    return node.call("gather", value, indices, axis=axis)


def _as_far_as(node: Node, value: Expr, wanted: Sequence[Extent], axis: int) -> Expr:
    """The part of `value` that indices of shape `wanted` reach beside `axis`."""
    sizes = node.dims(value)
    fit = len(wanted) == len(sizes) and all(
        compared(w, d) != 1 for k, (w, d) in enumerate(zip(wanted, sizes, strict=True)) if k != axis
    )
    if not fit:
        node.fail(f"indices of shape {tuple(wanted)} do not fit a tensor of shape {sizes}")
    ends = [d if k == axis else w for k, (w, d) in enumerate(zip(wanted, sizes, strict=True))]
    return node.slice(value, [0] * len(ends), ends, [1] * len(ends))


@onnx_op("", "GatherND")
def gather_nd(node: Node) -> Expr:
    """Slices at places named by tuples of indices, the last axis of the indices."""
    value, indices = node.arg(0), node.arg(1)
    shape, wanted = node.dims(value), node.dims(indices)
    batch = node.integer("batch_dims", 0)
    (depth,) = node.fixed(wanted[-1:]) or (0,)
    if not wanted or not 0 <= batch < len(wanted) or not 1 <= depth <= len(shape) - batch:
        node.fail(f"indices of shape {wanted} do not fit a tensor of shape {shape}")
    indexed = shape[batch : batch + depth]
    known = node.known(indices)
    if known is None or not node.type_of(value).is_static:
        limits = node.cast(node.vector(indexed), node.dtype(indices))
        first = node.call("floor_mod", indices, limits)
        first = node.transpose(first, [len(wanted) - 1, *range(len(wanted) - 1)])
        return node.call("gather_nd", value, first, batch_dims=batch, index_rank=depth)
    # Known tuples become numbers of one flat axis, which often are a plain slice.
    shape, indexed = node.fixed(shape), node.fixed(indexed)
    places = [_positive(node, known[..., i], d) for i, d in enumerate(indexed)]
    if batch:
        if known.shape[:batch] != shape[:batch]:
            node.fail(f"the first {batch} sizes of {known.shape} and {shape} differ")
        grid = np.indices(known.shape[:-1])[:batch]
        places = [*grid, *places]
    used = batch + depth
    flat = np.ravel_multi_index(places, shape[:used])
    rows = node.reshape(value, (math.prod(shape[:used]), *shape[used:]))
    return _take_known(node, rows, np.asarray(flat, np.int64), 0)


@onnx_op("", "OneHot")
def one_hot(node: Node) -> Expr:
    """A new axis with one value at the place that an index names, another elsewhere."""
    indices = node.cast(node.arg(0), "int64")
    depth = int(node.static(1, "depth").item())
    values = node.arg(2)
    rank = node.rank(indices) + 1
    axis = node.axis("axis", rank, -1)
    sizes = [d for d in node.dims(indices) if isinstance(d, int)]
    node.check_size((*sizes, depth), node.dtype(values))
    node.spend((depth,), "int64")
    extent = [depth if i == axis else 1 for i in range(rank)]
    places = node.constant(np.arange(depth).reshape(extent), "int64")
    wrapped = node.call("expand_dims", indices, axis=axis)
    # Indices count from the end where negative; what is outside hits nothing.
    size = node.like(depth, wrapped)
    negative = node.call("less", wrapped, node.like(0, wrapped))
    wrapped = node.call("where", negative, node.call("add", wrapped, size), wrapped)
    off, on = (node.reshape(node.slice_axis(values, 0, i, i + 1), ()) for i in range(2))
    return node.call("where", node.call("equal", wrapped, places), on, off)
