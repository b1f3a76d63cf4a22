"""The bits of numbers, taken for numbers of another type."""

from relay import dtypes, te
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.shapes import put_dtype
from relay.support.errors import TypeInferenceError


def _bits(value: te.Expr, dtype: str) -> te.Expr:
    """The bits of one element as `dtype`, of the same width."""
    if dtypes.is_float(value.dtype):
        value = te.unary("asint", value)
    signed = f"int{dtypes.bits(dtype)}"
    if dtypes.is_float(dtype):
        return te.unary("asfloat", te.cast(value, signed))
    return te.cast(value, dtype)


@operator("reinterpret", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Reinterpret(Operator):
    """The bits of every element as a number of `dtype`, which is of the same width.

    Neither may be ``bool`` or ``bfloat16``: there are bits that are neither true nor false, and no
    16 bits of NumPy that are a ``bfloat16``.
    """

    piecewise_constant = True

    dtype: str

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        odd = {"bool", "bfloat16"} & {tensor.dtype, self.dtype}
        if odd or dtypes.bits(tensor.dtype) != dtypes.bits(self.dtype):
            raise TypeInferenceError(
                f"{self.name}: expected types of one width, other than bool and bfloat16; found "
                f"{tensor} and {self.dtype!r}"
            )
        return TensorType(tensor.shape, self.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        return te.compute(data.shape, lambda *i: _bits(data(*i), self.dtype), "reinterpret")

    def reference(self, data: Array) -> Array:
        return data.view(dtypes.to_numpy(self.dtype))
