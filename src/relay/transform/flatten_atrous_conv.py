"""`FlattenAtrousConv`: a convolution between two rearrangements of blocks as a dilated one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relay.ir.expr import Call, Expr
from relay.ir.layout import Layout
from relay.op.nn.convolution import Conv2D
from relay.transform.calls import attribute, is_call_of
from relay.transform.rule_pass import RulePass
from relay.transform.simplify_rules import Rule


def _spatial(call: Call, name: str, layout: Layout, otherwise: object) -> list[object] | None:
    """Attribute `name`, one item an axis after the first, of H and W; None where other axes differ.

    Axes without an item have `otherwise`.
    """
    given: Sequence[object] = attribute(call, name)
    items = [otherwise, *given, *[otherwise] * (layout.rank - 1 - len(given))]
    by_axis = dict(zip((str(a) for a in layout.axes), items, strict=True))
    found = [by_axis.pop(c) for c in "HW"]
    return found if all(item == otherwise for item in by_axis.values()) else None


def _dilated(call: Call) -> Expr | None:
    """``batch_to_space_nd(conv2d(space_to_batch_nd(x)))`` as one convolution."""
    conv = call.args[0]
    if not isinstance(conv, Call) or not isinstance(conv.attrs, Conv2D):
        return None
    data, attrs = conv.args[0], conv.attrs
    if not is_call_of(data, "nn.space_to_batch_nd") or attrs.out_layout not in (
        "",
        attrs.data_layout,
    ):
        return None
    layout = Layout(attrs.data_layout)
    if attrs.strides != (1, 1) or layout.is_blocked or attribute(data, "pad_value") != 0:
        return None
    if layout.axes[0].letter != "N":
        return None
    blocks = _spatial(data, "block_shape", layout, 1)
    back = _spatial(call, "block_shape", layout, 1)
    paddings = _spatial(data, "paddings", layout, (0, 0))
    crops = _spatial(call, "crops", layout, (0, 0))
    if blocks is None or blocks != back or paddings is None or crops is None:
        return None
    padding: list[int] = []
    for side in (0, 1):
        for k in (0, 1):
            block, pads, cut = blocks[k], paddings[k], crops[k]
            assert isinstance(block, int) and isinstance(pads, tuple) and isinstance(cut, tuple)  # noqa: PT018
            padding.append(pads[side] + block * attrs.padding[2 * side + k] - cut[side])
    if min(padding) < 0:
        return None
    dilation = tuple(
        d * b for d, b in zip(attrs.dilation, blocks, strict=True) if isinstance(b, int)
    )
    dilated = replace(attrs, dilation=dilation, padding=tuple(padding))
    return Call(conv.op, (data.args[0], *conv.args[1:]), dilated, (), conv.span)


@dataclass(frozen=True)
class FlattenAtrousConv(RulePass):
    """Write a convolution of every b-th pixel, as TensorFlow exports it, with a dilation of b. ::

    %0 = nn.space_to_batch_nd(%x, block_shape=[2, 2], paddings=[[2, 2], [2, 2]]);
    %1 = nn.conv2d(%0, %w, data_layout="NHWC", kernel_layout="HWIO");
    nn.batch_to_space_nd(%1, block_shape=[2, 2], crops=[[0, 0], [0, 0]])
    ->
    nn.conv2d(%x, %w, padding=[2, 2, 2, 2], dilation=[2, 2], ..)
    """

    rules = (
        Rule(
            ("nn.batch_to_space_nd",),
            "unblock(conv(block(x, b, p), w, d, q), b, c) = conv(x, w, d * b, p + b * q - c)",
            _dilated,
        ),
    )
    opt_level = 0
