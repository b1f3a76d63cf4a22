"""Sparse tensors as lists of coordinates and values.

Row ``n`` of `sparse_indices` (values, dimensions) holds the coordinates of element ``n`` of
`sparse_values`.
"""

import math
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, TupleType, Type
from relay.op.gradients import known_shape, make, permuted, reshaped, total, unbroadcast
from relay.op.nn.common import dims_agree
from relay.op.shapes import expect_kind, expect_same_dtype, put_ints, unify_dim
from relay.op.tensor.index import check_inside
from relay.op.tensor.lookup import row_major_strides
from relay.op.tensor.scatter import copy, scatter_gradients, within
from relay.support.errors import InputError, TypeInferenceError


def _is_number(type_: TensorType) -> bool:
    """Whether a tensor has one element: a scalar, or a vector of one."""
    return len(type_.shape) <= 1 and all(dims_agree(d, 1) for d in type_.shape)


@operator(
    "sparse_to_dense",
    inputs=("sparse_indices", "sparse_values", "default_value"),
    pattern=Pattern.OPAQUE,
    level=3,
)
class SparseToDense(Operator):
    """A tensor of `output_shape` with `sparse_values` at `sparse_indices`, else `default_value`.

    The indices are (values, dimensions), a vector for a vector, or a scalar for one element of it;
    the values a vector or one for all, the default a scalar. Of several values at one place the
    last counts. A place outside is an error in the interpreter; compiled code leaves it out.
    """

    output_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        put_ints(self, "output_shape")
        if not self.output_shape or min(self.output_shape) < 0:
            raise ValueError(f"output_shape must be one size or more, found {self.output_shape}")

    def infer(self, sparse_indices: Type, sparse_values: Type, default_value: Type) -> Type:
        index = expect_kind(self.name, "sparse_indices", sparse_indices, "integer")
        values = expect_tensor(self.name, "sparse_values", sparse_values)
        default = expect_tensor(self.name, "default_value", default_value)
        expect_same_dtype(self.name, values, default)
        rank = index.shape[1] if len(index.shape) == 2 else 1
        fits = len(index.shape) <= 2 and len(values.shape) <= 1 and _is_number(default)
        if not fits or not dims_agree(rank, len(self.output_shape)):
            raise TypeInferenceError(
                f"{self.name}: expected indices (values, {len(self.output_shape)}), a vector of "
                f"values and a scalar, found {index}, {values} and {default}"
            )
        if values.shape:
            count = index.shape[0] if index.shape else 1
            unify_dim(self.name, count, values.shape[0], "the numbers of indices and values")
        return TensorType(self.output_shape, values.dtype)

    def compute(
        self, sparse_indices: te.Tensor, sparse_values: te.Tensor, default_value: te.Tensor
    ) -> te.Tensor:
        output = te.placeholder(self.output_shape, sparse_values.dtype, "sparse_to_dense")
        inputs = (sparse_indices, sparse_values, default_value)
        return te.ordered(inputs, (output,), _write_dense)[0]

    def reference(self, sparse_indices: Array, sparse_values: Array, default_value: Array) -> Array:
        rank = len(self.output_shape)
        places = sparse_indices.reshape(-1, rank).astype("int64")
        for k, size in enumerate(self.output_shape):
            check_inside(self.name, places[:, k], size)
        result = np.full(self.output_shape, default_value.reshape(()), sparse_values.dtype)
        for place, value in zip(places, np.broadcast_to(sparse_values, len(places)), strict=True):
            result[tuple(place)] = value
        return result

    def gradient(
        self,
        grad: Expr,
        result: Expr,
        sparse_indices: Expr,
        sparse_values: Expr,
        default_value: Expr,
    ) -> Gradients:
        count = math.prod(known_shape(self.name, sparse_indices)) // len(self.output_shape)
        rows = permuted(reshaped(sparse_indices, (count, len(self.output_shape))), (1, 0))
        values = make("broadcast_to", sparse_values, shape=(count,))
        empty = make("full", reshaped(default_value, ()), shape=self.output_shape)
        kept, _, read = scatter_gradients(
            self.name,
            "update",
            grad,
            result,
            empty,
            values,
            lambda value: make("gather_nd", value, rows),
            lambda value, update: make("scatter_nd", value, rows, update),
        )
        assert kept is not None
        assert read is not None
        default = reshaped(total(kept, default_value), known_shape(self.name, default_value))
        return None, unbroadcast(read, sparse_values), default


def _write_dense(w: te.Writer, given: te.Given, made: te.Given) -> None:
    """The default everywhere, then one value after the other."""
    (indices, values, default), (result,) = given, made
    zeros = [te.const(0)] * default.ndim
    copy(w, result, lambda *_: default(*zeros))
    with w.loop(indices.static_shape[0] if indices.ndim else 1, "n") as n:
        if indices.ndim == 2:
            at = [indices(n, k) for k in range(result.ndim)]
        else:
            at = [indices(*([n] if indices.ndim else []))]
        place = [te.cast(a, te.INDEX) for a in at]
        with w.when(within(place, result.static_shape)):
            w.store(result, place, values(*([n] if values.ndim else [])))


@operator(
    "sparse_reshape",
    inputs=("sparse_indices", "prev_shape", "new_shape"),
    pattern=Pattern.INJECTIVE,
    level=3,
)
class SparseReshape(Operator):
    """The coordinates that elements of a tensor of `prev_shape` have in `new_shape`, and that.

    Both shapes are vectors; a -1 in the new one is what is left. The result is a tuple of the
    coordinates (values, dimensions) and the shape. Sizes that do not fit are an error in the
    interpreter; compiled code gives some coordinates.
    """

    piecewise_constant = True

    def infer(self, sparse_indices: Type, prev_shape: Type, new_shape: Type) -> Type:
        index = expect_kind(self.name, "sparse_indices", sparse_indices, "integer")
        old = expect_kind(self.name, "prev_shape", prev_shape, "integer")
        new = expect_kind(self.name, "new_shape", new_shape, "integer")
        fits = len(index.shape) == 2 and len(old.shape) == len(new.shape) == 1
        if not fits or not dims_agree(index.shape[1], old.shape[0]):
            raise TypeInferenceError(
                f"{self.name}: expected indices (values, dimensions) and two vectors of sizes, "
                f"found {index}, {old} and {new}"
            )
        return TupleType(
            [
                TensorType((index.shape[0], new.shape[0]), index.dtype),
                TensorType(new.shape, new.dtype),
            ]
        )

    def compute(
        self, sparse_indices: te.Tensor, prev_shape: te.Tensor, new_shape: te.Tensor
    ) -> tuple[te.Tensor, te.Tensor]:
        def product(vector: te.Tensor, name: str) -> te.Tensor:
            def element() -> te.Expr:
                r = te.reduce_axis(vector.shape[0])
                size = te.cast(vector(r.var), te.INDEX)
                return te.reduce_prod(te.select(te.equal(size, -1), te.const(1), size), r)

            return te.compute((), element, name)

        total, known = product(prev_shape, "total"), product(new_shape, "known")

        def size(k: te.Var) -> te.Expr:
            given = te.cast(new_shape(k), te.INDEX)
            return te.select(te.equal(given, -1), total() // te.maximum(known(), 1), given)

        sizes = te.compute(new_shape.shape, size, "sizes")
        before = row_major_strides(prev_shape, "strides_before")
        after = row_major_strides(sizes, "strides_after")

        def position(n: te.Var) -> te.Expr:
            r = te.reduce_axis(prev_shape.shape[0])
            return te.reduce_sum(te.cast(sparse_indices(n, r.var), te.INDEX) * before(r.var), r)

        positions = te.compute(sparse_indices.shape[:1], position, "positions")

        def element(n: te.Var, k: te.Var) -> te.Expr:
            moved = positions(n) // te.maximum(after(k), 1) % te.maximum(sizes(k), 1)
            return te.cast(moved, sparse_indices.dtype)

        shape = (sparse_indices.shape[0], new_shape.shape[0])
        resolved = te.compute(
            new_shape.shape, lambda k: te.cast(sizes(k), new_shape.dtype), "new_shape"
        )
        return te.compute(shape, element, "sparse_reshape"), resolved

    def reference(
        self, sparse_indices: Array, prev_shape: Array, new_shape: Array
    ) -> tuple[Array, Array]:
        old, new = [int(s) for s in prev_shape], [int(s) for s in new_shape]
        if -1 in new:
            known = math.prod(s for s in new if s != -1)
            new[new.index(-1)] = math.prod(old) // known if known else 0
        if math.prod(old) != math.prod(new) or min(new, default=0) < 0:
            raise InputError(f"{self.name}: {old} cannot become {new_shape.tolist()}")
        for k, size in enumerate(old):
            check_inside(self.name, sparse_indices[:, k], size)
        count = len(sparse_indices)
        moved = np.zeros((count, len(new)), sparse_indices.dtype)
        if count and old and new:
            flat = np.ravel_multi_index(tuple(sparse_indices.T.astype("int64")), old)
            moved[:] = np.stack(np.unravel_index(flat, new), axis=-1)
        return moved, np.asarray(new, new_shape.dtype)


@operator(
    "sparse_fill_empty_rows",
    inputs=("sparse_indices", "sparse_values", "dense_shape", "default_value"),
    pattern=Pattern.OPAQUE,
    level=3,
)
class SparseFillEmptyRows(Operator):
    """A sparse matrix with `default_value` in column 0 of every row that has no value.

    `dense_shape` is the vector of its sizes. The result is a tuple: coordinates and values, row by
    row, and for each row whether it was empty. How many values there are is known only at run time.
    """

    missing: ClassVar[dict[str, str]] = {
        "compute": "the size of the result depends on the values of the input",
        "gradient": "it is not derived; scatter_nd has one",
    }

    def infer(
        self, sparse_indices: Type, sparse_values: Type, dense_shape: Type, default_value: Type
    ) -> Type:
        index = expect_kind(self.name, "sparse_indices", sparse_indices, "integer")
        values = expect_tensor(self.name, "sparse_values", sparse_values)
        shape = expect_kind(self.name, "dense_shape", dense_shape, "integer")
        default = expect_tensor(self.name, "default_value", default_value)
        expect_same_dtype(self.name, values, default)
        vectors = len(values.shape) == len(shape.shape) == 1 and _is_number(default)
        if len(index.shape) != 2 or not vectors or not dims_agree(index.shape[1], shape.shape[0]):
            raise TypeInferenceError(
                f"{self.name}: expected indices (values, dimensions), a vector of values, the "
                f"sizes and a scalar, found {index}, {values}, {shape} and {default}"
            )
        if index.shape[1] == 0:
            raise TypeInferenceError(f"{self.name}: a matrix without dimensions has no rows")
        unify_dim(self.name, index.shape[0], values.shape[0], "the numbers of indices and values")
        rank: Dim = unify_dim(self.name, index.shape[1], shape.shape[0], "the numbers of sizes")
        return TupleType(
            [
                TensorType((Any(), rank), index.dtype),
                TensorType((Any(),), values.dtype),
                TensorType((Any(),), "bool"),
            ]
        )

    def reference(
        self,
        sparse_indices: Array,
        sparse_values: Array,
        dense_shape: Array,
        default_value: Array,
    ) -> tuple[Array, Array, Array]:
        for k, size in enumerate(dense_shape):
            check_inside(self.name, sparse_indices[:, k], int(size))
        rows = int(dense_shape[0]) if dense_shape.size else 0
        empty = ~np.isin(np.arange(rows), sparse_indices[:, 0])
        new = np.zeros((int(empty.sum()), sparse_indices.shape[1]), sparse_indices.dtype)
        new[:, 0] = np.flatnonzero(empty)
        indices = np.concatenate([sparse_indices, new])
        filled = np.full(len(new), default_value.reshape(()), sparse_values.dtype)
        values = np.concatenate([sparse_values, filled])
        order = np.argsort(indices[:, 0], kind="stable")
        return indices[order], values[order], empty
