"""Arithmetic on indices in linear form, and the instructions for what leaves that form.

A result is again a linear form where it can be one: what is known of the ranges of its parts
decides comparisons, extrema and remainders, and other values on one lane become terms.
"""

from relay.codegen.llvm import scalar
from relay.codegen.llvm.access import Access
from relay.codegen.llvm.index import Linear, Range, decide
from relay.codegen.llvm.types import Value, constant, constant_vector
from relay.te.expr import BOOL, INDEX


class IndexArithmetic:
    """Operations on linear forms in one function; `ranges` is what is known of named values.

    None as a result says that there is no linear form.
    """

    #: The operations that `binary` takes.
    BINARY = frozenset("add sub mul floordiv floormod min max".split())

    def __init__(self, access: Access, ranges: dict[str, Range]) -> None:
        self.access = access
        self.builder = access.builder
        self.ranges = ranges

    # ------------------------------------------------------------------ forms and values

    def value(self, form: Linear) -> Value:
        """A linear form that does not depend on the lane, as a value."""
        return self.access.sum_terms(form)

    def vector(self, form: Linear, lanes: int) -> Value:
        """A linear form as a value: a vector where it depends on the lane."""
        base = self.value(form.without_lane())
        if not form.stride:
            return base
        steps = constant_vector([form.stride * lane for lane in range(lanes)], INDEX)
        return self.builder.instruction("add", base, steps)

    def form(self, value: Value, known: Range | None = None) -> Linear | None:
        """A value that is not further analysed, as a linear form."""
        if value.lanes:
            return None
        if value.const is not None:
            return Linear(int(value.const))
        if known is not None:
            self.ranges.setdefault(value.text, known)
        return Linear(0, ((value.text, 1),))

    # ------------------------------------------------------------------ operations

    def binary(self, op: str, a: Linear, b: Linear) -> Linear | None:
        """``a op b``, where `op` is one of `BINARY`."""
        match op:
            case "add":
                return a + b
            case "sub":
                return a - b
            case "mul":
                return self._product(a, b)
            case "min" | "max":
                return self._extremum(op, a, b)
        return self._division(op, a, b)

    def _product(self, a: Linear, b: Linear) -> Linear | None:
        if not b.terms:
            return a.scaled(b.const)
        if not a.terms:
            return b.scaled(a.const)
        if a.stride or b.stride:
            return None
        return self.form(self.builder.instruction("mul nsw", self.value(a), self.value(b)))

    def _division(self, op: str, a: Linear, b: Linear) -> Linear | None:
        """The quotient (``floordiv``) or the remainder (``floormod``)."""
        if b.stride:
            return None
        divides = op == "floordiv"
        if b.terms or b.const <= 0:
            if a.stride:
                return None
            x, y = self.value(a), self.value(b)
            return self.form(scalar.binary(self.builder, op, x, y))
        divisor = b.const
        quotient, rest = a.split(divisor)
        known = rest.range(self.ranges)
        if known is not None and known[0] >= 0 and known[1] < divisor:
            return quotient if divides else rest
        if rest.stride:
            return None
        x, y = self.value(rest), constant(divisor, INDEX)
        bounds: Range | None
        if known is not None and known[0] >= 0:
            # Unsigned division is the shorter instruction sequence.
            name = "udiv" if divides else "urem"
            value = self.builder.instruction(name, x, y)
            bounds = (known[0] // divisor, known[1] // divisor) if divides else (0, divisor - 1)
        else:
            value = scalar.binary(self.builder, op, x, y)
            bounds = None if divides else (0, divisor - 1)
        form = self.form(value, bounds)
        return quotient + form if divides and form is not None else form

    def _extremum(self, op: str, a: Linear, b: Linear) -> Linear | None:
        known = (a - b).range(self.ranges)
        if known is not None:
            if known[1] <= 0:
                return a if op == "min" else b
            if known[0] >= 0:
                return b if op == "min" else a
        if a.stride or b.stride:
            return None
        x, y = a.range(self.ranges), b.range(self.ranges)
        pick = min if op == "min" else max
        bounds = (pick(x[0], y[0]), pick(x[1], y[1])) if x is not None and y is not None else None
        value = scalar.binary(self.builder, op, self.value(a), self.value(b))
        return self.form(value, bounds)

    def compare(self, op: str, a: Linear, b: Linear, lanes: int) -> Value | None:
        """``a op b`` decided from its range, or on 32-bit lanes where those are wide enough.

        None where the range is not known.
        """
        difference = a - b
        known = difference.range(self.ranges)
        if known is None:
            return None
        decided = decide(op, known)
        if decided is not None:
            return constant(decided, BOOL)
        stride = difference.stride
        if not stride:
            return scalar.compare(self.builder, op, self.value(a), self.value(b))
        bound = self.value(difference.without_lane().scaled(-1))
        steps = [stride * lane for lane in range(lanes)]
        reach = max(map(abs, (*steps, *known)))
        dtype = "int32" if 2 * reach < 2**31 else INDEX
        return scalar.compare(
            self.builder, op, constant_vector(steps, dtype), scalar.cast(self.builder, bound, dtype)
        )
