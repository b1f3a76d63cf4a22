"""Encoders of ``ai.onnx.ml``: categories to numbers or text, and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.frontend.onnx.converters.ml_scores import DOMAIN
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.tensors import to_ndarray
from relay.ir.expr import Constant, Expr
from relay.ir.op import Array
from relay.runtime.ndarray import NDArray


@dataclass
class Column:
    """Keys or values of an encoder: a vector of `dtype`."""

    values: Array
    dtype: str

    def __len__(self) -> int:
        return len(self.values)


def texts(values: Sequence[str]) -> Column:
    """A column of text."""
    return Column(np.array(values, object), dtypes.STRING)


def numbers(values: npt.ArrayLike, dtype: str) -> Column:
    """A column of numbers."""
    return Column(np.array(values, dtypes.to_numpy(dtype)), dtype)


def constant(node: Node, column: Column) -> Constant:
    """The column as a value of the program."""
    return Constant(NDArray(column.values, column.dtype), node.span)


def position(node: Node, value: Expr, keys: Column, last: bool) -> Expr:
    """Where each element of `value` is in `keys`, ``int64``; what is not there is at their number.

    The first or `last` one of equal keys counts. NaN is where NaN is.
    """
    if node.dtype(value) != keys.dtype:
        node.fail(f"its keys are of type {keys.dtype}, its input is of type {node.dtype(value)}")
    count = node.constant(len(keys), "int64")
    if not len(keys):
        return node.call("full_like", node.call("cast", value, dtype="int64"), count)
    order = np.arange(len(keys))[:: -1 if last else 1]
    if keys.dtype == dtypes.STRING:
        words = constant(node, Column(keys.values[order], keys.dtype))
        found = node.call("ml.find_text", value, words)
        missing = node.call("less", found, node.constant(0, "int64"))
        if last:
            found = node.call("subtract", node.constant(len(keys) - 1, "int64"), found)
        return node.call("where", missing, count, found)
    distinct, first = np.unique(keys.values[order], return_index=True)
    ascending = constant(node, Column(distinct, keys.dtype))
    place = node.call("searchsorted", ascending, value, dtype="int64")
    nearest = node.call("take", ascending, place, axis=0, mode="clip")
    same = node.call("equal", nearest, value)
    if dtypes.is_float(keys.dtype):
        neither = node.call("isnan", value)
        same = node.call(
            "logical_or", same, node.call("logical_and", neither, node.call("isnan", nearest))
        )
    given = node.constant(order[first], "int64")
    return node.call("where", same, node.call("take", given, place, axis=0, mode="clip"), count)


def encoded(
    node: Node, value: Expr, keys: Column, values: Column, default: Column, last: bool = False
) -> Expr:
    """The one of `values` at the place of each element in `keys`, or else the `default`."""
    if len(keys) != len(values):
        node.fail(f"it has {len(keys)} keys, but {len(values)} values")
    if len(default) != 1 or default.dtype != values.dtype:
        node.fail(f"its default must be one {values.dtype}, found {len(default)} {default.dtype}")
    with_default = Column(np.concatenate([values.values, default.values]), values.dtype)
    place = position(node, value, keys, last)
    return node.call("take", constant(node, with_default), place, axis=0, mode="clip")


@onnx_op(DOMAIN, "LabelEncoder")
@onnx_op(DOMAIN, "CategoryMapper")
def category_mapper(node: Node) -> Expr:
    """Text to integers, or integers to text; a ``LabelEncoder`` numbers its classes."""
    if node.op_type == "LabelEncoder":
        names = texts(node.texts("classes_strings") or [])
        codes = numbers(np.arange(len(names)), "int64")
    else:
        names = texts(node.texts("cats_strings") or [])
        codes = numbers(node.integers("cats_int64s") or [], "int64")
    value = node.arg(0)
    if node.dtype(value) == dtypes.STRING:
        default = numbers([node.integer("default_int64", -1)], "int64")
        return encoded(node, value, names, codes, default, last=True)
    unknown = texts([node.text("default_string", "_Unused")])
    return encoded(node, value, codes, names, unknown, last=True)


def _column(node: Node, side: str) -> Column:
    """The ``keys`` or ``values`` of a label encoder."""
    tensor = node.tensor(f"{side}_tensor")
    if tensor is not None:
        data = to_ndarray(tensor)
        return Column(data.numpy().reshape(-1), data.dtype)
    if (words := node.texts(f"{side}_strings")) is not None:
        return texts(words)
    if (integers := node.integers(f"{side}_int64s")) is not None:
        return numbers(integers, "int64")
    floats = node.numbers(f"{side}_floats")
    if floats is None:
        node.fail(f"it lacks its {side}")
    return numbers(floats, "float32")


def _default(node: Node, dtype: str) -> Column:
    """What a label encoder makes of an element that is no key."""
    tensor = node.tensor("default_tensor")
    if tensor is not None:
        data = to_ndarray(tensor)
        return Column(data.numpy().reshape(-1), data.dtype)
    if dtype == dtypes.STRING:
        return texts([node.text("default_string", "_Unused")])
    if dtypes.is_float(dtype):
        return numbers([node.number("default_float", -0.0)], dtype)
    return numbers([node.integer("default_int64", -1)], dtype)


@onnx_op(DOMAIN, "LabelEncoder", since=2)
def label_encoder(node: Node) -> Expr:
    """Keys to values, both text or numbers of any type."""
    keys, values = _column(node, "keys"), _column(node, "values")
    return encoded(node, node.arg(0), keys, values, _default(node, values.dtype))


@onnx_op(DOMAIN, "OneHotEncoder")
def one_hot_encoder(node: Node) -> Expr:
    """For each element a row with 1 at its category and 0 elsewhere, ``float32``.

    What is no category has a row of zeros, also where ``zeros`` says that there is none.
    """
    value = node.arg(0)
    if node.dtype(value) == dtypes.STRING:
        categories = texts(node.texts("cats_strings") or [])
    else:
        categories = numbers(node.integers("cats_int64s") or [], "int64")
        value = node.cast(value, "int64")
    if not len(categories):
        node.fail(f"it lacks the categories of {node.dtype(value)}")
    place = position(node, value, categories, last=True)
    rows = node.call("expand_dims", place, axis=node.rank(place))
    columns = node.constant(np.arange(len(categories)), "int64")
    return node.cast(node.call("equal", rows, columns), "float32")
