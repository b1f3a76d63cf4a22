"""`FoldExplicitPadding`: the padding of a window operator in its attributes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from relay import dtypes
from relay.ir.expr import Call, Expr
from relay.ir.layout import Layout
from relay.ir.op import with_attributes
from relay.op.nn.convolution import Convolution
from relay.op.nn.pooling import Pooling
from relay.transform.calls import attribute, declaration, is_call_of, tensor_type, uniform_value
from relay.transform.rule_pass import RulePass
from relay.transform.simplify_rules import Rule

CONVOLUTIONS: Final = (
    "nn.conv1d",
    "nn.conv2d",
    "nn.conv3d",
    "nn.contrib_conv2d_NCHWc",
    "nn.contrib_depthwise_conv2d_NCHWc",
)
AVERAGES: Final = ("nn.avg_pool1d", "nn.avg_pool2d", "nn.avg_pool3d")
MAXIMA: Final = ("nn.max_pool1d", "nn.max_pool2d", "nn.max_pool3d")


def _spatial_padding(pad: Call, layout: Layout, spatial: str) -> list[int] | None:
    """What `pad` adds before, then after the axes `spatial`; None where it does anything else."""
    if attribute(pad, "pad_mode") != "constant":
        return None
    pairs: Sequence[tuple[int, int]] = attribute(pad, "pad_width")
    if len(pairs) != layout.rank:
        return None
    by_axis = dict(zip((str(a) for a in layout.axes), pairs, strict=True))
    found = [by_axis.pop(c) for c in spatial]
    if any(pair != (0, 0) for pair in by_axis.values()) or min(min(p) for p in found) < 0:
        return None
    return [before for before, _ in found] + [after for _, after in found]


def _merged(
    call: Call, layout: str, spatial: str, padding: Sequence[int], **changes: object
) -> Expr | None:
    """`call` of what its data is before padding, with that padding in its attribute."""
    pad = call.args[0]
    assert isinstance(pad, Call)
    amounts = _spatial_padding(pad, Layout(layout), spatial)
    if amounts is None:
        return None
    total = tuple(a + b for a, b in zip(padding, amounts, strict=True))
    attrs = with_attributes(declaration(call), padding=total, **changes)
    return Call(call.op, (pad.args[0], *call.args[1:]), attrs, (), call.span)


def pad_into_convolution(call: Call) -> Expr | None:
    """Zeros around the data of a convolution as its padding."""
    pad, conv = call.args[0], call.attrs
    assert isinstance(conv, Convolution)
    if not is_call_of(pad, "nn.pad") or uniform_value(pad.args[1]) != 0:
        return None
    return _merged(call, conv.data_layout, conv.spatial, conv.padding)


def pad_into_average(call: Call) -> Expr | None:
    """Zeros around the data of an average as its padding, which counts."""
    pad, pool = call.args[0], call.attrs
    assert isinstance(pool, Pooling)
    if not is_call_of(pad, "nn.pad") or uniform_value(pad.args[1]) != 0 or pool.ceil_mode:
        return None
    if any(pool.padding) and not attribute(call, "count_include_pad"):
        return None
    return _merged(call, pool.layout, pool.spatial, pool.padding, count_include_pad=True)


def pad_into_maximum(call: Call) -> Expr | None:
    """The least value around the data of a maximum as its padding."""
    pad, pool = call.args[0], call.attrs
    assert isinstance(pool, Pooling)
    found = tensor_type(pad)
    if found is None or not is_call_of(pad, "nn.pad"):
        return None
    integer = dtypes.is_integer(found.dtype)
    least = dtypes.integer_range(found.dtype)[0] if integer else float("-inf")
    if uniform_value(pad.args[1]) != least:
        return None
    return _merged(call, pool.layout, pool.spatial, pool.padding)


RULES: Final = (
    Rule(CONVOLUTIONS, "conv(pad(x, p, 0), w, q) = conv(x, w, p + q)", pad_into_convolution),
    Rule(AVERAGES, "avg(pad(x, p, 0), q) = avg(x, p + q), counting padding", pad_into_average),
    Rule(MAXIMA, "max(pad(x, p, least), q) = max(x, p + q)", pad_into_maximum),
)


@dataclass(frozen=True)
class FoldExplicitPadding(RulePass):
    """Pad the spatial axes of a convolution or a pooling by its own attribute. ::

    nn.conv2d(nn.pad(%x, 0f, pad_width=[[0, 0], [0, 0], [1, 1], [1, 1]]), %w)
    ->
    nn.conv2d(%x, %w, padding=[1, 1, 1, 1])
    """

    rules = RULES
    opt_level = 0
