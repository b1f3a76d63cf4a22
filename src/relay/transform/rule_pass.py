"""`RulePass`: a pass that is nothing but a list of rewrite rules."""

from typing import ClassVar

from relay.ir.expr import Expr, Function
from relay.ir.module import IRModule
from relay.ir.visit import rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import is_operator_call, operator_name
from relay.transform.simplify_rules import Rule


class RulePass(FunctionPass):
    """Base of passes that try `rules` on every operator call, arguments first, each call once.

    The first rule that applies wins; what it gives is not looked at again.
    """

    rules: ClassVar[tuple[Rule, ...]] = ()

    required: ClassVar[tuple[str, ...]] = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, self._apply, enter_primitive=False)
        assert isinstance(result, Function)
        return result

    def _apply(self, expr: Expr) -> Expr:
        if is_operator_call(expr):
            for rule in self.rules:
                if operator_name(expr) in rule.operators:
                    found = rule.apply(expr)
                    if found is not None:
                        return found
        return expr
