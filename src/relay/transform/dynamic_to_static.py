"""`DynamicToStatic`: ordinary operators for those whose attributes turn out to be constants."""

from dataclasses import dataclass
from typing import Final

from relay.ir.change import CallWithFields
from relay.ir.expr import Call, Expr, Function
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.types import TensorType
from relay.ir.visit import rewrite
from relay.op.dynamic import DynamicOperator
from relay.op.tensor.reshape import Reshape, ReshapeLike
from relay.op.tensor.transform import BroadcastTo, BroadcastToLike
from relay.transform.base import FunctionPass, PassContext
from relay.transform.fold_constant import FoldConstant

LIKE: Final = (ReshapeLike, BroadcastToLike)
"""Operators that give one argument the sizes of another."""


@dataclass(frozen=True)
class DynamicToStatic(FunctionPass):
    """Replace ``dyn.*`` and ``*_like`` operators by the ordinary ones, constants being folded.

    A shape that is known from a type is a constant too, and a shape that gets known makes others
    known, all in one walk. ::

        dyn.reshape(%x, shape_of(%y))   ->   reshape(%x, newshape=[2, 3])
        reshape_like(%x, %y: (2, 3))    ->   reshape(%x, newshape=[2, 3])
    """

    opt_level = 2

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        fold = FoldConstant().folder()

        def known(expr: Expr) -> Expr:
            return fold(_static(expr))

        return func.with_body(rewrite(func.body, known, enter_primitive=False))


def _static(expr: Expr) -> Expr:
    if isinstance(expr, Call) and isinstance(expr.attrs, LIKE):
        return _unlike(expr)
    if not isinstance(expr, Call) or not isinstance(expr.attrs, DynamicOperator):
        return expr
    found = expr.attrs.decided(expr.args)
    if not isinstance(found, Call):
        return found
    return expr if found.op is expr.op else CallWithFields(found, span=found.span or expr.span)


def _unlike(call: Call) -> Expr:
    """What needs of its second argument nothing but sizes, without it where these are known."""
    data, found = call.args[0].checked_type, call.checked_type
    if not isinstance(found, TensorType) or not found.is_static:
        return call
    if data == found:
        return call.args[0]
    shape = found.concrete_shape
    if isinstance(call.attrs, BroadcastToLike):
        static: Operator = BroadcastTo(shape)
    elif 0 in shape:
        return call  # in `newshape`, 0 stands for "as it was"
    else:
        static = Reshape(shape)
    return CallWithFields(call, op=static.op, args=call.args[:1], attrs=static)
