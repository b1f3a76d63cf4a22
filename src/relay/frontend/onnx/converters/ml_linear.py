"""Linear models of ``ai.onnx.ml``."""

import numpy as np

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


def _scores(node: Node, targets: int) -> Expr:
    """The linear forms of the rows, (rows, targets)."""
    data = floating(node, matrix(node, node.arg(0)))
    coefficients = np.array(node.numbers("coefficients") or [])
    size = features(node, data)
    if coefficients.size != targets * size:
        node.fail(
            f"{targets} targets of {size} features need {targets * size} coefficients, "
            f"found {coefficients.size}"
        )
    weight = node.constant(coefficients.reshape(targets, size), node.dtype(data))
    scores = node.call("nn.dense", data, weight)
    intercepts = node.numbers("intercepts")
    if not intercepts:
        return scores
    if len(intercepts) != targets:
        node.fail(f"{targets} targets need as many intercepts, found {len(intercepts)}")
    return node.call("add", scores, node.constant(intercepts, node.dtype(scores)))


@onnx_op(DOMAIN, "LinearRegressor")
def linear_regressor(node: Node) -> Expr:
    """Linear forms of the features."""
    scores = _scores(node, node.integer("targets", 1))
    return node.cast(transformed(node, scores, post_transform(node)), "float32")


@onnx_op(DOMAIN, "LinearClassifier")
def linear_classifier(node: Node) -> tuple[Expr, Expr]:
    """The class with the largest linear form, and the forms as scores."""
    labels = Labels(node, "classlabels_ints", "classlabels_strings")
    coefficients = node.numbers("coefficients") or []
    data = matrix(node, node.arg(0))
    scores = _scores(node, max(1, len(coefficients) // max(1, features(node, data))))
    transform = post_transform(node)
    if features(node, scores) > 1:
        return labels.best(scores), node.cast(transformed(node, scores, transform), "float32")
    positive = node.call("greater", node.call("squeeze", scores, axis=(1,)), node.like(0, scores))
    if len(labels) != 2:
        return labels.if_any(positive), node.cast(transformed(node, scores, transform), "float32")
    # As a probability without a transform, as a preference with one.
    one = node.like(1, scores)
    other = (
        node.call("subtract", one, scores) if transform == "NONE" else node.call("negative", scores)
    )
    both = joined(node, other, scores)
    return labels.choose(positive, 1, 0), node.cast(transformed(node, both, transform), "float32")
