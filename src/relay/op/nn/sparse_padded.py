"""Products with sparse matrices whose rows were filled up with zeros."""

from itertools import pairwise

import numpy as np

from relay import te
from relay.ir.op import Array, Pattern, operator
from relay.op.nn.sparse import SparseDense
from relay.support.errors import InputError


@operator(
    "nn.internal.sparse_dense_padded",
    inputs=("data", "weight_data", "weight_indices", "weight_indptr"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=1,
)
class SparseDensePadded(SparseDense):
    """`nn.sparse_dense` of a weight whose rows have been filled up to a common length.

    What fills them are zeros at any columns: a column may be named more than once, and its values
    are added up.
    """

    sparse_lhs: bool = False

    def compute(self, *inputs: te.Tensor) -> te.Tensor:
        return super().compute(*inputs)

    def reference(
        self, data: Array, weight_data: Array, weight_indices: Array, weight_indptr: Array
    ) -> Array:
        blocks = weight_data if weight_data.ndim == 3 else weight_data[:, None, None]
        height, width = blocks.shape[1:]
        columns = data.shape[1]
        begins = weight_indptr.astype("int64")
        inside = (weight_indices >= 0) & (weight_indices < columns // width)
        rising = np.all(begins[1:] >= begins[:-1])
        if not inside.all() or not rising or begins[0] < 0 or begins[-1] > len(blocks):
            raise InputError(f"{self.name}: a place of the weight is outside")
        matrix = np.zeros(((len(begins) - 1) * height, columns), data.dtype)
        for row, (begin, end) in enumerate(pairwise(begins)):
            for k in range(begin, end):
                column = int(weight_indices[k]) * width
                part = matrix[row * height : (row + 1) * height, column : column + width]
                part += blocks[k]
        product = matrix @ data.T if self.sparse_lhs else data @ matrix.T
        return np.asarray(product, dtype=data.dtype)
