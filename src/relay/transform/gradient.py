"""Derivatives: the function that returns what another returns, and its gradients.

::

    gradient(fn (%x: float32) { multiply(%x, %x) })
    ->
    fn (%x: float32) -> (float32, (float32,)) { (multiply(%x, %x), (add(%x, %x),)) }

The gradients are those of the sum of all elements of the result. First order follows programs of
operators, tuples, lets, ifs and calls that can be unfolded, and gives a program of the same kind;
higher order follows all programs, and gives one that uses references. What leads only to an
``annotation.checkpoint`` is not kept for the gradients of first order but computed again. Applying
`gradient` to a function that uses a gradient differentiates twice.
"""

from dataclasses import dataclass

from relay.infer import infer_types
from relay.ir.expr import Expr, Function, GlobalVar, Tuple
from relay.ir.module import IRModule
from relay.support.errors import RelayError
from relay.transform.base import FunctionPass, PassContext
from relay.transform.dataflow import dataflow
from relay.transform.higher_order import higher_order
from relay.transform.reverse import gradients


def gradient(expr: Expr, mod: IRModule | None = None, mode: str = "higher_order") -> Function:
    """The function from the parameters of `expr` to ``(result, (gradients of the parameters,))``.

    `expr` is a function, or the name of one in `mod`, which also has the functions that it calls.
    Every gradient has the type of its parameter; that of a parameter that is not floating point is
    zero. `mode` is ``"first_order"`` or ``"higher_order"``; see the module. Higher order adds to
    `mod` what the result needs: for ``@f`` that is ``@f_grad``, for a data type ``T`` with fields
    of tensors ``T_grad``. Raises `RelayError`
    for another mode, when `expr` is no function, and where an operator has no gradient.
    """
    if mode not in ("first_order", "higher_order"):
        raise RelayError(f'mode must be "first_order" or "higher_order", found {mode!r}')
    function, module = _typed(expr, mod)
    if mode == "first_order":
        return _first_order(function, module)
    result, needed = higher_order(function, module)
    if mod is not None:
        mod.update(needed)
    return result


@dataclass(frozen=True)
class FirstOrderGradient(FunctionPass):
    """Replace every function by that of its result and its gradients, each on its own. ::

    fn (%x: float32) { exp(%x) }
    ->
    fn (%x: float32) { let %y = exp(%x); (%y, (multiply(ones(..), %y),)) }
    """

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        return func if "Primitive" in func.attrs else _first_order(func, module)


def _typed(expr: Expr, mod: IRModule | None) -> tuple[Function, IRModule]:
    """`expr` with all types, and the module in which it is."""
    name = "relay_gradient"
    module = IRModule() if mod is None else mod
    function = module[expr] if isinstance(expr, GlobalVar) else expr
    if not isinstance(function, Function):
        raise RelayError(f"expected a function to differentiate, found {type(expr).__name__}")
    typed = infer_types(module.with_function(name, function))
    return typed[name], typed


def _first_order(function: Function, module: IRModule) -> Function:
    flat = dataflow(function, module)
    found = gradients(flat.body, flat.params)
    body = Tuple([flat.body, Tuple(found)])
    return Function(flat.params, body, None, flat.type_params, flat.attrs)
