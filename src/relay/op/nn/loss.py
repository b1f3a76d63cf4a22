"""Losses: what training makes small."""

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import make, number, tensor_of
from relay.op.nn.common import dims_agree
from relay.op.shapes import expect_kind, te_size
from relay.support.errors import TypeInferenceError


class _CrossEntropy(Operator):
    """Base of the cross entropies of (batch, classes) tensors: a scalar, the mean of the batch."""

    def infer(self, predictions: Type, targets: Type) -> Type:
        x = expect_kind(self.name, "predictions", predictions, "float")
        y = expect_kind(self.name, "targets", targets, "float")
        fits = len(x.shape) == len(y.shape) == 2 and all(map(dims_agree, x.shape, y.shape))
        if not fits or x.dtype != y.dtype:
            raise TypeInferenceError(
                f"{self.name}: predictions and targets must be (batch, classes) tensors of one "
                f"shape and data type, found {x} and {y}"
            )
        return TensorType((), x.dtype)

    def _mean(self, predictions: te.Tensor, targets: te.Tensor, logarithm: bool) -> te.Tensor:
        batch, classes = (
            te.reduce_axis(s, name) for s, name in zip(predictions.shape, "nk", strict=True)
        )

        def total() -> te.Expr:
            x = predictions(batch.var, classes.var)
            x = te.unary("log", x) if logarithm else x
            return te.reduce_sum(x * targets(batch.var, classes.var), (batch, classes))

        summed = te.compute((), total, "cross_entropy_sum")
        count = te.cast(te_size(predictions.shape[:1]), predictions.dtype)
        return te.compute((), lambda: -summed() / count, "cross_entropy")


def _share(grad: Expr, predictions: Expr) -> Expr:
    """`grad` with its sign turned, divided by the number of rows."""
    rows = tensor_of(predictions).shape[0]
    if isinstance(rows, int):
        return grad / number(-rows, grad)
    counts = make("sum", make("ones_like", predictions), axis=(0,))
    return make("negative", grad / make("max", counts))


@operator("nn.cross_entropy", inputs=("predictions", "targets"), pattern=Pattern.OPAQUE, level=10)
class CrossEntropy(_CrossEntropy):
    """``-sum(log(predictions) * targets) / batch``; `predictions` are probabilities.

    Both are (batch, classes); a row of `targets` is a distribution, such as a one-hot vector.
    """

    def compute(self, predictions: te.Tensor, targets: te.Tensor) -> te.Tensor:
        return self._mean(predictions, targets, logarithm=True)

    def reference(self, predictions: Array, targets: Array) -> Array:
        total = -np.sum(np.log(predictions) * targets) / predictions.shape[0]
        return np.asarray(total, dtype=predictions.dtype)

    def gradient(self, grad: Expr, result: Expr, predictions: Expr, targets: Expr) -> Gradients:
        share = _share(grad, predictions)
        return share * targets / predictions, share * make("log", predictions)


@operator(
    "nn.cross_entropy_with_logits",
    inputs=("predictions", "targets"),
    pattern=Pattern.OPAQUE,
    level=10,
)
class CrossEntropyWithLogits(_CrossEntropy):
    """``-sum(predictions * targets) / batch``; `predictions` are logarithms of probabilities.

    Both are (batch, classes). `predictions` are what `nn.log_softmax` gives: Relay takes "logits"
    to be normalised already.
    """

    def compute(self, predictions: te.Tensor, targets: te.Tensor) -> te.Tensor:
        return self._mean(predictions, targets, logarithm=False)

    def reference(self, predictions: Array, targets: Array) -> Array:
        total = -np.sum(predictions * targets) / predictions.shape[0]
        return np.asarray(total, dtype=predictions.dtype)

    def gradient(self, grad: Expr, result: Expr, predictions: Expr, targets: Expr) -> Gradients:
        share = _share(grad, predictions)
        return share * targets, share * predictions
