"""Attention of ``com.microsoft`` whose heads share keys and values, and positions as rotations.

Each key serves a group of query heads. These become rows of one head, so that no key is repeated.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from relay.frontend.onnx.converters.activation import affine
from relay.frontend.onnx.converters.contrib_attention import (
    added,
    by_head,
    head_scale,
    lowest,
    refuse,
    scores_of,
    together,
    weighed,
)
from relay.frontend.onnx.converters.contrib_common import DOMAIN, plus, split_columns
from relay.frontend.onnx.converters.contrib_normalization import mean_square_normalized
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Constant, Expr

# ---------------------------------------------------------------- rotations


def _rotated(
    node: Node, value: Expr, tables: tuple[Expr, Expr], places: Expr, interleaved: bool
) -> Expr:
    """Pairs of features of `value` (batch, heads, rows, size), turned by what `tables` tell.

    These are the cosines and sines for each position and pair; `places` are the positions, (batch
    or 1, rows). Features that have no pair stay as they are.
    """
    batch, heads, rows, last = node.dims(value)
    (half, size) = node.fixed((node.dims(tables[0])[-1], last))
    if 2 * half > size:
        node.fail(f"its tables turn {2 * half} features, but a head has {size}")
    shape = (node.dims(places)[0], 1, rows, half)
    cosine, sine = (
        node.cast(
            node.reshape(node.call("take", table, places, axis=0, mode="clip"), shape),
            node.dtype(value),
        )
        for table in tables
    )
    if interleaved:
        first, second = (node.slice_axis(value, 3, k, 2 * half, 2) for k in (0, 1))
    else:
        first, second = (node.slice_axis(value, 3, k * half, (k + 1) * half) for k in (0, 1))
    real = node.call(
        "subtract", node.call("multiply", first, cosine), node.call("multiply", second, sine)
    )
    imaginary = node.call(
        "add", node.call("multiply", first, sine), node.call("multiply", second, cosine)
    )
    rest = [node.slice_axis(value, 3, 2 * half, size)] if 2 * half < size else []
    if not interleaved:
        return node.concatenate([real, imaginary, *rest], 3)
    pairs = node.concatenate([node.call("expand_dims", p, axis=-1) for p in (real, imaginary)], 4)
    return node.concatenate([node.reshape(pairs, (batch, heads, rows, 2 * half)), *rest], 3)


@onnx_op(DOMAIN, "RotaryEmbedding")
def rotary_embedding(node: Node) -> Expr:
    """Pairs of features turned by angles that grow with the position."""
    refuse(node, "is_packed_batching")
    value, places, tables = node.arg(0), node.arg(1), (node.arg(2), node.arg(3))
    flat = node.rank(value) == 3
    if flat:
        heads = node.integer("num_heads", 0)
        if not node.integer("rotary_embedding_dim", 0):
            width, half = node.fixed((node.dims(value)[2], node.dims(tables[0])[1]))
            heads = width // (2 * half)
        value = by_head(node, value, heads)
    rows = node.dims(value)[2]
    if node.rank(places) == 1:  # where the first row is
        steps = node.reshape(node.numbers_below(rows), (1, rows))
        places = node.call("add", node.reshape(places, (1, 1)), steps)
    turned = _rotated(node, value, tables, places, bool(node.integer("interleaved", 0)))
    return together(node, turned) if flat else turned


# ---------------------------------------------------------------- groups of heads


@dataclass
class _Cache:
    """Where new keys go, after those of the past.

    `rows` keys are new; the cache of the past has room for `room`, and after this there are up to
    `total` in use. The first `start` of each part of the batch are from the past.
    """

    node: Node
    rows: int
    room: int
    total: int
    batch: int

    @property
    def is_first(self) -> bool:
        """Whether there is no past."""
        return self.rows == self.total

    @property
    def is_even(self) -> bool:
        """Whether all parts of the batch have equally many keys in a past without free places."""
        if self.is_first or self.room + self.rows != self.total:
            return False
        known = self.node.known(self.node.arg(5))
        return self.batch == 1 or (known is not None and bool((known == self.total - 1).all()))

    @cached_property
    def counts(self) -> Expr:
        """How many keys each part of the batch has: (batch, 1), or (1, 1) where that is one number.

        Before the first run that is all of them, as those behind the end are no part of the result.
        """
        if self.is_even:
            return self.node.constant([[self.total]], "int64")
        last = self.node.cast(self.node.reshape(self.node.arg(5), (self.batch, 1)), "int64")
        return self.node.call("add", last, self.node.like(1, last))

    @cached_property
    def start(self) -> Expr:
        """How many of the keys are from the past: (batch, 1) or (1, 1)."""
        if self.is_first:
            return self.node.constant([[0]], "int64")
        return self.node.call("subtract", self.counts, self.node.like(self.rows, self.counts))

    def positions(self) -> Expr:
        """The positions of the new rows: (batch or 1, rows)."""
        steps = self.node.constant(np.arange(self.rows)[None], "int64")
        return self.node.call("add", self.start, steps)

    def joined(self, past: Expr | None, new: Expr) -> Expr:
        """The cache after this: (batch, heads, at least `total`, size), with zeros behind."""
        node = self.node
        if self.is_even and past is not None:
            return node.concatenate([past, new], 2)
        batch, heads, rows, size = node.shape(new)
        length = max(self.room, self.total)
        if self.is_first or past is None:
            zeros = node.filled((batch, heads, length - rows, size), 0, node.dtype(new))
            return node.concatenate([new, zeros], 2)
        # Each part of the batch puts its new rows to a place of its own.
        places = node.constant(np.arange(length)[None], "int64")
        after = node.call("subtract", places, self.start)
        is_past = node.call("less", after, node.like(0, after))
        is_new = node.call("less", after, node.like(rows, after))
        taken = node.call("clip", after, a_min=0.0, a_max=float(rows - 1))
        read = node.call(
            "where", is_past, places, node.call("add", taken, node.like(self.room, taken))
        )
        both = node.concatenate([past, new], 2)
        index = node.broadcast(
            node.reshape(read, (batch, 1, length, 1)), (batch, heads, length, size)
        )
        found = node.call("gather", both, index, axis=2)
        kept = node.reshape(is_new, (batch, 1, length, 1))
        return node.call("where", kept, found, node.like(0, found))

    def mask(self, dtype: str) -> Expr | None:
        """What is added to scores: (batch or 1, 1, rows or 1, total)."""
        node, window = self.node, self.node.integer("local_window_size", -1)
        if window == 0:
            node.fail("its local_window_size of 0 leaves a query no key")
        places = node.constant(np.arange(self.total).reshape(1, 1, 1, -1), "int64")
        if not node.integer("causal", 1):
            ends = node.reshape(self.counts, (*node.shape(self.counts), 1, 1))
            return added(node, node.call("less", places, ends), lowest(dtype), dtype)
        own = self.positions()
        own = node.reshape(own, (node.shape(own)[0], 1, self.rows, 1))
        allowed = node.call("less_equal", places, own)
        if window > 0:
            passed = node.call("subtract", own, node.like(window, own))
            near = node.call("greater", places, passed)
            allowed = node.call("logical_and", allowed, near)
        if isinstance(allowed, Constant) and allowed.data.numpy().all():
            return None
        return added(node, allowed, lowest(dtype), dtype)


def _grouped_inputs(node: Node) -> tuple[Expr, Expr, Expr]:
    """Queries, keys and values by head; the first may hold all of them."""
    heads, shared = node.integer("num_heads"), node.integer("kv_num_heads")
    if shared < 1 or heads % shared:
        node.fail(f"{heads} heads do not divide into {shared} groups")
    query, key, value = node.arg(0), node.optional(1), node.optional(2)
    if key is None or value is None:
        size = node.shape(query)[-1] // (heads + 2 * shared)
        widths = [count * size for count in (heads, shared, shared)]
        query, key, value = split_columns(node, query, widths)
    query, key = by_head(node, query, heads), by_head(node, key, shared)
    if node.optional(14) is not None:
        both = node.number("qk_norm_epsilon", 1e-6)
        scale = node.arg(14), node.arg(15)
        query = mean_square_normalized(node, query, scale[0], node.number("q_norm_epsilon", both))
        key = mean_square_normalized(node, key, scale[1], node.number("k_norm_epsilon", both))
    return query, key, by_head(node, value, shared)


def _check_options(node: Node) -> None:
    refuse(node, "sliding_window_cache", "kv_cache_bit_width", "qk_output")
    if node.optional(12) is not None or node.optional(13) is not None:
        node.unsupported("a cache that is quantized is not supported")
    if node.optional(16) is not None:
        node.unsupported("queries with padding of their own are not supported")


def _rows_of_groups(node: Node, mask: Expr, shape: tuple[int, ...], groups: int) -> Expr:
    """What is added to scores (batch, heads, rows, keys), for the rows of a group as one."""
    _, shared, rows, keys = shape
    batch, heads, count, _ = node.shape(mask)
    mask = node.slice_axis(mask, 3, 0, keys)
    if heads == 1:
        return (
            mask if groups == 1 or count == 1 else node.call("tile", mask, reps=(1, 1, groups, 1))
        )
    return node.reshape(mask, (batch, shared, rows, keys))


def _grouped_softmax(node: Node, scores: Expr, groups: int) -> Expr:
    """The softmax along the keys; one more key, of which nothing is read, may take its part."""
    sink = node.optional(11)
    batch, shared, rows, keys = node.shape(scores)
    if sink is None and node.integer("smooth_softmax", 0) != 1:
        return node.call("nn.softmax", scores, axis=-1)
    more = node.filled((batch, shared, rows, 1), 0, node.dtype(scores))
    if sink is not None:
        column = node.reshape(sink, (1, shared, groups, 1, 1))
        wide = node.broadcast(column, (batch, shared, groups, rows // groups, 1))
        more = node.cast(node.reshape(wide, (batch, shared, rows, 1)), node.dtype(scores))
    weights = node.call("nn.softmax", node.concatenate([scores, more], 3), axis=-1)
    return node.slice_axis(weights, 3, 0, keys)


@onnx_op(DOMAIN, "GroupQueryAttention", values=(6,))
def group_query_attention(node: Node) -> list[Expr | None]:
    """Attention whose heads share keys in groups; and keys and values, after those of the past."""
    _check_options(node)
    query, key, value = _grouped_inputs(node)
    past_key, past_value = node.optional(3), node.optional(4)
    batch, heads, rows, size = node.shape(query)
    total = int(node.static(6, "total length").item())
    room = 0 if past_key is None else node.shape(past_key)[2]
    cache = _Cache(node, rows, room, total, batch)
    if node.integer("do_rotary", 0):
        places = node.optional(9)
        if places is None:
            places = cache.positions()
        elif cache.is_first:  # the first position tells the others
            first = node.slice(places, (0, 0), (1, 1), (1, 1))
            places = node.call("add", first, node.constant(np.arange(rows)[None], "int64"))
        tables, interleaved = (
            (node.arg(7), node.arg(8)),
            bool(node.integer("rotary_interleaved", 0)),
        )
        query = _rotated(node, query, tables, places, interleaved)
        key = _rotated(node, key, tables, places, interleaved)
    present = cache.joined(past_key, key), cache.joined(past_value, value)
    key, value = (node.slice_axis(part, 2, 0, total) for part in present)
    shared = node.shape(key)[1]
    groups = heads // shared
    query = node.reshape(query, (batch, shared, groups * rows, size))
    scores = scores_of(node, query, key, head_scale(node, query))
    limit = node.number("softcap", 0.0)
    if limit:
        scores = affine(node, node.call("tanh", affine(node, scores, 1 / limit, 0)), limit, 0)
    for mask in (cache.mask(node.dtype(scores)), node.optional(10)):
        if mask is not None:
            scores = plus(node, scores, _rows_of_groups(node, mask, node.shape(scores), groups))
    found = weighed(node, _grouped_softmax(node, scores, groups), value)
    result = node.reshape(found, (batch, heads, rows, node.shape(found)[3]))
    return [together(node, result), *present]
