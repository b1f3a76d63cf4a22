"""A small network with the structure of large ones, for fast tests."""

from relay.ir.expr import Expr, Function, Var, var
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.op import nn
from relay.op.tensor import add
from relay.op.transform import reshape, reshape_like
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import Constant, create_workload


def _branches(
    data: Expr, like: Expr, input_shape: tuple[int, ...], suffix: str, wtype: str
) -> Expr:
    """A dense layer along the rows of `data`, plus the softmax of a 3x3 convolution of it."""
    _, channels, _, width = input_shape
    dense_weight = var(f"dense{suffix}_weight", shape=(width, width), dtype=wtype)
    dense = nn.relu(nn.dense(reshape(data, newshape=(-1, width)), dense_weight))
    conv_weight = var(f"conv{suffix}_weight", shape=(channels, channels, 3, 3), dtype=wtype)
    conv = nn.conv2d(data, conv_weight, kernel_size=(3, 3), padding=(1, 1))
    return add(reshape_like(dense, like), nn.softmax(conv))


def get_net(
    input_shape: tuple[int, int, int, int] = (1, 3, 24, 12),
    dtype: str = "float32",
    wtype: str | None = None,
) -> Function:
    """The network on data of `input_shape` (batch, channels, height, width), to the same shape.

    `wtype` is the data type of the weights, by default `dtype`.
    """
    weights = dtype if wtype is None else wtype
    data = var("data", shape=input_shape, dtype=dtype)
    body = _branches(data, data, input_shape, "", weights)
    body = nn.bias_add(body, Var("bias"))
    body = layers.batch_norm_infer(body, name="batch_norm")
    body = _branches(body, data, input_shape, "2", weights)
    return Function(free_vars(body), body)


def get_workload(
    input_shape: tuple[int, int, int, int] = (1, 3, 24, 12),
    dtype: str = "float32",
    wtype: str | None = None,
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters, made by `Constant`."""
    return create_workload(get_net(input_shape, dtype, wtype), initializer=Constant())
