"""Where temporary arrays live: one arena, places reused as soon as they are free.

Blocks are handed out in order of use, best fit first, as a list of free ranges that are joined when
neighbours become free: ``O(n log n)`` for `n` blocks.
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
    sizes = [-(-max(1, b.size) // ALIGNMENT) * ALIGNMENT for b in blocks]
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


def lower_bound(blocks: Iterable[Block]) -> int:
    """Bytes needed at the worst moment: no plan can do with less."""
    change: dict[int, int] = {}
    for block in blocks:
        size = -(-max(1, block.size) // ALIGNMENT) * ALIGNMENT
        change[block.first] = change.get(block.first, 0) + size
        change[block.last + 1] = change.get(block.last + 1, 0) - size
    worst = now = 0
    for step in sorted(change):
        now += change[step]
        worst = max(worst, now)
    return worst
