"""Operators that make tensors from a shape, and sequences of numbers."""

import math

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import total
from relay.op.shapes import expect_same_dtype, put_dtype, put_ints, reference_dtype
from relay.op.tensor.convert import convert
from relay.support.errors import TypeInferenceError


@operator("full", inputs=("fill_value",), pattern=Pattern.ELEMWISE, level=3)
class Full(Operator):
    """A tensor of `shape` filled with the scalar tensor `fill_value`, converted to `dtype`.

    An empty `dtype` keeps that of `fill_value`.
    """

    takes_small = True
    shape: tuple[int, ...] = ()
    dtype: str = ""

    def __post_init__(self) -> None:
        put_ints(self, "shape")
        put_dtype(self)

    def infer(self, fill_value: Type) -> Type:
        value = expect_tensor(self.name, "fill_value", fill_value)
        if value.shape:
            raise TypeInferenceError(f"{self.name}: fill_value must be a scalar, found {value}")
        return TensorType(self.shape, self.dtype or value.dtype)

    def compute(self, fill_value: te.Tensor) -> te.Tensor:
        dtype = self.dtype or fill_value.dtype
        return te.compute(self.shape, lambda *_: convert(fill_value(), dtype), "full")

    def reference(self, fill_value: Array) -> Array:
        dtype = reference_dtype(self.dtype) if self.dtype else fill_value.dtype
        return np.full(self.shape, fill_value, dtype=dtype)

    def gradient(self, grad: Expr, result: Expr, fill_value: Expr) -> Gradients:
        return (total(grad, fill_value),)


@operator("full_like", inputs=("data", "fill_value"), pattern=Pattern.ELEMWISE, level=3)
class FullLike(Operator):
    """A tensor of the shape and data type of `data` filled with the scalar tensor `fill_value`."""

    takes_small = True

    def infer(self, data: Type, fill_value: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        value = expect_tensor(self.name, "fill_value", fill_value)
        expect_same_dtype(self.name, tensor, value)
        if value.shape:
            raise TypeInferenceError(f"{self.name}: fill_value must be a scalar, found {value}")
        return tensor

    def compute(self, data: te.Tensor, fill_value: te.Tensor) -> te.Tensor:
        return te.compute(data.shape, lambda *_: fill_value(), "full_like")

    def reference(self, data: Array, fill_value: Array) -> Array:
        return np.full_like(data, fill_value)

    def gradient(self, grad: Expr, result: Expr, data: Expr, fill_value: Expr) -> Gradients:
        return None, total(grad, fill_value)


@operator("zeros", inputs=(), pattern=Pattern.ELEMWISE, level=3)
class Zeros(Operator):
    """Zeros of `shape` and `dtype`."""

    takes_small = True
    piecewise_constant = True

    shape: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        put_ints(self, "shape")

    def infer(self) -> Type:
        return TensorType(self.shape, self.dtype)

    def compute(self) -> te.Tensor:
        return te.compute(self.shape, lambda *_: te.const(0, self.dtype), "zeros")

    def reference(self) -> Array:
        return np.zeros(self.shape, dtype=reference_dtype(self.dtype))


@operator("ones", inputs=(), pattern=Pattern.ELEMWISE, level=3)
class Ones(Operator):
    """Ones of `shape` and `dtype`."""

    piecewise_constant = True

    shape: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        put_ints(self, "shape")

    def infer(self) -> Type:
        return TensorType(self.shape, self.dtype)

    def compute(self) -> te.Tensor:
        return te.compute(self.shape, lambda *_: te.const(1, self.dtype), "ones")

    def reference(self) -> Array:
        return np.ones(self.shape, dtype=reference_dtype(self.dtype))


@operator("arange", inputs=(), pattern=Pattern.OPAQUE, level=3)
class Arange(Operator):
    """``start, start + step, ...`` up to `stop`, which is left out: a vector of `dtype`."""

    piecewise_constant = True

    start: float
    stop: float
    step: float = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        put_dtype(self)
        if self.step == 0:
            raise ValueError("step must not be zero")

    @property
    def size(self) -> int:
        """The number of elements."""
        return max(0, math.ceil((self.stop - self.start) / self.step))

    def infer(self) -> Type:
        return TensorType((self.size,), self.dtype)

    def compute(self) -> te.Tensor:
        def element(i: te.Expr) -> te.Expr:
            return te.const(self.start, self.dtype) + te.cast(i, self.dtype) * te.const(
                self.step, self.dtype
            )

        return te.compute((self.size,), element, "arange")

    def reference(self) -> Array:
        whole = isinstance(self.start, int) and isinstance(self.step, int)
        places: Array = np.arange(self.size, dtype=np.int64 if whole else np.float64)
        return (self.start + places * self.step).astype(reference_dtype(self.dtype))
