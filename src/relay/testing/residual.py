"""Residual networks with pre-activation, over any number of spatial axes.

He, Zhang, Ren, Sun: "Identity Mappings in Deep Residual Networks", 2016; over time as a third axis:
Hara, Kataoka, Satoh: "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?",
2018.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.ir.expr import Expr, Function, var
from relay.ir.visit import free_vars
from relay.op import nn
from relay.op.tensor import add
from relay.testing import layers

EPSILON: Final = 2e-5
SMALL_IMAGE: Final = 28
"""Up to this height a network has three stages, of a depth that the number of layers tells."""
SMALL_STEM: Final = 32
"""Up to this height the first convolution keeps the size."""

_UNITS: Final[dict[int, tuple[int, ...]]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
    269: (3, 30, 48, 8),
}
"""Units per stage, by number of layers, for large images."""


@dataclass(frozen=True)
class Depth:
    """How deep and wide a network is: units and channels per stage, the stem's channels first."""

    units: tuple[int, ...]
    filters: tuple[int, ...]
    bottle_neck: bool


@dataclass(frozen=True)
class Stem:
    """The first convolution for large images, and whether a pooling follows it."""

    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    pooled: bool


def depth_of(num_layers: int, height: int) -> Depth:
    """The stages of a network of `num_layers` for images of `height` pixels.

    Raises `ValueError` where there is none of that number of layers.
    """
    if height > SMALL_IMAGE:
        if num_layers not in _UNITS:
            known = ", ".join(map(str, _UNITS))
            raise ValueError(f"a residual network has {known} layers, found {num_layers}")
        wide = num_layers >= 50
        filters = (64, 256, 512, 1024, 2048) if wide else (64, 64, 128, 256, 512)
        return Depth(_UNITS[num_layers], filters, wide)
    if num_layers >= 164 and (num_layers - 2) % 9 == 0:
        return Depth(((num_layers - 2) // 9,) * 3, (16, 64, 128, 256), True)
    if 8 <= num_layers < 164 and (num_layers - 2) % 6 == 0:
        return Depth(((num_layers - 2) // 6,) * 3, (16, 16, 32, 64), False)
    raise ValueError(
        f"a residual network for images of height {SMALL_IMAGE} and less has 6n+2 layers, "
        f"or 9n+2 from 164 on; found {num_layers}"
    )


@dataclass(frozen=True)
class Builder:
    """Builds with one kind of convolution, in one data layout."""

    convolution: Callable[..., Expr]
    layout: str

    @property
    def spatial(self) -> int:
        """The number of spatial axes."""
        return len(self.layout) - 2

    def norm(self, data: Expr, name: str, **attributes: Any) -> Expr:
        """A batch normalisation over the channels."""
        axis = layers.channel_axis(self.layout)
        return layers.batch_norm_infer(data, name=name, axis=axis, epsilon=EPSILON, **attributes)

    def conv(
        self,
        data: Expr,
        channels: int,
        kernel_size: Sequence[int],
        strides: Sequence[int],
        name: str,
    ) -> Expr:
        """A convolution that keeps the size up to its strides."""
        return self.convolution(
            data,
            name=name,
            channels=channels,
            kernel_size=tuple(kernel_size),
            strides=tuple(strides),
            padding=tuple(size // 2 for size in kernel_size),
            data_layout=self.layout,
            kernel_layout=layers.conv_kernel_layout(self.layout),
        )

    def unit(
        self,
        data: Expr,
        channels: int,
        strides: Sequence[int],
        dim_match: bool,
        name: str,
        bottle_neck: bool,
    ) -> Expr:
        """One residual unit; with `dim_match` the data itself is the shortcut."""
        ones, threes = (1,) * self.spatial, (3,) * self.spatial
        active = nn.relu(self.norm(data, f"{name}_bn1"))
        if bottle_neck:
            inner = channels // 4
            body = self.conv(active, inner, ones, strides, f"{name}_conv1")
            body = nn.relu(self.norm(body, f"{name}_bn2"))
            body = self.conv(body, inner, threes, ones, f"{name}_conv2")
            body = nn.relu(self.norm(body, f"{name}_bn3"))
            body = self.conv(body, channels, ones, ones, f"{name}_conv3")
        else:
            body = self.conv(active, channels, threes, strides, f"{name}_conv1")
            body = nn.relu(self.norm(body, f"{name}_bn2"))
            body = self.conv(body, channels, threes, ones, f"{name}_conv2")
        if dim_match:
            return add(body, data)
        return add(body, self.conv(active, channels, ones, strides, f"{name}_sc"))


def residual_net(
    builder: Builder,
    depth: Depth,
    stem: Stem,
    num_classes: int,
    data_shape: tuple[int, ...],
    dtype: str,
) -> Function:
    """The network as a function of ``data`` of shape `data_shape` (with the batch) to classes.

    Raises `ValueError` when the shape does not fit the layout.
    """
    layout, rank = builder.layout, builder.spatial
    if len(data_shape) != len(layout):
        raise ValueError(f"the shape {data_shape} does not fit the layout {layout}")
    ones = (1,) * rank
    body = builder.norm(var("data", shape=data_shape, dtype=dtype), "bn_data", scale=False)
    if data_shape[layout.index("H")] <= SMALL_STEM:
        body = builder.conv(body, depth.filters[0], (3,) * rank, ones, "conv0")
    else:
        body = builder.conv(body, depth.filters[0], stem.kernel_size, stem.strides, "conv0")
        body = nn.relu(builder.norm(body, "bn0"))
        if stem.pooled:
            body = nn.max_pool2d(
                body, pool_size=(3, 3), strides=(2, 2), padding=(1, 1), layout=layout
            )
    for stage, units in enumerate(depth.units, start=1):
        for unit in range(1, units + 1):
            strides = (2,) * rank if unit == 1 and stage > 1 else ones
            name = f"stage{stage}_unit{unit}"
            channels = depth.filters[stage]
            body = builder.unit(body, channels, strides, unit > 1, name, depth.bottle_neck)
    body = nn.relu(builder.norm(body, "bn1"))
    pooling = nn.global_avg_pool2d if rank == 2 else nn.global_avg_pool3d
    body = nn.batch_flatten(pooling(body, layout=layout))
    body = nn.softmax(layers.dense_add_bias(body, units=num_classes, name="fc1"))
    return Function(free_vars(body), body)
