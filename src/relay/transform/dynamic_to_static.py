"""`DynamicToStatic`: ordinary operators for those whose attributes turn out to be constants."""

from dataclasses import dataclass

from relay.ir.expr import Call, Constant, Expr, Function
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
        constants = FoldConstant()

        def known(expr: Expr) -> Expr:
            return constants.fold(_static(expr))

        return func.with_body(rewrite(func.body, known, enter_primitive=False))


def _static(expr: Expr) -> Expr:
    if not isinstance(expr, Call) or not isinstance(expr.attrs, DynamicOperator):
        return expr
    named = dict(zip(expr.attrs.inputs, expr.args, strict=True))
    late = {name: named.pop(name) for name in expr.attrs.late}
    values = {n: v.data.numpy() for n, v in late.items() if isinstance(v, Constant)}
    if len(values) != len(late):
        return expr
    declaration = expr.attrs.static(values)
    return Call(declaration.op, tuple(named.values()), declaration, (), expr.span)
