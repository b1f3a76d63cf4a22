"""Layers that make their own parameters: what the networks of `relay.testing` are built from.

A layer called `name` has the parameters ``{name}_weight``, ``{name}_bias``, ``{name}_gamma`` and so
on. They are untyped variables: type inference finds their shapes from the data.
"""

from typing import Any

from relay.ir.expr import Expr, Var
from relay.op import nn

BATCH_NORM_PARAMETERS = ("gamma", "beta", "moving_mean", "moving_var")
"""The parameters of a batch normalisation, in order of its arguments."""


def channel_axis(layout: str) -> int:
    """Where the channels are: 1 for ``NCHW``, 3 for ``NHWC``."""
    return layout.index("C")


def batch_norm_infer(
    data: Expr,
    gamma: Expr | None = None,
    beta: Expr | None = None,
    moving_mean: Expr | None = None,
    moving_var: Expr | None = None,
    *,
    name: str,
    **attributes: Any,
) -> Expr:
    """The first result of `relay.nn.batch_norm`, which is all that inference needs.

    The vectors that are not given become variables ``{name}_gamma``, ``{name}_beta``,
    ``{name}_moving_mean`` and ``{name}_moving_var``.
    """
    given = (gamma, beta, moving_mean, moving_var)
    scale, shift, mean, variance = (
        Var(f"{name}_{suffix}") if vector is None else vector
        for suffix, vector in zip(BATCH_NORM_PARAMETERS, given, strict=True)
    )
    return nn.batch_norm(data, scale, shift, mean, variance, **attributes)[0]


def _weight(weight: Expr | None, name: str) -> Expr:
    return Var(f"{name}_weight") if weight is None else weight


def conv2d(data: Expr, weight: Expr | None = None, *, name: str, **attributes: Any) -> Expr:
    """`relay.nn.conv2d` with the weight ``{name}_weight`` unless one is given."""
    return nn.conv2d(data, _weight(weight, name), **attributes)


def conv3d(data: Expr, weight: Expr | None = None, *, name: str, **attributes: Any) -> Expr:
    """`relay.nn.conv3d` with the weight ``{name}_weight`` unless one is given."""
    return nn.conv3d(data, _weight(weight, name), **attributes)


def conv2d_transpose(
    data: Expr, weight: Expr | None = None, *, name: str, **attributes: Any
) -> Expr:
    """`relay.nn.conv2d_transpose` with the weight ``{name}_weight`` unless one is given."""
    return nn.conv2d_transpose(data, _weight(weight, name), **attributes)


def dense_add_bias(
    data: Expr,
    weight: Expr | None = None,
    bias: Expr | None = None,
    units: int | None = None,
    *,
    name: str,
    **attributes: Any,
) -> Expr:
    """`relay.nn.dense` plus a bias: ``{name}_weight`` and ``{name}_bias`` unless given.

    data: (batch, inputs). Result: (batch, `units`).
    """
    product = nn.dense(data, _weight(weight, name), units, **attributes)
    return nn.bias_add(product, Var(f"{name}_bias") if bias is None else bias, axis=-1)


def conv_kernel_layout(data_layout: str, is_depthwise: bool = False) -> str:
    """The layout of the weights that goes with a data layout.

    ``OIHW`` with ``NCHW``; with ``NHWC`` it is ``HWIO``, or ``HWOI`` for a depthwise convolution.
    Three spatial axes likewise. Raises `ValueError` for another data layout.
    """
    spatial = "".join(letter for letter in data_layout if letter in "DHW")
    if data_layout == f"NC{spatial}":
        return f"OI{spatial}"
    if data_layout == f"N{spatial}C":
        return f"{spatial}OI" if is_depthwise else f"{spatial}IO"
    raise ValueError(f"expected a data layout like NCHW or NHWC, found {data_layout!r}")
