"""Pooling of everything to one element, and pooling to a given size."""

import math
from typing import ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.expr import Expr
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.op import Array, Gradients, Operator, Pattern, as_array, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import (
    broadcast_like,
    known_shape,
    make,
    mapped_along,
    masked,
    number,
    scaled,
    sum_over,
    tensor_of,
)
from relay.op.nn.common import (
    divided,
    follow_data_layout,
    from_primal,
    known,
    per_axis,
    spatial_layout,
    to_primal,
)
from relay.op.shapes import expect_kind, put, put_ints
from relay.support.errors import TypeInferenceError, UnsupportedError


class WholePooling(Operator):
    """Base of pooling whose windows follow from the sizes alone."""

    spatial: ClassVar[str]
    layout: str
    out_layout: str

    def parsed_layout(self) -> Layout:
        """The layout of data and result, checked."""
        if self.out_layout not in ("", self.layout):
            raise TypeInferenceError(
                f"{self.name}: out_layout must be the layout of the data, {self.layout}, "
                f"found {self.out_layout}"
            )
        return spatial_layout(self.name, "layout", self.layout, self.spatial)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout in which the spatial axes are whole."""
        return follow_data_layout(self, incoming[0], self.spatial)


class GlobalPooling(WholePooling):
    """Base of pooling over the whole of the spatial axes, which become 1."""

    def infer(self, data: Type) -> Type:
        x = expect_kind(self.name, "data", data, "number")
        layout = self.parsed_layout()
        sizes = layout.extents(x.shape) | dict.fromkeys(self.spatial, 1)
        return TensorType(layout.shape(sizes), x.dtype)

    def reduced(self, data: te.Tensor, kind: str) -> tuple[te.Tensor, te.Expr]:
        """The reduction stage, and how many elements each reduction takes."""
        layout = self.parsed_layout()
        positions = [layout.position(c) for c in self.spatial]
        taps = [
            te.reduce_axis(data.shape[p], f"k{c.lower()}")
            for c, p in zip(self.spatial, positions, strict=True)
        ]
        count: te.Expr = te.const(1)
        for tap in taps:
            count = count * tap.extent

        def element(*indices: te.Var) -> te.Expr:
            source: list[te.Operand] = list(indices)
            for position, tap in zip(positions, taps, strict=True):
                source[position] = tap.var
            return te.Reduce(kind, data(*source), taps)

        shape = [1 if k in positions else s for k, s in enumerate(data.shape)]
        return te.compute(shape, element, "pool"), count


@operator("nn.global_avg_pool2d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class GlobalAvgPool2D(GlobalPooling):
    """The mean over height and width: (N, C, H, W) to (N, C, 1, 1)."""

    spatial = "HW"
    layout: str = "NCHW"
    out_layout: str = ""

    def compute(self, data: te.Tensor) -> te.Tensor:
        total, count = self.reduced(data, "sum")
        return te.compute(total.shape, lambda *i: divided(total(*i), count), "average")

    def reference(self, data: Array) -> Array:
        layout = self.parsed_layout()
        axes = tuple(layout.position(c) for c in self.spatial)
        mean = data.mean(axis=axes, keepdims=True)
        if np.issubdtype(data.dtype, np.integer):
            mean = np.trunc(mean)
        return as_array(mean.astype(data.dtype))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        layout, sizes = self.parsed_layout(), tensor_of(data).shape
        area = [sizes[layout.position(c)] for c in self.spatial]
        known_area = [s for s in area if isinstance(s, int)]
        if len(known_area) < len(area):
            axes = [layout.position(c) for c in self.spatial]
            count: Expr = sum_over(make("ones_like", data), axes, keepdims=True)
        else:
            count = number(math.prod(known_area), grad)
        return (broadcast_like(grad / count, data),)


@operator("nn.global_max_pool2d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class GlobalMaxPool2D(GlobalPooling):
    """The largest element over height and width: (N, C, H, W) to (N, C, 1, 1)."""

    spatial = "HW"
    layout: str = "NCHW"
    out_layout: str = ""

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.reduced(data, "max")[0]

    def reference(self, data: Array) -> Array:
        layout = self.parsed_layout()
        axes = tuple(layout.position(c) for c in self.spatial)
        lowest = dtypes.minimum(dtypes.from_numpy(data.dtype))
        return as_array(data.max(axis=axes, keepdims=True, initial=lowest))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        layout = self.parsed_layout()
        chosen = make("equal", data, result)
        count = make("cast", chosen, dtype=tensor_of(data).dtype)
        equals = sum_over(count, [layout.position(c) for c in self.spatial], keepdims=True)
        return (masked(chosen, grad / equals),)


class AdaptivePooling(WholePooling):
    """Base of pooling to `output_size`, by windows that divide each axis as evenly as they can.

    Output element o of n covers ``floor(o * size / n)`` up to ``ceil((o + 1) * size / n)``.
    An empty `output_size` keeps the sizes.
    """

    output_size: tuple[int, ...] | None

    def __post_init__(self) -> None:
        if self.output_size is None:
            put(self, "output_size", ())
        put_ints(self, "output_size")
        if self.output_size:
            put(self, "output_size", per_axis("output_size", self.output_size, len(self.spatial)))

    def infer(self, data: Type) -> Type:
        x = expect_kind(self.name, "data", data, "number")
        layout = self.parsed_layout()
        sizes: dict[str, Dim] = layout.extents(x.shape)
        if any(sizes[c] == 0 for c in self.spatial):
            raise TypeInferenceError(f"{self.name}: {x} has no elements to divide into windows")
        if self.output_size:
            sizes |= dict(zip(self.spatial, self.output_size, strict=True))
        return TensorType(layout.shape(sizes), x.dtype)

    def _known(self, size: te.Dim) -> int:
        return known(self.name, "a size that is not pooled to 1", size)

    def _bounds(self, index: te.Expr, size: te.Dim, count: int) -> tuple[te.Expr, te.Expr]:
        """Begin and length of window `index` of `count` over an axis of `size`."""
        begin = (index * size) // count
        end = ((index + 1) * size + (count - 1)) // count
        return begin, end - begin

    def reduced(self, data: te.Tensor, kind: str) -> tuple[te.Tensor, list[tuple[int, int]]]:
        """The reduction stage, and per spatial axis its position and number of windows."""
        layout = self.parsed_layout()
        positions = [layout.position(c) for c in self.spatial]
        counts = self.output_size or [self._known(data.shape[p]) for p in positions]
        taps: list[te.Axis] = []
        exact: list[bool] = []
        for position, count, c in zip(positions, counts, self.spatial, strict=True):
            size = data.shape[position]
            even = count == 1 or (isinstance(size, int) and size % count == 0)
            longest = size if count == 1 else -(-self._known(size) // count) + (not even)
            taps.append(te.reduce_axis(longest, f"k{c.lower()}"))
            exact.append(even)

        def element(*indices: te.Var) -> te.Expr:
            source: list[te.Operand] = list(indices)
            inside: list[te.Expr] = []
            for position, count, tap, even in zip(positions, counts, taps, exact, strict=True):
                size = data.shape[position]
                if even:
                    step: te.Expr = te.const(0) if count == 1 else indices[position] * tap.extent
                    source[position] = step + tap.var
                    continue
                begin, length = self._bounds(indices[position], size, count)
                inside.append(tap.var < length)
                source[position] = begin + tap.var
            outside = te.identity(kind, data.dtype)
            return te.Reduce(kind, te.select(te.both(*inside), data(*source), outside), taps)

        shape = list(data.shape)
        for position, count in zip(positions, counts, strict=True):
            shape[position] = count
        return te.compute(shape, element, "pool"), list(zip(positions, counts, strict=True))

    def _reference_windows(self, data: Array) -> tuple[Layout, Array, list[list[slice]]]:
        layout = self.parsed_layout()
        x = to_primal(data, layout, "NC" + self.spatial)
        cuts: list[list[slice]] = []
        for size, count in zip(x.shape[2:], self.output_size or x.shape[2:], strict=True):
            edges = [
                (math.floor(o * size / count), math.ceil((o + 1) * size / count))
                for o in range(count)
            ]
            cuts.append([slice(a, b) for a, b in edges])
        return layout, x, cuts


def _averages(size: int, count: int) -> Array:
    """The matrix (count, size) that takes the means of the windows."""
    matrix = np.zeros((count, size))
    for o in range(count):
        window = slice(math.floor(o * size / count), math.ceil((o + 1) * size / count))
        matrix[o, window] = 1 / (window.stop - window.start)
    return matrix


class AdaptiveAverage(AdaptivePooling):
    """Base of adaptive pooling by the mean."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        total, windows = self.reduced(data, "sum")

        def element(*indices: te.Var) -> te.Expr:
            length: te.Expr = te.const(1)
            for position, count in windows:
                size = data.shape[position]
                if count == 1:
                    length = length * size
                elif isinstance(size, int) and size % count == 0:
                    length = length * (size // count)
                else:
                    length = length * self._bounds(indices[position], size, count)[1]
            return divided(total(*indices), length)

        return te.compute(total.shape, element, "average")

    def reference(self, data: Array) -> Array:
        layout, x, cuts = self._reference_windows(data)
        y = np.empty((*x.shape[:2], *map(len, cuts)), data.dtype)
        for o in np.ndindex(*y.shape[2:]):
            window = x[(..., *(cut[k] for cut, k in zip(cuts, o, strict=True)))]
            y[(..., *o)] = window.mean(axis=tuple(range(2, x.ndim)))
        return from_primal(y, "NC" + self.spatial, layout)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        layout, shape = self.parsed_layout(), known_shape(self.name, data)
        counts = self.output_size or [shape[layout.position(c)] for c in self.spatial]
        value = grad
        for c, count in zip(self.spatial, counts, strict=True):
            position = layout.position(c)
            size = shape[position]
            if count == 1:
                value = scaled(value, 1 / size)
            elif count != size:
                value = mapped_along(value, position, _averages(size, count).T)
        return (broadcast_like(value, data),)


class AdaptiveMaximum(AdaptivePooling):
    """Base of adaptive pooling by the largest element."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.reduced(data, "max")[0]

    def reference(self, data: Array) -> Array:
        layout, x, cuts = self._reference_windows(data)
        y = np.empty((*x.shape[:2], *map(len, cuts)), data.dtype)
        for o in np.ndindex(*y.shape[2:]):
            window = x[(..., *(cut[k] for cut, k in zip(cuts, o, strict=True)))]
            y[(..., *o)] = window.max(axis=tuple(range(2, x.ndim)))
        return from_primal(y, "NC" + self.spatial, layout)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        layout, shape = self.parsed_layout(), known_shape(self.name, data)
        sizes = [shape[layout.position(c)] for c in self.spatial]
        counts = self.output_size or sizes
        if any(size % count for size, count in zip(sizes, counts, strict=True)):
            raise UnsupportedError(
                f"the gradient of {self.name} needs windows of one size, but {counts} does not "
                f"divide {tuple(sizes)}"
            )
        window = tuple(size // count for size, count in zip(sizes, counts, strict=True))
        name = f"nn.max_pool{len(self.spatial)}d_grad"
        return (make(name, grad, data, pool_size=window, strides=window, layout=self.layout),)


@operator(
    "nn.adaptive_avg_pool1d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=10
)
class AdaptiveAvgPool1D(AdaptiveAverage):
    """The mean of windows, `output_size` of them: (N, C, W) data by default."""

    spatial = "W"
    output_size: tuple[int, ...] | None = ()
    layout: str = "NCW"
    out_layout: str = ""


@operator(
    "nn.adaptive_avg_pool2d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=10
)
class AdaptiveAvgPool2D(AdaptiveAverage):
    """The mean of windows, `output_size` of them: (N, C, H, W) data by default."""

    spatial = "HW"
    output_size: tuple[int, ...] | None = ()
    layout: str = "NCHW"
    out_layout: str = ""


@operator(
    "nn.adaptive_avg_pool3d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=10
)
class AdaptiveAvgPool3D(AdaptiveAverage):
    """The mean of windows, `output_size` of them: (N, C, D, H, W) data by default."""

    spatial = "DHW"
    output_size: tuple[int, ...] | None = ()
    layout: str = "NCDHW"
    out_layout: str = ""


@operator(
    "nn.adaptive_max_pool1d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=10
)
class AdaptiveMaxPool1D(AdaptiveMaximum):
    """The largest element of windows, `output_size` of them: (N, C, W) data by default."""

    spatial = "W"
    output_size: tuple[int, ...] | None = ()
    layout: str = "NCW"
    out_layout: str = ""


@operator(
    "nn.adaptive_max_pool2d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=10
)
class AdaptiveMaxPool2D(AdaptiveMaximum):
    """The largest element of windows, `output_size` of them: (N, C, H, W) data by default."""

    spatial = "HW"
    output_size: tuple[int, ...] | None = ()
    layout: str = "NCHW"
    out_layout: str = ""


@operator(
    "nn.adaptive_max_pool3d", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=10
)
class AdaptiveMaxPool3D(AdaptiveMaximum):
    """The largest element of windows, `output_size` of them: (N, C, D, H, W) data by default."""

    spatial = "DHW"
    output_size: tuple[int, ...] | None = ()
    layout: str = "NCDHW"
    out_layout: str = ""
