"""Converters of ONNX operators, by family; importing this package registers all of them."""

from relay.frontend.onnx.converters import (
    activation,
    contraction,
    convolution,
    elementwise,
    indexing,
    normalization,
    pooling,
    recurrent,
    reduction,
    resize,
    shape,
)

__all__ = [
    "activation",
    "contraction",
    "convolution",
    "elementwise",
    "indexing",
    "normalization",
    "pooling",
    "recurrent",
    "reduction",
    "resize",
    "shape",
]
