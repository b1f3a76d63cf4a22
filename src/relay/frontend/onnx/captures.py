"""Values of the graphs around a function, which are computed once, outside of it."""

from relay.frontend.onnx.containers import known_elements
from relay.ir.adt import Constructor
from relay.ir.expr import Call, Constant, Expr, Let, Var
from relay.ir.visit import free_vars


class Captured:
    """What a function uses of the graphs around it, by variables that are bound outside of it.

    Constants, variables and empty containers are no work, and stay as they are. `outer` is of a
    function around this one, inside of which the variables are bound.
    """

    def __init__(self, outer: "Captured | None" = None) -> None:
        self.outer = outer
        self._variables: dict[Expr, Var] = {}

    def of_graph(self, name: str, value: Expr) -> Expr:
        """What stands inside of the function for a `value` of the graph around all of them."""
        return self.variable(
            name, value if self.outer is None else self.outer.of_graph(name, value)
        )

    def variable(self, name: str, value: Expr) -> Expr:
        """What stands inside of the function for `value`, to be called `name`."""
        if isinstance(value, Var | Constant) or _is_empty(value):
            return value
        found = self._variables.get(value)
        if found is None:
            found = self._variables[value] = Var(name, value.checked_type)
        return found

    def bound(self, expr: Expr) -> Expr:
        """`expr` with the variables bound that it uses."""
        free = set(free_vars(expr))
        for value, variable in reversed(self._variables.items()):
            if variable in free:
                expr = Let(variable, value, expr, expr.span)
        return expr


def _is_empty(value: Expr) -> bool:
    constructed = isinstance(value, Call) and isinstance(value.op, Constructor)
    return constructed and (not value.children()[1:] or known_elements(value) == [])
