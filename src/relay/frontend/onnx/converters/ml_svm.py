"""Support vector machines of ``ai.onnx.ml``."""

from itertools import combinations

import numpy as np
import numpy.typing as npt

from relay.frontend.onnx.converters.ml_scores import (
    DOMAIN,
    Labels,
    features,
    floating,
    joined,
    matrix,
    post_transform,
    transformed,
)
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

Floats = npt.NDArray[np.float64]
#: Probabilities of one class against another are this far from 0 and 1.
_LEAST = 1e-7


def _numbers(node: Node, name: str) -> Floats:
    return np.array(node.numbers(name) or [])


def _kernel(node: Node, data: Expr, vectors: Floats) -> Expr:
    """The kernel of each row with each of `vectors`: (rows, vectors)."""
    kind = node.text("kernel_type", "LINEAR")
    dtype = node.dtype(data)
    parameters = node.numbers("kernel_params") or [0.0, 0.0, 0.0]
    if len(parameters) != 3:
        node.fail(f"its kernel_params are gamma, coef0 and degree, found {parameters}")
    gamma, offset, degree = (node.constant(p, dtype) for p in parameters)
    if kind == "RBF":
        rows = node.call("expand_dims", data, axis=1)
        apart = node.call("subtract", rows, node.constant(vectors[np.newaxis], dtype))
        distance = node.call("sum", node.call("multiply", apart, apart), axis=(2,))
        return node.call("exp", node.call("negative", node.call("multiply", gamma, distance)))
    product = node.call("nn.dense", data, node.constant(vectors, dtype))
    if kind == "LINEAR":
        return product
    affine = node.call("add", node.call("multiply", product, gamma), offset)
    if kind == "POLY":
        return node.call("power", affine, degree)
    if kind != "SIGMOID":
        node.fail(f"its kernel_type must be LINEAR, POLY, RBF or SIGMOID, found {kind!r}")
    return node.call("tanh", affine)


def _rows_of(node: Node, name: str, values: Floats, size: int) -> Floats:
    """`values` as rows of `size`."""
    if not size or values.size % size or not values.size:
        node.fail(f"its {values.size} {name} are no rows of {size}")
    return values.reshape(-1, size)


@onnx_op(DOMAIN, "SVMRegressor")
def svm_regressor(node: Node) -> Expr:
    """A sum of kernels with support vectors, or a linear form; (rows, 1) of ``float32``."""
    data = floating(node, matrix(node, node.arg(0)))
    dtype, size = node.dtype(data), features(node, data)
    coefficients, rho = _numbers(node, "coefficients"), _numbers(node, "rho")
    count = node.integer("n_supports", 0)
    if count:
        vectors = _rows_of(node, "support_vectors", _numbers(node, "support_vectors"), size)
        if len(vectors) != count or coefficients.size != count:
            node.fail(
                f"it has {count} support vectors, but {len(vectors)} rows of them and "
                f"{coefficients.size} coefficients"
            )
        data = _kernel(node, data, vectors)
    elif coefficients.size != size:
        node.fail(f"{size} features need as many coefficients, found {coefficients.size}")
    score = node.call("nn.dense", data, node.constant(coefficients[np.newaxis], dtype))
    if rho.size:
        score = node.call("add", score, node.constant(rho[:1], dtype))
    if node.integer("one_class", 0):
        inside = node.call("greater", score, node.like(0, score))
        score = node.call("where", inside, node.like(1, score), node.like(-1, score))
    return node.cast(transformed(node, score, post_transform(node)), "float32")


@onnx_op(DOMAIN, "SVMClassifier")
def svm_classifier(node: Node) -> tuple[Expr, Expr]:
    """The class that wins most comparisons of two classes, and their scores or probabilities."""
    labels = Labels(node, "classlabels_ints", "classlabels_strings")
    data = floating(node, matrix(node, node.arg(0)))
    classes = max(1, len(labels))
    coefficients, rho = _numbers(node, "coefficients"), _numbers(node, "rho")
    per_class = node.integers("vectors_per_class") or []
    if sum(per_class):
        if len(per_class) != classes or any(n < 0 for n in per_class):
            node.fail(f"it has {classes} classes, but vectors_per_class is {per_class}")
        scores = _duels(node, data, per_class, coefficients, rho)
        name = labels.best(_votes(node, scores, classes))
        if _numbers(node, "prob_a").size:
            scores = _probabilities(node, scores, classes)
    else:
        weight = _rows_of(node, "coefficients", coefficients, features(node, data))
        if len(weight) != classes:
            node.fail(f"it has {classes} classes, but {len(weight)} rows of coefficients")
        scores = node.call("nn.dense", data, node.constant(weight, node.dtype(data)))
        if rho.size:
            scores = node.call("add", scores, node.constant(rho[:1], node.dtype(data)))
        name = _winner(node, labels, scores, bool(np.all(coefficients >= 0)))
    transform = post_transform(node)
    if features(node, scores) == 1 and classes == 2 and transform != "PROBIT":
        scores = joined(node, node.call("negative", scores), scores)
    return name, node.cast(transformed(node, scores, transform), "float32")


def _duels(node: Node, data: Expr, per_class: list[int], coefficients: Floats, rho: Floats) -> Expr:
    """For each pair of classes, how far the first is ahead of the second."""
    size, total = features(node, data), sum(per_class)
    vectors = _rows_of(node, "support_vectors", _numbers(node, "support_vectors"), size)
    weights = _rows_of(node, "coefficients", coefficients, total)
    pairs = list(combinations(range(len(per_class)), 2))
    if len(vectors) != total or len(weights) != len(per_class) - 1 or rho.size != len(pairs):
        node.fail(
            f"{total} support vectors of {len(per_class)} classes need {len(per_class) - 1} rows "
            f"of coefficients and {len(pairs)} numbers rho, found {len(vectors)} vectors, "
            f"{len(weights)} rows and {rho.size} numbers"
        )
    starts = np.cumsum([0, *per_class])
    node.spend((len(pairs), total), "float64")
    table = np.zeros((len(pairs), total))
    for k, (i, j) in enumerate(pairs):
        first, second = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
        table[k, first], table[k, second] = weights[j - 1, first], weights[i, second]
    kernel = _kernel(node, data, vectors)
    dtype = node.dtype(data)
    ahead = node.call("nn.dense", kernel, node.constant(table, dtype))
    return node.call("add", ahead, node.constant(rho, dtype))


def _votes(node: Node, scores: Expr, classes: int) -> Expr:
    """How many of the others each class beats."""
    pairs = list(combinations(range(classes), 2))
    wins, losses = np.zeros((classes, len(pairs))), np.zeros((classes, len(pairs)))
    for k, (i, j) in enumerate(pairs):
        wins[i, k], losses[j, k] = 1, 1
    dtype = node.dtype(scores)
    ahead = node.cast(node.call("greater", scores, node.like(0, scores)), dtype)
    won = node.call("nn.dense", ahead, node.constant(wins, dtype))
    behind = node.call("subtract", node.like(1, ahead), ahead)
    return node.call("add", won, node.call("nn.dense", behind, node.constant(losses, dtype)))


def _probabilities(node: Node, scores: Expr, classes: int) -> Expr:
    """The probabilities of the classes from those of each against each other (Platt's scaling)."""
    slope, shift = _numbers(node, "prob_a"), _numbers(node, "prob_b")
    count = classes * (classes - 1) // 2
    if slope.size != count or shift.size != count:
        node.fail(
            f"{classes} classes need {count} of prob_a and prob_b, "
            f"found {slope.size} and {shift.size}"
        )
    dtype = node.dtype(scores)
    scaled = node.call("multiply", scores, node.constant(slope, dtype))
    margin = node.call("add", scaled, node.constant(shift, dtype))
    pairwise = node.call("sigmoid", node.call("negative", margin))
    pairwise = node.call("clip", pairwise, a_min=_LEAST, a_max=1 - _LEAST)
    return node.call("ml.couple_probabilities", pairwise)


def _winner(node: Node, labels: Labels, scores: Expr, positive: bool) -> Expr:
    """The name of the class with the best of `scores` that have no support vectors.

    As the implementations of the standard have it, a good score of any of two classes is one of the
    second; what is good depends on whether all coefficients are `positive`.
    """
    if len(labels) > 2:
        return labels.best(scores)
    most = node.call("max", scores, axis=(-1,))
    if len(labels) < 2:
        return labels.if_any(node.call("greater", most, node.like(0, most)))
    if positive:
        good = node.call("greater_equal", most, node.like(0.5, most))
    else:
        good = node.call("greater", most, node.like(0, most))
    best = node.call("argmax", scores, axis=(-1,))
    return labels.of(node.call("where", good, node.constant(1, node.dtype(best)), best))
