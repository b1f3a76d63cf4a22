"""Patterns of a match. Immutable, compared by identity; none of the walks recurses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from relay.ir.adt import Constructor
from relay.ir.expr import Var

R = TypeVar("R")


class Pattern:
    """Base of all patterns."""

    __slots__ = ()

    def children(self) -> "tuple[Pattern, ...]":
        """The patterns directly inside this one."""
        return ()

    def __str__(self) -> str:
        return pattern_text(self, lambda variable: f"%{variable.name_hint}")


@dataclass(frozen=True, eq=False)
class PatternWildcard(Pattern):
    """Matches everything: ``_``."""

    __str__ = Pattern.__str__


@dataclass(frozen=True, eq=False)
class PatternVar(Pattern):
    """Matches everything and binds it to `var`: ``%x``."""

    var: Var

    __str__ = Pattern.__str__


@dataclass(frozen=True, eq=False, init=False)
class PatternConstructor(Pattern):
    """Matches values that `constructor` made whose fields match `patterns`: ``Cons(%h, _)``."""

    constructor: Constructor
    patterns: tuple[Pattern, ...]

    def __init__(self, constructor: Constructor, patterns: Sequence[Pattern] | None = None) -> None:
        object.__setattr__(self, "constructor", constructor)
        object.__setattr__(self, "patterns", tuple(patterns or ()))

    def children(self) -> tuple[Pattern, ...]:
        return self.patterns

    __str__ = Pattern.__str__


@dataclass(frozen=True, eq=False, init=False)
class PatternTuple(Pattern):
    """Matches tuples whose fields match `patterns`: ``(%a, _)``."""

    patterns: tuple[Pattern, ...]

    def __init__(self, patterns: Sequence[Pattern] | None = None) -> None:
        object.__setattr__(self, "patterns", tuple(patterns or ()))

    def children(self) -> tuple[Pattern, ...]:
        return self.patterns

    __str__ = Pattern.__str__


def pre_order(pattern: Pattern) -> list[Pattern]:
    """`pattern` and everything in it, parents first, from left to right."""
    found: list[Pattern] = []
    stack = [pattern]
    while stack:
        current = stack.pop()
        found.append(current)
        stack.extend(reversed(current.children()))
    return found


def fold(pattern: Pattern, combine: Callable[[Pattern, Sequence[R]], R]) -> R:
    """`combine` applied to every pattern in `pattern` and the results for its children."""
    results: list[R] = []
    for current in reversed(pre_order(pattern)):
        count = len(current.children())
        parts = [results.pop() for _ in range(count)]
        results.append(combine(current, parts))
    return results[0]


def pattern_vars(pattern: Pattern) -> list[Var]:
    """The variables that `pattern` binds, from left to right."""
    return [p.var for p in pre_order(pattern) if isinstance(p, PatternVar)]


def rename(pattern: Pattern, mapping: Mapping[Var, Var]) -> Pattern:
    """`pattern` with other variables; itself when none of them changes."""

    def renamed(old: Pattern, parts: Sequence[Pattern]) -> Pattern:
        if isinstance(old, PatternVar):
            new = mapping.get(old.var, old.var)
            return old if new is old.var else PatternVar(new)
        if all(a is b for a, b in zip(old.children(), parts, strict=True)):
            return old
        if isinstance(old, PatternConstructor):
            return PatternConstructor(old.constructor, parts)
        return PatternTuple(parts)

    return fold(pattern, renamed)


def pattern_text(pattern: Pattern, declaration: Callable[[Var], str]) -> str:
    """`pattern` as text; `declaration` writes the variables."""

    def text(current: Pattern, parts: Sequence[str]) -> str:
        inner = ", ".join(parts)
        match current:
            case PatternVar(var=variable):
                return declaration(variable)
            case PatternConstructor(constructor=constructor):
                return f"{constructor.name_hint}({inner})" if parts else constructor.name_hint
            case PatternTuple():
                return f"({inner},)" if len(parts) == 1 else f"({inner})"
            case _:
                return "_"

    return fold(pattern, text)
