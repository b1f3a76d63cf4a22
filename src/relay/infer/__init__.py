"""Type inference: the missing annotations of a program, and all of its type errors at once."""

from relay.infer.infer import infer_expr, infer_types, is_typed
from relay.infer.text import fromtext, parse, parse_expr

__all__ = ["fromtext", "infer_expr", "infer_types", "is_typed", "parse", "parse_expr"]
