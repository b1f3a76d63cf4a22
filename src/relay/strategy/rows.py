"""Tiling of rows: the loop structure that products and windowed reductions share.

::

    parallel outermost... {          parallel outermost..., row tiles {
      for row tiles {        or        (unrolled vectors, row steps, lanes)
        (vectors, row steps, lanes)  }
      }
    }

What the rows leave over is tiled by itself, after the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from relay.loop.ir import Buffer, Kind
from relay.loop.walk import loads, loops
from relay.schedule import Schedule
from relay.strategy.elementwise import cut_into, fuse_parallel, vectorize_writes
from relay.strategy.nests import MAX_PRIVATE_BYTES, allocations
from relay.support.errors import ScheduleError
from relay.target import Target


@dataclass(frozen=True)
class TileLoops:
    """The loops of the reader inside of one register tile, and the loop `at` around them."""

    at: str
    rows: tuple[str, ...]
    vectors: tuple[str, ...]
    lanes: str


Body: TypeAlias = Callable[[TileLoops], None]


def parts(extent: int, size: int) -> list[tuple[int, int]]:
    """`extent` as ``(count, size)`` and a rest."""
    found = [(extent // size, size)] if extent >= size else []
    if extent % size:
        found.append((1, extent % size))
    return found


@dataclass(frozen=True)
class RowTiling:
    """Tiles a perfect nest of `outermost` loops, the `row` loop, `vectors` loops and `lanes`.

    `size` is the number of rows of a tile. `body` schedules the inside of each tile.
    """

    schedule: Schedule
    outermost: Sequence[str]
    row: str | None
    vectors: Sequence[str]
    lanes: str
    size: int
    parallel: bool
    target: Target
    body: Body

    def run(self) -> None:
        """Take all steps."""
        if self.row is None:
            self._without_rows()
        elif not self.outermost or (
            self.parallel and self._few() and self.schedule.extent(self.row) > self.size
        ):
            self._rows_outside(self.row)
        else:
            self._rows_inside(self.row)

    def _few(self) -> bool:
        """Whether the outermost loops are too few to keep all cores busy."""
        iterations = 1
        for name in self.outermost:
            iterations *= self.schedule.extent(name)
        cores = self.target.cores
        return iterations < 4 * cores and iterations % cores != 0

    def _without_rows(self) -> None:
        self.schedule.reorder(*self.outermost, *self.vectors, self.lanes)
        self.body(TileLoops(self._outer(), (), tuple(self.vectors), self.lanes))

    def _outer(self) -> str:
        if self.parallel:
            return fuse_parallel(self.schedule, self.outermost)
        return self.outermost[-1]

    def _rows_inside(self, row: str) -> None:
        schedule = self.schedule
        schedule.reorder(*self.outermost, row, *self.vectors, self.lanes)
        self._outer()
        for tiles, steps, mark in self._cut(row):
            vectors = tuple(f"{n}{mark}" for n in self.vectors)
            lanes = f"{self.lanes}{mark}"
            schedule.reorder(tiles, *vectors, steps, lanes)
            self.body(TileLoops(tiles, (steps,), vectors, lanes))

    def _rows_outside(self, row: str) -> None:
        """Tile the rows around everything else, and run their tiles in parallel too."""
        schedule = self.schedule
        schedule.reorder(row, *self.outermost, *self.vectors, self.lanes)
        for tiles, steps, mark in self._cut(row):
            outer = [f"{n}{mark}" for n in self.outermost]
            vectors = tuple(f"{n}{mark}" for n in self.vectors)
            lanes = f"{self.lanes}{mark}"
            schedule.reorder(*outer, tiles, *vectors, steps, lanes)
            at = fuse_parallel(schedule, [*outer, tiles]) if self.parallel else tiles
            self.body(TileLoops(at, (steps,), vectors, lanes))

    def _cut(self, row: str) -> list[tuple[str, str, str]]:
        """The row loop in whole tiles and a rest: ``(tiles, steps, mark of the names inside)``."""
        covered = parts(self.schedule.extent(row), self.size)
        names = cut_into(self.schedule, row, [count * size for count, size in covered])
        found = []
        for name, (_, size) in zip(names, covered, strict=True):
            tiles, steps = self.schedule.split(name, size)
            found.append((tiles, steps, name[len(row) :]))
        return found


def gather(schedule: Schedule, source: Buffer, lanes: int) -> None:
    """Compute the stage `source` (a padded input, say) inside of the parallel loops that read it.

    Each of their iterations then makes the few rows it needs, in memory that stays in the caches,
    instead of all rows being made before. Does nothing where that is illegal or takes more private
    memory than there is.
    """
    if source not in schedule.func.workspaces:
        return
    parallel = [f for f in loops(schedule.func.body) if f.kind is Kind.PARALLEL]
    reading = [f.var.name for f in parallel if any(e.buffer is source for e in loads(f))]
    before = schedule.func, list(schedule.trace)
    try:
        for name in reading:
            private = schedule.compute_at(source.name, name)
            made = [s.buffer for s in allocations(schedule.func.body)]
            if sum(b.nbytes for b in made if b.name == private) > MAX_PRIVATE_BYTES:
                raise ScheduleError(f"{private} is too large to be private")
            vectorize_writes(schedule, private, lanes)
    except ScheduleError:
        schedule.func, schedule.trace = before
