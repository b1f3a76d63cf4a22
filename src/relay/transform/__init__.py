"""Passes: maps from modules to modules, and what runs them."""

from relay.transform.alter_op_layout import AlterOpLayout
from relay.transform.annotate_target import AnnotateTarget
from relay.transform.base import (
    FunctionPass,
    Pass,
    PassContext,
    PassInfo,
    PassInstrument,
    Sequential,
    pass_instrument,
)
from relay.transform.canonicalize_ops import CanonicalizeOps
from relay.transform.common_subexpr import EliminateCommonSubexpr
from relay.transform.compiler_functions import (
    InlineCompilerFunctionsBoundTo,
    MarkCompilerFunctionsAsExtern,
    OutlineCompilerFunctionsWithExistingGlobalSymbols,
)
from relay.transform.convert_layout import ConvertLayout
from relay.transform.dead_code import DeadCodeElimination
from relay.transform.defuse_ops import DefuseOps
from relay.transform.fold_constant import FoldConstant
from relay.transform.fold_scale_axis import (
    BackwardFoldScaleAxis,
    FoldScaleAxis,
    ForwardFoldScaleAxis,
)
from relay.transform.fuse_ops import FuseOps
from relay.transform.gradient import FirstOrderGradient, gradient
from relay.transform.infer_type import InferType, InferTypeLocal
from relay.transform.inline_calls import InlineCalls
from relay.transform.instruments import (
    PassTimingInstrument,
    PrintAfterAll,
    PrintBeforeAll,
    PrintChanged,
    VerifyInstrument,
)
from relay.transform.merge_compiler_regions import MergeCompilerRegions
from relay.transform.merge_composite import MergeComposite
from relay.transform.partition_graph import PartitionGraph
from relay.transform.pipelines import graph_pipeline
from relay.transform.remove_unused_functions import RemoveUnusedFunctions
from relay.transform.simplify_expr import SimplifyExpr, SplitToSlices
from relay.transform.simplify_inference import SimplifyInference
from relay.transform.sink_views import SinkViews
from relay.transform.split_joins import SplitJoins
from relay.transform.to_a_normal_form import ToANormalForm
from relay.transform.to_graph_normal_form import ToGraphNormalForm
from relay.transform.user_passes import function_pass, module_pass

__all__ = [
    "AlterOpLayout",
    "AnnotateTarget",
    "BackwardFoldScaleAxis",
    "CanonicalizeOps",
    "ConvertLayout",
    "DeadCodeElimination",
    "DefuseOps",
    "EliminateCommonSubexpr",
    "FirstOrderGradient",
    "FoldConstant",
    "FoldScaleAxis",
    "ForwardFoldScaleAxis",
    "FunctionPass",
    "FuseOps",
    "InferType",
    "InferTypeLocal",
    "InlineCalls",
    "InlineCompilerFunctionsBoundTo",
    "MarkCompilerFunctionsAsExtern",
    "MergeCompilerRegions",
    "MergeComposite",
    "OutlineCompilerFunctionsWithExistingGlobalSymbols",
    "PartitionGraph",
    "Pass",
    "PassContext",
    "PassInfo",
    "PassInstrument",
    "PassTimingInstrument",
    "PrintAfterAll",
    "PrintBeforeAll",
    "PrintChanged",
    "RemoveUnusedFunctions",
    "Sequential",
    "SimplifyExpr",
    "SimplifyInference",
    "SinkViews",
    "SplitJoins",
    "SplitToSlices",
    "ToANormalForm",
    "ToGraphNormalForm",
    "VerifyInstrument",
    "function_pass",
    "gradient",
    "graph_pipeline",
    "module_pass",
    "pass_instrument",
]
