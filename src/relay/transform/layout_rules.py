"""How operators that know nothing of layouts follow a change of layout.

Each rule maps a call's declaration, the layout changes of its arguments and the types in the
program to a `LayoutPlan`, or to None where the call has to run in the layouts of the program.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TypeAlias

from relay.ir.layout import ArgumentChange, FollowsLayout, LayoutChange, LayoutPlan
from relay.ir.op import Operator, Pattern, attributes
from relay.ir.types import TensorType, TupleType, Type
from relay.op.shapes import normalize_axes, normalize_axis
from relay.op.tensor.join import Concatenate, Split
from relay.op.tensor.reduce import SimpleReduction
from relay.op.tensor.slicing import StridedSlice

Changes: TypeAlias = tuple[ArgumentChange, ...]

#: The smallest block of channels worth keeping.
SMALLEST_BLOCK = 4


def follow(
    declaration: Operator, incoming: Changes, types: Sequence[Type], result: Type
) -> LayoutPlan | None:
    """The plan by which a call follows the changes of its arguments; None where it cannot.

    The operator's own rule comes first, then the rule of its kind.
    """
    if not any(_changed(change) for change in incoming):
        return None
    if isinstance(declaration, Concatenate):
        return _concatenate(declaration, incoming, types)
    singles = tuple(c for c in incoming if not isinstance(c, tuple))
    if len(singles) != len(incoming):
        return None
    if isinstance(declaration, FollowsLayout):
        return declaration.layouts(singles, tuple(types))
    if isinstance(declaration, Split):
        return _split(declaration, singles[0], types[0], result)
    if isinstance(declaration, StridedSlice):
        return _strided_slice(declaration, singles[0], types[0])
    if isinstance(declaration, SimpleReduction):
        return _reduction(declaration, singles[0])
    if declaration.pattern == Pattern.ELEMWISE and len(singles) == 1:
        return _elementwise(declaration, singles[0], types[0], result)
    if declaration.pattern == Pattern.BROADCAST and not attributes(declaration):
        return _broadcast(declaration, singles, types, result)
    return None


def _changed(change: ArgumentChange) -> bool:
    return any(change) if isinstance(change, tuple) else change is not None


def _elementwise(
    declaration: Operator, change: LayoutChange | None, data: Type, result: Type
) -> LayoutPlan | None:
    """Any layout, as elements do not know where they are."""
    if not (isinstance(data, TensorType) and isinstance(result, TensorType)):
        return None
    return LayoutPlan(declaration, (change,), (change,)) if data.shape == result.shape else None


def _broadcast(
    declaration: Operator,
    incoming: Sequence[LayoutChange | None],
    types: Sequence[Type],
    result: Type,
) -> LayoutPlan | None:
    """The layout of an operand of full size; the others are brought into it, by broadcasting."""
    tensors = [t for t in types if isinstance(t, TensorType)]
    if not isinstance(result, TensorType) or len(tensors) != len(types):
        return None
    full = (
        c
        for c, t in zip(incoming, tensors, strict=True)
        if c is not None and t.shape == result.shape
    )
    change = next(full, None)
    if change is None or change.source.is_blocked:
        return None
    inputs: list[LayoutChange | None] = []
    for tensor in tensors:
        single = all(size == 1 for size in tensor.shape) and tensor.shape != result.shape
        if single and len(tensor.shape) <= change.target.rank:
            inputs.append(None)
            continue
        shape = (*(1,) * (change.source.rank - len(tensor.shape)), *tensor.shape)
        ones = {axis.letter: 1 for axis, s in zip(change.source.axes, shape, strict=True) if s == 1}
        operand = LayoutChange(change.source, change.target.with_blocks(ones))
        if not operand.fits(tensor.shape):
            return None
        inputs.append(operand)
    return LayoutPlan(declaration, tuple(inputs), (change,))


def _concatenate(
    declaration: Concatenate, incoming: Changes, types: Sequence[Type]
) -> LayoutPlan | None:
    """One layout for all fields; an axis that is split must be divisible in every field."""
    (fields,) = incoming
    if not isinstance(fields, tuple) or not isinstance(types[0], TupleType):
        return None
    shapes = [f.shape for f in types[0].fields if isinstance(f, TensorType)]
    candidates = [c for c in dict.fromkeys(fields) if c is not None and not c.source.is_blocked]
    candidates.sort(key=lambda c: -fields.count(c))
    if not candidates:
        return None
    letter = (
        candidates[0]
        .source.axes[normalize_axis(declaration.name, declaration.axis, candidates[0].source.rank)]
        .letter
    )
    for change in (*candidates, *(_common_block(c, letter, shapes) for c in candidates)):
        if all(change.fits(shape) for shape in shapes):
            moved = dataclasses.replace(declaration, axis=change.target.position(letter))
            return LayoutPlan(moved, ((change,) * len(shapes),), (change,))
    return None


def _common_block(
    change: LayoutChange, letter: str, shapes: Sequence[Sequence[object]]
) -> LayoutChange:
    """`change` with blocks of `letter` that divide its size in all of `shapes`."""
    position = change.source.position(letter)
    sizes = [s[position] for s in shapes if isinstance(s[position], int)]
    common = math.gcd(change.target.block(letter), *(s for s in sizes if isinstance(s, int)))
    if len(change.target.factors(letter)) != 1 or common < SMALLEST_BLOCK:
        return change
    return LayoutChange(change.source, change.target.with_blocks({letter: common}))


def _split(
    declaration: Split, change: LayoutChange | None, data: Type, result: Type
) -> LayoutPlan | None:
    """Any layout; an axis that is itself split must be cut between its blocks."""
    if change is None or change.source.is_blocked:
        return None
    if not (isinstance(data, TensorType) and isinstance(result, TupleType)):
        return None
    axis = normalize_axis(declaration.name, declaration.axis, change.source.rank)
    letter = change.source.axes[axis].letter
    block = change.target.block(letter)
    if not all(isinstance(f, TensorType) and change.fits(f.shape) for f in result.fields):
        return None
    cuts = declaration.indices_or_sections
    moved = dataclasses.replace(
        declaration,
        indices_or_sections=cuts if isinstance(cuts, int) else tuple(c // block for c in cuts),
        axis=change.target.position(letter),
    )
    return LayoutPlan(moved, (change,), (change,) * len(result.fields))


def _strided_slice(
    declaration: StridedSlice, change: LayoutChange | None, data: Type
) -> LayoutPlan | None:
    """Any layout; an axis that is itself split must be cut between its blocks."""
    if change is None or change.source.is_blocked or not isinstance(data, TensorType):
        return None
    parts: dict[int, slice] = {}
    for axis, part in declaration.slices(change.source.rank).items():
        letter, size = change.source.axes[axis].letter, data.shape[axis]
        block = change.target.block(letter)
        position = change.target.position(letter)
        if not change.target.factors(letter):
            parts[position] = part
            continue
        if not isinstance(size, int):
            return None
        begin, end, stride = part.indices(size)
        if stride != 1 or begin % block or end % block:
            return None
        parts[position] = slice(begin // block, end // block, 1)
    moved = StridedSlice(
        begin=tuple(p.start for p in parts.values()),
        end=tuple(p.stop for p in parts.values()),
        strides=tuple(p.step for p in parts.values()),
        axes=tuple(parts),
    )
    return LayoutPlan(moved, (change,), (change,))


def _reduction(declaration: SimpleReduction, change: LayoutChange | None) -> LayoutPlan | None:
    """Any layout: an axis is reduced together with its inner axes."""
    if change is None or change.source.is_blocked:
        return None
    rank = change.source.rank
    axes = normalize_axes(declaration.name, declaration.axis, rank, declaration.exclude)
    if not axes:
        return None
    letters = [change.source.axes[a].letter for a in axes]
    positions = sorted(p for c in letters for p in change.target.positions(c))
    moved = dataclasses.replace(declaration, axis=tuple(positions), exclude=False)
    if declaration.keepdims:
        target = change.target.with_blocks(dict.fromkeys(letters, 1))
        return LayoutPlan(moved, (change,), (LayoutChange(change.source, target),))
    left = LayoutChange(change.source.without(letters), change.target.without(letters))
    return LayoutPlan(moved, (change,), (left,))
