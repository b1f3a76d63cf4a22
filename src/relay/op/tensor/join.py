"""Operators on tuples of tensors: join them, or cut one into several."""

import itertools
from collections.abc import Callable
from typing import Final

import numpy as np

from relay import te
from relay.ir.expr import Expr, Tuple
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, TupleType, Type
from relay.op.gradients import (
    field,
    fields_of,
    known_shape,
    make,
    rank_of,
    reshaped_like,
    sum_over,
)
from relay.op.shapes import (
    as_ints,
    expect_same_dtype,
    expect_tensors,
    normalize_axis,
    put,
    replaced,
    unify_dim,
)
from relay.support.errors import TypeInferenceError


def _choose(
    piece: Callable[[int], te.Expr], before: Callable[[int], te.Expr], first: int, end: int
) -> te.Expr:
    """The one of the pieces `first` to `end` that an index falls into.

    ``before(k)`` tells whether the index lies before piece `k`. The choice is a balanced tree, so
    that it takes ``log n`` questions.
    """
    if end - first == 1:
        return piece(first)
    middle = (first + end) // 2
    left = _choose(piece, before, first, middle)
    return te.select(before(middle), left, _choose(piece, before, middle, end))


MAX_PARTS: Final = 65_536
"""Parts that one split may have: a type of that many fields is made before there is any data."""


@operator("concatenate", inputs=("data",), pattern=Pattern.INJECTIVE)
class Concatenate(Operator):
    """The tensors of the tuple `data` one after another along `axis`.

    They have one data type and equal sizes in the other dimensions.
    """

    takes_small = True
    axis: int = 0

    def infer(self, data: Type) -> Type:
        tensors = expect_tensors(self.name, "data", data)
        first = tensors[0]
        axis = normalize_axis(self.name, self.axis, len(first.shape))
        shape = list(first.shape)
        for other in tensors[1:]:
            expect_same_dtype(self.name, first, other)
            if len(other.shape) != len(shape):
                raise TypeInferenceError(
                    f"{self.name}: all tensors must have one rank, found {first} and {other}"
                )
            for k, size in enumerate(other.shape):
                if k == axis:
                    total = shape[k]
                    if isinstance(total, int) and isinstance(size, int):
                        shape[k] = total + size
                    else:
                        shape[k] = Any()
                else:
                    shape[k] = unify_dim(self.name, shape[k], size, f"the sizes of dimension {k}")
        return TensorType(shape, first.dtype)

    def compute(self, data: tuple[te.Tensor, ...]) -> te.Tensor:
        axis = self.axis % data[0].ndim
        starts: list[te.Dim] = [0]
        for tensor in data:
            starts.append(te.as_expr(starts[-1], te.INDEX) + tensor.shape[axis])

        def element(*out: te.Expr) -> te.Expr:
            def piece(k: int) -> te.Expr:
                return data[k](*replaced(out, axis, out[axis] - starts[k]))

            return _choose(piece, lambda k: out[axis] < starts[k], 0, len(data))

        shape = [*data[0].shape[:axis], starts[-1], *data[0].shape[axis + 1 :]]
        return te.compute(shape, element, "concatenate")

    def reference(self, data: tuple[Array, ...]) -> Array:
        return np.concatenate(data, axis=self.axis)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        rank = rank_of(field(data, 0))
        sizes = [known_shape(self.name, field(data, k)) for k in range(fields_of(data))]
        ends = tuple(itertools.accumulate(s[self.axis % rank] for s in sizes))
        return (make("split", grad, indices_or_sections=ends[:-1], axis=self.axis),)


@operator("stack", inputs=("data",), pattern=Pattern.INJECTIVE, level=3)
class Stack(Operator):
    """The tensors of the tuple `data`, all of one type, along a new dimension `axis`."""

    takes_small = True
    axis: int = 0

    def infer(self, data: Type) -> Type:
        first, *others = expect_tensors(self.name, "data", data)
        axis = normalize_axis(self.name, self.axis, len(first.shape) + 1)
        shape = list(first.shape)
        for other in others:
            expect_same_dtype(self.name, first, other)
            if len(other.shape) != len(shape):
                raise TypeInferenceError(
                    f"{self.name}: all tensors must have one shape, found {first} and {other}"
                )
            for k, size in enumerate(other.shape):
                shape[k] = unify_dim(self.name, shape[k], size, f"the sizes of dimension {k}")
        return TensorType([*shape[:axis], len(others) + 1, *shape[axis:]], first.dtype)

    def compute(self, data: tuple[te.Tensor, ...]) -> te.Tensor:
        axis = self.axis % (data[0].ndim + 1)

        def element(*out: te.Expr) -> te.Expr:
            rest = (*out[:axis], *out[axis + 1 :])
            return _choose(lambda k: data[k](*rest), lambda k: out[axis] < k, 0, len(data))

        shape = [*data[0].shape[:axis], len(data), *data[0].shape[axis:]]
        return te.compute(shape, element, "stack")

    def reference(self, data: tuple[Array, ...]) -> Array:
        return np.stack(data, axis=self.axis)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        count = fields_of(data)
        axis = self.axis % (rank_of(field(data, 0)) + 1)
        parts = make("split", grad, indices_or_sections=count, axis=axis)
        return (Tuple([make("squeeze", field(parts, k), axis=(axis,)) for k in range(count)]),)


@operator("split", inputs=("data",), pattern=Pattern.INJECTIVE, level=3)
class Split(Operator):
    """The tuple of parts of `data` along `axis`.

    `indices_or_sections` is the number of equal parts, or a tuple of the positions to cut at.
    """

    takes_small = True

    indices_or_sections: int | tuple[int, ...]
    axis: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.indices_or_sections, int):
            put(self, "indices_or_sections", as_ints(self.indices_or_sections))

    def bounds(self, size: int) -> list[tuple[int, int]]:
        """First position and the one after the last of each part of a dimension of `size`."""
        cuts = self.indices_or_sections
        if isinstance(cuts, int):
            if cuts < 1 or size % cuts:
                raise TypeInferenceError(
                    f"{self.name}: size {size} of dimension {self.axis} cannot be split into "
                    f"{cuts} equal parts"
                )
            part = size // cuts
            return [(k * part, (k + 1) * part) for k in range(cuts)]
        ends = [0, *cuts, size]
        if ends != sorted(ends):
            raise TypeInferenceError(
                f"{self.name}: positions must ascend within 0 .. {size}, found {cuts}"
            )
        return list(itertools.pairwise(ends))

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        axis = normalize_axis(self.name, self.axis, len(tensor.shape))
        size = tensor.shape[axis]
        cuts = self.indices_or_sections
        if isinstance(cuts, int) and not 1 <= cuts <= MAX_PARTS:
            raise TypeInferenceError(
                f"{self.name}: expected 1 to {MAX_PARTS} equal parts, found {cuts}"
            )
        sizes: list[Dim]
        if isinstance(size, int):
            sizes = [b - a for a, b in self.bounds(size)]
        elif isinstance(cuts, int):
            sizes = [Any()] * cuts
        else:
            starts = (0, *cuts)
            sizes = [b - a for a, b in itertools.pairwise(starts)] + [Any()]
        shapes = [(*tensor.shape[:axis], s, *tensor.shape[axis + 1 :]) for s in sizes]
        return TupleType([TensorType(s, tensor.dtype) for s in shapes])

    def compute(self, data: te.Tensor) -> tuple[te.Tensor, ...]:
        axis = self.axis % data.ndim

        def part(start: te.Dim, size: te.Dim) -> te.Tensor:
            shape = [*data.shape[:axis], size, *data.shape[axis + 1 :]]
            return te.compute(shape, lambda *i: data(*replaced(i, axis, i[axis] + start)), "split")

        size = data.shape[axis]
        if isinstance(size, int):
            return tuple(part(a, b - a) for a, b in self.bounds(size))
        if isinstance(self.indices_or_sections, int):
            each = size // self.indices_or_sections
            return tuple(part(each * k, each) for k in range(self.indices_or_sections))
        starts = (0, *self.indices_or_sections)
        sizes: list[te.Dim] = [b - a for a, b in itertools.pairwise(starts)]
        return tuple(map(part, starts, [*sizes, size - starts[-1]]))

    def reference(self, data: Array) -> tuple[Array, ...]:
        cuts = self.indices_or_sections
        return tuple(np.split(data, cuts if isinstance(cuts, int) else list(cuts), axis=self.axis))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (make("concatenate", grad, axis=self.axis),)


@operator("meshgrid", inputs=("data",), pattern=Pattern.INJECTIVE, level=3)
class Meshgrid(Operator):
    """The coordinates of a grid from the tuple of vectors (or scalars) `data`: a tuple, one each.

    With `indexing` ``"ij"`` dimension `k` of the grid follows vector `k`; ``"xy"`` swaps the first
    two dimensions.
    """

    takes_small = True
    indexing: str = "ij"

    def __post_init__(self) -> None:
        if self.indexing not in ("ij", "xy"):
            raise ValueError(f'indexing must be "ij" or "xy", found {self.indexing!r}')

    def _order(self, count: int) -> list[int]:
        """The vector that each dimension of the grid follows."""
        order = list(range(count))
        if self.indexing == "xy" and count > 1:
            order[0], order[1] = 1, 0
        return order

    def infer(self, data: Type) -> Type:
        tensors = expect_tensors(self.name, "data", data)
        if any(len(t.shape) > 1 for t in tensors):
            raise TypeInferenceError(f"{self.name}: expected vectors or scalars, found {data}")
        for tensor in tensors:
            expect_same_dtype(self.name, tensors[0], tensor)
        sizes = [t.shape[0] if t.shape else 1 for t in tensors]
        grid = TensorType([sizes[k] for k in self._order(len(sizes))], tensors[0].dtype)
        return TupleType([grid] * len(tensors))

    def compute(self, data: tuple[te.Tensor, ...]) -> tuple[te.Tensor, ...]:
        order = self._order(len(data))
        shape = [data[k].shape[0] if data[k].ndim else 1 for k in order]

        def grid(tensor: te.Tensor, dimension: int) -> te.Tensor:
            return te.compute(shape, lambda *i: tensor(*(i[dimension],)[: tensor.ndim]), "meshgrid")

        return tuple(grid(t, order.index(k)) for k, t in enumerate(data))

    def reference(self, data: tuple[Array, ...]) -> tuple[Array, ...]:
        swapped = self.indexing == "xy"
        grids = np.meshgrid(*data, indexing="xy") if swapped else np.meshgrid(*data, indexing="ij")
        return tuple(np.array(g) for g in grids)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        order = self._order(fields_of(data))
        gradients: list[Expr] = []
        for k in range(len(order)):
            others = [d for d, vector in enumerate(order) if vector != k]
            gradients.append(reshaped_like(sum_over(field(grad, k), others), field(data, k)))
        return (Tuple(gradients),)
