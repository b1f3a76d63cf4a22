"""Operators that cut out a part of a tensor along its dimensions."""

from collections.abc import Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.gradients import known_shape, make, number
from relay.op.shapes import normalize_axes, normalize_axis, put, put_ints, show
from relay.support.errors import TypeInferenceError

#: Stands for "to the end" where an index is missing.
END = np.iinfo("int64").max
_WHOLE = (slice(0, END, 1), slice(-1, -END, -1), slice(-1, -END - 1, -1))


@operator("strided_slice", inputs=("data",), pattern=Pattern.INJECTIVE, level=4)
class StridedSlice(Operator):
    """``data[begin:end:strides]`` along `axes` (None: the first dimensions), as Python slices.

    Negative positions count from the end and all are kept within the dimension. With `slice_mode`
    ``"size"``, `end` holds sizes instead, -1 meaning all that is left, and strides are 1.
    """

    takes_small = True

    begin: tuple[int, ...]
    end: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    axes: tuple[int, ...] | None = None
    slice_mode: str = "end"

    def __post_init__(self) -> None:
        put_ints(self, "begin", "end", "strides", "axes")
        put(self, "strides", self.strides or None)
        if self.slice_mode not in ("end", "size"):
            raise ValueError(f'slice_mode must be "end" or "size", found {self.slice_mode!r}')
        if len(self.begin) != len(self.end):
            raise ValueError(f"begin {self.begin} and end {self.end} differ in length")
        if self.strides is not None and 0 in self.strides:
            raise ValueError(f"strides must not be zero, found {self.strides}")

    def slices(self, rank: int) -> dict[int, slice]:
        """The slice of each dimension that is cut, as Python would write it."""
        axes = self.axes if self.axes is not None else tuple(range(len(self.begin)))
        given = () if self.strides is None or self.slice_mode == "size" else self.strides
        strides = (*given, *(1,) * (len(axes) - len(given)))
        if len(axes) != len(self.begin) or len(axes) > rank:
            raise TypeInferenceError(
                f"{self.name}: {len(self.begin)} positions for {len(axes)} axes of a tensor of "
                f"rank {rank}; give as many of the one as of the other, and no more than the rank"
            )
        result: dict[int, slice] = {}
        for axis, begin, end, stride in zip(axes, self.begin, self.end, strides, strict=False):
            if self.slice_mode == "size":
                end = END if end < 0 else begin + end
                # A slice that begins before the end and would reach it must not wrap to position 0.
                end = END if begin < 0 <= end and end != END else end
            result[normalize_axis(self.name, axis, rank)] = slice(begin, end, stride)
        return result

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        shape = list(tensor.shape)
        for axis, part in self.slices(len(shape)).items():
            size = shape[axis]
            if isinstance(size, int):
                shape[axis] = len(range(size)[part])
            elif part not in _WHOLE:
                shape[axis] = Any()
        return TensorType(shape, tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        shape = list(data.shape)
        starts: dict[int, tuple[te.Expr, int]] = {}
        for axis, part in self.slices(data.ndim).items():
            start, size = _slice_bounds(part, shape[axis])
            shape[axis] = size
            starts[axis] = (start, part.step)

        def element(*out: te.Expr) -> te.Expr:
            index = list(out)
            for axis, (start, step) in starts.items():
                index[axis] = out[axis] * step + start
            return data(*index)

        return te.compute(shape, element, "strided_slice")

    def reference(self, data: Array) -> Array:
        parts = self.slices(data.ndim)
        return data[tuple(parts.get(k, slice(None)) for k in range(data.ndim))]

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        shape = known_shape(self.name, data)
        counts = known_shape(self.name, result)
        turned: list[int] = []
        spread = [1] * len(shape)
        around = [(0, 0)] * len(shape)
        for axis, part in self.slices(len(shape)).items():
            places = range(shape[axis])[part]
            if len(places) == 0:
                return (None,)
            if places.step < 0:
                turned.append(axis)
            first, last = min(places[0], places[-1]), max(places[0], places[-1])
            spread[axis] = abs(places.step) if counts[axis] > 1 else 1
            around[axis] = (first, shape[axis] - 1 - last)
        value = make("reverse", grad, axis=tuple(turned)) if turned else grad
        if max(spread, default=1) > 1:
            value = make("nn.dilate", value, strides=tuple(spread))
        if any(pair != (0, 0) for pair in around):
            value = make("nn.pad", value, number(0, grad), pad_width=tuple(around))
        return (value,)


def _slice_bounds(part: slice, size: te.Dim) -> tuple[te.Expr, te.Expr]:
    """First position and number of elements of a slice of a dimension, which may be symbolic."""
    step = int(part.step)
    low, high = (0, size) if step > 0 else (-1, te.as_expr(size, te.INDEX) - 1)

    def position(value: int) -> te.Expr:
        if value == END:
            return te.as_expr(high, te.INDEX)
        from_front = te.as_expr(
            value if value >= 0 else te.as_expr(size, te.INDEX) + value, te.INDEX
        )
        return te.clamp(from_front, low, high)

    start, end = position(part.start), position(part.stop)
    count = (end - start + (step - 1)) // step if step > 0 else (start - end - step - 1) // -step
    return start, te.maximum(count, 0)


@operator("slice_like", inputs=("data", "shape_like"), pattern=Pattern.INJECTIVE, level=10)
class SliceLike(Operator):
    """The leading part of `data` with the sizes of `shape_like` in `axes` (None or empty: all)."""

    takes_small = True
    axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        put_ints(self, "axes")

    def _shape(self, shape: Sequence[Dim], like: Sequence[Dim]) -> tuple[Dim, ...]:
        axes = normalize_axes(self.name, self.axes or None, len(shape))
        if axes and axes[-1] >= len(like):
            raise TypeInferenceError(
                f"{self.name}: {show(like)} has no dimension {axes[-1]} to slice {show(shape)} like"
            )
        for k in axes:
            old, new = shape[k], like[k]
            if isinstance(old, int) and isinstance(new, int) and new > old:
                raise TypeInferenceError(
                    f"{self.name}: size {new} of dimension {k} is more than the data's, {old}"
                )
        return tuple(like[k] if k in axes else d for k, d in enumerate(shape))

    def infer(self, data: Type, shape_like: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        like = expect_tensor(self.name, "shape_like", shape_like)
        return TensorType(self._shape(tensor.shape, like.shape), tensor.dtype)

    def compute(self, data: te.Tensor, shape_like: te.Tensor) -> te.Tensor:
        axes = normalize_axes(self.name, self.axes or None, data.ndim)
        shape = [shape_like.shape[k] if k in axes else d for k, d in enumerate(data.shape)]
        return te.compute(shape, lambda *i: data(*i), "slice_like")

    def reference(self, data: Array, shape_like: Array) -> Array:
        axes = normalize_axes(self.name, self.axes or None, data.ndim)
        return data[
            tuple(slice(shape_like.shape[k] if k in axes else None) for k in range(data.ndim))
        ]

    def gradient(self, grad: Expr, result: Expr, data: Expr, shape_like: Expr) -> Gradients:
        shape, kept = known_shape(self.name, data), known_shape(self.name, result)
        around = tuple((0, a - b) for a, b in zip(shape, kept, strict=True))
        return make("nn.pad", grad, number(0, grad), pad_width=around), None
