"""Questions about types: kinds, type variables, and what a match leaves out."""

from relay.ir import match, visit
from relay.ir.expr import Expr, Function
from relay.ir.kind import check_kind
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.patterns import Pattern
from relay.ir.types import TypeVar

__all__ = ["bound_type_vars", "check_kind", "free_type_vars", "unmatched_cases"]


def unmatched_cases(match_expr: Match, mod: IRModule | None = None) -> list[Pattern]:  # noqa: ARG001
    """Patterns for values that no clause of `match_expr` covers; none when it is exhaustive.

    Constructors know the type they are of, so that `mod`, which Relay wants here, is not needed.
    """
    return match.unmatched_cases(match_expr)


def free_type_vars(expr: Expr, mod: IRModule | None = None) -> list[TypeVar]:  # noqa: ARG001
    """The type variables that `expr` uses in annotations and does not bind, by first use."""
    return visit.free_type_vars(expr)


def bound_type_vars(expr: Expr, mod: IRModule | None = None) -> list[TypeVar]:  # noqa: ARG001
    """The type parameters of the functions in `expr`, in order of first occurrence."""
    functions = [node for node in visit.post_order(expr) if isinstance(node, Function)]
    return list(dict.fromkeys(t for f in functions for t in f.type_params))
