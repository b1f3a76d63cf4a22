"""Unary operators on every element: rounding, exponentials, trigonometry, tests, constants alike.

A unary operator names the scalar operation of `relay.te` and a NumPy function; the base class does
the rest. Unless said otherwise the result has the shape and data type of `data`.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import make, masked, number
from relay.op.shapes import expect_kind
from relay.op.tensor import slopes


class UnaryOperator(Operator):
    """Base of the unary operators.

    A derived class gives `scalar`, an operation of `relay.te.UNARY`, and overrides `element` only
    where that is not the whole meaning.
    """

    #: The data types taken; see `relay.op.shapes.expect_kind`.
    kind: ClassVar[str] = "float"
    scalar: ClassVar[str]
    numpy: ClassVar[Callable[..., Array]]
    #: The derivative, of argument and result; see `relay.op.tensor.slopes`.
    slope: ClassVar[Callable[[Expr, Expr], Expr] | None] = None

    def infer(self, data: Type) -> Type:
        return expect_kind(self.name, "data", data, self.kind)

    def compute(self, data: te.Tensor) -> te.Tensor:
        return te.compute(data.shape, lambda *i: self.element(data(*i)), self.name)

    def element(self, x: te.Expr) -> te.Expr:
        """One element of the result."""
        return te.unary(self.scalar, x)

    def reference(self, data: Array) -> Array:
        return np.asarray(type(self).numpy(data), dtype=data.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        slope = type(self).slope
        return super().gradient() if slope is None else (grad * slope(data, result),)


class Rounding(UnaryOperator):
    """Base of the rounding operators: integers are left as they are."""

    piecewise_constant = True
    kind = "number"

    def element(self, x: te.Expr) -> te.Expr:
        return te.unary(self.scalar, x) if dtypes.is_float(x.dtype) else x


class Predicate(UnaryOperator):
    """Base of the tests on one value: the result is ``bool``."""

    piecewise_constant = True
    takes_small = True
    kind = "number"
    #: The answer for every integer.
    on_integers: ClassVar[bool] = False

    def infer(self, data: Type) -> Type:
        return TensorType(expect_kind(self.name, "data", data, self.kind).shape, "bool")

    def element(self, x: te.Expr) -> te.Expr:
        if dtypes.is_float(x.dtype):
            return te.unary(self.scalar, x)
        return te.const(self.on_integers, te.BOOL)

    def reference(self, data: Array) -> Array:
        return np.asarray(type(self).numpy(data))


def _erf(data: Array) -> Array:
    """The error function through the C library's, one element at a time."""
    values = [math.erf(v) for v in data.reshape(-1).tolist()]
    return np.asarray(values, dtype=data.dtype).reshape(data.shape)


def _sigmoid(data: Array) -> Array:
    """``1 / (1 + exp(-x))`` without overflow: the exponent is never positive."""
    small = np.exp(-np.abs(data))
    return np.where(data >= 0, 1 / (1 + small), small / (1 + small))


@operator("exp", inputs=("data",), pattern=Pattern.ELEMWISE)
class Exp(UnaryOperator):
    """The exponential function."""

    scalar = "exp"
    numpy = np.exp
    slope = slopes.exp


@operator("log", inputs=("data",), pattern=Pattern.ELEMWISE)
class Log(UnaryOperator):
    """Natural logarithm; NaN below zero, minus infinity at zero."""

    scalar = "log"
    numpy = np.log
    slope = slopes.log


@operator("log2", inputs=("data",), pattern=Pattern.ELEMWISE)
class Log2(UnaryOperator):
    """Logarithm to base 2."""

    scalar = "log2"
    numpy = np.log2
    slope = slopes.log2


@operator("log10", inputs=("data",), pattern=Pattern.ELEMWISE)
class Log10(UnaryOperator):
    """Logarithm to base 10."""

    scalar = "log10"
    numpy = np.log10
    slope = slopes.log10


@operator("sqrt", inputs=("data",), pattern=Pattern.ELEMWISE)
class Sqrt(UnaryOperator):
    """Square root; NaN below zero."""

    scalar = "sqrt"
    numpy = np.sqrt
    slope = slopes.sqrt


@operator("sin", inputs=("data",), pattern=Pattern.ELEMWISE)
class Sin(UnaryOperator):
    """Sine of an angle in radians."""

    scalar = "sin"
    numpy = np.sin
    slope = slopes.sin


@operator("cos", inputs=("data",), pattern=Pattern.ELEMWISE)
class Cos(UnaryOperator):
    """Cosine of an angle in radians."""

    scalar = "cos"
    numpy = np.cos
    slope = slopes.cos


@operator("tan", inputs=("data",), pattern=Pattern.ELEMWISE)
class Tan(UnaryOperator):
    """Tangent of an angle in radians."""

    scalar = "tan"
    numpy = np.tan
    slope = slopes.tan


@operator("asin", inputs=("data",), pattern=Pattern.ELEMWISE)
class Asin(UnaryOperator):
    """Inverse sine, in radians; NaN outside -1 .. 1."""

    scalar = "asin"
    numpy = np.arcsin
    slope = slopes.asin


@operator("acos", inputs=("data",), pattern=Pattern.ELEMWISE)
class Acos(UnaryOperator):
    """Inverse cosine, in radians; NaN outside -1 .. 1."""

    scalar = "acos"
    numpy = np.arccos
    slope = slopes.acos


@operator("atan", inputs=("data",), pattern=Pattern.ELEMWISE)
class Atan(UnaryOperator):
    """Inverse tangent, in radians."""

    scalar = "atan"
    numpy = np.arctan
    slope = slopes.atan


@operator("sinh", inputs=("data",), pattern=Pattern.ELEMWISE)
class Sinh(UnaryOperator):
    """Hyperbolic sine."""

    scalar = "sinh"
    numpy = np.sinh
    slope = slopes.sinh


@operator("cosh", inputs=("data",), pattern=Pattern.ELEMWISE)
class Cosh(UnaryOperator):
    """Hyperbolic cosine."""

    scalar = "cosh"
    numpy = np.cosh
    slope = slopes.cosh


@operator("tanh", inputs=("data",), pattern=Pattern.ELEMWISE)
class Tanh(UnaryOperator):
    """Hyperbolic tangent."""

    scalar = "tanh"
    numpy = np.tanh
    slope = slopes.tanh


@operator("asinh", inputs=("data",), pattern=Pattern.ELEMWISE)
class Asinh(UnaryOperator):
    """Inverse hyperbolic sine."""

    scalar = "asinh"
    numpy = np.arcsinh
    slope = slopes.asinh


@operator("acosh", inputs=("data",), pattern=Pattern.ELEMWISE)
class Acosh(UnaryOperator):
    """Inverse hyperbolic cosine; NaN below 1."""

    scalar = "acosh"
    numpy = np.arccosh
    slope = slopes.acosh


@operator("atanh", inputs=("data",), pattern=Pattern.ELEMWISE)
class Atanh(UnaryOperator):
    """Inverse hyperbolic tangent; NaN outside -1 .. 1."""

    scalar = "atanh"
    numpy = np.arctanh
    slope = slopes.atanh


@operator("erf", inputs=("data",), pattern=Pattern.ELEMWISE)
class Erf(UnaryOperator):
    """The Gauss error function."""

    scalar = "erf"
    numpy = _erf
    slope = slopes.erf


@operator("sigmoid", inputs=("data",), pattern=Pattern.ELEMWISE)
class Sigmoid(UnaryOperator):
    """``1 / (1 + exp(-x))``."""

    scalar = "sigmoid"
    numpy = _sigmoid
    slope = slopes.sigmoid


@operator("fast_exp", inputs=("data",), pattern=Pattern.ELEMWISE)
class FastExp(UnaryOperator):
    """`exp`, where a relative error of 1e-5 is accepted."""

    scalar = "exp"
    numpy = np.exp
    slope = slopes.exp


@operator("fast_tanh", inputs=("data",), pattern=Pattern.ELEMWISE)
class FastTanh(UnaryOperator):
    """`tanh`, where an absolute error of 1e-5 is accepted."""

    scalar = "tanh"
    numpy = np.tanh
    slope = slopes.tanh


@operator("fast_erf", inputs=("data",), pattern=Pattern.ELEMWISE)
class FastErf(UnaryOperator):
    """`erf`, where an absolute error of 1e-5 is accepted."""

    scalar = "erf"
    numpy = _erf
    slope = slopes.erf


@operator("floor", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Floor(Rounding):
    """The largest integer not above the value."""

    scalar = "floor"
    numpy = np.floor


@operator("ceil", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Ceil(Rounding):
    """The smallest integer not below the value."""

    scalar = "ceil"
    numpy = np.ceil


@operator("trunc", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Trunc(Rounding):
    """The value rounded towards zero."""

    scalar = "trunc"
    numpy = np.trunc


@operator("round", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Round(Rounding):
    """The nearest integer; a tie goes to the even one."""

    scalar = "round"
    numpy = np.rint


@operator("isnan", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class IsNan(Predicate):
    """Whether the value is NaN."""

    scalar = "isnan"
    numpy = np.isnan


@operator("isinf", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class IsInf(Predicate):
    """Whether the value is infinite."""

    scalar = "isinf"
    numpy = np.isinf


@operator("isfinite", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class IsFinite(Predicate):
    """Whether the value is neither infinite nor NaN."""

    scalar = "isfinite"
    numpy = np.isfinite
    on_integers = True


@operator("rsqrt", inputs=("data",), pattern=Pattern.ELEMWISE)
class Rsqrt(UnaryOperator):
    """``1 / sqrt(x)``."""

    scalar = "rsqrt"
    slope = slopes.rsqrt

    def reference(self, data: Array) -> Array:
        return np.asarray(np.reciprocal(np.sqrt(data)), dtype=data.dtype)


@operator("abs", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Abs(UnaryOperator):
    """Absolute value; the smallest signed integer is its own."""

    kind = "number"
    scalar = "abs"
    numpy = np.abs
    slope = slopes.abs

    def element(self, x: te.Expr) -> te.Expr:
        return x if dtypes.is_unsigned(x.dtype) else te.unary("abs", x)


@operator("sign", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Sign(UnaryOperator):
    """-1, 0 or 1 by the sign of the value; NaN stays NaN."""

    piecewise_constant = True
    kind = "number"
    scalar = "sign"
    numpy = np.sign


@operator("negative", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Negative(UnaryOperator):
    """``-x``; integers wrap around."""

    kind = "number"
    scalar = "neg"
    numpy = np.negative

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (make("negative", grad),)


@operator("logical_not", inputs=("data",), pattern=Pattern.ELEMWISE, level=4)
class LogicalNot(UnaryOperator):
    """Whether the value does not hold; ``bool`` only."""

    piecewise_constant = True
    kind = "bool"
    scalar = "not"
    numpy = np.logical_not


@operator("bitwise_not", inputs=("data",), pattern=Pattern.ELEMWISE, level=4)
class BitwiseNot(UnaryOperator):
    """Every bit inverted; integers and ``bool``."""

    piecewise_constant = True
    kind = "bits"
    numpy = np.invert

    def element(self, x: te.Expr) -> te.Expr:
        return te.unary("not" if x.dtype == te.BOOL else "bitnot", x)


@operator("copy", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Copy(UnaryOperator):
    """The values of `data` in a tensor of their own."""

    takes_small = True
    kind = "any"
    numpy = np.array

    def element(self, x: te.Expr) -> te.Expr:
        return x

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (grad,)


@operator("zeros_like", inputs=("data",), pattern=Pattern.ELEMWISE, level=4)
class ZerosLike(UnaryOperator):
    """Zeros of the shape and data type of `data`."""

    takes_small = True
    piecewise_constant = True
    kind = "any"
    numpy = np.zeros_like

    def element(self, x: te.Expr) -> te.Expr:
        return te.const(0, x.dtype)


@operator("ones_like", inputs=("data",), pattern=Pattern.ELEMWISE, level=4)
class OnesLike(UnaryOperator):
    """Ones of the shape and data type of `data`."""

    piecewise_constant = True
    kind = "any"
    numpy = np.ones_like

    def element(self, x: te.Expr) -> te.Expr:
        return te.const(1, x.dtype)


@operator("clip", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Clip(UnaryOperator):
    """Values kept within ``a_min .. a_max``, both inclusive; NaN stays NaN.

    Limits outside the range of an integer data type are the ends of that range.
    """

    kind = "number"

    a_min: float
    a_max: float

    def _limits(self, dtype: str) -> tuple[float, float]:
        if dtypes.is_float(dtype):
            return self.a_min, self.a_max
        lowest, highest = dtypes.integer_range(dtype)
        low = lowest if self.a_min <= lowest else min(math.ceil(self.a_min), highest)
        high = highest if self.a_max >= highest else max(math.floor(self.a_max), lowest)
        return low, high

    def element(self, x: te.Expr) -> te.Expr:
        return te.clamp(x, *self._limits(x.dtype))

    def reference(self, data: Array) -> Array:
        low, high = self._limits(data.dtype.name)
        return np.clip(data, np.asarray(low, dtype=data.dtype), np.asarray(high, dtype=data.dtype))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        low, high = number(self.a_min, data), number(self.a_max, data)
        inside = make("logical_and", data >= low, data <= high)
        return (masked(inside, grad),)
