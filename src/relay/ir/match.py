"""Matching on algebraic data types and tuples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from relay.ir.exhaustive import missing_patterns
from relay.ir.expr import Expr, Var
from relay.ir.patterns import (
    Pattern,
    PatternConstructor,
    PatternTuple,
    PatternVar,
    pattern_vars,
    rename,
)
from relay.ir.types import TupleType, Type, TypeCall, compatible, join, substitute_types
from relay.support.errors import TypeInferenceError
from relay.support.source import Span


@final
@dataclass(frozen=True, eq=False)
class Clause:
    """One case of a match: the value is `rhs` where `lhs` matches."""

    lhs: Pattern
    rhs: Expr

    def __str__(self) -> str:
        return f"{self.lhs} => {self.rhs}"


@final
class Match(Expr):
    """The first of `clauses` whose pattern matches `data`.

    With `complete`, the patterns have to cover every value (``match``); without, a value that none
    of them covers is an error at run time (``match?``).
    """

    __slots__ = ("clauses", "complete", "data")
    _fields = ("data", "clauses", "complete")
    data: Expr
    clauses: tuple[Clause, ...]
    complete: bool

    def __init__(
        self,
        data: Expr,
        clauses: Sequence[Clause],
        complete: bool = True,
        span: Span | None = None,
    ) -> None:
        self._init(span, data, tuple(clauses), complete)

    @property
    def bound(self) -> tuple[Var, ...]:
        """The variables that the patterns bind, clause by clause."""
        return tuple(v for clause in self.clauses for v in pattern_vars(clause.lhs))

    def children(self) -> tuple[Expr, ...]:
        return (*self.bound, self.data, *(c.rhs for c in self.clauses))

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        old = self.children()
        if all(a is b for a, b in zip(old, children, strict=True)):
            return self
        count = len(old) - 1 - len(self.clauses)
        renamed: dict[Var, Var] = {}
        for before, after in zip(self.bound, children[:count], strict=True):
            assert isinstance(after, Var), "a pattern can only bind a variable"
            renamed[before] = after
        bodies = children[count + 1 :]
        clauses = [
            clause
            if body is clause.rhs and not renamed
            else Clause(rename(clause.lhs, renamed), body)
            for clause, body in zip(self.clauses, bodies, strict=True)
        ]
        return Match(children[count], clauses, self.complete, self.span)

    def derive_type(self) -> Type:
        for clause in self.clauses:
            check_pattern(clause.lhs, self.data.checked_type)
        if not self.clauses:
            raise TypeInferenceError("a match without clauses has no value")
        if self.complete:
            missing = missing_patterns([c.lhs for c in self.clauses])
            if missing:
                shown = ", ".join(map(str, missing[:3]))
                raise TypeInferenceError(f"the match does not cover {shown}")
        result = self.clauses[0].rhs.checked_type
        for clause in self.clauses[1:]:
            found = clause.rhs.checked_type
            if not compatible(result, found, sizes=False):
                raise TypeInferenceError(
                    f"all clauses of a match must have one type, found {result} and {found}"
                )
            result = join(result, found)
        return result


def check_pattern(pattern: Pattern, type_: Type) -> None:
    """Raise `TypeInferenceError` unless values of `type_` may be matched with `pattern`.

    The types of the variables in it have to be known.
    """
    stack = [(pattern, type_)]
    while stack:
        current, wanted = stack.pop()
        match current:
            case PatternVar(var=variable):
                if not compatible(variable.checked_type, wanted):
                    raise TypeInferenceError(
                        f"%{variable.name_hint} is declared {variable.checked_type}, "
                        f"but matches a value of type {wanted}"
                    )
            case PatternTuple(patterns=patterns):
                if not isinstance(wanted, TupleType) or len(wanted.fields) != len(patterns):
                    raise TypeInferenceError(
                        f"a pattern of {len(patterns)} fields cannot match a value of type {wanted}"
                    )
                stack.extend(zip(patterns, wanted.fields, strict=True))
            case PatternConstructor(patterns=patterns):
                stack.extend(zip(patterns, field_types(current, wanted), strict=True))
            case _:
                pass


def field_types(pattern: PatternConstructor, type_: Type) -> list[Type]:
    """The types of the fields that `pattern` matches in a value of `type_`."""
    constructor = pattern.constructor
    if not isinstance(type_, TypeCall) or type_.func != constructor.belong_to:
        raise TypeInferenceError(
            f"{constructor.name_hint} makes a {constructor.belong_to}, "
            f"but the matched value has type {type_}"
        )
    wanted = len(constructor.inputs)
    if len(pattern.patterns) != wanted:
        raise TypeInferenceError(
            f"{constructor.name_hint} has {wanted} fields, the pattern {len(pattern.patterns)}"
        )
    mapping = dict(zip(constructor.type_data.type_vars, type_.args, strict=True))
    return [substitute_types(t, mapping) for t in constructor.inputs]


def unmatched_cases(match: Match) -> list[Pattern]:
    """Patterns for values that no clause of `match` covers; none when it is exhaustive."""
    return missing_patterns([c.lhs for c in match.clauses])
