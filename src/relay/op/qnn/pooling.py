"""Pooling of quantised values."""

import numpy as np

from relay.ir.expr import Call, Expr
from relay.ir.op import Array, Pattern, attributes, operator
from relay.ir.types import Type
from relay.op.gradients import make, tensor_of
from relay.op.nn.pooling import AvgPool2D
from relay.op.qnn.common import (
    QuantizedOperator,
    calculated,
    cast,
    centered,
    centered_array,
    check_parameters,
    expect_quantized,
    quantizations,
    saturated,
    saturated_array,
    scalar,
)
from relay.op.shapes import put


@operator(
    "qnn.avg_pool2d",
    inputs=("data", "input_scale", "input_zero_point", "output_scale", "output_zero_point"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=11,
)
class QuantizedAvgPool2D(QuantizedOperator):
    """`nn.avg_pool2d` of quantised values: the means are rounded once, to the scale of the result.

    Padding, where it counts, stands for the number zero. Means are computed in ``float32``.
    """

    pool_size: tuple[int, ...] = (1, 1)
    strides: tuple[int, ...] = (1, 1)
    dilation: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    layout: str = "NCHW"
    out_layout: str = ""
    ceil_mode: bool = False
    count_include_pad: bool = False

    def __post_init__(self) -> None:
        plain = self.plain()
        for name in ("pool_size", "strides", "dilation", "padding"):
            put(self, name, getattr(plain, name))

    def plain(self) -> AvgPool2D:
        """The pooling of numbers."""
        return AvgPool2D(**attributes(self))  # type: ignore[arg-type]

    def infer(self, data: Type, *parameters: Type) -> Type:
        x = expect_quantized(self.name, "data", data)
        check_parameters(self.name, self.inputs[1:], parameters)
        return self.plain().infer(x)

    def expand(self, data: Expr, *parameters: Expr) -> Expr:
        given, wanted = quantizations(parameters)
        plain = self.plain()
        means = Call(plain.op, [centered(data, given.zero_point, 0, "float32")], plain)
        ratio = calculated("divide", *(cast(scalar(q.scale), "float32") for q in (given, wanted)))
        rounded = make("round", make("multiply", means, ratio))
        return saturated(rounded, wanted.zero_point, 0, tensor_of(data).dtype)

    def reference(self, data: Array, *parameters: Array) -> Array:
        given, wanted = quantizations(parameters)
        means = self.plain().reference(centered_array(data, given.zero_point, 0, "float32"))
        old, new = (q.scale.astype("float32").reshape(()) for q in (given, wanted))
        steps = np.rint(means * (old / new))
        return saturated_array(steps, wanted.zero_point.reshape(()), data.dtype.name)
