"""MobileNet: depthwise separable convolutions (Howard et al., 2017)."""

from typing import Final

from relay.ir.expr import Expr, Function, Var, var
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.op import nn
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import create_workload

_BLOCKS: Final = (
    (64, False),
    (128, True),
    (128, False),
    (256, True),
    (256, False),
    (512, True),
    *((512, False),) * 5,
    (1024, True),
    (1024, False),
)
"""Output channels of each block, and whether it halves the image."""

_SHALLOW_BLOCKS: Final = (*_BLOCKS[:6], (1024, True), (1024, True))


def _normalised(data: Expr, name: str, layout: str) -> Expr:
    axis = layers.channel_axis(layout)
    return nn.relu(layers.batch_norm_infer(data, name=name, axis=axis, epsilon=1e-5))


def _conv_block(
    data: Expr, name: str, channels: int, kernel_size: int, stride: int, layout: str
) -> Expr:
    """A convolution that keeps the size up to its stride."""
    return layers.conv2d(
        data,
        name=name,
        channels=channels,
        kernel_size=(kernel_size, kernel_size),
        strides=(stride, stride),
        padding=(kernel_size // 2, kernel_size // 2),
        data_layout=layout,
        kernel_layout=layers.conv_kernel_layout(layout),
    )


def _separable_block(
    data: Expr, name: str, inputs: int, channels: int, stride: int, layout: str
) -> Expr:
    """A depthwise 3x3 convolution, then a pointwise one to `channels`."""
    body = layers.conv2d(
        data,
        weight=Var(f"{name}_weight"),
        name=name,
        channels=inputs,
        groups=inputs,
        kernel_size=(3, 3),
        strides=(stride, stride),
        padding=(1, 1),
        data_layout=layout,
        kernel_layout=layers.conv_kernel_layout(layout, is_depthwise=True),
    )
    body = _normalised(body, f"{name}_bn1", layout)
    body = _conv_block(body, f"{name}_conv2", channels, 1, 1, layout)
    return _normalised(body, f"{name}_bn2", layout)


def mobile_net(
    num_classes: int = 1000,
    data_shape: tuple[int, ...] = (1, 3, 224, 224),
    dtype: str = "float32",
    alpha: float = 1.0,
    is_shallow: bool = False,
    layout: str = "NCHW",
) -> Function:
    """The network, all channels multiplied by `alpha`; with `is_shallow` of 8 blocks, not 13."""
    channels = int(32 * alpha)
    body = _conv_block(
        var("data", shape=data_shape, dtype=dtype), "conv_block_1_conv", channels, 3, 2, layout
    )
    body = _normalised(body, "conv_block_1_bn", layout)
    blocks = _SHALLOW_BLOCKS if is_shallow else _BLOCKS
    for index, (width, halves) in enumerate(blocks, start=1):
        name, inputs, channels = f"separable_conv_block_{index}", channels, int(width * alpha)
        body = _separable_block(body, name, inputs, channels, 2 if halves else 1, layout)
    body = nn.batch_flatten(nn.global_avg_pool2d(body, layout=layout))
    body = nn.softmax(layers.dense_add_bias(body, units=num_classes, name="fc"))
    return Function(free_vars(body), body)


def get_workload(
    batch_size: int = 1,
    num_classes: int = 1000,
    image_shape: tuple[int, ...] = (3, 224, 224),
    dtype: str = "float32",
    layout: str = "NCHW",
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `mobile_net`, and values for its parameters.

    `image_shape` is without the batch, its axes in the order of `layout`.
    """
    return create_workload(
        mobile_net(num_classes, (batch_size, *image_shape), dtype, layout=layout)
    )
