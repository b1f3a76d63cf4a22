"""`InlineCalls`: what a call of a written-out function means, without the call."""

from dataclasses import dataclass

from relay.ir.expr import Call, Expr, Function, Let, Var
from relay.ir.module import IRModule
from relay.ir.visit import bound_vars, post_order, substitute, use_counts
from relay.transform.base import FunctionPass, PassContext


@dataclass(frozen=True)
class InlineCalls(FunctionPass):
    """Bind the parameters of a function that is called where it is written, and take its body.

    Functions with type parameters, and those with the attribute ``Primitive``, stay. Afterwards
    there are no other calls of written-out functions. ::

        (fn (%p) { add(%p, %p) })(exp(%x))   ->   let %p = exp(%x); add(%p, %p)
    """

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        uses = use_counts(func, enter_primitive=False)
        done: dict[Expr, Expr] = {}
        for node in post_order(func, enter_primitive=False):
            children = node.children()
            known = all(child in done for child in children)
            new = node.rebuild([done[child] for child in children]) if known else node
            if isinstance(new, Call) and isinstance(node, Call) and is_inlinable(new.op):
                new = beta_reduced(new.op, new.args, shared=uses[node.op] > 1)
            done[node] = new
        result = done[func]
        assert isinstance(result, Function)
        return result


def is_inlinable(expr: Expr) -> bool:
    """Whether a call of `expr` can be replaced by its body."""
    return isinstance(expr, Function) and "Primitive" not in expr.attrs and not expr.type_params


def beta_reduced(func: Expr, arguments: tuple[Expr, ...], shared: bool) -> Expr:
    """The body of `func` with its parameters bound to `arguments`.

    With `shared` the function is used elsewhere, too, so that the body gets variables of its own.
    """
    assert isinstance(func, Function)
    if shared:
        func = renamed(func)
    body = func.body
    for parameter, argument in reversed(list(zip(func.params, arguments, strict=True))):
        body = Let(parameter, argument, body)
    return body


def renamed(func: Function) -> Function:
    """`func` with new variables for all that are bound in it."""
    bound = [v for node in post_order(func) for v in bound_vars(node)]
    fresh: dict[Var, Expr] = {v: Var(v.name_hint, v.type_annotation, v.span) for v in bound}
    result = substitute(func, fresh)
    assert isinstance(result, Function)
    return result
