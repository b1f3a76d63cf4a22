"""Which values the patterns of a match leave out.

The method is that of L. Maranget, "Warnings for pattern matching", 2007.

The patterns are rows of a matrix. Its first column is split by constructors; a column in which
not all constructors of a type occur is missing the others. The search keeps its own stack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from relay.ir.adt import Constructor
from relay.ir.patterns import (
    Pattern,
    PatternConstructor,
    PatternTuple,
    PatternWildcard,
)
from relay.support.errors import UnsupportedError

MAX_WITNESSES: Final = 16
MAX_STEPS: Final = 50_000

_Head: TypeAlias = Constructor | int | None
"""What the witness has at a place: a constructor, a tuple of so many fields, or anything."""


@dataclass(frozen=True)
class _Trail:
    """The heads of a witness chosen so far, in pre-order, the last one first."""

    head: _Head
    before: "_Trail | None"


@dataclass
class _State:
    """Rows that may still match, the width of the matrix, and the witness so far."""

    rows: list[tuple[Pattern, ...]]
    width: int
    trail: _Trail | None


def missing_patterns(patterns: Sequence[Pattern]) -> list[Pattern]:
    """Patterns of values that none of `patterns` matches, at most 16; empty when there are none.

    Raises `UnsupportedError` for patterns that are too many to tell.
    """
    # The first column stands on the right: what is split off and put back is cheap there.
    states = [_State([(p,) for p in patterns], 1, None)]
    found: list[Pattern] = []
    steps = 0
    while states and len(found) < MAX_WITNESSES:
        steps += 1
        if steps > MAX_STEPS:
            raise UnsupportedError(
                "the patterns of this match are too many to tell whether they cover everything; "
                "use match? instead of match"
            )
        state = states.pop()
        if state.rows and all(_head(p) is None for p in state.rows[0]):
            continue
        if state.width == 0 or not state.rows:
            found.append(_witness(state))
            continue
        states.extend(reversed(_split(state)))
    return found


def _head(pattern: Pattern) -> _Head:
    if isinstance(pattern, PatternConstructor):
        return pattern.constructor
    return len(pattern.patterns) if isinstance(pattern, PatternTuple) else None


def _split(state: _State) -> list[_State]:
    """The cases of the first column."""
    heads = [h for row in state.rows if (h := _head(row[-1])) is not None]
    if not heads:
        return [_default(state, None)]
    first = heads[0]
    if isinstance(first, int):
        return [_specialised(state, first, first)]
    used = {h.name_hint for h in heads if not isinstance(h, int)}
    cases: list[_State] = []
    for constructor in first.type_data.constructors:
        if constructor.name_hint in used:
            cases.append(_specialised(state, constructor, len(constructor.inputs)))
        else:
            rows = _default(state, None).rows
            width = state.width - 1 + len(constructor.inputs)
            wild = tuple(PatternWildcard() for _ in constructor.inputs)
            trail = _Trail(constructor, state.trail)
            cases.append(_State([(*row, *wild) for row in rows], width, trail))
    return cases


def _default(state: _State, head: _Head) -> _State:
    """The rows that match whatever the first column holds."""
    rows = [row[:-1] for row in state.rows if _head(row[-1]) is None]
    return _State(rows, state.width - 1, _Trail(head, state.trail))


def _specialised(state: _State, head: Constructor | int, arity: int) -> _State:
    """The rows that match `head` in the first column, with its fields as the first columns."""
    rows: list[tuple[Pattern, ...]] = []
    for row in state.rows:
        own = _head(row[-1])
        if own is None:
            fields: tuple[Pattern, ...] = tuple(PatternWildcard() for _ in range(arity))
        elif _agree(own, head) and len(row[-1].children()) == arity:
            fields = tuple(reversed(row[-1].children()))
        else:
            continue
        rows.append((*row[:-1], *fields))
    return _State(rows, state.width - 1 + arity, _Trail(head, state.trail))


def _agree(a: _Head, b: _Head) -> bool:
    if isinstance(a, int) or isinstance(b, int) or a is None or b is None:
        return a == b
    return a.same_as(b)


def _witness(state: _State) -> Pattern:
    """The pattern that the trail stands for; what was not looked at is a wildcard."""
    heads: list[_Head] = [None] * state.width
    trail = state.trail
    while trail is not None:
        heads.append(trail.head)
        trail = trail.before
    # `heads` is the pre-order backwards: the fields of a head have been built before it.
    built: list[Pattern] = []
    for head in heads:
        if head is None:
            built.append(PatternWildcard())
        elif isinstance(head, int):
            built.append(PatternTuple([built.pop() for _ in range(head)]))
        else:
            built.append(PatternConstructor(head, [built.pop() for _ in head.inputs]))
    return built[0]
