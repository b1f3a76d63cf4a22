"""The gradients of normalisation by the data's own mean and variance."""

from collections.abc import Sequence
from typing import Protocol

from relay.ir.expr import Expr
from relay.ir.op import Gradients
from relay.op.gradients import (
    make,
    mean_over,
    number,
    rank_of,
    reshaped,
    reshaped_like,
    sum_to_vector,
    vector_along,
)


class Affine(Protocol):
    """A normalisation that scales and shifts along `axis`."""

    @property
    def axis(self) -> int:
        """The dimension along which gamma and beta lie."""

    @property
    def epsilon(self) -> float:
        """What is added to the variance."""

    @property
    def center(self) -> bool:
        """Whether beta is added."""

    @property
    def scale(self) -> bool:
        """Whether gamma is multiplied."""


def affine_gradients(
    grad: Expr,
    data: Expr,
    gamma: Expr,
    norm: Affine,
    axes: Sequence[int],
    grouped: Sequence[int] | None = None,
) -> Gradients:
    """The gradients of data, gamma and beta; `axes` are those normalised over.

    With `grouped` the data is normalised in that shape, of which `axes` are dimensions.
    """
    x = data if grouped is None else reshaped(data, grouped)
    centred = x - mean_over(x, axes)
    variance = mean_over(centred * centred, axes)
    inverse = make("rsqrt", variance + number(norm.epsilon, x))
    standard = centred * inverse
    scaled = grad * vector_along(gamma, norm.axis, rank_of(data)) if norm.scale else grad
    g = scaled if grouped is None else reshaped(scaled, grouped)
    spread = g - mean_over(g, axes) - standard * mean_over(g * standard, axes)
    by_data = reshaped_like(inverse * spread, data)
    by_gamma = sum_to_vector(grad * reshaped_like(standard, data), norm.axis)
    by_beta = sum_to_vector(grad, norm.axis)
    return by_data, by_gamma if norm.scale else None, by_beta if norm.center else None
