"""Neural-network operators: the declarations, and the functions that users call.

``relay.nn.conv2d(data, weight, padding=(1, 1))`` makes a call of `Conv2D`; `relay.op.functions`
says how the functions take their arguments. The functions below are those whose arguments are not
just the operator's inputs and attributes.
"""

from collections.abc import Sequence

from relay.ir.expr import Expr, ExprLike, TupleGetItem, as_expr
from relay.op.functions import TupleWrapper, function
from relay.op.nn.activation import Dropout, FastSoftmax, LeakyRelu, LogSoftmax, PRelu, Relu, Softmax
from relay.op.nn.adaptive_pooling import (
    AdaptiveAvgPool1D,
    AdaptiveAvgPool2D,
    AdaptiveAvgPool3D,
    AdaptiveMaxPool1D,
    AdaptiveMaxPool2D,
    AdaptiveMaxPool3D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
)
from relay.op.nn.attention import Attention
from relay.op.nn.backward_weight import (
    Conv1DBackwardWeight,
    Conv2DBackwardWeight,
    Conv3DBackwardWeight,
)
from relay.op.nn.batch_space import BatchToSpaceND, SpaceToBatchND
from relay.op.nn.bitserial import BitPack, BitSerialConv2D, BitSerialDense, bitpack
from relay.op.nn.convolution import Conv1D, Conv2D, Conv2DNCHWc, Conv3D, DepthwiseConv2DNCHWc
from relay.op.nn.correlation import Correlation
from relay.op.nn.deformable import DeformableConv2D
from relay.op.nn.dense import BatchMatmul, BiasAdd, Dense, Matmul
from relay.op.nn.fifo import FIFOBuffer
from relay.op.nn.interleave import Interleave
from relay.op.nn.layout import BatchFlatten, DepthToSpace, LayoutTransform, SpaceToDepth, Upsampling
from relay.op.nn.loss import CrossEntropy, CrossEntropyWithLogits
from relay.op.nn.nll_loss import NLLLoss
from relay.op.nn.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from relay.op.nn.packed import (
    Conv2DGemm,
    Conv2DGemmWeightTransform,
    Conv2DWinogradNNPACKWeightTransform,
    DensePack,
)
from relay.op.nn.padding import Dilate, MirrorPad, Pad
from relay.op.nn.pooling import AvgPool1D, AvgPool2D, AvgPool3D, MaxPool1D, MaxPool2D, MaxPool3D
from relay.op.nn.pooling_gradients import (
    AvgPool1DGrad,
    AvgPool2DGrad,
    AvgPool3DGrad,
    MaxPool1DGrad,
    MaxPool2DGrad,
    MaxPool3DGrad,
)
from relay.op.nn.response_norm import LRN, L2Normalize
from relay.op.nn.sparse import (
    SparseAdd,
    SparseConv2D,
    SparseDense,
    SparseTranspose,
    sparse_add,
    sparse_dense,
    sparse_transpose,
)
from relay.op.nn.sparse_padded import SparseDensePadded
from relay.op.nn.transposed import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from relay.op.nn.volumes import Upsampling3D
from relay.op.nn.winograd import Conv2DWinograd, Conv2DWinogradWeightTransform
from relay.op.nn.winograd3d import Conv3DWinograd, Conv3DWinogradWeightTransform

relu = function(Relu)
leaky_relu = function(LeakyRelu)
prelu = function(PRelu)
softmax = function(Softmax)
fast_softmax = function(FastSoftmax)
log_softmax = function(LogSoftmax)
dropout_raw = function(Dropout)
adaptive_avg_pool1d = function(AdaptiveAvgPool1D)
adaptive_avg_pool2d = function(AdaptiveAvgPool2D)
adaptive_avg_pool3d = function(AdaptiveAvgPool3D)
adaptive_max_pool1d = function(AdaptiveMaxPool1D)
adaptive_max_pool2d = function(AdaptiveMaxPool2D)
adaptive_max_pool3d = function(AdaptiveMaxPool3D)
global_avg_pool2d = function(GlobalAvgPool2D)
global_max_pool2d = function(GlobalMaxPool2D)
conv1d = function(Conv1D)
conv2d = function(Conv2D)
conv3d = function(Conv3D)
contrib_conv2d_nchwc = function(Conv2DNCHWc)
contrib_depthwise_conv2d_nchwc = function(DepthwiseConv2DNCHWc)
contrib_attention = function(Attention)
contrib_interleave = function(Interleave)
contrib_conv2d_winograd_weight_transform = function(Conv2DWinogradWeightTransform)
contrib_conv2d_winograd_without_weight_transform = function(Conv2DWinograd)
contrib_conv2d_winograd_nnpack_weight_transform = function(Conv2DWinogradNNPACKWeightTransform)
contrib_conv2d_gemm_weight_transform = function(Conv2DGemmWeightTransform)
contrib_conv2d_gemm_without_weight_transform = function(Conv2DGemm)
contrib_conv3d_winograd_weight_transform = function(Conv3DWinogradWeightTransform)
contrib_conv3d_winograd_without_weight_transform = function(Conv3DWinograd)
dense = function(Dense)
matmul = function(Matmul)
batch_matmul = function(BatchMatmul)
bias_add = function(BiasAdd)
batch_flatten = function(BatchFlatten)
depth_to_space = function(DepthToSpace)
space_to_depth = function(SpaceToDepth)
space_to_batch_nd = function(SpaceToBatchND)
batch_to_space_nd = function(BatchToSpaceND)
upsampling = function(Upsampling)
layout_transform = function(LayoutTransform)
group_norm = function(GroupNorm)
instance_norm = function(InstanceNorm)
l2_normalize = function(L2Normalize)
lrn = function(LRN)
layer_norm = function(LayerNorm)
mirror_pad = function(MirrorPad)
avg_pool1d = function(AvgPool1D)
avg_pool2d = function(AvgPool2D)
avg_pool3d = function(AvgPool3D)
max_pool1d = function(MaxPool1D)
max_pool2d = function(MaxPool2D)
max_pool3d = function(MaxPool3D)
conv1d_transpose = function(Conv1DTranspose)
conv2d_transpose = function(Conv2DTranspose)
conv3d_transpose = function(Conv3DTranspose)
dilate = function(Dilate)
cross_entropy = function(CrossEntropy)
cross_entropy_with_logits = function(CrossEntropyWithLogits)
conv1d_backward_weight = function(Conv1DBackwardWeight)
max_pool1d_grad = function(MaxPool1DGrad)
avg_pool1d_grad = function(AvgPool1DGrad)
conv2d_backward_weight = function(Conv2DBackwardWeight)
max_pool2d_grad = function(MaxPool2DGrad)
avg_pool2d_grad = function(AvgPool2DGrad)
conv3d_backward_weight = function(Conv3DBackwardWeight)
max_pool3d_grad = function(MaxPool3DGrad)
avg_pool3d_grad = function(AvgPool3DGrad)
nll_loss = function(NLLLoss, own_dtype=("targets",))
upsampling3d = function(Upsampling3D)
fifo_buffer = function(FIFOBuffer)
correlation = function(Correlation)
deformable_conv2d = function(DeformableConv2D)
bitserial_conv2d = function(BitSerialConv2D)
bitserial_dense = function(BitSerialDense)
sparse_conv2d = function(SparseConv2D, own_dtype=("sparse_indices", "sparse_indptr"))


def batch_norm(
    data: Expr,
    gamma: Expr,
    beta: Expr,
    moving_mean: Expr,
    moving_var: Expr,
    axis: int = 1,
    epsilon: float = 1e-5,
    center: bool = True,
    scale: bool = True,
) -> TupleWrapper:
    """`BatchNorm`: the normalised data, the moving mean and the moving variance."""
    call = BatchNorm.call(
        data,
        gamma,
        beta,
        moving_mean,
        moving_var,
        axis=axis,
        epsilon=epsilon,
        center=center,
        scale=scale,
    )
    return TupleWrapper(call, 3)


def pad(
    data: Expr,
    pad_width: Sequence[Sequence[int]],
    pad_value: ExprLike = 0.0,
    pad_mode: str = "constant",
) -> Expr:
    """Pad `data` as `Pad` does, with the scalar `pad_value` in the mode ``constant``."""
    value = as_expr(pad_value, like=data)
    return Pad.call(data, value, pad_width=pad_width, pad_mode=pad_mode)


def contrib_dense_pack(
    data: Expr,
    weight: Expr,
    weight_layout: str = "NC",
    units: int | None = None,
    out_dtype: str = "",
) -> Expr:
    """The product with a weight in blocks; see `DensePack`."""
    return DensePack.call(
        data, weight, units=units, out_dtype=out_dtype, weight_layout=weight_layout
    )


def dropout(data: Expr, rate: float = 0.5) -> Expr:
    """The data as `Dropout` gives it, without the mask."""
    return TupleGetItem(dropout_raw(data, rate=rate), 0)


def global_avg_pool1d(data: Expr, layout: str = "NCW", out_layout: str = "") -> Expr:
    """The mean over all spatial axes, as adaptive pooling to the size 1."""
    return AdaptiveAvgPool1D.call(data, output_size=(1,), layout=layout, out_layout=out_layout)


def global_avg_pool3d(data: Expr, layout: str = "NCDHW", out_layout: str = "") -> Expr:
    """The mean over all spatial axes, as adaptive pooling to the size 1."""
    return AdaptiveAvgPool3D.call(data, output_size=(1, 1, 1), layout=layout, out_layout=out_layout)


def global_max_pool1d(data: Expr, layout: str = "NCW", out_layout: str = "") -> Expr:
    """The largest element over all spatial axes, as adaptive pooling to the size 1."""
    return AdaptiveMaxPool1D.call(data, output_size=(1,), layout=layout, out_layout=out_layout)


def global_max_pool3d(data: Expr, layout: str = "NCDHW", out_layout: str = "") -> Expr:
    """The largest element over all spatial axes, as adaptive pooling to the size 1."""
    return AdaptiveMaxPool3D.call(data, output_size=(1, 1, 1), layout=layout, out_layout=out_layout)


__all__ = [
    "LRN",
    "AdaptiveAvgPool1D",
    "AdaptiveAvgPool2D",
    "AdaptiveAvgPool3D",
    "AdaptiveMaxPool1D",
    "AdaptiveMaxPool2D",
    "AdaptiveMaxPool3D",
    "AvgPool1D",
    "AvgPool1DGrad",
    "AvgPool2D",
    "AvgPool2DGrad",
    "AvgPool3D",
    "AvgPool3DGrad",
    "BatchFlatten",
    "BatchMatmul",
    "BatchNorm",
    "BatchToSpaceND",
    "BiasAdd",
    "BitPack",
    "BitSerialConv2D",
    "BitSerialDense",
    "Conv1D",
    "Conv1DBackwardWeight",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DBackwardWeight",
    "Conv2DGemm",
    "Conv2DGemmWeightTransform",
    "Conv2DNCHWc",
    "Conv2DTranspose",
    "Conv2DWinograd",
    "Conv2DWinogradNNPACKWeightTransform",
    "Conv2DWinogradWeightTransform",
    "Conv3D",
    "Conv3DBackwardWeight",
    "Conv3DTranspose",
    "Conv3DWinograd",
    "Conv3DWinogradWeightTransform",
    "Correlation",
    "CrossEntropy",
    "CrossEntropyWithLogits",
    "DeformableConv2D",
    "Dense",
    "DensePack",
    "DepthToSpace",
    "DepthwiseConv2DNCHWc",
    "Dilate",
    "Dropout",
    "FIFOBuffer",
    "FastSoftmax",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "InstanceNorm",
    "Interleave",
    "L2Normalize",
    "LayerNorm",
    "LayoutTransform",
    "LeakyRelu",
    "LogSoftmax",
    "Matmul",
    "MaxPool1D",
    "MaxPool1DGrad",
    "MaxPool2D",
    "MaxPool2DGrad",
    "MaxPool3D",
    "MaxPool3DGrad",
    "MirrorPad",
    "NLLLoss",
    "PRelu",
    "Pad",
    "Relu",
    "Softmax",
    "SpaceToBatchND",
    "SpaceToDepth",
    "SparseAdd",
    "SparseConv2D",
    "SparseDense",
    "SparseDensePadded",
    "SparseTranspose",
    "Upsampling",
    "Upsampling3D",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool1d_grad",
    "avg_pool2d",
    "avg_pool2d_grad",
    "avg_pool3d",
    "avg_pool3d_grad",
    "batch_flatten",
    "batch_matmul",
    "batch_norm",
    "batch_to_space_nd",
    "bias_add",
    "bitpack",
    "bitserial_conv2d",
    "bitserial_dense",
    "contrib_attention",
    "contrib_conv2d_gemm_weight_transform",
    "contrib_conv2d_gemm_without_weight_transform",
    "contrib_conv2d_nchwc",
    "contrib_conv2d_winograd_nnpack_weight_transform",
    "contrib_conv2d_winograd_weight_transform",
    "contrib_conv2d_winograd_without_weight_transform",
    "contrib_conv3d_winograd_weight_transform",
    "contrib_conv3d_winograd_without_weight_transform",
    "contrib_dense_pack",
    "contrib_depthwise_conv2d_nchwc",
    "contrib_interleave",
    "conv1d",
    "conv1d_backward_weight",
    "conv1d_transpose",
    "conv2d",
    "conv2d_backward_weight",
    "conv2d_transpose",
    "conv3d",
    "conv3d_backward_weight",
    "conv3d_transpose",
    "correlation",
    "cross_entropy",
    "cross_entropy_with_logits",
    "deformable_conv2d",
    "dense",
    "depth_to_space",
    "dilate",
    "dropout",
    "dropout_raw",
    "fast_softmax",
    "fifo_buffer",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "group_norm",
    "instance_norm",
    "l2_normalize",
    "layer_norm",
    "layout_transform",
    "leaky_relu",
    "log_softmax",
    "lrn",
    "matmul",
    "max_pool1d",
    "max_pool1d_grad",
    "max_pool2d",
    "max_pool2d_grad",
    "max_pool3d",
    "max_pool3d_grad",
    "mirror_pad",
    "nll_loss",
    "pad",
    "prelu",
    "relu",
    "softmax",
    "space_to_batch_nd",
    "space_to_depth",
    "sparse_add",
    "sparse_conv2d",
    "sparse_dense",
    "sparse_transpose",
    "upsampling",
    "upsampling3d",
]
