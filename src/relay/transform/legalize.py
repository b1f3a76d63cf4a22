"""`Legalize`: rewrite operator calls as a target wants them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from relay.ir.expr import Expr, Function
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.types import Type, compatible
from relay.ir.visit import rewrite
from relay.support.errors import RelayError
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import declaration, is_operator_call, operator_name

Legalization: TypeAlias = Callable[[Operator, Sequence[Expr], Sequence[Type]], Expr | None]
"""From attributes, arguments, and the types of the arguments and of the result: what stands for

the call, of the same type, or None for the call as it is.
"""


@dataclass(frozen=True)
class Legalize(FunctionPass):
    """Give every call of an operator named in `rules` to that operator's function.

    Raises `RelayError` where what it returns has another type than the call. With
    ``rules={"nn.relu": lambda attrs, args, types: relay.maximum(args[0], relay.const(0.0))}``::

        nn.relu(%x)   ->   maximum(%x, 0f)
    """

    rules: Mapping[str, Legalization] = field(default_factory=dict)

    opt_level = 1
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, self._legalize, enter_primitive=False)
        assert isinstance(result, Function)
        return result

    def _legalize(self, expr: Expr) -> Expr:
        if not is_operator_call(expr) or operator_name(expr) not in self.rules:
            return expr
        types = [*(a.checked_type for a in expr.args), expr.checked_type]
        legal = self.rules[operator_name(expr)](declaration(expr), expr.args, types)
        if legal is None:
            return expr
        if not compatible(expr.checked_type, legal.checked_type):
            raise RelayError(
                f"the legalization of {operator_name(expr)} must keep the type "
                f"{expr.checked_type}, it gave {legal.checked_type}"
            )
        return legal
