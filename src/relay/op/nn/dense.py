"""Products of matrices, and the bias that follows them."""

import math
from collections.abc import Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import LayoutChange, LayoutPlan
from relay.ir.op import Array, Gradients, Operator, Pattern, as_array, expect_tensor, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.gradients import (
    converted,
    make,
    permuted,
    rank_of,
    reshaped,
    sum_to_vector,
    tensor_of,
    unbroadcast,
)
from relay.op.nn.common import dims_agree
from relay.op.shapes import broadcast_dim, expect_kind, normalize_axis, put_dtype, reference_dtype
from relay.op.tensor.broadcast import Add
from relay.support.errors import TypeInferenceError


def _product_dtype(name: str, a: TensorType, b: TensorType, out_dtype: str) -> str:
    if a.dtype != b.dtype and not out_dtype:
        raise TypeInferenceError(
            f"{name}: the factors are {a.dtype} and {b.dtype}; give an out_dtype"
        )
    return out_dtype or a.dtype


def _check_reduced(name: str, left: Dim, right: Dim, a: Type, b: Type) -> None:
    if not dims_agree(left, right):
        raise TypeInferenceError(
            f"{name}: the sizes that are summed over must agree, found {left} of {a} and {right} "
            f"of {b}"
        )


def _check_units(name: str, units: int | None, found: Dim) -> None:
    if units is not None and not dims_agree(units, found):
        raise TypeInferenceError(f"{name}: units={units}, but the weight gives {found}")


def _expect_rank(name: str, argument: str, type_: Type, least: int, most: int) -> TensorType:
    found = expect_tensor(name, argument, type_)
    if not least <= len(found.shape) <= most:
        expected = f"{least}" if least == most else f"at least {least}"
        raise TypeInferenceError(
            f"{name}: {argument} must have {expected} dimensions, found {found}"
        )
    return found


_ANY_RANK = 64


@operator("nn.dense", inputs=("data", "weight"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=1)
class Dense(Operator):
    """``data @ weight.T``: data (..., k), weight (units, k), result (..., units)."""

    units: int | None = None
    out_dtype: str = ""

    def __post_init__(self) -> None:
        put_dtype(self, "out_dtype")

    def infer(self, data: Type, weight: Type) -> Type:
        x = _expect_rank(self.name, "data", data, 1, _ANY_RANK)
        w = _expect_rank(self.name, "weight", weight, 2, 2)
        _check_reduced(self.name, x.shape[-1], w.shape[1], x, w)
        _check_units(self.name, self.units, w.shape[0])
        dtype = _product_dtype(self.name, x, w, self.out_dtype)
        return TensorType((*x.shape[:-1], w.shape[0]), dtype)

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        data, weight = types
        if weight is None and isinstance(data, TensorType) and self.units and data.shape:
            return (data, TensorType((self.units, data.shape[-1]), data.dtype))
        return types

    def compute(self, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
        return _matrix_product(data, weight, False, True, self.out_dtype)

    def reference(self, data: Array, weight: Array) -> Array:
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else data.dtype
        return as_array(np.matmul(data.astype(dtype), weight.T.astype(dtype)))

    def gradient(self, grad: Expr, result: Expr, data: Expr, weight: Expr) -> Gradients:
        g, x, w = grad, converted(data, grad), converted(weight, grad)
        by_weight = make("nn.matmul", _rows(g), _rows(x), transpose_a=True)
        return converted(make("nn.matmul", g, w), data), converted(by_weight, weight)


def _rows(value: Expr) -> Expr:
    """`value` as a matrix: all but the last dimension as one."""
    *outer, last = tensor_of(value).shape
    if len(outer) == 1:
        return value
    sizes = [d for d in outer if isinstance(d, int)]
    if len(sizes) == len(outer) and isinstance(last, int):
        return reshaped(value, (math.prod(sizes), last))
    # Matched from the right, 0 is the last dimension.
    return make("contrib_reverse_reshape", value, newshape=(-1, 0))


@operator(
    "nn.matmul", inputs=("tensor_a", "tensor_b"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=1
)
class Matmul(Operator):
    """``tensor_a @ tensor_b``: (..., k) by (k, units), each optionally given transposed.

    `transpose_a` needs a `tensor_a` of at least two dimensions, and swaps its last two.
    """

    units: int | None = None
    out_dtype: str = ""
    transpose_a: bool = False
    transpose_b: bool = False

    def __post_init__(self) -> None:
        put_dtype(self, "out_dtype")

    def infer(self, tensor_a: Type, tensor_b: Type) -> Type:
        a = _expect_rank(self.name, "tensor_a", tensor_a, 2 if self.transpose_a else 1, _ANY_RANK)
        b = _expect_rank(self.name, "tensor_b", tensor_b, 2, 2)
        rows = (*a.shape[:-2], a.shape[-1]) if self.transpose_a else a.shape[:-1]
        reduced = a.shape[-2] if self.transpose_a else a.shape[-1]
        units, other = b.shape if self.transpose_b else (b.shape[1], b.shape[0])
        _check_reduced(self.name, reduced, other, a, b)
        _check_units(self.name, self.units, units)
        dtype = _product_dtype(self.name, a, b, self.out_dtype)
        return TensorType((*rows, units), dtype)

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        a, b = types
        if b is None and isinstance(a, TensorType) and self.units and len(a.shape) > 1:
            reduced = a.shape[-2] if self.transpose_a else a.shape[-1]
            shape = (self.units, reduced) if self.transpose_b else (reduced, self.units)
            return (a, TensorType(shape, a.dtype))
        return types

    def compute(self, tensor_a: te.Tensor, tensor_b: te.Tensor) -> te.Tensor:
        return _matrix_product(
            tensor_a, tensor_b, self.transpose_a, self.transpose_b, self.out_dtype
        )

    def reference(self, tensor_a: Array, tensor_b: Array) -> Array:
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else tensor_a.dtype
        a = np.swapaxes(tensor_a, -1, -2) if self.transpose_a else tensor_a
        b = tensor_b.T if self.transpose_b else tensor_b
        return as_array(np.matmul(a.astype(dtype), b.astype(dtype)))

    def gradient(self, grad: Expr, result: Expr, tensor_a: Expr, tensor_b: Expr) -> Gradients:
        a, b = converted(tensor_a, grad), converted(tensor_b, grad)
        by_a: Expr = make("nn.matmul", grad, b, transpose_b=not self.transpose_b)
        if self.transpose_a:
            rank = rank_of(a)
            swap = (*range(rank - 2), rank - 1, rank - 2)
            by_a, a = permuted(by_a, swap), permuted(a, swap)
        left, right = (grad, a) if self.transpose_b else (a, grad)
        by_b = make("nn.matmul", _rows(left), _rows(right), transpose_a=True)
        return converted(by_a, tensor_a), converted(by_b, tensor_b)


def _matrix_product(
    a: te.Tensor, b: te.Tensor, transpose_a: bool, transpose_b: bool, out_dtype: str
) -> te.Tensor:
    dtype = out_dtype or a.dtype
    rows = (*a.shape[:-2], a.shape[-1]) if transpose_a else a.shape[:-1]
    units = b.shape[0] if transpose_b else b.shape[1]
    k = te.reduce_axis(a.shape[-2] if transpose_a else a.shape[-1], "k")

    def element(*indices: te.Var) -> te.Expr:
        *outer, j = indices
        left = (*outer[:-1], k.var, outer[-1]) if transpose_a else (*outer, k.var)
        right = (j, k.var) if transpose_b else (k.var, j)
        return te.reduce_sum(te.cast(a(*left), dtype) * te.cast(b(*right), dtype), k)

    return te.compute((*rows, units), element, "matmul")


@operator(
    "nn.batch_matmul",
    inputs=("tensor_a", "tensor_b"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class BatchMatmul(Operator):
    """One product of matrices per batch element: (b, m, k) by (b, n, k), result (b, m, n).

    `tensor_b` is given transposed by default, as Relay's function has it. A batch of 1 goes with
    any other batch.
    """

    out_dtype: str = ""
    transpose_a: bool = False
    transpose_b: bool = True

    def __post_init__(self) -> None:
        put_dtype(self, "out_dtype")

    def infer(self, tensor_a: Type, tensor_b: Type) -> Type:
        a = _expect_rank(self.name, "tensor_a", tensor_a, 3, 3)
        b = _expect_rank(self.name, "tensor_b", tensor_b, 3, 3)
        batch = broadcast_dim(a.shape[0], b.shape[0])
        if batch is None:
            raise TypeInferenceError(
                f"{self.name}: the batches must agree or be 1, found {a.shape[0]} and {b.shape[0]}"
            )
        m, k = reversed(a.shape[1:]) if self.transpose_a else a.shape[1:]
        n, other = b.shape[1:] if self.transpose_b else reversed(b.shape[1:])
        _check_reduced(self.name, k, other, a, b)
        return TensorType((batch, m, n), _product_dtype(self.name, a, b, self.out_dtype))

    def compute(self, tensor_a: te.Tensor, tensor_b: te.Tensor) -> te.Tensor:
        dtype = self.out_dtype or tensor_a.dtype
        a, b = tensor_a, tensor_b
        m, k_size = reversed(a.shape[1:]) if self.transpose_a else a.shape[1:]
        n = b.shape[1] if self.transpose_b else b.shape[2]
        batch = b.shape[0] if a.shape[0] == 1 else a.shape[0]
        k = te.reduce_axis(k_size, "k")

        def element(*indices: te.Var) -> te.Expr:
            batch_index, i, j = indices
            left = (k.var, i) if self.transpose_a else (i, k.var)
            right = (j, k.var) if self.transpose_b else (k.var, j)
            x = a(_batch(a, batch, batch_index), *left)
            y = b(_batch(b, batch, batch_index), *right)
            return te.reduce_sum(te.cast(x, dtype) * te.cast(y, dtype), k)

        return te.compute((batch, m, n), element, "batch_matmul")

    def reference(self, tensor_a: Array, tensor_b: Array) -> Array:
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else tensor_a.dtype
        a = tensor_a.transpose(0, 2, 1) if self.transpose_a else tensor_a
        b = tensor_b.transpose(0, 2, 1) if self.transpose_b else tensor_b
        return as_array(np.matmul(a.astype(dtype), b.astype(dtype)))

    def gradient(self, grad: Expr, result: Expr, tensor_a: Expr, tensor_b: Expr) -> Gradients:
        a, b = converted(tensor_a, grad), converted(tensor_b, grad)

        def product(x: Expr, y: Expr, turn_x: bool, turn_y: bool) -> Expr:
            return make("nn.batch_matmul", x, y, transpose_a=turn_x, transpose_b=turn_y)

        if self.transpose_a:
            by_a = product(b, grad, self.transpose_b, True)
        else:
            by_a = product(grad, b, False, not self.transpose_b)
        if self.transpose_b:
            by_b = product(grad, a, True, self.transpose_a)
        else:
            by_b = product(a, grad, not self.transpose_a, False)
        return (
            converted(unbroadcast(by_a, tensor_a), tensor_a),
            converted(unbroadcast(by_b, tensor_b), tensor_b),
        )


def _batch(tensor: te.Tensor, batch: te.Dim, index: te.Var) -> te.Operand:
    size = tensor.shape[0]
    if size is batch:
        return index
    if isinstance(size, int):
        return 0 if size == 1 else index
    return te.select(te.equal(size, 1), te.const(0), index)


@operator("nn.bias_add", inputs=("data", "bias"), pattern=Pattern.BROADCAST, level=1)
class BiasAdd(Operator):
    """Add the vector `bias` along `axis` of `data`."""

    axis: int = 1

    def infer(self, data: Type, bias: Type) -> Type:
        x = expect_kind(self.name, "data", data, "number")
        b = _expect_rank(self.name, "bias", bias, 1, 1)
        axis = normalize_axis(self.name, self.axis, len(x.shape))
        if not dims_agree(x.shape[axis], b.shape[0]) or x.dtype != b.dtype:
            raise TypeInferenceError(
                f"{self.name}: axis {axis} of {x} needs a bias of the same size and data type, "
                f"found {b}"
            )
        return x

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        data, bias = types
        if bias is None and isinstance(data, TensorType):
            axis = normalize_axis(self.name, self.axis, len(data.shape))
            return (data, TensorType((data.shape[axis],), data.dtype))
        return types

    def compute(self, data: te.Tensor, bias: te.Tensor) -> te.Tensor:
        axis = self.axis % data.ndim
        return te.compute(data.shape, lambda *i: data(*i) + bias(i[axis]), "bias_add")

    def reference(self, data: Array, bias: Array) -> Array:
        shape = [1] * data.ndim
        shape[self.axis] = -1
        return data + bias.reshape(shape)

    def gradient(self, grad: Expr, result: Expr, data: Expr, bias: Expr) -> Gradients:
        return grad, sum_to_vector(grad, self.axis)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout; where the axis of the bias is split, by an addition of the bias in blocks."""
        change = incoming[0]
        if change is None or change.source.is_blocked:
            return None
        axis = self.axis % change.source.rank
        letter = change.source.axes[axis].letter
        if not change.target.factors(letter):
            plan = BiasAdd(axis=change.target.position(letter))
            return LayoutPlan(plan, (change, None), (change,))
        ones = dict.fromkeys(set(change.source.letters) - {letter}, 1)
        trailing = change.source.rank - 1 - axis
        bias = LayoutChange(change.source, change.target.with_blocks(ones), trailing)
        return LayoutPlan(Add(), (change, bias), (change,))
