"""Tensors: placeholders, and tensors computed element by element from other tensors."""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias, final

from relay.te.expr import INDEX, Axis, Expr, Operand, Reduce, Var, as_expr, constant_value
from relay.te.walk import post_order

if TYPE_CHECKING:
    from relay.te.ordered import Ordered

Dim: TypeAlias = int | Expr


@final
class Tensor:
    """A tensor of `shape` and `dtype`. Its identity is the object.

    A placeholder has no `body`; otherwise element ``[axes]`` is `body`, or it is a result of the
    program `ordered`. A `stage` is always computed apart, into memory of its own; others may be
    computed again wherever they are read.
    """

    __slots__ = ("axes", "body", "dtype", "name", "ordered", "shape", "stage")

    def __init__(
        self,
        name: str,
        shape: Sequence[Dim],
        dtype: str,
        axes: Sequence[Axis] = (),
        body: Expr | None = None,
        stage: bool = False,
        ordered: "Ordered | None" = None,
    ) -> None:
        self.name = name
        self.stage = stage
        self.shape: tuple[Dim, ...] = tuple(
            d if (c := constant_value(d)) is None else c for d in shape
        )
        self.dtype = dtype
        self.axes = tuple(axes)
        self.body = body
        self.ordered = ordered

    @property
    def sources(self) -> "list[Tensor]":
        """The tensors that this one is computed from, one for each read."""
        if self.ordered is not None:
            return list(self.ordered.inputs)
        if self.body is None:
            return []
        return [e.tensor for e in post_order(self.body) if isinstance(e, Read)]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def static_shape(self) -> tuple[int, ...]:
        """The shape as integers; raises `ValueError` when a dimension is symbolic."""
        sizes = [d for d in self.shape if isinstance(d, int)]
        if len(sizes) != len(self.shape):
            raise ValueError(f"the shape of {self.name} is not static")
        return tuple(sizes)

    def __getitem__(self, indices: "Operand | tuple[Operand, ...]") -> Expr:
        return self(*(indices if isinstance(indices, tuple) else (indices,)))

    def __call__(self, *indices: Operand) -> Expr:
        """The element at `indices` (index expressions or integers)."""
        return Read(self, [as_expr(i, INDEX) for i in indices])


@final
class Read(Expr):
    """The element of `tensor` at `indices` (``int64``)."""

    __slots__ = ("indices", "tensor")

    def __init__(self, tensor: Tensor, indices: Sequence[Expr]) -> None:
        assert len(indices) == tensor.ndim, f"{tensor.name} has {tensor.ndim} dimensions"
        assert all(i.dtype == INDEX for i in indices), "indices are int64"
        self.tensor = tensor
        self.indices = tuple(indices)
        self.dtype = tensor.dtype

    def children(self) -> tuple[Expr, ...]:
        return self.indices

    @property
    def place(self) -> object:
        return self.tensor

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        if all(a is b for a, b in zip(self.indices, children, strict=True)):
            return self
        return Read(self.tensor, children)


def placeholder(shape: Sequence[Dim], dtype: str = "float32", name: str = "x") -> Tensor:
    """A tensor that is given from outside."""
    return Tensor(name, shape, dtype)


def compute(
    shape: Sequence[Dim], body: Callable[..., Operand], name: str = "t", *, stage: bool = False
) -> Tensor:
    """The tensor of `shape` whose element at indices ``i, j, ...`` is ``body(i, j, ...)``.

    `body` takes one index a dimension, by position; it may take them as ``*indices``. With `stage`
    the tensor is computed apart wherever it is used, however cheap its elements are.
    """
    parameters = list(inspect.signature(body).parameters.values())
    named = [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_POSITIONAL]
    names = named if len(named) == len(shape) else [f"i{k}" for k in range(len(shape))]
    axes = [Axis(Var(n), d) for n, d in zip(names, shape, strict=True)]
    element = as_expr(body(*(a.var for a in axes)), "float32")
    return Tensor(name, shape, element.dtype, axes, element, stage)


def reduce_axis(extent: Dim, name: str = "r") -> Axis:
    """A variable to reduce over, running over ``0 .. extent-1``."""
    return Axis(Var(name), extent)


def _over(axes: Axis | Sequence[Axis]) -> Sequence[Axis]:
    return (axes,) if isinstance(axes, Axis) else axes


def reduce_sum(body: Expr, axes: Axis | Sequence[Axis]) -> Expr:
    """Sum of `body` over `axes`."""
    return Reduce("sum", body, _over(axes))


def reduce_prod(body: Expr, axes: Axis | Sequence[Axis]) -> Expr:
    """Product of `body` over `axes`."""
    return Reduce("prod", body, _over(axes))


def reduce_max(body: Expr, axes: Axis | Sequence[Axis]) -> Expr:
    """Maximum of `body` over `axes`."""
    return Reduce("max", body, _over(axes))


def reduce_min(body: Expr, axes: Axis | Sequence[Axis]) -> Expr:
    """Minimum of `body` over `axes`."""
    return Reduce("min", body, _over(axes))


def reduce_any(body: Expr, axes: Axis | Sequence[Axis]) -> Expr:
    """Whether `body` holds anywhere over `axes`."""
    return Reduce("any", body, _over(axes))


def reduce_all(body: Expr, axes: Axis | Sequence[Axis]) -> Expr:
    """Whether `body` holds everywhere over `axes`."""
    return Reduce("all", body, _over(axes))


def flatten_index(indices: Sequence[Operand], shape: Sequence[Dim]) -> Expr:
    """The row-major position of `indices` in a tensor of `shape`."""
    position: Expr = as_expr(0, INDEX)
    for index, size in zip(indices, shape, strict=True):
        position = position * size + index
    return position


def unflatten_index(position: Expr, shape: Sequence[int]) -> tuple[Expr, ...]:
    """The indices of row-major `position` in a tensor of static `shape`."""
    indices: list[Expr] = []
    for k, size in enumerate(shape):
        inner = math.prod(shape[k + 1 :])
        index = position // inner
        indices.append(index % size if k else index)
    return tuple(indices)
