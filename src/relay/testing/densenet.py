"""DenseNet: each layer reads the results of all before it (Huang et al., 2017)."""

from typing import Final

from relay.ir.expr import Expr, Function, var
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.op import nn
from relay.op.tensor import concatenate
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import create_workload

_SPECS: Final = {
    121: (64, 32, (6, 12, 24, 16)),
    161: (96, 48, (6, 12, 36, 24)),
    169: (64, 32, (6, 12, 32, 32)),
    201: (64, 32, (6, 12, 48, 32)),
}
"""Initial channels, growth per layer, and layers per block, by size."""

BOTTLENECK: Final = 4
"""Channels between the two convolutions of a layer, in units of the growth."""


def _active(data: Expr, name: str) -> Expr:
    return nn.relu(layers.batch_norm_infer(data, name=name))


def _layer(data: Expr, growth: int, index: str) -> Expr:
    """The `growth` channels that a layer adds."""
    body = layers.conv2d(
        _active(data, f"batch_1_{index}"),
        name=f"conv2d_1_{index}",
        channels=BOTTLENECK * growth,
        kernel_size=(1, 1),
    )
    return layers.conv2d(
        _active(body, f"batch_2_{index}"),
        name=f"conv2d_2_{index}",
        channels=growth,
        kernel_size=(3, 3),
        padding=(1, 1),
    )


def _transition(data: Expr, channels: int, index: int) -> Expr:
    body = layers.conv2d(
        _active(data, f"batch_t_{index}"),
        name=f"conv_t_{index}",
        channels=channels,
        kernel_size=(1, 1),
    )
    return nn.avg_pool2d(body, pool_size=(2, 2), strides=(2, 2))


def get_net(
    densenet_size: int, classes: int, data_shape: tuple[int, ...], dtype: str = "float32"
) -> Function:
    """The network of size 121, 161, 169 or 201, without a softmax at its end.

    `data_shape` includes the batch. Raises `ValueError` for another size.
    """
    if densenet_size not in _SPECS:
        known = ", ".join(map(str, _SPECS))
        raise ValueError(f"DenseNet has the sizes {known}, found {densenet_size}")
    channels, growth, blocks = _SPECS[densenet_size]
    body = layers.conv2d(
        var("data", shape=data_shape, dtype=dtype),
        name="conv1",
        channels=channels,
        kernel_size=(7, 7),
        strides=(2, 2),
        padding=(3, 3),
    )
    body = nn.max_pool2d(_active(body, "batch1"), pool_size=(3, 3), strides=(2, 2), padding=(1, 1))
    for block, count in enumerate(blocks):
        for layer in range(count):
            body = concatenate((body, _layer(body, growth, f"{block}_{layer}")), axis=1)
        channels += count * growth
        if block < len(blocks) - 1:
            channels //= 2
            body = _transition(body, channels, block)
    body = nn.batch_flatten(nn.global_avg_pool2d(_active(body, "batch2")))
    body = layers.dense_add_bias(body, units=classes, name="dense")
    return Function(free_vars(body), body)


def get_workload(
    densenet_size: int = 121,
    classes: int = 1000,
    batch_size: int = 4,
    image_shape: tuple[int, ...] = (3, 224, 224),
    dtype: str = "float32",
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters."""
    return create_workload(get_net(densenet_size, classes, (batch_size, *image_shape), dtype))
