"""Operators that rearrange: layouts, blocks of pixels, flattening, enlarging."""

import math
from collections.abc import Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.op import (
    Array,
    Gradients,
    Operator,
    Pattern,
    as_array,
    attributes,
    expect_tensor,
    operator,
)
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.gradients import (
    known_shape,
    make,
    mapped_along,
    reshaped,
    reshaped_like,
    sum_over,
)
from relay.op.nn.common import follow_data_layout, from_primal, spatial_layout, to_primal
from relay.op.shapes import expect_kind, size_of
from relay.support.errors import TypeInferenceError, UnsupportedError


@operator("layout_transform", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class LayoutTransform(Operator):
    """The data in layout `dst_layout` instead of `src_layout`: ``NCHW`` to ``NCHW16c``, say.

    Both layouts have the same primal axes. Raises `TypeInferenceError` when a size is not
    divisible by the block it is to be split into.
    """

    takes_small = True

    src_layout: str
    dst_layout: str

    def _layouts(self) -> tuple[Layout, Layout]:
        source, target = Layout(self.src_layout), Layout(self.dst_layout)
        if not source.same_axes(target):
            raise TypeInferenceError(
                f"{self.name}: {source} and {target} do not have the same primal axes"
            )
        return source, target

    def infer(self, data: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        source, target = self._layouts()
        return TensorType(target.shape(source.extents(x.shape)), x.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        source, target = self._layouts()
        sizes = source.components(data.shape)
        shape: dict[str, tuple[te.Dim, ...]] = {}
        for letter, (outer, *_) in sizes.items():
            scaled = outer * source.block(letter)
            if source.factors(letter) != target.factors(letter):
                outer = scaled // target.block(letter)
            shape[letter] = (outer, *target.factors(letter))

        def element(*indices: te.Var) -> te.Expr:
            at = target.components(indices)
            moved: dict[str, Sequence[te.Operand]] = {
                letter: _reblocked(found, target.factors(letter), source.factors(letter))
                for letter, found in at.items()
            }
            return data(*source.place(moved))

        return te.compute(target.place(shape), element, "layout_transform")

    def reference(self, data: Array) -> Array:
        source, target = self._layouts()
        return from_primal(to_primal(data, source, source.letters), source.letters, target)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        back = make(self.name, grad, src_layout=self.dst_layout, dst_layout=self.src_layout)
        return (back,)


def _reblocked(
    indices: Sequence[te.Expr], factors: Sequence[int], wanted: Sequence[int]
) -> Sequence[te.Operand]:
    """The position given by `indices` in blocks of `factors`, in blocks of `wanted`."""
    if tuple(factors) == tuple(wanted):
        return indices
    position = indices[0]
    for index, factor in zip(indices[1:], factors, strict=True):
        position = position * factor + index
    split: list[te.Operand] = []
    for k, factor in reversed(list(enumerate(wanted))):
        inner = math.prod(wanted[k + 1 :])
        split.insert(0, (position // inner) % factor)
    return [position // math.prod(wanted), *split]


@operator("nn.batch_flatten", inputs=("data",), pattern=Pattern.INJECTIVE, level=2)
class BatchFlatten(Operator):
    """All axes after the first as one: (n, a, b, c) to (n, a * b * c)."""

    takes_small = True

    def infer(self, data: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        if not x.shape:
            raise TypeInferenceError(f"{self.name}: a scalar has no batch axis")
        return TensorType((x.shape[0], size_of(x.shape[1:])), x.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        rest = data.shape[1:]
        total: te.Dim = 1
        for size in rest:
            total = total * size

        def element(n: te.Var, k: te.Var) -> te.Expr:
            position: te.Expr = k
            indices: list[te.Expr] = []
            for axis in range(len(rest) - 1, 0, -1):
                indices.insert(0, position % rest[axis])
                position = position // rest[axis]
            return data(n, *([position] if rest else []), *indices)

        return te.compute((data.shape[0], total), element, "batch_flatten")

    def reference(self, data: Array) -> Array:
        return data.reshape(data.shape[0], math.prod(data.shape[1:]))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (reshaped_like(grad, data),)


class _Pixels(Operator):
    """Base of the moves between channels and pixels of a block."""

    block_size: int
    layout: str
    mode: str

    def __post_init__(self) -> None:
        if self.block_size < 1:
            raise TypeInferenceError(f"{self.name}: block_size must be positive")
        if self.mode not in ("DCR", "CRD"):
            raise TypeInferenceError(f"{self.name}: mode must be DCR or CRD, found {self.mode!r}")

    def parsed_layout(self) -> Layout:
        """The layout, checked: not blocked."""
        layout = spatial_layout(self.name, "layout", self.layout, "HW")
        if layout.is_blocked:
            raise TypeInferenceError(f"{self.name} takes no blocked layout, found {layout}")
        return layout

    def infer(self, data: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        layout = self.parsed_layout()
        sizes: dict[str, Dim] = layout.extents(x.shape)
        area = self.block_size**2
        for c in "CHW":
            size = sizes[c]
            if isinstance(size, Any):
                sizes[c] = Any() if self.block_size > 1 else size
                continue
            grows = (c == "C") == self._to_depth
            factor = area if c == "C" else self.block_size
            if not grows and size % factor:
                raise TypeInferenceError(
                    f"{self.name}: the size {size} of axis {c} is not divisible by {factor}"
                )
            sizes[c] = size * factor if grows else size // factor
        return TensorType(layout.shape(sizes), x.dtype)

    _to_depth = False

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout that is not blocked."""
        return follow_data_layout(self, incoming[0], "NCHW")


@operator("nn.depth_to_space", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class DepthToSpace(_Pixels):
    """Channels become blocks of pixels: (N, C * b * b, H, W) to (N, C, H * b, W * b).

    `mode` says how a channel number is made up: ``DCR`` (row, column, channel) or ``CRD``
    (channel, row, column).
    """

    takes_small = True

    block_size: int
    layout: str = "NCHW"
    mode: str = "DCR"

    def compute(self, data: te.Tensor) -> te.Tensor:
        layout, b = self.parsed_layout(), self.block_size
        sizes = {c: s for c, (s,) in layout.components(data.shape).items()}
        channels = sizes["C"] // (b * b)
        shape = {"N": sizes["N"], "C": channels, "H": sizes["H"] * b, "W": sizes["W"] * b}

        def element(*indices: te.Var) -> te.Expr:
            at = {c: i for c, (i,) in layout.components(indices).items()}
            block = (at["H"] % b) * b + at["W"] % b
            c = block * channels + at["C"] if self.mode == "DCR" else at["C"] * (b * b) + block
            source = {"N": at["N"], "C": c, "H": at["H"] // b, "W": at["W"] // b}
            return data(*layout.place({k: (v,) for k, v in source.items()}))

        return te.compute(
            layout.place({k: (v,) for k, v in shape.items()}), element, "depth_to_space"
        )

    def reference(self, data: Array) -> Array:
        layout, b = self.parsed_layout(), self.block_size
        x = to_primal(data, layout, "NCHW")
        n, c, h, w = x.shape
        if self.mode == "DCR":
            y = x.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2)
        else:
            y = x.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
        return from_primal(y.reshape(n, c // b**2, h * b, w * b), "NCHW", layout)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        given = attributes(self)
        return (make("nn.space_to_depth", grad, **given),)


@operator("nn.space_to_depth", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class SpaceToDepth(_Pixels):
    """Blocks of pixels become channels: (N, C, H * b, W * b) to (N, C * b * b, H, W).

    `mode` says how a channel number is made up: ``DCR`` (row, column, channel) or ``CRD``
    (channel, row, column).
    """

    takes_small = True

    block_size: int
    layout: str = "NCHW"
    mode: str = "DCR"
    _to_depth = True

    def compute(self, data: te.Tensor) -> te.Tensor:
        layout, b = self.parsed_layout(), self.block_size
        sizes = {c: s for c, (s,) in layout.components(data.shape).items()}
        channels = sizes["C"]
        shape = {
            "N": sizes["N"],
            "C": channels * (b * b),
            "H": sizes["H"] // b,
            "W": sizes["W"] // b,
        }

        def element(*indices: te.Var) -> te.Expr:
            at = {c: i for c, (i,) in layout.components(indices).items()}
            dcr = self.mode == "DCR"
            block = at["C"] // channels if dcr else at["C"] % (b * b)
            c = at["C"] % channels if dcr else at["C"] // (b * b)
            source = {
                "N": at["N"],
                "C": c,
                "H": at["H"] * b + block // b,
                "W": at["W"] * b + block % b,
            }
            return data(*layout.place({k: (v,) for k, v in source.items()}))

        return te.compute(
            layout.place({k: (v,) for k, v in shape.items()}), element, "space_to_depth"
        )

    def reference(self, data: Array) -> Array:
        layout, b = self.parsed_layout(), self.block_size
        x = to_primal(data, layout, "NCHW")
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // b, b, w // b, b)
        order = (0, 3, 5, 1, 2, 4) if self.mode == "DCR" else (0, 1, 3, 5, 2, 4)
        y = blocks.transpose(order).reshape(n, c * b * b, h // b, w // b)
        return from_primal(y, "NCHW", layout)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        given = attributes(self)
        return (make("nn.depth_to_space", grad, **given),)


@operator("nn.upsampling", inputs=("data",), pattern=Pattern.INJECTIVE, level=2)
class Upsampling(Operator):
    """Enlarge height and width by `scale_h` and `scale_w`.

    `method` ``nearest_neighbor`` repeats pixels, ``bilinear`` blends the four neighbours. Pixel y
    of the result lies at ``y / scale`` of the data or, with `align_corners` (bilinear only), such
    that the corner pixels of both coincide.
    """

    scale_h: float = 1.0
    scale_w: float = 1.0
    layout: str = "NCHW"
    method: str = "nearest_neighbor"
    align_corners: bool = False

    def __post_init__(self) -> None:
        if self.method not in ("nearest_neighbor", "bilinear"):
            raise TypeInferenceError(
                f"{self.name}: method must be nearest_neighbor or bilinear, found {self.method!r}; "
                "for cubic interpolation use image.resize2d"
            )
        if min(self.scale_h, self.scale_w) <= 0:
            raise TypeInferenceError(f"{self.name}: the scales must be positive")

    def parsed_layout(self) -> Layout:
        """The layout, checked: height and width are whole."""
        return spatial_layout(self.name, "layout", self.layout, "HW")

    def infer(self, data: Type) -> Type:
        kind = "float" if self.method == "bilinear" else "any"
        x = expect_kind(self.name, "data", data, kind)
        layout = self.parsed_layout()
        sizes: dict[str, Dim] = layout.extents(x.shape)
        for c, scale in (("H", self.scale_h), ("W", self.scale_w)):
            size = sizes[c]
            if isinstance(size, int):
                sizes[c] = round(size * scale)
            elif scale != 1:
                sizes[c] = Any()
        return TensorType(layout.shape(sizes), x.dtype)

    def _grown(self, size: te.Dim, scale: float) -> te.Dim:
        if isinstance(size, int):
            return round(size * scale)
        if not float(scale).is_integer():
            raise UnsupportedError(
                f"{self.name}: a size that is unknown before run time needs an integer scale"
            )
        return size * int(scale)

    def compute(self, data: te.Tensor) -> te.Tensor:
        layout = self.parsed_layout()
        scales = {layout.position("H"): self.scale_h, layout.position("W"): self.scale_w}
        shape = list(data.shape)
        for position, scale in scales.items():
            shape[position] = self._grown(data.shape[position], scale)

        def nearest(*indices: te.Var) -> te.Expr:
            source: list[te.Expr] = list(indices)
            for position, scale in scales.items():
                source[position] = _scaled_down(indices[position], scale, data.shape[position])
            return data(*source)

        def bilinear(*indices: te.Var) -> te.Expr:
            (y, y_next, dy), (x, x_next, dx) = (
                self._neighbours(indices[p], data.shape[p], shape[p], scale, data.dtype)
                for p, scale in scales.items()
            )
            rows, columns = scales

            def pixel(row: te.Expr, column: te.Expr) -> te.Expr:
                source: list[te.Expr] = list(indices)
                source[rows], source[columns] = row, column
                return data(*source)

            above = pixel(y, x) * (1.0 - dx) + pixel(y, x_next) * dx
            below = pixel(y_next, x) * (1.0 - dx) + pixel(y_next, x_next) * dx
            return above * (1.0 - dy) + below * dy

        return te.compute(
            shape, nearest if self.method == "nearest_neighbor" else bilinear, "upsampling"
        )

    def _neighbours(
        self, index: te.Expr, size: te.Dim, grown: te.Dim, scale: float, dtype: str
    ) -> tuple[te.Expr, te.Expr, te.Expr]:
        """The two source positions around output `index`, and the weight of the second."""
        step: te.Expr = te.const(1 / scale, "float32")
        if self.align_corners:
            last = te.cast(te.as_expr(size - 1, te.INDEX), "float32")
            spans = te.cast(te.as_expr(te.maximum(grown - 1, 1), te.INDEX), "float32")
            step = last / spans
        at = te.cast(index, "float32") * step
        low = te.unary("floor", at)
        first = te.cast(low, te.INDEX)
        last_index = te.as_expr(size - 1, te.INDEX)
        weight = te.cast(at - low, dtype)
        return (
            te.clamp(first, 0, last_index),
            te.clamp(first + 1, 0, last_index),
            weight,
        )

    def reference(self, data: Array) -> Array:
        layout = self.parsed_layout()
        x = to_primal(data, layout, "NCHW")
        for axis, scale in ((2, self.scale_h), (3, self.scale_w)):
            x = self._reference_axis(x, axis, scale)
        return from_primal(x.astype(data.dtype), "NCHW", layout)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        layout, shape = self.parsed_layout(), known_shape(self.name, data)
        value = grad
        for c, scale in (("H", self.scale_h), ("W", self.scale_w)):
            position = layout.position(c)
            size = shape[position]
            if self.method == "nearest_neighbor" and float(scale).is_integer():
                sizes = known_shape(self.name, value)
                split = (*sizes[:position], size, int(scale), *sizes[position + 1 :])
                value = sum_over(reshaped(value, split), (position + 1,))
            else:
                # Every pixel is a weighted sum of pixels, so a matrix along each axis says it all.
                weights = self._reference_axis(np.eye(size)[None, None], 2, scale)[0, 0]
                value = mapped_along(value, position, weights.T)
        return (value,)

    def _reference_axis(self, x: Array, axis: int, scale: float) -> Array:
        size = x.shape[axis]
        grown = round(size * scale)
        at = np.arange(grown) / scale
        if self.method == "nearest_neighbor":
            chosen = np.minimum(np.floor(at + 1e-9).astype(int), size - 1)
            return as_array(np.take(x, chosen, axis=axis))
        if self.align_corners:
            at = np.arange(grown) * ((size - 1) / max(grown - 1, 1))
        low = np.floor(at).astype(int)
        shape = [1] * x.ndim
        shape[axis] = -1
        weight = (at - low).reshape(shape)
        first = np.take(x, np.minimum(low, size - 1), axis=axis)
        second = np.take(x, np.minimum(low + 1, size - 1), axis=axis)
        return as_array(first * (1 - weight) + second * weight)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout in which height and width are whole."""
        return follow_data_layout(self, incoming[0], "HW")


def _scaled_down(index: te.Expr, scale: float, size: te.Dim) -> te.Expr:
    """``floor(index / scale)``, exactly for integer scales."""
    if float(scale).is_integer():
        return index // int(scale)
    at = te.cast(
        te.unary("floor", te.cast(index, "float32") * te.const(1 / scale, "float32")), te.INDEX
    )
    return te.minimum(at, te.as_expr(size - 1, te.INDEX))
