"""Blocked layouts for convolution nets."""

from dataclasses import dataclass
from typing import ClassVar, final

from relay.ir.expr import Function
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.types import TensorType, Type
from relay.op.nn.convolution import (
    Conv1D,
    Conv2D,
    Conv2DNCHWc,
    Conv3D,
    Convolution,
    DepthwiseConv2DNCHWc,
)
from relay.transform.base import FunctionPass, PassContext
from relay.transform.layout_engine import carry_layouts
from relay.transform.layout_rules import SMALLEST_BLOCK, Changes


def channel_block(channels: int, lanes: int) -> int:
    """How many of `channels` to keep side by side for vectors of `lanes` elements.

    The largest power of two that divides `channels` and is at most `lanes`; where that is less
    than 4, the largest divisor that is at most `lanes`.
    """
    power = 1
    while power * 2 <= lanes and channels % (power * 2) == 0:
        power *= 2
    if power >= SMALLEST_BLOCK:
        return power
    return max(d for d in range(1, lanes + 1) if channels % d == 0)


@final
@dataclass(frozen=True)
class AlterOpLayout(FunctionPass):
    """Run convolutions with their channels in blocks of at most `vector_lanes` elements.

    Contract: an ``nn.conv2d`` in NCHW of static shape becomes ``nn.contrib_conv2d_NCHWc`` or
    ``nn.contrib_depthwise_conv2d_NCHWc``, unless its output channels have no divisor from 4 to
    `vector_lanes`, or it has groups of outputs that give blocks of less than half of
    `vector_lanes`, or several outputs for each input channel of its own group. An ``nn.conv3d``
    in NCDHW takes blocks by the same rules; so does an ``nn.conv1d`` in NCW that is not depthwise
    and has strides or groups, for else the positions are vectors already. The operators around
    follow as far as they can; ``layout_transform`` stands at the borders and at the weights, where
    `FoldConstant` takes it away. An input of few channels is read in blocks of one, for which no
    data moves. The meaning stays up to the order of summation.
    """

    opt_level: ClassVar[int] = 3
    vector_lanes: int = 16

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        return carry_layouts(func, self._plan)

    def _plan(
        self, declaration: Operator, incoming: Changes, types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        if not isinstance(declaration, Conv1D | Conv2D | Conv3D):
            return None
        data, weight = types
        plain, plain_kernel = f"NC{declaration.spatial}", f"OI{declaration.spatial}"
        if (declaration.data_layout, declaration.kernel_layout) != (plain, plain_kernel):
            return None
        if declaration.out_layout not in ("", plain):
            return None
        if not (isinstance(data, TensorType) and isinstance(weight, TensorType)):
            return None
        if not (data.is_static and weight.is_static):
            return None
        outputs, per_group, *kernel_size = weight.concrete_shape
        blocks = self._blocks(declaration, incoming, data.concrete_shape[1], outputs, per_group)
        if blocks is None:
            return None
        in_block, out_block, depthwise = blocks
        blocked: type[Conv1D | Conv2DNCHWc | Conv3D | DepthwiseConv2DNCHWc]
        if isinstance(declaration, Conv2D):
            blocked = DepthwiseConv2DNCHWc if depthwise else Conv2DNCHWc
        else:
            blocked = type(declaration)
        moved = blocked(
            strides=declaration.strides,
            padding=declaration.padding,
            dilation=declaration.dilation,
            groups=declaration.groups,
            channels=outputs,
            kernel_size=tuple(kernel_size),
            data_layout=f"{plain}{in_block}c",
            kernel_layout=f"{plain_kernel}{1 if depthwise else in_block}i{out_block}o",
            out_layout=f"{plain}{out_block}c",
            out_dtype=declaration.out_dtype,
        )
        source = Layout(plain)
        arguments = (
            LayoutChange(source, Layout(moved.data_layout)),
            LayoutChange(Layout(plain_kernel), Layout(moved.kernel_layout)),
        )
        return LayoutPlan(moved, arguments, (LayoutChange(source, Layout(moved.out_layout)),))

    def _blocks(
        self,
        declaration: Convolution,
        incoming: Changes,
        inputs: int,
        outputs: int,
        per_group: int,
    ) -> tuple[int, int, bool] | None:
        """The blocks of input and output channels, and whether each channel is convolved alone.

        None where the convolution had better stay as it is.
        """
        groups, lanes = declaration.groups, self.vector_lanes
        at_hand = self._block_at_hand(incoming, f"NC{declaration.spatial}")
        depthwise = groups == inputs == outputs and per_group == 1 and inputs > 1
        if isinstance(declaration, Conv1D) and not self._pays(declaration, depthwise):
            return None
        if depthwise:
            block = at_hand or channel_block(inputs, lanes)
            return None if block < SMALLEST_BLOCK else (block, block, True)
        if per_group == 1 and groups > 1:  # several outputs of one channel fit no block of it
            return None
        out_block = channel_block(outputs // groups, lanes)
        in_block = channel_block(per_group, lanes)
        if at_hand is not None and per_group % at_hand == 0:
            in_block = at_hand
        # Vectors of half their width are the least that is worth it where groups are narrow.
        least = SMALLEST_BLOCK if groups == 1 else lanes // 2
        if out_block < least:
            return None
        return 1 if in_block < SMALLEST_BLOCK else in_block, out_block, False

    @staticmethod
    def _pays(declaration: Conv1D, depthwise: bool) -> bool:
        """Whether one spatial axis is not long vectors already, for all channels alike."""
        return not depthwise and (declaration.groups > 1 or declaration.strides[0] > 1)

    @staticmethod
    def _block_at_hand(incoming: Changes, plain: str) -> int | None:
        """The block of channels that the data is in already, if it is."""
        change = incoming[0]
        if not isinstance(change, LayoutChange):
            return None
        block = change.target.block("C")
        return block if change.target == Layout(plain).split("C", block) else None
