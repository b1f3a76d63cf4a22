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
    build_config,
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
from relay.transform.convert_layout import ConvertLayout, LayoutConfig
from relay.transform.cps import ToCPS, to_cps, un_cps
from relay.transform.dead_code import DeadCodeElimination
from relay.transform.decompose_transposed_conv import DecomposeTransposedConv
from relay.transform.defunctionalization import Defunctionalization
from relay.transform.defuse_ops import DefuseOps
from relay.transform.div_to_mul import DivToMul
from relay.transform.dynamic_to_static import DynamicToStatic
from relay.transform.eta_expand import EtaExpand
from relay.transform.expand_ops import ExpandOps
from relay.transform.fast_math import FastMath
from relay.transform.flatten_atrous_conv import FlattenAtrousConv
from relay.transform.flexible_shape_dispatch import FlexibleShapeDispatch
from relay.transform.fold_constant import FoldConstant, FoldConstantExpr
from relay.transform.fold_explicit_padding import FoldExplicitPadding
from relay.transform.fold_scale_axis import (
    BackwardFoldScaleAxis,
    FoldScaleAxis,
    ForwardFoldScaleAxis,
)
from relay.transform.fuse_ops import FuseOps
from relay.transform.fused_functions import extract_fused_functions
from relay.transform.gradient import FirstOrderGradient, gradient
from relay.transform.infer_type import InferType, InferTypeLocal
from relay.transform.inline import Inline
from relay.transform.inline_calls import InlineCalls
from relay.transform.instruments import (
    PassPrintingInstrument,
    PassTimingInstrument,
    PrintAfterAll,
    PrintBeforeAll,
    PrintChanged,
    VerifyInstrument,
)
from relay.transform.lambda_lift import LambdaLift
from relay.transform.lazy_gradient_init import LazyGradientInit
from relay.transform.legalize import Legalize
from relay.transform.merge_compiler_regions import MergeCompilerRegions
from relay.transform.merge_composite import MergeComposite
from relay.transform.pad_channels import PadChannels
from relay.transform.partial_evaluate import PartialEvaluate
from relay.transform.partition_graph import PartitionGraph
from relay.transform.pipelines import graph_pipeline
from relay.transform.precision_lists import Precision
from relay.transform.print_ir import PrintIR
from relay.transform.recast import recast
from relay.transform.remove_debug import RemoveDebug
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
from relay.transform.to_a_normal_form import ToANormalForm, ToANormalFormExpr
from relay.transform.to_basic_block_normal_form import ToBasicBlockNormalForm
from relay.transform.to_graph_normal_form import ToGraphNormalForm
from relay.transform.to_mixed_precision import ToMixedPrecision
from relay.transform.use_attention import UseAttention
from relay.transform.use_winograd import UseWinograd
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
    "DecomposeTransposedConv",
    "Defunctionalization",
    "DefuseOps",
    "DivToMul",
    "DynamicToStatic",
    "EliminateCommonSubexpr",
    "EtaExpand",
    "ExpandOps",
    "FastMath",
    "FirstOrderGradient",
    "FlattenAtrousConv",
    "FlexibleShapeDispatch",
    "FoldConstant",
    "FoldConstantExpr",
    "FoldExplicitPadding",
    "FoldScaleAxis",
    "ForwardFoldScaleAxis",
    "FunctionPass",
    "FuseOps",
    "InferType",
    "InferTypeLocal",
    "Inline",
    "InlineCalls",
    "InlineCompilerFunctionsBoundTo",
    "LambdaLift",
    "LayoutConfig",
    "LazyGradientInit",
    "Legalize",
    "MarkCompilerFunctionsAsExtern",
    "MergeCompilerRegions",
    "MergeComposite",
    "OutlineCompilerFunctionsWithExistingGlobalSymbols",
    "PadChannels",
    "PartialEvaluate",
    "PartitionGraph",
    "Pass",
    "PassContext",
    "PassInfo",
    "PassInstrument",
    "PassPrintingInstrument",
    "PassTimingInstrument",
    "Precision",
    "PrintAfterAll",
    "PrintBeforeAll",
    "PrintChanged",
    "PrintIR",
    "RemoveDebug",
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
    "ToANormalFormExpr",
    "ToBasicBlockNormalForm",
    "ToCPS",
    "ToGraphNormalForm",
    "ToMixedPrecision",
    "UseAttention",
    "UseWinograd",
    "VerifyInstrument",
    "build_config",
    "extract_fused_functions",
    "function_pass",
    "gradient",
    "graph_pipeline",
    "module_pass",
    "pass_instrument",
    "recast",
    "search_fc_transpose",
    "simplify_fc_transpose",
    "to_cps",
    "un_cps",
]
