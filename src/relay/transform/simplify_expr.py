"""`SimplifyExpr`: rewrite calls by the rules of `relay.transform.simplify_rules`."""

from dataclasses import dataclass
from typing import Final

from relay.ir.expr import Expr, Function, TupleGetItem
from relay.ir.module import IRModule
from relay.ir.visit import rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import is_call_of, is_operator_call, operator_name
from relay.transform.simplify_rules import rules_by_operator, slice_of_split

_RULES: Final = rules_by_operator()

STEPS: Final = 16
"""The most rules applied to one call, one after the other."""


@dataclass(frozen=True)
class SimplifyExpr(FunctionPass):
    """Apply the simplification rules bottom-up, at each call until none applies any more. ::

    reshape(reshape(%x, newshape=[6]), newshape=[2, 3])   ->   reshape(%x, newshape=[2, 3])
    add(multiply(%x, 1f), 0f)                             ->   %x
    """

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, simplify, enter_primitive=False)
        assert isinstance(result, Function)
        return result


def simplify(expr: Expr) -> Expr:
    """`expr` after the rules that concern it; what it is made of is simple already."""
    for _ in range(STEPS):
        simpler = _simplify_once(expr)
        if simpler is None:
            break
        expr = simpler
    return expr


def _simplify_once(expr: Expr) -> Expr | None:
    if not is_operator_call(expr):
        return None
    for rule in _RULES.get(operator_name(expr), ()):
        simpler = rule.apply(expr)
        if simpler is not None:
            return simpler
    return None


@dataclass(frozen=True)
class SplitToSlices(FunctionPass):
    """Take the parts of a split as slices, which fuse with what uses them. ::

    split(%x, indices_or_sections=2, axis=1).1   ->   strided_slice(%x, begin=[3], end=[6], ..)
    """

    opt_level = 2
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, _split_to_slice, enter_primitive=False)
        assert isinstance(result, Function)
        return result


def _split_to_slice(expr: Expr) -> Expr:
    if isinstance(expr, TupleGetItem) and is_call_of(expr.tuple_value, "split"):
        found = slice_of_split(expr.tuple_value, expr.index)
        return expr if found is None else found
    return expr
