"""The gradients of pooling over windows."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, attributes, operator
from relay.ir.types import Type, compatible
from relay.op.gradients import make
from relay.op.nn.common import from_primal, full_padding, per_axis, to_primal
from relay.op.nn.pooling import (
    AveragePooling,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    MaxPooling,
    Pooling,
)
from relay.op.shapes import expect_kind, put
from relay.support.errors import TypeInferenceError


class PoolingGradient(Operator):
    """Base of the gradients of pooling: from that of the result, `out_grad`, to that of the data.

    The attributes are those of the pooling.
    """

    spatial: ClassVar[str]
    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def __post_init__(self) -> None:
        rank = len(self.spatial)
        put(self, "pool_size", per_axis("pool_size", self.pool_size, rank))
        put(self, "strides", per_axis("strides", self.strides, rank))
        put(self, "dilation", per_axis("dilation", self.dilation, rank))
        put(self, "padding", full_padding(self.padding, rank))

    def pooling(self) -> Pooling:
        """The pooling that this is the gradient of."""
        raise TypeInferenceError(f"{self.name} is the gradient of no pooling")

    def infer(self, out_grad: Type, data: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        expected = self.pooling().infer(x)
        if not compatible(expected, out_grad):
            raise TypeInferenceError(
                f"{self.name}: pooling {x} gives {expected}, but out_grad is {out_grad}"
            )
        return x

    def spread(
        self,
        data: te.Tensor,
        outputs: Sequence[te.Dim],
        share: Callable[[Sequence[te.Expr], Sequence[te.Expr]], te.Expr],
    ) -> te.Tensor:
        """The sum over the windows that an element is in of ``share(window, tap)``."""
        pooling = self.pooling()
        layout = pooling.parsed_layout()
        taps = pooling.taps()

        def element(*indices: te.Var) -> te.Expr:
            window: list[te.Expr] = list(indices)
            inside: list[te.Expr] = []
            for k, c in enumerate(self.spatial):
                position = layout.position(c)
                start = indices[position] + self.padding[k] - taps[k].var * self.dilation[k]
                stride = self.strides[k]
                window[position] = start // stride
                inside += [start >= 0, window[position] < outputs[position]]
                if stride > 1:
                    inside.append(te.equal(start % stride, 0))
            value = share(window, [t.var for t in taps])
            kept = te.select(te.both(*inside), value, te.const(0, data.dtype))
            return te.reduce_sum(kept, taps)

        return te.compute(data.shape, element, "pool_gradient")

    def reference_spread(self, data: Array, share: Callable[[tuple[int, ...]], Array]) -> Array:
        """The same in NumPy: `share` gives, for a tap, what every window gives its element."""
        layout = self.pooling().parsed_layout()
        rank = len(self.spatial)
        shape = to_primal(data, layout, "NC" + self.spatial).shape
        counts = share((0,) * rank).shape[2:]
        spans = [
            max(size + before, (n - 1) * stride + (taps - 1) * gap + 1)
            for size, before, n, stride, taps, gap in zip(
                shape[2:],
                self.padding[:rank],
                [*counts],
                self.strides,
                self.pool_size,
                self.dilation,
                strict=True,
            )
        ]
        total = np.zeros((*shape[:2], *(s + p for s, p in zip(spans, self.padding, strict=False))))
        for tap in np.ndindex(*self.pool_size):
            target: tuple[slice, ...] = tuple(
                slice(t * gap, t * gap + (n - 1) * stride + 1, stride)
                for t, gap, n, stride in zip(tap, self.dilation, counts, self.strides, strict=True)
            )
            total[(slice(None), slice(None), *target)] += share(tap)
        cut: tuple[slice, ...] = tuple(
            slice(p, p + s) for p, s in zip(self.padding[:rank], shape[2:], strict=True)
        )
        found = total[(slice(None), slice(None), *cut)].astype(data.dtype)
        return from_primal(found, "NC" + self.spatial, layout)


class MaxPoolingGradient(PoolingGradient):
    """Base of the gradients of max pooling: of equal elements the first in a window gets it."""

    missing: ClassVar[dict[str, str]] = {
        "gradient": "no operator reads at the positions of the largest elements"
    }

    def compute(self, out_grad: te.Tensor, data: te.Tensor) -> te.Tensor:
        pooling = self.pooling()
        shape, read = pooling.window_reads(data, dtypes.minimum(data.dtype))
        top = pooling.compute(data)
        nowhere = te.const(dtypes.integer_range("int32")[1], "int32")

        def first(*window: te.Expr) -> te.Expr:
            taps = pooling.taps()
            tap = [t.var for t in taps]
            value = read(window, tap)
            found = te.compare("eq", value, top(*window))
            if dtypes.is_float(data.dtype):
                found = te.either(found, te.unary("isnan", value))
            number = te.cast(te.flatten_index(tap, self.pool_size), "int32")
            return te.Reduce("min", te.select(found, number, nowhere), taps)

        places = te.compute(shape, first, "pool_places")

        def share(window: Sequence[te.Expr], tap: Sequence[te.Expr]) -> te.Expr:
            number = te.cast(te.flatten_index(tap, self.pool_size), "int32")
            chosen = te.compare("eq", places(*window), number)
            return te.select(chosen, out_grad(*window), te.const(0, data.dtype))

        return self.spread(data, out_grad.shape, share)

    def reference(self, out_grad: Array, data: Array) -> Array:
        lowest = dtypes.minimum(dtypes.from_numpy(data.dtype))
        view, layout = self.pooling().reference_windows(data, lowest)
        grad = to_primal(out_grad, layout, "NC" + self.spatial)
        chosen = view.reshape(*grad.shape, math.prod(self.pool_size)).argmax(axis=-1)

        def share(tap: tuple[int, ...]) -> Array:
            number = np.ravel_multi_index(tap, self.pool_size)
            return np.where(chosen == number, grad, 0)

        return self.reference_spread(data, share)


class AveragePoolingGradient(PoolingGradient):
    """Base of the gradients of average pooling."""

    def average(self) -> AveragePooling:
        """The pooling that this is the gradient of."""
        raise TypeInferenceError(f"{self.name} is the gradient of no pooling")

    def pooling(self) -> Pooling:
        return self.average()

    def compute(self, out_grad: te.Tensor, data: te.Tensor) -> te.Tensor:
        pooling = self.average()

        def divided(*window: te.Expr) -> te.Expr:
            count = pooling.divisor(data.shape, out_grad.shape, window)
            return out_grad(*window) / te.cast(count, data.dtype)

        shares = te.compute(out_grad.shape, divided, "pool_shares")
        return self.spread(data, out_grad.shape, lambda window, _: shares(*window))

    def reference(self, out_grad: Array, data: Array) -> Array:
        layout = self.pooling().parsed_layout()
        # The mean of ones is one, so that the sum of ones is what the mean divides by.
        ones = self.pooling().reference(np.ones_like(data))
        total, _ = self.pooling().reference_windows(np.ones_like(data), 0)
        axes = tuple(range(-len(self.spatial), 0))
        sums = total.sum(axis=axes)
        means = to_primal(ones, layout, "NC" + self.spatial)
        grad = to_primal(out_grad, layout, "NC" + self.spatial)
        shares = grad * np.divide(means, sums, out=np.ones_like(means), where=sums != 0)
        return self.reference_spread(data, lambda _: shares)

    def gradient(self, grad: Expr, result: Expr, out_grad: Expr, data: Expr) -> Gradients:
        pooling = self.pooling()
        return make(pooling.name, grad, **attributes(pooling)), None


@operator("nn.max_pool1d_grad", inputs=("out_grad", "data"), pattern=Pattern.OPAQUE, level=10)
class MaxPool1DGrad(MaxPoolingGradient):
    """The gradient of `nn.max_pool1d` with respect to its data."""

    spatial = "W"
    pool_size: tuple[int, ...] = (1,)
    strides: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0, 0)
    layout: str = "NCW"
    out_layout: str = ""
    ceil_mode: bool = False
    dilation: tuple[int, ...] = (1,)

    def pooling(self) -> MaxPooling:
        return MaxPool1D(**_given(self))


@operator("nn.max_pool2d_grad", inputs=("out_grad", "data"), pattern=Pattern.OPAQUE, level=2)
class MaxPool2DGrad(MaxPoolingGradient):
    """The gradient of `nn.max_pool2d` with respect to its data."""

    spatial = "HW"
    pool_size: tuple[int, ...] = (1, 1)
    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    layout: str = "NCHW"
    out_layout: str = ""
    ceil_mode: bool = False
    dilation: tuple[int, ...] = (1, 1)

    def pooling(self) -> MaxPooling:
        return MaxPool2D(**_given(self))


@operator("nn.max_pool3d_grad", inputs=("out_grad", "data"), pattern=Pattern.OPAQUE, level=10)
class MaxPool3DGrad(MaxPoolingGradient):
    """The gradient of `nn.max_pool3d` with respect to its data."""

    spatial = "DHW"
    pool_size: tuple[int, ...] = (1, 1, 1)
    strides: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    layout: str = "NCDHW"
    out_layout: str = ""
    ceil_mode: bool = False
    dilation: tuple[int, ...] = (1, 1, 1)

    def pooling(self) -> MaxPooling:
        return MaxPool3D(**_given(self))


@operator("nn.avg_pool1d_grad", inputs=("out_grad", "data"), pattern=Pattern.OPAQUE, level=10)
class AvgPool1DGrad(AveragePoolingGradient):
    """The gradient of `nn.avg_pool1d` with respect to its data."""

    spatial = "W"
    pool_size: tuple[int, ...] = (1,)
    strides: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0, 0)
    layout: str = "NCW"
    out_layout: str = ""
    ceil_mode: bool = False
    count_include_pad: bool = False
    dilation: tuple[int, ...] = (1,)

    def average(self) -> AveragePooling:
        return AvgPool1D(**_given(self))


@operator("nn.avg_pool2d_grad", inputs=("out_grad", "data"), pattern=Pattern.OPAQUE, level=2)
class AvgPool2DGrad(AveragePoolingGradient):
    """The gradient of `nn.avg_pool2d` with respect to its data."""

    spatial = "HW"
    pool_size: tuple[int, ...] = (1, 1)
    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    layout: str = "NCHW"
    out_layout: str = ""
    ceil_mode: bool = False
    count_include_pad: bool = False
    dilation: tuple[int, ...] = (1, 1)

    def average(self) -> AveragePooling:
        return AvgPool2D(**_given(self))


@operator("nn.avg_pool3d_grad", inputs=("out_grad", "data"), pattern=Pattern.OPAQUE, level=10)
class AvgPool3DGrad(AveragePoolingGradient):
    """The gradient of `nn.avg_pool3d` with respect to its data."""

    spatial = "DHW"
    pool_size: tuple[int, ...] = (1, 1, 1)
    strides: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    layout: str = "NCDHW"
    out_layout: str = ""
    ceil_mode: bool = False
    count_include_pad: bool = False
    dilation: tuple[int, ...] = (1, 1, 1)

    def average(self) -> AveragePooling:
        return AvgPool3D(**_given(self))


def _given(declaration: Operator) -> dict[str, Any]:
    """The attributes of a gradient: those of its pooling."""
    return attributes(declaration)
