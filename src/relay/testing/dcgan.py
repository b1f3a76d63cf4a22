"""The generator of a deep convolutional adversarial network (Radford, Metz, Chintala, 2015)."""

from relay.ir.expr import Expr, Function, Var, var
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.op import nn
from relay.op.tensor import tanh
from relay.op.transform import reshape
from relay.runtime.ndarray import NDArray
from relay.testing import layers
from relay.testing.init import create_workload

_EPSILON = 1e-5 + 1e-12


def _deconvolution(data: Expr, channels: int, name: str, layout: str) -> Expr:
    """A transposed 4x4 convolution that doubles the size of the image."""
    return layers.conv2d_transpose(
        data,
        name=name,
        channels=channels,
        kernel_size=(4, 4),
        strides=(2, 2),
        padding=(1, 1),
        data_layout=layout,
        kernel_layout="IOHW" if layout == "NCHW" else "HWIO",
    )


def get_net(
    batch_size: int,
    random_len: int = 100,
    oshape: tuple[int, ...] = (3, 64, 64),
    ngf: int = 128,
    code: Expr | None = None,
    layout: str = "NCHW",
    dtype: str = "float32",
) -> Function:
    """The generator: (`batch_size`, `random_len`) to images of shape `oshape`.

    `ngf` is the number of channels before the last layer; `code` stands for the input ``data`` when
    it is given. `oshape` is without the batch, its axes in the order of `layout` (``NCHW`` or
    ``NHWC``). Raises `ValueError` unless images have 64 x 64 pixels.
    """
    image = dict(zip(layout[1:], oshape, strict=True))
    if (image["H"], image["W"]) != (64, 64):
        raise ValueError(f"the generator makes images of 64 x 64 pixels, expected {oshape}")
    data = var("data", shape=(batch_size, random_len), dtype=dtype) if code is None else code
    body = nn.relu(nn.dense(data, Var("dense_weight"), units=4 * 4 * ngf * 8))
    first = {"N": -1, "C": ngf * 8, "H": 4, "W": 4}
    body = reshape(body, newshape=tuple(first[letter] for letter in layout))
    for name, width in (("g2", 4), ("g3", 2), ("g4", 1)):
        body = _deconvolution(body, ngf * width, f"{name}_deconv", layout)
        body = layers.batch_norm_infer(
            body,
            name=f"{name}_batch_norm",
            axis=layers.channel_axis(layout),
            epsilon=_EPSILON,
            scale=False,
        )
        body = nn.relu(body)
    body = tanh(_deconvolution(body, image["C"], "g5_deconv", layout))
    return Function(free_vars(body), body)


def get_workload(
    batch_size: int,
    oshape: tuple[int, ...] = (3, 64, 64),
    ngf: int = 128,
    random_len: int = 100,
    layout: str = "NCHW",
    dtype: str = "float32",
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters."""
    return create_workload(get_net(batch_size, random_len, oshape, ngf, layout=layout, dtype=dtype))
