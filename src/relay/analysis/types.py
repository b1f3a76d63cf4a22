"""Questions about types: kinds, type variables, and what a match leaves out."""

from relay.ir import match, visit
from relay.ir.expr import Expr, Function
from relay.ir.kind import check_kind
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.patterns import Pattern
from relay.ir.types import FuncType, Type, TypeVar

__all__ = [
    "all_type_vars",
    "bound_type_vars",
    "check_kind",
    "free_type_vars",
    "unmatched_cases",
]


def unmatched_cases(match_expr: Match, mod: IRModule | None = None) -> list[Pattern]:  # noqa: ARG001
    """Patterns for values that no clause of `match_expr` covers; none when it is exhaustive.

    Constructors know the type they are of, so that `mod`, which Relay wants here, is not needed.
    """
    return match.unmatched_cases(match_expr)


def free_type_vars(expr: Expr | Type, mod: IRModule | None = None) -> list[TypeVar]:  # noqa: ARG001
    """The type variables that `expr`, or a type, uses and does not bind, by first use."""
    if isinstance(expr, Expr):
        return visit.free_type_vars(expr)
    bound = set(bound_type_vars(expr))
    return [t for t in all_type_vars(expr) if t not in bound]


def bound_type_vars(expr: Expr | Type, mod: IRModule | None = None) -> list[TypeVar]:  # noqa: ARG001
    """The type parameters of the functions in `expr`, or in a type, by first occurrence."""
    found: dict[TypeVar, None] = {}
    for type_ in _types_in(expr):
        if isinstance(type_, FuncType):
            found.update(dict.fromkeys(type_.type_params))
    if isinstance(expr, Expr):
        for node in visit.post_order(expr):
            if isinstance(node, Function):
                found.update(dict.fromkeys(node.type_params))
    return list(found)


def all_type_vars(expr: Expr | Type, mod: IRModule | None = None) -> list[TypeVar]:
    """Every type variable in `expr`, or in a type, bound or free, by first occurrence."""
    found = {t: None for t in _types_in(expr) if isinstance(t, TypeVar)}
    return list(found | dict.fromkeys(bound_type_vars(expr, mod)))


def _types_in(program: Expr | Type) -> list[Type]:
    """The types written in an expression, or a type, and all that is inside of them."""
    if isinstance(program, Type):
        roots = [program]
    else:
        roots = [t for node in visit.post_order(program) for t in visit.annotations(node)]
    found: list[Type] = []
    stack = roots[::-1]
    while stack:
        current = stack.pop()
        found.append(current)
        stack.extend(reversed(current.children()))
    return found
