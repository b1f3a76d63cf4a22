"""`tvm.relay.ir_pass` of TVM 0.5: passes as functions of expressions.

``ir_pass.fold_constant(expr)`` is `relay.transform.FoldConstant` of a module with nothing else.
"""

from collections.abc import Callable
from typing import Final

from relay import analysis, transform
from relay.ir.equal import structural_equal, structural_hash
from relay.ir.expr import Expr, Function
from relay.ir.module import IRModule
from relay.ir.types import Type
from relay.testing.helpers import run_opt_pass
from relay.transform.base import Pass

PASSES: Final = {
    "alter_op_layout": "AlterOpLayout",
    "backward_fold_scale_axis": "BackwardFoldScaleAxis",
    "canonicalize_ops": "CanonicalizeOps",
    "combine_parallel_conv2d": "CombineParallelConv2D",
    "dead_code_elimination": "DeadCodeElimination",
    "eliminate_common_subexpr": "EliminateCommonSubexpr",
    "eta_expand": "EtaExpand",
    "fold_constant": "FoldConstant",
    "forward_fold_scale_axis": "ForwardFoldScaleAxis",
    "partial_evaluate": "PartialEvaluate",
    "simplify_inference": "SimplifyInference",
    "to_a_normal_form": "ToANormalForm",
    "to_anf": "ToANormalForm",
    "to_graph_normal_form": "ToGraphNormalForm",
}
"""Function of 0.5 -> pass."""

_SAME: Final = {
    "CallGraph": "CallGraph",
    "all_type_vars": "all_type_vars",
    "all_vars": "all_vars",
    "bound_type_vars": "bound_type_vars",
    "bound_vars": "bound_vars",
    "check_kind": "check_kind",
    "detect_feature": "detect_feature",
    "free_type_vars": "free_type_vars",
    "free_vars": "free_vars",
    "get_total_mac_number": "get_total_mac_number",
    "post_order_visit": "post_order_visit",
    "unmatched_cases": "unmatched_cases",
    "well_formed": "well_formed",
}
"""Function of 0.5 -> function of `relay.analysis`."""


def infer_type(expr: Expr, mod: IRModule | None = None) -> Expr:
    """`expr` with all types, given the functions of `mod`."""
    return _run(transform.InferType(), expr, mod)


def fuse_ops(expr: Expr, opt_level: int = 1, mod: IRModule | None = None) -> Expr:
    """`expr` with operators that can run together in functions of their own."""
    return _run(transform.FuseOps(opt_level), expr, mod)


def gradient(expr: Expr, mod: IRModule | None = None, mode: str = "higher_order") -> Function:
    """The function of the result of `expr` and of its gradients: see `relay.transform.gradient`."""
    return transform.gradient(expr, mod, mode)


def alpha_equal(lhs: Expr | Type, rhs: Expr | Type) -> bool:
    """Whether both are equal but for the names of variables that they bind."""
    return structural_equal(lhs, rhs)


def graph_equal(lhs: Expr, rhs: Expr) -> bool:
    """Whether both are equal but for the names of variables, free ones included."""
    return structural_equal(lhs, rhs, map_free_vars=True)


def assert_alpha_equal(lhs: Expr | Type, rhs: Expr | Type) -> None:
    """Raise `AssertionError` unless `alpha_equal`."""
    assert alpha_equal(lhs, rhs), f"not equal:\n{lhs}\nand\n{rhs}"


def assert_graph_equal(lhs: Expr, rhs: Expr) -> None:
    """Raise `AssertionError` unless `graph_equal`."""
    assert graph_equal(lhs, rhs), f"not equal:\n{lhs}\nand\n{rhs}"


def _run(step: Pass, expr: Expr, mod: IRModule | None) -> Expr:
    if mod is None:
        return run_opt_pass(expr, step)
    name = "ir_pass_expression"
    function = expr if isinstance(expr, Function) else Function([], expr)
    result = step(transform.InferType()(mod.with_function(name, function)))[name]
    return result if isinstance(expr, Function) else result.body


def _as_function(name: str) -> Callable[..., Expr]:
    make = getattr(transform, PASSES[name])

    def apply(expr: Expr, *options: object, mod: IRModule | None = None) -> Expr:
        if options and isinstance(options[0], IRModule):
            mod, options = options[0], options[1:]
        return _run(make(*options), expr, mod)

    apply.__name__ = name
    apply.__doc__ = f"`expr` after the pass `relay.transform.{PASSES[name]}`."
    return apply


def __getattr__(name: str) -> object:
    if name in PASSES and hasattr(transform, PASSES[name]):
        return _as_function(name)
    if name in _SAME and hasattr(analysis, _SAME[name]):
        return getattr(analysis, _SAME[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "alpha_equal",
    "assert_alpha_equal",
    "assert_graph_equal",
    "fuse_ops",
    "gradient",
    "graph_equal",
    "infer_type",
    "structural_hash",
]
