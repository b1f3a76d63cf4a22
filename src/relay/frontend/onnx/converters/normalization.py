"""Normalizations."""

import math
from collections.abc import Sequence

from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

_NARROW = ("float16", "bfloat16")


@onnx_op("", "BatchNormalization")
def batch_normalization_of_old(node: Node) -> Sequence[Expr]:
    """Statistics that training has left where `is_test` is set, else those of the batch.

    They are of channels, or of single elements of each image where `spatial` is 0.
    """
    normalized = _normalized if node.opset >= 7 or node.integer("is_test", 0) else _trained
    value = node.arg(0)
    if node.integer("spatial", 1):
        return normalized(node)
    shape = node.dims(value)
    size = math.prod(shape[1:])
    inputs = [node.reshape(node.arg(k), (size,)) for k in range(1, 5)]
    flat = node.derived([node.reshape(value, (shape[0], size)), *inputs])
    result, *statistics = normalized(flat)
    kept = [node.reshape(s, shape[1:]) for s in statistics]
    return [node.reshape(result, shape), *kept]


@onnx_op("", "BatchNormalization", since=9)
def batch_normalization(node: Node) -> Sequence[Expr]:
    """Each channel shifted and scaled by statistics that training has left."""
    return _normalized(node)


@onnx_op("", "BatchNormalization", since=14)
def batch_normalization_or_training(node: Node) -> Sequence[Expr]:
    """Each channel shifted and scaled by statistics, of the batch where it is training."""
    return _trained(node) if node.integer("training_mode", 0) else _normalized(node)


def _normalized(node: Node) -> list[Expr]:
    """Normalization by the statistics that training has left."""
    node.only_outputs(1)
    value = node.arg(0)
    statistics = [node.cast(node.arg(i), node.dtype(value)) for i in range(1, 5)]
    epsilon = node.number("epsilon", 1e-5)
    return [node.field(node.call("nn.batch_norm", value, *statistics, axis=1, epsilon=epsilon), 0)]


def _trained(node: Node) -> list[Expr]:
    """Normalization by the statistics of the batch, which the running ones follow."""
    value = node.arg(0)
    dtype = node.dtype(value)
    rank = node.rank(value)
    axes = (0, *range(2, rank))
    wide = node.cast(value, "float32") if dtype in _NARROW else value
    mean = node.call("mean", wide, axis=axes, keepdims=False)
    kept = node.call("mean", wide, axis=axes, keepdims=True)
    variance = node.call("variance", wide, kept, axis=axes, keepdims=False)
    scale, bias = (node.cast(node.arg(i), node.dtype(wide)) for i in (1, 2))
    epsilon = node.number("epsilon", 1e-5)
    normal = node.field(
        node.call("nn.batch_norm", wide, scale, bias, mean, variance, axis=1, epsilon=epsilon), 0
    )
    momentum = node.number("momentum", 0.9)
    results = [node.cast(normal, dtype)]
    for index, found in ((3, mean), (4, variance)):
        old = node.arg(index)
        kept = node.call("multiply", old, node.like(momentum, old))
        new = node.cast(found, node.dtype(old))
        results.append(
            node.call("add", kept, node.call("multiply", new, node.like(1 - momentum, old)))
        )
    return results


def _flat_parameter(node: Node, value: Expr | None, shape: Sequence[int], dtype: str) -> Expr:
    """A scale or bias for normalized axes of `shape`, as one axis; zeros where there is none."""
    size = math.prod(shape)
    if value is None:
        return node.filled((size,), 0.0, dtype)
    return node.reshape(node.broadcast(node.cast(value, dtype), shape), (size,))


@onnx_op("", "LayerNormalization")
def layer_normalization(node: Node) -> list[Expr | None]:
    """All axes from `axis` on normalized together; their means and inverse deviations."""
    value = node.arg(0)
    shape, dtype = node.dims(value), node.dtype(value)
    axis = node.axis("axis", len(shape), -1)
    wide = "float32" if dtype in _NARROW and node.integer("stash_type", 1) == 1 else dtype
    inner = node.fixed(shape[axis:])
    flat = node.reshape(node.cast(value, wide), (*shape[:axis], math.prod(inner)))
    scale = _flat_parameter(node, node.arg(1), inner, wide)
    bias = _flat_parameter(node, node.optional(2), inner, wide)
    epsilon = node.number("epsilon", 1e-5)
    result = node.call("nn.layer_norm", flat, scale, bias, axis=-1, epsilon=epsilon)
    results: list[Expr | None] = [node.cast(node.reshape(result, shape), dtype), None, None]
    ones = (*shape[:axis], *[1] * len(inner))
    mean = node.call("mean", flat, axis=(-1,), keepdims=True)
    if node.output_is_used(1):
        results[1] = node.reshape(mean, ones)
    if node.output_is_used(2):
        spread = node.call("variance", flat, mean, axis=(-1,), keepdims=True)
        shifted = node.call("add", spread, node.like(epsilon, spread))
        results[2] = node.reshape(node.call("rsqrt", shifted), ones)
    return results


@onnx_op("", "RMSNormalization")
def root_mean_square_normalization(node: Node) -> Expr:
    """All axes from `axis` on divided by the root of their mean square."""
    value = node.arg(0)
    dtype = node.dtype(value)
    axes = tuple(range(node.axis("axis", node.rank(value), -1), node.rank(value)))
    wide = "float32" if dtype in _NARROW and node.integer("stash_type", 1) == 1 else dtype
    data = node.cast(value, wide)
    square = node.call("mean", node.call("multiply", data, data), axis=axes, keepdims=True)
    shifted = node.call("add", square, node.like(node.number("epsilon", 1e-5), square))
    scaled = node.call("multiply", data, node.call("rsqrt", shifted))
    return node.call("multiply", node.cast(scaled, dtype), node.arg(1))


@onnx_op("", "InstanceNormalization")
def instance_normalization(node: Node) -> Expr:
    """Each channel of each image normalized for itself."""
    epsilon = node.number("epsilon", 1e-5)
    return node.call(
        "nn.instance_norm", node.arg(0), node.arg(1), node.arg(2), axis=1, epsilon=epsilon
    )


def _group_normalization(node: Node, scale: Expr, bias: Expr) -> Expr:
    groups = node.integer("num_groups")
    epsilon = node.number("epsilon", 1e-5)
    return node.call(
        "nn.group_norm", node.arg(0), scale, bias, num_groups=groups, axis=1, epsilon=epsilon
    )


@onnx_op("", "GroupNormalization")
def group_normalization_by_group(node: Node) -> Expr:
    """Channels normalized in groups; scale and bias have one number for each group."""
    (channels,), groups = node.fixed(node.dims(node.arg(0))[1:2]), node.integer("num_groups")
    if groups < 1 or channels % groups:
        node.fail(f"{channels} channels do not divide into {groups} groups")

    def spread(value: Expr) -> Expr:
        column = node.reshape(value, (groups, 1))
        return node.reshape(node.broadcast(column, (groups, channels // groups)), (channels,))

    return _group_normalization(node, spread(node.arg(1)), spread(node.arg(2)))


@onnx_op("", "GroupNormalization", since=21)
def group_normalization(node: Node) -> Expr:
    """Channels normalized in groups; scale and bias have one number for each channel."""
    return _group_normalization(node, node.arg(1), node.arg(2))


@onnx_op("", "LRN")
def local_response_normalization(node: Node) -> Expr:
    """Elements divided by a power of the squares in neighbouring channels."""
    return node.call(
        "nn.lrn",
        node.arg(0),
        size=node.integer("size"),
        axis=1,
        bias=node.number("bias", 1.0),
        alpha=node.number("alpha", 1e-4),
        beta=node.number("beta", 0.75),
    )


@onnx_op("", "MeanVarianceNormalization")
def mean_variance_normalization(node: Node) -> Expr:
    """Elements with the mean of some axes taken away, over their standard deviation."""
    value = node.arg(0)
    axes = tuple(node.normal_axes(node.integers("axes") or [0, 2, 3], node.rank(value)))
    centred = node.call("subtract", value, node.call("mean", value, axis=axes, keepdims=True))
    square = node.call("multiply", centred, centred)
    deviation = node.call("sqrt", node.call("mean", square, axis=axes, keepdims=True))
    return node.call("divide", centred, node.call("add", deviation, node.like(1e-9, value)))


@onnx_op("", "LpNormalization")
def norm_normalization(node: Node) -> Expr:
    """Elements over the first or second norm along an axis."""
    value = node.arg(0)
    axis = (node.axis("axis", node.rank(value), -1),)
    order = node.integer("p", 2)
    if order not in (1, 2):
        node.fail(f"its norm must be 1 or 2, found {order}")
    size = node.call("abs", value) if order == 1 else node.call("multiply", value, value)
    norm = node.call("sum", size, axis=axis, keepdims=True)
    norm = norm if order == 1 else node.call("sqrt", norm)
    zero, one = node.like(0, norm), node.like(1, norm)
    norm = node.call("where", node.call("equal", norm, zero), one, norm)
    return node.call("divide", value, norm)
