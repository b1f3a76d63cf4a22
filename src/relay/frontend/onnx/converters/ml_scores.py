"""What the models of ``ai.onnx.ml`` have in common: their data, transforms of scores, labels."""

import math
from typing import Final

import numpy as np

from relay import dtypes
from relay.frontend.onnx.node import Node
from relay.ir.expr import Constant, Expr
from relay.runtime.ndarray import NDArray

DOMAIN: Final = "ai.onnx.ml"

TRANSFORMS: Final = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
#: Scores this close to 0 are 0 for SOFTMAX_ZERO.
_NEAR_ZERO: Final = 1e-7
#: Of an approximation of the inverse error function (Winitzki, 2008).
_WINITZKI: Final = 0.147


def floating(node: Node, value: Expr) -> Expr:
    """`value` in the type that is computed in: itself in ``float64``, else in ``float32``."""
    return value if node.dtype(value) == "float64" else node.cast(value, "float32")


def matrix(node: Node, value: Expr) -> Expr:
    """`value`, (rows, features); a vector is one row."""
    rank = node.rank(value)
    if rank == 1:
        return node.call("expand_dims", value, axis=0)
    if rank != 2:
        node.fail(f"expected a matrix of rows and features, found {node.type_of(value)}")
    return value


def features(node: Node, value: Expr) -> int:
    """How many columns the matrix `value` has."""
    size = node.type_of(value).shape[-1]
    return size if isinstance(size, int) else node.shape(value)[-1]


def check_columns(node: Node, value: Expr, count: int, what: str) -> None:
    """Refuse a `count` of numbers that is neither 1 nor that of the columns, as far as known."""
    size = node.type_of(value).shape[-1]
    if isinstance(size, int) and count not in (1, size):
        node.fail(f"{size} features need as many {what}, found {count}")


def joined(node: Node, left: Expr, right: Expr) -> Expr:
    """The columns of `left`, then those of `right`."""
    return node.call("concatenate", node.tuple_of([left, right]), axis=1)


def text_constant(node: Node, values: list[str]) -> Constant:
    """A vector of texts."""
    return Constant(NDArray(np.array(values, object), dtypes.STRING), node.span)


def post_transform(node: Node) -> str:
    """The attribute ``post_transform``."""
    found = node.text("post_transform", "NONE")
    if found not in TRANSFORMS:
        node.fail(f"its post_transform must be one of {', '.join(TRANSFORMS)}, found {found!r}")
    return found


def transformed(node: Node, scores: Expr, transform: str) -> Expr:
    """`scores`, (rows, classes), after `transform`."""
    if transform == "SOFTMAX":
        return node.call("nn.softmax", scores, axis=-1)
    if transform == "LOGISTIC":
        return node.call("sigmoid", scores)
    if transform == "SOFTMAX_ZERO":
        return _softmax_but_zeros(node, scores)
    return _probit(node, scores) if transform == "PROBIT" else scores


def _softmax_but_zeros(node: Node, scores: Expr) -> Expr:
    """Softmax in which zeros stay zeros."""
    largest = node.call("max", scores, axis=(-1,), keepdims=True)
    near = node.call("less_equal", node.call("abs", scores), node.like(_NEAR_ZERO, scores))
    kept = node.call("multiply", scores, node.call("exp", node.call("negative", largest)))
    grown = node.call("exp", node.call("subtract", scores, largest))
    parts = node.call("where", near, kept, grown)
    total = node.call("sum", parts, axis=(-1,), keepdims=True)
    nothing = node.call("equal", total, node.like(0, total))
    return node.call("where", nothing, node.like(0.5, scores), node.call("divide", parts, total))


def _probit(node: Node, scores: Expr) -> Expr:
    """The quantiles of the normal distribution at `scores`."""
    two, one = node.like(2, scores), node.like(1, scores)
    centered = node.call("subtract", node.call("multiply", two, scores), one)
    square = node.call(
        "multiply", node.call("subtract", one, centered), node.call("add", one, centered)
    )
    log = node.call("log", square)
    half = node.call("multiply", log, node.like(0.5, scores))
    first = node.call("add", half, node.like(2 / (math.pi * _WINITZKI), scores))
    second = node.call("divide", log, node.like(_WINITZKI, scores))
    root = node.call("sqrt", node.call("subtract", node.call("multiply", first, first), second))
    size = node.call("sqrt", node.call("subtract", root, first))
    signed = node.call(
        "where",
        node.call("less", centered, node.like(0, centered)),
        node.call("negative", size),
        size,
    )
    found = node.call("multiply", node.like(math.sqrt(2), scores), signed)
    ends = node.call("equal", square, node.like(0, square))
    return node.call("where", ends, node.like(0, scores), found)


class Labels:
    """The names of classes: integers, texts, or where neither are given, their numbers."""

    def __init__(self, node: Node, integers: str, texts: str) -> None:
        self._node = node
        self._integers = node.integers(integers) or []
        self._texts = node.texts(texts) or []
        if self._integers and self._texts:
            node.fail(f"only one of {integers} and {texts} may be given")

    def __len__(self) -> int:
        return len(self._integers) or len(self._texts)

    def constant(self) -> Constant:
        """The names of all classes."""
        if self._texts:
            return text_constant(self._node, self._texts)
        return self._node.constant(self._integers, "int64")

    def of(self, numbers: Expr) -> Expr:
        """The names of the classes called by their `numbers`."""
        if not len(self):
            return self._node.cast(numbers, "int64")
        return self._node.call("take", self.constant(), numbers, axis=0, mode="clip")

    def if_any(self, positive: Expr) -> Expr:
        """The only class where it is found: 1 or 0, or its text or none."""
        node = self._node
        if not self._texts:
            return node.cast(positive, "int64")
        names = text_constant(node, ["", self._texts[0]])
        return node.call("take", names, node.cast(positive, "int32"), axis=0, mode="clip")

    def best(self, scores: Expr) -> Expr:
        """The name of the class with the largest of `scores`, (rows, classes)."""
        return self.of(self._node.call("argmax", scores, axis=(-1,)))

    def choose(self, cond: Expr, if_true: int, if_false: int) -> Expr:
        """The name of one class where `cond` holds, of another elsewhere."""
        node = self._node
        numbers = node.call(
            "where", cond, node.constant(if_true, "int32"), node.constant(if_false, "int32")
        )
        return self.of(numbers)
