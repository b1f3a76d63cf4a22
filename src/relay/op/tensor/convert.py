"""Conversion between data types."""

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import converted
from relay.op.shapes import put_dtype, reference_dtype


def convert(value: te.Expr, dtype: str) -> te.Expr:
    """One element converted to `dtype`; to ``bool``: whether it differs from zero."""
    if dtype == te.BOOL and value.dtype != te.BOOL:
        return te.compare("ne", value, te.const(0, value.dtype))
    return te.cast(value, dtype)


@operator("cast", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Cast(Operator):
    """Convert every element to `dtype`.

    Float to integer rounds towards zero (a value out of range gives an unspecified integer), wider
    to narrower integers wrap around, and ``bool`` is whether the value differs from zero.
    """

    dtype: str

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        return TensorType(tensor.shape, self.dtype or tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        return te.compute(
            data.shape, lambda *i: convert(data(*i), self.dtype or data.dtype), "cast"
        )

    def reference(self, data: Array) -> Array:
        return data.astype(reference_dtype(self.dtype)) if self.dtype else data

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (converted(grad, data),)


@operator("cast_like", inputs=("data", "dtype_like"), pattern=Pattern.ELEMWISE, level=3)
class CastLike(Operator):
    """Convert every element of `data` to the data type of `dtype_like`, as `cast` does."""

    def infer(self, data: Type, dtype_like: Type) -> Type:
        like = expect_tensor(self.name, "dtype_like", dtype_like)
        return TensorType(expect_tensor(self.name, "data", data).shape, like.dtype)

    def compute(self, data: te.Tensor, dtype_like: te.Tensor) -> te.Tensor:
        return te.compute(data.shape, lambda *i: convert(data(*i), dtype_like.dtype), "cast_like")

    def reference(self, data: Array, dtype_like: Array) -> Array:
        return np.asarray(data, dtype=dtype_like.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr, dtype_like: Expr) -> Gradients:
        return converted(grad, data), None
