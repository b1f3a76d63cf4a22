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
from relay.transform.canonicalize_cast import CanonicalizeCast
from relay.transform.canonicalize_ops import CanonicalizeOps
from relay.transform.change_batch import ChangeBatch
from relay.transform.combine_parallel import (
    BatchingOps,
    CombineParallelBatchMatmul,
    CombineParallelConv2D,
    CombineParallelDense,
)
from relay.transform.common_subexpr import EliminateCommonSubexpr
from relay.transform.compiler_functions import (
    InlineCompilerFunctionsBoundTo,
    MarkCompilerFunctionsAsExtern,
    OutlineCompilerFunctionsWithExistingGlobalSymbols,
)
from relay.transform.convert_layout import ConvertLayout
from relay.transform.dead_code import DeadCodeElimination
from relay.transform.defuse_ops import DefuseOps
from relay.transform.div_to_mul import DivToMul
from relay.transform.dynamic_to_static import DynamicToStatic
from relay.transform.fast_math import FastMath
from relay.transform.flatten_atrous_conv import FlattenAtrousConv
from relay.transform.flexible_shape_dispatch import FlexibleShapeDispatch
from relay.transform.fold_constant import FoldConstant
from relay.transform.fold_explicit_padding import FoldExplicitPadding
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
from relay.transform.legalize import Legalize
from relay.transform.merge_compiler_regions import MergeCompilerRegions
from relay.transform.merge_composite import MergeComposite
from relay.transform.partition_graph import PartitionGraph
from relay.transform.pipelines import graph_pipeline
from relay.transform.precision_lists import Precision
from relay.transform.recast import recast
from relay.transform.print_ir import PrintIR
from relay.transform.remove_unused_functions import RemoveUnusedFunctions
from relay.transform.simplify_expr import SimplifyExpr, SplitToSlices
from relay.transform.simplify_fc_transpose import (
    SimplifyFCTranspose,
    search_fc_transpose,
    simplify_fc_transpose,
)
from relay.transform.simplify_inference import SimplifyInference
from relay.transform.sink_views import SinkViews
from relay.transform.spans import AnnotateSpans, CapturePostDfsIndexInSpans
from relay.transform.split_args import SplitArgs
from relay.transform.split_joins import SplitJoins
from relay.transform.to_a_normal_form import ToANormalForm
from relay.transform.to_graph_normal_form import ToGraphNormalForm
from relay.transform.to_mixed_precision import ToMixedPrecision
from relay.transform.user_passes import function_pass, module_pass

__all__ = [
    "AlterOpLayout",
    "AnnotateSpans",
    "AnnotateTarget",
    "BackwardFoldScaleAxis",
    "BatchingOps",
    "CanonicalizeCast",
    "CanonicalizeOps",
    "CapturePostDfsIndexInSpans",
    "ChangeBatch",
    "CombineParallelBatchMatmul",
    "CombineParallelConv2D",
    "CombineParallelDense",
    "ConvertLayout",
    "DeadCodeElimination",
    "DefuseOps",
    "DivToMul",
    "DynamicToStatic",
    "EliminateCommonSubexpr",
    "FastMath",
    "FirstOrderGradient",
    "FlattenAtrousConv",
    "FlexibleShapeDispatch",
    "FoldConstant",
    "FoldExplicitPadding",
    "FoldScaleAxis",
    "ForwardFoldScaleAxis",
    "FunctionPass",
    "FuseOps",
    "InferType",
    "InferTypeLocal",
    "InlineCalls",
    "InlineCompilerFunctionsBoundTo",
    "Legalize",
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
    "Precision",
    "PrintAfterAll",
    "PrintBeforeAll",
    "PrintChanged",
    "PrintIR",
    "RemoveUnusedFunctions",
    "Sequential",
    "SimplifyExpr",
    "SimplifyFCTranspose",
    "SimplifyInference",
    "SinkViews",
    "SplitArgs",
    "SplitJoins",
    "SplitToSlices",
    "ToANormalForm",
    "ToGraphNormalForm",
    "ToMixedPrecision",
    "VerifyInstrument",
    "function_pass",
    "gradient",
    "graph_pipeline",
    "module_pass",
    "pass_instrument",
    "recast",
    "search_fc_transpose",
    "simplify_fc_transpose",
]
