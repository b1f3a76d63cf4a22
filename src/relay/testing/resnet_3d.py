"""Residual networks for videos."""

from typing import Final

from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import create_workload
from relay.testing.residual import Builder, Stem, depth_of, residual_net

_STEM: Final = Stem((3, 7, 7), (1, 2, 2), pooled=False)


def get_net(
    batch_size: int,
    num_classes: int,
    num_layers: int = 50,
    image_shape: tuple[int, ...] = (3, 16, 112, 112),
    layout: str = "NCDHW",
    dtype: str = "float32",
    **_: object,
) -> Function:
    """The network of `num_layers` (18, 34, 50, 101, 152, 200 or 269) for large images.

    Up to a height of 28 there are 6n+2 layers, or 9n+2 from 164 on. `image_shape` is without the
    batch, its axes in the order of `layout`. Other keywords are accepted, as Relay does, and have
    no effect. Raises `ValueError` for another number of layers.
    """
    data_shape = (batch_size, *image_shape)
    depth = depth_of(num_layers, data_shape[layout.index("H")])
    builder = Builder(layers.conv3d, layout)
    return residual_net(builder, depth, _STEM, num_classes, data_shape, dtype)


def get_workload(
    batch_size: int = 1,
    num_classes: int = 1000,
    num_layers: int = 18,
    image_shape: tuple[int, ...] = (3, 16, 112, 112),
    layout: str = "NCDHW",
    dtype: str = "float32",
    **_: object,
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters."""
    return create_workload(get_net(batch_size, num_classes, num_layers, image_shape, layout, dtype))
