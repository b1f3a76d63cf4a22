"""Inception v3, for images of about 299 x 299 pixels (Szegedy et al., 2015)."""

from typing import Final

from relay.ir.expr import Expr, Function, Var, var
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.op import nn
from relay.op.tensor import concatenate
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import create_workload

_ROW: Final = (1, 7)
_COLUMN: Final = (7, 1)


def _conv(
    data: Expr,
    channels: int,
    kernel: tuple[int, int],
    name: str,
    suffix: str = "",
    stride: int = 1,
    same: bool = True,
) -> Expr:
    """Convolution, normalisation, relu; with `same` padded to keep the size, otherwise unpadded."""
    body = layers.conv2d(
        data,
        name=f"{name}{suffix}_conv1",
        channels=channels,
        kernel_size=kernel,
        strides=(stride, stride),
        padding=(kernel[0] // 2, kernel[1] // 2) if same else (0, 0),
    )
    return nn.relu(layers.batch_norm_infer(body, name=f"{name}{suffix}_bn", epsilon=2e-5))


def _chain(
    data: Expr, name: str, steps: list[tuple[int, tuple[int, int]]], halves: bool = False
) -> Expr:
    """Convolutions called ``_conv``, ``_conv_1`` and so on; with `halves` the last has stride 2."""
    for index, (channels, kernel) in enumerate(steps):
        suffix = f"_conv_{index}" if index else "_conv"
        last = halves and index == len(steps) - 1
        data = _conv(data, channels, kernel, name, suffix, 2 if last else 1, not last)
    return data


def _pooled(data: Expr, kind: str) -> Expr:
    """A 3x3 pooling that keeps the size."""
    pooling = nn.max_pool2d if kind == "max" else nn.avg_pool2d
    counted = {} if kind == "max" else {"count_include_pad": True}
    return pooling(data, pool_size=(3, 3), strides=(1, 1), padding=(1, 1), **counted)


def _halved(data: Expr) -> Expr:
    return nn.max_pool2d(data, pool_size=(3, 3), strides=(2, 2))


def _block_a(data: Expr, projected: int, name: str) -> Expr:
    """Windows of 1x1, 5x5, two 3x3, and a pooling."""
    branches = (
        _conv(data, 64, (1, 1), f"{name}_conv"),
        _chain(data, f"{name}_tower", [(48, (1, 1)), (64, (5, 5))]),
        _chain(data, f"{name}_tower_1", [(64, (1, 1)), (96, (3, 3)), (96, (3, 3))]),
        _conv(_pooled(data, "avg"), projected, (1, 1), f"{name}_tower_2", "_conv"),
    )
    return concatenate(branches, axis=1)


def _block_b(data: Expr, name: str) -> Expr:
    """Halve the image: a strided 3x3, two 3x3, and a pooling."""
    steps = [(64, (1, 1)), (96, (3, 3)), (96, (3, 3))]
    branches = (
        _conv(data, 384, (3, 3), f"{name}_conv", stride=2, same=False),
        _chain(data, f"{name}_tower", steps, halves=True),
        _halved(data),
    )
    return concatenate(branches, axis=1)


def _block_c(data: Expr, width: int, name: str) -> Expr:
    """Windows of 1x1, a 7x7 taken apart, two of those, and a pooling."""
    once = [(width, (1, 1)), (width, _ROW), (192, _COLUMN)]
    twice = [(width, (1, 1)), (width, _COLUMN), (width, _ROW), (width, _COLUMN), (192, _ROW)]
    branches = (
        _conv(data, 192, (1, 1), f"{name}_conv"),
        _chain(data, f"{name}_tower", once),
        _chain(data, f"{name}_tower_1", twice),
        _conv(_pooled(data, "avg"), 192, (1, 1), f"{name}_tower_2", "_conv"),
    )
    return concatenate(branches, axis=1)


def _block_d(data: Expr, name: str) -> Expr:
    """Halve the image: a strided 3x3, a 7x7 taken apart before one, and a pooling."""
    steps = [(192, (1, 1)), (192, _ROW), (192, _COLUMN), (192, (3, 3))]
    branches = (
        _chain(data, f"{name}_tower", [(192, (1, 1)), (320, (3, 3))], halves=True),
        _chain(data, f"{name}_tower_1", steps, halves=True),
        _halved(data),
    )
    return concatenate(branches, axis=1)


def _block_e(data: Expr, pooling: str, name: str) -> Expr:
    """Windows of 1x1, a 3x3 as its row beside its column, twice, and a pooling."""
    once = _chain(data, f"{name}_tower", [(384, (1, 1))])
    twice = _chain(data, f"{name}_tower_1", [(448, (1, 1)), (384, (3, 3))])
    branches = (
        _conv(data, 320, (1, 1), f"{name}_conv"),
        _conv(once, 384, (1, 3), f"{name}_tower", "_mixed_conv"),
        _conv(once, 384, (3, 1), f"{name}_tower", "_mixed_conv_1"),
        _conv(twice, 384, (1, 3), f"{name}_tower_1", "_mixed_conv"),
        _conv(twice, 384, (3, 1), f"{name}_tower_1", "_mixed_conv_1"),
        _conv(_pooled(data, pooling), 192, (1, 1), f"{name}_tower_2", "_conv"),
    )
    return concatenate(branches, axis=1)


def get_net(
    batch_size: int, num_classes: int, image_shape: tuple[int, ...], dtype: str
) -> Function:
    """The network: (`batch_size`, ...`image_shape`) to (`batch_size`, `num_classes`)."""
    data = var("data", shape=(batch_size, *image_shape), dtype=dtype)
    body = _conv(data, 32, (3, 3), "conv", stride=2, same=False)
    body = _conv(body, 32, (3, 3), "conv_1", same=False)
    body = _halved(_conv(body, 64, (3, 3), "conv_2"))
    body = _conv(body, 80, (1, 1), "conv_3")
    body = _halved(_conv(body, 192, (3, 3), "conv_4", same=False))
    body = _block_a(body, 32, "mixed")
    body = _block_a(body, 64, "mixed_1")
    body = _block_a(body, 64, "mixed_2")
    body = _block_b(body, "mixed_3")
    for width, name in ((128, "mixed_4"), (160, "mixed_5"), (160, "mixed_6"), (192, "mixed_7")):
        body = _block_c(body, width, name)
    body = _block_d(body, "mixed_8")
    body = _block_e(body, "avg", "mixed_9")
    body = _block_e(body, "max", "mixed_10")
    body = nn.batch_flatten(nn.avg_pool2d(body, pool_size=(8, 8)))
    # The bias is called fc2_bias: the names are those of the weights that exist for the network.
    product = nn.dense(body, Var("fc1_weight"), units=num_classes)
    body = nn.softmax(nn.bias_add(product, Var("fc2_bias")))
    return Function(free_vars(body), body)


def get_workload(
    batch_size: int = 1,
    num_classes: int = 1000,
    image_shape: tuple[int, ...] = (3, 299, 299),
    dtype: str = "float32",
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters."""
    return create_workload(get_net(batch_size, num_classes, image_shape, dtype))
