"""Arithmetic, comparison, logic and conversion, element by element."""

from collections.abc import Callable
from functools import reduce
from typing import Final

import numpy as np

from relay import dtypes
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

#: ONNX operator -> operator of one argument.
UNARY: Final = {
    "Abs": "abs",
    "Acos": "acos",
    "Acosh": "acosh",
    "Asin": "asin",
    "Asinh": "asinh",
    "Atan": "atan",
    "Atanh": "atanh",
    "BitwiseNot": "bitwise_not",
    "Ceil": "ceil",
    "Cos": "cos",
    "Cosh": "cosh",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "IsNaN": "isnan",
    "Log": "log",
    "Neg": "negative",
    "Not": "logical_not",
    "Round": "round",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Sqrt": "sqrt",
    "Tan": "tan",
    "Tanh": "tanh",
}

#: ONNX operator -> operator of two arguments that broadcast.
BINARY: Final = {
    "Add": "add",
    "And": "logical_and",
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Mul": "multiply",
    "Or": "logical_or",
    "Sub": "subtract",
    "Xor": "logical_xor",
}

#: ONNX operator of any number of arguments -> operator that combines two.
VARIADIC: Final = {"Max": "maximum", "Min": "minimum", "Sum": "add"}


def _unary(operator: str) -> Callable[[Node], Expr]:
    return lambda node: node.call(operator, node.arg(0))


def operands(node: Node) -> tuple[Expr, Expr]:
    """Two arguments that broadcast.

    Before version 7, the second had to ask for that, and could start at any axis of the first.
    """
    left, right = node.arg(0), node.arg(1)
    if node.opset >= 7 or not node.integer("broadcast", 0) or not node.has("axis"):
        return left, right
    axis = node.axis("axis", node.rank(left))
    shape = node.dims(right)
    missing = node.rank(left) - axis - len(shape)
    if missing < 0:
        node.fail(f"{shape} does not fit into {node.type_of(left)} from axis {axis} on")
    return left, node.reshape(right, (*shape, *[1] * missing))


def _binary(operator: str) -> Callable[[Node], Expr]:
    return lambda node: node.call(operator, *operands(node))


def _variadic(operator: str) -> Callable[[Node], Expr]:
    return lambda node: reduce(lambda a, b: node.call(operator, a, b), node.args())


for _name, _operator in UNARY.items():
    onnx_op("", _name)(_unary(_operator))
for _name, _operator in BINARY.items():
    onnx_op("", _name)(_binary(_operator))
for _name, _operator in VARIADIC.items():
    onnx_op("", _name)(_variadic(_operator))


@onnx_op("", "Identity")
def identity(node: Node) -> Expr:
    """The input itself."""
    return node.arg(0)


@onnx_op("", "Mean")
def mean(node: Node) -> Expr:
    """The mean of any number of tensors, which broadcast."""
    values = node.args()
    total = reduce(lambda a, b: node.call("add", a, b), values)
    if len(values) == 1:
        return total
    return node.call("divide", total, node.like(len(values), total))


@onnx_op("", "Div")
def divide(node: Node) -> Expr:
    """Division; of integers it rounds towards zero."""
    left, right = operands(node)
    whole = dtypes.is_integer(node.dtype(left))
    return node.call("trunc_divide" if whole else "divide", left, right)


@onnx_op("", "Mod")
def modulo(node: Node) -> Expr:
    """Remainder, with the sign of the divisor, or of the dividend where `fmod` is 1."""
    left, right = node.arg(0), node.arg(1)
    if node.integer("fmod", 0):
        return node.call("trunc_mod", left, right)
    if not dtypes.is_float(node.dtype(left)):
        return node.call("floor_mod", left, right)
    # A remainder of zero has the sign of the divisor, which IEEE 754's remainder does not tell.
    rest = node.call("trunc_mod", left, right)
    zero = node.like(0, rest)
    differs = node.call("not_equal", node.call("less", rest, zero), node.call("less", right, zero))
    moved = node.call("where", differs, node.call("add", rest, right), rest)
    nothing = node.call("multiply", node.call("sign", right), zero)
    return node.call("where", node.call("equal", rest, zero), nothing, moved)


@onnx_op("", "Pow")
def power(node: Node) -> Expr:
    """Power, in the data type of the base."""
    base, exponent = operands(node)
    dtype = node.dtype(base)
    known = node.known(exponent)
    if known is not None and known.size == 1 and node.rank(exponent) <= node.rank(base):
        if known.item() == 2:
            return node.call("multiply", base, base)
        if known.item() == 1:
            return base
        if known.item() == 0.5 and dtypes.is_float(dtype):
            return node.call("sqrt", base)
    if dtypes.is_float(node.dtype(exponent)) and not dtypes.is_float(dtype):
        base = node.cast(base, node.dtype(exponent))
    return node.cast(node.call("power", base, node.cast(exponent, node.dtype(base))), dtype)


@onnx_op("", "Reciprocal")
def reciprocal(node: Node) -> Expr:
    """``1 / x``."""
    return node.call("divide", node.like(1, node.arg(0)), node.arg(0))


@onnx_op("", "BitShift")
def bit_shift(node: Node) -> Expr:
    """Shift of bits, LEFT or RIGHT."""
    direction = node.text("direction", "")
    if direction not in ("LEFT", "RIGHT"):
        node.fail(f"its direction must be LEFT or RIGHT, found {direction!r}")
    return node.call(f"{direction.lower()}_shift", node.arg(0), node.arg(1))


@onnx_op("", "IsInf")
def is_infinite(node: Node) -> Expr:
    """Whether an element is infinite, of either sign or of one."""
    value = node.arg(0)
    negative = bool(node.integer("detect_negative", 1))
    positive = bool(node.integer("detect_positive", 1))
    if negative and positive:
        return node.call("isinf", value)
    if not negative and not positive:
        return node.filled(node.shape(value), False, "bool")
    return node.call("equal", value, node.like(np.inf if positive else -np.inf, value))


@onnx_op("", "Where")
def where(node: Node) -> Expr:
    """Elements of one tensor where a condition holds, of the other elsewhere."""
    return node.call("where", node.arg(0), node.arg(1), node.arg(2))


def _between(node: Node, value: Expr, low: Expr | None, high: Expr | None) -> Expr:
    bottom, top = node.known(low), node.known(high)
    if bottom is not None and top is not None and dtypes.is_float(node.dtype(value)):
        if bottom.size == top.size == 1:
            return node.call("clip", value, a_min=float(bottom.item()), a_max=float(top.item()))
    if low is not None:
        value = node.call("maximum", value, low)
    return value if high is None else node.call("minimum", value, high)


@onnx_op("", "Clip")
def clip_by_attributes(node: Node) -> Expr:
    """Limits to a range that attributes give."""
    value = node.arg(0)
    low = node.like(node.number("min", 0), value) if node.has("min") else None
    high = node.like(node.number("max", 0), value) if node.has("max") else None
    return _between(node, value, low, high)


@onnx_op("", "Clip", since=11)
def clip(node: Node) -> Expr:
    """Limits to a range that inputs give."""
    return _between(node, node.arg(0), node.optional(1), node.optional(2))
