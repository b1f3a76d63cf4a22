"""A perceptron of three layers for small images."""

from relay.ir.expr import Function, var
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.op import nn
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import create_workload


def get_net(
    batch_size: int,
    num_classes: int = 10,
    image_shape: tuple[int, ...] = (1, 28, 28),
    dtype: str = "float32",
) -> Function:
    """The network: (`batch_size`, ...`image_shape`) to (`batch_size`, `num_classes`)."""
    data = var("data", shape=(batch_size, *image_shape), dtype=dtype)
    body = nn.batch_flatten(data)
    body = nn.relu(layers.dense_add_bias(body, units=128, name="fc1"))
    body = nn.relu(layers.dense_add_bias(body, units=64, name="fc2"))
    body = nn.softmax(layers.dense_add_bias(body, units=num_classes, name="fc3"))
    return Function(free_vars(body), body)


def get_workload(
    batch_size: int,
    num_classes: int = 10,
    image_shape: tuple[int, ...] = (1, 28, 28),
    dtype: str = "float32",
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters."""
    return create_workload(get_net(batch_size, num_classes, image_shape, dtype))
