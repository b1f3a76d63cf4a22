"""Attributes of expressions, as patterns ask for them."""

import numpy as np

from relay.ir.expr import Call, Expr, Function, Op
from relay.ir.op import Operator


def attribute_of(expr: Expr, name: str, missing: object) -> object:
    """Attribute `name` of `expr`; `missing` when it has none of that name."""
    if isinstance(expr, Function):
        return expr.attrs.get(name, missing)
    if isinstance(expr, Call):
        return getattr(expr.attrs, name, missing)
    if isinstance(expr, Op):
        declaration = expr.declaration
        assert isinstance(declaration, type)
        assert issubclass(declaration, Operator)
        known = {"TOpPattern": declaration.pattern, "TOpIsStateful": declaration.stateful}
        return known.get(name, missing)
    return missing


def same_value(found: object, expected: object) -> bool:
    """Whether two attribute values are equal; lists equal tuples."""
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same_value, found, expected))
    if isinstance(expected, np.generic):
        expected = expected.item()
    return bool(found == expected)
