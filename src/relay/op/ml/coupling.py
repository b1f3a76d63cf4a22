"""Probabilities of classes from those of each class against each other."""

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.shapes import expect_kind
from relay.support.errors import TypeInferenceError

#: Rounds after which probabilities are taken as they are.
_ROUNDS = 100


def _classes(pairs: int) -> int:
    """How many classes have so many pairs."""
    return (1 + math.isqrt(1 + 8 * pairs)) // 2


@operator("ml.couple_probabilities", inputs=("pairwise",), pattern=Pattern.OPAQUE, level=10)
class CoupleProbabilities(Operator):
    """The probabilities of classes that fit best to those of each class against each other.

    A row of `pairwise` has, for the pairs of classes in order (0, 1), (0, 2), .. (1, 2), .., the
    probability of the first when it is one of both. The result, (rows, classes), minimizes
    ``sum((r_ji p_i - r_ij p_j)**2)`` up to an error of ``0.005 / classes``, in at most 100 rounds,
    or as many as there are classes. Source: T.-F. Wu, C.-J. Lin and R. C. Weng, "Probability
    estimates for multi-class classification by pairwise coupling", second method.
    """

    missing: ClassVar[dict[str, str]] = {
        "gradient": "it stops where the error is small enough, which is no smooth function"
    }

    def infer(self, pairwise: Type) -> Type:
        tensor = expect_kind(self.name, "pairwise", pairwise, "float")
        if len(tensor.shape) != 2 or not isinstance(tensor.shape[1], int):
            raise TypeInferenceError(
                f"{self.name}: expected a matrix with a known number of pairs, found {tensor}"
            )
        pairs = tensor.shape[1]
        classes = _classes(pairs)
        if classes * (classes - 1) // 2 != pairs or not pairs:
            raise TypeInferenceError(
                f"{self.name}: n classes have n (n - 1) / 2 pairs, which {pairs} is not"
            )
        return TensorType((tensor.shape[0], classes), tensor.dtype)

    def compute(self, pairwise: te.Tensor) -> te.Tensor:
        pairs = te.constant_value(pairwise.shape[1])
        assert pairs is not None
        output = te.placeholder((pairwise.shape[0], _classes(pairs)), pairwise.dtype, "coupled")
        return te.ordered((pairwise,), (output,), _write)[0]

    def reference(self, pairwise: Array) -> Array:
        rows = [_coupled(row) for row in pairwise]
        return np.array(rows, pairwise.dtype).reshape(len(rows), _classes(pairwise.shape[1]))


def _coupled(row: Array) -> Array:
    """One row of the result."""
    n = _classes(row.size)
    against = np.zeros((n, n))
    against[np.triu_indices(n, 1)] = row
    lower = np.tril_indices(n, -1)
    against[lower] = 1 - against.T[lower]
    # The form to minimize: its diagonal is a sum, where 0 stands for a class against itself.
    form = -against.T * against
    np.fill_diagonal(form, (against**2).sum(axis=0))
    found = np.full(n, 1 / n)
    for _ in range(max(_ROUNDS, n)):
        slopes = form @ found
        value = found @ slopes
        if np.abs(slopes - value).max() < 0.005 / n:
            break
        for t in range(n):
            step = (value - slopes[t]) / form[t, t]
            found[t] += step
            value = (value + step * (step * form[t, t] + 2 * slopes[t])) / (1 + step) ** 2
            found /= 1 + step
            slopes = (slopes + step * form[t]) / (1 + step)
    return found


def _write(w: te.Writer, given: te.Given, made: te.Given) -> None:
    (pairwise,), (coupled,) = given, made
    rows, n = coupled.static_shape
    dtype = pairwise.dtype
    with w.loop(rows, "row", kind="parallel") as row:
        against = w.private(dtype, (n, n), "against")
        form = w.private(dtype, (n, n), "form")
        found, slopes = (w.private(dtype, (n,), name) for name in ("found", "slopes"))
        numbers = w.private(dtype, (4,), "numbers")  # value, largest error, step, factor
        _quadratic_form(w, lambda k: pairwise(row, k), against, form)
        w.fill(found, 1 / n)
        w.store(numbers, (1,), 1.0)
        # NaN goes on, so that it is in the result.
        inexact = te.unary("not", numbers(1) < 0.005 / n)
        with w.loop(max(_ROUNDS, n), "round"), w.when(inexact):
            w.store(numbers, (0,), 0.0)
            with w.loop(n, "i") as i:
                w.store(slopes, (i,), 0.0)
                with w.loop(n, "j") as j:
                    w.store(slopes, (i,), form(i, j) * found(j), reduce="sum")
                w.store(numbers, (0,), found(i) * slopes(i), reduce="sum")
            w.store(numbers, (1,), 0.0)
            with w.loop(n, "i") as i:
                error = te.unary("abs", slopes(i) - numbers(0))
                w.store(numbers, (1,), error, reduce="max")
            with w.when(inexact), w.loop(n, "t") as t:
                _improve(w, t, n, (form, found, slopes, numbers))
        with w.loop(n, "i") as i:
            w.store(coupled, (row, i), found(i))


def _quadratic_form(
    w: te.Writer, pair: Callable[[te.Expr], te.Expr], against: te.Tensor, form: te.Tensor
) -> None:
    """Fill in the probabilities of each class against each other, and the form to minimize."""
    n = against.static_shape[0]
    with w.loop(n, "i") as i:
        w.store(form, (i, i), 0.0)
        with w.loop(n, "j") as j, w.when(i < j):
            k = i * n - (i * (i + 1)) // 2 + (j - i - 1)
            w.store(against, (i, j), pair(k))
            w.store(against, (j, i), 1.0 - pair(k))
    with w.loop(n, "i") as i, w.loop(n, "j") as j, w.when(te.compare("ne", i, j)):
        w.store(form, (i, j), -(against(j, i) * against(i, j)))
        w.store(form, (i, i), against(j, i) * against(j, i), reduce="sum")


def _improve(w: te.Writer, t: te.Expr, n: int, memory: tuple[te.Tensor, ...]) -> None:
    """Make the slope of class `t` the value of the form, and the probabilities sum to 1 again."""
    form, found, slopes, numbers = memory
    w.store(numbers, (2,), (numbers(0) - slopes(t)) / form(t, t))
    step = numbers(2)
    w.store(numbers, (3,), 1.0 / (1.0 + step))
    factor = numbers(3)
    w.store(found, (t,), step, reduce="sum")
    grown = numbers(0) + step * (step * form(t, t) + 2.0 * slopes(t))
    w.store(numbers, (0,), grown * factor * factor)
    with w.loop(n, "k") as k:
        w.store(found, (k,), found(k) * factor)
        w.store(slopes, (k,), (slopes(k) + step * form(t, k)) * factor)
