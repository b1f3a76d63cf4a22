"""What a module goes through before it becomes bytecode."""

from relay.executor.vm.entries import with_entries, without_templates
from relay.ir.module import IRModule
from relay.transform.defuse_ops import DefuseOps
from relay.transform.dynamic_to_static import DynamicToStatic
from relay.transform.expand_ops import ExpandOps
from relay.transform.fold_constant import FoldConstant
from relay.transform.infer_type import InferType
from relay.transform.simplify_inference import SimplifyInference
from relay.transform.to_a_normal_form import ToANormalForm


def normalize(module: IRModule) -> IRModule:
    """`module` typed, simplified and in A-normal form: what `compile_module` takes.

    Holds what can be invoked by name, and what that calls. Raises `UnsupportedError` naming the
    operators without a compiled form that ``@main`` reaches.
    """
    module = without_templates(module)  # nothing below has to look at them
    simplifying = (
        InferType(),  # graphs are typed functions
        DefuseOps(),  # graphs are fused anew, over what one scope computes
        DynamicToStatic(),  # shapes that are constants after all
        InferType(),
        ExpandOps(),  # quantised values become integers, what is found the first of all there is
        SimplifyInference(expand_norms=False),  # batch norm has several results: expand it here
        FoldConstant(),  # what folds to a constant needs no graph
    )
    for step in simplifying:  # not a `Sequential`: whatever the level, all of this is needed
        module = step(module)
    module = ToANormalForm()(with_entries(module))  # the order made explicit, an operation a let
    return InferType()(module)
