"""Convolution of pixels whose positions are data."""

from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.layout import Layout
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.nn.common import (
    dims_agree,
    from_primal,
    full_padding,
    known_window_count,
    layout_of,
    per_axis,
    spatial_layout,
    to_primal,
)
from relay.op.shapes import expect_kind, expect_same_dtype, put, put_dtype, put_ints, size_of
from relay.support.errors import TypeInferenceError


@operator(
    "nn.deformable_conv2d",
    inputs=("data", "offset", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=5,
)
class DeformableConv2D(Operator):
    """Convolution of `data` (N, C, H, W) read at positions that `offset` moves.

    `offset` is (N, 2 * taps * `deformable_groups`, rows, columns) of the result: for each group of
    channels and each tap of the window, by how much it is moved down and to the right. Between
    pixels their four neighbours are blended; outside the data all is 0. `weight` is (O, C / groups,
    height, width). All three may be in other layouts, `offset` in that of the data. J. Dai et al.,
    "Deformable convolutional networks", 2017.
    """

    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1)
    deformable_groups: int = 1
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCHW"
    kernel_layout: str = "OIHW"
    out_layout: str = ""
    out_dtype: str = ""

    missing: ClassVar[dict[str, str]] = {"gradient": "it is not derived"}

    def __post_init__(self) -> None:
        put(self, "strides", per_axis("strides", self.strides, 2))
        put(self, "dilation", per_axis("dilation", self.dilation, 2))
        put(self, "padding", full_padding(self.padding, 2))
        put_ints(self, "kernel_size")
        put_dtype(self, "out_dtype")
        if min(*self.strides, *self.dilation, self.groups, self.deformable_groups) < 1:
            raise ValueError("strides, dilation and numbers of groups must be positive")

    def _layouts(self) -> tuple[Layout, Layout]:
        data = spatial_layout(self.name, "data_layout", self.data_layout, "HW")
        kernel = layout_of(self.name, "kernel_layout", self.kernel_layout, "OIHW")
        if data.is_blocked or kernel.is_blocked or self.out_layout not in ("", data.name):
            raise TypeInferenceError(
                f"{self.name}: takes no blocked layout, and the result has that of the data; found "
                f"{data}, {kernel} and {self.out_layout!r}"
            )
        return data, kernel

    def infer(self, data: Type, offset: Type, weight: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        moves = expect_kind(self.name, "offset", offset, "float")
        w = expect_kind(self.name, "weight", weight, "float")
        expect_same_dtype(self.name, x, moves)
        expect_same_dtype(self.name, x, w)
        layout, kernel = self._layouts()
        sizes: dict[str, Dim] = layout.extents(x.shape)
        window = kernel.extents(w.shape)
        taps = [window["H"], window["W"]]
        depth, into, out = sizes["C"], window["I"], window["O"]
        bad = isinstance(depth, int) and (
            depth % self.groups
            or depth % self.deformable_groups
            or not dims_agree(into, depth // self.groups)
        )
        if bad or (isinstance(out, int) and out % self.groups):
            raise TypeInferenceError(
                f"{self.name}: {w} does not fit {x} in {self.groups} groups, moved in "
                f"{self.deformable_groups}"
            )
        sizes["C"] = out
        for k, c in enumerate("HW"):
            size = taps[k]
            if not isinstance(size, int):
                sizes[c] = Any()
                continue
            reach = (size - 1) * self.dilation[k] + 1
            slack = self.padding[k] + self.padding[2 + k] - reach
            sizes[c] = known_window_count(self.name, c, sizes[c], slack, self.strides[k])
        moved = layout.extents(moves.shape)
        wanted = {**sizes, "C": size_of([2, self.deformable_groups, *taps])}
        if not all(dims_agree(moved[c], wanted[c]) for c in "NCHW"):
            raise TypeInferenceError(
                f"{self.name}: expected an offset of {layout.shape(wanted)}, found {moves}"
            )
        return TensorType(layout.shape(sizes), self.out_dtype or x.dtype)

    def compute(self, data: te.Tensor, offset: te.Tensor, weight: te.Tensor) -> te.Tensor:
        layout, kernel = self._layouts()
        sizes = {c: s for c, (s,) in layout.components(data.shape).items()}
        moved = {c: s for c, (s,) in layout.components(offset.shape).items()}
        window = {c: s for c, (s,) in kernel.components(weight.shape).items()}
        taps = [window[c] for c in "HW"]
        per_offset = te.as_expr(sizes["C"], te.INDEX) // self.deformable_groups

        def sampled(*i: te.Var) -> te.Expr:
            n, c, r, s, oy, ox = i
            tap = (c // per_offset * taps[0] + r) * taps[1] + s
            places: list[te.Expr] = []
            for k, (out, step) in enumerate(((oy, r), (ox, s))):
                where = {"N": (n,), "C": (tap * 2 + k,), "H": (oy,), "W": (ox,)}
                regular = out * self.strides[k] + step * self.dilation[k] - self.padding[k]
                places.append(te.cast(regular, data.dtype) + offset(*layout.place(where)))
            return _blended(data, layout, n, c, places)

        shape = (sizes["N"], sizes["C"], *taps, moved["H"], moved["W"])
        pixels = te.compute(shape, sampled, "sampled", stage=True)
        outputs, inputs = (te.as_expr(window[c], te.INDEX) for c in "OI")

        def element(*i: te.Var) -> te.Expr:
            at = {c: v for c, (v,) in layout.components(i).items()}
            c, r, s = (te.reduce_axis(window[k], k.lower()) for k in "IHW")
            channel = at["C"] // (outputs // self.groups) * inputs + c.var
            factor = {"O": (at["C"],), "I": (c.var,), "H": (r.var,), "W": (s.var,)}
            pixel = pixels(at["N"], channel, r.var, s.var, at["H"], at["W"])
            product = te.cast(pixel, dtype) * te.cast(weight(*kernel.place(factor)), dtype)
            return te.reduce_sum(product, (c, r, s))

        dtype = self.out_dtype or data.dtype
        result = {"N": sizes["N"], "C": window["O"], "H": moved["H"], "W": moved["W"]}
        found = layout.place({c: (d,) for c, d in result.items()})
        return te.compute(found, element, "deformable_conv2d")

    def reference(self, data: Array, offset: Array, weight: Array) -> Array:
        layout, kernel = self._layouts()
        x, moves = (to_primal(a, layout, "NCHW").astype("float64") for a in (data, offset))
        w = to_primal(weight, kernel, "OIHW").astype("float64")
        batch, depth, height, width = x.shape
        outputs, inputs, rows, columns = w.shape
        result = np.zeros((batch, outputs, *moves.shape[2:]))
        moves = moves.reshape(batch, self.deformable_groups, rows, columns, 2, *moves.shape[2:])
        oy, ox = np.indices(result.shape[2:])
        share, per_group = depth // self.deformable_groups, outputs // self.groups
        for n, c, r, s in np.ndindex(batch, depth, rows, columns):
            down, aside = moves[n, c // share, r, s]
            y = oy * self.strides[0] + r * self.dilation[0] - self.padding[0] + down
            z = ox * self.strides[1] + s * self.dilation[1] - self.padding[1] + aside
            known = (y >= 0) & (y < height) & (z >= 0) & (z < width)
            y, z = np.where(known, y, 0), np.where(known, z, 0)
            top, left = np.floor(y).astype(int), np.floor(z).astype(int)
            bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
            dy, dx = y - top, z - left
            above = x[n, c, top, left] * (1 - dx) + x[n, c, top, right] * dx
            below = x[n, c, bottom, left] * (1 - dx) + x[n, c, bottom, right] * dx
            pixel = np.where(known, above * (1 - dy) + below * dy, 0)
            group = c // inputs
            for o in range(group * per_group, (group + 1) * per_group):
                result[n, o] += pixel * w[o, c % inputs, r, s]
        dtype = self.out_dtype or data.dtype
        return from_primal(result.astype(dtype), "NCHW", layout)


def _blended(
    data: te.Tensor, layout: Layout, n: te.Expr, c: te.Expr, places: list[te.Expr]
) -> te.Expr:
    """The value of `data` between pixels, 0 outside."""
    dtype = data.dtype
    bounds: list[te.Expr] = []
    near: list[tuple[te.Expr, te.Expr, te.Expr]] = []
    for place, axis in zip(places, "HW", strict=True):
        size = te.as_expr(data.shape[layout.position(axis)], te.INDEX)
        bounds += [place >= 0.0, place < te.cast(size, dtype)]
        within = te.select(te.both(*bounds[-2:]), place, te.const(0.0, dtype))
        low = te.unary("floor", within)
        first = te.clamp(te.cast(low, te.INDEX), 0, size - 1)
        near.append((first, te.minimum(first + 1, size - 1), within - low))
    (top, bottom, dy), (left, right, dx) = near

    def pixel(y: te.Expr, x: te.Expr) -> te.Expr:
        return data(*layout.place({"N": (n,), "C": (c,), "H": (y,), "W": (x,)}))

    above = pixel(top, left) * (1.0 - dx) + pixel(top, right) * dx
    below = pixel(bottom, left) * (1.0 - dx) + pixel(bottom, right) * dx
    blended = above * (1.0 - dy) + below * dy
    return te.select(te.both(*bounds), blended, te.const(0.0, dtype))
