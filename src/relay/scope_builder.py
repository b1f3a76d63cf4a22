"""Building expressions statement by statement.

::

    sb = ScopeBuilder()
    x = relay.var("x", "float32")
    with sb.if_scope(relay.less(x, relay.const(0.0))):
        negated = sb.let("negated", relay.negative(x))
        sb.ret(negated)
    with sb.else_scope():
        sb.ret(x)
    absolute = relay.Function([x], sb.get())
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from relay.infer import infer_type_local
from relay.ir.expr import Expr, ExprLike, If, Let, Tuple, Var, as_expr
from relay.ir.types import Type
from relay.support.errors import RelayError

Returned: TypeAlias = "ExprLike | tuple[Returned, ...] | list[Returned]"
"""What stands for an expression: tuples and lists become `Tuple`, numbers and arrays constants."""


def _as_expr(value: Returned) -> Expr:
    if isinstance(value, tuple | list):
        return Tuple([_as_expr(v) for v in value])
    return as_expr(value)


@dataclass
class _Scope:
    """Bindings in order, and the result; `pending` is an if whose else is still to come."""

    bindings: list[tuple[Var, Expr]] = field(default_factory=list)
    result: Expr | None = None
    pending: tuple[Expr, Expr] | None = None

    def build(self) -> Expr:
        if self.pending is not None:
            raise RelayError("the if_scope needs an else_scope after it: an if has a value")
        if self.result is None:
            raise RelayError("the scope has no result: call ret(value) in it")
        result = self.result
        for variable, value in reversed(self.bindings):
            result = Let(variable, value, result)
        return result


class ScopeBuilder:
    """Collects lets, ifs and a result; `get` gives the expression."""

    def __init__(self) -> None:
        self._scopes = [_Scope()]

    def let(self, var: "Var | str | tuple[str, Type]", value: Returned) -> Var:
        """Bind `var`, a variable or a name (with a type), to `value`; the variable."""
        if isinstance(var, str):
            var = Var(var)
        elif isinstance(var, tuple):
            var = Var(*var)
        scope = self._open_scope()
        scope.bindings.append((var, _as_expr(value)))
        return var

    @contextmanager
    def if_scope(self, cond: Expr) -> Iterator[None]:
        """What is built inside is the value where `cond` holds. An `else_scope` has to follow."""
        outer = self._open_scope()
        self._scopes.append(_Scope())
        yield
        outer.pending = (cond, self._scopes.pop().build())

    @contextmanager
    def else_scope(self) -> Iterator[None]:
        """What is built inside is the value where the condition of the `if_scope` does not hold."""
        outer = self._scopes[-1]
        if outer.pending is None:
            raise RelayError("an else_scope has to follow an if_scope")
        cond, true_branch = outer.pending
        self._scopes.append(_Scope())
        yield
        outer.pending = None
        outer.result = If(cond, true_branch, self._scopes.pop().build())

    def ret(self, value: Returned) -> None:
        """Make `value` the result of the scope."""
        self._open_scope().result = _as_expr(value)

    def get(self) -> Expr:
        """The expression that has been built; raises `RelayError` when a result is missing."""
        return self._scopes[-1].build()

    def type_of(self, expr: Expr) -> Type:
        """The type of `expr`: a variable's annotation, or what follows from annotations in it."""
        if isinstance(expr, Var) and expr.type_annotation is not None:
            return expr.type_annotation
        return infer_type_local(expr)

    def _open_scope(self) -> _Scope:
        scope = self._scopes[-1]
        if scope.result is not None or scope.pending is not None:
            raise RelayError("the scope has its result already: nothing can follow it")
        return scope
