"""`EliminateCommonSubexpr`: compute equal things once."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from relay.ir.expr import Constant, Expr, Function, Tuple, TupleGetItem
from relay.ir.module import IRModule
from relay.ir.visit import rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import declaration, is_operator_call

SMALL: Final = 64
"""Constants of at most this many bytes are compared by value, larger ones by identity."""


@dataclass(frozen=True)
class EliminateCommonSubexpr(FunctionPass):
    """Merge operator calls, tuples and tuple fields that are equal.

    Calls are equal when operator, attributes and arguments are; calls of stateful operators never
    are. `fskip` keeps the calls for which it holds as they are. ::

        %0 = add(%x, 1f);  %1 = add(%x, 1f);  multiply(%0, %1)   ->   multiply(%0, %0)
    """

    fskip: Callable[[Expr], bool] | None = None

    opt_level = 3
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        known: dict[Hashable, Expr] = {}

        def merge(expr: Expr) -> Expr:
            key = self._key(expr)
            return expr if key is None else known.setdefault(key, expr)

        result = rewrite(func, merge, enter_primitive=False)
        assert isinstance(result, Function)
        return result

    def _key(self, expr: Expr) -> Hashable | None:
        """What equal expressions have in common; the arguments have been merged already."""
        if is_operator_call(expr):
            if declaration(expr).stateful or (self.fskip is not None and self.fskip(expr)):
                return None
            return (expr.op, expr.attrs, expr.args)
        if isinstance(expr, TupleGetItem):
            return (TupleGetItem, expr.tuple_value, expr.index)
        if isinstance(expr, Tuple):
            return (Tuple, expr.fields)
        if isinstance(expr, Constant):
            data = expr.data
            if data.nbytes <= SMALL:
                return (Constant, data.dtype, data.shape, data.tobytes())
        return None
