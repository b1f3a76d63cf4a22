"""Convolutions of quantised values, summed in 32 bits.

A convolution is expanded into the four terms that `relay.op.qnn.dense` describes.
"""

from typing import Final

import numpy as np

from relay.ir.expr import Call, Expr, const
from relay.ir.layout import Layout
from relay.ir.op import Operator, Pattern, attributes, operator, with_attributes
from relay.ir.types import Dim, TensorType
from relay.op.gradients import make, reshaped, tensor_of
from relay.op.nn.convolution import Channels, Conv2D, Conv2DAttributes, count_channels
from relay.op.nn.transposed import Conv2DTranspose, Conv2DTransposeAttributes
from relay.op.qnn.common import cast, is_zero, scalar, spread
from relay.op.qnn.product import PRODUCT_INPUTS, QuantizedProduct, four_terms
from relay.op.shapes import put

_SHAPED: Final = ("strides", "padding", "dilation", "kernel_size", "output_padding")


def _put_shaped(declaration: Operator, plain: Operator) -> None:
    """Bring strides and the like to the form that the operator on numbers gives them."""
    for name in _SHAPED:
        if hasattr(plain, name):
            put(declaration, name, getattr(plain, name))


@operator("qnn.conv2d", inputs=PRODUCT_INPUTS, pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=11)
class QuantizedConv2D(Conv2DAttributes, QuantizedProduct):
    """`nn.conv2d` of ``data - input_zero_point`` and ``weight - kernel_zero_point``.

    Padding stands for the number zero: it is `input_zero_point`. Sums have `out_dtype` and the
    scale ``input_scale * kernel_scale``, which `qnn.requantize` takes. The zero point and the scale
    of the weight may be vectors of the output channels.
    """

    out_dtype: str = "int32"

    def __post_init__(self) -> None:
        super().__post_init__()
        _put_shaped(self, self.plain())

    def plain(self) -> Conv2D:
        return Conv2D(**attributes(self))  # type: ignore[arg-type]

    def vector_sizes(self, weight: TensorType, result: TensorType) -> tuple[Dim | None, Dim | None]:
        layouts = self.plain().parsed_layouts()
        rows = None if layouts.kernel.is_blocked else weight.shape[layouts.kernel.position("O")]
        return rows, layouts.out.extents(result.shape)["C"]

    def weight_axis(self) -> int:
        return self.plain().parsed_layouts().kernel.position("O")

    def expand(
        self, data: Expr, weight: Expr, data_zero: Expr, weight_zero: Expr, *scales: Expr
    ) -> Expr:
        plain = self.plain()
        layouts = plain.parsed_layouts()
        blocked = any(layout.is_blocked for layout in (layouts.data, layouts.kernel, layouts.out))
        channels = tensor_of(data).shape[layouts.data.position("C")]
        if blocked or not tensor_of(weight).is_static or not isinstance(channels, int):
            # What corrects the product would have to know the channels and the window.
            return super().expand(data, weight, data_zero, weight_zero, *scales)
        return _expanded(plain, data, weight, channels, data_zero, weight_zero)


def _expanded(
    plain: Conv2D, data: Expr, weight: Expr, channels: int, data_zero: Expr, weight_zero: Expr
) -> Expr:
    """A convolution of quantised values with `channels` and a weight of known shape."""
    if not is_zero(data_zero):
        data, plain = _padded(plain, data, data_zero), with_attributes(plain, padding=(0, 0, 0, 0))
    dtype, layouts = plain.out_dtype, plain.parsed_layouts()
    axis = layouts.out.position("C")
    sizes = _kernel_sizes(layouts.kernel, weight)
    counts = count_channels(plain.name, plain.groups, channels, sizes["O"], sizes["I"])
    return four_terms(
        Call(plain.op, [data, weight], plain),
        cast(scalar(data_zero), dtype),
        spread(weight_zero, axis, 4, dtype),
        lambda: _window_sums(plain, data, weight, counts),
        lambda: spread(_kernel_sums(layouts.kernel, weight, counts, dtype), axis, 4, dtype),
        lambda: const(counts.per_group_in * sizes["H"] * sizes["W"], dtype),
    )


def _kernel_sizes(layout: Layout, weight: Expr) -> dict[str, int]:
    """The sizes of the axes of a weight of known shape, by letter."""
    return dict(zip(layout.letters, tensor_of(weight).concrete_shape, strict=True))


def _padded(plain: Conv2D, data: Expr, zero_point: Expr) -> Expr:
    """`data` with the padding of a convolution, of elements that stand for zero."""
    if not any(plain.padding):
        return data
    layout = plain.parsed_layouts().data
    top, left, bottom, right = plain.padding
    width = [(0, 0)] * layout.rank
    width[layout.position("H")] = (top, bottom)
    width[layout.position("W")] = (left, right)
    value = cast(scalar(zero_point), tensor_of(data).dtype)
    return make("nn.pad", data, value, pad_width=tuple(width))


def _window_sums(plain: Conv2D, data: Expr, weight: Expr, counts: Channels) -> Expr:
    """The sum of what each output channel reads of padded `data`: a convolution with ones."""
    layouts = plain.parsed_layouts()
    sizes = _kernel_sizes(layouts.kernel, weight) | {"O": counts.groups, "I": counts.per_group_in}
    ones = np.ones([*sizes.values()])
    summing = with_attributes(plain, channels=counts.groups)
    sums: Expr = Call(summing.op, [data, const(ones, tensor_of(weight).dtype)], summing)
    if counts.groups == 1 or counts.per_group_out == 1:
        return sums  # one for all output channels, which broadcasts, or one for each
    return make("repeat", sums, repeats=counts.per_group_out, axis=layouts.out.position("C"))


def _kernel_sums(layout: Layout, weight: Expr, counts: Channels, dtype: str) -> Expr:
    """The sum of the weights of each output channel: a vector."""
    kept = "OI" if counts.multiplier_form else "O"
    axes = tuple(k for k, c in enumerate(layout.letters) if c not in kept)
    sums: Expr = make("sum", cast(weight, dtype), axis=axes)
    if counts.multiplier_form:
        if layout.position("I") < layout.position("O"):
            sums = make("transpose", sums, axes=(1, 0))
        sums = reshaped(sums, (counts.outputs,))
    return sums


@operator(
    "qnn.conv2d_transpose", inputs=PRODUCT_INPUTS, pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=11
)
class QuantizedConv2DTranspose(Conv2DTransposeAttributes, QuantizedProduct):
    """`nn.conv2d_transpose` of ``data - input_zero_point`` and ``weight - kernel_zero_point``.

    Sums have `out_dtype` and the scale ``input_scale * kernel_scale``. Zero points are numbers; the
    scale of the weight may be a vector of the output channels.
    """

    out_dtype: str = "int32"

    def __post_init__(self) -> None:
        super().__post_init__()
        _put_shaped(self, self.plain())

    def plain(self) -> Conv2DTranspose:
        return Conv2DTranspose(**attributes(self))  # type: ignore[arg-type]

    def vector_sizes(self, weight: TensorType, result: TensorType) -> tuple[Dim | None, Dim | None]:
        layout = Layout(self.out_layout or self.data_layout)
        return None, layout.extents(result.shape)["C"]
