"""Data layouts: the order in which the axes of a tensor lie in memory.

A layout is written as Relay writes it: ``NCHW``, ``NHWC``, ``NCHW16c``, ``OIHW16i16o``. An
upper-case letter is a primal axis; a number with a lower-case letter is an inner axis of that
size, split off the primal axis of the same letter. So a tensor of 32 channels in ``NCHW16c`` has
the shape ``(N, 2, H, W, 16)``.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from relay.ir.expr import OperatorBase
from relay.ir.types import Any, Dim, Type
from relay.support.errors import TypeInferenceError

_T = TypeVar("_T")
_AXIS = re.compile(r"([A-Z])|([1-9][0-9]*)([a-z])")


@dataclass(frozen=True)
class LayoutAxis:
    """One axis of a layout: of primal axis `letter`; `factor` is 0 for the primal axis itself,

    otherwise the size of an inner axis that was split off it.
    """

    letter: str
    factor: int

    def __str__(self) -> str:
        return f"{self.factor}{self.letter.lower()}" if self.factor else self.letter


@cache
def _parse(name: str) -> tuple[LayoutAxis, ...]:
    axes: list[LayoutAxis] = []
    position = 0
    while position < len(name):
        found = _AXIS.match(name, position)
        if found is None:
            raise TypeInferenceError(
                f"{name!r} is not a layout: expected letters as in NCHW, "
                f"with inner axes as in NCHW16c; stuck at {name[position:]!r}"
            )
        primal, size, inner = found.groups()
        axes.append(LayoutAxis(primal, 0) if primal else LayoutAxis(inner.upper(), int(size)))
        position = found.end()
    seen: set[str] = set()
    for axis in axes:
        if axis.factor == 0 and axis.letter in seen:
            raise TypeInferenceError(f"the layout {name!r} has the axis {axis.letter} twice")
        if axis.factor and axis.letter not in seen:
            raise TypeInferenceError(
                f"the layout {name!r} has an inner axis {axis} before its axis {axis.letter}"
            )
        seen.add(axis.letter)
    return tuple(axes)


@dataclass(frozen=True)
class Layout:
    """A layout, compared by its `name`. Raises `TypeInferenceError` for what is not one."""

    name: str
    axes: tuple[LayoutAxis, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", _parse(self.name))

    def __str__(self) -> str:
        return self.name

    @property
    def rank(self) -> int:
        """Number of axes, inner ones included."""
        return len(self.axes)

    @property
    def letters(self) -> str:
        """The primal axes in order."""
        return "".join(a.letter for a in self.axes if a.factor == 0)

    @property
    def is_blocked(self) -> bool:
        """Whether there is an inner axis."""
        return any(a.factor for a in self.axes)

    def position(self, letter: str) -> int:
        """The position of primal axis `letter`."""
        return self.axes.index(LayoutAxis(letter, 0))

    def positions(self, letter: str) -> tuple[int, ...]:
        """The positions of primal axis `letter` and of its inner axes."""
        return tuple(i for i, a in enumerate(self.axes) if a.letter == letter)

    def factors(self, letter: str) -> tuple[int, ...]:
        """The sizes of the inner axes of `letter`, outermost first."""
        return tuple(a.factor for a in self.axes if a.letter == letter and a.factor)

    def block(self, letter: str) -> int:
        """How many elements of axis `letter` lie in one block: the product of its inner axes."""
        return math.prod(self.factors(letter))

    def split(self, letter: str, factor: int) -> "Layout":
        """This layout with an innermost axis of size `factor` split off axis `letter`."""
        return Layout(f"{self.name}{factor}{letter.lower()}")

    def without(self, letters: Collection[str]) -> "Layout":
        """This layout less the axes of `letters`."""
        return Layout("".join(str(a) for a in self.axes if a.letter not in letters))

    def with_blocks(self, sizes: Mapping[str, int]) -> "Layout":
        """This layout with the inner axes of the letters in `sizes` of that size instead."""
        resized = (
            LayoutAxis(a.letter, sizes[a.letter]) if a.factor and a.letter in sizes else a
            for a in self.axes
        )
        return Layout("".join(map(str, resized)))

    def same_axes(self, other: "Layout") -> bool:
        """Whether both have the same primal axes, so that one can be transformed to the other."""
        return sorted(self.letters) == sorted(other.letters)

    def components(self, values: Sequence[_T]) -> dict[str, tuple[_T, ...]]:
        """`values`, one an axis, by letter: that of the primal axis, then of its inner axes."""
        grouped: dict[str, list[_T]] = {}
        for axis, value in zip(self.axes, values, strict=True):
            grouped.setdefault(axis.letter, []).append(value)
        return {letter: tuple(found) for letter, found in grouped.items()}

    def place(self, components: Mapping[str, Sequence[_T]]) -> tuple[_T, ...]:
        """The inverse of `components`: one value an axis, in the order of this layout."""
        remaining = {letter: iter(values) for letter, values in components.items()}
        return tuple(next(remaining[a.letter]) for a in self.axes)

    def extents(self, shape: Sequence[Dim]) -> dict[str, Dim]:
        """The sizes of the primal axes of a tensor of `shape` in this layout.

        Raises `TypeInferenceError` when the shape does not fit the layout.
        """
        if len(shape) != self.rank:
            raise TypeInferenceError(
                f"expected a tensor of {self.rank} dimensions in the layout {self}, "
                f"found the shape {tuple(shape)}"
            )
        for axis, size in zip(self.axes, shape, strict=True):
            if axis.factor and isinstance(size, int) and size != axis.factor:
                raise TypeInferenceError(
                    f"the layout {self} wants size {axis.factor} for its inner axis {axis}, "
                    f"found the shape {tuple(shape)}"
                )
        sizes = {a.letter: s for a, s in zip(self.axes, shape, strict=True) if not a.factor}
        return {c: _scaled(s, self.block(c)) for c, s in sizes.items()}

    def shape(self, extents: Mapping[str, Dim]) -> tuple[Dim, ...]:
        """The shape in this layout of a tensor whose primal axes have the sizes `extents`.

        Raises `TypeInferenceError` when a size is not divisible by its block.
        """
        shape: list[Dim] = []
        for axis in self.axes:
            size, block = extents[axis.letter], self.block(axis.letter)
            if not axis.factor and isinstance(size, int) and size % block:
                raise TypeInferenceError(
                    f"the layout {self} needs a size of axis {axis.letter} that is divisible by "
                    f"{block}, found {size}"
                )
            if axis.factor:
                shape.append(axis.factor)
            elif isinstance(size, Any):
                shape.append(_scaled(size, block))
            else:
                shape.append(size // block)
        return tuple(shape)


def _scaled(size: Dim, factor: int) -> Dim:
    """`size` times `factor`; of a size that is not known, nothing is known unless it stays."""
    if isinstance(size, Any):
        return size if factor == 1 else Any()
    return size * factor


@dataclass(frozen=True)
class LayoutChange:
    """A value that the program has in layout `source` is at hand in layout `target`.

    A value of fewer dimensions than `source` stands for one with `trailing` more axes of size 1
    behind its own, and with what is still missing in front.
    """

    source: Layout
    target: Layout
    trailing: int = 0

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.source == self.target and not self.trailing

    def fits(self, shape: Sequence[Dim]) -> bool:
        """Whether a tensor of `shape`, in `source`, can be at hand in `target`.

        An axis that is to be split must have a known size.
        """
        leading = self.source.rank - self.trailing - len(shape)
        if leading < 0 or not self.source.same_axes(self.target):
            return False
        sizes = self.source.extents((*(1,) * leading, *shape, *(1,) * self.trailing))
        return all(
            isinstance(size, int) and size % self.target.block(letter) == 0
            for letter, size in sizes.items()
            if self.target.factors(letter)
        )


ArgumentChange: TypeAlias = LayoutChange | tuple[LayoutChange | None, ...] | None


@dataclass(frozen=True)
class LayoutPlan:
    """How a call is to run in other layouts than the program says.

    `declaration` is the operator with the attributes to use. `inputs` has the layout change that
    each argument must have undergone (None: as the program has it), for an argument of tuple type
    a tuple of them, one a field; `outputs` has the changes of the results (one, unless the call
    gives a tuple).
    """

    declaration: OperatorBase
    inputs: tuple[ArgumentChange, ...]
    outputs: tuple[LayoutChange | None, ...]


@runtime_checkable
class FollowsLayout(Protocol):
    """An operator that says itself how it follows a change of the layout of its arguments."""

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """How to run on arguments that are at hand in other layouts.

        `incoming` is the change of each argument (None: there is none), `types` are the types that
        the arguments have in the program. None: the operator only runs as the program says.
        """
