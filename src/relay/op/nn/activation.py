"""Activation functions, softmax and dropout."""

from collections.abc import Callable

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import LayoutChange, LayoutPlan
from relay.ir.op import Array, Gradients, Operator, Pattern, as_array, expect_tensor, operator
from relay.ir.types import TensorType, TupleType, Type
from relay.op.gradients import (
    field,
    make,
    masked,
    number,
    rank_of,
    scaled,
    sum_over,
    sum_to_vector,
    vector_along,
)
from relay.op.nn.common import dims_agree
from relay.op.shapes import expect_kind, normalize_axis
from relay.support.errors import TypeInferenceError


@operator("nn.relu", inputs=("data",), pattern=Pattern.ELEMWISE, level=1)
class Relu(Operator):
    """Rectified linear unit: ``max(x, 0)``."""

    def infer(self, data: Type) -> Type:
        return expect_kind(self.name, "data", data, "number")

    def compute(self, data: te.Tensor) -> te.Tensor:
        return te.compute(data.shape, lambda *i: te.maximum(data(*i), 0), "relu")

    def reference(self, data: Array) -> Array:
        return np.maximum(data, np.zeros((), data.dtype))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (masked(data > number(0, data), grad),)


@operator("nn.leaky_relu", inputs=("data",), pattern=Pattern.ELEMWISE, level=3)
class LeakyRelu(Operator):
    """``x`` where x > 0, else ``alpha * x``."""

    alpha: float = 0.01

    def infer(self, data: Type) -> Type:
        return expect_kind(self.name, "data", data, "float")

    def compute(self, data: te.Tensor) -> te.Tensor:
        def element(*i: te.Var) -> te.Expr:
            x = data(*i)
            return te.select(x > 0, x, x * self.alpha)

        return te.compute(data.shape, element, "leaky_relu")

    def reference(self, data: Array) -> Array:
        return np.where(data > 0, data, data * data.dtype.type(self.alpha))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (make("where", data > number(0, data), grad, scaled(grad, self.alpha)),)


@operator("nn.prelu", inputs=("data", "alpha"), pattern=Pattern.BROADCAST, level=3)
class PRelu(Operator):
    """``x`` where x > 0, else ``alpha * x``, with one `alpha` per element of `axis`."""

    axis: int = 1

    def infer(self, data: Type, alpha: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        a = expect_tensor(self.name, "alpha", alpha)
        axis = normalize_axis(self.name, self.axis, len(x.shape))
        fits = len(a.shape) == 1 and dims_agree(a.shape[0], x.shape[axis]) and a.dtype == x.dtype
        if not fits:
            raise TypeInferenceError(
                f"{self.name}: axis {axis} of {x} needs an alpha of the same size and data type, "
                f"found {a}"
            )
        return x

    def compute(self, data: te.Tensor, alpha: te.Tensor) -> te.Tensor:
        axis = self.axis % data.ndim

        def element(*i: te.Var) -> te.Expr:
            x = data(*i)
            return te.select(x > 0, x, x * alpha(i[axis]))

        return te.compute(data.shape, element, "prelu")

    def reference(self, data: Array, alpha: Array) -> Array:
        shape = [1] * data.ndim
        shape[self.axis] = -1
        return np.where(data > 0, data, data * alpha.reshape(shape))

    def gradient(self, grad: Expr, result: Expr, data: Expr, alpha: Expr) -> Gradients:
        positive = data > number(0, data)
        slope = vector_along(alpha, self.axis, rank_of(data))
        by_alpha = make("where", positive, number(0, data), grad * data)
        return make("where", positive, grad, grad * slope), sum_to_vector(by_alpha, self.axis)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """As long as the axis of alpha stays whole, only its position changes."""
        change = incoming[0]
        if change is None:
            return None
        letter = change.source.axes[self.axis].letter
        if change.target.factors(letter):
            return None
        plan = PRelu(axis=change.target.position(letter))
        return LayoutPlan(plan, (change, None), (change,))


class _Softmax(Operator):
    """Base of the operators that normalise along one axis."""

    axis: int

    def infer(self, data: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        normalize_axis(self.name, self.axis, len(x.shape))
        return x


class _Rows:
    """The rows of a tensor along one axis: reductions of them, and reading per-row values."""

    def __init__(self, data: te.Tensor, axis: int) -> None:
        self.data = data
        self.axis = axis % data.ndim
        self.shape = [s for k, s in enumerate(data.shape) if k != self.axis]

    def row(self, indices: tuple[te.Expr, ...]) -> tuple[te.Expr, ...]:
        """The indices less that of the axis."""
        return indices[: self.axis] + indices[self.axis + 1 :]

    def reduce(
        self,
        combine: Callable[[te.Expr, te.Axis], te.Expr],
        element: Callable[[tuple[te.Expr, ...]], te.Expr],
        name: str,
    ) -> te.Tensor:
        """One value a row: `element` at all indices of the row, combined."""
        k = te.reduce_axis(self.data.shape[self.axis], "k")

        def body(*i: te.Expr) -> te.Expr:
            return combine(element((*i[: self.axis], k.var, *i[self.axis :])), k)

        return te.compute(self.shape, body, name)


@operator("nn.softmax", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=1)
class Softmax(_Softmax):
    """``exp(x) / sum(exp(x))`` along `axis`, computed on ``x - max(x)``.

    Fuses as an operator whose result may be transformed element by element (Relay has it opaque).
    """

    axis: int = -1

    def compute(self, data: te.Tensor) -> te.Tensor:
        return _softmax(data, self.axis)

    def reference(self, data: Array) -> Array:
        shifted = np.exp(data - data.max(axis=self.axis, keepdims=True, initial=-np.inf))
        return as_array(shifted / shifted.sum(axis=self.axis, keepdims=True))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (_softmax_gradient(grad, result, self.axis),)


@operator("nn.fast_softmax", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=1)
class FastSoftmax(_Softmax):
    """`nn.softmax` where precision may be traded for speed; here they are computed alike."""

    axis: int = -1

    def compute(self, data: te.Tensor) -> te.Tensor:
        return _softmax(data, self.axis)

    def reference(self, data: Array) -> Array:
        shifted = np.exp(data - data.max(axis=self.axis, keepdims=True, initial=-np.inf))
        return as_array(shifted / shifted.sum(axis=self.axis, keepdims=True))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (_softmax_gradient(grad, result, self.axis),)


def _softmax(data: te.Tensor, axis: int) -> te.Tensor:
    rows = _Rows(data, axis)
    top = rows.reduce(te.reduce_max, lambda i: data(*i), "softmax_max")
    powers = te.compute(
        data.shape, lambda *i: te.unary("exp", data(*i) - top(*rows.row(i))), "softmax_exp"
    )
    total = rows.reduce(te.reduce_sum, lambda i: powers(*i), "softmax_sum")
    return te.compute(data.shape, lambda *i: powers(*i) / total(*rows.row(i)), "softmax")


def _softmax_gradient(grad: Expr, result: Expr, axis: int) -> Expr:
    product = grad * result
    return product - result * sum_over(product, (axis,), keepdims=True)


@operator("nn.log_softmax", inputs=("data",), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=1)
class LogSoftmax(_Softmax):
    """``log(softmax(x))`` along `axis`, computed as ``x - max(x) - log(sum(exp(x - max(x))))``."""

    axis: int = -1

    def compute(self, data: te.Tensor) -> te.Tensor:
        rows = _Rows(data, self.axis)
        top = rows.reduce(te.reduce_max, lambda i: data(*i), "log_softmax_max")
        shifted = te.compute(
            data.shape, lambda *i: data(*i) - top(*rows.row(i)), "log_softmax_shifted"
        )
        total = rows.reduce(
            te.reduce_sum, lambda i: te.unary("exp", shifted(*i)), "log_softmax_sum"
        )
        return te.compute(
            data.shape,
            lambda *i: shifted(*i) - te.unary("log", total(*rows.row(i))),
            "log_softmax",
        )

    def reference(self, data: Array) -> Array:
        shifted = data - data.max(axis=self.axis, keepdims=True, initial=-np.inf)
        return as_array(shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True)))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        total = sum_over(grad, (self.axis,), keepdims=True)
        return (grad - make("exp", result) * total,)


@operator("nn.dropout", inputs=("data",), pattern=Pattern.OPAQUE, level=1)
class Dropout(Operator):
    """Dropout as it is at inference: the data itself, and a mask of ones.

    `rate` is the share of elements that training drops. The result is a tuple (data, mask).
    """

    rate: float = 0.5

    def infer(self, data: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        return TupleType((x, TensorType(x.shape, x.dtype)))

    def compute(self, data: te.Tensor) -> tuple[te.Tensor, te.Tensor]:
        kept = te.compute(data.shape, lambda *i: data(*i), "dropout")
        mask = te.compute(data.shape, lambda *_: te.const(1, data.dtype), "dropout_mask")
        return kept, mask

    def reference(self, data: Array) -> tuple[Array, Array]:
        return data, np.ones_like(data)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (field(grad, 0),)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout."""
        return LayoutPlan(self, (incoming[0],), (incoming[0], incoming[0]))
