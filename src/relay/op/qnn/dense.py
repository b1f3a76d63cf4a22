"""Products of matrices of quantised values, summed in 32 bits.

``sum((x - a) * (w - b))`` is ``sum(x * w) - b * sum(x) - a * sum(w) + n * a * b``, where the first
sum is over narrow integers and the last two are constant where the weights are. The
result has the scale ``input_scale * kernel_scale``, which `qnn.requantize` takes; the scales are
arguments for those who look at the program only.
"""

from collections.abc import Sequence

from relay.ir.expr import Expr, const
from relay.ir.layout import Layout
from relay.ir.op import Array, Pattern, attributes, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import make, rank_of, tensor_of
from relay.op.nn.common import to_primal
from relay.op.nn.dense import BatchMatmul, Dense
from relay.op.qnn.common import (
    QuantizedOperator,
    along,
    calculated,
    cast,
    check_parameters,
    expect_quantized,
    is_zero,
    scalar,
    spread,
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


def put_sum_dtype(declaration: QuantizedOperator) -> None:
    """Check the attribute `out_dtype` of a sum of products; empty is ``int32``."""
    dtype: str = getattr(declaration, "out_dtype") or "int32"  # noqa: B009
    if dtype not in ("int16", "int32", "int64"):
        raise TypeInferenceError(
            f"{declaration.name}: out_dtype must be int16, int32 or int64, found {dtype}"
        )
    put(declaration, "out_dtype", dtype)


def check_product(operator_name: str, parameters: Sequence[Type], outputs: Dim) -> None:
    """Check zero points and scales: those of the data are numbers, the kernel's may be vectors."""
    names = PRODUCT_INPUTS[2:]
    given = [*zip(names, parameters, strict=True)]
    check_parameters(operator_name, given[::2])
    check_parameters(operator_name, given[1::2], outputs)


def combined(
    product: Expr, by_data: Expr | None, by_weight: Expr | None, both: Expr | None
) -> Expr:
    """``product - by_data - by_weight + both``; None is zero."""
    if by_data is not None:
        product = make("subtract", product, by_data)
    if by_weight is None:
        return product
    if both is None:
        return make("subtract", product, by_weight)
    return make("add", product, make("subtract", both, by_weight))


def expand_dense(
    data: Expr, weight: Expr, input_zero_point: Expr, kernel_zero_point: Expr, out_dtype: str
) -> Expr:
    """The four terms of ``data @ weight.T``."""
    product = make("nn.dense", data, weight, out_dtype=out_dtype)
    x_zero = cast(scalar(input_zero_point), out_dtype)
    w_zero = spread(kernel_zero_point, -1, 1, out_dtype)
    by_data = by_weight = both = None
    if not is_zero(w_zero):
        by_data = make("sum", cast(data, out_dtype), axis=(-1,), keepdims=True) * w_zero
    if not is_zero(x_zero):
        by_weight = make("sum", cast(weight, out_dtype), axis=(1,)) * x_zero
    if by_data is not None and by_weight is not None:
        zeros = calculated("multiply", x_zero, w_zero)
        both = calculated("multiply", zeros, count(data, -1, out_dtype))
    return combined(product, by_data, by_weight, both)


def count(value: Expr, axis: int, dtype: str) -> Expr:
    """The size of `value` along `axis`."""
    size = tensor_of(value).shape[axis]
    if isinstance(size, int):
        return const(size, dtype)
    shape = make("shape_of", value, dtype=dtype)
    return make("take", shape, const(axis % rank_of(value), "int32"), axis=0)


@operator("qnn.dense", inputs=PRODUCT_INPUTS, pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=11)
class QuantizedDense(QuantizedOperator):
    """``(data - input_zero_point) @ (weight - kernel_zero_point).T``: (..., k) by (units, k).

    Sums have `out_dtype`. The zero point and the scale of the weight may be vectors of `units`.
    """

    units: int | None = None
    out_dtype: str = "int32"

    def __post_init__(self) -> None:
        put_sum_dtype(self)

    def infer(self, data: Type, weight: Type, *parameters: Type) -> Type:
        x = expect_quantized(self.name, "data", data)
        w = expect_quantized(self.name, "weight", weight)
        found = Dense(self.units, self.out_dtype).infer(x, w)
        check_product(self.name, parameters, w.shape[0])
        return found

    def expand(
        self,
        data: Expr,
        weight: Expr,
        input_zero_point: Expr,
        kernel_zero_point: Expr,
        input_scale: Expr,
        kernel_scale: Expr,
    ) -> Expr:
        return expand_dense(data, weight, input_zero_point, kernel_zero_point, self.out_dtype)

    def reference(
        self,
        data: Array,
        weight: Array,
        input_zero_point: Array,
        kernel_zero_point: Array,
        input_scale: Array,
        kernel_scale: Array,
    ) -> Array:
        x = data.astype(self.out_dtype) - input_zero_point.astype(self.out_dtype)
        w = weight.astype(self.out_dtype) - along(kernel_zero_point, 0, 2).astype(self.out_dtype)
        return Dense(self.units, self.out_dtype).reference(x, w)


@operator(
    "qnn.contrib_dense_pack", inputs=PRODUCT_INPUTS, pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=11
)
class QuantizedDensePack(QuantizedOperator):
    """`qnn.dense` with a weight in blocks of units.

    `weight_layout` is ``NC``, units by inputs, or for example ``NC16n``, of the shape
    (units // 16, k, 16).
    """

    units: int | None = None
    out_dtype: str = "int32"
    weight_layout: str = "NC"

    def __post_init__(self) -> None:
        put_sum_dtype(self)
        layout = Layout(self.weight_layout)
        if sorted(layout.letters) != ["C", "N"]:
            raise TypeInferenceError(
                f"{self.name}: weight_layout must have the axes N and C, found {layout}"
            )

    def infer(self, data: Type, weight: Type, *parameters: Type) -> Type:
        x = expect_quantized(self.name, "data", data)
        w = expect_quantized(self.name, "weight", weight)
        sizes = Layout(self.weight_layout).extents(w.shape)
        plain = TensorType((sizes["N"], sizes["C"]), w.dtype)
        found = Dense(self.units, self.out_dtype).infer(x, plain)
        check_product(self.name, parameters, plain.shape[0])
        return found

    def expand(
        self,
        data: Expr,
        weight: Expr,
        input_zero_point: Expr,
        kernel_zero_point: Expr,
        input_scale: Expr,
        kernel_scale: Expr,
    ) -> Expr:
        if self.weight_layout != "NC":
            weight = make(
                "layout_transform", weight, src_layout=self.weight_layout, dst_layout="NC"
            )
        return expand_dense(data, weight, input_zero_point, kernel_zero_point, self.out_dtype)

    def reference(
        self,
        data: Array,
        weight: Array,
        input_zero_point: Array,
        kernel_zero_point: Array,
        input_scale: Array,
        kernel_scale: Array,
    ) -> Array:
        plain = to_primal(weight, Layout(self.weight_layout), "NC")
        x = data.astype(self.out_dtype) - input_zero_point.astype(self.out_dtype)
        w = plain.astype(self.out_dtype) - along(kernel_zero_point, 0, 2).astype(self.out_dtype)
        return Dense(self.units, self.out_dtype).reference(x, w)


@operator(
    "qnn.batch_matmul",
    inputs=("x", "y", "x_zero_point", "y_zero_point", "x_scale", "y_scale"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=11,
)
class QuantizedBatchMatmul(QuantizedOperator):
    """``(x - x_zero_point) @ (y - y_zero_point).T`` for each of a batch: (b, m, k) by (b, n, k).

    Sums have `out_dtype`. Either may be given the other way round, as for `nn.batch_matmul`.
    """

    out_dtype: str = "int32"
    transpose_a: bool = False
    transpose_b: bool = True

    def __post_init__(self) -> None:
        put_sum_dtype(self)

    def _plain(self) -> BatchMatmul:
        return BatchMatmul(self.out_dtype, self.transpose_a, self.transpose_b)

    def infer(self, x: Type, y: Type, *parameters: Type) -> Type:
        check_parameters(self.name, [*zip(self.inputs[2:], parameters, strict=True)])
        a, b = expect_quantized(self.name, "x", x), expect_quantized(self.name, "y", y)
        return self._plain().infer(a, b)

    def expand(
        self,
        x: Expr,
        y: Expr,
        x_zero_point: Expr,
        y_zero_point: Expr,
        x_scale: Expr,
        y_scale: Expr,
    ) -> Expr:
        dtype = self.out_dtype
        plain = self._plain()
        product = make("nn.batch_matmul", x, y, **attributes(plain))
        x_zero, y_zero = (cast(scalar(z), dtype) for z in (x_zero_point, y_zero_point))
        by_x = by_y = both = None
        if not is_zero(y_zero):
            by_x = _row_sums(x, not self.transpose_a, dtype) * y_zero
        if not is_zero(x_zero):
            rows = _row_sums(y, self.transpose_b, dtype) * x_zero
            by_y = make("transpose", rows, axes=(0, 2, 1))
        if by_x is not None and by_y is not None:
            zeros = calculated("multiply", x_zero, y_zero)
            both = calculated("multiply", zeros, count(x, 1 if self.transpose_a else 2, dtype))
        return combined(product, by_x, by_y, both)

    def reference(
        self,
        x: Array,
        y: Array,
        x_zero_point: Array,
        y_zero_point: Array,
        x_scale: Array,
        y_scale: Array,
    ) -> Array:
        a, b = (
            v.astype(self.out_dtype) - z.astype(self.out_dtype).reshape(())
            for v, z in ((x, x_zero_point), (y, y_zero_point))
        )
        return self._plain().reference(a, b)


def _row_sums(matrices: Expr, rows_last: bool, dtype: str) -> Expr:
    """The sums over the axis that is multiplied along, one a row: (b, rows, 1)."""
    if rows_last:
        return make("sum", cast(matrices, dtype), axis=(2,), keepdims=True)
    sums = make("sum", cast(matrices, dtype), axis=(1,), keepdims=True)
    return make("transpose", sums, axes=(0, 2, 1))
