"""Sparse matrices as `relay.op.nn.sparse` has them: type, rows, elements, dense form, gradient."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from relay import te
from relay.ir.expr import Expr, Tuple
from relay.ir.op import Array
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.functions import Argument, as_argument
from relay.op.gradients import known_shape, make, number, permuted, reshaped
from relay.op.shapes import expect_kind, unify_dim
from relay.op.tensor.index import inside
from relay.support.errors import InputError, TypeInferenceError

PARTS = ("sparse_data", "sparse_indices", "sparse_indptr")
"""The inputs that a sparse matrix is, as operators name them."""


def matrix_type(name: str, data: Type, indices: Type, indptr: Type, blocks: bool) -> TensorType:
    """The type of the values of a sparse matrix, which is checked."""
    values = expect_kind(name, PARTS[0], data, "number")
    columns = expect_kind(name, PARTS[1], indices, "integer")
    starts = expect_kind(name, PARTS[2], indptr, "integer")
    ranks = (1, 3) if blocks else (1,)
    fits = len(values.shape) in ranks and len(columns.shape) == len(starts.shape) == 1
    if not fits or starts.shape[0] == 0:
        form = "a vector or blocks (values, rows, columns)" if blocks else "a vector"
        raise TypeInferenceError(
            f"{name}: expected {form} of values, their columns, and where the rows begin, found "
            f"{values}, {columns} and {starts}"
        )
    if 0 in values.shape[1:]:
        raise TypeInferenceError(f"{name}: a block must have elements, found {values}")
    unify_dim(name, values.shape[0], columns.shape[0], "the numbers of values and of columns")
    return values


def row_count(values: TensorType, starts: Type) -> Dim:
    """How many rows a sparse matrix has."""
    assert isinstance(starts, TensorType)
    count = starts.shape[0]
    height = values.shape[1] if len(values.shape) == 3 else 1
    if isinstance(count, int) and isinstance(height, int):
        return (count - 1) * height
    return Any()


class Rows:
    """A sparse matrix in tensor expressions: its values, row by row."""

    def __init__(self, data: te.Tensor, indices: te.Tensor, indptr: te.Tensor) -> None:
        self.data, self.indices, self.indptr = data, indices, indptr
        self.height, self.width = data.shape[1:] if data.ndim == 3 else (1, 1)
        self.rows = (te.as_expr(indptr.shape[0], te.INDEX) - 1) * self.height

    def longest(self, columns: te.Dim) -> te.Expr:
        """How many values (or blocks) a row may have: no column is named twice."""
        per_row = te.as_expr(columns, te.INDEX) // self.width
        return te.minimum(per_row, te.as_expr(self.data.shape[0], te.INDEX))

    def at(self, row: te.Expr, k: te.Expr, part: te.Expr) -> tuple[te.Expr, te.Expr, te.Expr]:
        """Value `k` of a row: whether there is one, its column and it; of a block, the `part`."""
        block = row // self.height
        place = te.cast(self.indptr(block), te.INDEX) + k
        known = te.both(place >= 0, place < te.cast(self.indptr(block + 1), te.INDEX))
        place = inside(place, self.data.shape[0])
        column = te.cast(self.indices(place), te.INDEX) * self.width + part
        within = (row % self.height, part) if self.data.ndim == 3 else ()
        return known, column, self.data(place, *within)


def dense_matrix(name: str, data: Array, indices: Array, indptr: Array, columns: int) -> Array:
    """A sparse matrix with all its zeros."""
    blocks = data if data.ndim == 3 else data[:, None, None]
    height, width = blocks.shape[1:]
    starts, places = indptr.astype("int64"), indices.astype("int64")
    if starts[0] < 0 or starts[-1] > len(blocks) or np.any(starts[1:] < starts[:-1]):
        raise InputError(f"{name}: rows begin at {indptr.tolist()}, but values are {len(blocks)}")
    if np.any((places < 0) | (places >= columns // width)):
        raise InputError(f"{name}: a column is outside 0 .. {columns // width - 1}")
    result = np.zeros(((len(starts) - 1) * height, columns), data.dtype)
    for row in range(len(starts) - 1):
        found = places[starts[row] : starts[row + 1]]
        if len(set(found.tolist())) != len(found):
            raise InputError(f"{name}: row {row} has a column twice: {found.tolist()}")
        for k, column in enumerate(found, start=int(starts[row])):
            result[row * height : (row + 1) * height, column * width : (column + 1) * width] = (
                blocks[k]
            )
    return result


def values_at(name: str, matrix: Expr, data: Expr, indices: Expr, indptr: Expr) -> Expr:
    """The values (or blocks) of a dense `matrix` at the places of a sparse one."""
    shape, sizes = known_shape(name, data), known_shape(name, matrix)
    if 0 in sizes:
        return make("zeros_like", data)
    numbers = make("arange", start=0, stop=shape[0], step=1, dtype="int64")
    begun = make(
        "searchsorted", make("cast", indptr, dtype="int64"), numbers, right=True, dtype="int64"
    )
    rows = begun - number(1, begun)
    places = make("stack", Tuple([rows, make("cast", indices, dtype="int64")]), axis=0)
    if len(shape) == 1:
        return make("gather_nd", matrix, places)
    height, width = shape[1:]
    split = (sizes[0] // height, height, sizes[1] // width, width)
    blocks = permuted(reshaped(matrix, split), (0, 2, 1, 3))
    return make("gather_nd", blocks, places)


def row_of_each(w: te.Writer, indptr: te.Tensor, count: int) -> te.Tensor:
    """For each of `count` values of a sparse matrix the number of its row, in private memory."""
    rows = w.private("int32", (count,), "rows")
    row = w.private("int32", (1,), "row")
    w.fill(rows, 0)
    with w.loop(indptr.static_shape[0] - 1, "n") as n:
        begin = te.maximum(te.cast(indptr(n + 1), te.INDEX), 0)
        with w.when(begin < count):
            w.store(rows, (begin,), 1, reduce="sum")
    w.store(row, (0,), 0)
    with w.loop(count, "k") as k:
        w.store(row, (0,), rows(k), reduce="sum")
        w.store(rows, (k,), row(0))
    return rows


@runtime_checkable
class HasParts(Protocol):
    """What has the parts of a sparse matrix as attributes, such as those of SciPy."""

    @property
    def data(self) -> Argument: ...
    @property
    def indices(self) -> Argument: ...
    @property
    def indptr(self) -> Argument: ...


def parts_of(matrix: object) -> tuple[Expr, Expr, Expr]:
    """Values, columns and row starts from three of them or an object that has them."""
    if isinstance(matrix, HasParts):
        found: Sequence[Argument] = (matrix.data, matrix.indices, matrix.indptr)
    elif isinstance(matrix, list | tuple) and len(matrix) == 3:
        found = matrix
    else:
        raise TypeInferenceError(
            "a sparse matrix is values, their columns and where rows begin, or an object with the "
            f"attributes data, indices and indptr; found {type(matrix).__name__}"
        )
    values, columns, starts = (as_argument(part) for part in found)
    return values, columns, starts
