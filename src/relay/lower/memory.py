"""Where temporary arrays live: one arena, places reused as soon as they are free.

In order of use: best fit first, from a list of free ranges that are joined when neighbours become
free, ``O(n log n)`` for `n` blocks. Where that wastes memory, and no moment has too many blocks, in
order of size too: the largest first, each into the lowest gap among those that live at the same
time (Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020).
"""

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relay.loop.ir import ALIGNMENT


@dataclass(frozen=True)
class Block:
    """`size` bytes needed from step `first` to step `last`, both inclusive."""

    size: int
    first: int
    last: int


class _FreeList:
    """Free ranges of the arena, by place and by size."""

    def __init__(self) -> None:
        self.end = 0
        self._starts: dict[int, int] = {}  # start -> stop
        self._stops: dict[int, int] = {}  # stop -> start
        self._sizes: list[tuple[int, int]] = []  # (size, start), sorted

    def _add(self, start: int, stop: int) -> None:
        self._starts[start] = stop
        self._stops[stop] = start
        bisect.insort(self._sizes, (stop - start, start))

    def _remove(self, start: int) -> int:
        stop = self._starts.pop(start)
        del self._stops[stop]
        del self._sizes[bisect.bisect_left(self._sizes, (stop - start, start))]
        return stop

    def take(self, size: int) -> int:
        """The start of `size` free bytes; the arena grows where there are none."""
        found = bisect.bisect_left(self._sizes, (size, -1))
        if found < len(self._sizes):
            start = self._sizes[found][1]
            stop = self._remove(start)
            if stop - start > size:
                self._add(start + size, stop)
            return start
        start = self.end
        if self.end in self._stops:  # grow the free range at the end
            start = self._stops[self.end]
            self._remove(start)
        self.end = start + size
        return start

    def give(self, start: int, size: int) -> None:
        """Make a range free again, joined with its free neighbours."""
        stop = start + size
        if stop in self._starts:
            stop = self._remove(stop)
        if start in self._stops:
            start = self._stops[start]
            self._remove(start)
        self._add(start, stop)


def plan_memory(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """Offsets of `blocks` in one arena, aligned, and the arena's size in bytes.

    Blocks whose times overlap do not overlap in place.
    """
    sizes = [_aligned(b.size) for b in blocks]
    offsets, end = _by_time(blocks, sizes)
    least = lower_bound(blocks)
    if end > least:
        together = _neighbours(blocks)
        if together is not None:
            spans = [b.last - b.first + 1 for b in blocks]
            keys = (sizes, [n * span for n, span in zip(sizes, spans, strict=True)], spans)
            for key in keys:
                other, other_end = _by_key(blocks, sizes, together, key)
                if other_end < end:
                    offsets, end = other, other_end
    return offsets, end


def _aligned(size: int) -> int:
    return -(-max(1, size) // ALIGNMENT) * ALIGNMENT


def _by_time(blocks: Sequence[Block], sizes: Sequence[int]) -> tuple[list[int], int]:
    """Places given in order of use."""
    free = _FreeList()
    offsets = [0] * len(blocks)
    ending: dict[int, list[int]] = {}
    for k, block in enumerate(blocks):
        ending.setdefault(block.last, []).append(k)
    last_freed = -1
    for k in sorted(range(len(blocks)), key=lambda k: (blocks[k].first, -sizes[k])):
        for step in range(last_freed + 1, blocks[k].first):
            for done in ending.get(step, ()):
                free.give(offsets[done], sizes[done])
        last_freed = max(last_freed, blocks[k].first - 1)
        offsets[k] = free.take(sizes[k])
    return offsets, free.end


#: Pairs of blocks that live at one time, for each block: beyond, only the order of use is tried.
_MAX_TOGETHER = 64


def _neighbours(blocks: Sequence[Block]) -> list[list[int]] | None:
    """For each block those that live at the same time; None where these are too many."""
    together: list[list[int]] = [[] for _ in blocks]
    alive: list[int] = []
    pairs = 0
    for k in sorted(range(len(blocks)), key=lambda k: blocks[k].first):
        alive = [other for other in alive if blocks[other].last >= blocks[k].first]
        pairs += len(alive)
        if pairs > _MAX_TOGETHER * len(blocks):
            return None
        for other in alive:
            together[k].append(other)
            together[other].append(k)
        alive.append(k)
    return together


def _by_key(
    blocks: Sequence[Block],
    sizes: Sequence[int],
    together: Sequence[Sequence[int]],
    key: Sequence[int],
) -> tuple[list[int], int]:
    """Places given in falling order of `key`, each the lowest that is free all the time."""
    offsets = [-1] * len(blocks)
    end = 0
    for k in sorted(range(len(blocks)), key=lambda k: (-key[k], -sizes[k], blocks[k].first)):
        taken = sorted((offsets[o], sizes[o]) for o in together[k] if offsets[o] >= 0)
        place = 0
        for start, size in taken:
            if start - place >= sizes[k]:
                break
            place = max(place, start + size)
        offsets[k] = place
        end = max(end, place + sizes[k])
    return offsets, end


def lower_bound(blocks: Iterable[Block]) -> int:
    """Bytes needed at the worst moment: no plan can do with less."""
    change: dict[int, int] = {}
    for block in blocks:
        size = _aligned(block.size)
        change[block.first] = change.get(block.first, 0) + size
        change[block.last + 1] = change.get(block.last + 1, 0) - size
    worst = now = 0
    for step in sorted(change):
        now += change[step]
        worst = max(worst, now)
    return worst
