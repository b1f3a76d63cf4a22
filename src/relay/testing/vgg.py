"""VGG: deep stacks of 3x3 convolutions (Simonyan and Zisserman, 2014)."""

from typing import Final

from relay.ir.expr import Expr, Function, Var, var
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.op import nn
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import create_workload

_FILTERS: Final = (64, 128, 256, 512, 512)
_STAGES: Final = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Convolutions per stage, by number of layers."""


def _features(data: Expr, counts: tuple[int, ...], batch_norm: bool) -> Expr:
    body = data
    for stage, (count, channels) in enumerate(zip(counts, _FILTERS, strict=True), start=1):
        for index in range(1, count + 1):
            name = f"conv{stage}_{index}"
            body = layers.conv2d(
                body, name=name, channels=channels, kernel_size=(3, 3), padding=(1, 1)
            )
            body = nn.bias_add(body, Var(f"{name}_bias"))
            if batch_norm:
                body = layers.batch_norm_infer(body, name=f"bn{stage}_{index}")
            body = nn.relu(body)
        body = nn.max_pool2d(body, pool_size=(2, 2), strides=(2, 2))
    return body


def get_net(
    batch_size: int,
    image_shape: tuple[int, ...],
    num_classes: int,
    dtype: str,
    num_layers: int = 11,
    batch_norm: bool = False,
) -> Function:
    """The network of `num_layers` 11, 13, 16 or 19; raises `ValueError` for another number."""
    if num_layers not in _STAGES:
        raise ValueError(f"VGG has 11, 13, 16 or 19 layers, found {num_layers}")
    data = var("data", shape=(batch_size, *image_shape), dtype=dtype)
    body = nn.batch_flatten(_features(data, _STAGES[num_layers], batch_norm))
    for name in ("fc6", "fc7"):
        body = nn.relu(layers.dense_add_bias(body, units=4096, name=name))
        body = nn.dropout(body, rate=0.5)
    body = nn.softmax(layers.dense_add_bias(body, units=num_classes, name="fc8"))
    return Function(free_vars(body), body)


def get_workload(
    batch_size: int,
    num_classes: int = 1000,
    image_shape: tuple[int, ...] = (3, 224, 224),
    dtype: str = "float32",
    num_layers: int = 11,
    batch_norm: bool = False,
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters."""
    return create_workload(
        get_net(batch_size, image_shape, num_classes, dtype, num_layers, batch_norm)
    )
