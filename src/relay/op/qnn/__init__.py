"""Operators on quantised values, integers that stand for numbers: ``relay.qnn.op``.

``relay.qnn.op.quantize(data, 0.1, 3)`` makes a call of `Quantize`. Scales are floating-point and
zero points integers, both arguments: numbers, constants or any expressions.
"""

from collections.abc import Callable, Sequence

from relay.ir.expr import Expr, ExprLike, Tuple, as_expr
from relay.ir.op import Operator
from relay.op.functions import Argument, function
from relay.op.qnn.broadcast import (
    QuantizedAdd,
    QuantizedConcatenate,
    QuantizedMultiply,
    QuantizedSubtract,
)
from relay.op.qnn.convolution import QuantizedConv2D, QuantizedConv2DTranspose
from relay.op.qnn.dense import QuantizedBatchMatmul, QuantizedDense, QuantizedDensePack
from relay.op.qnn.pooling import QuantizedAvgPool2D
from relay.op.qnn.quantize import Dequantize, Quantize, Requantize
from relay.op.qnn.rescaling import (
    RequantizeConfig,
    current_requantize_config,
    requantize_config,
)
from relay.op.qnn.simulated import (
    SQNN_DTYPE_TO_CODE,
    SimulatedDequantize,
    SimulatedQuantize,
    code_of,
)
from relay.op.qnn.unary import (
    QuantizedAbs,
    QuantizedErf,
    QuantizedExp,
    QuantizedHardSwish,
    QuantizedLeakyRelu,
    QuantizedLog,
    QuantizedRsqrt,
    QuantizedSigmoid,
    QuantizedSoftmax,
    QuantizedSqrt,
    QuantizedTanh,
)
from relay.op.shapes import Ints


def _parameters(declaration: type[Operator], first: int) -> Callable[..., Expr]:
    """The function of an operator whose inputs from `first` on are scales and zero points.

    Their data types do not follow the values.
    """
    return function(declaration, own_dtype=declaration.inputs[first:])


quantize = _parameters(Quantize, 1)
dequantize = _parameters(Dequantize, 1)
requantize = _parameters(Requantize, 1)
add = _parameters(QuantizedAdd, 2)
subtract = _parameters(QuantizedSubtract, 2)
mul = _parameters(QuantizedMultiply, 2)
dense = _parameters(QuantizedDense, 2)
batch_matmul = _parameters(QuantizedBatchMatmul, 2)
conv2d_transpose = _parameters(QuantizedConv2DTranspose, 2)
abs = _parameters(QuantizedAbs, 1)  # noqa: A001 - Relay's name
exp = _parameters(QuantizedExp, 1)
sqrt = _parameters(QuantizedSqrt, 1)
rsqrt = _parameters(QuantizedRsqrt, 1)
erf = _parameters(QuantizedErf, 1)
sigmoid = _parameters(QuantizedSigmoid, 1)
hardswish = _parameters(QuantizedHardSwish, 1)
tanh = _parameters(QuantizedTanh, 1)
log = _parameters(QuantizedLog, 1)
softmax = _parameters(QuantizedSoftmax, 1)
_concatenate = _parameters(QuantizedConcatenate, 1)
_conv2d = _parameters(QuantizedConv2D, 2)
_dense_pack = _parameters(QuantizedDensePack, 2)
_leaky_relu = _parameters(QuantizedLeakyRelu, 1)
_avg_pool2d = _parameters(QuantizedAvgPool2D, 1)
_simulated_quantize = _parameters(SimulatedQuantize, 1)
_simulated_dequantize = _parameters(SimulatedDequantize, 1)


def concatenate(
    data: Argument,
    input_scales: Sequence[ExprLike] | Expr,
    input_zero_points: Sequence[ExprLike] | Expr,
    output_scale: ExprLike,
    output_zero_point: ExprLike,
    axis: int,
) -> Expr:
    """Quantised tensors of several scales joined; see `QuantizedConcatenate`."""
    given = (
        p if isinstance(p, Expr) else Tuple([as_expr(v) for v in p])
        for p in (input_scales, input_zero_points)
    )
    return _concatenate(data, *given, output_scale, output_zero_point, axis)


def conv2d(
    data: Expr,
    kernel: Expr,
    input_zero_point: ExprLike,
    kernel_zero_point: ExprLike,
    input_scale: ExprLike,
    kernel_scale: ExprLike,
    kernel_size: Ints | None = None,
    channels: int | None = None,
    strides: Ints = (1, 1),
    padding: Ints = (0, 0),
    dilation: Ints = (1, 1),
    groups: int = 1,
    data_layout: str = "NCHW",
    kernel_layout: str = "OIHW",
    out_layout: str = "",
    out_dtype: str = "int32",
) -> Expr:
    """A convolution of quantised values; see `QuantizedConv2D`."""
    parameters = (input_zero_point, kernel_zero_point, input_scale, kernel_scale)
    window = (strides, padding, dilation, groups, channels, kernel_size)
    layouts = (data_layout, kernel_layout, out_layout)
    return _conv2d(data, kernel, *parameters, *window, *layouts, out_dtype)


def contrib_dense_pack(
    data: Expr,
    weight: Expr,
    input_zero_point: ExprLike,
    kernel_zero_point: ExprLike,
    input_scale: ExprLike,
    kernel_scale: ExprLike,
    kernel_layout: str = "NC",
    units: int | None = None,
    out_dtype: str = "int32",
) -> Expr:
    """A product of quantised matrices with a weight in blocks; see `QuantizedDensePack`."""
    parameters = (input_zero_point, kernel_zero_point, input_scale, kernel_scale)
    return _dense_pack(data, weight, *parameters, units, out_dtype, kernel_layout)


def leaky_relu(
    x: Expr,
    alpha: float,
    input_scale: ExprLike,
    input_zero_point: ExprLike,
    output_scale: ExprLike,
    output_zero_point: ExprLike,
) -> Expr:
    """Negative numbers times `alpha`; see `QuantizedLeakyRelu`."""
    return _leaky_relu(x, input_scale, input_zero_point, output_scale, output_zero_point, alpha)


def avg_pool2d(
    data: Expr,
    input_scale: ExprLike,
    input_zero_point: ExprLike,
    output_scale: ExprLike,
    output_zero_point: ExprLike,
    pool_size: Ints,
    strides: Ints,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    layout: str = "NHWC",
    out_layout: str = "",
) -> Expr:
    """The means of windows of quantised values; see `QuantizedAvgPool2D`."""
    parameters = (input_scale, input_zero_point, output_scale, output_zero_point)
    window = (pool_size, strides, dilation, padding)
    layouts = (layout, out_layout)
    return _avg_pool2d(data, *parameters, *window, *layouts, ceil_mode, count_include_pad)


def simulated_quantize(
    data: Expr,
    output_scale: ExprLike,
    output_zero_point: ExprLike,
    axis: int = -1,
    out_dtype: str | Expr = "int8",
) -> Expr:
    """What `quantize` gives, in floating point; see `SimulatedQuantize`.

    `out_dtype` is a data type, ``"disable"``, or an expression of the code of one.
    """
    return _simulated_quantize(data, code_of(out_dtype), output_scale, output_zero_point, axis)


def simulated_dequantize(
    data: Expr,
    input_scale: ExprLike,
    input_zero_point: ExprLike,
    axis: int = -1,
    in_dtype: str | Expr = "int8",
) -> Expr:
    """What `dequantize` gives for values in floating point; see `SimulatedDequantize`.

    `in_dtype` is a data type, ``"disable"``, or an expression of the code of one.
    """
    return _simulated_dequantize(data, code_of(in_dtype), input_scale, input_zero_point, axis)


__all__ = [
    "SQNN_DTYPE_TO_CODE",
    "Dequantize",
    "Quantize",
    "QuantizedAbs",
    "QuantizedAdd",
    "QuantizedAvgPool2D",
    "QuantizedBatchMatmul",
    "QuantizedConcatenate",
    "QuantizedConv2D",
    "QuantizedConv2DTranspose",
    "QuantizedDense",
    "QuantizedDensePack",
    "QuantizedErf",
    "QuantizedExp",
    "QuantizedHardSwish",
    "QuantizedLeakyRelu",
    "QuantizedLog",
    "QuantizedMultiply",
    "QuantizedRsqrt",
    "QuantizedSigmoid",
    "QuantizedSoftmax",
    "QuantizedSqrt",
    "QuantizedSubtract",
    "QuantizedTanh",
    "Requantize",
    "RequantizeConfig",
    "SimulatedDequantize",
    "SimulatedQuantize",
    "abs",
    "add",
    "avg_pool2d",
    "batch_matmul",
    "concatenate",
    "contrib_dense_pack",
    "conv2d",
    "conv2d_transpose",
    "current_requantize_config",
    "dense",
    "dequantize",
    "erf",
    "exp",
    "hardswish",
    "leaky_relu",
    "log",
    "mul",
    "quantize",
    "requantize",
    "requantize_config",
    "rsqrt",
    "sigmoid",
    "simulated_dequantize",
    "simulated_quantize",
    "softmax",
    "sqrt",
    "subtract",
    "tanh",
]
