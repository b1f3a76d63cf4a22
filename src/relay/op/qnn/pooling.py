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
    check_parameters,
    expect_quantized,
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

    def infer(
        self,
        data: Type,
        input_scale: Type,
        input_zero_point: Type,
        output_scale: Type,
        output_zero_point: Type,
    ) -> Type:
        x = expect_quantized(self.name, "data", data)
        types = (input_scale, input_zero_point, output_scale, output_zero_point)
        check_parameters(self.name, [*zip(self.inputs[1:], types, strict=True)])
        return self.plain().infer(x)

    def expand(
        self,
        data: Expr,
        input_scale: Expr,
        input_zero_point: Expr,
        output_scale: Expr,
        output_zero_point: Expr,
    ) -> Expr:
        plain = self.plain()
        means = Call(plain.op, [centered(data, input_zero_point, 0, "float32")], plain)
        ratio = calculated(
            "divide", *(cast(scalar(s), "float32") for s in (input_scale, output_scale))
        )
        rounded = make("round", make("multiply", means, ratio))
        return saturated(rounded, output_zero_point, 0, tensor_of(data).dtype)

    def reference(
        self,
        data: Array,
        input_scale: Array,
        input_zero_point: Array,
        output_scale: Array,
        output_zero_point: Array,
    ) -> Array:
        x = data.astype("float32") - input_zero_point.astype("float32").reshape(())
        scales = [s.astype("float32").reshape(()) for s in (input_scale, output_scale)]
        steps = np.rint(self.plain().reference(x) * (scales[0] / scales[1]))
        return saturated_array(steps, output_zero_point.reshape(()), data.dtype.name)
