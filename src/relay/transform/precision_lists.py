"""Which operators gain from narrow floats, which can follow them, and which must not."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final


class Precision(IntEnum):
    """What `ToMixedPrecision` does with an operator (Relay's numbers).

    ALWAYS: computed on narrow floats, whatever it costs to convert the arguments. FOLLOW: computed
    on narrow floats where its arguments are narrow already. NEVER: computed on the original type.
    """

    ALWAYS = 0
    FOLLOW = 1
    NEVER = 2


_ALWAYS: Final = """
    nn.conv1d nn.conv2d nn.conv3d nn.conv1d_transpose nn.conv2d_transpose nn.conv3d_transpose
    nn.contrib_conv2d_NCHWc nn.contrib_depthwise_conv2d_NCHWc nn.dense nn.batch_matmul nn.matmul
"""

# They move, compare or combine elements, or their result stays close to their argument.
_FOLLOW: Final = """
    add subtract multiply divide maximum minimum mod floor_mod floor_divide
    abs negative sign floor ceil round trunc clip copy sqrt rsqrt tanh fast_tanh sigmoid erf
    fast_erf
    nn.relu nn.leaky_relu nn.prelu nn.dropout nn.bias_add nn.pad nn.mirror_pad
    nn.max_pool1d nn.max_pool2d nn.max_pool3d nn.avg_pool1d nn.avg_pool2d nn.avg_pool3d
    nn.global_max_pool2d nn.global_avg_pool2d
    nn.adaptive_max_pool1d nn.adaptive_max_pool2d nn.adaptive_max_pool3d
    nn.adaptive_avg_pool1d nn.adaptive_avg_pool2d nn.adaptive_avg_pool3d
    nn.batch_norm nn.batch_flatten nn.depth_to_space nn.space_to_depth nn.upsampling
    nn.space_to_batch_nd nn.batch_to_space_nd nn.dilate layout_transform
    equal not_equal less less_equal greater greater_equal isnan isinf isfinite
    reshape reshape_like contrib_reverse_reshape squeeze expand_dims transpose concatenate stack
    split strided_slice slice_like take gather gather_nd where tile repeat reverse
    reverse_sequence broadcast_to broadcast_to_like zeros_like ones_like trilu meshgrid
    scatter_elements scatter_nd sequence_mask max min argmax argmin sort argsort topk
    annotation.compiler_begin annotation.compiler_end annotation.stop_fusion annotation.checkpoint
    shape_of ndarray_size zeros ones
    all any argwhere searchsorted logical_and logical_or logical_xor logical_not bitwise_and
    bitwise_or bitwise_xor bitwise_not left_shift right_shift fixed_point_multiply trunc_divide
    adv_index sliding_window strided_set matrix_set_diag unravel_index invert_permutation
    fixed_point_multiply_per_axis sparse_to_dense sparse_reshape sparse_fill_empty_rows
    image.resize1d image.resize2d image.resize3d image.dilation2d nn.upsampling3d nn.fifo_buffer
    nn.sparse_transpose nn.bitpack nn.bitserial_conv2d nn.bitserial_dense dyn.sparse_to_dense
    dyn.nn.upsampling3d
    trunc_mod dyn.broadcast_to dyn.expand_dims dyn.nn.pad dyn.nn.upsampling dyn.ones dyn.reshape
    dyn.squeeze dyn.strided_slice dyn.tile dyn.topk dyn.zeros
"""

# They add up many elements, grow without bound, or say themselves what type they give.
_NEVER: Final = """
    exp fast_exp log log2 log10 power sum prod mean variance cumsum cumprod
    sin cos tan sinh cosh asin acos atan asinh acosh atanh
    nn.softmax nn.log_softmax nn.fast_softmax nn.cross_entropy nn.cross_entropy_with_logits
    nn.layer_norm nn.group_norm nn.instance_norm nn.l2_normalize nn.lrn
    cast cast_like full full_like one_hot arange collapse_sum_like collapse_sum_to
    dyn.full dyn.one_hot nn.max_pool1d_grad nn.max_pool2d_grad nn.max_pool3d_grad nn.avg_pool1d_grad
    nn.avg_pool2d_grad nn.avg_pool3d_grad nn.conv1d_backward_weight nn.conv2d_backward_weight
    nn.conv3d_backward_weight
    einsum dft stft unique reinterpret nn.nll_loss nn.correlation nn.deformable_conv2d
    nn.sparse_dense nn.sparse_add nn.sparse_conv2d
    image.grid_sample image.affine_grid image.crop_and_resize dyn.image.resize2d
"""


def _table() -> dict[str, Precision]:
    lists = {
        Precision.ALWAYS: _ALWAYS,
        Precision.FOLLOW: _FOLLOW,
        Precision.NEVER: _NEVER,
    }
    return {name: kind for kind, names in lists.items() for name in names.split()}


PRECISIONS: Final[Mapping[str, Precision]] = MappingProxyType(_table())
"""The precision of every operator that has one; for others see `ToMixedPrecision`."""
