"""Conversion between data types."""

from typing import Final

import numpy as np

from relay import codes, dtypes, te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import converted, tensor_of
from relay.op.shapes import put_dtype, reference_dtype
from relay.op.tensor.text_numbers import to_numbers, to_text
from relay.support.errors import TypeInferenceError


def convert(
    value: te.Expr, dtype: str, saturate: bool = True, round_mode: str = "nearest"
) -> te.Expr:
    """One element converted to `dtype`; to ``bool``: whether it differs from zero."""
    if dtype == te.BOOL and value.dtype != te.BOOL:
        return te.compare("ne", value, te.const(0, value.dtype))
    if dtype == codes.E8M0:
        return _scale(te.cast(value, "float64"), saturate, round_mode)
    if dtype in dtypes.SMALL_FLOATS and saturate and value.dtype != te.BOOL:
        if not dtypes.is_float(value.dtype) or value.dtype in dtypes.SMALL:
            value = te.cast(value, "float32")
        largest = codes.largest(dtype)
        value = te.clamp(value, -largest, largest)
    return te.cast(value, dtype)


_HALF: Final = 1 << 51
"""Half of the last bit of the exponent of a ``float64``."""

_UP_TO: Final = {"nearest": _HALF, "up": 2 * _HALF - 1, "down": 0}
"""What is added to the bits, of which the exponent is kept then."""


def _scale(value: te.Expr, saturate: bool, round_mode: str) -> te.Expr:
    """A ``float64`` as ``float8_e8m0fnu``: its exponent."""
    bits = te.binary("add", te.unary("asint", value), _UP_TO[round_mode])
    exponent = te.binary("sub", te.binary("shr", bits, 52), 1023 - 127)
    if saturate:
        code = te.clamp(exponent, 0, 254)
    else:
        inside = te.both(te.compare("ge", exponent, 0), te.compare("le", exponent, 254))
        code = te.select(inside, exponent, 255)
    bad = te.either(te.unary("isnan", value), te.compare("lt", value, 0))
    byte = te.cast(te.select(bad, 255, code), "int8")
    return te.unary(f"as{codes.E8M0}", byte)


def check_rounding(operator_name: str, round_mode: str) -> None:
    """Raise `TypeInferenceError` where `round_mode` is none."""
    if round_mode not in codes.ROUND_MODES:
        raise TypeInferenceError(
            f"{operator_name}: round_mode must be one of {', '.join(codes.ROUND_MODES)}, "
            f"found {round_mode!r}"
        )


@operator("cast", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Cast(Operator):
    """Convert every element to `dtype`.

    Float to integer rounds towards zero (a value out of range gives an unspecified integer), wider
    to narrower integers wrap around, and ``bool`` is whether the value differs from zero. Anything
    to float rounds to the nearest, ties to even.

    `saturate` is for small floats: what is too large becomes the largest finite value; without it,
    infinity, or NaN where the type has none (``float4_e2m1fn`` has neither and always saturates).
    `round_mode` is for ``float8_e8m0fnu``, the powers of two: ``nearest`` (ties up), ``up`` or
    ``down``; less than the smallest becomes that, or NaN without `saturate`, and below zero is NaN.
    Text becomes the number that it is, and numbers become text without an exponent, as
    `relay.op.tensor.text_numbers` says. Source: the ONNX operator Cast.
    """

    takes_small = True

    dtype: str
    saturate: bool = True
    round_mode: str = "nearest"

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, data: Type) -> Type:
        check_rounding(self.name, self.round_mode)
        tensor = expect_tensor(self.name, "data", data)
        return TensorType(tensor.shape, self.dtype or tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        dtype = self.dtype or data.dtype
        return te.compute(
            data.shape,
            lambda *i: convert(data(*i), dtype, self.saturate, self.round_mode),
            "cast",
        )

    def reference(self, data: Array) -> Array:
        if self.dtype == dtypes.STRING:
            return data if data.dtype == object else to_text(data)
        if data.dtype == object:
            data = to_numbers(data, reference_dtype(self.dtype))
        if self.dtype in dtypes.SMALL:
            return codes.rounded(data, self.dtype, self.saturate, self.round_mode)
        return data.astype(reference_dtype(self.dtype)) if self.dtype else data

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (_straight(grad, data),)


@operator("cast_like", inputs=("data", "dtype_like"), pattern=Pattern.ELEMWISE, level=3)
class CastLike(Operator):
    """Convert every element of `data` to the data type of `dtype_like`, as `cast` does.

    That one must not be small: `cast` says how to round and what to do out of range.
    """

    takes_small = True

    def infer(self, data: Type, dtype_like: Type) -> Type:
        like = expect_tensor(self.name, "dtype_like", dtype_like)
        if like.dtype in dtypes.SMALL:
            raise TypeInferenceError(
                f'{self.name} does not convert to {like.dtype}: use cast(x, dtype="{like.dtype}")'
            )
        return TensorType(expect_tensor(self.name, "data", data).shape, like.dtype)

    def compute(self, data: te.Tensor, dtype_like: te.Tensor) -> te.Tensor:
        return te.compute(data.shape, lambda *i: convert(data(*i), dtype_like.dtype), "cast_like")

    def reference(self, data: Array, dtype_like: Array) -> Array:
        if data.dtype != object and dtype_like.dtype == object:
            return to_text(data)
        if data.dtype == object and dtype_like.dtype != object:
            return to_numbers(data, dtype_like.dtype)
        return np.asarray(data, dtype=dtype_like.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr, dtype_like: Expr) -> Gradients:
        return _straight(grad, data), None


def _straight(grad: Expr, data: Expr) -> Expr | None:
    """The gradient of a conversion; nothing follows small changes through a small type."""
    if {tensor_of(grad).dtype, tensor_of(data).dtype} & dtypes.SMALL:
        return None
    return converted(grad, data)
