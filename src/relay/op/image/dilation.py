"""Grey-scale dilation, the morphological operation."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.layout import Layout
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.nn.common import (
    from_primal,
    full_padding,
    known_window_count,
    layout_of,
    pad_spatial,
    per_axis,
    spatial_layout,
    to_primal,
    window_count,
    windows,
)
from relay.op.shapes import (
    expect_kind,
    expect_same_dtype,
    put,
    put_dtype,
    reference_dtype,
    unify_dim,
)
from relay.support.errors import TypeInferenceError


@operator(
    "image.dilation2d",
    inputs=("data", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=2,
)
class Dilation2D(Operator):
    """``max over (i, j) of data[n, c, y s + i d, x s + j d] + weight[c, i, j]``.

    `data` is (N, C, H, W) and `weight` (C, height, width), or as the layouts say. `padding` is one
    integer, two (height, width) or four (top, left, bottom, right) of what is smaller than all.
    """

    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilations: tuple[int, ...] = (1, 1)
    data_layout: str = "NCHW"
    kernel_layout: str = "IHW"
    out_dtype: str = ""

    missing: ClassVar[dict[str, str]] = {
        "gradient": "where the largest elements lie is not among its results"
    }

    def __post_init__(self) -> None:
        put(self, "strides", per_axis("strides", self.strides, 2))
        put(self, "dilations", per_axis("dilations", self.dilations, 2))
        put(self, "padding", full_padding(self.padding, 2))
        put_dtype(self, "out_dtype")
        if min(*self.strides, *self.dilations) < 1 or min(self.padding) < 0:
            raise ValueError("strides and dilations must be positive, padding not negative")

    def _layouts(self) -> tuple[Layout, Layout]:
        data = spatial_layout(self.name, "data_layout", self.data_layout, "HW")
        kernel = layout_of(self.name, "kernel_layout", self.kernel_layout, "IHW")
        for layout in (data, kernel):
            if layout.is_blocked:
                raise TypeInferenceError(f"{self.name} takes no blocked layout, found {layout}")
        return data, kernel

    def _slack(self, k: int, window: int) -> int:
        return self.padding[k] + self.padding[2 + k] - (window - 1) * self.dilations[k] - 1

    def infer(self, data: Type, weight: Type) -> Type:
        x = expect_kind(self.name, "data", data, "number")
        w = expect_kind(self.name, "weight", weight, "number")
        dtype = expect_same_dtype(self.name, x, w)
        layout, kernel = self._layouts()
        sizes: dict[str, Dim] = layout.extents(x.shape)
        window = kernel.extents(w.shape)
        sizes["C"] = unify_dim(self.name, sizes["C"], window["I"], "the numbers of channels")
        for k, c in enumerate("HW"):
            taps = window[c]
            if taps == 0:
                raise TypeInferenceError(f"{self.name}: the window {w} is empty")
            sizes[c] = (
                known_window_count(self.name, c, sizes[c], self._slack(k, taps), self.strides[k])
                if isinstance(taps, int)
                else Any()
            )
        return TensorType(layout.shape(sizes), self.out_dtype or dtype)

    def compute(self, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
        layout, kernel = self._layouts()
        window = {c: s for c, (s,) in kernel.components(weight.shape).items()}
        before, after = (dict(zip("HW", self.padding[k : k + 2], strict=True)) for k in (0, 2))
        padded = pad_spatial(data, layout, before, after, dtypes.minimum(data.dtype))
        shape: list[te.Dim] = list(data.shape)
        for k, c in enumerate("HW"):
            slack = self.padding[k] + self.padding[2 + k] - 1
            reach = data.shape[layout.position(c)] - (window[c] - 1) * self.dilations[k]
            shape[layout.position(c)] = window_count(reach, slack, self.strides[k])

        def element(*i: te.Var) -> te.Expr:
            taps = [te.reduce_axis(window[c], f"k{c.lower()}") for c in "HW"]
            source: list[te.Operand] = list(i)
            for k, c in enumerate("HW"):
                at = layout.position(c)
                source[at] = i[at] * self.strides[k] + taps[k].var * self.dilations[k]
            place = {"I": (i[layout.position("C")],)}
            place |= {c: (tap.var,) for c, tap in zip("HW", taps, strict=True)}
            return te.reduce_max(padded(*source) + weight(*kernel.place(place)), taps)

        found = te.compute(shape, element, "dilation2d")
        if self.out_dtype in ("", found.dtype):
            return found
        return te.compute(shape, lambda *i: te.cast(found(*i), self.out_dtype), "dilation2d_cast")

    def reference(self, data: Array, weight: Array) -> Array:
        layout, kernel = self._layouts()
        x, w = to_primal(data, layout, "NCHW"), to_primal(weight, kernel, "IHW")
        top, left, bottom, right = self.padding
        border: Sequence[tuple[int, int]] = ((0, 0), (0, 0), (top, bottom), (left, right))
        fill = dtypes.minimum(data.dtype.name)
        padded = np.pad(x, border, constant_values=np.asarray(fill, data.dtype).item())
        view = windows(padded, (2, 3), w.shape[1:], self.strides, self.dilations)
        result = (view + w[:, None, None]).max(axis=(-2, -1))
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else data.dtype
        return from_primal(result.astype(dtype), "NCHW", layout)
