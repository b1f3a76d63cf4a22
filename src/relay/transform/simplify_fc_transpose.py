"""`SimplifyFCTranspose`: store weights the way round that dense layers want them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from relay.ir.expr import Call, Expr, Function, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import post_order
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import attribute, is_call_of, make


@dataclass(frozen=True)
class SimplifyFCTranspose(FunctionPass):
    """Take the parameters called `target_weights` transposed, so that dense need not do it.

    The caller has to pass them transposed; `simplify_fc_transpose` does both. Other uses of such a
    parameter transpose it back. With ``target_weights=("w",)``::

        fn (%x, %w: Tensor[(3, 4), float32]) { nn.dense(%x, transpose(%w, axes=[1, 0])) }
        ->
        fn (%x, %w: Tensor[(4, 3), float32]) { nn.dense(%x, %w) }
    """

    target_weights: Sequence[str] = ()

    opt_level = 4
    required = ("DeadCodeElimination",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        turned = {p: _turned(p) for p in func.params if p.name_hint in self.target_weights}
        if not turned:
            return func
        back: dict[Expr, Expr] = {p: make("transpose", t, axes=(1, 0)) for p, t in turned.items()}
        done: dict[Expr, Expr] = {}
        for node in post_order(func.body):
            if _turns_matrix(node) and isinstance(node.args[0], Var) and node.args[0] in turned:
                done[node] = turned[node.args[0]]
            elif node in back:
                done[node] = back[node]
            else:
                done[node] = node.rebuild([done[child] for child in node.children()])
        return func.with_body(done[func.body], [turned.get(p, p) for p in func.params])


def _turned(parameter: Var) -> Var:
    found = parameter.checked_type
    if not isinstance(found, TensorType) or len(found.shape) != 2:
        raise RelayError(
            f"SimplifyFCTranspose: %{parameter.name_hint} must be a matrix, found {found}"
        )
    return Var(parameter.name_hint, TensorType(found.shape[::-1], found.dtype), parameter.span)


def _turns_matrix(expr: Expr) -> TypeGuard[Call]:
    """Whether `expr` transposes a matrix."""
    if not is_call_of(expr, "transpose"):
        return False
    found = expr.args[0].checked_type
    if not isinstance(found, TensorType) or len(found.shape) != 2:
        return False
    axes = attribute(expr, "axes")
    return axes is None or tuple(a % 2 for a in axes) == (1, 0)


def search_fc_transpose(expr: Expr) -> list[str]:
    """The names of the variables that a ``nn.dense`` takes transposed, in order of first use."""
    found: dict[str, None] = {}
    for node in post_order(expr):
        if is_call_of(node, "nn.dense") and _turns_matrix(node.args[1]):
            weight = node.args[1].args[0]
            if isinstance(weight, Var):
                found.setdefault(weight.name_hint)
    return list(found)


def simplify_fc_transpose(
    func: Function, params: Mapping[str, NDArray]
) -> tuple[Function, dict[str, NDArray]]:
    """`func` without the transposes of the weights among `params`, and the weights transposed.

    Relay: ``relay.data_dep_optimization.simplify_fc_transpose.convert``.
    """
    names = [name for name in search_fc_transpose(func) if name in params]
    module = SimplifyFCTranspose(names)(IRModule.from_expr(func))
    turned = {n: NDArray(np.ascontiguousarray(params[n].numpy().T), params[n].dtype) for n in names}
    result = module["main"]
    return result, {**params, **turned}
