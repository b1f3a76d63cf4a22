"""Convolutions of quantised values, summed in 32 bits.

A convolution is expanded into the four terms that `relay.op.qnn.dense` describes.
"""

from typing import Final

import numpy as np

from relay.ir.expr import Call, Expr, const
from relay.ir.layout import Layout
from relay.ir.op import Array, Operator, Pattern, attributes, operator, with_attributes
from relay.ir.types import TensorType, Type
from relay.op.gradients import make, reshaped, tensor_of
from relay.op.nn.convolution import Channels, Conv2D, count_channels
from relay.op.nn.transposed import Conv2DTranspose
from relay.op.qnn.common import (
    QuantizedOperator,
    along,
    calculated,
    cast,
    centered,
    check_parameters,
    expect_quantized,
    is_zero,
    scalar,
    spread,
)
from relay.op.qnn.dense import PRODUCT_INPUTS, combined, put_sum_dtype
from relay.op.shapes import put

_SHAPED: Final = ("strides", "padding", "dilation", "kernel_size", "output_padding")


def _put_shaped(declaration: Operator, plain: Operator) -> None:
    """Bring strides and the like to the form that the operator on numbers gives them."""
    for name in _SHAPED:
        if hasattr(plain, name):
            put(declaration, name, getattr(plain, name))


@operator("qnn.conv2d", inputs=PRODUCT_INPUTS, pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=11)
class QuantizedConv2D(QuantizedOperator):
    """`nn.conv2d` of ``data - input_zero_point`` and ``weight - kernel_zero_point``.

    Padding stands for the number zero: it is `input_zero_point`. Sums have `out_dtype` and the
    scale ``input_scale * kernel_scale``, which `qnn.requantize` takes. The zero point and the scale
    of the weight may be vectors of the output channels.
    """

    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCHW"
    kernel_layout: str = "OIHW"
    out_layout: str = ""
    out_dtype: str = "int32"

    def __post_init__(self) -> None:
        put_sum_dtype(self)
        _put_shaped(self, self.plain())

    def plain(self) -> Conv2D:
        """The convolution of numbers."""
        return Conv2D(**attributes(self))  # type: ignore[arg-type]

    def infer(
        self,
        data: Type,
        weight: Type,
        input_zero_point: Type,
        kernel_zero_point: Type,
        input_scale: Type,
        kernel_scale: Type,
    ) -> Type:
        x = expect_quantized(self.name, "data", data)
        w = expect_quantized(self.name, "weight", weight)
        plain = self.plain()
        found = plain.infer(x, w)
        assert isinstance(found, TensorType)
        layouts = plain.parsed_layouts()
        outputs = layouts.out.extents(found.shape)["C"]
        data_side = (("input_zero_point", input_zero_point), ("input_scale", input_scale))
        check_parameters(self.name, data_side)
        check_parameters(self.name, [("kernel_scale", kernel_scale)], outputs)
        rows = None if layouts.kernel.is_blocked else w.shape[layouts.kernel.position("O")]
        check_parameters(self.name, [("kernel_zero_point", kernel_zero_point)], rows)
        return found

    def expand(
        self,
        data: Expr,
        weight: Expr,
        input_zero_point: Expr,
        kernel_zero_point: Expr,
        input_scale: Expr,
        kernel_scale: Expr,
    ) -> Expr:
        plain = self.plain()
        layouts = plain.parsed_layouts()
        blocked = any(layout.is_blocked for layout in (layouts.data, layouts.kernel, layouts.out))
        channels = tensor_of(data).shape[layouts.data.position("C")]
        if blocked or not tensor_of(weight).is_static or not isinstance(channels, int):
            # What corrects the product would have to know the channels and the window.
            wide = centered(weight, kernel_zero_point, layouts.kernel.position("O"), self.out_dtype)
            moved = centered(data, input_zero_point, 0, self.out_dtype)
            return make("nn.conv2d", moved, wide, **attributes(plain))
        return _four_terms(plain, data, weight, channels, input_zero_point, kernel_zero_point)

    def reference(
        self,
        data: Array,
        weight: Array,
        input_zero_point: Array,
        kernel_zero_point: Array,
        input_scale: Array,
        kernel_scale: Array,
    ) -> Array:
        plain, dtype = self.plain(), np.dtype(self.out_dtype)
        axis = plain.parsed_layouts().kernel.position("O")
        x = data.astype(dtype) - input_zero_point.astype(dtype).reshape(())
        w = weight.astype(dtype) - along(kernel_zero_point, axis, weight.ndim).astype(dtype)
        return plain.reference(x, w)


def _four_terms(
    plain: Conv2D, data: Expr, weight: Expr, channels: int, input_zero: Expr, kernel_zero: Expr
) -> Expr:
    """A convolution of quantised values with `channels` and a weight of known shape."""
    dtype = plain.out_dtype
    layouts = plain.parsed_layouts()
    if not is_zero(input_zero):
        data, plain = _padded(plain, data, input_zero), with_attributes(plain, padding=(0, 0, 0, 0))
    product = Call(plain.op, [data, weight], plain)
    out_axis = layouts.out.position("C")
    sizes = dict(zip(layouts.kernel.letters, tensor_of(weight).concrete_shape, strict=True))
    counts = count_channels(plain.name, plain.groups, channels, sizes["O"], sizes["I"])
    taps = counts.per_group_in * sizes["H"] * sizes["W"]
    x_zero = cast(scalar(input_zero), dtype)
    w_zero = spread(kernel_zero, out_axis, 4, dtype)
    by_data = by_weight = both = None
    if not is_zero(kernel_zero):
        by_data = _window_sums(plain, data, weight, counts) * w_zero
    if not is_zero(input_zero):
        by_weight = spread(_kernel_sums(layouts.kernel, weight, counts, dtype), out_axis, 4, dtype)
        by_weight = by_weight * x_zero
    if by_data is not None and by_weight is not None:
        zeros = calculated("multiply", w_zero, x_zero)
        both = calculated("multiply", zeros, const(taps, dtype))
    return combined(product, by_data, by_weight, both)


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
    sizes = dict(zip(layouts.kernel.letters, tensor_of(weight).concrete_shape, strict=True))
    sizes |= {"O": counts.groups, "I": counts.per_group_in}
    ones = np.ones([sizes[c] for c in layouts.kernel.letters])
    summing = with_attributes(plain, channels=counts.groups)
    sums: Expr = Call(summing.op, [data, const(ones, tensor_of(weight).dtype)], summing)
    if counts.groups == 1:
        return sums  # it broadcasts over the output channels
    if counts.per_group_out == 1:
        return sums
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
class QuantizedConv2DTranspose(QuantizedOperator):
    """`nn.conv2d_transpose` of ``data - input_zero_point`` and ``weight - kernel_zero_point``.

    Sums have `out_dtype` and the scale ``input_scale * kernel_scale``. Zero points are numbers; the
    scale of the weight may be a vector of the output channels.
    """

    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCHW"
    kernel_layout: str = "IOHW"
    out_layout: str = ""
    output_padding: tuple[int, ...] = (0, 0)
    out_dtype: str = "int32"

    def __post_init__(self) -> None:
        put_sum_dtype(self)
        _put_shaped(self, self.plain())

    def plain(self) -> Conv2DTranspose:
        """The transposed convolution of numbers."""
        return Conv2DTranspose(**attributes(self))  # type: ignore[arg-type]

    def infer(
        self,
        data: Type,
        weight: Type,
        input_zero_point: Type,
        kernel_zero_point: Type,
        input_scale: Type,
        kernel_scale: Type,
    ) -> Type:
        x = expect_quantized(self.name, "data", data)
        w = expect_quantized(self.name, "weight", weight)
        found = self.plain().infer(x, w)
        assert isinstance(found, TensorType)
        types = (input_zero_point, kernel_zero_point, input_scale)
        check_parameters(self.name, [*zip(self.inputs[2:5], types, strict=True)])
        outputs = Layout(self.out_layout or self.data_layout).extents(found.shape)["C"]
        check_parameters(self.name, [("kernel_scale", kernel_scale)], outputs)
        return found

    def expand(
        self,
        data: Expr,
        weight: Expr,
        input_zero_point: Expr,
        kernel_zero_point: Expr,
        input_scale: Expr,
        kernel_scale: Expr,
    ) -> Expr:
        plain = self.plain()
        x = centered(data, input_zero_point, 0, self.out_dtype)
        w = centered(weight, kernel_zero_point, 0, self.out_dtype)
        return Call(plain.op, [x, w], plain)

    def reference(
        self,
        data: Array,
        weight: Array,
        input_zero_point: Array,
        kernel_zero_point: Array,
        input_scale: Array,
        kernel_scale: Array,
    ) -> Array:
        dtype = np.dtype(self.out_dtype)
        x = data.astype(dtype) - input_zero_point.astype(dtype).reshape(())
        w = weight.astype(dtype) - kernel_zero_point.astype(dtype).reshape(())
        return self.plain().reference(x, w)
