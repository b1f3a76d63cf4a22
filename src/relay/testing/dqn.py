"""The deep Q-network that plays Atari games (Mnih et al., Nature 518, 2015)."""

from typing import Final

from relay.ir.expr import Expr, Function, Var, var
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.op import nn
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import create_workload

_CONVOLUTIONS: Final = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
"""Channels, kernel size and stride."""


def get_net(
    batch_size: int,
    num_actions: int = 18,
    image_shape: tuple[int, ...] = (4, 84, 84),
    dtype: str = "float32",
    layout: str = "NCHW",
) -> Function:
    """The network: the last frames, as channels, to a value per action.

    `image_shape` is without the batch, its axes in the order of `layout`.
    """
    body: Expr = var("data", shape=(batch_size, *image_shape), dtype=dtype)
    for index, (channels, kernel_size, stride) in enumerate(_CONVOLUTIONS, start=1):
        body = layers.conv2d(
            body,
            name=f"conv{index}",
            channels=channels,
            kernel_size=(kernel_size, kernel_size),
            strides=(stride, stride),
            data_layout=layout,
            kernel_layout=layers.conv_kernel_layout(layout),
        )
        axis = layers.channel_axis(layout)
        body = nn.relu(nn.bias_add(body, Var(f"conv{index}_bias"), axis=axis))
    body = layers.dense_add_bias(nn.batch_flatten(body), units=512, name="dense1")
    body = layers.dense_add_bias(nn.relu(body), units=num_actions, name="dense2")
    return Function(free_vars(body), body)


def get_workload(
    batch_size: int,
    num_actions: int = 18,
    image_shape: tuple[int, ...] = (4, 84, 84),
    dtype: str = "float32",
    layout: str = "NCHW",
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters."""
    return create_workload(get_net(batch_size, num_actions, image_shape, dtype, layout))
