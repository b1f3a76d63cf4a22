"""Type inference: the missing annotations of a program, and all of its type errors at once."""

from relay.infer.infer import infer_expr, infer_type_local, infer_types, is_typed
from relay.infer.solver import Solver
from relay.infer.text import fromtext, parse, parse_expr

__all__ = [
    "Solver",
    "fromtext",
    "infer_expr",
    "infer_type_local",
    "infer_types",
    "is_typed",
    "parse",
    "parse_expr",
]
