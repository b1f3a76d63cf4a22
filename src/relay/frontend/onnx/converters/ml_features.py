"""Preparation of features in ``ai.onnx.ml``: scaling, filling in, choosing, joining."""

import math

from relay import dtypes
from relay.frontend.onnx.converters.ml_scores import (
    DOMAIN,
    check_columns,
    features,
    floating,
    matrix,
)
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr


@onnx_op(DOMAIN, "ArrayFeatureExtractor")
def array_feature_extractor(node: Node) -> Expr:
    """The columns that indices name; of a vector, as one row."""
    value, indices = node.arg(0), node.arg(1)
    if node.rank(value) == 1:
        value = node.call("expand_dims", value, axis=0)
    flat = node.call("reshape", indices, newshape=(-1,))
    known, size = node.known(flat), node.type_of(value).shape[-1]
    if known is not None and isinstance(size, int) and known.size:
        if known.min() < 0 or known.max() >= size:
            node.fail(f"it reads columns {known.min()} to {known.max()} of {size}")
    return node.call("take", value, flat, axis=node.rank(value) - 1, mode="clip")


@onnx_op(DOMAIN, "Binarizer")
def binarizer(node: Node) -> Expr:
    """1 where an element is larger than a threshold, else 0."""
    value = node.arg(0)
    threshold = node.number("threshold", 0.0)
    dtype = node.dtype(value)
    if dtypes.is_float(dtype):
        limit = node.like(threshold, value)
    else:
        # Integers are larger than a number when they are larger than its whole part.
        low, high = dtypes.integer_range(dtype)
        if math.isnan(threshold) or threshold >= high:
            return node.call("zeros_like", value)
        if threshold < low:
            return node.call("ones_like", value)
        limit = node.like(math.floor(threshold), value)
    return node.cast(node.call("greater", value, limit), dtype)


@onnx_op(DOMAIN, "Scaler")
def scaler(node: Node) -> Expr:
    """``(x - offset) * scale``, each for all features or for each its own; ``float32``."""
    value = floating(node, node.arg(0))
    for name, operator in (("offset", "subtract"), ("scale", "multiply")):
        numbers = node.numbers(name)
        if numbers:
            check_columns(node, value, len(numbers), f"numbers of {name}")
            value = node.call(operator, value, node.constant(numbers, node.dtype(value)))
    return node.cast(value, "float32")


@onnx_op(DOMAIN, "Normalizer")
def normalizer(node: Node) -> Expr:
    """Rows divided by their norm, as ``float32``; rows of zeros stay as they are."""
    value = floating(node, node.arg(0))
    norm = node.text("norm", "MAX")
    if norm == "MAX":
        size = node.call("max", node.call("abs", value), axis=(-1,), keepdims=True)
    elif norm == "L1":
        size = node.call("sum", node.call("abs", value), axis=(-1,), keepdims=True)
    elif norm == "L2":
        squares = node.call("multiply", value, value)
        size = node.call("sqrt", node.call("sum", squares, axis=(-1,), keepdims=True))
    else:
        node.fail(f"its norm must be MAX, L1 or L2, found {norm!r}")
    nothing = node.call("equal", size, node.like(0, size))
    divisor = node.call("where", nothing, node.like(1, size), size)
    return node.cast(node.call("divide", value, divisor), "float32")


@onnx_op(DOMAIN, "Imputer")
def imputer(node: Node) -> Expr:
    """Elements that are missing replaced, in each column by one number or all by the same."""
    value = node.arg(0)
    dtype = node.dtype(value)
    imputed: list[float] | list[int]
    if dtypes.is_float(dtype):
        imputed = node.numbers("imputed_value_floats") or []
        replaced = node.number("replaced_value_float", 0.0)
    else:
        imputed = node.integers("imputed_value_int64s") or []
        replaced = node.integer("replaced_value_int64", 0)
    if not imputed:
        node.fail(f"it lacks the values to put into {dtype}")
    check_columns(node, value, len(imputed), "values")
    if math.isnan(replaced):
        absent = node.call("isnan", value)
    else:
        absent = node.call("equal", value, node.like(replaced, value))
    return node.call("where", absent, node.constant(imputed, dtype), value)


@onnx_op(DOMAIN, "FeatureVectorizer")
def feature_vectorizer(node: Node) -> Expr:
    """The columns of all inputs side by side, each cut or filled up with zeros; ``float32``."""
    widths = node.integers("inputdimensions") or []
    values = node.args()
    if len(widths) != len(values):
        node.fail(f"it has {len(values)} inputs, but {len(widths)} inputdimensions")
    parts = []
    for value, width in zip(values, widths, strict=True):
        if node.rank(value) == 1:
            part = node.call("expand_dims", value, axis=1)
        else:
            part = matrix(node, value)
        size = features(node, part)
        if width < size:
            part = node.call(
                "strided_slice", part, begin=(0,), end=(width,), strides=(1,), axes=(1,)
            )
        elif width > size:
            fill = node.like(0, part)
            part = node.call("nn.pad", part, fill, pad_width=((0, 0), (0, width - size)))
        parts.append(node.cast(part, "float32"))
    return parts[0] if len(parts) == 1 else node.call("concatenate", node.tuple_of(parts), axis=1)
