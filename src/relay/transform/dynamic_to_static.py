"""`DynamicToStatic`: ordinary operators for those whose attributes turn out to be constants."""

from dataclasses import dataclass

from relay.ir.change import CallWithFields
from relay.ir.expr import Call, Expr, Function
from relay.ir.module import IRModule
from relay.ir.visit import rewrite
from relay.op.dyn import DynamicOperator
from relay.transform.base import FunctionPass, PassContext
from relay.transform.fold_constant import FoldConstant


@dataclass(frozen=True)
class DynamicToStatic(FunctionPass):
    """Replace ``dyn.*`` operators by the ordinary ones, constants being folded on the way.

    A shape that is known from a type is a constant too, and a shape that gets known makes others
    known, all in one walk. ::

        dyn.reshape(%x, shape_of(%y))   ->   reshape(%x, newshape=[2, 3])
    """

    opt_level = 2

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        fold = FoldConstant().folder()

        def known(expr: Expr) -> Expr:
            return fold(_static(expr))

        return func.with_body(rewrite(func.body, known, enter_primitive=False))


def _static(expr: Expr) -> Expr:
    if not isinstance(expr, Call) or not isinstance(expr.attrs, DynamicOperator):
        return expr
    found = expr.attrs.decided(expr.args)
    if not isinstance(found, Call):
        return found
    return expr if found.op is expr.op else CallWithFields(found, span=found.span or expr.span)
