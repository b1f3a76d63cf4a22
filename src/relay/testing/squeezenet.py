"""SqueezeNet: few parameters by squeezing channels before expanding (Iandola et al., 2016)."""

from typing import Final

from relay.ir.expr import Expr, Function, Var, var
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.op import nn
from relay.op.tensor import concatenate
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import create_workload

_FIRST: Final = {"1.0": (96, 7), "1.1": (64, 3)}
"""Channels and kernel size of the first convolution, by version."""

_POOL: Final = 0
_FIRES: Final = {
    "1.0": (_POOL, 16, 16, 32, _POOL, 32, 48, 48, 64, _POOL, 64),
    "1.1": (_POOL, 16, 16, _POOL, 32, 32, _POOL, 48, 48, 64, 64),
}
"""The squeezed channels of each fire module, with the poolings between them, by version."""


def _conv(data: Expr, channels: int, kernel_size: int, stride: int, name: str) -> Expr:
    body = layers.conv2d(
        data,
        name=name,
        channels=channels,
        kernel_size=(kernel_size, kernel_size),
        strides=(stride, stride),
        padding=(kernel_size // 2, kernel_size // 2),
    )
    return nn.relu(nn.bias_add(body, Var(f"{name}_bias")))


def _fire(data: Expr, squeezed: int, name: str) -> Expr:
    """Squeeze to `squeezed` channels, expand to four times as many with 1x1 and with 3x3 each."""
    body = _conv(data, squeezed, 1, 1, f"{name}_input_conv")
    left = _conv(body, 4 * squeezed, 1, 1, f"{name}_left_conv")
    right = _conv(body, 4 * squeezed, 3, 1, f"{name}_right_conv")
    return concatenate((left, right), axis=1)


def get_net(
    batch_size: int,
    image_shape: tuple[int, ...],
    num_classes: int,
    version: str,
    dtype: str,
) -> Function:
    """The network of `version` 1.0 or 1.1; raises `ValueError` for another one."""
    if version not in _FIRST:
        raise ValueError(f"SqueezeNet has the versions 1.0 and 1.1, found {version!r}")
    channels, kernel_size = _FIRST[version]
    data = var("data", shape=(batch_size, *image_shape), dtype=dtype)
    body = _conv(data, channels, kernel_size, 2, "conv1")
    index = 0
    for squeezed in _FIRES[version]:
        if squeezed == _POOL:
            body = nn.max_pool2d(body, pool_size=(3, 3), strides=(2, 2))
        else:
            index += 1
            body = _fire(body, squeezed, f"fire{index}")
    body = _conv(nn.dropout(body, rate=0.5), num_classes, 1, 1, "conv_final")
    body = nn.softmax(nn.batch_flatten(nn.global_avg_pool2d(body)))
    return Function(free_vars(body), body)


def get_workload(
    batch_size: int = 1,
    num_classes: int = 1000,
    version: str = "1.0",
    image_shape: tuple[int, ...] = (3, 224, 224),
    dtype: str = "float32",
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters."""
    return create_workload(get_net(batch_size, image_shape, num_classes, version, dtype))
