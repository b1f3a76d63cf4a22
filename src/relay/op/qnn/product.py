"""What products of quantised values share: those of matrices, and convolutions.

`relay.op.qnn.dense` describes the terms that they are expanded into.
"""

from abc import abstractmethod
from collections.abc import Callable

from relay.ir.expr import Call, Expr
from relay.ir.op import Array, Operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import make
from relay.op.qnn.common import (
    QuantizedOperator,
    calculated,
    centered,
    centered_array,
    check_parameters,
    expect_quantized,
    is_zero,
)
from relay.op.shapes import put
from relay.support.errors import TypeInferenceError

PRODUCT_INPUTS = (
    "data",
    "weight",
    "input_zero_point",
    "kernel_zero_point",
    "input_scale",
    "kernel_scale",
)


class QuantizedProduct(QuantizedOperator):
    """Base of the products of data and a weight, with inputs as `PRODUCT_INPUTS` lists them.

    They are `plain` of ``data - input_zero_point`` and ``weight - kernel_zero_point``. The data's
    parameters are numbers, the weight's may be vectors of `vector_sizes`.
    """

    out_dtype: str

    def __post_init__(self) -> None:
        dtype = self.out_dtype or "int32"
        if dtype not in ("int16", "int32", "int64"):
            raise TypeInferenceError(
                f"{self.name}: out_dtype must be int16, int32 or int64, found {dtype}"
            )
        put(self, "out_dtype", dtype)

    @abstractmethod
    def plain(self) -> Operator:
        """The product of numbers."""

    def vector_sizes(self, weight: TensorType, result: TensorType) -> tuple[Dim | None, Dim | None]:
        """The sizes of vectors of the weight's zero points and scales; None: they are numbers."""
        return None, None

    def weight_axis(self) -> int:
        """The axis of the weight that a vector of its zero points is along."""
        return 0

    def infer(self, data: Type, weight: Type, *parameters: Type) -> Type:
        x = expect_quantized(self.name, self.inputs[0], data)
        w = expect_quantized(self.name, self.inputs[1], weight)
        result = self.plain().infer(x, w)
        assert isinstance(result, TensorType)
        names = self.inputs[2:]
        zero_points, scales = self.vector_sizes(w, result)
        check_parameters(self.name, names[::2], parameters[::2])
        check_parameters(self.name, names[1:2], parameters[1:2], zero_points)
        check_parameters(self.name, names[3:], parameters[3:], scales)
        return result

    def expand(
        self, data: Expr, weight: Expr, data_zero: Expr, weight_zero: Expr, *scales: Expr
    ) -> Expr:
        plain = self.plain()
        x = centered(data, data_zero, 0, self.out_dtype)
        w = centered(weight, weight_zero, self.weight_axis(), self.out_dtype)
        return Call(plain.op, (x, w), plain)

    def reference(
        self, data: Array, weight: Array, data_zero: Array, weight_zero: Array, *scales: Array
    ) -> Array:
        x = centered_array(data, data_zero, 0, self.out_dtype)
        w = centered_array(weight, weight_zero, self.weight_axis(), self.out_dtype)
        result: Array = self.plain().reference(x, w)
        return result


def four_terms(
    product: Expr,
    data_zero: Expr,
    weight_zero: Expr,
    data_sums: Callable[[], Expr],
    weight_sums: Callable[[], Expr],
    count: Callable[[], Expr],
) -> Expr:
    """``product - data_sums * weight_zero - weight_sums * data_zero + count * both zeros``.

    The zero points broadcast with the result. Terms that are known to be zero are left out.
    """
    by_data = None if is_zero(weight_zero) else data_sums() * weight_zero
    by_weight = None if is_zero(data_zero) else weight_sums() * data_zero
    if by_data is not None:
        product = make("subtract", product, by_data)
    if by_weight is None:
        return product
    if by_data is None:
        return make("subtract", product, by_weight)
    both = calculated("multiply", calculated("multiply", data_zero, weight_zero), count())
    return make("add", product, make("subtract", both, by_weight))
