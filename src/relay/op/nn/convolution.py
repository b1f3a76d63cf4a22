"""Convolutions over one, two and three spatial axes, in plain and blocked layouts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import Layout
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.gradients import known_shape, make, reshaped
from relay.op.nn.common import (
    check_window,
    dims_agree,
    from_primal,
    full_padding,
    known,
    known_window_count,
    layout_of,
    pad_spatial,
    per_axis,
    spatial_layout,
    to_primal,
    window_count,
    windows,
)
from relay.op.nn.trilinear import Trilinear
from relay.op.shapes import put, put_dtype, reference_dtype
from relay.support.errors import TypeInferenceError

#: Why the convolutions of blocked channels lack what they lack.
BLOCKED = {"gradient": "blocked layouts are chosen after differentiation"}


@dataclass(frozen=True)
class Layouts:
    """The layouts of data, kernel and result of a convolution."""

    data: Layout
    kernel: Layout
    out: Layout


@dataclass(frozen=True)
class Channels:
    """How the channels of a convolution hang together.

    `per_group_in` input channels give `per_group_out` output channels, in each of `groups`. With
    `multiplier_form` the kernel's axis O runs over groups and I over the outputs of a group.
    """

    groups: int
    inputs: int
    outputs: int
    multiplier_form: bool

    @property
    def per_group_in(self) -> int:
        """Input channels of one group."""
        return self.inputs // self.groups

    @property
    def per_group_out(self) -> int:
        """Output channels of one group."""
        return self.outputs // self.groups


def count_channels(name: str, groups: int, inputs: int, o: int, i: int) -> Channels:
    """The channels of a convolution whose kernel has the sizes `o` and `i` of axes O and I.

    Raises `TypeInferenceError` when they do not fit `inputs` and `groups`.
    """
    if groups < 1 or inputs % groups:
        raise TypeInferenceError(f"{name}: {inputs} input channels do not make {groups} groups")
    if i != inputs // groups and inputs == groups == o:
        return Channels(groups, inputs, o * i, multiplier_form=True)
    if i != inputs // groups:
        raise TypeInferenceError(
            f"{name}: the data has {inputs} channels in {groups} groups, so axis I of the weight "
            f"must have size {inputs // groups}, found {i}"
        )
    if o % groups:
        raise TypeInferenceError(f"{name}: {o} output channels do not make {groups} groups")
    return Channels(groups, inputs, o, multiplier_form=False)


class Convolution(Operator):
    """Base of the convolutions over the axes `spatial`.

    ``out[n, o, y] = sum over i, k of data[n, i, y * stride + k * dilation - padding] * w[o, i, k]``
    """

    spatial: ClassVar[str]
    strides: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    channels: int | None
    kernel_size: tuple[int, ...] | None
    data_layout: str
    kernel_layout: str
    out_layout: str
    out_dtype: str

    def __post_init__(self) -> None:
        rank = len(self.spatial)
        put(self, "strides", per_axis("strides", self.strides, rank))
        put(self, "dilation", per_axis("dilation", self.dilation, rank))
        put(self, "padding", full_padding(self.padding, rank))
        if self.kernel_size is not None:
            put(self, "kernel_size", per_axis("kernel_size", self.kernel_size, rank))
        if min(*self.strides, *self.dilation) < 1 or min(self.padding) < 0:
            raise TypeInferenceError(
                f"{self.name}: strides and dilation must be positive and padding not negative"
            )
        put_dtype(self, "out_dtype")

    def parsed_layouts(self) -> Layouts:
        """The layouts of data, kernel and result, checked; `out_layout` may be left empty."""
        data = spatial_layout(self.name, "data_layout", self.data_layout, self.spatial)
        kernel = layout_of(self.name, "kernel_layout", self.kernel_layout, "OI" + self.spatial)
        out_name = self.out_layout or self.data_layout
        out = spatial_layout(self.name, "out_layout", out_name, self.spatial)
        if data.factors("N") or out.factors("N") or any(kernel.factors(c) for c in self.spatial):
            raise TypeInferenceError(f"{self.name}: only channels may be blocked")
        return Layouts(data, kernel, out)

    def check_blocks(self, layouts: Layouts, channels: Channels) -> None:
        """Whether the blocks of data, kernel and result fit each other; raises when not."""
        data, out = layouts.data.factors("C"), layouts.out.factors("C")
        inner, outer = layouts.kernel.factors("I"), layouts.kernel.factors("O")
        depthwise = channels.per_group_in == 1 and channels.groups > 1
        fits = out == outer and (math.prod(inner) == 1 if depthwise else data == inner)
        if channels.groups > 1 and (data or out):
            fits &= len(data) <= 1 and len(out) <= 1
            if depthwise:
                fits &= data == out and channels.per_group_out == 1
            else:
                fits &= channels.per_group_in % layouts.data.block("C") == 0
                fits &= channels.per_group_out % layouts.out.block("C") == 0
        if not fits:
            raise TypeInferenceError(
                f"{self.name}: the channel blocks of data ({layouts.data}), weight "
                f"({layouts.kernel}) and result ({layouts.out}) do not fit each other in "
                f"{channels.groups} groups"
            )

    def infer(self, data: Type, weight: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        w = expect_tensor(self.name, "weight", weight)
        if x.dtype != w.dtype and not self.out_dtype:
            raise TypeInferenceError(
                f"{self.name}: data is {x.dtype} and weight {w.dtype}; give an out_dtype"
            )
        layouts = self.parsed_layouts()
        sizes = layouts.data.extents(x.shape)
        kernel = layouts.kernel.extents(w.shape)
        outputs = self._outputs(layouts, sizes["C"], kernel["O"], kernel["I"])
        window = tuple(kernel[c] for c in self.spatial)
        if self.kernel_size is not None and not all(map(dims_agree, self.kernel_size, window)):
            raise TypeInferenceError(
                f"{self.name}: kernel_size={self.kernel_size}, but the weight has {window}"
            )
        out: dict[str, Dim] = {"N": sizes["N"], "C": outputs}
        rank = len(self.spatial)
        for k, c in enumerate(self.spatial):
            extent = kernel[c]
            if isinstance(extent, Any):
                out[c] = Any()
                continue
            check_window(self.name, c, extent)
            padding = self.padding[k] + self.padding[rank + k]
            slack = padding - ((extent - 1) * self.dilation[k] + 1)
            out[c] = known_window_count(self.name, c, sizes[c], slack, self.strides[k])
        return TensorType(layouts.out.shape(out), self.out_dtype or x.dtype)

    def _outputs(self, layouts: Layouts, inputs: Dim, o: Dim, i: Dim) -> Dim:
        """The number of output channels; raises when the channels do not fit each other."""
        if isinstance(inputs, Any) or isinstance(o, Any) or isinstance(i, Any):
            return Any() if self.channels is None else self.channels
        channels = count_channels(self.name, self.groups, inputs, o, i)
        self.check_blocks(layouts, channels)
        if self.channels is not None and self.channels != channels.outputs:
            raise TypeInferenceError(
                f"{self.name}: channels={self.channels}, but the weight gives {channels.outputs}"
            )
        return channels.outputs

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        data, weight = types
        if weight is not None or not isinstance(data, TensorType):
            return types
        layouts = self.parsed_layouts()
        inputs = layouts.data.extents(data.shape)["C"]
        if self.channels is None or self.kernel_size is None or isinstance(inputs, Any):
            return types
        sizes: dict[str, Dim] = {"O": self.channels, "I": inputs // self.groups}
        sizes |= dict(zip(self.spatial, self.kernel_size, strict=True))
        return (data, TensorType(layouts.kernel.shape(sizes), data.dtype))

    def compute(self, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
        layouts = self.parsed_layouts()
        rank = len(self.spatial)
        kernel = layouts.kernel.components(weight.static_shape)
        window = [kernel[c][0] for c in self.spatial]
        sizes = layouts.data.components(data.shape)
        out: dict[str, tuple[te.Dim, ...]] = {"N": sizes["N"]}
        for k, c in enumerate(self.spatial):
            padding = self.padding[k] + self.padding[rank + k]
            slack = padding - ((window[k] - 1) * self.dilation[k] + 1)
            out[c] = (window_count(sizes[c][0], slack, self.strides[k]),)
        before = dict(zip(self.spatial, self.padding[:rank], strict=True))
        after = dict(zip(self.spatial, self.padding[rank:], strict=True))
        padded = pad_spatial(data, layouts.data, before, after, 0)
        inputs = math.prod(known(self.name, "the number of channels", s) for s in sizes["C"])
        o, i = math.prod(kernel["O"]), math.prod(kernel["I"])
        channels = count_channels(self.name, self.groups, inputs, o, i)
        factors = layouts.out.factors("C")
        out["C"] = (channels.outputs // math.prod(factors), *factors)
        return _convolve(
            padded,
            weight,
            layouts,
            channels,
            layouts.out.place(out),
            self.spatial,
            self.strides,
            self.dilation,
            self.out_dtype or data.dtype,
        )

    def reference(self, data: Array, weight: Array) -> Array:
        layouts = self.parsed_layouts()
        rank = len(self.spatial)
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else data.dtype
        x = to_primal(data, layouts.data, "NC" + self.spatial).astype(dtype)
        w = to_primal(weight, layouts.kernel, "OI" + self.spatial).astype(dtype)
        window = w.shape[2:]
        pairs = zip(self.padding[:rank], self.padding[rank:], strict=True)
        x = np.pad(x, [(0, 0), (0, 0), *pairs])
        view = windows(x, range(2, 2 + rank), window, self.strides, self.dilation)
        batch, channels = x.shape[:2]
        depth = channels // self.groups
        grouped = view.reshape(batch, self.groups, depth, *view.shape[2:])
        outputs = count_channels(self.name, self.groups, channels, *w.shape[:2]).per_group_out
        w = w.reshape(self.groups, outputs, depth, *window)
        outer, inner = "xyz"[:rank], "hij"[:rank]
        y = np.einsum(f"ngc{outer}{inner},goc{inner}->ngo{outer}", grouped, w, optimize=True)
        y = y.reshape(batch, y.shape[1] * y.shape[2], *y.shape[3:]).astype(dtype)
        return from_primal(y, "NC" + self.spatial, layouts.out)

    def _plain_weight(self, data: Expr, weight: Expr) -> tuple[Expr, str]:
        """The weight with all output channels along axis O, and its layout."""
        layouts = self.parsed_layouts()
        kernel = layouts.kernel.extents(known_shape(self.name, weight))
        inputs = layouts.data.extents(known_shape(self.name, data))["C"]
        o, i = kernel["O"], kernel["I"]
        assert isinstance(inputs, int) and isinstance(o, int) and isinstance(i, int)  # noqa: PT018
        if not count_channels(self.name, self.groups, inputs, o, i).multiplier_form:
            return weight, self.kernel_layout
        layout = "OI" + self.spatial
        moved = _in_layout(weight, self.kernel_layout, layout)
        window = [s for c in self.spatial if isinstance(s := kernel[c], int)]
        return reshaped(moved, (o * i, 1, *window)), layout

    def gradient(self, grad: Expr, result: Expr, data: Expr, weight: Expr) -> Gradients:
        plain, kernel_layout = self._plain_weight(data, weight)
        maps = Trilinear(
            self.name,
            self.spatial,
            self.strides,
            self.padding,
            self.dilation,
            self.groups,
            self.data_layout,
            kernel_layout,
            self.out_layout or self.data_layout,
        )
        by_data, by_weight = maps.data(grad, plain, data), maps.weight(grad, data, plain)
        if plain is weight:
            return by_data, by_weight
        layout = "OI" + self.spatial
        sizes = Layout(self.kernel_layout).extents(known_shape(self.name, weight))
        shape = [s for c in layout if isinstance(s := sizes[c], int)]
        return by_data, _in_layout(reshaped(by_weight, shape), layout, self.kernel_layout)


def _in_layout(value: Expr, old: str, new: str) -> Expr:
    if old == new:
        return value
    return make("layout_transform", value, src_layout=old, dst_layout=new)


def _input_channel(
    channels: Channels, layouts: Layouts, at: Sequence[te.Var], reduced: Sequence[te.Var]
) -> tuple[Sequence[te.Operand], Sequence[te.Operand], Sequence[te.Operand]]:
    """The indices of the data's channel and of the kernel's O and I.

    `at` is the output channel, `reduced` the input channel within the group, by components.
    """
    if channels.groups == 1:
        return reduced, at, reduced
    if channels.per_group_in == 1:
        zeros = (0,) * (1 + len(layouts.kernel.factors("I")))
        if channels.per_group_out == 1:
            return at, at, zeros
        group = at[0] // channels.per_group_out
        if channels.multiplier_form:
            return (group,), (group,), (at[0] % channels.per_group_out,)
        return (group,), at, zeros
    blocks_out = channels.per_group_out // layouts.out.block("C")
    blocks_in = channels.per_group_in // layouts.data.block("C")
    return ((at[0] // blocks_out) * blocks_in + reduced[0], *reduced[1:]), at, reduced


def _convolve(
    data: te.Tensor,
    weight: te.Tensor,
    layouts: Layouts,
    channels: Channels,
    shape: Sequence[te.Dim],
    spatial: str,
    strides: Sequence[int],
    dilation: Sequence[int],
    dtype: str,
) -> te.Tensor:
    """The one reduction stage of a convolution over already padded data.

    Reduction axes: block of input channels, kernel axes, input channel within its block.
    """
    kernel = layouts.kernel.components(weight.static_shape)
    factors = layouts.data.factors("C")
    blocks: list[te.Axis] = []
    inner: list[te.Axis] = []
    if channels.groups == 1 or channels.per_group_in > 1:
        blocks = [te.reduce_axis(channels.per_group_in // math.prod(factors), "ic")]
        inner = [te.reduce_axis(f, "ici") for f in factors]
    window = [te.reduce_axis(kernel[c][0], f"k{c.lower()}") for c in spatial]
    reduced = [a.var for a in (*blocks, *inner)]

    def element(*indices: te.Var) -> te.Expr:
        at = layouts.out.components(indices)
        channel, o, i = _input_channel(channels, layouts, at["C"], reduced)
        source: dict[str, Sequence[te.Operand]] = {"N": at["N"], "C": channel}
        filter_: dict[str, Sequence[te.Operand]] = {"O": o, "I": i}
        for k, c in enumerate(spatial):
            source[c] = (at[c][0] * strides[k] + window[k].var * dilation[k],)
            filter_[c] = (window[k].var,)
        x = te.cast(data(*layouts.data.place(source)), dtype)
        w = te.cast(weight(*layouts.kernel.place(filter_)), dtype)
        return te.reduce_sum(x * w, (*blocks, *window, *inner))

    return te.compute(shape, element, "convolution")


@dataclass(frozen=True, eq=False, repr=False)
class Conv2DAttributes(Operator):
    """The attributes of `nn.conv2d`, in order, which operators of other kinds have too."""

    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCHW"
    kernel_layout: str = "OIHW"
    out_layout: str = ""
    out_dtype: str = ""


# A dataclass of its own: what it adds is that `__post_init__` of the convolutions is called.
@dataclass(frozen=True, eq=False, repr=False)
class Convolution2D(Conv2DAttributes, Convolution):
    """Base of the convolutions over two spatial axes."""

    spatial = "HW"


@operator("nn.conv1d", inputs=("data", "weight"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class Conv1D(Convolution):
    """Convolution over one spatial axis: data (N, C, W), weight (O, I, W) by default.

    `padding` is one integer, or those before and after. `channels` and `kernel_size` are optional
    where the weight's type is known.
    """

    spatial = "W"
    strides: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCW"
    kernel_layout: str = "OIW"
    out_layout: str = ""
    out_dtype: str = ""


@operator("nn.conv2d", inputs=("data", "weight"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class Conv2D(Convolution2D):
    """Convolution over two spatial axes: data (N, C, H, W), weight (O, I, H, W) by default.

    `padding` is one integer, two (height, width) or four (top, left, bottom, right). In `groups`
    the weight has C / groups input channels; with as many groups as channels it is depthwise.
    `channels` and `kernel_size` are optional where the weight's type is known. `out_dtype` is the
    type to accumulate in and to give, by default that of the data.
    """


@operator("nn.conv3d", inputs=("data", "weight"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class Conv3D(Convolution):
    """Convolution over three spatial axes: data (N, C, D, H, W), weight (O, I, D, H, W).

    `padding` is one integer, three (depth, height, width) or six (front, top, left, back, bottom,
    right).
    """

    spatial = "DHW"
    strides: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1, 1)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCDHW"
    kernel_layout: str = "OIDHW"
    out_layout: str = ""
    out_dtype: str = ""


@operator(
    "nn.contrib_conv2d_NCHWc",
    inputs=("data", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Conv2DNCHWc(Convolution2D):
    """`nn.conv2d` with blocked channels.

    Data (N, C // i, H, W, i) in a layout such as NCHW8c, weight (O // o, I // i, H, W, i, o) in a
    layout such as OIHW8i16o, result (N, O // o, H, W, o) in `out_layout`, such as NCHW16c. The
    blocks of data and result may differ.
    """

    missing: ClassVar[dict[str, str]] = BLOCKED
    data_layout: str = "NCHW8c"


@operator(
    "nn.contrib_depthwise_conv2d_NCHWc",
    inputs=("data", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class DepthwiseConv2DNCHWc(Convolution2D):
    """Depthwise `nn.conv2d` with blocked channels; `groups` is the number of channels.

    Data and result (N, C // c, H, W, c) in a layout such as NCHW8c, weight
    (C // c, 1, H, W, 1, c) in a layout such as OIHW1i8o.
    """

    missing: ClassVar[dict[str, str]] = BLOCKED
    data_layout: str = "NCHW8c"
