"""The gradient of a convolution with respect to its weight."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import Layout
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.nn.common import (
    check_window,
    from_primal,
    full_padding,
    known,
    layout_of,
    pad_spatial,
    per_axis,
    spatial_layout,
    to_primal,
    windows,
)
from relay.op.nn.trilinear import Trilinear
from relay.op.shapes import expect_kind, put, put_dtype, reference_dtype, unify_dim
from relay.support.errors import TypeInferenceError


class BackwardWeight(Operator):
    """Base of the gradients of convolutions with respect to the weight, over the axes `spatial`.

    ``w[o, i, k] = sum over n, y of grad[n, o, y] * data[n, i, at]`` with
    ``at = y * stride + k * dilation - padding``; `grad` has the shape of the convolution's result.
    Without `kernel_size` the window is the largest that fits. Layouts are not blocked.
    """

    spatial: ClassVar[str]
    strides: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    channels: int | None
    kernel_size: tuple[int, ...] | None
    grad_layout: str
    data_layout: str
    kernel_layout: str
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

    def _layouts(self) -> tuple[Layout, Layout, Layout]:
        """The layouts of gradient, data and kernel, checked."""
        layouts = (
            spatial_layout(self.name, "grad_layout", self.grad_layout, self.spatial),
            spatial_layout(self.name, "data_layout", self.data_layout, self.spatial),
            layout_of(self.name, "kernel_layout", self.kernel_layout, "OI" + self.spatial),
        )
        if any(layout.is_blocked for layout in layouts):
            raise TypeInferenceError(f"{self.name} takes no blocked layouts")
        return layouts

    def _window(self, sizes: Sequence[Dim], outputs: Sequence[Dim]) -> list[Dim]:
        """The size of the window from those of data and gradient."""
        if self.kernel_size is not None:
            return list(self.kernel_size)
        rank = len(self.spatial)
        found: list[Dim] = []
        for k, (size, output) in enumerate(zip(sizes, outputs, strict=True)):
            if isinstance(size, Any) or isinstance(output, Any):
                found.append(Any())
                continue
            spare = size + self.padding[k] + self.padding[rank + k]
            found.append((spare - (output - 1) * self.strides[k] - 1) // self.dilation[k] + 1)
        return found

    def infer(self, grad: Type, data: Type) -> Type:
        g = expect_kind(self.name, "grad", grad, "number")
        x = expect_kind(self.name, "data", data, "number")
        grad_layout, data_layout, kernel_layout = self._layouts()
        outputs, sizes = grad_layout.extents(g.shape), data_layout.extents(x.shape)
        o, c = outputs["C"], sizes["C"]
        for what, count in (("gradient", o), ("data", c)):
            if isinstance(count, int) and count % self.groups:
                raise TypeInferenceError(
                    f"{self.name}: the {what} has {count} channels, which do not make "
                    f"{self.groups} groups"
                )
        if self.channels is not None and isinstance(o, int) and o != self.channels:
            raise TypeInferenceError(
                f"{self.name}: channels={self.channels}, but the gradient has {o}"
            )
        if x.dtype != g.dtype and not self.out_dtype:
            raise TypeInferenceError(
                f"{self.name}: gradient is {g.dtype} and data {x.dtype}; give an out_dtype"
            )
        unify_dim(self.name, outputs["N"], sizes["N"], "batch of gradient and data")
        if self.groups > 1:
            c = Any() if isinstance(c, Any) else c // self.groups
        kernel: dict[str, Dim] = {"O": o, "I": c}
        window = self._window([sizes[a] for a in self.spatial], [outputs[a] for a in self.spatial])
        kernel |= dict(zip(self.spatial, window, strict=True))
        for k, a in enumerate(self.spatial):
            self._check_reach(k, kernel[a], sizes[a], outputs[a])
        return TensorType(kernel_layout.shape(kernel), self.out_dtype or x.dtype)

    def _check_reach(self, k: int, window: Dim, size: Dim, output: Dim) -> None:
        """Whether the windows of the gradient along spatial axis `k` lie in the padded data."""
        check_window(self.name, self.spatial[k], window)
        if isinstance(window, Any) or isinstance(size, Any) or isinstance(output, Any):
            return
        padded = size + self.padding[k] + self.padding[len(self.spatial) + k]
        reach = (output - 1) * self.strides[k] + (window - 1) * self.dilation[k] + 1
        if output < 1 or reach > padded:
            raise TypeInferenceError(
                f"{self.name}: a gradient of size {output} and a window of {window} reach over "
                f"{reach} elements along {self.spatial[k]}, but the padded data has {padded}"
            )

    def compute(self, grad: te.Tensor, data: te.Tensor) -> te.Tensor:
        grad_layout, data_layout, kernel_layout = self._layouts()
        rank = len(self.spatial)
        outputs = {c: s for c, (s,) in grad_layout.components(grad.shape).items()}
        sizes = {c: s for c, (s,) in data_layout.components(data.shape).items()}
        before = dict(zip(self.spatial, self.padding[:rank], strict=True))
        after = dict(zip(self.spatial, self.padding[rank:], strict=True))
        padded = pad_spatial(data, data_layout, before, after, 0)
        o = known(self.name, "the number of channels", outputs["C"])
        i = known(self.name, "the number of channels", sizes["C"]) // self.groups
        static = [
            [known(self.name, "the size of the window", s[c]) for c in self.spatial]
            if self.kernel_size is None
            else []
            for s in (sizes, outputs)
        ]
        window = [w for w in self._window(*static) if isinstance(w, int)]
        batch = te.reduce_axis(outputs["N"], "n")
        places = [te.reduce_axis(outputs[c], f"y{c.lower()}") for c in self.spatial]
        dtype = self.out_dtype or data.dtype

        def element(*indices: te.Var) -> te.Expr:
            at = {c: found[0] for c, found in kernel_layout.components(indices).items()}
            channel: te.Expr = at["I"]
            if self.groups > 1:
                channel = (at["O"] // (o // self.groups)) * i + channel
            source: dict[str, Sequence[te.Operand]] = {"N": (batch.var,), "C": (channel,)}
            factor: dict[str, Sequence[te.Operand]] = {"N": (batch.var,), "C": (at["O"],)}
            for k, c in enumerate(self.spatial):
                step = places[k].var * self.strides[k]
                source[c] = (step + at[c] * self.dilation[k],)
                factor[c] = (places[k].var,)
            x = te.cast(padded(*data_layout.place(source)), dtype)
            g = te.cast(grad(*grad_layout.place(factor)), dtype)
            return te.reduce_sum(x * g, (batch, *places))

        shape: dict[str, tuple[te.Dim, ...]] = {"O": (o,), "I": (i,)}
        shape |= {c: (w,) for c, w in zip(self.spatial, window, strict=True)}
        return te.compute(kernel_layout.place(shape), element, "backward_weight")

    def reference(self, grad: Array, data: Array) -> Array:
        grad_layout, data_layout, kernel_layout = self._layouts()
        rank = len(self.spatial)
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else data.dtype
        g = to_primal(grad, grad_layout, "NC" + self.spatial).astype(dtype)
        x = to_primal(data, data_layout, "NC" + self.spatial).astype(dtype)
        window = [w for w in self._window(x.shape[2:], g.shape[2:]) if isinstance(w, int)]
        pairs = zip(self.padding[:rank], self.padding[rank:], strict=True)
        x = np.pad(x, [(0, 0), (0, 0), *pairs])
        view = windows(x, range(2, 2 + rank), window, self.strides, self.dilation)
        view = view[(slice(None), slice(None), *(slice(s) for s in g.shape[2:]))]
        batch, channels, outputs = *x.shape[:2], g.shape[1]
        depth = channels // self.groups
        view = view.reshape(batch, self.groups, depth, *view.shape[2:])
        g = g.reshape(batch, self.groups, outputs // self.groups, *g.shape[2:])
        outer, inner = "xyz"[:rank], "hij"[:rank]
        w = np.einsum(f"ngc{outer}{inner},ngo{outer}->goc{inner}", view, g, optimize=True)
        w = w.reshape(outputs, depth, *window).astype(dtype)
        return from_primal(w, "OI" + self.spatial, kernel_layout)

    def gradient(self, grad: Expr, result: Expr, out_grad: Expr, data: Expr) -> Gradients:
        maps = Trilinear(
            self.name,
            self.spatial,
            self.strides,
            self.padding,
            self.dilation,
            self.groups,
            self.data_layout,
            self.kernel_layout,
            self.grad_layout,
        )
        return maps.result(data, grad, out_grad), maps.data(out_grad, grad, data)


@operator(
    "nn.conv1d_backward_weight",
    inputs=("grad", "data"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Conv1DBackwardWeight(BackwardWeight):
    """The gradient of `nn.conv1d` with respect to its weight; `grad` is that of the result."""

    spatial = "W"
    strides: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    grad_layout: str = "NCW"
    data_layout: str = "NCW"
    kernel_layout: str = "OIW"
    out_dtype: str = ""


@operator(
    "nn.conv2d_backward_weight",
    inputs=("grad", "data"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=2,
)
class Conv2DBackwardWeight(BackwardWeight):
    """The gradient of `nn.conv2d` with respect to its weight; `grad` is that of the result."""

    spatial = "HW"
    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    grad_layout: str = "NCHW"
    data_layout: str = "NCHW"
    kernel_layout: str = "OIHW"
    out_dtype: str = ""


@operator(
    "nn.conv3d_backward_weight",
    inputs=("grad", "data"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Conv3DBackwardWeight(BackwardWeight):
    """The gradient of `nn.conv3d` with respect to its weight; `grad` is that of the result."""

    spatial = "DHW"
    strides: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1, 1)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    grad_layout: str = "NCDHW"
    data_layout: str = "NCDHW"
    kernel_layout: str = "OIDHW"
    out_dtype: str = ""
