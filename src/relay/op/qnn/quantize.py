"""From numbers to quantised values, back, and from one scale to another."""

from relay import dtypes
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import converted, make, rank_of, sum_over, tensor_of
from relay.op.qnn.common import (
    QuantizedOperator,
    centered,
    check_parameters,
    dequantized,
    dequantized_array,
    expect_quantized,
    is_number,
    quantized,
    quantized_array,
    quantized_dtype,
    size_along,
)
from relay.op.qnn.rescaling import configured, requantized, requantized_array
from relay.op.shapes import expect_kind, put, put_dtype
from relay.support.errors import TypeInferenceError


@operator(
    "qnn.quantize",
    inputs=("data", "output_scale", "output_zero_point"),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class Quantize(QuantizedOperator):
    """``round(data / output_scale) + output_zero_point``, kept within `out_dtype`.

    Of two integers that are equally near it is the even one, as in ONNX. Scale and zero point may
    be vectors along `axis`.
    """

    axis: int = -1
    out_dtype: str = "int8"

    def __post_init__(self) -> None:
        put(self, "out_dtype", quantized_dtype(self.name, "out_dtype", self.out_dtype))

    def infer(self, data: Type, output_scale: Type, output_zero_point: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        given = zip(self.inputs[1:], (output_scale, output_zero_point), strict=True)
        check_parameters(self.name, [*given], size_along(self.name, self.axis, x))
        return TensorType(x.shape, self.out_dtype)

    def expand(self, data: Expr, output_scale: Expr, output_zero_point: Expr) -> Expr:
        return quantized(data, output_scale, output_zero_point, self.axis, self.out_dtype)

    def reference(self, data: Array, output_scale: Array, output_zero_point: Array) -> Array:
        return quantized_array(data, output_scale, output_zero_point, self.axis, self.out_dtype)


def sum_to_parameter(grad: Expr, parameter: Expr, axis: int) -> Expr:
    """The gradient of every element by a parameter along `axis`, summed to the parameter's own."""
    rank = rank_of(grad)
    kept = () if is_number(parameter) else (axis % rank,)
    total = sum_over(grad, [k for k in range(rank) if k not in kept])
    if tensor_of(parameter).shape == (1,):
        total = make("reshape", total, newshape=(1,))
    return converted(total, parameter)


@operator(
    "qnn.dequantize",
    inputs=("data", "input_scale", "input_zero_point"),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class Dequantize(QuantizedOperator):
    """``input_scale * (data - input_zero_point)``, the numbers that quantised values stand for.

    Scale and zero point may be vectors along `axis`.
    """

    piecewise_constant = False

    axis: int = -1
    out_dtype: str = "float32"

    def __post_init__(self) -> None:
        put_dtype(self, "out_dtype")
        if not dtypes.is_float(self.out_dtype) or self.out_dtype == "bfloat16":
            raise TypeInferenceError(
                f"{self.name}: out_dtype must be float16, float32 or float64, "
                f"found {self.out_dtype!r}"
            )

    def infer(self, data: Type, input_scale: Type, input_zero_point: Type) -> Type:
        x = expect_quantized(self.name, "data", data)
        given = zip(self.inputs[1:], (input_scale, input_zero_point), strict=True)
        check_parameters(self.name, [*given], size_along(self.name, self.axis, x))
        return TensorType(x.shape, self.out_dtype)

    def expand(self, data: Expr, input_scale: Expr, input_zero_point: Expr) -> Expr:
        return dequantized(data, input_scale, input_zero_point, self.axis, self.out_dtype)

    def reference(self, data: Array, input_scale: Array, input_zero_point: Array) -> Array:
        return dequantized_array(data, input_scale, input_zero_point, self.axis, self.out_dtype)

    def gradient(
        self, grad: Expr, result: Expr, data: Expr, input_scale: Expr, input_zero_point: Expr
    ) -> Gradients:
        steps = converted(centered(data, input_zero_point, self.axis, "int64"), grad)
        by_scale = sum_to_parameter(make("multiply", grad, steps), input_scale, self.axis)
        return None, by_scale, None


@operator(
    "qnn.requantize",
    inputs=(
        "data",
        "input_scale",
        "input_zero_point",
        "output_scale",
        "output_zero_point",
    ),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class Requantize(QuantizedOperator):
    """Quantised values with another scale, zero point and data type.

    ``round((data - input_zero_point) * input_scale / output_scale) + output_zero_point``, kept
    within `out_dtype`. Scales and zero points may be vectors along `axis`. `rounding` says what
    becomes of a half, and `compute_dtype` what is computed in: ``int64`` multiplies by a 32-bit
    factor and shifts. For ``"None"`` see `RequantizeConfig`.
    """

    axis: int = -1
    rounding: str = "None"
    compute_dtype: str = "None"
    out_dtype: str = "int8"

    def __post_init__(self) -> None:
        put(self, "out_dtype", quantized_dtype(self.name, "out_dtype", self.out_dtype))
        configured(self.rounding, self.compute_dtype)

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
        given = zip(self.inputs[1:], types, strict=True)
        check_parameters(self.name, [*given], size_along(self.name, self.axis, x))
        return TensorType(x.shape, self.out_dtype)

    def expand(
        self,
        data: Expr,
        input_scale: Expr,
        input_zero_point: Expr,
        output_scale: Expr,
        output_zero_point: Expr,
    ) -> Expr:
        return requantized(
            data,
            (input_scale, output_scale),
            (input_zero_point, output_zero_point),
            self.axis,
            self.out_dtype,
            configured(self.rounding, self.compute_dtype),
        )

    def reference(
        self,
        data: Array,
        input_scale: Array,
        input_zero_point: Array,
        output_scale: Array,
        output_zero_point: Array,
    ) -> Array:
        return requantized_array(
            data,
            (input_scale, output_scale),
            (input_zero_point, output_zero_point),
            self.axis,
            self.out_dtype,
            configured(self.rounding, self.compute_dtype),
        )
