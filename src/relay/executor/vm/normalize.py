"""What a module goes through before it becomes bytecode, and which operators graphs may hold."""

from relay.ir.expr import Call, Expr, Op
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.visit import post_order_all
from relay.op.dyn import DynamicOperator
from relay.support.errors import UnsupportedError
from relay.transform.defuse_ops import DefuseOps
from relay.transform.dynamic_to_static import DynamicToStatic
from relay.transform.fold_constant import FoldConstant
from relay.transform.infer_type import InferType
from relay.transform.remove_unused_functions import RemoveUnusedFunctions
from relay.transform.simplify_inference import SimplifyInference
from relay.transform.to_a_normal_form import ToANormalForm


def normalize(module: IRModule) -> IRModule:
    """`module` typed, simplified and in A-normal form: what `compile_module` takes."""
    passes = (
        RemoveUnusedFunctions(),  # nothing below has to look at what nobody calls
        InferType(),  # graphs are typed functions
        DefuseOps(),  # graphs are fused anew, over what one scope computes
        DynamicToStatic(),  # shapes that are constants after all
        InferType(),
        SimplifyInference(expand_norms=False),  # batch norm has several results: expand it here
        FoldConstant(),  # what folds to a constant needs no graph
        ToANormalForm(),  # evaluation order made explicit, one operation a binding
        InferType(),
    )
    for step in passes:  # not a `Sequential`: whatever the level, all of this is needed
        module = step(module)
    return module


def check_operators(module: IRModule) -> None:
    """Raise `UnsupportedError` naming all operators of `module` that have no compiled form."""
    missing: dict[str, str] = {}
    for node in post_order_all(module.functions.values()):
        if isinstance(node, Call) and isinstance(node.op, Op) and not is_compiled(node):
            missing.setdefault(node.op.name, _why_missing(node))
    if missing:
        found = "; ".join(f"{name} ({reason})" for name, reason in missing.items())
        raise UnsupportedError(
            f'these operators have no compiled form: {found}. The executor "debug" runs them'
        )


def is_compiled(call: Call) -> bool:
    """Whether graphs may hold a call; a ``dyn`` operator is decided when its graph is compiled."""
    attrs = call.attrs
    return isinstance(attrs, DynamicOperator) or (
        isinstance(attrs, Operator) and "compute" not in attrs.missing
    )


def _why_missing(call: Call) -> str:
    assert isinstance(call.attrs, Operator)
    return call.attrs.missing.get("compute", "unknown reason")


def late_arguments(call: Call) -> list[Expr]:
    """The arguments of a ``dyn`` operator that decide about sizes."""
    attrs = call.attrs
    if not isinstance(attrs, DynamicOperator):
        return []
    named = dict(zip(attrs.inputs, call.args, strict=True))
    return [named[name] for name in attrs.late]
