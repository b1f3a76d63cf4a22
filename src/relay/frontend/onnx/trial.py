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

#: What the k-th open size is taken for, in several trials. Many operators want multiples of a small
#: power of two; some want sizes to be the same that have no name in common.
_ATTEMPTS: Final[tuple[tuple[_Number, ...], ...]] = (
    (lambda k: 16 * (k + 2), lambda k: 16 * (2 * k + 5)),
    (lambda _: 64, lambda _: 128),
)
#: The last trial is of sizes that bounds of an operator do not cut off. It may fail.
_SMALL: Final[tuple[_Number]] = (lambda k: k + 2,)
#: What values are taken for, in the trials: more than any of the sizes.
_VALUES: Final = (1024, 2048, 512)


def tried_types(types: Sequence[Type], convert: Convert) -> list[TensorType]:
    """The types of what `convert` makes of arguments of `types`, some of whose sizes are open.

    A size of a result is known where all trials agree about it, and has the name of the one open
    size that it is equal to in all. Raises `TypeInferenceError` where the trials fail.
    """
    reasons: list[str] = []
    for numbers in _ATTEMPTS:
        trials = [_Trial(types, number) for number in numbers + _SMALL]
        made: list[Sequence[Type]] = []
        for trial, value in zip(trials, _VALUES, strict=True):
            try:
                made.append(convert(trial.types, value))
            except RelayError as error:
                reasons.append(error.message)
                break
        if len(made) < len(numbers):
            continue
        names: dict[tuple[int, ...], Dim] = {}
        for sizes in zip(*(trial.sizes for trial in trials[: len(made)]), strict=True):
            key = tuple(number for _, number in sizes)
            names[key] = Any() if key in names else sizes[0][0]
        return [_agreed(results, names) for results in zip(*made, strict=True)]
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


def _agreed(results: Sequence[Type], names: Mapping[tuple[int, ...], Dim]) -> TensorType:
    """What the trials say of a result."""
    tensors = [r for r in results if isinstance(r, TensorType)]
    kinds = {(tensor.dtype, len(tensor.shape)) for tensor in tensors}
    if len(tensors) != len(results) or len(kinds) != 1:
        raise TypeInferenceError(f"it is {' or '.join(map(str, results))}")
    sizes = zip(*(tensor.concrete_shape for tensor in tensors), strict=True)
    return TensorType(
        [key[0] if len({*key}) == 1 else names.get(key, Any()) for key in sizes], tensors[0].dtype
    )
