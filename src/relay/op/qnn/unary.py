"""Functions of one quantised tensor, computed on the numbers that it stands for.

Where scales and zero points are constants, a function of 8-bit values is a table of 256 entries.
"""

import numpy as np

from relay import dtypes
from relay.ir.expr import Call, Expr, Op, const
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import make, number, tensor_of
from relay.op.nn.activation import LeakyRelu, Softmax
from relay.op.qnn.common import (
    QuantizedOperator,
    cast,
    check_parameters,
    dequantized,
    dequantized_array,
    expect_quantized,
    known,
    quantizations,
    quantized,
    quantized_array,
)
from relay.op.shapes import normalize_axis

_INPUTS = ("x", "scale", "zero_point", "output_scale", "output_zero_point")


class QuantizedFunction(QuantizedOperator):
    """Base of the functions whose result has the data type of the argument, and its own scale."""

    def infer(self, x: Type, *parameters: Type) -> TensorType:
        found = expect_quantized(self.name, "x", x)
        check_parameters(self.name, self.inputs[1:], parameters)
        return found

    def plain(self) -> Operator:
        """The operator on numbers."""
        declared = Op.get(self.name.removeprefix("qnn.")).declaration()
        assert isinstance(declared, Operator)
        return declared

    def function(self, x: Expr) -> Expr:
        """The function of numbers."""
        plain = self.plain()
        return Call(plain.op, [x], plain)

    def values(self, x: Array) -> Array:
        """The function of numbers, in NumPy."""
        found: Array = self.plain().reference(x)
        return found

    def expand(self, x: Expr, *parameters: Expr) -> Expr:
        given, wanted = quantizations(parameters)
        numbers = self.function(dequantized(x, given, -1, "float32"))
        return quantized(numbers, wanted, -1, tensor_of(x).dtype)

    def reference(self, x: Array, *parameters: Array) -> Array:
        given, wanted = quantizations(parameters)
        with np.errstate(all="ignore"):
            numbers = self.values(dequantized_array(x, given, -1, "float32"))
        return quantized_array(numbers, wanted, -1, x.dtype.name)


class QuantizedElementwise(QuantizedFunction):
    """Base of the functions of single elements."""

    def expand(self, x: Expr, *parameters: Expr) -> Expr:
        dtype = tensor_of(x).dtype
        constants = [c for p in parameters if (c := known(p)) is not None]
        if dtypes.bits(dtype) > 8 or len(constants) < len(parameters):
            return super().expand(x, *parameters)
        low, high = dtypes.integer_range(dtype)
        table = self.reference(np.arange(low, high + 1).astype(dtype), *constants)
        index = cast(x, "int32")
        index = index if low == 0 else make("add", index, const(-low, "int32"))
        return make("take", const(table, dtype), index, axis=0)


class QuantizedPositive(QuantizedElementwise):
    """Base of the functions of positive numbers: smaller ones count as zero."""

    def function(self, x: Expr) -> Expr:
        return super().function(make("maximum", x, number(0, x)))

    def values(self, x: Array) -> Array:
        return super().values(np.maximum(x, x.dtype.type(0)))


@operator("qnn.abs", inputs=_INPUTS, pattern=Pattern.ELEMWISE, level=11)
class QuantizedAbs(QuantizedElementwise):
    """The absolute value of quantised values."""


@operator("qnn.exp", inputs=_INPUTS, pattern=Pattern.ELEMWISE, level=11)
class QuantizedExp(QuantizedElementwise):
    """The exponential of quantised values."""


@operator("qnn.sqrt", inputs=_INPUTS, pattern=Pattern.ELEMWISE, level=11)
class QuantizedSqrt(QuantizedPositive):
    """The square root of quantised values. Negative ones count as zero."""


@operator("qnn.rsqrt", inputs=_INPUTS, pattern=Pattern.ELEMWISE, level=11)
class QuantizedRsqrt(QuantizedPositive):
    """One over the square root of quantised values; the largest where those are not positive."""


@operator("qnn.log", inputs=_INPUTS, pattern=Pattern.ELEMWISE, level=11)
class QuantizedLog(QuantizedPositive):
    """The natural logarithm of quantised values; the smallest where those are not positive."""


@operator("qnn.erf", inputs=_INPUTS, pattern=Pattern.ELEMWISE, level=11)
class QuantizedErf(QuantizedElementwise):
    """The Gauss error function of quantised values."""


@operator("qnn.sigmoid", inputs=_INPUTS, pattern=Pattern.ELEMWISE, level=11)
class QuantizedSigmoid(QuantizedElementwise):
    """``1 / (1 + exp(-x))`` of quantised values."""


@operator("qnn.tanh", inputs=_INPUTS, pattern=Pattern.ELEMWISE, level=11)
class QuantizedTanh(QuantizedElementwise):
    """The hyperbolic tangent of quantised values."""


@operator("qnn.hardswish", inputs=_INPUTS, pattern=Pattern.ELEMWISE, level=11)
class QuantizedHardSwish(QuantizedElementwise):
    """``x * min(max(x + 3, 0), 6) / 6`` of quantised values."""

    def function(self, x: Expr) -> Expr:
        gate = make("clip", x + number(3, x), a_min=0.0, a_max=6.0)
        return x * gate / number(6, x)

    def values(self, x: Array) -> Array:
        return np.asarray(x * np.clip(x + x.dtype.type(3), 0, 6) / x.dtype.type(6))


@operator(
    "qnn.leaky_relu",
    inputs=("x", "input_scale", "input_zero_point", "output_scale", "output_zero_point"),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class QuantizedLeakyRelu(QuantizedElementwise):
    """Quantised values where they stand for positive numbers, else `alpha` times those."""

    alpha: float = 0.25

    def plain(self) -> Operator:
        return LeakyRelu(self.alpha)


@operator("qnn.softmax", inputs=_INPUTS, pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=11)
class QuantizedSoftmax(QuantizedFunction):
    """The softmax of quantised values along `axis`, computed in floating point."""

    axis: int = -1

    def infer(self, x: Type, *parameters: Type) -> TensorType:
        found = super().infer(x, *parameters)
        normalize_axis(self.name, self.axis, len(found.shape))
        return found

    def plain(self) -> Operator:
        return Softmax(self.axis)
