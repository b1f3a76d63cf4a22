"""Variables of a program, and whether it is well formed."""

from relay.ir import visit
from relay.ir.expr import Expr, Var
from relay.ir.module import IRModule
from relay.ir.types import flatten_tensor_types
from relay.ir.well_formed import check_well_formed
from relay.support.errors import RelayError


def free_vars(expr: Expr) -> list[Var]:
    """The variables that `expr` uses and does not bind, in order of first use."""
    return visit.free_vars(expr)


def all_vars(expr: Expr) -> list[Var]:
    """Every variable in `expr`, bound or free, in order of first occurrence."""
    return visit.all_vars(expr)


def bound_vars(expr: Expr) -> list[Var]:
    """The variables that something in `expr` binds, in order of first occurrence."""
    return [v for node in visit.post_order(expr) for v in visit.bound_vars(node)]


def all_dtypes(expr: Expr) -> set[str]:
    """The data types of all tensors in `expr`, whose types must be known."""
    found: set[str] = set()
    for node in visit.post_order(expr):
        try:
            found.update(t.dtype for t in flatten_tensor_types(node.checked_type))
        except ValueError:
            continue  # a function: its parameters and its body are nodes of their own
    return found


def well_formed(program: Expr | IRModule) -> bool:
    """Whether every variable is bound at most once and used only where it is bound."""
    try:
        check_well_formed(program)
    except RelayError:
        return False
    return True
