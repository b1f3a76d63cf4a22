"""What compiling a function has to know about its variables, found for all inner functions at once.

An inner function's free variables are those that it uses itself and those of the functions inside
of it, less what it binds: one walk, inner functions first, however deep they are nested.
"""

from collections import Counter
from dataclasses import dataclass

from relay.ir.expr import Expr, Function, Var
from relay.ir.visit import bound_vars, use_counts
from relay.transform.closures import flat_order


@dataclass(frozen=True)
class Variables:
    """How often each expression in a global function is used, and the free variables of all

    functions in it, in order of first use.
    """

    uses: Counter[Expr]
    free: dict[Function, tuple[Var, ...]]

    @staticmethod
    def of(function: Function) -> "Variables":
        """The variables of the global function `function`. Linear but for what is captured."""
        return Variables(Counter(use_counts(function)), _free_variables(function))


def _free_variables(root: Function) -> dict[Function, tuple[Var, ...]]:
    free: dict[Function, tuple[Var, ...]] = {}
    orders: dict[Function, list[Expr]] = {}
    stack = [root]
    while stack:
        function = stack[-1]
        if function in free:
            stack.pop()
        elif function not in orders:
            orders[function] = flat_order(function.body)
            stack.extend(node for node in orders[function] if isinstance(node, Function))
        else:
            stack.pop()
            order = orders.pop(function)
            bound = {*function.params, *(v for node in order for v in bound_vars(node))}
            found: dict[Var, None] = {}
            for node in order:
                if isinstance(node, Var):
                    found[node] = None
                elif isinstance(node, Function):
                    found.update(dict.fromkeys(free[node]))
            free[function] = tuple(v for v in found if v not in bound)
    return free
