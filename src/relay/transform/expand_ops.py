"""`ExpandOps`: operators that are declared in terms of other operators."""

from dataclasses import dataclass

from relay.ir.expr import Constant, Expr, Function
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import post_order, rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import declaration, is_operator_call, operator_name
from relay.transform.fold_constant import FoldConstant


@dataclass(frozen=True)
class ExpandOps(FunctionPass):
    """Put in the place of a call what its operator expands into, where it expands.

    With a `prefix` only operators whose names begin so: ``qnn.`` are those on quantised values.
    What can be computed beforehand of their scales and zero points is: numbers and vectors that
    depend on constants only are folded. ::

        qnn.dequantize(%x, 0.5f, 3)   ->   multiply(cast(subtract(cast(%x, int32), 3)), 0.5f)
    """

    prefix: str = ""

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        if not any(map(self._applies, post_order(func, enter_primitive=False))):
            return func
        result = rewrite(func, self._expanded, enter_primitive=False)
        assert isinstance(result, Function)
        return result

    def _applies(self, expr: Expr) -> bool:
        return (
            is_operator_call(expr)
            and declaration(expr).expands
            and operator_name(expr).startswith(self.prefix)
        )

    def _expanded(self, expr: Expr) -> Expr:
        if not is_operator_call(expr):
            return expr
        if self._applies(expr):
            return declaration(expr).expand(*expr.args)
        if expr.args and all(isinstance(a, Constant) for a in expr.args):
            found = expr.checked_type
            if isinstance(found, TensorType) and len(found.shape) <= 1:
                return FoldConstant().folded(expr)
        return expr
