"""Loops, which Relay writes as recursive functions."""

from collections.abc import Callable, Sequence

from relay.ir.expr import Expr, Function, Let, Tuple, Var
from relay.scope_builder import ScopeBuilder


def while_loop(
    cond: Callable[..., Expr],
    loop_vars: Sequence[Var],
    loop_bodies: Callable[..., Sequence[Expr]],
) -> Expr:
    """A function of `loop_vars` that goes on as long as ``cond(*loop_vars)`` holds.

    ``loop_bodies(*loop_vars)`` gives the next values of the variables. The result is an expression
    to be called with the first values; it returns the last ones as a tuple. ::

        i = relay.var("i", "int32")
        count = while_loop(lambda i: relay.less(i, relay.const(10)), [i], lambda i: [i + 1])
        count(relay.const(0))
    """
    loop = Var("while_loop")
    builder = ScopeBuilder()
    with builder.if_scope(cond(*loop_vars)):
        builder.ret(loop(*loop_bodies(*loop_vars)))
    with builder.else_scope():
        builder.ret(Tuple(loop_vars))
    return Let(loop, Function(loop_vars, builder.get()), loop)
