"""Visitors of the patterns of matches, which users derive from: one method per kind of pattern.

As with `relay.ir.functor`, a method may call ``self.visit`` on what is inside as if nothing were
deep: the patterns inside are visited before the method is called, without recursion.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from relay.ir.patterns import (
    Pattern,
    PatternConstructor,
    PatternTuple,
    PatternVar,
    PatternWildcard,
    pre_order,
)
from relay.support.errors import UnsupportedError

R = TypeVar("R")


class PatternFunctor(Generic[R]):
    """A function on patterns: `visit`, with a method for each kind.

    A derived class that defines ``__init__`` has to call ``super().__init__()``.
    """

    def __init__(self) -> None:
        self.memo_map: dict[Pattern, R] = {}

    def visit(self, pattern: Pattern) -> R:
        """The result for `pattern`: computed once, kept in `memo_map`."""
        if pattern not in self.memo_map:
            for current in reversed(pre_order(pattern)):
                if current not in self.memo_map:
                    self.memo_map[current] = self.dispatch(current)
        return self.memo_map[pattern]

    def dispatch(self, pattern: Pattern) -> R:
        """Call the method for the kind of `pattern`."""
        match pattern:
            case PatternWildcard():
                return self.visit_pattern_wildcard(pattern)
            case PatternVar():
                return self.visit_pattern_var(pattern)
            case PatternConstructor():
                return self.visit_pattern_constructor(pattern)
            case PatternTuple():
                return self.visit_pattern_tuple(pattern)
            case _:
                return self.visit_default(pattern)

    def visit_default(self, pattern: Pattern) -> R:
        """What is done where the derived class has no method for the kind of `pattern`.

        Raises `UnsupportedError` unless overridden.
        """
        raise UnsupportedError(f"{type(self).__name__} has no case for a {type(pattern).__name__}")

    def visit_pattern_wildcard(self, pattern: PatternWildcard) -> R:
        """``_``."""
        return self.visit_default(pattern)

    def visit_pattern_var(self, pattern: PatternVar) -> R:
        """A variable that is bound."""
        return self.visit_default(pattern)

    def visit_pattern_constructor(self, pattern: PatternConstructor) -> R:
        """A constructor with the patterns of its fields."""
        return self.visit_default(pattern)

    def visit_pattern_tuple(self, pattern: PatternTuple) -> R:
        """A tuple with the patterns of its fields."""
        return self.visit_default(pattern)


class PatternVisitor(PatternFunctor[None]):
    """Visits everything in a pattern once; override the methods for the kinds of interest."""

    def visit_default(self, pattern: Pattern) -> None:
        """Visit the patterns inside."""
        for child in pattern.children():
            self.visit(child)


class PatternMutator(PatternFunctor[Pattern]):
    """Rebuilds patterns over what its methods return; what does not change stays as it is."""

    def visit_default(self, pattern: Pattern) -> Pattern:
        """`pattern` itself."""
        return pattern

    def visit_pattern_constructor(self, pattern: PatternConstructor) -> Pattern:
        """Rebuild the pattern over the visited patterns of its fields."""
        inner = self._inner(pattern)
        return pattern if inner is None else PatternConstructor(pattern.constructor, inner)

    def visit_pattern_tuple(self, pattern: PatternTuple) -> Pattern:
        """Rebuild the pattern over the visited patterns of its fields."""
        inner = self._inner(pattern)
        return pattern if inner is None else PatternTuple(inner)

    def _inner(self, pattern: Pattern) -> Sequence[Pattern] | None:
        """What the patterns inside have become; None when nothing has changed."""
        old = pattern.children()
        new = [self.visit(child) for child in old]
        return None if all(a is b for a, b in zip(old, new, strict=True)) else new
