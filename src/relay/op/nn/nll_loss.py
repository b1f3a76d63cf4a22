"""The negative log likelihood of classes."""

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import (
    known_shape,
    make,
    number,
    number_of,
    reshaped,
    sum_over,
    sum_to_vector,
    tensor_of,
)
from relay.op.shapes import expect_kind, expect_same_dtype, unify_dim
from relay.op.tensor.index import check_inside, inside
from relay.support.errors import TypeInferenceError

_REDUCTIONS = ("mean", "sum", "none")


@operator(
    "nn.nll_loss",
    inputs=("predictions", "targets", "weights"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
)
class NLLLoss(Operator):
    """``-weights[t] * predictions[n, t, ..]`` with ``t = targets[n, ..]``.

    `predictions` are logarithms of probabilities, (batch, classes, ..); `targets` are classes,
    (batch, ..); `weights` is a vector with a factor for each class. `reduction` says what is made
    of the losses: their ``sum``, their ``mean`` (the sum divided by that of the factors) or
    ``none``. The class `ignore_index` has a loss and a factor of 0. Another one that is not there
    is an error in the interpreter; compiled code takes the nearest.
    """

    reduction: str = "mean"
    ignore_index: int = -100

    def __post_init__(self) -> None:
        if self.reduction not in _REDUCTIONS:
            accepted = ", ".join(_REDUCTIONS)
            raise ValueError(f"reduction must be one of {accepted}, found {self.reduction!r}")

    def infer(self, predictions: Type, targets: Type, weights: Type) -> Type:
        x = expect_kind(self.name, "predictions", predictions, "float")
        t = expect_kind(self.name, "targets", targets, "integer")
        w = expect_kind(self.name, "weights", weights, "float")
        expect_same_dtype(self.name, x, w)
        if len(x.shape) < 2 or len(t.shape) != len(x.shape) - 1 or len(w.shape) != 1:
            raise TypeInferenceError(
                f"{self.name}: expected predictions (batch, classes, ..), targets (batch, ..) and "
                f"weights (classes), found {x}, {t} and {w}"
            )
        if unify_dim(self.name, x.shape[1], w.shape[0], "the numbers of classes") == 0:
            raise TypeInferenceError(f"{self.name}: there is no class in predictions {x}")
        shape = [
            unify_dim(self.name, a, b, "the sizes of predictions and targets")
            for a, b in zip((x.shape[0], *x.shape[2:]), t.shape, strict=True)
        ]
        return TensorType(shape if self.reduction == "none" else (), x.dtype)

    def compute(self, predictions: te.Tensor, targets: te.Tensor, weights: te.Tensor) -> te.Tensor:
        def factor(*i: te.Expr) -> te.Expr:
            target = te.cast(targets(*i), te.INDEX)
            found = weights(inside(target, weights.shape[0]))
            return te.select(te.equal(target, self.ignore_index), te.const(0.0, found.dtype), found)

        def loss(*i: te.Expr) -> te.Expr:
            target = te.cast(targets(*i), te.INDEX)
            picked = predictions(i[0], inside(target, weights.shape[0]), *i[1:])
            ignored = te.equal(target, self.ignore_index)
            return te.select(ignored, te.const(0.0, picked.dtype), -picked * factor(*i))

        if self.reduction == "none":
            return te.compute(targets.shape, loss, "nll_loss")

        def total(*, of_factors: bool) -> te.Tensor:
            def summed() -> te.Expr:
                axes = [te.reduce_axis(d, f"r{k}") for k, d in enumerate(targets.shape)]
                where = [a.var for a in axes]
                return te.reduce_sum(factor(*where) if of_factors else loss(*where), axes)

            return te.compute((), summed, "factor_sum" if of_factors else "nll_loss_sum")

        losses = total(of_factors=False)
        if self.reduction == "sum":
            return losses
        factors = total(of_factors=True)
        return te.compute((), lambda: losses() / factors(), "nll_loss")

    def reference(self, predictions: Array, targets: Array, weights: Array) -> Array:
        counts = targets != self.ignore_index
        check_inside(self.name, targets[counts], weights.size)
        classes = np.where(counts, targets, 0).astype("int64")
        picked = np.take_along_axis(predictions, classes[:, None], axis=1)[:, 0]
        factors = np.where(counts, weights[classes], 0)
        losses = np.where(counts, -picked * factors, 0)
        if self.reduction == "none":
            return np.asarray(losses, dtype=predictions.dtype)
        total = losses.sum()
        if self.reduction == "mean":
            with np.errstate(invalid="ignore", divide="ignore"):
                total = total / factors.sum()
        return np.asarray(total, dtype=predictions.dtype)

    def gradient(
        self, grad: Expr, result: Expr, predictions: Expr, targets: Expr, weights: Expr
    ) -> Gradients:
        dtype = tensor_of(predictions).dtype
        shape = known_shape(self.name, predictions)
        wide = make("cast", targets, dtype="int64")
        ignored = make("equal", wide, number(self.ignore_index, wide))
        classes = make("where", ignored, number(-1, wide), wide)
        ends = (number_of(1, dtype), number_of(0, dtype))
        hot = make("one_hot", classes, *ends, depth=shape[1], axis=1, dtype=dtype)
        spread = reshaped(weights, (1, shape[1], *(1 for _ in shape[2:])))
        factors = hot * spread
        share = make("expand_dims", grad, axis=1) if self.reduction == "none" else grad
        kept = predictions
        if self.reduction == "mean":
            share = grad / sum_over(factors, range(len(shape)))
            kept = predictions + result
        change = make("negative", share * hot * kept)
        return make("negative", share * factors), None, sum_to_vector(change, 1)
