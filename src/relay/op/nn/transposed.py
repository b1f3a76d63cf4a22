"""Transposed convolutions: the gradients of convolutions, used to enlarge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import Layout
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.nn.common import (
    check_window,
    dims_agree,
    from_primal,
    full_padding,
    layout_of,
    per_axis,
    spatial_layout,
    to_primal,
)
from relay.op.nn.trilinear import Trilinear, swapped
from relay.op.shapes import put, put_dtype, reference_dtype
from relay.support.errors import TypeInferenceError


class TransposedConvolution(Operator):
    """Base of the transposed convolutions over the axes `spatial`.

    Every input element adds a copy of the kernel, scaled by it, to the result, `strides` apart;
    `padding` is cut off the result and `output_padding` added at its end. The weight has the input
    channels on axis I and the output channels of one group on axis O.
    """

    spatial: ClassVar[str]
    channels: int | None
    kernel_size: tuple[int, ...] | None
    strides: tuple[int, ...]
    output_padding: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    data_layout: str
    kernel_layout: str
    out_layout: str
    out_dtype: str

    def __post_init__(self) -> None:
        rank = len(self.spatial)
        put(self, "strides", per_axis("strides", self.strides, rank))
        put(self, "dilation", per_axis("dilation", self.dilation, rank))
        put(self, "output_padding", per_axis("output_padding", self.output_padding, rank))
        put(self, "padding", full_padding(self.padding, rank))
        if self.kernel_size is not None:
            put(self, "kernel_size", per_axis("kernel_size", self.kernel_size, rank))
        if min(*self.strides, *self.dilation) < 1 or min(*self.padding, *self.output_padding) < 0:
            raise TypeInferenceError(
                f"{self.name}: strides and dilation must be positive and padding not negative"
            )
        put_dtype(self, "out_dtype")

    def parsed_layouts(self) -> tuple[Layout, Layout, Layout]:
        """The layouts of data, kernel and result, checked: none of them may be blocked."""
        out_name = self.out_layout or self.data_layout
        layouts = (
            spatial_layout(self.name, "data_layout", self.data_layout, self.spatial),
            layout_of(self.name, "kernel_layout", self.kernel_layout, "OI" + self.spatial),
            spatial_layout(self.name, "out_layout", out_name, self.spatial),
        )
        if any(layout.is_blocked for layout in layouts):
            raise TypeInferenceError(f"{self.name} takes no blocked layouts")
        return layouts

    def _growth(self, k: int, window: int) -> int:
        """What spatial axis `k` gains beyond ``(size - 1) * stride``."""
        cut = self.padding[k] + self.padding[len(self.spatial) + k]
        return (window - 1) * self.dilation[k] + 1 - cut + self.output_padding[k]

    def infer(self, data: Type, weight: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        w = expect_tensor(self.name, "weight", weight)
        if x.dtype != w.dtype and not self.out_dtype:
            raise TypeInferenceError(
                f"{self.name}: data is {x.dtype} and weight {w.dtype}; give an out_dtype"
            )
        layout, kernel_layout, out_layout = self.parsed_layouts()
        sizes, kernel = layout.extents(x.shape), kernel_layout.extents(w.shape)
        outputs, inputs = kernel["O"], sizes["C"]
        uneven = isinstance(inputs, int) and inputs % self.groups
        if not dims_agree(inputs, kernel["I"]) or uneven:
            raise TypeInferenceError(
                f"{self.name}: the data has {sizes['C']} channels in {self.groups} groups, "
                f"but axis I of the weight has size {kernel['I']}"
            )
        if isinstance(outputs, Any):
            outputs = outputs if self.groups == 1 else Any()
        else:
            outputs = outputs * self.groups
        if self.channels is not None and not dims_agree(self.channels, outputs):
            raise TypeInferenceError(
                f"{self.name}: channels={self.channels}, but the weight gives {outputs}"
            )
        out: dict[str, Dim] = {"N": sizes["N"], "C": outputs}
        for k, c in enumerate(self.spatial):
            size, window = sizes[c], kernel[c]
            if self.kernel_size is not None and not dims_agree(self.kernel_size[k], window):
                raise TypeInferenceError(
                    f"{self.name}: kernel_size={self.kernel_size}, but the weight has {window} "
                    f"along {c}"
                )
            check_window(self.name, c, window)
            if isinstance(size, Any) or isinstance(window, Any):
                out[c] = Any()
                continue
            grown = (size - 1) * self.strides[k] + self._growth(k, window)
            if grown <= 0:
                raise TypeInferenceError(f"{self.name}: the padding leaves nothing along {c}")
            out[c] = grown
        return TensorType(out_layout.shape(out), self.out_dtype or x.dtype)

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        data, weight = types
        if weight is not None or not isinstance(data, TensorType):
            return types
        layout, kernel_layout, _ = self.parsed_layouts()
        if self.channels is None or self.kernel_size is None:
            return types
        sizes = {"O": self.channels // self.groups, "I": layout.extents(data.shape)["C"]}
        sizes |= dict(zip(self.spatial, self.kernel_size, strict=True))
        return (data, TensorType(kernel_layout.shape(sizes), data.dtype))

    def _spread(self, data: te.Tensor, layout: Layout, window: Sequence[int]) -> te.Tensor:
        """`data` with its elements `strides` apart and zeros around it; a stage ``pad``."""
        rank = len(self.spatial)
        letters = [a.letter for a in layout.axes]
        shape = list(data.shape)
        before = dict.fromkeys(letters, 0)
        stride = dict.fromkeys(letters, 1)
        for k, c in enumerate(self.spatial):
            reach = (window[k] - 1) * self.dilation[k]
            before[c], stride[c] = reach - self.padding[k], self.strides[k]
            after = reach - self.padding[rank + k] + self.output_padding[k]
            position = layout.position(c)
            spread = (data.shape[position] - 1) * self.strides[k] + 1
            shape[position] = spread + (before[c] + after)

        def element(*indices: te.Var) -> te.Expr:
            source: list[te.Expr] = []
            bounds: list[te.Expr] = []
            for index, c, size in zip(indices, letters, data.shape, strict=True):
                position = index - before[c]
                source.append(position // stride[c])
                if c in self.spatial:
                    bounds += [position >= 0, position < (size - 1) * stride[c] + 1]
                if stride[c] > 1:
                    bounds.append(te.equal(position % stride[c], 0))
            return te.select(te.both(*bounds), data(*source), te.const(0, data.dtype))

        return te.compute(shape, element, "pad")

    def compute(self, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
        layout, kernel_layout, out_layout = self.parsed_layouts()
        kernel = kernel_layout.components(weight.static_shape)
        window = [kernel[c][0] for c in self.spatial]
        spread = self._spread(data, layout, window)
        sizes = layout.components(data.shape)
        out: dict[str, tuple[te.Dim, ...]] = {"N": sizes["N"]}
        for k, c in enumerate(self.spatial):
            grown = (sizes[c][0] - 1) * self.strides[k] + self._growth(k, window[k])
            out[c] = (grown,)
        per_group_out, per_group_in = kernel["O"][0], kernel["I"][0] // self.groups
        out["C"] = (per_group_out * self.groups,)
        channel = te.reduce_axis(per_group_in, "ic")
        taps = [
            te.reduce_axis(w, f"k{c.lower()}") for c, w in zip(self.spatial, window, strict=True)
        ]
        dtype = self.out_dtype or data.dtype

        def element(*indices: te.Var) -> te.Expr:
            at = {letter: found[0] for letter, found in out_layout.components(indices).items()}
            ic: te.Expr = channel.var
            oc: te.Expr = at["C"]
            if self.groups > 1:
                ic = (oc // per_group_out) * per_group_in + ic
                oc = oc % per_group_out
            source: dict[str, Sequence[te.Operand]] = {"N": (at["N"],), "C": (ic,)}
            filter_: dict[str, Sequence[te.Operand]] = {"O": (oc,), "I": (ic,)}
            for k, c in enumerate(self.spatial):
                source[c] = (at[c] + taps[k].var * self.dilation[k],)
                filter_[c] = (window[k] - 1 - taps[k].var,)
            x = te.cast(spread(*layout.place(source)), dtype)
            w = te.cast(weight(*kernel_layout.place(filter_)), dtype)
            return te.reduce_sum(x * w, (channel, *taps))

        return te.compute(out_layout.place(out), element, "convolution")

    def reference(self, data: Array, weight: Array) -> Array:
        layout, kernel_layout, out_layout = self.parsed_layouts()
        rank = len(self.spatial)
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else data.dtype
        x = to_primal(data, layout, "NC" + self.spatial).astype(dtype)
        w = to_primal(weight, kernel_layout, "IO" + self.spatial).astype(dtype)
        n, groups, window = x.shape[0], self.groups, w.shape[2:]
        x = x.reshape(n, groups, x.shape[1] // groups, *x.shape[2:])
        w = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
        inside = x.shape[3:]
        full = [
            (s - 1) * step + (k - 1) * gap + 1 + extra
            for s, step, k, gap, extra in zip(
                inside, self.strides, window, self.dilation, self.output_padding, strict=True
            )
        ]
        y = np.zeros((n, groups, w.shape[2], *full), dtype)
        for tap in np.ndindex(*window):
            target: tuple[slice, ...] = tuple(
                slice(t * gap, t * gap + (s - 1) * step + 1, step)
                for t, gap, s, step in zip(tap, self.dilation, inside, self.strides, strict=True)
            )
            y[(slice(None), slice(None), slice(None), *target)] += np.einsum(
                "ngc...,gco->ngo...", x, w[(..., *tap)]
            )
        y = y.reshape(n, groups * w.shape[2], *full)
        cut: tuple[slice, ...] = tuple(
            slice(self.padding[k], full[k] - self.padding[rank + k]) for k in range(rank)
        )
        return from_primal(y[(slice(None), slice(None), *cut)], "NC" + self.spatial, out_layout)

    def gradient(self, grad: Expr, result: Expr, data: Expr, weight: Expr) -> Gradients:
        maps = Trilinear(
            self.name,
            self.spatial,
            self.strides,
            self.padding,
            self.dilation,
            self.groups,
            self.out_layout or self.data_layout,
            swapped(self.kernel_layout),
            self.data_layout,
        )
        return maps.result(grad, weight, data), maps.weight(data, grad, weight)


@operator(
    "nn.conv1d_transpose", inputs=("data", "weight"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2
)
class Conv1DTranspose(TransposedConvolution):
    """Transposed convolution over one spatial axis: data (N, C, W), weight (I, O, W)."""

    spatial = "W"
    strides: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCW"
    kernel_layout: str = "IOW"
    out_layout: str = ""
    output_padding: tuple[int, ...] = (0,)
    out_dtype: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Conv2DTransposeAttributes(Operator):
    """The attributes of `nn.conv2d_transpose` before `out_dtype`, in order."""

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


@operator(
    "nn.conv2d_transpose", inputs=("data", "weight"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2
)
class Conv2DTranspose(Conv2DTransposeAttributes, TransposedConvolution):
    """Transposed convolution over two spatial axes: data (N, C, H, W), weight (I, O, H, W).

    The result has ``(size - 1) * stride - padding + (kernel - 1) * dilation + 1 + output_padding``
    elements along an axis.
    """

    spatial = "HW"
    out_dtype: str = ""


@operator(
    "nn.conv3d_transpose", inputs=("data", "weight"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2
)
class Conv3DTranspose(TransposedConvolution):
    """Transposed convolution over three spatial axes: data (N, C, D, H, W)."""

    spatial = "DHW"
    strides: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1, 1)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCDHW"
    kernel_layout: str = "IODHW"
    out_layout: str = ""
    output_padding: tuple[int, ...] = (0, 0, 0)
    out_dtype: str = ""
