"""Products with sparse matrices, which are kept row by row.

A matrix is three tensors: values, their columns, and where in both each row begins and ends
(``indptr``, of one number more than there are rows). In the blocked form a value is a block (rows,
columns) and all positions count blocks. No place may be named twice. Positions that lie outside are
an error in the interpreter; compiled code reads the nearest.
"""

from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import Any, TensorType, TupleType, Type
from relay.op.functions import TupleWrapper, as_argument
from relay.op.gradients import field, known_shape, make, matrix_of, permuted
from relay.op.nn.common import dims_agree
from relay.op.nn.sparse_matrix import (
    PARTS,
    HasParts,
    Rows,
    dense_matrix,
    matrix_type,
    parts_of,
    row_count,
    row_of_each,
    values_at,
)
from relay.op.shapes import expect_kind, expect_same_dtype
from relay.op.tensor.index import inside
from relay.op.tensor.order import starts
from relay.op.tensor.scatter import copy, within
from relay.support.errors import TypeInferenceError


@operator(
    "nn.sparse_dense",
    inputs=("dense_data", *PARTS),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=1,
)
class SparseDense(Operator):
    """``dense @ sparse.T``, or ``sparse @ dense.T`` with `sparse_lhs`; see `relay.op.nn.sparse`."""

    sparse_lhs: bool = False

    def infer(
        self, dense_data: Type, sparse_data: Type, sparse_indices: Type, sparse_indptr: Type
    ) -> Type:
        x = expect_kind(self.name, "dense_data", dense_data, "number")
        values = matrix_type(self.name, sparse_data, sparse_indices, sparse_indptr, blocks=True)
        expect_same_dtype(self.name, x, values)
        if len(x.shape) != 2:
            raise TypeInferenceError(f"{self.name}: expected a matrix, found {x}")
        width = values.shape[2] if len(values.shape) == 3 else 1
        size = x.shape[1]
        if isinstance(size, int) and isinstance(width, int) and (width == 0 or size % width):
            raise TypeInferenceError(
                f"{self.name}: {size} columns are no multiple of those of a block, {width}"
            )
        rows = row_count(values, sparse_indptr)
        shape = (rows, x.shape[0]) if self.sparse_lhs else (x.shape[0], rows)
        return TensorType(shape, x.dtype)

    def compute(
        self,
        dense_data: te.Tensor,
        sparse_data: te.Tensor,
        sparse_indices: te.Tensor,
        sparse_indptr: te.Tensor,
    ) -> te.Tensor:
        lines, rows = dense_data.shape[0], Rows(sparse_data, sparse_indices, sparse_indptr).rows
        shape = (rows, lines) if self.sparse_lhs else (lines, rows)
        output = te.placeholder(shape, dense_data.dtype, "sparse_dense")
        inputs = (dense_data, sparse_data, sparse_indices, sparse_indptr)
        return te.ordered(inputs, (output,), self._write)[0]

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        """Take some lines through all values: each counts for a vector of them."""
        (dense, *sparse), (result,) = given, made
        if 0 in result.static_shape:
            return
        whole, rest = divmod(dense.static_shape[0], te.LANES)
        for blocks, width, first in ((whole, te.LANES, 0), (min(rest, 1), rest, whole * te.LANES)):
            with w.loop(blocks, "block", kind="parallel") as block:
                begin = block * te.LANES + first
                columns = w.private(dense.dtype, (dense.static_shape[1], width), "columns")
                rows = result.static_shape[0 if self.sparse_lhs else 1]
                sums = w.private(dense.dtype, (rows, width), "sums")
                with w.loop(dense.static_shape[1], "c") as c, w.loop(width, "line") as line:
                    w.store(columns, (c, line), dense(begin + line, c))
                _multiply(w, sparse, columns, sums)
                with w.loop(rows, "r") as r, w.loop(width, "line") as line:
                    place = (r, begin + line) if self.sparse_lhs else (begin + line, r)
                    w.store(result, place, sums(r, line))

    def reference(
        self, dense_data: Array, sparse_data: Array, sparse_indices: Array, sparse_indptr: Array
    ) -> Array:
        parts = (sparse_data, sparse_indices, sparse_indptr)
        matrix = dense_matrix(self.name, *parts, dense_data.shape[1])
        product = matrix @ dense_data.T if self.sparse_lhs else dense_data @ matrix.T
        return np.asarray(product, dtype=dense_data.dtype)

    def gradient(
        self, grad: Expr, result: Expr, dense: Expr, data: Expr, indices: Expr, indptr: Expr
    ) -> Gradients:
        columns = known_shape(self.name, dense)[1]
        lines = permuted(grad, (1, 0)) if self.sparse_lhs else grad
        unit = matrix_of(np.eye(columns), dense)
        turned = make(self.name, unit, data, indices, indptr)
        of_matrix = make("nn.matmul", lines, dense, transpose_a=True)
        values = values_at(self.name, of_matrix, data, indices, indptr)
        return make("nn.dense", lines, turned), values, None, None


def _multiply(w: te.Writer, sparse: te.Given, columns: te.Tensor, sums: te.Tensor) -> None:
    """The product of a sparse matrix with a dense one of few columns, in `sums`."""
    data, indices, indptr = sparse
    height, width = data.static_shape[1:] if data.ndim == 3 else (1, 1)
    rows, lanes = sums.static_shape
    with w.loop(rows, "r") as r, w.loop(lanes, "lane", kind="vectorized") as lane:
        w.store(sums, (r, lane), 0)
    count = data.static_shape[0]
    if not (count and height and width and columns.static_shape[0]):
        return
    row_of = row_of_each(w, indptr, count)
    with w.loop(count, "k") as k:
        block, column = te.cast(row_of(k), te.INDEX), te.cast(indices(k), te.INDEX) * width
        known = k >= te.cast(indptr(inside(block, rows // height)), te.INDEX)
        with (
            w.when(te.both(within([block], [rows // height]), known)),
            w.loop(height, "line") as line,
            w.loop(width, "part") as part,
            w.loop(lanes, "lane", kind="vectorized") as lane,
        ):
            value = data(k, line, part) if data.ndim == 3 else data(k)
            other = columns(inside(column + part, columns.static_shape[0]), lane)
            w.store(sums, (block * height + line, lane), value * other, reduce="sum")


@operator("nn.sparse_add", inputs=("dense_data", *PARTS), pattern=Pattern.OPAQUE, level=1)
class SparseAdd(Operator):
    """A matrix plus a sparse one of the same shape, not blocked; see `relay.op.nn.sparse`."""

    def infer(
        self, dense_data: Type, sparse_data: Type, sparse_indices: Type, sparse_indptr: Type
    ) -> Type:
        x = expect_kind(self.name, "dense_data", dense_data, "number")
        values = matrix_type(self.name, sparse_data, sparse_indices, sparse_indptr, blocks=False)
        expect_same_dtype(self.name, x, values)
        if len(x.shape) != 2 or not dims_agree(x.shape[0], row_count(values, sparse_indptr)):
            raise TypeInferenceError(
                f"{self.name}: expected a matrix of as many rows as {sparse_indptr} says, found {x}"
            )
        return x

    def compute(
        self,
        dense_data: te.Tensor,
        sparse_data: te.Tensor,
        sparse_indices: te.Tensor,
        sparse_indptr: te.Tensor,
    ) -> te.Tensor:
        output = te.placeholder(dense_data.shape, dense_data.dtype, "sparse_add")
        inputs = (dense_data, sparse_data, sparse_indices, sparse_indptr)
        return te.ordered(inputs, (output,), _add)[0]

    def reference(
        self, dense_data: Array, sparse_data: Array, sparse_indices: Array, sparse_indptr: Array
    ) -> Array:
        parts = (sparse_data, sparse_indices, sparse_indptr)
        return np.asarray(dense_data + dense_matrix(self.name, *parts, dense_data.shape[1]))

    def gradient(
        self, grad: Expr, result: Expr, dense: Expr, data: Expr, indices: Expr, indptr: Expr
    ) -> Gradients:
        return grad, values_at(self.name, grad, data, indices, indptr), None, None


def _add(w: te.Writer, given: te.Given, made: te.Given) -> None:
    """One value after the other to a copy of the matrix."""
    (dense, data, indices, indptr), (result,) = given, made
    copy(w, result, dense)
    (count,), shape = data.static_shape, dense.static_shape
    if not count or 0 in shape:
        return
    with w.loop(1, "all", kind="parallel"):
        rows = row_of_each(w, indptr, count)
        with w.loop(count, "k") as k:
            place = [te.cast(rows(k), te.INDEX), te.cast(indices(k), te.INDEX)]
            known = k >= te.cast(indptr(inside(rows(k), shape[0])), te.INDEX)
            with w.when(te.both(within(place, shape), known)):
                w.store(result, place, data(k), reduce="sum")


def _transpose(w: te.Writer, given: te.Given, made: te.Given) -> None:
    """Count the values of each column, and put one after the other where its column begins."""
    (data, indices, indptr), (values, columns, begins) = given, made
    (count,), (size,) = data.static_shape, indptr.static_shape
    with w.loop(1, "all", kind="parallel"):
        counts = w.private("int32", (size,), "counts")
        w.fill(counts, 0)
        with w.loop(count, "k") as k:
            w.store(counts, (inside(indices(k), size),), 1, reduce="sum")
        starts(w, counts, size)
        w.each(size, lambda n: w.store(begins, (n,), te.cast(counts(n), begins.dtype)))
        if count:
            rows = row_of_each(w, indptr, count)
            with w.loop(count, "k") as k:
                column = inside(indices(k), size)
                place = te.cast(counts(column), te.INDEX)
                w.store(values, (place,), data(k))
                w.store(columns, (place,), te.cast(rows(k), columns.dtype))
                w.store(counts, (column,), 1, reduce="sum")


@operator("nn.sparse_transpose", inputs=PARTS, pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=1)
class SparseTranspose(Operator):
    """A square sparse matrix, not blocked, with rows and columns exchanged.

    The result is a tuple of values, columns and row starts; rows are in ascending order.
    """

    def infer(self, sparse_data: Type, sparse_indices: Type, sparse_indptr: Type) -> Type:
        types = (sparse_data, sparse_indices, sparse_indptr)
        matrix_type(self.name, *types, blocks=False)
        return TupleType(types)

    def compute(
        self, sparse_data: te.Tensor, sparse_indices: te.Tensor, sparse_indptr: te.Tensor
    ) -> tuple[te.Tensor, ...]:
        inputs = (sparse_data, sparse_indices, sparse_indptr)
        names = ("values", "columns", "starts")
        outputs = [
            te.placeholder(t.shape, t.dtype, name) for t, name in zip(inputs, names, strict=True)
        ]
        return te.ordered(inputs, outputs, _transpose)

    def reference(
        self, sparse_data: Array, sparse_indices: Array, sparse_indptr: Array
    ) -> tuple[Array, Array, Array]:
        size = len(sparse_indptr) - 1
        dense_matrix(self.name, sparse_data, sparse_indices, sparse_indptr, size)
        rows = np.repeat(np.arange(size), np.diff(sparse_indptr.astype("int64")))
        order = np.argsort(sparse_indices, kind="stable")
        starts = np.searchsorted(sparse_indices[order], np.arange(size + 1))
        return (
            sparse_data[order],
            rows[order].astype(sparse_indices.dtype),
            starts.astype(sparse_indptr.dtype),
        )

    def gradient(
        self, grad: Expr, result: Expr, data: Expr, indices: Expr, indptr: Expr
    ) -> Gradients:
        order = make("argsort", indices, dtype="int64")
        back = make("argsort", order, dtype="int64")
        return make("take", field(grad, 0), back, axis=0), None, None


@operator(
    "nn.sparse_conv2d",
    inputs=("dense_data", *PARTS),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=1,
)
class SparseConv2D(Operator):
    """Convolution without padding by a sparse weight, (out, height * width * in) as a matrix.

    The data are (N, H, W, C) or, for windows of one pixel, (N, C, H, W); so is the result.
    """

    layout: str = "NHWC"
    kernel_size: tuple[int, ...] = (1, 1)

    missing: ClassVar[dict[str, str]] = {"gradient": "it is not derived; nn.conv2d has one"}

    def __post_init__(self) -> None:
        size = self.kernel_size
        object.__setattr__(self, "kernel_size", tuple(size))
        if len(size) != 2 or min(size) < 1 or self.layout not in ("NHWC", "NCHW"):
            raise ValueError(f"expected a height and a width, NHWC or NCHW; found {size}")
        if self.layout == "NCHW" and self.kernel_size != (1, 1):
            raise ValueError(f"windows of {self.kernel_size} pixels need the layout NHWC")

    def infer(
        self, dense_data: Type, sparse_data: Type, sparse_indices: Type, sparse_indptr: Type
    ) -> Type:
        x = expect_kind(self.name, "dense_data", dense_data, "number")
        values = matrix_type(self.name, sparse_data, sparse_indices, sparse_indptr, blocks=True)
        expect_same_dtype(self.name, x, values)
        if len(x.shape) != 4:
            raise TypeInferenceError(f"{self.name}: expected {self.layout}, found {x}")
        shape = list(x.shape)
        for size, axis in zip(self.kernel_size, self._spatial(), strict=True):
            old = shape[axis]
            if isinstance(old, int):
                if old < size:
                    raise TypeInferenceError(f"{self.name}: the window is larger than {x}")
                shape[axis] = old - size + 1
            elif size > 1:
                shape[axis] = Any()
        shape[self.layout.index("C")] = row_count(values, sparse_indptr)
        return TensorType(shape, x.dtype)

    def _spatial(self) -> tuple[int, int]:
        return self.layout.index("H"), self.layout.index("W")

    def compute(
        self,
        dense_data: te.Tensor,
        sparse_data: te.Tensor,
        sparse_indices: te.Tensor,
        sparse_indptr: te.Tensor,
    ) -> te.Tensor:
        matrix = Rows(sparse_data, sparse_indices, sparse_indptr)
        zero = te.const(0, dense_data.dtype)
        channel = self.layout.index("C")
        depth = te.as_expr(dense_data.shape[channel], te.INDEX)
        taps = self.kernel_size[0] * self.kernel_size[1]

        def element(*i: te.Var) -> te.Expr:
            k = te.reduce_axis(matrix.longest(depth * taps), "k")
            part = te.reduce_axis(matrix.width, "part")
            known, column, value = matrix.at(i[channel], k.var, part.var)
            column = te.clamp(column, 0, depth * taps - 1)
            source: list[te.Expr] = list(i)
            tap, source[channel] = column // depth, column % depth
            for axis, step in zip(
                self._spatial(),
                (tap // self.kernel_size[1], tap % self.kernel_size[1]),
                strict=True,
            ):
                source[axis] = i[axis] + step
            return te.reduce_sum(te.select(known, value * dense_data(*source), zero), (k, part))

        shape: list[te.Dim] = list(dense_data.shape)
        for size, axis in zip(self.kernel_size, self._spatial(), strict=True):
            shape[axis] = dense_data.shape[axis] - (size - 1)
        shape[channel] = matrix.rows
        return te.compute(shape, element, "sparse_conv2d")

    def reference(
        self, dense_data: Array, sparse_data: Array, sparse_indices: Array, sparse_indptr: Array
    ) -> Array:
        height, width = self.kernel_size
        x = dense_data if self.layout == "NHWC" else dense_data.transpose(0, 2, 3, 1)
        depth = x.shape[-1]
        parts = (sparse_data, sparse_indices, sparse_indptr)
        matrix = dense_matrix(self.name, *parts, height * width * depth)
        view = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))
        weight = matrix.reshape(-1, height, width, depth)
        result = np.einsum("nyxcrs,orsc->nyxo", view, weight)
        result = result if self.layout == "NHWC" else result.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(result, dtype=dense_data.dtype)


def sparse_dense(dense_mat: Expr, sparse_mat: object, sparse_lhs: bool = False) -> Expr:
    """``dense @ sparse.T``, or ``sparse @ dense.T`` with `sparse_lhs`; see `SparseDense`.

    A sparse matrix is a sequence of its values, columns and row starts, or has them as `data`,
    `indices` and `indptr`.
    """
    if sparse_lhs and isinstance(dense_mat, HasParts | list | tuple):
        dense_mat, sparse_mat = as_argument(sparse_mat), dense_mat  # type: ignore[arg-type]
    return SparseDense.call(dense_mat, *parts_of(sparse_mat), sparse_lhs=sparse_lhs)


def sparse_add(dense_mat: Expr, sparse_mat: object) -> Expr:
    """A matrix plus a sparse one; see `SparseAdd` and `sparse_dense`."""
    return SparseAdd.call(dense_mat, *parts_of(sparse_mat))


def sparse_transpose(x: object) -> TupleWrapper:
    """Values, columns and row starts of a sparse matrix turned; see `SparseTranspose`."""
    return TupleWrapper(SparseTranspose.call(*parts_of(x)), 3)
