"""`DeadCodeElimination`: drop bindings whose variable nobody uses."""

from dataclasses import dataclass

from relay.ir.expr import Expr, Function, GlobalVar, Var
from relay.ir.module import IRModule
from relay.ir.visit import post_order
from relay.transform.base import Pass, PassContext, with_functions
from relay.transform.lets import impure_nodes, lets_of, live_uses, pure_functions, remove_lets


@dataclass(frozen=True)
class DeadCodeElimination(Pass):
    """Drop the lets whose variable is not used and whose value has no effect.

    Effects are writes to references, stateful operators, and calls of functions that may have some;
    making or reading a reference that nobody uses is none.

    With `inline_once` a variable that is used once, for a value that is not a function, is replaced
    by its value. With `ignore_impurity` values with effects are dropped as well. ::

        let %a = exp(%x); let %b = nn.relu(%a); %x   ->   %x
    """

    inline_once: bool = False
    ignore_impurity: bool = False

    opt_level = 1
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        pure = pure_functions(module)
        changed: dict[GlobalVar, Function] = {}
        for name, func in module.functions.items():
            result = func if func.attrs.get("SkipOptimization") else self._cleaned(func, pure)
            if result is not func:
                changed[name] = result
        return with_functions(module, changed)

    def _cleaned(self, func: Function, pure: frozenset[str]) -> Function:
        order = post_order(func, enter_primitive=False)
        lets = lets_of(order)
        nothing = set[Expr]()
        impure = nothing if self.ignore_impurity else impure_nodes(order, pure)
        lasting = nothing if self.ignore_impurity else impure_nodes(order, pure, lasting=True)
        uses = live_uses(func, lets, lasting)
        dead = {v for v, let in lets.items() if let.value not in lasting and v not in uses}
        inline: set[Var] = set()
        if self.inline_once:
            inline = {v for v, let in lets.items() if let.value not in impure and uses.get(v) == 1}
            inline -= {v for v in inline if isinstance(lets[v].value, Function)}
        return remove_lets(func, order, lets, dead, inline) if dead or inline else func
