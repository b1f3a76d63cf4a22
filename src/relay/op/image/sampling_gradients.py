"""What a change of pixels and of positions does to what is sampled there."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from relay.ir.expr import Expr, Tuple, const
from relay.ir.op import Gradients
from relay.op.gradients import (
    converted,
    expanded,
    inverse_order,
    known_shape,
    make,
    masked,
    number,
    permuted,
    reshaped,
    scaled,
    with_coordinates,
    zero_of,
)

#: A pixel along one axis (a whole number), its weight, and the weight's slope by the position.
_Tap = tuple[Expr, Expr, Expr]


@dataclass(frozen=True)
class _Axis:
    """One axis of the data: its `size`, and how positions outside are padded."""

    name: str
    size: int
    padding: str
    corners: bool

    def inside(self, at: Expr) -> Expr:
        """Whether positions are within the data."""
        low = make("greater_equal", at, number(0, at))
        return make("logical_and", low, make("less_equal", at, number(self.size - 1, at)))

    def settled(self, at: Expr) -> tuple[Expr, Expr]:
        """Positions as the padding moves them, and the slope of that."""
        slope = make("ones_like", at)
        if self.padding == "zeros":
            return at, slope
        if self.padding == "reflection":
            low, span = (0.0, self.size - 1) if self.corners else (-0.5, self.size)
            from_low = at - number(low, at)
            period = number(max(2 * span, 1), at)
            moved = make("abs", from_low)
            turned = moved - make("floor", moved / period) * period
            back = number(2 * span, at) - turned
            slope = make("sign", from_low)
            slope = make("where", make("less", back, turned), make("negative", slope), slope)
            at = make("minimum", turned, back) + number(low, at)
        kept = masked(self.inside(at), slope)
        return make("clip", at, a_min=0, a_max=self.size - 1), kept

    def taps(self, at: Expr, method: str, alpha: float) -> tuple[list[_Tap], Expr]:
        """The pixels that are blended at positions, and the slope of the padding."""
        one, zero = make("ones_like", at), make("zeros_like", at)
        if method == "bicubic":
            low = make("floor", at)
            weights = _cubic(at - low, alpha)
            places = (self.settled(low + number(k, at))[0] for k in (-1, 0, 1, 2))
            return [(p, *w) for p, w in zip(places, weights, strict=True)], one
        at, slope = self.settled(at)
        if method == "nearest":
            return [(make("round", at), one, zero)], zero
        low = make("floor", at)
        part = at - low
        return [(low, one - part, make("negative", one)), (low + one, part, one)], slope


def _cubic(t: Expr, a: float) -> list[tuple[Expr, Expr]]:
    """The weights of Keys' kernel and their slopes."""
    powers = [make("ones_like", t), t, t * t, t * t * t]

    def polynomial(*factors: float) -> Expr:
        terms = [scaled(p, f) for p, f in zip(powers, factors, strict=False) if f]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    return [
        (polynomial(0, a, -2 * a, a), polynomial(a, -4 * a, 3 * a)),
        (polynomial(1, 0, -(a + 3), a + 2), polynomial(0, -2 * (a + 3), 3 * (a + 2))),
        (
            polynomial(0, -a, 2 * a + 3, -(a + 2)),
            polynomial(-a, 2 * (2 * a + 3), -3 * (a + 2)),
        ),
        (polynomial(0, 0, a, -a), polynomial(0, 2 * a, -3 * a)),
    ]


def _product(factors: Sequence[Expr]) -> Expr:
    found = factors[0]
    for factor in factors[1:]:
        found = found * factor
    return found


def grid_sample_gradients(
    name: str,
    method: str,
    padding: str,
    corners: bool,
    alpha: float,
    grad: Expr,
    data: Expr,
    grid: Expr,
) -> Gradients:
    """The gradients of `image.grid_sample` by its data and its grid."""
    batch, channels, *sizes = known_shape(name, data)
    out = known_shape(name, grid)[2:]
    rank, points, pixels = len(sizes), math.prod(out), math.prod(sizes)
    last = [0, *range(2, rank + 2), 1]
    change = reshaped(permuted(grad, last), (batch, points, channels))
    flat = reshaped(permuted(data, last), (batch, pixels, channels))
    places = converted(grid, data)
    taps: list[list[_Tap]] = []
    slopes: list[Expr] = []
    axes = [_Axis(name, size, padding, corners) for size in sizes]
    for k, axis in enumerate(axes):
        place = make("take", places, const(rank - 1 - k, "int64"), axis=1)
        half = (axis.size - 1 if corners else axis.size) / 2
        at = (reshaped(place, (batch, points)) + number(1, data)) * number(half, data)
        found, slope = axis.taps(at if corners else at - number(0.5, data), method, alpha)
        taps.append(found)
        slopes.append(scaled(slope, half))
    of_data: Expr = zero_of(flat.checked_type, flat)
    of_places: list[Expr] = [make("zeros_like", s) for s in slopes]
    for chosen in itertools.product(*taps):
        index: Expr = const(0, "int64")
        weights = [w for _, w, _ in chosen]
        known: Expr = make("ones_like", weights[0])
        for axis, (at, _, _) in zip(axes, chosen, strict=True):
            row = make("clip", at, a_min=0, a_max=axis.size - 1)
            index = index * const(axis.size, "int64") + make("cast", row, dtype="int64")
            known = masked(axis.inside(at), known) if padding == "zeros" else known
        coordinates = with_coordinates(index, 1, (batch, points), leading=False)
        share = change * expanded(_product(weights) * known, (2,))
        of_data = make("scatter_nd", of_data, coordinates, share, mode="add")
        read = make("gather_nd", flat, coordinates)
        reach = make("sum", change * read, axis=(2,)) * known
        for k, (_, _, slope) in enumerate(chosen):
            others = [w for j, w in enumerate(weights) if j != k]
            of_places[k] = of_places[k] + _product([reach, slope, *others])
    moved = [p * s for p, s in zip(of_places, slopes, strict=True)]
    back = reshaped(of_data, (batch, *sizes, channels))
    whole = reshaped(make("stack", Tuple(moved[::-1]), axis=1), (batch, rank, *out))
    return permuted(back, inverse_order(last)), converted(whole, grid)
