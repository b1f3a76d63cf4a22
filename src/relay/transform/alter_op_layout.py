"""Blocked layouts for convolution nets."""

from dataclasses import dataclass
from typing import ClassVar, final

from relay.ir.expr import Function
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.types import TensorType, Type
from relay.op.nn.convolution import Conv2D, Conv2DNCHWc, DepthwiseConv2DNCHWc
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
    """Run 2-D convolutions with their channels in blocks of at most `vector_lanes` elements.

    Contract: an ``nn.conv2d`` in NCHW of static shape, in one group or depthwise, becomes
    ``nn.contrib_conv2d_NCHWc`` or ``nn.contrib_depthwise_conv2d_NCHWc``, unless its output channels
    have no divisor from 4 to `vector_lanes`. The operators around follow as far as they can;
    ``layout_transform`` stands at the borders and at the weights, where `FoldConstant` takes it
    away. An input of few channels is read in blocks of one, for which no data moves. The meaning
    stays up to the order of summation.
    """

    opt_level: ClassVar[int] = 3
    vector_lanes: int = 16

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        return carry_layouts(func, self._plan)

    def _plan(
        self, declaration: Operator, incoming: Changes, types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        if not isinstance(declaration, Conv2D):
            return None
        data, weight = types
        layouts = (declaration.data_layout, declaration.kernel_layout, declaration.out_layout)
        plain = layouts in (("NCHW", "OIHW", ""), ("NCHW", "OIHW", "NCHW"))
        if not (plain and isinstance(data, TensorType) and isinstance(weight, TensorType)):
            return None
        if not (data.is_static and weight.is_static):
            return None
        inputs, (outputs, per_group, *kernel_size) = data.concrete_shape[1], weight.concrete_shape
        depthwise = declaration.groups == inputs == outputs and per_group == 1 and inputs > 1
        if declaration.groups != 1 and not depthwise:
            return None
        in_block = self._block_at_hand(incoming) or channel_block(inputs, self.vector_lanes)
        out_block = in_block if depthwise else channel_block(outputs, self.vector_lanes)
        if out_block < SMALLEST_BLOCK:
            return None
        if in_block < SMALLEST_BLOCK:
            in_block = 1
        blocked = DepthwiseConv2DNCHWc if depthwise else Conv2DNCHWc
        moved = blocked(
            strides=declaration.strides,
            padding=declaration.padding,
            dilation=declaration.dilation,
            groups=declaration.groups,
            channels=outputs,
            kernel_size=tuple(kernel_size),
            data_layout=f"NCHW{in_block}c",
            kernel_layout=f"OIHW{1 if depthwise else in_block}i{out_block}o",
            out_layout=f"NCHW{out_block}c",
            out_dtype=declaration.out_dtype,
        )
        nchw = Layout("NCHW")
        arguments = (
            LayoutChange(nchw, Layout(moved.data_layout)),
            LayoutChange(Layout("OIHW"), Layout(moved.kernel_layout)),
        )
        return LayoutPlan(moved, arguments, (LayoutChange(nchw, Layout(moved.out_layout)),))

    @staticmethod
    def _block_at_hand(incoming: Changes) -> int | None:
        """The block of channels that the data is in already, if it is."""
        change = incoming[0]
        if not isinstance(change, LayoutChange):
            return None
        block = change.target.block("C")
        return block if change.target == Layout("NCHW").split("C", block) else None
