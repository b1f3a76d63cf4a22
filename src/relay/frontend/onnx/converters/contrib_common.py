"""What converters of the domain ``com.microsoft`` share: operators that onnxruntime adds to ONNX.

They are those that its optimisers and quantisers put into models. Most of them are one or several
operators of the standard, so their converters pass those on with other inputs and attributes.

Source: onnxruntime, Contributed Operators.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

from relay.frontend.onnx.converters.activation import (
    affine,
    clamped_affine,
    exponential_unit,
    soft_plus,
    soft_sign,
    thresholded,
)
from relay.frontend.onnx.node import Node
from relay.ir.expr import Expr

DOMAIN: Final = "com.microsoft"


def channels_first(node: Node, value: Expr) -> Expr:
    """(batch, ..., channels) as (batch, channels, ...)."""
    rank = node.rank(value)
    return node.transpose(value, (0, rank - 1, *range(1, rank - 1)))


def channels_last(node: Node, value: Expr) -> Expr:
    """(batch, channels, ...) as (batch, ..., channels)."""
    return node.transpose(value, (0, *range(2, node.rank(value)), 1))


def plus(node: Node, value: Expr, *others: Expr | None) -> Expr:
    """The sum of `value` and those of `others` that are given; they broadcast."""
    for other in others:
        value = value if other is None else node.call("add", value, other)
    return value


def split_columns(node: Node, value: Expr, sizes: Sequence[int]) -> list[Expr]:
    """The last axis of `value` cut into parts of `sizes`."""
    last = node.rank(value) - 1
    (width,) = node.fixed(node.dims(value)[last:])
    if sum(sizes) != width:
        node.fail(f"{width} columns do not divide into {' + '.join(map(str, sizes))}")
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    return [node.slice_axis(value, last, a, a + n) for a, n in zip(starts, sizes, strict=True)]


def _without_numbers(operator: str) -> Callable[[Node, Expr], Expr]:
    return lambda node, value: node.call(operator, value)


def _clipped(node: Node, value: Expr, low: float = -math.inf, high: float = math.inf) -> Expr:
    return node.call("clip", value, a_min=low, a_max=high)


def _leaky_relu(node: Node, value: Expr, alpha: float = 0.01) -> Expr:
    return node.call("nn.leaky_relu", value, alpha=alpha)


def _elu(node: Node, value: Expr, alpha: float = 1.0) -> Expr:
    return exponential_unit(node, value, alpha)


def _hard_sigmoid(node: Node, value: Expr, alpha: float = 0.2, beta: float = 0.5) -> Expr:
    return clamped_affine(node, value, alpha, beta)


def _hard_swish(node: Node, value: Expr) -> Expr:
    return node.call("multiply", value, clamped_affine(node, value, 1 / 6, 0.5))


def _scaled_tanh(node: Node, value: Expr, alpha: float = 1.0, beta: float = 1.0) -> Expr:
    return affine(node, node.call("tanh", affine(node, value, beta, 0)), alpha, 0)


def _affine(node: Node, value: Expr, alpha: float = 1.0, beta: float = 0.0) -> Expr:
    return affine(node, value, alpha, beta)


def _thresholded_relu(node: Node, value: Expr, alpha: float = 1.0) -> Expr:
    return thresholded(node, value, alpha)


#: Activations by name, of a tensor and the numbers that they have; and how many those are.
_ACTIVATIONS: Final[dict[str, tuple[Callable[..., Expr], int]]] = {
    "Affine": (_affine, 2),
    "Clip": (_clipped, 2),
    "Elu": (_elu, 1),
    "HardSigmoid": (_hard_sigmoid, 2),
    "HardSwish": (_hard_swish, 0),
    "LeakyRelu": (_leaky_relu, 1),
    "Relu": (_without_numbers("nn.relu"), 0),
    "ScaledTanh": (_scaled_tanh, 2),
    "Sigmoid": (_without_numbers("sigmoid"), 0),
    "Softplus": (soft_plus, 0),
    "Softsign": (soft_sign, 0),
    "Tanh": (_without_numbers("tanh"), 0),
    "ThresholdedRelu": (_thresholded_relu, 1),
}


def activated(node: Node, value: Expr) -> Expr:
    """`value` after the activation that the attributes name, if they name one.

    Its numbers are the attribute ``activation_params``, or ``activation_alpha`` and
    ``activation_beta``.
    """
    name = node.text("activation", "")
    if not name:
        return value
    if name not in _ACTIVATIONS:
        node.unsupported(
            f"its activation {name!r} is not supported; {', '.join(sorted(_ACTIVATIONS))} are"
        )
    apply, count = _ACTIVATIONS[name]
    given = node.numbers("activation_params")
    if given is None:
        named = ("activation_alpha", "activation_beta")
        given = [node.number(each, 0.0) for each in named if node.has(each)]
    return apply(node, value, *given[:count])
