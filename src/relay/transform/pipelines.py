"""The compiler's table of contents: which passes run, in which order, and why there.

A pipeline is a function from what is known about the target to passes. The passes' own levels and
the context decide which of them run; see `Sequential`.
"""

from typing import Final

from relay.target import Target
from relay.transform.alter_op_layout import AlterOpLayout
from relay.transform.base import Pass, Sequential
from relay.transform.canonicalize_ops import CanonicalizeOps
from relay.transform.common_subexpr import EliminateCommonSubexpr
from relay.transform.dead_code import DeadCodeElimination
from relay.transform.decompose_transposed_conv import DecomposeTransposedConv
from relay.transform.expand_ops import ExpandOps
from relay.transform.fold_constant import FoldConstant
from relay.transform.fold_scale_axis import BackwardFoldScaleAxis, ForwardFoldScaleAxis
from relay.transform.fuse_ops import FuseOps
from relay.transform.infer_type import InferType
from relay.transform.inline_calls import InlineCalls
from relay.transform.pad_channels import PadChannels
from relay.transform.remove_unused_functions import RemoveUnusedFunctions
from relay.transform.simplify_expr import SimplifyExpr, SplitToSlices
from relay.transform.simplify_inference import SimplifyInference
from relay.transform.sink_views import SinkViews
from relay.transform.split_joins import SplitJoins
from relay.transform.to_graph_normal_form import ToGraphNormalForm
from relay.transform.use_attention import UseAttention
from relay.transform.use_winograd import UseWinograd

REQUIRED: Final = ("ToGraphNormalForm", "DeadCodeElimination")
"""What a graph has to go through at every level, for an executor of graphs knows no lets."""


def normalize() -> tuple[Pass, ...]:
    """From what a user or a frontend wrote to one typed dataflow graph per function."""
    return (
        RemoveUnusedFunctions(),  # nothing below has to look at what nobody calls
        InferType(),  # every pass below may ask for types
        InlineCalls(),  # executors of straight-line programs know no other calls than kernels
        ToGraphNormalForm(),  # sharing instead of lets: one form to match patterns on
        DeadCodeElimination(),  # drops the lets that had to stay but are not used
        ExpandOps(),  # below, quantised values are integers like any others
        SimplifyInference(expand_norms=False),  # row-wise norms stay whole: one kernel each
    )


def fold() -> tuple[Pass, ...]:
    """Fewer and cheaper operators, the weights paying for it once."""
    return (
        FoldConstant(),  # statistics of batch norms become scales and shifts
        EliminateCommonSubexpr(),  # equal branches are one before scales look for single users
        CanonicalizeOps(),  # bias_add is an add like any other from here on
        SimplifyExpr(),  # constants to the right, neighbours merged
        BackwardFoldScaleAxis(),  # most scales follow a convolution
        ForwardFoldScaleAxis(),  # the rest may precede one
        SimplifyExpr(),  # what folding left behind: x * 1, two shifts in a row
        SinkViews(),  # epilogues work on the rows of the product before them
        SplitToSlices(),  # slices fuse, a split with several results does not
        SimplifyExpr(),  # views that have met
        FoldConstant(),  # what the rules made of constants
        EliminateCommonSubexpr(),  # equal calls that only simplification revealed
    )


def layout(target: Target | None) -> tuple[Pass, ...]:
    """Layouts and algorithms that suit `target`; none where it is not known or has no vectors."""
    if target is None or target.lanes(32) <= 1:
        return ()
    narrow = ("bfloat16",) if target.multiplies_pairs else ()
    return (
        DecomposeTransposedConv(target.lanes(32)),  # convolutions know layouts and tiles
        PadChannels(target.lanes(32)),  # 24 channels are blocks of 8, 32 are whole vectors
        AlterOpLayout(target.lanes(32)),  # convolutions work on blocks of channels
        SimplifyExpr(),  # transforms that undo each other
        FoldConstant(),  # weights are packed here, not at run time
        UseWinograd(target),  # transforms weights that are constant by now
        UseAttention(target.l2_bytes, narrow),  # scores are not stored; views have settled by now
        SimplifyExpr(),  # what was turned for a product is read as it was
        EliminateCommonSubexpr(),  # one transform of a value that several operators read
    )


def fuse(opt_level: int) -> tuple[Pass, ...]:
    """Kernels: what is one function from here on is one kernel."""
    return (
        SplitJoins(),  # the time to compile a kernel grows faster than the number of its arguments
        FuseOps(fuse_opt_level=0 if opt_level == 0 else 1),
    )


def graph_pipeline(opt_level: int, target: Target | None = None) -> Sequential:
    """What happens to a module before it is lowered, for `target` if that is known.

    Level 0: simplification, no fusion. 1: fusion. 2: constants are folded. 3: weights are rewritten
    (scales, layouts), equal expressions merged. The levels are the passes' own; run the pipeline in
    ``PassContext(opt_level=opt_level)``, naming `REQUIRED` too if it is to be lowered.
    """
    steps = (*normalize(), *fold(), *layout(target), *fuse(opt_level))
    return Sequential(steps, name=f"graph_pipeline_{opt_level}")
