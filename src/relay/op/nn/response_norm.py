"""Normalisations by the size of the data: over axes, and over neighbours."""

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, as_array, operator
from relay.ir.types import Type
from relay.op.gradients import make, masked, number, rank_of, scaled, sum_over, tensor_of
from relay.op.shapes import expect_kind, normalize_axes, normalize_axis, put_ints
from relay.support.errors import TypeInferenceError


@operator("nn.l2_normalize", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2)
class L2Normalize(Operator):
    """``x / sqrt(max(sum(x * x), eps))`` over the axes `axis`; None is all axes."""

    eps: float
    axis: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        put_ints(self, "axis")

    def infer(self, data: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        normalize_axes(self.name, self.axis, len(x.shape))
        return x

    def compute(self, data: te.Tensor) -> te.Tensor:
        axes = normalize_axes(self.name, self.axis, data.ndim)
        reduced = {k: te.reduce_axis(data.shape[k], f"k{k}") for k in axes}
        kept = [k for k in range(data.ndim) if k not in reduced]

        def squares(*i: te.Expr) -> te.Expr:
            rest = iter(i)
            x = data(*(reduced[k].var if k in reduced else next(rest) for k in range(data.ndim)))
            return te.reduce_sum(x * x, tuple(reduced.values()))

        total = te.compute([data.shape[k] for k in kept], squares, "l2_normalize_squares")

        def element(*i: te.Expr) -> te.Expr:
            bounded = te.maximum(total(*(i[k] for k in kept)), self.eps)
            return data(*i) / te.unary("sqrt", bounded)

        return te.compute(data.shape, element, "l2_normalize")

    def reference(self, data: Array) -> Array:
        total = np.sum(data * data, axis=self.axis, keepdims=True)
        return as_array((data / np.sqrt(np.maximum(total, self.eps))).astype(data.dtype))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        axes = normalize_axes(self.name, self.axis, rank_of(data))
        total = sum_over(data * data, axes, keepdims=True)
        limit = number(self.eps, data)
        inverse = make("rsqrt", make("maximum", total, limit))
        along = masked(total > limit, sum_over(grad * result, axes, keepdims=True))
        return ((grad - result * along) * inverse,)


def _neighbours(value: Expr, axis: int, half: int) -> Expr:
    """The sum of the elements of `value` up to `half` away along `axis`."""
    rank, size = rank_of(value), tensor_of(value).shape[axis]
    around = tuple((half, half) if k == axis else (0, 0) for k in range(rank))
    padded = make("nn.pad", value, number(0, value), pad_width=around)
    total: Expr | None = None
    for k in range(2 * half + 1):
        end = k + size if isinstance(size, int) else k - 2 * half or np.iinfo("int64").max
        part = make("strided_slice", padded, begin=(k,), end=(end,), axes=(axis,))
        total = part if total is None else total + part
    assert total is not None
    return total


@operator("nn.lrn", inputs=("data",), pattern=Pattern.OPAQUE, level=2)
class LRN(Operator):
    """Local response normalisation over `size` neighbours along `axis`.

    ``x / (bias + alpha / size * sum of squares of the neighbours) ** beta``.
    Source: Krizhevsky, Sutskever and Hinton, 2012.
    """

    size: int = 5
    axis: int = 1
    bias: float = 2.0
    alpha: float = 1e-5
    beta: float = 0.75

    def infer(self, data: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        normalize_axis(self.name, self.axis, len(x.shape))
        if self.size < 1 or self.size % 2 == 0:
            raise TypeInferenceError(f"{self.name}: size must be odd, found {self.size}")
        return x

    def compute(self, data: te.Tensor) -> te.Tensor:
        axis = self.axis % data.ndim
        half = self.size // 2
        k = te.reduce_axis(self.size, "k")
        extent = data.shape[axis]

        def padded(*i: te.Var) -> te.Expr:
            at = i[axis] - half
            inside = te.both(at >= 0, at < extent)
            x = data(*i[:axis], at, *i[axis + 1 :])
            return te.select(inside, x * x, te.const(0, data.dtype))

        shape = [s + 2 * half if d == axis else s for d, s in enumerate(data.shape)]
        squares = te.compute(shape, padded, "pad")
        total = te.compute(
            data.shape,
            lambda *i: te.reduce_sum(squares(*i[:axis], i[axis] + k.var, *i[axis + 1 :]), k),
            "lrn_sum",
        )

        def element(*i: te.Var) -> te.Expr:
            base = total(*i) * (self.alpha / self.size) + self.bias
            return data(*i) / te.power(base, self.beta)

        return te.compute(data.shape, element, "lrn")

    def reference(self, data: Array) -> Array:
        if data.size == 0:
            return data
        moved = np.moveaxis(data, self.axis, -1)
        half = self.size // 2
        padded = np.pad(moved * moved, [(0, 0)] * (data.ndim - 1) + [(half, half)])
        view = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=-1)
        base = self.bias + self.alpha / self.size * view.sum(-1)
        y = np.moveaxis(moved / base**self.beta, -1, self.axis)
        return as_array(y.astype(data.dtype))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        rank = rank_of(data)
        axis, half = self.axis % rank, self.size // 2
        share = self.alpha / self.size
        squares = _neighbours(data * data, axis, half)
        base = scaled(squares, share) + number(self.bias, data)
        power = make("power", base, number(-self.beta, data))
        around = _neighbours(grad * data * power / base, axis, half)
        return (grad * power - scaled(data * around, 2 * share * self.beta),)
