"""`ToANormalForm`: from sharing to lets."""

from dataclasses import dataclass

from relay.analysis.scopes import ScopeTree, is_a_normal_form
from relay.infer import infer_expr
from relay.ir.expr import Expr, Function
from relay.ir.module import IRModule
from relay.ir.visit import free_vars
from relay.transform.base import FunctionPass, PassContext
from relay.transform.normalizer import Normalizer


@dataclass(frozen=True)
class ToANormalForm(FunctionPass):
    """Bind every intermediate value to a variable, in order of evaluation.

    What two branches, clauses or functions share is bound outside of both. Variables, constants,
    and primitive functions where they are called stay as they are. ::

        add(exp(%x), tanh(%x))   ->   let %x1 = exp(%x); let %x2 = tanh(%x); add(%x1, %x2)
    """

    opt_level = 1
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        return func if "Primitive" in func.attrs else a_normal_form(func)


def a_normal_form(func: Function) -> Function:
    """`func`, which is typed, with every intermediate value bound to a variable."""
    if is_a_normal_form(func):
        return func
    return Normalizer(func, lambda _: True, ScopeTree(func)).run()


def ToANormalFormExpr(expr: Expr) -> Expr:  # noqa: N802 - Relay's name
    """`expr` with every intermediate value bound to a variable; free variables stay free.

    Raises `TypeInferenceError` when it is ill typed, or too little is annotated.
    """
    typed = infer_expr(expr)
    if isinstance(typed, Function):
        return a_normal_form(typed)
    variables = free_vars(typed)
    return a_normal_form(Function(variables, typed)).body
