"""How far the results of two engines are apart."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Gap:
    """How far two arrays are apart: the largest difference, where it is, and what is there.

    `relative` is that difference over the largest element of the other engine's array; infinite
    where shapes, types, or the places of infinities and NaN differ.
    """

    largest: float
    relative: float
    place: tuple[int, ...] = ()
    ours: float = 0.0
    theirs: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        return self.note or f"{self.largest:.3g}, {self.relative:.2g} of the largest element"


def gap(ours: npt.NDArray[np.generic], theirs: npt.NDArray[np.generic]) -> Gap:
    """How far `ours` is from `theirs`."""
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        note = f"{ours.dtype}{list(ours.shape)}, not {theirs.dtype}{list(theirs.shape)}"
        return Gap(np.inf, np.inf, note=note)
    if not ours.size:
        return Gap(0.0, 0.0)
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    odd = ~(np.isfinite(a) & np.isfinite(b))
    apart = odd & ~((a == b) | (np.isnan(a) & np.isnan(b)))
    difference = np.where(apart, np.inf, np.where(odd, 0.0, np.abs(np.where(odd, 0.0, a - b))))
    place = np.unravel_index(int(difference.argmax()), difference.shape)
    largest = float(difference[place])
    scale = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    at = tuple(int(k) for k in place)
    return Gap(largest, largest / max(scale, 1e-30), at, float(a[place]), float(b[place]))
