"""Maps of ``ai.onnx.ml``: tuples of two vectors, their keys and, in this order, the values."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from relay import dtypes
from relay.frontend.onnx.captures import Captured
from relay.frontend.onnx.containers import chain
from relay.frontend.onnx.converters.ml_scores import DOMAIN, Labels, matrix, text_constant
from relay.frontend.onnx.loops import Loop, Step
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Constant, Expr
from relay.ir.types import TensorType, TupleType

#: Behind the last value of every map, where reading stops.
_NOWHERE: Final = 2**62
_LARGEST: Final = 2**63 - 1


def _map(node: Node) -> tuple[Expr, Expr]:
    """The keys and values of the input, which must be a map."""
    value = node.arg(0)
    type_ = value.checked_type
    if not (
        isinstance(type_, TupleType)
        and len(type_.fields) == 2
        and all(isinstance(f, TensorType) and len(f.shape) == 1 for f in type_.fields)
    ):
        node.fail(f"its input must be a map, found {type_}")
    return node.field(value, 0), node.field(value, 1)


def _nothing(node: Node, dtype: str) -> Constant:
    """A vector of one value, that of keys which are not there."""
    if dtype == dtypes.STRING:
        return text_constant(node, [""])
    return node.constant([0], dtype)


def _read(node: Node, keys: Expr, values: Expr, wanted: Constant) -> Expr:
    """The values that a map has for the keys `wanted`; 0 or no text where it has none."""
    nothing = _nothing(node, node.dtype(values))
    values = node.call("concatenate", node.tuple_of([values, nothing]), axis=0)
    nowhere = node.constant(_NOWHERE, "int64")
    if node.dtype(keys) == dtypes.STRING:
        place = node.call("ml.find_text", wanted, keys)
        missing = node.call("less", place, node.constant(0, "int64"))
        place = node.call("where", missing, nowhere, place)
    else:
        # One key more, so that there is one; no wanted one is as large.
        last = node.constant([_LARGEST], "int64")
        keys = node.call("concatenate", node.tuple_of([keys, last]), axis=0)
        order = node.call("argsort", keys, dtype="int64")
        ascending = node.call("take", keys, order, axis=0)
        at = node.call("searchsorted", ascending, wanted, dtype="int64")
        same = node.call("equal", node.call("take", ascending, at, axis=0), wanted)
        place = node.call("where", same, node.call("take", order, at, axis=0), nowhere)
    return node.call("take", values, place, axis=0, mode="clip")


@onnx_op(DOMAIN, "DictVectorizer")
def dict_vectorizer(node: Node) -> Expr:
    """The values that a map has for the keys of a vocabulary, as one row."""
    keys, values = _map(node)
    texts, integers = node.texts("string_vocabulary"), node.integers("int64_vocabulary")
    wanted: Constant
    if node.dtype(keys) == dtypes.STRING:
        wanted = text_constant(node, texts or [])
    else:
        wanted = node.constant(integers or [], "int64")
    if not (texts if node.dtype(keys) == dtypes.STRING else integers):
        node.fail(f"it lacks a vocabulary of keys of type {node.dtype(keys)}")
    return node.call("expand_dims", _read(node, keys, values, wanted), axis=0)


_KINDS: Final = {"TO_FLOAT": "float32", "TO_STRING": dtypes.STRING, "TO_INT64": "int64"}


@onnx_op(DOMAIN, "CastMap")
def cast_map(node: Node) -> Expr:
    """The values of a map in the order of its keys, as one row of another type.

    A sparse map has a place for each key from 0 up to ``max_map``, and nothing where it has none.
    """
    keys, values = _map(node)
    kind, form = node.text("cast_to", "TO_FLOAT"), node.text("map_form", "DENSE")
    if kind not in _KINDS or form not in ("DENSE", "SPARSE"):
        node.fail(f"its cast_to is {kind!r} and its map_form {form!r}, which there are not")
    if form == "SPARSE":
        size = node.integer("max_map", 1)
        node.spend((size,), "int64")
        wanted = node.constant(np.arange(size), "int64")
        values = _cast(node, values, _KINDS[kind])
        return node.call("expand_dims", _read(node, keys, values, wanted), axis=0)
    order = node.call("argsort", keys, dtype="int64")
    found = _cast(node, node.call("take", values, order, axis=0), _KINDS[kind])
    return node.call("expand_dims", found, axis=0)


def _cast(node: Node, values: Expr, dtype: str) -> Expr:
    """`values` as `dtype`; what is text becomes an integer by way of a number."""
    if node.dtype(values) == dtypes.STRING and dtype == "int64":
        values = node.cast(values, "float64")
    return node.cast(values, dtype)


@onnx_op(DOMAIN, "ZipMap")
def zip_map(node: Node) -> Expr:
    """For each row a map from the names of the columns to the elements of the row."""
    labels = Labels(node, "classlabels_int64s", "classlabels_strings")
    data = matrix(node, node.arg(0))
    rows, columns = node.type_of(data).shape
    if not len(labels) or (isinstance(columns, int) and len(labels) != columns):
        node.fail(f"it has {len(labels)} names for {columns} columns")
    keys = labels.constant()
    if isinstance(rows, int):
        count: Expr = node.constant(rows, "int64")
    else:
        sizes = node.call("shape_of", data, dtype="int64")
        count = node.call("take", sizes, node.constant(0, "int64"), axis=0)

    def body(
        index: Expr,  # noqa: ARG001
        condition: Expr,  # noqa: ARG001
        carried: Sequence[Expr],
        captured: Captured | None,  # noqa: ARG001
    ) -> Step:
        value, left = carried
        # The last row first, because what a loop gathers has that of the last iteration first.
        left = node.call("subtract", left, node.constant(1, "int64"))
        row = node.call("take", value, left, axis=0)
        return Step([value, left], [node.tuple_of([keys, row])])

    _, (maps,) = Loop(node, body, [data, count], ["data", "left", "maps"], count, size=1).results()
    if isinstance(maps, list):
        element = TupleType([keys.checked_type, TensorType((len(labels),), node.dtype(data))])
        return chain(maps[::-1], element, node.span)
    return maps
