"""Operators that tell the sizes of a tensor."""

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.shapes import te_size


@operator("shape_of", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class ShapeOf(Operator):
    """The shape of `data`: a vector of its rank, of integer type `dtype`."""

    takes_small = True
    piecewise_constant = True

    dtype: str = "int32"

    def infer(self, data: Type) -> Type:
        return TensorType((len(expect_tensor(self.name, "data", data).shape),), self.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        def size(index: te.Expr) -> te.Expr:
            result: te.Expr = te.const(0)
            for axis, dim in reversed(list(enumerate(data.shape))):
                result = te.select(te.equal(index, axis), dim, result)
            return te.cast(result, self.dtype)

        return te.compute((data.ndim,), size, "shape_of")

    def reference(self, data: Array) -> Array:
        return np.asarray(data.shape, dtype=self.dtype)


@operator("ndarray_size", inputs=("data",), pattern=Pattern.INJECTIVE, level=10)
class NdarraySize(Operator):
    """The number of elements of `data`: a scalar of integer type `dtype`."""

    takes_small = True
    piecewise_constant = True

    dtype: str = "int32"

    def infer(self, data: Type) -> Type:
        expect_tensor(self.name, "data", data)
        return TensorType((), self.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        return te.compute((), lambda: te.cast(te_size(data.shape), self.dtype), "ndarray_size")

    def reference(self, data: Array) -> Array:
        return np.asarray(data.size, dtype=self.dtype)
