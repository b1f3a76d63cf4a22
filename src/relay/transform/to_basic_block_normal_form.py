"""`ToBasicBlockNormalForm`: lets for what several scopes use."""

from dataclasses import dataclass

from relay.analysis.scopes import ScopeTree, is_opened
from relay.ir.expr import Call, Expr, Function, If
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.transform.base import Pass, PassContext, with_functions
from relay.transform.lets import impure_nodes, pure_functions
from relay.transform.normalizer import Normalizer


@dataclass(frozen=True)
class ToBasicBlockNormalForm(Pass):
    """Bind every value that is used in several scopes where all of them see it.

    Scopes are the bodies of functions, branches and clauses. Within one, values stay shared nodes;
    lets that are there stay. Effects are bound as well, so that they keep their order. ::

        %0 = exp(%x); if (%c) { %0 } else { tanh(%0) }
        ->
        let %x1 = exp(%x); if (%c) { %x1 } else { tanh(%x1) }
    """

    opt_level = 1
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        pure = pure_functions(module)
        changed = {}
        for name, func in module.functions.items():
            result = func if "Primitive" in func.attrs else _blocks(func, pure)
            if result is not func:
                changed[name] = result
        return with_functions(module, changed)


def _blocks(func: Function, pure: frozenset[str]) -> Function:
    tree = ScopeTree(func)
    crossing = set(tree.crossing())
    if not crossing:
        return func
    impure = impure_nodes(tree.order, pure)
    bound = crossing | {node for node in impure if _is_effect(node)}
    return Normalizer(func, bound.__contains__, tree).run()


def _is_effect(node: Expr) -> bool:
    """Whether an impure `node` has effects other than those of its arguments."""
    if isinstance(node, Call):
        return not isinstance(node.op, Function) or is_opened(node.op)
    return isinstance(node, If | Match | RefCreate | RefRead | RefWrite)
