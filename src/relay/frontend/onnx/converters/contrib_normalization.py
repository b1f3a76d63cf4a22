"""Normalizations of ``com.microsoft``, of sums and of embeddings."""

from relay.frontend.onnx.converters.contrib_common import (
    DOMAIN,
    channels_first,
    channels_last,
    plus,
)
from relay.frontend.onnx.converters.normalization import root_mean_square_normalization
from relay.frontend.onnx.converters.quantization import dequantize_linear
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

_NARROW = ("float16", "bfloat16")


def mean_square_normalized(node: Node, value: Expr, scale: Expr, epsilon: float) -> Expr:
    """Rows of `value` divided by the root of their mean square, times `scale`."""
    return root_mean_square_normalization(
        node.derived([value, scale], axis=-1, epsilon=float(epsilon))
    )


def _layer_normalized(node: Node, value: Expr, scale: Expr, shift: Expr | None) -> Expr:
    """Rows of `value` normalized; it needs no sizes."""
    dtype = node.dtype(value)
    wide = "float32" if dtype in _NARROW else dtype
    if shift is None:
        shift = node.call("zeros_like", scale)
    result = node.call(
        "nn.layer_norm",
        node.cast(value, wide),
        node.cast(scale, wide),
        node.cast(shift, wide),
        axis=-1,
        epsilon=node.number("epsilon", 1e-12),
    )
    return node.cast(result, dtype)


@onnx_op("", "SimplifiedLayerNormalization")
@onnx_op(DOMAIN, "SimplifiedLayerNormalization")
def simplified_layer_normalization(node: Node) -> Expr:
    """All axes from `axis` on divided by the root of their mean square."""
    return root_mean_square_normalization(node)


@onnx_op(DOMAIN, "SkipLayerNormalization")
def skip_layer_normalization(node: Node) -> list[Expr | None]:
    """Rows of a sum normalized, and the sum."""
    total = plus(node, node.arg(0), node.optional(4), node.arg(1))
    return [_layer_normalized(node, total, node.arg(2), node.optional(3)), None, None, total]


@onnx_op(DOMAIN, "SkipSimplifiedLayerNormalization")
def skip_simplified_layer_normalization(node: Node) -> list[Expr | None]:
    """Rows of a sum divided by the root of their mean square, and the sum."""
    total = plus(node, node.arg(0), node.optional(3), node.arg(1))
    epsilon = node.number("epsilon", 1e-12)
    return [mean_square_normalized(node, total, node.arg(2), epsilon), None, None, total]


# ---------------------------------------------------------------- embeddings


def _counted(node: Node, mask: Expr | None, words: Expr) -> Expr:
    """How many ones each row of `mask` has; none where there is no mask for `words`."""
    if mask is None:
        mask = node.call("zeros_like", words)
    ones = node.call("equal", mask, node.like(1, mask))
    return node.call("sum", node.cast(ones, "int32"), axis=(1,), keepdims=False)


def _positions(node: Node, places: Expr | None, words: Expr) -> Expr:
    if places is not None:
        return places
    length = node.dims(words)[1]
    return node.reshape(node.numbers_below(length), (1, length))


def _rows(node: Node, table: Expr, places: Expr) -> Expr:
    return node.call("take", table, places, axis=0, mode="clip")


@onnx_op(DOMAIN, "EmbedLayerNormalization")
def embed_layer_normalization(node: Node) -> list[Expr | None]:
    """The embeddings of words, their positions and their segments added up and normalized."""
    words, segments = node.arg(0), node.optional(1)
    total = _rows(node, node.arg(2), words)
    total = plus(node, total, _rows(node, node.arg(3), _positions(node, node.optional(8), words)))
    if segments is not None:
        total = plus(node, total, _rows(node, node.arg(4), segments))
    result = _layer_normalized(node, total, node.arg(5), node.arg(6))
    return [result, _counted(node, node.optional(7), words), total]


@onnx_op(DOMAIN, "QEmbedLayerNormalization")
def quantized_embed_layer_normalization(node: Node) -> list[Expr]:
    """Quantized embeddings of words, their positions and segments added up and normalized."""
    words, segments = node.arg(0), node.optional(1)

    def read(index: int, places: Expr | None = None) -> Expr:
        """Rows of the table that is input `index`, the scale and zero point of which follow."""
        table = node.arg(index)
        found = table if places is None else _rows(node, table, places)
        order = {2: 8, 3: 9, 4: 10, 5: 11, 6: 12}[index]
        return dequantize_linear(node.derived([found, node.arg(order), node.arg(order + 5)]))

    total = plus(node, read(2, words), read(3, _positions(node, None, words)))
    if segments is not None:
        total = plus(node, total, read(4, segments))
    return [
        _layer_normalized(node, total, read(5), read(6)),
        _counted(node, node.optional(7), words),
    ]


# ---------------------------------------------------------------- groups of channels


def _group_normalized(node: Node, value: Expr) -> Expr:
    """Channels of `value` normalized in groups, then activated."""
    last = bool(node.integer("channels_last", 1))
    dtype = node.dtype(value)
    data = channels_first(node, value) if last else value
    result = node.call(
        "nn.group_norm",
        node.cast(data, "float32"),
        node.cast(node.arg(1), "float32"),
        node.cast(node.arg(2), "float32"),
        num_groups=node.integer("groups"),
        axis=1,
        epsilon=node.number("epsilon", 1e-5),
    )
    activation = node.integer("activation", 0)
    if activation not in (0, 1):
        node.fail(f"its activation must be 0 (none) or 1 (SiLU), found {activation}")
    if activation:
        result = node.call("multiply", result, node.call("sigmoid", result))
    result = node.cast(result, dtype)
    return channels_last(node, result) if last else result


@onnx_op(DOMAIN, "GroupNorm")
def group_normalization(node: Node) -> Expr:
    """Channels normalized in groups, then activated."""
    return _group_normalized(node, node.arg(0))


@onnx_op(DOMAIN, "SkipGroupNorm")
def skip_group_normalization(node: Node) -> list[Expr]:
    """Channels of a sum normalized in groups, then activated; and the sum."""
    value, skip, bias = node.arg(0), node.arg(3), node.optional(4)
    last = bool(node.integer("channels_last", 1))
    if node.rank(skip) == 2:
        rows, columns = node.shape(skip)
        skip = node.reshape(skip, (rows, 1, 1, columns) if last else (rows, columns, 1, 1))
    if bias is not None and not last:
        bias = node.reshape(bias, (*node.shape(bias), 1, 1))
    total = plus(node, value, skip, bias)
    return [_group_normalized(node, total), total]
