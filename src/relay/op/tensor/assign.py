"""Operators that set a regular part of a tensor: a strided slice, a band of diagonals."""

import math
from collections.abc import Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr, const
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, Type
from relay.op.gradients import known_shape, make, matrix_of, reshaped
from relay.op.shapes import expect_kind, expect_same_dtype, put, show, unify_dim
from relay.op.tensor.index import inside
from relay.support.errors import InputError, TypeInferenceError


@operator(
    "strided_set",
    inputs=("data", "v", "begin", "end", "strides"),
    pattern=Pattern.INJECTIVE,
    level=4,
)
class StridedSet(Operator):
    """`data` with ``data[begin:end:strides]`` set to `v`.

    `begin`, `end` and `strides` are vectors of integers for the first dimensions, understood as in
    Python: negative positions count from the end, and what lies outside is cut off. A `v` that
    is not of the slice's shape is an error in the interpreter, and so is a stride of 0; compiled
    code sets what it has elements for.
    """

    takes_small = True

    def infer(self, data: Type, v: Type, begin: Type, end: Type, strides: Type) -> Type:
        x, value = expect_tensor(self.name, "data", data), expect_tensor(self.name, "v", v)
        expect_same_dtype(self.name, x, value)
        if len(x.shape) != len(value.shape):
            raise TypeInferenceError(
                f"{self.name}: data and v must be of one rank, found {x} and {value}"
            )
        length: Dim = Any()
        for name, type_ in (("begin", begin), ("end", end), ("strides", strides)):
            vector = expect_kind(self.name, name, type_, "integer")
            if len(vector.shape) != 1:
                raise TypeInferenceError(f"{self.name}: {name} must be a vector, found {vector}")
            length = unify_dim(
                self.name, length, vector.shape[0], "the lengths of begin, end and strides"
            )
        if isinstance(length, int) and length > len(x.shape):
            raise TypeInferenceError(
                f"{self.name}: {length} positions are too many for data of {show(x.shape)}"
            )
        return x

    def compute(
        self, data: te.Tensor, v: te.Tensor, begin: te.Tensor, end: te.Tensor, strides: te.Tensor
    ) -> te.Tensor:
        def element(*i: te.Var) -> te.Expr:
            hits: list[te.Expr] = []
            places: list[te.Expr] = []
            for k, (at, size, available) in enumerate(zip(i, data.shape, v.shape, strict=True)):
                given = [
                    te.select(te.as_expr(begin.shape[0], te.INDEX) > k, te.cast(t(k), te.INDEX), d)
                    for t, d in ((begin, te.const(0)), (end, te.as_expr(size, te.INDEX)))
                ]
                # A dimension that is not named is whole.
                step = te.select(
                    te.as_expr(strides.shape[0], te.INDEX) > k,
                    te.cast(strides(k), te.INDEX),
                    te.const(1),
                )
                hit, place = _in_slice(at, te.as_expr(size, te.INDEX), given, step)
                hits += [hit, place < available]
                places.append(inside(place, available))
            return te.select(te.both(*hits), v(*places), data(*i))

        return te.compute(data.shape, element, "strided_set")

    def reference(self, data: Array, v: Array, begin: Array, end: Array, strides: Array) -> Array:
        if np.any(strides == 0):
            raise InputError(f"{self.name}: a stride is 0")
        part = tuple(
            slice(int(b), int(e), int(s)) for b, e, s in zip(begin, end, strides, strict=True)
        )
        result = np.array(data)
        if result[part].shape != v.shape:
            raise InputError(
                f"{self.name}: the slice is of shape {result[part].shape}, v of {v.shape}"
            )
        result[part] = v
        return result

    def gradient(
        self, grad: Expr, result: Expr, data: Expr, v: Expr, begin: Expr, end: Expr, strides: Expr
    ) -> Gradients:
        rest = (begin, end, strides)
        part = make("reshape_like", make("dyn.strided_slice", grad, *rest), v)
        return make(self.name, grad, make("zeros_like", v), *rest), part, None, None, None


def _in_slice(
    at: te.Expr, size: te.Expr, ends: Sequence[te.Expr], step: te.Expr
) -> tuple[te.Expr, te.Expr]:
    """Whether position `at` is in a slice of a dimension of `size`, and which of it it is."""
    forward = step > 0
    low, high = te.select(forward, 0, -1), te.select(forward, size, size - 1)
    start, stop = (te.clamp(te.select(e < 0, e + size, e), low, high) for e in ends)
    distance = te.select(forward, at - start, start - at)
    before = te.select(forward, at < stop, at > stop)
    pace = te.maximum(te.select(forward, step, -step), 1)
    regular = te.equal(distance % pace, 0)
    moves = te.either(forward, step < 0)
    return te.both(moves, distance >= 0, before, regular), distance // pace


@operator("matrix_set_diag", inputs=("input", "diagonal"), pattern=Pattern.INJECTIVE, level=10)
class MatrixSetDiag(Operator):
    """Matrices (.., M, N) with the diagonals `k1` to `k2` set to what is in `diagonal`.

    Diagonal 0 is the main one, above it positive. `diagonal` is (.., length) for one of them, else
    (.., diagonals, length), the uppermost first. Shorter ones than the longest are at the right of
    their row or, without `super_diag_right_align` (diagonals above) or `sub_diag_right_align`
    (below), at the left. As TensorFlow's ``MatrixSetDiagV3``.
    """

    takes_small = True

    k1: int = 0
    k2: int = 0
    super_diag_right_align: bool = True
    sub_diag_right_align: bool = False

    def __post_init__(self) -> None:
        put(self, "super_diag_right_align", bool(self.super_diag_right_align))
        put(self, "sub_diag_right_align", bool(self.sub_diag_right_align))
        if self.k1 > self.k2:
            raise ValueError(f"k1 must not be above k2, found {self.k1} and {self.k2}")

    def infer(self, input: Type, diagonal: Type) -> Type:
        x = expect_tensor(self.name, "input", input)
        d = expect_tensor(self.name, "diagonal", diagonal)
        expect_same_dtype(self.name, x, d)
        if len(x.shape) < 2:
            raise TypeInferenceError(f"{self.name}: expected matrices for input, found {x}")
        rows, columns = x.shape[-2:]
        wanted: tuple[Dim, ...] = x.shape[:-2]
        if self.k1 != self.k2:
            wanted = (*wanted, self.k2 - self.k1 + 1)
        longest: Dim = Any()
        if isinstance(rows, int) and isinstance(columns, int):
            if not (-rows < self.k1 or rows == 0) or not (self.k2 < columns or columns == 0):
                raise TypeInferenceError(
                    f"{self.name}: {x} has diagonals {1 - rows} to {columns - 1}, found {self.k1} "
                    f"to {self.k2}"
                )
            longest = max(0, min(rows + min(self.k2, 0), columns - max(self.k1, 0)))
        wanted = (*wanted, longest)
        if len(wanted) != len(d.shape):
            raise TypeInferenceError(
                f"{self.name}: for {x} the diagonals must be of {show(wanted)}, found {d}"
            )
        for a, b in zip(wanted, d.shape, strict=True):
            unify_dim(self.name, a, b, f"the sizes of {d} and {show(wanted)}, which is expected,")
        return x

    def compute(self, input: te.Tensor, diagonal: te.Tensor) -> te.Tensor:
        rows, columns = input.shape[-2:]
        longest = diagonal.shape[-1]

        def element(*i: te.Var) -> te.Expr:
            row, column = i[-2:]
            k = column - row
            above, below = te.maximum(k, 0), te.minimum(k, 0)
            length = te.minimum(below + rows, te.as_expr(columns, te.INDEX) - above)
            right = te.select(
                k > 0,
                te.const(self.super_diag_right_align, te.BOOL),
                te.const(self.sub_diag_right_align, te.BOOL),
            )
            place = column - above + te.select(right, longest - length, te.const(0))
            lead: list[te.Operand] = [*i[:-2]]
            if self.k1 != self.k2:
                lead.append(te.clamp(self.k2 - k, 0, self.k2 - self.k1))
            hit = te.both(k >= self.k1, k <= self.k2)
            return te.select(hit, diagonal(*lead, inside(place, longest)), input(*i))

        return te.compute(input.shape, element, "matrix_set_diag")

    def _places(self, rows: int, columns: int) -> list[tuple[int, int, int, int]]:
        """Diagonal and place in it, row and column, of all elements that are set."""
        longest = min(rows + min(self.k2, 0), columns - max(self.k1, 0))
        found: list[tuple[int, int, int, int]] = []
        for k in range(self.k1, self.k2 + 1):
            length = min(rows + min(k, 0), columns - max(k, 0))
            right = self.super_diag_right_align if k > 0 else self.sub_diag_right_align
            offset = longest - length if right else 0
            for n in range(length):
                found.append((self.k2 - k, n + offset, n - min(k, 0), n + max(k, 0)))
        return found

    def reference(self, input: Array, diagonal: Array) -> Array:
        result = np.array(input)
        band = diagonal if self.k1 != self.k2 else diagonal[..., None, :]
        for which, place, row, column in self._places(*input.shape[-2:]):
            result[..., row, column] = band[..., which, place]
        return result

    def gradient(self, grad: Expr, result: Expr, input: Expr, diagonal: Expr) -> Gradients:
        shape, band = known_shape(self.name, input), known_shape(self.name, diagonal)
        rows, columns = shape[-2:]
        count, longest = self.k2 - self.k1 + 1, band[-1]
        chosen, known = np.zeros((count, longest), "int64"), np.zeros((count, longest))
        for which, place, row, column in self._places(rows, columns):
            chosen[which, place], known[which, place] = row * columns + column, 1
        flat = reshaped(grad, (math.prod(shape[:-2]), rows * columns))
        read = make("take", flat, const(chosen, "int64"), axis=1) * matrix_of(known, grad)
        return make(self.name, grad, make("zeros_like", diagonal), **vars(self)), reshaped(
            read, band
        )
