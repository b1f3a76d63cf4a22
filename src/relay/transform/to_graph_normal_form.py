"""`ToGraphNormalForm`: from lets to sharing."""

from dataclasses import dataclass

from relay.ir.expr import Function, GlobalVar, Var
from relay.ir.module import IRModule
from relay.ir.visit import post_order
from relay.transform.base import Pass, PassContext, with_functions
from relay.transform.lets import impure_nodes, lets_of, pure_functions, remove_lets


@dataclass(frozen=True)
class ToGraphNormalForm(Pass):
    """Use the values of lets directly: a variable used twice becomes a node with two users.

    Lets stay where the value has effects, whose order they keep, and where it is a function, which
    may call itself. ::

        let %a = exp(%x); add(%a, %a)   ->   %0 = exp(%x); add(%0, %0)
    """

    opt_level = 1

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        pure = pure_functions(module)
        changed: dict[GlobalVar, Function] = {}
        for name, func in module.functions.items():
            result = func if func.attrs.get("SkipOptimization") else _graph(func, pure)
            if result is not func:
                changed[name] = result
        return with_functions(module, changed)


def _graph(func: Function, pure: frozenset[str]) -> Function:
    order = post_order(func, enter_primitive=False)
    lets = lets_of(order)
    impure = impure_nodes(order, pure)
    inline: set[Var] = {
        v
        for v, let in lets.items()
        if let.value not in impure and not isinstance(let.value, Function)
    }
    return remove_lets(func, order, lets, set(), inline) if inline else func
