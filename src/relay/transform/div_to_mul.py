"""`DivToMul`: multiply by the reciprocal of a constant."""

from dataclasses import dataclass

import numpy as np

from relay import dtypes
from relay.ir.expr import Call, Constant, Expr
from relay.transform.calls import constant, constant_array, make
from relay.transform.rule_pass import RulePass
from relay.transform.simplify_rules import Rule


def _reciprocal(call: Call) -> Expr | None:
    """Division by constant floats, none of them zero, as multiplication."""
    data, divisor = call.args
    values = constant_array(divisor)
    if values is None or not isinstance(divisor, Constant):
        return None
    if not dtypes.is_float(divisor.data.dtype) or not bool(np.all(values != 0)):
        return None
    with np.errstate(over="ignore"):
        inverse = np.asarray(1 / values, dtype=values.dtype)
    if not bool(np.all(np.isfinite(inverse))):
        return None
    return make("multiply", data, constant(inverse, divisor.data.dtype))


@dataclass(frozen=True)
class DivToMul(RulePass):
    """Divide by floating-point constants by multiplying by their reciprocals.

    The result may differ in the last bit; divisors whose reciprocal is not finite stay. ::

        divide(%x, 3f)   ->   multiply(%x, 0.333333f)
    """

    rules = (Rule(("divide",), "x / c ~ x * (1 / c), to one unit in the last place", _reciprocal),)
    opt_level = 0
    required = ("InferType", "FoldConstant")
