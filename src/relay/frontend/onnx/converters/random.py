"""Random numbers."""

import math

from relay import dtypes
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

_NARROW = ("float16", "bfloat16")


def _seed(node: Node) -> float | None:
    """The seed, which the standard gives as a float, or None; NaN stands for none."""
    found = node.number("seed", math.nan)
    return found if math.isfinite(found) else None


def _drawn(node: Node, operator: str, like: Expr, dtype: str, **numbers: float) -> Expr:
    wide = "float32" if dtype in _NARROW else dtype
    drawn = node.call(operator, like, dtype=wide, seed=_seed(node), **numbers)
    return node.cast(drawn, dtype)


def _uniform(node: Node, like: Expr, dtype: str) -> Expr:
    low, high = node.number("low", 0.0), node.number("high", 1.0)
    return _drawn(node, "random.mersenne_uniform", like, dtype, low=low, high=high)


def _normal(node: Node, like: Expr, dtype: str) -> Expr:
    mean, scale = node.number("mean", 0.0), node.number("scale", 1.0)
    return _drawn(node, "random.mersenne_normal", like, dtype, mean=mean, scale=scale)


def _shaped(node: Node) -> Expr:
    """Something of the shape that is asked for."""
    return node.filled(node.integers("shape") or (), False, "bool")


def _own_dtype(node: Node) -> str:
    return node.element_type(node.integer("dtype")) if node.has("dtype") else "float32"


def _like_dtype(node: Node) -> str:
    value = node.arg(0)
    return node.element_type(node.integer("dtype")) if node.has("dtype") else node.dtype(value)


@onnx_op("", "RandomUniform")
def random_uniform(node: Node) -> Expr:
    """Numbers of a given shape, all equally likely."""
    return _uniform(node, _shaped(node), _own_dtype(node))


@onnx_op("", "RandomUniformLike")
def random_uniform_like(node: Node) -> Expr:
    """Numbers of the shape of a tensor, all equally likely."""
    return _uniform(node, node.arg(0), _like_dtype(node))


@onnx_op("", "RandomNormal")
def random_normal(node: Node) -> Expr:
    """Numbers of a given shape and of the normal distribution."""
    return _normal(node, _shaped(node), _own_dtype(node))


@onnx_op("", "RandomNormalLike")
def random_normal_like(node: Node) -> Expr:
    """Numbers of the shape of a tensor and of the normal distribution."""
    return _normal(node, node.arg(0), _like_dtype(node))


@onnx_op("", "Multinomial")
def multinomial(node: Node) -> Expr:
    """Draws of classes: the input has the logarithms of how likely they are, up to a constant."""
    value = node.arg(0)
    batch, classes = node.shape(value)
    count = node.integer("sample_size", 1)
    if classes < 1 or count < 0:
        node.fail(f"{count} draws of {classes} classes are not to be had")
    dtype = node.element_type(node.integer("dtype", 6))
    wide = node.cast(value, "float32") if node.dtype(value) in _NARROW else value
    odds = node.call("nn.softmax", wide, axis=-1)
    reached = node.call("cumsum", odds, axis=1, dtype=node.dtype(odds), exclusive=False)
    shaped = node.filled((batch, count, 1), False, "bool")
    drawn = _drawn(node, "random.mersenne_uniform", shaped, node.dtype(odds), low=0.0, high=1.0)
    below = node.call("less", node.reshape(reached, (batch, 1, classes)), drawn)
    found = node.call("sum", node.cast(below, "int64"), axis=(2,), keepdims=False)
    return node.cast(node.call("minimum", found, node.like(classes - 1, found)), dtype)


@onnx_op("", "Dropout")
def dropout_of_inference(node: Node) -> list[Expr | None]:
    """Nothing, at inference; the mask, where it is asked for, keeps everything."""
    if node.opset < 7 and not node.integer("is_test", 0) and node.number("ratio", 0.5):
        node.unsupported("it is in training mode; export the model for inference")
    return _kept(node)


def _kept(node: Node) -> list[Expr | None]:
    value = node.arg(0)
    mask: Expr | None = None
    if node.output_is_used(1):
        kind = "bool" if node.opset >= 10 else node.dtype(value)
        mask = node.filled(node.shape(value), True, kind)
    return [value, mask]


@onnx_op("", "Dropout", since=12)
def dropout(node: Node) -> list[Expr | None]:
    """In training, elements are set to zero with a given probability, the others scaled up."""
    value, training = node.arg(0), node.optional(2)
    known = node.known(training)
    if training is None or (known is not None and not known.item()):
        return _kept(node)
    dtype = node.dtype(value)
    if not dtypes.is_float(dtype):
        node.fail(f"it takes numbers with fractions, found {dtype}")
    seed = float(node.integer("seed")) if node.has("seed") else None
    drawn = node.call("random.mersenne_uniform", value, dtype="float64", seed=seed)
    given = node.optional(1)
    ratio = node.like(0.5, drawn) if given is None else node.cast(given, "float64")
    off = node.call("logical_not", node.reshape(training, ()))
    mask = node.call("logical_or", off, node.call("greater_equal", drawn, ratio))
    one = node.like(1, drawn)
    kept = node.call("divide", one, node.call("subtract", one, ratio))
    scale = node.cast(node.call("where", off, one, kept), dtype)
    scaled = node.call("multiply", value, scale)
    return [node.call("where", mask, scaled, node.like(0, value)), mask]
