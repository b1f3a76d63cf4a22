"""Reductions as functions: ``relay.op.reduce.sum(x, axis=1)``, and what is composed of them."""

from relay.ir.expr import Expr, Tuple
from relay.op.functions import function
from relay.op.shapes import Ints, as_ints
from relay.op.tensor import add, exp, log, sqrt, subtract
from relay.op.tensor import reduce as _reduce
from relay.op.transform import squeeze

sum = function(_reduce.Sum)  # noqa: A001 - Relay's name
prod = function(_reduce.Prod)
max = function(_reduce.Max)  # noqa: A001 - Relay's name
min = function(_reduce.Min)  # noqa: A001 - Relay's name
all = function(_reduce.All)  # noqa: A001 - Relay's name
any = function(_reduce.Any)  # noqa: A001 - Relay's name
mean = function(_reduce.Mean)
argmax = function(_reduce.ArgMax)
argmin = function(_reduce.ArgMin)


def variance(
    data: Expr,
    axis: Ints | None = None,
    keepdims: bool = False,
    exclude: bool = False,
    unbiased: bool = False,
    with_mean: Expr | None = None,
) -> Expr:
    """Variance over axes, floating point; `with_mean` is the mean (with kept dimensions) if known.

    With `unbiased` the sum of squares is divided by one less than the number of elements.
    """
    center = mean(data, axis, True, exclude) if with_mean is None else with_mean
    axes = None if axis is None else as_ints(axis)
    return _reduce.Variance.call(
        data, center, axis=axes, keepdims=keepdims, exclude=exclude, unbiased=unbiased
    )


def std(
    data: Expr,
    axis: Ints | None = None,
    keepdims: bool = False,
    exclude: bool = False,
    unbiased: bool = False,
) -> Expr:
    """Standard deviation over axes: the square root of `variance`."""
    return sqrt(variance(data, axis, keepdims, exclude, unbiased))


def _with_mean(data: Expr, axis: Ints | None, keepdims: bool, exclude: bool) -> tuple[Expr, Expr]:
    kept = mean(data, axis, True, exclude)
    return kept, kept if keepdims else mean(data, axis, False, exclude)


def mean_variance(
    data: Expr,
    axis: Ints | None = None,
    keepdims: bool = False,
    exclude: bool = False,
    unbiased: bool = False,
) -> Tuple:
    """The tuple of `mean` and `variance` over axes."""
    kept, shown = _with_mean(data, axis, keepdims, exclude)
    return Tuple([shown, variance(data, axis, keepdims, exclude, unbiased, with_mean=kept)])


def mean_std(
    data: Expr, axis: Ints | None = None, keepdims: bool = False, exclude: bool = False
) -> Tuple:
    """The tuple of `mean` and `std` over axes."""
    kept, shown = _with_mean(data, axis, keepdims, exclude)
    return Tuple([shown, sqrt(variance(data, axis, keepdims, exclude, with_mean=kept))])


def logsumexp(data: Expr, axis: Ints | None = None, keepdims: bool = False) -> Expr:
    """``log(sum(exp(data)))`` over axes, without overflow."""
    largest = max(data, axis, True)
    total = sum(exp(subtract(data, largest)), axis, True)
    result = add(log(total), largest)
    return result if keepdims else squeeze(result, axis)


__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "logsumexp",
    "max",
    "mean",
    "mean_std",
    "mean_variance",
    "min",
    "prod",
    "std",
    "sum",
    "variance",
]
