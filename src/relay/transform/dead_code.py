"""`DeadCodeElimination`: drop bindings whose variable nobody uses."""

from dataclasses import dataclass

from relay.ir.expr import Expr, Function, Var
from relay.ir.module import IRModule
from relay.ir.visit import post_order
from relay.transform.base import FunctionPass, PassContext
from relay.transform.lets import impure_nodes, lets_of, live_uses, remove_lets


@dataclass(frozen=True)
class DeadCodeElimination(FunctionPass):
    """Drop the lets whose variable is not used and whose value has no effect.

    With `inline_once` a variable that is used once, for a value that is not a function, is replaced
    by its value. With `ignore_impurity` values with effects are dropped as well. ::

        let %a = exp(%x); let %b = nn.relu(%a); %x   ->   %x
    """

    inline_once: bool = False
    ignore_impurity: bool = False

    opt_level = 1
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        order = post_order(func, enter_primitive=False)
        lets = lets_of(order)
        impure = set[Expr]() if self.ignore_impurity else impure_nodes(order)
        uses = live_uses(func, lets, impure)
        removable = {v for v, let in lets.items() if let.value not in impure}
        dead = {v for v in removable if v not in uses}
        inline: set[Var] = set()
        if self.inline_once:
            inline = {v for v in removable if uses.get(v) == 1}
            inline -= {v for v in inline if isinstance(lets[v].value, Function)}
        return remove_lets(func, order, lets, dead, inline) if dead or inline else func
