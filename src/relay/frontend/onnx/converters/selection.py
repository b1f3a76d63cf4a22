"""What is found in tensors, as much of it as there is.

How much that is, is known only at run time. What finds it has room for all (`nonzero`, `unique`),
and `vm.first` takes what is there: the result is brought into its form before, so that nothing has
to be compiled for the number.
"""

from collections.abc import Sequence

import numpy as np

from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr


def first(node: Node, value: Expr, count: Expr, axis: int = 0) -> Expr:
    """The first `count` elements of `value` along `axis`; a constant where both are."""
    known, number = node.known(value), node.known(count)
    if known is None or number is None:
        return node.call("vm.first", value, count, axis=axis)
    part = known[(slice(None),) * axis + (slice(int(number.reshape(()))),)]
    return node.constant(part, node.dtype(value))


def _flat(node: Node, value: Expr) -> Expr:
    """`value` as a vector."""
    return value if node.rank(value) == 1 else node.call("reshape", value, newshape=(-1,))


@onnx_op("", "NonZero")
def nonzero(node: Node) -> Expr:
    """The positions of the elements that are not zero: one column each."""
    found = node.call("nonzero", node.arg(0), dtype="int64")
    return first(node, node.field(found, 0), node.field(found, 1), axis=1)


@onnx_op("", "Compress")
def compress(node: Node) -> Expr:
    """Slices along an axis, or elements, for which a condition holds."""
    value, condition = node.arg(0), node.arg(1)
    if node.has("axis"):
        axis = node.axis("axis", node.rank(value))
    else:
        value, axis = _flat(node, value), 0
    if node.rank(condition) != 1:
        node.fail(f"its condition must be a vector, found {node.type_of(condition)}")
    extent, length = node.type_of(value).shape[axis], node.type_of(condition).shape[0]
    if isinstance(extent, int) and isinstance(length, int) and extent < length:
        condition = node.slice_axis(condition, 0, 0, extent)
    if (known := node.known(condition)) is not None:
        places = node.constant(np.flatnonzero(known), "int64")
        return node.call("take", value, places, axis=axis, mode="clip")
    found = node.call("nonzero", condition, dtype="int64")
    all_of_them = node.call(
        "take", value, _flat(node, node.field(found, 0)), axis=axis, mode="clip"
    )
    return first(node, all_of_them, node.field(found, 1), axis)


@onnx_op("", "Unique")
def unique(node: Node) -> Sequence[Expr | None]:
    """The different elements, or slices along an axis.

    Also where each first occurs, for each element or slice which of them it is, and how often each
    occurs.
    """
    value = node.arg(0)
    dtype, is_sorted = node.dtype(value), bool(node.integer("sorted", 1))
    if dtype == "bool":
        value = node.cast(value, "uint8")
    if not node.has("axis"):
        axis = 0
        found = node.call("unique", _flat(node, value), sorted=is_sorted, return_counts=True)
        elements = node.field(found, 0)
    else:
        axis = node.axis("axis", node.rank(value))
        order = [axis, *(k for k in range(node.rank(value)) if k != axis)]
        turned = node.transpose(value, order)
        found = node.call("unique_rows", _rows(node, turned), sorted=is_sorted)
        whole = _shaped_like(node, node.field(found, 0), turned)
        elements = node.transpose(whole, [order.index(k) for k in range(len(order))])
    count = node.field(found, 3)
    results: list[Expr | None] = [first(node, node.cast(elements, dtype), count, axis)]
    for index, field in ((1, 1), (2, 2), (3, 4)):
        part = node.cast(node.field(found, field), "int64")
        results.append(part if index == 2 else first(node, part, count))
    return [r if node.output_is_used(k) else None for k, r in enumerate(results)]


def _rows(node: Node, value: Expr) -> Expr:
    """`value` as a matrix with as many rows."""
    found = node.type_of(value)
    if not found.is_static:
        return node.call("reshape", value, newshape=(0, -1))
    sizes = found.concrete_shape
    return node.reshape(value, (sizes[0], int(np.prod(sizes[1:], dtype=int))))


def _shaped_like(node: Node, value: Expr, like: Expr) -> Expr:
    """`value` in the shape of `like`, which has as many elements."""
    if node.type_of(like).is_static:
        return node.reshape(value, node.shape(like))
    return node.call("reshape_like", value, like)
