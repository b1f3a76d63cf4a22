"""Pooling over windows, over everything, and to a given size."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

import numpy as np

from relay import dtypes, te
from relay.ir.expr import Expr
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.op import Array, Gradients, Operator, Pattern, attributes, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import (
    make,
)
from relay.op.nn.common import (
    divided,
    follow_data_layout,
    from_primal,
    full_padding,
    known_window_count,
    pad_spatial,
    per_axis,
    spatial_layout,
    to_primal,
    window_count,
    windows,
)
from relay.op.shapes import expect_kind, put
from relay.support.errors import TypeInferenceError

WindowRead: TypeAlias = Callable[[Sequence[te.Expr], Sequence[te.Expr]], te.Expr]
"""The element at indices of a window and of a tap within it."""


class Pooling(Operator):
    """Base of pooling over windows along the axes `spatial`.

    `padding` is given as for a convolution. With `ceil_mode` a last window that only begins within
    the padded data counts too.
    """

    spatial: ClassVar[str]
    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[int, ...]
    layout: str
    out_layout: str
    ceil_mode: bool

    def __post_init__(self) -> None:
        rank = len(self.spatial)
        put(self, "pool_size", per_axis("pool_size", self.pool_size, rank))
        put(self, "strides", per_axis("strides", self.strides, rank))
        put(self, "dilation", per_axis("dilation", self.dilation, rank))
        put(self, "padding", full_padding(self.padding, rank))
        if min(*self.pool_size, *self.strides, *self.dilation) < 1 or min(self.padding) < 0:
            raise TypeInferenceError(
                f"{self.name}: pool_size, strides and dilation must be positive "
                "and padding not negative"
            )

    def parsed_layout(self) -> Layout:
        """The layout of data and result, checked."""
        if self.out_layout not in ("", self.layout):
            raise TypeInferenceError(
                f"{self.name}: out_layout must be the layout of the data, {self.layout}, "
                f"found {self.out_layout}"
            )
        return spatial_layout(self.name, "layout", self.layout, self.spatial)

    def _slack(self, k: int) -> int:
        """Padding less window along spatial axis `k`."""
        padding = self.padding[k] + self.padding[len(self.spatial) + k]
        rounding = self.strides[k] - 1 if self.ceil_mode else 0
        return padding - ((self.pool_size[k] - 1) * self.dilation[k] + 1) + rounding

    def _overhang(self, k: int, size: te.Dim, count: te.Dim) -> te.Dim:
        """How far the last window along spatial axis `k` reaches beyond the data."""
        reach = (count - 1) * self.strides[k] + (self.pool_size[k] - 1) * self.dilation[k] + 1
        return reach - self.padding[k] - size

    def infer(self, data: Type) -> Type:
        x = expect_kind(self.name, "data", data, "number")
        layout = self.parsed_layout()
        sizes: dict[str, Dim] = layout.extents(x.shape)
        for k, c in enumerate(self.spatial):
            sizes[c] = known_window_count(self.name, c, sizes[c], self._slack(k), self.strides[k])
        return TensorType(layout.shape(sizes), x.dtype)

    def taps(self) -> list[te.Axis]:
        """The positions within a window, as axes to reduce over."""
        return [
            te.reduce_axis(s, f"k{c.lower()}")
            for c, s in zip(self.spatial, self.pool_size, strict=True)
        ]

    def window_reads(self, data: te.Tensor, outside: te.Operand) -> tuple[list[te.Dim], WindowRead]:
        """The shape of the result, and the element of `data` at a tap of a window.

        The element is read from the data padded with `outside`.
        """
        layout = self.parsed_layout()
        rank = len(self.spatial)
        before = dict(zip(self.spatial, self.padding[:rank], strict=True))
        after: dict[str, int] = {}
        shape = list(data.shape)
        for k, c in enumerate(self.spatial):
            position = layout.position(c)
            size = data.shape[position]
            count = window_count(size, self._slack(k), self.strides[k])
            overhang = te.constant_value(self._overhang(k, size, count))
            # Where the size is not known, a window of ceil_mode may begin within a stride.
            spare = self.strides[k] - 1 if self.ceil_mode else 0
            declared = self.padding[rank + k]
            after[c] = max(declared + spare if overhang is None else overhang, 0)
            shape[position] = count
        padded = pad_spatial(data, layout, before, after, outside)

        def read(window: Sequence[te.Expr], tap: Sequence[te.Expr]) -> te.Expr:
            source: list[te.Operand] = list(window)
            for k, c in enumerate(self.spatial):
                position = layout.position(c)
                source[position] = window[position] * self.strides[k] + tap[k] * self.dilation[k]
            return padded(*source)

        return shape, read

    def reduced(self, data: te.Tensor, kind: str, outside: te.Operand) -> te.Tensor:
        """The reduction stage, over data that is padded with `outside`."""
        shape, read = self.window_reads(data, outside)
        taps = self.taps()
        tap = [t.var for t in taps]
        return te.compute(shape, lambda *i: te.Reduce(kind, read(i, tap), taps), "pool")

    def reference_windows(self, data: Array, outside: float) -> tuple[Array, Layout]:
        """All windows of the data, primal axes first, and the layout."""
        layout = self.parsed_layout()
        rank = len(self.spatial)
        x = to_primal(data, layout, "NC" + self.spatial)
        amounts = [(0, 0), (0, 0)]
        for k in range(rank):
            count = window_count(x.shape[2 + k], self._slack(k), self.strides[k])
            overhang = te.constant_value(self._overhang(k, x.shape[2 + k], count))
            assert overhang is not None
            amounts.append((self.padding[k], max(overhang, 0)))
        x = np.pad(x, amounts, constant_values=outside)
        view = windows(x, range(2, 2 + rank), self.pool_size, self.strides, self.dilation)
        return view, layout

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout in which the spatial axes are whole."""
        return follow_data_layout(self, incoming[0], self.spatial)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        given = attributes(self)
        return (make(f"{self.name}_grad", grad, data, **given),)


class MaxPooling(Pooling):
    """Base of the pooling that takes the largest element; padding never wins."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.reduced(data, "max", dtypes.minimum(data.dtype))

    def reference(self, data: Array) -> Array:
        lowest = dtypes.minimum(dtypes.from_numpy(data.dtype))
        view, layout = self.reference_windows(data, lowest)
        axes = tuple(range(-len(self.spatial), 0))
        return from_primal(view.max(axis=axes), "NC" + self.spatial, layout)


class AveragePooling(Pooling):
    """Base of the pooling that takes the mean.

    `count_include_pad` divides by the size of the window, otherwise by how many of its elements
    lie within the data (at least 1). Integers are divided towards zero.
    """

    count_include_pad: bool

    def compute(self, data: te.Tensor) -> te.Tensor:
        total = self.reduced(data, "sum", 0)

        def element(*indices: te.Var) -> te.Expr:
            return divided(total(*indices), self.divisor(data.shape, total.shape, indices))

        return te.compute(total.shape, element, "average")

    def divisor(
        self, sizes: Sequence[te.Dim], outputs: Sequence[te.Dim], window: Sequence[te.Expr]
    ) -> te.Expr:
        """What the sum over `window` is divided by; shapes of the data and of the result."""
        if self.count_include_pad:
            return te.const(math.prod(self.pool_size))
        layout = self.parsed_layout()
        found: te.Expr = te.const(1)
        for k, c in enumerate(self.spatial):
            position = layout.position(c)
            size = sizes[position]
            overhang = te.constant_value(self._overhang(k, size, outputs[position]))
            if self.padding[k] == 0 and overhang is not None and overhang <= 0:
                found = found * self.pool_size[k]
                continue
            first = window[position] * self.strides[k] - self.padding[k]
            gap = self.dilation[k]
            # Taps t with 0 <= first + t * gap < size, counted with rounding up.
            begin = te.maximum((-first + (gap - 1)) // gap, 0)
            end = te.minimum((size - first + (gap - 1)) // gap, self.pool_size[k])
            found = found * (end - begin)
        return found if te.constant_value(found) is not None else te.maximum(found, 1)

    def reference(self, data: Array) -> Array:
        view, layout = self.reference_windows(data, 0)
        axes = tuple(range(-len(self.spatial), 0))
        total = view.sum(axis=axes, dtype=data.dtype)
        if self.count_include_pad:
            count = np.array(math.prod(self.pool_size))
        else:
            ones, _ = self.reference_windows(np.ones(data.shape, np.int64), 0)
            count = np.maximum(ones.sum(axis=axes), 1)
        quotient = total / count
        if np.issubdtype(data.dtype, np.integer):
            quotient = np.trunc(quotient)
        return from_primal(quotient.astype(data.dtype), "NC" + self.spatial, layout)


@operator("nn.max_pool1d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class MaxPool1D(MaxPooling):
    """The largest element of every window along one spatial axis: data (N, C, W) by default."""

    spatial = "W"
    pool_size: tuple[int, ...] = (1,)
    strides: tuple[int, ...] = (1,)
    dilation: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0, 0)
    layout: str = "NCW"
    out_layout: str = ""
    ceil_mode: bool = False


@operator("nn.max_pool2d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class MaxPool2D(MaxPooling):
    """The largest element of every window along two spatial axes: data (N, C, H, W) by default.

    `padding` is one integer, two (height, width) or four (top, left, bottom, right).
    """

    spatial = "HW"
    pool_size: tuple[int, ...] = (1, 1)
    strides: tuple[int, ...] = (1, 1)
    dilation: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    layout: str = "NCHW"
    out_layout: str = ""
    ceil_mode: bool = False


@operator("nn.max_pool3d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class MaxPool3D(MaxPooling):
    """The largest element of every window along three axes: data (N, C, D, H, W) by default."""

    spatial = "DHW"
    pool_size: tuple[int, ...] = (1, 1, 1)
    strides: tuple[int, ...] = (1, 1, 1)
    dilation: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    layout: str = "NCDHW"
    out_layout: str = ""
    ceil_mode: bool = False


@operator("nn.avg_pool1d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class AvgPool1D(AveragePooling):
    """The mean of every window along one spatial axis: data (N, C, W) by default."""

    spatial = "W"
    pool_size: tuple[int, ...] = (1,)
    strides: tuple[int, ...] = (1,)
    dilation: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0, 0)
    layout: str = "NCW"
    out_layout: str = ""
    ceil_mode: bool = False
    count_include_pad: bool = False


@operator("nn.avg_pool2d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class AvgPool2D(AveragePooling):
    """The mean of every window along two spatial axes: data (N, C, H, W) by default.

    `padding` is one integer, two (height, width) or four (top, left, bottom, right).
    """

    spatial = "HW"
    pool_size: tuple[int, ...] = (1, 1)
    strides: tuple[int, ...] = (1, 1)
    dilation: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    layout: str = "NCHW"
    out_layout: str = ""
    ceil_mode: bool = False
    count_include_pad: bool = False


@operator("nn.avg_pool3d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class AvgPool3D(AveragePooling):
    """The mean of every window along three axes: data (N, C, D, H, W) by default."""

    spatial = "DHW"
    pool_size: tuple[int, ...] = (1, 1, 1)
    strides: tuple[int, ...] = (1, 1, 1)
    dilation: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    layout: str = "NCDHW"
    out_layout: str = ""
    ceil_mode: bool = False
    count_include_pad: bool = False
