"""Attention of ``com.microsoft``, where several heads attend to one sequence or to another.

Everything is a product, masks that are added, a softmax and a product, in the form that
`relay.transform.UseAttention` makes one operator of. Tensors by head are (batch, heads, rows, size
of a head).
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from relay.frontend.onnx.converters.activation import affine
from relay.frontend.onnx.converters.contraction import matrix_product
from relay.frontend.onnx.converters.contrib_common import DOMAIN, plus, split_columns
from relay.frontend.onnx.converters.contrib_products import scaled_product
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.sizes import Extent
from relay.ir.expr import Expr

#: Added to a score whose key is padding, unless an attribute says otherwise.
_FILTER: Final = -10000.0
_LOWEST_BFLOAT16: Final = -float.fromhex("0x1.fep127")


def by_head(node: Node, value: Expr, heads: int) -> Expr:
    """(batch, rows, heads * size) as (batch, heads, rows, size)."""
    batch, rows, last = node.dims(value)
    (width,) = node.fixed([last])
    if heads < 1 or width % heads:
        node.fail(f"{width} columns do not divide into {heads} heads")
    split = node.reshape(value, (batch, rows, heads, width // heads))
    return node.transpose(split, (0, 2, 1, 3))


def together(node: Node, value: Expr) -> Expr:
    """(batch, heads, rows, size) as (batch, rows, heads * size)."""
    batch, heads, rows, size = node.dims(value)
    return node.reshape(node.transpose(value, (0, 2, 1, 3)), (batch, rows, heads * size))


def _product(node: Node, left: Expr, right: Expr, turned: bool) -> Expr:
    """Products of matrices by head, the right ones `turned`."""
    (batch, heads, rows, _), (other, others, *sizes) = node.dims(left), node.dims(right)
    product = node.call(
        "nn.batch_matmul",
        node.reshape(left, (batch * heads, *node.dims(left)[2:])),
        node.reshape(right, (other * others, *sizes)),
        transpose_a=False,
        transpose_b=turned,
    )
    return node.reshape(product, (batch, heads, rows, sizes[0 if turned else 1]))


def scores_of(node: Node, query: Expr, key: Expr, scale: float) -> Expr:
    """``scale * query @ key.T`` by head."""
    return affine(node, _product(node, query, key, turned=True), scale, 0)


def weighed(node: Node, weights: Expr, value: Expr) -> Expr:
    """``weights @ value`` by head."""
    return _product(node, weights, value, turned=False)


def head_scale(node: Node, query: Expr) -> float:
    """What scores are multiplied by: the attribute ``scale``, or one over the root of a size."""
    (size,) = node.fixed(node.dims(query)[-1:])
    return node.number("scale", 0.0) or 1 / math.sqrt(size)


# ---------------------------------------------------------------- masks


def added(node: Node, allowed: Expr, filled: float, dtype: str) -> Expr:
    """Zero where `allowed`, elsewhere `filled`, to be added to scores of `dtype`."""
    zero, other = node.constant(0, dtype), node.constant(filled, dtype)
    return node.call("where", allowed, zero, other)


def lowest(dtype: str) -> float:
    """The lowest finite number of a floating-point `dtype`."""
    return _LOWEST_BFLOAT16 if dtype == "bfloat16" else float(np.finfo(dtype).min)


def _filter(node: Node, dtype: str) -> float:
    return max(node.number("mask_filter_value", _FILTER), lowest(dtype))


def _padding(node: Node, mask: Expr, scores: Expr) -> Expr:
    """The mask for keys that are padding, from one of several kinds of integers.

    They say for each key (of each query) whether it counts, or where the keys of each part of the
    batch end and, behind all of those, where they begin.
    """
    batch, _, rows, keys = node.dims(scores)
    found = node.dims(mask)
    if len(found) == 1 and found[0] in (batch, 2 * batch):
        count = 1 if found[0] == batch else 2
        bounds = node.reshape(node.cast(mask, "int64"), (count, batch, 1, 1, 1))
        places = node.reshape(node.numbers_below(keys), (1, 1, 1, keys))

        def bound(index: int) -> Expr:
            return node.reshape(node.slice_axis(bounds, 0, index, index + 1), (batch, 1, 1, 1))

        allowed = node.call("less", places, bound(0))
        if count == 2:
            begun = node.call("greater_equal", places, bound(1))
            allowed = node.call("logical_and", allowed, begun)
    elif len(found) in (2, 3):
        shape = (found[0], 1, found[1] if len(found) == 3 else 1, found[-1])
        allowed = node.call("greater", node.reshape(mask, shape), node.like(0, mask))
    elif len(found) == 4 and found[1] == 1:
        first, last = node.fixed((keys - rows, keys))
        mask = node.slice_axis(node.slice_axis(mask, 2, first, last), 3, 0, last)
        allowed = node.call("greater", mask, node.like(0, mask))
    else:
        node.unsupported(
            f"its mask of shape {found} is not supported for scores of {node.dims(scores)}; "
            "one number or two for each part of the batch, or one for each key are"
        )
    dtype = node.dtype(scores)
    return added(node, allowed, _filter(node, dtype), dtype)


def _causal_mask(node: Node, scores: Expr, past: Extent) -> Expr:
    """The mask for keys that come after a query; the first `past` keys come before all queries."""
    rows, keys = node.dims(scores)[2:]
    dtype = node.dtype(scores)
    if isinstance(rows, int) and isinstance(keys, int) and isinstance(past, int):
        node.spend((rows, keys), "float64")
        known = np.arange(keys) <= np.arange(rows)[:, None] + past
        return node.constant(np.where(known, 0.0, lowest(dtype))[None, None], dtype)
    own = node.call("add", node.numbers_below(rows), node.scalar(past, "int64"))
    places = node.reshape(node.numbers_below(keys), (1, keys))
    allowed = node.call("less_equal", places, node.reshape(own, (rows, 1)))
    mask = added(node, allowed, lowest(dtype), dtype)
    return node.reshape(mask, (1, 1, rows, keys))


def _masks(node: Node, scores: Expr, mask: Expr | None, past: Extent) -> list[Expr]:
    """What is added to `scores`; the first `past` keys come before all queries."""
    found = [] if mask is None else [_padding(node, mask, scores)]
    if node.integer("unidirectional", 0):
        found.append(_causal_mask(node, scores, past))
    return found


def _attention(
    node: Node,
    query: Expr,
    key: Expr,
    value: Expr,
    mask: Expr | None,
    bias: Expr | None,
    past: Extent = 0,
) -> tuple[Expr, Expr]:
    """What queries find, side by side by head; and the scores, with all that is added to them."""
    scores = scores_of(node, query, key, head_scale(node, query))
    scores = plus(node, scores, *_masks(node, scores, mask, past), bias)
    weights = node.call("nn.softmax", scores, axis=-1)
    return together(node, weighed(node, weights, value)), scores


def refuse(node: Node, *attributes: str) -> None:
    """Refuse a node that asks for one of the options `attributes`."""
    for name in attributes:
        if node.integer(name, 0):
            node.unsupported(f"its option {name} is not supported")


# ---------------------------------------------------------------- with the projection


def _with_past(
    node: Node, key: Expr, value: Expr, past: Expr | None
) -> tuple[Expr, Expr, Expr | None]:
    """Keys and values after those of `past`, a tensor (2, ...); and both as one such tensor."""
    if past is not None:
        shape = node.dims(past)
        if shape[0] != 2:
            node.fail(f"its past must hold keys and values, found the shape {shape}")
        before = [node.reshape(node.slice_axis(past, 0, k, k + 1), shape[1:]) for k in (0, 1)]
        key = node.concatenate([before[0], key], 2)
        value = node.concatenate([before[1], value], 2)
    present = None
    if node.output_is_used(1):
        present = node.concatenate([node.call("expand_dims", e, axis=0) for e in (key, value)], 0)
    return key, value, present


def _self_attention(
    node: Node, packed: Expr, mask: Expr | None, past: Expr | None, bias: Expr | None
) -> list[Expr | None]:
    """Attention of a sequence to itself, from queries, keys and values side by side."""
    refuse(node, "do_rotary", "past_present_share_buffer")
    heads, (width,) = node.integer("num_heads"), node.fixed(node.dims(packed)[-1:])
    sizes = node.integers("qkv_hidden_sizes") or [width // 3] * 3
    if len(sizes) != 3:
        node.fail(f"its qkv_hidden_sizes must be three numbers, found {sizes}")
    parts = [by_head(node, part, heads) for part in split_columns(node, packed, sizes)]
    query, key, value = parts
    key, value, present = _with_past(node, key, value, past)
    before = 0 if past is None else node.dims(past)[3]
    return [_attention(node, query, key, value, mask, bias, before)[0], present]


@onnx_op(DOMAIN, "Attention")
def attention(node: Node) -> list[Expr | None]:
    """Attention of a sequence to itself, with the projections to queries, keys and values."""
    packed = plus(node, matrix_product(node, node.arg(0), node.arg(1)), node.optional(2))
    return _self_attention(node, packed, node.optional(3), node.optional(4), node.optional(5))


@onnx_op(DOMAIN, "QAttention")
def quantized_attention(node: Node) -> list[Expr | None]:
    """Attention of a sequence to itself, with projections that are quantized."""
    data = node.arg(0), node.arg(3), node.optional(6)
    weight = node.arg(1), node.arg(4), node.optional(7)
    packed = scaled_product(node, data, weight, node.arg(2))
    return _self_attention(node, packed, node.optional(5), node.optional(8), None)


@onnx_op(DOMAIN, "PackedAttention")
def packed_attention(node: Node) -> Expr:
    """Attention within sequences that follow one another without padding: (tokens, size)."""
    if node.optional(5) is not None:
        node.unsupported("a bias of the scores of sequences without padding is not supported")
    packed = plus(node, matrix_product(node, node.arg(0), node.arg(1)), node.arg(2))
    tokens, width = node.shape(packed)
    ends = node.reshape(node.arg(4), (node.shape(node.arg(4))[0], 1))
    places = node.constant(np.arange(tokens)[None], node.dtype(ends))
    passed = node.cast(node.call("less_equal", ends, places), "int32")
    sequence = node.call("sum", passed, axis=(0,), keepdims=False)  # which one a token is of
    same = node.call(
        "equal",
        node.reshape(sequence, (1, 1, tokens, 1)),
        node.reshape(sequence, (1, 1, 1, tokens)),
    )
    sizes = node.integers("qkv_hidden_sizes") or [width // 3] * 3
    rows = node.reshape(packed, (1, tokens, width))
    heads = node.integer("num_heads")
    query, key, value = (by_head(node, p, heads) for p in split_columns(node, rows, sizes))
    dtype = node.dtype(query)
    found, _ = _attention(node, query, key, value, None, added(node, same, lowest(dtype), dtype))
    return node.reshape(found, node.shape(found)[1:])


# ---------------------------------------------------------------- without the projection


def _fields(node: Node, packed: Expr) -> list[Expr]:
    """The parts of a tensor (batch, rows, heads, parts, size), each by head."""
    batch, rows, heads, parts, size = node.dims(packed)
    (count,) = node.fixed([parts])
    turned = node.transpose(packed, (3, 0, 2, 1, 4))
    shape = (batch, heads, rows, size)
    return [node.reshape(node.slice_axis(turned, 0, k, k + 1), shape) for k in range(count)]


def _biases(node: Node, heads: int, sizes: Sequence[int]) -> list[Expr | None]:
    """What is added to queries, keys and values by head, from one vector."""
    bias = node.optional(3)
    if bias is None:
        return [None, None, None]
    return [
        node.reshape(part, (1, heads, 1, size))
        for part, size in zip(
            split_columns(node, bias, [heads * size for size in sizes]), sizes, strict=True
        )
    ]


def _inputs(node: Node, heads: int) -> tuple[Expr, Expr, Expr]:
    """Queries, keys and values by head, from any of the forms that they may have."""
    given, key, value = node.arg(0), node.optional(1), node.optional(2)
    if node.rank(given) == 5:
        query, key, value = _fields(node, given)
    else:
        query = by_head(node, given, heads)
        if key is None:
            node.fail("it needs keys, as its queries do not hold them")
        if node.rank(key) == 5:
            key, value = _fields(node, key)
        elif value is None:
            node.fail("it needs values, as its keys do not hold them")
        elif node.rank(key) == 4:  # those of another sequence, with their bias already
            bias = node.optional(3)
            if bias is not None:
                (size,) = node.fixed(node.dims(query)[3:])
                part = node.slice_axis(bias, 0, 0, heads * size)
                query = plus(node, query, node.reshape(part, (1, heads, 1, size)))
            return query, key, value
        else:
            key, value = by_head(node, key, heads), by_head(node, value, heads)
    sizes = node.fixed([node.dims(part)[3] for part in (query, key, value)])
    parts = zip((query, key, value), _biases(node, heads, sizes), strict=True)
    query, key, value = (plus(node, part, bias) for part, bias in parts)
    return query, key, value


@onnx_op(DOMAIN, "MultiHeadAttention")
def multi_head_attention(node: Node) -> list[Expr | None]:
    """Attention of queries to keys and values; and these two, after those of the past."""
    if node.optional(8) is not None or node.optional(9) is not None:
        node.unsupported("a cache of keys that is written in place is not supported")
    query, key, value = _inputs(node, node.integer("num_heads"))
    past_key, past_value = node.optional(6), node.optional(7)
    past: Extent = 0
    if past_key is not None and past_value is not None:
        past = node.dims(past_key)[2]
        key = node.concatenate([past_key, key], 2)
        value = node.concatenate([past_value, value], 2)
    result, scores = _attention(node, query, key, value, node.optional(4), node.optional(5), past)
    return [result, key, value, scores if node.output_is_used(3) else None]
