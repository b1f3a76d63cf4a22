"""Indices in linear form: a constant plus integer multiples of run-time values.

Addresses of unrolled code differ by constants only; kept apart, those become displacements of
machine instructions, and the part that varies is computed once. The coefficient of the lane
variable is the stride of a vector access.
"""

from dataclasses import dataclass
from typing import TypeAlias

LANE = "lane"
Range: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Linear:
    """``const + sum(coefficient * value)``; values are LLVM names, or `LANE`."""

    const: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    def __add__(self, other: "Linear") -> "Linear":
        if not other.terms:
            return Linear(self.const + other.const, self.terms)
        if not self.terms:
            return Linear(self.const + other.const, other.terms)
        total = dict(self.terms)
        for name, coefficient in other.terms:
            total[name] = total.get(name, 0) + coefficient
        return Linear(self.const + other.const, tuple((n, c) for n, c in total.items() if c))

    def __sub__(self, other: "Linear") -> "Linear":
        return self + other.scaled(-1)

    def scaled(self, factor: int) -> "Linear":
        """This form times an integer."""
        if factor == 0:
            return Linear()
        if factor == 1:
            return self
        return Linear(self.const * factor, tuple((n, c * factor) for n, c in self.terms))

    @property
    def stride(self) -> int:
        """The coefficient of the lane variable."""
        for name, coefficient in self.terms:
            if name == LANE:
                return coefficient
        return 0

    def without_lane(self) -> "Linear":
        """The value in lane 0."""
        return Linear(self.const, tuple(t for t in self.terms if t[0] != LANE))

    def split(self, divisor: int) -> "tuple[Linear, Linear]":
        """``(q, r)`` with ``self == divisor * q + r``, as much in `q` as divides evenly."""
        even = tuple((n, c // divisor) for n, c in self.terms if c % divisor == 0)
        rest = tuple((n, c) for n, c in self.terms if c % divisor)
        return Linear(self.const // divisor, even), Linear(self.const % divisor, rest)

    def range(self, ranges: dict[str, Range]) -> Range | None:
        """Smallest and largest value, given those of its parts; None where one is unknown."""
        low = high = self.const
        for name, coefficient in self.terms:
            known = ranges.get(name)
            if known is None:
                return None
            a, b = known[0] * coefficient, known[1] * coefficient
            low, high = low + min(a, b), high + max(a, b)
        return low, high


def decide(op: str, known: Range) -> bool | None:
    """Whether ``d op 0`` holds for every `d` in a range (True), for none (False), or for some."""
    low, high = known
    match op:
        case "lt":
            return True if high < 0 else False if low >= 0 else None
        case "le":
            return True if high <= 0 else False if low > 0 else None
        case "gt":
            return True if low > 0 else False if high <= 0 else None
        case "ge":
            return True if low >= 0 else False if high < 0 else None
    if low == high == 0:
        return op == "eq"
    return op == "ne" if low > 0 or high < 0 else None
