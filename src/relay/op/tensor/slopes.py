"""Derivatives of the unary operators: functions of the argument `x` and the result `y`."""

import math

from relay.ir.expr import Expr
from relay.op.gradients import make, number, scaled


def _reciprocal(x: Expr) -> Expr:
    return number(1, x) / x


def _one_plus_square(x: Expr) -> Expr:
    return number(1, x) + x * x


def _one_minus_square(x: Expr) -> Expr:
    return number(1, x) - x * x


def exp(_: Expr, y: Expr) -> Expr:
    """``exp' = exp``."""
    return y


def log(x: Expr, _: Expr) -> Expr:
    """``1 / x``."""
    return _reciprocal(x)


def log2(x: Expr, _: Expr) -> Expr:
    """``1 / (x log 2)``."""
    return _reciprocal(scaled(x, math.log(2)))


def log10(x: Expr, _: Expr) -> Expr:
    """``1 / (x log 10)``."""
    return _reciprocal(scaled(x, math.log(10)))


def sqrt(_: Expr, y: Expr) -> Expr:
    """``1 / (2 sqrt(x))``."""
    return number(0.5, y) / y


def rsqrt(x: Expr, y: Expr) -> Expr:
    """``-x ** (-3/2) / 2``."""
    return scaled(y, -0.5) / x


def sin(x: Expr, _: Expr) -> Expr:
    """``cos``."""
    return make("cos", x)


def cos(x: Expr, _: Expr) -> Expr:
    """``-sin``."""
    return make("negative", make("sin", x))


def tan(_: Expr, y: Expr) -> Expr:
    """``1 + tan ** 2``."""
    return _one_plus_square(y)


def asin(x: Expr, _: Expr) -> Expr:
    """``1 / sqrt(1 - x * x)``."""
    return make("rsqrt", _one_minus_square(x))


def acos(x: Expr, _: Expr) -> Expr:
    """``-1 / sqrt(1 - x * x)``."""
    return make("negative", make("rsqrt", _one_minus_square(x)))


def atan(x: Expr, _: Expr) -> Expr:
    """``1 / (1 + x * x)``."""
    return _reciprocal(_one_plus_square(x))


def sinh(x: Expr, _: Expr) -> Expr:
    """``cosh``."""
    return make("cosh", x)


def cosh(x: Expr, _: Expr) -> Expr:
    """``sinh``."""
    return make("sinh", x)


def tanh(_: Expr, y: Expr) -> Expr:
    """``1 - tanh ** 2``."""
    return _one_minus_square(y)


def asinh(x: Expr, _: Expr) -> Expr:
    """``1 / sqrt(x * x + 1)``."""
    return make("rsqrt", _one_plus_square(x))


def acosh(x: Expr, _: Expr) -> Expr:
    """``1 / sqrt(x * x - 1)``."""
    return make("rsqrt", x * x - number(1, x))


def atanh(x: Expr, _: Expr) -> Expr:
    """``1 / (1 - x * x)``."""
    return _reciprocal(_one_minus_square(x))


def erf(x: Expr, _: Expr) -> Expr:
    """``2 / sqrt(pi) * exp(-x * x)``."""
    return scaled(make("exp", make("negative", x * x)), 2 / math.sqrt(math.pi))


def sigmoid(_: Expr, y: Expr) -> Expr:
    """``y * (1 - y)``."""
    return y * (number(1, y) - y)


def abs(x: Expr, _: Expr) -> Expr:  # noqa: A001 - the operator's name
    """The sign; 0 at 0."""
    return make("sign", x)
