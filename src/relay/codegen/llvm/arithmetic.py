"""Arithmetic on floats and on their bits, with numbers in place of constants of their type."""

from collections.abc import Sequence

from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.types import Number, Value, constant


class Arithmetic:
    """Short names for the float operations on values of one builder."""

    def __init__(self, builder: FunctionBuilder) -> None:
        self.b = builder

    def of(self, x: Value | float, like: Value) -> Value:
        """A number as a constant of the type of `like`."""
        return x if isinstance(x, Value) else constant(x, like.dtype)

    def add(self, x: Value, y: Value | float) -> Value:
        return self.b.instruction("fadd", x, self.of(y, x))

    def sub(self, x: Value, y: Value | float) -> Value:
        return self.b.instruction("fsub", x, self.of(y, x))

    def mul(self, x: Value, y: Value | float) -> Value:
        return self.b.instruction("fmul", x, self.of(y, x))

    def div(self, x: Value, y: Value | float) -> Value:
        return self.b.instruction("fdiv", x, self.of(y, x))

    def fma(self, x: Value, y: Value | float, z: Value | float) -> Value:
        return self.b.fma(x, self.of(y, x), self.of(z, x))

    def neg(self, x: Value) -> Value:
        return Value(self.b.pure(f"fneg {x.typed}"), x.dtype, x.lanes)

    def abs(self, x: Value) -> Value:
        return self.b.call("llvm.fabs", x)

    def copysign(self, x: Value, sign: Value) -> Value:
        return self.b.call("llvm.copysign", x, sign)

    def compare(self, op: str, x: Value, y: Value | float) -> Value:
        return self.b.instruction(f"fcmp {op}", x, self.of(y, x), "bool")

    def at_most(self, x: Value, bound: float) -> Value:
        """The smaller of the two; NaN stays NaN."""
        return self.b.select(self.compare("ogt", x, bound), self.of(bound, x), x)

    def at_least(self, x: Value, bound: float) -> Value:
        """The larger of the two; NaN stays NaN."""
        return self.b.select(self.compare("olt", x, bound), self.of(bound, x), x)

    def integer(self, op: str, x: Value, y: Value | int) -> Value:
        """An integer instruction."""
        return self.b.instruction(op, x, y if isinstance(y, Value) else constant(y, x.dtype))

    def either(self, x: Value, y: Value) -> Value:
        return self.b.instruction("or", x, y)

    def both(self, x: Value, y: Value) -> Value:
        return self.b.instruction("and", x, y)

    def where(self, cond: Value, x: Value | Number, y: Value) -> Value:
        """`x` where `cond`, else `y`."""
        return self.b.select(cond, x if isinstance(x, Value) else constant(x, y.dtype), y)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """The polynomial with `coefficients`, lowest power first, by Horner's scheme."""
        total = self.b.like(coefficients[-1], x)
        for coefficient in reversed(coefficients[:-1]):
            total = self.fma(total, x, coefficient)
        return total

    def libm(self, name: str, *args: Value) -> Value:
        """A function of the C mathematics library, lane by lane."""
        return self.b.scalar_call(name + ("f" if args[0].dtype == "float32" else ""), *args)
