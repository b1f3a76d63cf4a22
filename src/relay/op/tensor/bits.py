"""The bits of numbers, taken for numbers of another type."""

from relay import codes, dtypes, te
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.shapes import put_dtype
from relay.support.errors import TypeInferenceError


def _bits(value: te.Expr, dtype: str) -> te.Expr:
    """The bits of one element as `dtype`, of the same width."""
    if value.dtype == dtype:
        return value
    if dtypes.is_float(value.dtype):
        value = te.unary("asint", value)
    if not dtypes.is_float(dtype):
        return te.cast(value, dtype)
    operation = "asfloat" if dtypes.is_native(dtype) else f"as{dtype}"
    return te.unary(operation, te.cast(value, f"int{dtypes.width(dtype)}"))


@operator("reinterpret", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class Reinterpret(Operator):
    """The bits of every element as a number of `dtype`, which is of the same width.

    Neither may be ``bool``: there are bits that are neither true nor false.
    """

    takes_small = True
    reads_stored = True
    piecewise_constant = True

    dtype: str

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        odd = {"bool", dtypes.STRING} & {tensor.dtype, self.dtype}
        if odd or dtypes.width(tensor.dtype) != dtypes.width(self.dtype):
            raise TypeInferenceError(
                f"{self.name}: expected types of one width, other than bool and string; found "
                f"{tensor} and {self.dtype!r}"
            )
        return TensorType(tensor.shape, self.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        return te.compute(data.shape, lambda *i: _bits(data(*i), self.dtype), "reinterpret")

    def reference(self, data: Array) -> Array:
        if dtypes.width(self.dtype) < dtypes.bits(self.dtype):
            return codes.low_bits(data, self.dtype)
        return data.view(dtypes.to_numpy(self.dtype))
