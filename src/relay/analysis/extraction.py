"""Parts of programs: an inner expression as a program, weights by how they are used."""

from relay.ir.expr import Call, Constant, Expr, Function, Let, Op, Tuple, Var
from relay.ir.module import IRModule
from relay.ir.visit import post_order
from relay.support.errors import RelayError


def extract_intermdeiate_expr(mod: IRModule, expr_id: int) -> IRModule:
    """A module whose ``@main`` computes expression number `expr_id` of ``@main`` of `mod`.

    (The name is Relay's.) Expressions other than variables, constants and lets are numbered from 0
    in order of evaluation; where ``@main`` has no lets and branches, these are the numbers
    that its text shows. The parameters are the variables that the expression uses.
    Raises `RelayError` when there is no such expression.
    """
    numbered = [
        node
        for node in post_order(mod["main"].body, enter_primitive=False)
        if node.children() and not isinstance(node, Let | Function)
    ]
    if not 0 <= expr_id < len(numbered):
        raise RelayError(
            f"@main has the expressions 0 to {len(numbered) - 1}, there is no number {expr_id}"
        )
    functions = {g: f for g, f in mod.functions.items() if g.name_hint != "main"}
    return IRModule.from_expr(numbered[expr_id], functions, mod.type_definitions)


def check_constant(expr: Expr) -> bool:
    """Whether `expr` is a constant, or a tuple of nothing but constants."""
    return all(isinstance(node, Constant | Tuple) for node in post_order(expr))


def search_fc_transpose(expr: Expr) -> list[str]:
    """The names of the weights in ``nn.dense(x, transpose(w, axes=[1, 0]))``, in order of use."""
    found: dict[str, None] = {}
    for node in post_order(expr):
        if _calls(node, "nn.dense") and isinstance(node, Call):
            weight = node.args[1]
            if isinstance(weight, Call) and _calls(weight, "transpose"):
                axes = getattr(weight.attrs, "axes", None)
                source = weight.args[0]
                if isinstance(source, Var) and (axes is None or tuple(axes) == (1, 0)):
                    found[source.name_hint] = None
    return list(found)


def _calls(node: Expr, name: str) -> bool:
    return isinstance(node, Call) and isinstance(node.op, Op) and node.op.name == name
