"""Linear algebra beyond products."""

import math
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, TensorType, Type
from relay.op.functions import function
from relay.support.errors import TypeInferenceError


@operator("linalg.det", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class Determinant(Operator):
    """The determinants of square matrices, the last two axes of `data`: (..., n, n) to (...).

    By elimination with the largest pivot of each column, the rows being exchanged. float32 and
    float64. Source: ONNX Det.
    """

    missing: ClassVar[dict[str, str]] = {
        "gradient": "it needs the inverse of a matrix, for which there is no operator",
    }

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        if tensor.dtype not in ("float32", "float64"):
            raise TypeInferenceError(
                f"{self.name}: data must be float32 or float64, found {tensor.dtype}; cast it first"
            )
        square = tensor.shape[-2:]
        known = {d for d in square if not isinstance(d, Any)}
        if len(square) != 2 or len(known) > 1:
            raise TypeInferenceError(
                f"{self.name}: expected square matrices (.., n, n), found {tensor}"
            )
        return TensorType(tensor.shape[:-2], tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        *outer, size, _ = data.static_shape
        count = math.prod(outer)
        flat = te.compute(
            (count, size, size),
            lambda b, i, j: data(*te.unflatten_index(b, outer), i, j),
            "matrices",
        )
        result = te.placeholder((count,), data.dtype, "determinant")

        def write(w: te.Writer, inputs: te.Given, outputs: te.Given) -> None:
            (source,), (target,) = inputs, outputs
            with w.loop(source.static_shape[0], "matrix", kind="parallel") as b:
                _eliminate(w, source, target, b)

        (found,) = te.ordered((flat,), (result,), write)
        return te.compute(tuple(outer), lambda *at: found(te.flatten_index(at, outer)), "det")

    def reference(self, data: Array) -> Array:
        return np.asarray(np.linalg.det(data), data.dtype)


def _eliminate(w: te.Writer, source: te.Tensor, target: te.Tensor, b: te.Expr) -> None:
    """The product of the pivots of matrix `b`, its sign changing with every exchange of rows."""
    size, dtype = source.static_shape[1], source.dtype
    matrix = w.private(dtype, (size, size), "matrix")
    number = w.private(dtype, (1,), "number")
    pivot = w.private("int64", (1,), "pivot")
    w.store(target, (b,), te.const(1, dtype))
    with w.loop(size, "row") as i, w.loop(size, "column") as j:
        w.store(matrix, (i, j), source(b, i, j))
    with w.loop(size, "step") as k:
        w.store(pivot, (0,), k)
        with w.loop(size, "row") as i:
            larger = te.unary("abs", matrix(i, k)) > te.unary("abs", matrix(pivot(0), k))
            with w.when(te.both(i > k, larger)):
                w.store(pivot, (0,), i)
        with w.when(te.compare("ne", pivot(0), k)):
            w.store(target, (b,), -target(b))
            with w.loop(size, "column") as j:
                w.store(number, (0,), matrix(k, j))
                w.store(matrix, (k, j), matrix(pivot(0), j))
                w.store(matrix, (pivot(0), j), number(0))
        w.store(target, (b,), target(b) * matrix(k, k))
        with w.loop(size, "row") as i, w.when(te.both(i > k, te.compare("ne", matrix(k, k), 0))):
            w.store(number, (0,), matrix(i, k) / matrix(k, k))
            with w.loop(size, "column") as j:
                w.store(matrix, (i, j), matrix(i, j) - number(0) * matrix(k, j))


det = function(Determinant)
