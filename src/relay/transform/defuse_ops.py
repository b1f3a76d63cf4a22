"""`DefuseOps`: the inverse of `FuseOps`."""

from dataclasses import dataclass

from relay.ir.expr import Call, Expr, Function, Var
from relay.ir.module import IRModule
from relay.ir.visit import post_order
from relay.transform.base import FunctionPass, PassContext


@dataclass(frozen=True)
class DefuseOps(FunctionPass):
    """Put the bodies of primitive functions in place of their calls. ::

    (fn (%p0, Primitive=1) { nn.relu(exp(%p0)) })(%x)   ->   nn.relu(exp(%x))
    """

    opt_level = 3
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        done: dict[Expr, Expr] = {}
        for node in post_order(func.body, enter_primitive=False):
            if isinstance(node, Call) and is_primitive(node.op):
                done[node] = inlined(node.op, [done[a] for a in node.args])
            elif is_primitive(node):
                done[node] = node
            else:
                done[node] = node.rebuild([done[c] for c in node.children()])
        result = func.rebuild((*func.params, done[func.body]))
        assert isinstance(result, Function)
        return result


def is_primitive(expr: Expr) -> bool:
    """Whether `expr` is a function with the attribute ``Primitive``."""
    return isinstance(expr, Function) and "Primitive" in expr.attrs


def inlined(func: Expr, arguments: list[Expr]) -> Expr:
    """The body of `func` with `arguments` in place of its parameters."""
    assert isinstance(func, Function)
    done: dict[Expr, Expr] = dict(zip(func.params, arguments, strict=True))
    for node in post_order(func.body):
        if not isinstance(node, Var):
            done[node] = node.rebuild([done[c] for c in node.children()])
    return done[func.body]
