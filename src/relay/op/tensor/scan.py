"""Running sums and products along an axis.

As tensor expressions they are reductions over all positions up to the one asked for, which takes
time quadratic in the size of the axis.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import converted, make, rank_of, reshaped_like
from relay.op.shapes import (
    expect_kind,
    normalize_axis,
    put,
    put_dtype,
    reference_dtype,
    replaced,
    size_of,
    te_size,
)
from relay.op.tensor.reshape import reshape_tensor


@dataclass(frozen=True)
class Scan(Operator):
    """Base of the scans: `axis` None flattens; `exclusive` leaves out the element itself."""

    axis: int | None = None
    dtype: str = ""
    exclusive: bool = False

    def __post_init__(self) -> None:
        put(self, "exclusive", bool(self.exclusive))
        put_dtype(self)

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "number")
        dtype = self.dtype or tensor.dtype
        if self.axis is None:
            return TensorType((size_of(tensor.shape),), dtype)
        normalize_axis(self.name, self.axis, len(tensor.shape))
        return TensorType(tensor.shape, dtype)

    def scan(
        self,
        data: te.Tensor,
        reduce: Callable[[te.Expr, Sequence[te.Axis]], te.Expr],
        start: int,
    ) -> te.Tensor:
        """The running `reduce` of `data`, beginning with `start`."""
        if self.axis is None:
            data = reshape_tensor(data, (te_size(data.shape),), "flat")
        axis = 0 if self.axis is None else self.axis % data.ndim
        dtype = self.dtype or data.dtype

        def element(*out: te.Expr) -> te.Expr:
            r = te.reduce_axis(data.shape[axis])
            value = te.cast(data(*replaced(out, axis, r.var)), dtype)
            taken = r.var < out[axis] if self.exclusive else r.var <= out[axis]
            return reduce(te.select(taken, value, te.const(start, dtype)), [r])

        return te.compute(data.shape, element, self.name)

    def accumulate(self, data: Array, ufunc: np.ufunc, start: int) -> Array:
        """The same with NumPy's running `ufunc`."""
        dtype = reference_dtype(self.dtype) if self.dtype else data.dtype
        axis = 0 if self.axis is None else self.axis
        values = data.reshape(-1) if self.axis is None else data
        result = ufunc.accumulate(values, axis=axis, dtype=dtype)
        if self.exclusive:
            result = np.roll(result, 1, axis=axis)
            np.moveaxis(result, axis, 0)[:1] = start
        return np.asarray(result)

    def along(self, result: Expr) -> int:
        """The axis of `result` that is scanned."""
        return 0 if self.axis is None else self.axis % rank_of(result)


@operator("cumsum", inputs=("data",), pattern=Pattern.OPAQUE, level=3)
class CumSum(Scan):
    """Running sum of `data` along `axis` (None: flattened), in `dtype` (empty: that of `data`)."""

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.scan(data, te.reduce_sum, 0)

    def reference(self, data: Array) -> Array:
        return self.accumulate(data, np.add, 0)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        back = make("reverse", grad, axis=self.along(grad))
        summed = make("cumsum", back, axis=self.along(grad), exclusive=self.exclusive)
        return (
            reshaped_like(converted(make("reverse", summed, axis=self.along(grad)), data), data),
        )


@operator("cumprod", inputs=("data",), pattern=Pattern.OPAQUE, level=3)
class CumProd(Scan):
    """Running product of `data` along `axis` (None: flattened), in `dtype` (empty: the data's).

    Its gradient divides by `data`, so that it is NaN or infinite where an element is zero.
    """

    def compute(self, data: te.Tensor) -> te.Tensor:
        return self.scan(data, te.reduce_prod, 1)

    def reference(self, data: Array) -> Array:
        return self.accumulate(data, np.multiply, 1)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        axis = self.along(grad)
        back = make(
            "cumsum", make("reverse", grad * result, axis=axis), axis=axis, exclusive=self.exclusive
        )
        summed = reshaped_like(converted(make("reverse", back, axis=axis), data), data)
        return (summed / data,)
