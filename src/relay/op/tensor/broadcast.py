"""Binary operators with broadcasting: arithmetic, comparison, logic, bits.

Shapes broadcast as in NumPy: aligned at the last dimension, size 1 is repeated. Both sides have one
data type. Unless said otherwise the result has it too.
"""

from typing import ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import make, masked, number, unbroadcast
from relay.op.shapes import broadcast_types, expect_kind, te_broadcast_read, te_broadcast_shape


class BroadcastOperator(Operator):
    """Base of the binary operators: a derived class says what one element is."""

    #: The data types taken; see `relay.op.shapes.expect_kind`.
    kind: ClassVar[str] = "number"

    def infer(self, lhs: Type, rhs: Type) -> Type:
        expect_kind(self.name, self.inputs[0], lhs, self.kind)
        expect_kind(self.name, self.inputs[1], rhs, self.kind)
        return broadcast_types(self.name, lhs, rhs)

    def compute(self, lhs: te.Tensor, rhs: te.Tensor) -> te.Tensor:
        shape = te_broadcast_shape(lhs.shape, rhs.shape)

        def element(*indices: te.Expr) -> te.Expr:
            a = te_broadcast_read(lhs, indices, shape)
            b = te_broadcast_read(rhs, indices, shape)
            return self.element(a, b)

        return te.compute(shape, element, self.name)

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        """One element of the result."""
        raise AssertionError(f"{self.name} does not say what an element is")


class Comparison(BroadcastOperator):
    """Base of the comparisons: the result is ``bool``."""

    takes_small = True
    piecewise_constant = True
    kind = "any"

    def infer(self, lhs: Type, rhs: Type) -> Type:
        return TensorType(broadcast_types(self.name, lhs, rhs).shape, "bool")


def _is_float(value: te.Expr) -> bool:
    return dtypes.is_float(value.dtype)


def _divide_truncating(lhs: Array, rhs: Array) -> Array:
    """Quotient rounded towards zero, in the data type of the arguments."""
    if np.issubdtype(lhs.dtype, np.floating):
        return np.trunc(np.divide(lhs, rhs))
    quotient = np.floor_divide(lhs, rhs)
    rounded_down = (quotient * rhs != lhs) & ((lhs < 0) != (rhs < 0))
    return np.asarray(quotient + rounded_down, dtype=lhs.dtype)


def _truncated_quotient(a: te.Expr, b: te.Expr) -> te.Expr:
    return te.unary("trunc", a / b) if _is_float(a) else te.binary("truncdiv", a, b)


def _truncated_remainder(a: te.Expr, b: te.Expr) -> te.Expr:
    if not _is_float(a):
        return te.binary("truncmod", a, b)
    # An infinite divisor leaves what is finite as it is, where the formula has zero times infinity.
    return te.select(_only_last_infinite(a, b), a, a - te.unary("trunc", a / b) * b)


def _floored_remainder(a: te.Expr, b: te.Expr) -> te.Expr:
    if not _is_float(a):
        return a % b
    beyond = te.select(a * b < 0, b, a)  # of different signs, all of the divisor is left
    return te.select(_only_last_infinite(a, b), beyond, a - te.unary("floor", a / b) * b)


def _only_last_infinite(a: te.Expr, b: te.Expr) -> te.Expr:
    infinity = te.const(float("inf"), a.dtype)
    return te.both(te.equal(te.unary("abs", b), infinity), te.unary("abs", a) < infinity)


@operator("add", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST)
class Add(BroadcastOperator):
    """``lhs + rhs``; integers wrap around."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return a + b

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.add(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        return unbroadcast(grad, lhs), unbroadcast(grad, rhs)


@operator("subtract", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST)
class Subtract(BroadcastOperator):
    """``lhs - rhs``; integers wrap around."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return a - b

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.subtract(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        return unbroadcast(grad, lhs), make("negative", unbroadcast(grad, rhs))


@operator("multiply", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST)
class Multiply(BroadcastOperator):
    """``lhs * rhs``; integers wrap around."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return a * b

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.multiply(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        return unbroadcast(grad * rhs, lhs), unbroadcast(grad * lhs, rhs)


@operator("divide", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST)
class Divide(BroadcastOperator):
    """``lhs / rhs``; on integers the quotient is rounded towards zero, as in C."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return a / b if _is_float(a) else te.binary("truncdiv", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        if np.issubdtype(lhs.dtype, np.floating):
            return np.divide(lhs, rhs)
        return _divide_truncating(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        share = grad / rhs
        return unbroadcast(share, lhs), make("negative", unbroadcast(share * result, rhs))


@operator("floor_divide", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST)
class FloorDivide(BroadcastOperator):
    """``floor(lhs / rhs)``."""

    piecewise_constant = True

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.unary("floor", a / b) if _is_float(a) else a // b

    def reference(self, lhs: Array, rhs: Array) -> Array:
        if np.issubdtype(lhs.dtype, np.floating):
            return np.floor(lhs / rhs)
        return np.floor_divide(lhs, rhs)


@operator("trunc_divide", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST)
class TruncDivide(BroadcastOperator):
    """``trunc(lhs / rhs)``: the quotient rounded towards zero."""

    piecewise_constant = True

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return _truncated_quotient(a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return _divide_truncating(lhs, rhs)


@operator("mod", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST)
class Mod(BroadcastOperator):
    """Remainder of the division rounded towards zero: it has the sign of `lhs`, as in C."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return _truncated_remainder(a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.fmod(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        turns = make("trunc", lhs / rhs)
        return unbroadcast(grad, lhs), make("negative", unbroadcast(grad * turns, rhs))


@operator("trunc_mod", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST)
class TruncMod(BroadcastOperator):
    """Remainder of `trunc_divide`: it has the sign of `lhs`."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return _truncated_remainder(a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.fmod(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        turns = make("trunc", lhs / rhs)
        return unbroadcast(grad, lhs), make("negative", unbroadcast(grad * turns, rhs))


@operator("floor_mod", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST)
class FloorMod(BroadcastOperator):
    """Remainder of `floor_divide`: it has the sign of `rhs`."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return _floored_remainder(a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.mod(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        turns = make("floor", lhs / rhs)
        return unbroadcast(grad, lhs), make("negative", unbroadcast(grad * turns, rhs))


@operator("power", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class Power(BroadcastOperator):
    """``lhs`` to the power ``rhs``; an integer exponent must not be negative."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.power(a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.power(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        by_base = grad * rhs * make("power", lhs, rhs - number(1, rhs))
        # Zero to a positive power stays zero; its logarithm must not make that a NaN.
        logarithm = make(
            "log", make("where", make("equal", lhs, number(0, lhs)), number(1, lhs), lhs)
        )
        return unbroadcast(by_base, lhs), unbroadcast(grad * result * logarithm, rhs)


@operator("maximum", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class Maximum(BroadcastOperator):
    """The larger value; NaN where either is NaN."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.maximum(a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.maximum(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        left = make("greater_equal", lhs, rhs)
        right = make("logical_not", left)
        return unbroadcast(masked(left, grad), lhs), unbroadcast(masked(right, grad), rhs)


@operator("minimum", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class Minimum(BroadcastOperator):
    """The smaller value; NaN where either is NaN."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.minimum(a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.minimum(lhs, rhs)

    def gradient(self, grad: Expr, result: Expr, lhs: Expr, rhs: Expr) -> Gradients:
        left = make("less_equal", lhs, rhs)
        right = make("logical_not", left)
        return unbroadcast(masked(left, grad), lhs), unbroadcast(masked(right, grad), rhs)


@operator("equal", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class Equal(Comparison):
    """``lhs == rhs``, a ``bool`` tensor."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.compare("eq", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.equal(lhs, rhs)


@operator("not_equal", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class NotEqual(Comparison):
    """``lhs != rhs``, a ``bool`` tensor."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.compare("ne", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.not_equal(lhs, rhs)


@operator("less", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class Less(Comparison):
    """``lhs < rhs``, a ``bool`` tensor."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return a < b

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.less(lhs, rhs)


@operator("less_equal", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class LessEqual(Comparison):
    """``lhs <= rhs``, a ``bool`` tensor."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return a <= b

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.less_equal(lhs, rhs)


@operator("greater", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class Greater(Comparison):
    """``lhs > rhs``, a ``bool`` tensor."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return a > b

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.greater(lhs, rhs)


@operator("greater_equal", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class GreaterEqual(Comparison):
    """``lhs >= rhs``, a ``bool`` tensor."""

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return a >= b

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.greater_equal(lhs, rhs)


@operator("logical_and", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class LogicalAnd(BroadcastOperator):
    """Whether both hold; ``bool`` only."""

    piecewise_constant = True
    kind = "bool"

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.binary("and", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.logical_and(lhs, rhs)


@operator("logical_or", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class LogicalOr(BroadcastOperator):
    """Whether either holds; ``bool`` only."""

    piecewise_constant = True
    kind = "bool"

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.binary("or", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.logical_or(lhs, rhs)


@operator("logical_xor", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class LogicalXor(BroadcastOperator):
    """Whether exactly one holds; ``bool`` only."""

    piecewise_constant = True
    kind = "bool"

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.compare("ne", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.logical_xor(lhs, rhs)


@operator("bitwise_and", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class BitwiseAnd(BroadcastOperator):
    """Bits set in both; integers and ``bool``."""

    piecewise_constant = True
    kind = "bits"

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.binary("and", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.bitwise_and(lhs, rhs)


@operator("bitwise_or", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class BitwiseOr(BroadcastOperator):
    """Bits set in either; integers and ``bool``."""

    piecewise_constant = True
    kind = "bits"

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.binary("or", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.bitwise_or(lhs, rhs)


@operator("bitwise_xor", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class BitwiseXor(BroadcastOperator):
    """Bits set in exactly one; integers and ``bool``."""

    piecewise_constant = True
    kind = "bits"

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.compare("ne", a, b) if a.dtype == te.BOOL else te.binary("xor", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.bitwise_xor(lhs, rhs)


@operator("left_shift", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class LeftShift(BroadcastOperator):
    """``lhs`` shifted left by ``rhs`` bits, ``0 <= rhs <`` the number of bits; integers only."""

    piecewise_constant = True
    kind = "integer"

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.binary("shl", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.left_shift(lhs, rhs)


@operator("right_shift", inputs=("lhs", "rhs"), pattern=Pattern.BROADCAST, level=4)
class RightShift(BroadcastOperator):
    """``lhs`` shifted right by ``rhs`` bits; the sign is kept on signed integers."""

    piecewise_constant = True
    kind = "integer"

    def element(self, a: te.Expr, b: te.Expr) -> te.Expr:
        return te.binary("shr", a, b)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.right_shift(lhs, rhs)
