"""Products of matrices of quantised values, summed in 32 bits.

``sum((x - a) * (w - b))`` is ``sum(x * w) - b * sum(x) - a * sum(w) + n * a * b``, where the first
sum is over narrow integers and the last two are constant where the weights are. The
result has the scale ``input_scale * kernel_scale``, which `qnn.requantize` takes; the scales are
arguments for those who look at the program only.
"""

from relay.ir.expr import Expr, const
from relay.ir.op import Array, Pattern, attributes, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import make, rank_of, tensor_of
from relay.op.nn.dense import BatchMatmul, Dense
from relay.op.nn.packed import PackedWeight
from relay.op.qnn.common import cast, scalar, spread
from relay.op.qnn.product import PRODUCT_INPUTS, QuantizedProduct, four_terms


@operator("qnn.dense", inputs=PRODUCT_INPUTS, pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=11)
class QuantizedDense(QuantizedProduct):
    """``(data - input_zero_point) @ (weight - kernel_zero_point).T``: (..., k) by (units, k).

    Sums have `out_dtype`. The zero point and the scale of the weight may be vectors of `units`.
    """

    units: int | None = None
    out_dtype: str = "int32"

    def plain(self) -> Dense:
        return Dense(self.units, self.out_dtype)

    def vector_sizes(self, weight: TensorType, result: TensorType) -> tuple[Dim | None, Dim | None]:
        units = weight.shape[0]
        return units, units

    def expand(
        self, data: Expr, weight: Expr, data_zero: Expr, weight_zero: Expr, *scales: Expr
    ) -> Expr:
        dtype = self.out_dtype
        return four_terms(
            make("nn.dense", data, weight, out_dtype=dtype),
            cast(scalar(data_zero), dtype),
            spread(weight_zero, -1, 1, dtype),
            lambda: make("sum", cast(data, dtype), axis=(-1,), keepdims=True),
            lambda: make("sum", cast(weight, dtype), axis=(1,)),
            lambda: _count(data, -1, dtype),
        )


@operator(
    "qnn.contrib_dense_pack", inputs=PRODUCT_INPUTS, pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=11
)
class QuantizedDensePack(PackedWeight, QuantizedDense):
    """`qnn.dense` with a weight in blocks of units.

    `weight_layout` is ``NC``, units by inputs, or for example ``NC16n``, of the shape
    (units // 16, k, 16).
    """

    weight_layout: str = "NC"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.parsed_layout()

    def infer(self, data: Type, weight: Type, *parameters: Type) -> Type:
        return super().infer(data, self.plain_type(weight), *parameters)

    def expand(self, data: Expr, weight: Expr, *parameters: Expr) -> Expr:
        return super().expand(data, self.plain_weight(weight), *parameters)

    def reference(self, data: Array, weight: Array, *parameters: Array) -> Array:
        return super().reference(data, self.plain_array(weight), *parameters)


@operator(
    "qnn.batch_matmul",
    inputs=("x", "y", "x_zero_point", "y_zero_point", "x_scale", "y_scale"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=11,
)
class QuantizedBatchMatmul(QuantizedProduct):
    """``(x - x_zero_point) @ (y - y_zero_point).T`` for each of a batch: (b, m, k) by (b, n, k).

    Sums have `out_dtype`. Either may be given the other way round, as for `nn.batch_matmul`.
    """

    out_dtype: str = "int32"
    transpose_a: bool = False
    transpose_b: bool = True

    def plain(self) -> BatchMatmul:
        return BatchMatmul(self.out_dtype, self.transpose_a, self.transpose_b)

    def expand(self, x: Expr, y: Expr, x_zero: Expr, y_zero: Expr, *scales: Expr) -> Expr:
        dtype = self.out_dtype
        x_axis, y_axis = 1 if self.transpose_a else 2, 2 if self.transpose_b else 1
        return four_terms(
            make("nn.batch_matmul", x, y, **attributes(self)),
            cast(scalar(x_zero), dtype),
            cast(scalar(y_zero), dtype),
            lambda: _sums(x, x_axis, 2, dtype),
            lambda: _sums(y, y_axis, 1, dtype),
            lambda: _count(x, x_axis, dtype),
        )


def _count(value: Expr, axis: int, dtype: str) -> Expr:
    """The size of `value` along `axis`."""
    size = tensor_of(value).shape[axis]
    if isinstance(size, int):
        return const(size, dtype)
    shape = make("shape_of", value, dtype=dtype)
    return make("take", shape, const(axis % rank_of(value), "int32"), axis=0)


def _sums(matrices: Expr, axis: int, place: int, dtype: str) -> Expr:
    """The sums of matrices along `axis`; what is left of it, of size 1, is axis `place`."""
    sums = make("sum", cast(matrices, dtype), axis=(axis,), keepdims=True)
    return sums if axis == place else make("transpose", sums, axes=(0, 2, 1))
