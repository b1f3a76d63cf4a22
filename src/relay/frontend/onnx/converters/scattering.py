"""Elements written by index, and sequences of different lengths."""

import numpy as np

from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

#: ONNX reduction -> how the operators combine an update with what is there.
_MODES = {"none": "update", "add": "add", "mul": "mul", "min": "min", "max": "max"}


def _mode(node: Node) -> str:
    reduction = node.text("reduction", "none")
    if reduction not in _MODES:
        node.fail(f"its reduction {reduction!r} is not one of {', '.join(_MODES)}")
    return _MODES[reduction]


def _check_inside(node: Node, indices: Expr, extents: tuple[int, ...]) -> None:
    """Refuse known `indices`, the last axis one for each of `extents`, that lie outside."""
    known = node.known(indices)
    if known is None or not known.size:
        return
    limits = np.array(extents)
    if (known < -limits).any() or (known >= limits).any():
        node.fail(f"it writes elements {known.min()} to {known.max()} of axes of {extents}")


@onnx_op("", "ScatterElements", "Scatter")
def scatter_elements(node: Node) -> Expr:
    """Single elements written along an axis."""
    value, indices, updates = node.arg(0), node.arg(1), node.arg(2)
    axis = node.axis("axis", node.rank(value), 0)
    if node.type_of(value).is_static:
        _check_inside(node, indices, (node.shape(value)[axis],))
    return node.call("scatter_elements", value, indices, updates, axis=axis, reduction=_mode(node))


@onnx_op("", "ScatterND")
def scatter_nd(node: Node) -> Expr:
    """Slices written at the places that the last axis of the indices names."""
    value, indices, updates = node.arg(0), node.arg(1), node.arg(2)
    shape, wanted = node.shape(value), node.shape(indices)
    if not wanted or not 1 <= wanted[-1] <= len(shape):
        node.fail(f"indices of shape {wanted} do not fit a tensor of shape {shape}")
    extents = shape[: wanted[-1]]
    _check_inside(node, indices, extents)
    # Negative indices count from the end.
    limits = node.constant(extents, node.dtype(indices))
    negative = node.call("less", indices, node.like(0, indices))
    places = node.call("where", negative, node.call("add", indices, limits), indices)
    rank = len(wanted)
    places = node.transpose(places, [rank - 1, *range(rank - 1)])
    return node.call("scatter_nd", value, places, updates, mode=_mode(node))


@onnx_op("", "TensorScatter")
def tensor_scatter(node: Node) -> Expr:
    """A cache, with an update written at a place of its own for each of the batch."""
    cache, update, starts = node.arg(0), node.arg(1), node.optional(2)
    shape, written = node.shape(cache), node.shape(update)
    axis = node.axis("axis", len(shape), -2)
    size, count = shape[axis], written[axis]
    if axis == 0 or any(
        a != b for k, (a, b) in enumerate(zip(shape, written, strict=True)) if k != axis
    ):
        node.fail(f"an update of shape {written} does not fit a cache of {shape} at axis {axis}")
    if starts is None:
        starts = node.filled((shape[0],), 0, "int64")
    extent = [shape[0] if k == 0 else 1 for k in range(len(shape))]
    along = [size if k == axis else 1 for k in range(len(shape))]
    # Which element of the update comes to each place of the cache.
    places = node.constant(np.arange(size).reshape(along), "int64")
    source = node.call("subtract", places, node.cast(node.reshape(starts, extent), "int64"))
    mode = node.text("mode", "linear")
    if mode == "circular":
        source = node.call("floor_mod", source, node.like(size, source))
    elif mode != "linear":
        node.fail(f"its mode must be linear or circular, found {mode!r}")
    inside = node.call(
        "logical_and",
        node.call("greater_equal", source, node.like(0, source)),
        node.call("less", source, node.like(count, source)),
    )
    nearest = node.call(
        "minimum",
        node.call("maximum", source, node.like(0, source)),
        node.like(max(0, count - 1), source),
    )
    moved = node.call("gather", update, node.broadcast(nearest, shape), axis=axis)
    return node.call("where", inside, moved, cache)


@onnx_op("", "ReverseSequence")
def reverse_sequence(node: Node) -> Expr:
    """The first elements along an axis reversed, as many as are given for each of the batch."""
    value, lengths = node.arg(0), node.arg(1)
    rank = node.rank(value)
    return node.call(
        "reverse_sequence",
        value,
        lengths,
        seq_axis=node.axis("time_axis", rank, 0),
        batch_axis=node.axis("batch_axis", rank, 1),
    )
