"""From numbers to quantised values, back, and from one scale to another."""

from relay import dtypes
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import converted, make
from relay.op.qnn.common import (
    Quantization,
    QuantizedOperator,
    centered,
    check_parameters,
    check_quantized_dtype,
    dequantized,
    dequantized_array,
    expect_quantized,
    quantizations,
    quantized,
    quantized_array,
    size_along,
    sum_to_parameter,
)
from relay.op.qnn.rescaling import configured, requantized, requantized_array
from relay.op.shapes import expect_kind, put_dtype
from relay.support.errors import TypeInferenceError


class Conversion(QuantizedOperator):
    """Base of the operators that keep the shape of `data` and have parameters along `axis`."""

    axis: int
    out_dtype: str

    def expect_data(self, data: Type) -> TensorType:
        """The type of `data`; raises `TypeInferenceError` unless it may be converted."""
        return expect_quantized(self.name, "data", data)

    def infer(self, data: Type, *parameters: Type) -> Type:
        x = self.expect_data(data)
        size = size_along(self.name, self.axis, x)
        check_parameters(self.name, self.inputs[1:], parameters, size)
        return TensorType(x.shape, self.out_dtype)


@operator(
    "qnn.quantize",
    inputs=("data", "output_scale", "output_zero_point"),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class Quantize(Conversion):
    """``round(data / output_scale) + output_zero_point``, kept within `out_dtype`.

    Of two integers that are equally near it is the even one, as in ONNX. Scale and zero point may
    be vectors along `axis`.
    """

    axis: int = -1
    out_dtype: str = "int8"

    def __post_init__(self) -> None:
        check_quantized_dtype(self.name, "out_dtype", self.out_dtype)

    def expect_data(self, data: Type) -> TensorType:
        return expect_kind(self.name, "data", data, "float")

    def expand(self, data: Expr, *parameters: Expr) -> Expr:
        return quantized(data, Quantization(*parameters), self.axis, self.out_dtype)

    def reference(self, data: Array, *parameters: Array) -> Array:
        return quantized_array(data, Quantization(*parameters), self.axis, self.out_dtype)


@operator(
    "qnn.dequantize",
    inputs=("data", "input_scale", "input_zero_point"),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class Dequantize(Conversion):
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

    def expand(self, data: Expr, *parameters: Expr) -> Expr:
        return dequantized(data, Quantization(*parameters), self.axis, self.out_dtype)

    def reference(self, data: Array, *parameters: Array) -> Array:
        return dequantized_array(data, Quantization(*parameters), self.axis, self.out_dtype)

    def gradient(
        self, grad: Expr, result: Expr, data: Expr, scale: Expr, zero_point: Expr
    ) -> Gradients:
        steps = converted(centered(data, zero_point, self.axis, "int64"), grad)
        by_scale = sum_to_parameter(make("multiply", grad, steps), scale, self.axis)
        return None, by_scale, None


@operator(
    "qnn.requantize",
    inputs=("data", "input_scale", "input_zero_point", "output_scale", "output_zero_point"),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class Requantize(Conversion):
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
        check_quantized_dtype(self.name, "out_dtype", self.out_dtype)
        configured(self.rounding, self.compute_dtype)

    def expand(self, data: Expr, *parameters: Expr) -> Expr:
        given, wanted = quantizations(parameters)
        config = configured(self.rounding, self.compute_dtype)
        return requantized(data, given, wanted, self.axis, self.out_dtype, config)

    def reference(self, data: Array, *parameters: Array) -> Array:
        given, wanted = quantizations(parameters)
        config = configured(self.rounding, self.compute_dtype)
        return requantized_array(data, given, wanted, self.axis, self.out_dtype, config)
