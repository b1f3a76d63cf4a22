"""Types of results with open sizes, found by trying numbers for these.

This is for operators that the standard does not declare, so that nothing but their converters
tells what they make.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from relay.ir.types import Any, Dim, SizeVar, TensorType, Type
from relay.support.errors import RelayError, TypeInferenceError

#: The types of results for arguments of types without open sizes. Where values decide about the
#: result, these are taken to be the number.
Convert: TypeAlias = Callable[[Sequence[Type], int], Sequence[Type]]
_Number: TypeAlias = Callable[[int], int]

#: What the k-th open size is taken for, in two trials. Many operators want multiples of a small
#: power of two; some want sizes to be the same that have no name in common.
_ATTEMPTS: Final[tuple[tuple[_Number, _Number], ...]] = (
    (lambda k: 16 * (k + 2), lambda k: 16 * (2 * k + 5)),
    (lambda _: 64, lambda _: 128),
)
#: What values are taken for, in two trials: more than any of the sizes.
_VALUES: Final = (1024, 2048)


def tried_types(types: Sequence[Type], convert: Convert) -> list[TensorType]:
    """The types of what `convert` makes of arguments of `types`, some of whose sizes are open.

    A size of a result is known where two trials agree about it, and has the name of the one open
    size that it is equal to in both. Raises `TypeInferenceError` where the trials fail.
    """
    reasons: list[str] = []
    for numbers in _ATTEMPTS:
        trials = [_Trial(types, number) for number in numbers]
        names: dict[tuple[int, int], Dim] = {}
        for (size, x), (_, y) in zip(*(t.sizes for t in trials), strict=True):
            names[x, y] = Any() if (x, y) in names else size
        try:
            one, other = (
                convert(trial.types, value) for trial, value in zip(trials, _VALUES, strict=True)
            )
            return [_agreed(a, b, names) for a, b in zip(one, other, strict=True)]
        except RelayError as error:
            reasons.append(error.message)
    raise TypeInferenceError(f"the type of what it makes is not known: {reasons[0]}")


class _Trial:
    """Types with numbers in place of open `sizes`, which come with these."""

    def __init__(self, types: Sequence[Type], number: _Number) -> None:
        self.sizes: list[tuple[Any, int]] = []
        self._number = number
        self.types = [
            TensorType([self._size(d) for d in t.shape], t.dtype)
            if isinstance(t, TensorType)
            else t
            for t in types
        ]

    def _size(self, size: Dim) -> int:
        if isinstance(size, int):
            return size
        for known, number in self.sizes:
            if isinstance(size, SizeVar) and size == known:
                return number
        self.sizes.append((size, self._number(len(self.sizes))))
        return self.sizes[-1][1]


def _agreed(one: Type, other: Type, names: Mapping[tuple[int, int], Dim]) -> TensorType:
    """What two trials say of a result."""
    if not (isinstance(one, TensorType) and isinstance(other, TensorType)) or (
        (one.dtype, len(one.shape)) != (other.dtype, len(other.shape))
    ):
        raise TypeInferenceError(f"it is {one} or {other}")
    pairs = zip(one.concrete_shape, other.concrete_shape, strict=True)
    return TensorType([x if x == y else names.get((x, y), Any()) for x, y in pairs], one.dtype)
