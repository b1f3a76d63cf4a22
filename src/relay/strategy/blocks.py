"""Large products, in blocks that stay in the second-level cache.

Done panel by panel, a product keeps a panel of columns, as long as the whole reduction, in that
cache while all rows go over it. A long reduction leaves no room for that. Then the reduction is cut
into blocks, and rows and panels into groups (after Goto and van de Geijn, "Anatomy of
high-performance matrix multiplication", 2008)::

    parallel groups of rows, groups of panels {
      partial = 0
      for blocks of the reduction {
        for panels of the group { for tiles of rows { partial += sums of one block, in registers } }
      }
      epilogue of partial
    }

A block of the rows operand stays near for all panels of the group, and a part of a panel for all
rows. The partial sums go through the cache once a block of the reduction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from relay.schedule import Schedule
from relay.strategy.elementwise import cut_into, fuse_parallel, vectorize_in_pieces
from relay.strategy.nests import Nest, nests_of
from relay.strategy.registers import RegisterTile
from relay.strategy.rows import RowTiling, TileLoops, parts
from relay.strategy.tiles import MOST_FAR_ROWS, OWN_BYTES_A_CYCLE, SEEN, cycles
from relay.target import Target

#: Bytes that a core gets in a cycle from the cache that cores share.
_SHARED_BYTES_A_CYCLE = 12.0
#: Cycles until all cores have begun and have waited for the last one, and until the multipliers
#: are busy with a tile.
_JOIN, _START = 40_000.0, 60.0
#: The part of the second-level cache that panels as long as the reduction may take; and the part
#: that is for blocks, as sums and results go through the cache as well.
_CACHE_SHARE, _BLOCK_SHARE = 0.65, 0.58
#: Panels in a group that are tried, vectors in a panel, and steps of a block of the reduction.
_GROUPS, _VECTORS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32), range(1, 7)
_FEWEST_STEPS, _MOST_STEPS, _USUAL_STEPS = 128, 1024, (128, 256, 384, 512)


@dataclass(frozen=True)
class Shape:
    """A product of `rows` by `columns`, each the sum of `steps` terms of `itemsize` bytes."""

    rows: int
    columns: int
    steps: int
    itemsize: int
    lanes: int


@dataclass(frozen=True)
class Blocks:
    """Groups of `rows` and of `panels`, each panel of `vectors`, and blocks of `steps` terms.

    A register tile has `tile` rows.
    """

    rows: int
    panels: int
    vectors: int
    steps: int
    tile: int


@cache
def choose_blocks(shape: Shape, target: Target) -> Blocks | None:
    """The blocks that take the fewest cycles; None where the product needs none.

    It needs none where the rows operand, or a panel with the next one, stay in the cache.
    """
    if shape.rows * shape.steps * shape.itemsize <= target.l2_bytes:
        return None
    if not _long(shape, target):
        return None
    return min(_candidates(shape, target), key=lambda b: _estimate(shape, b, target), default=None)


def _widest(target: Target) -> tuple[int, int]:
    """Rows and vectors of the register tile with the most accumulators."""
    found = [(_most_rows(v, target), v) for v in _VECTORS]
    return max((f for f in found if f[0] > 0), key=lambda f: (f[0] * f[1], f[0]))


def _most_rows(vectors: int, target: Target) -> int:
    """Rows for which the accumulators, `vectors` columns and one broadcast value have registers."""
    return min(MOST_FAR_ROWS, (target.vector_registers - vectors - 1) // vectors)


def _long(shape: Shape, target: Target) -> bool:
    """Whether two panels that are as long as the reduction leave too little of the cache."""
    rows, vectors = _widest(target)
    width = vectors * shape.lanes
    near = shape.steps * (2 * width + rows) * shape.itemsize
    return near > _CACHE_SHARE * target.l2_bytes


def _cover(extent: int, vectors: int, size: int) -> float:
    """Cycles for one step of the reduction of `extent` rows, in tiles of `size`."""
    return sum(count * cycles(part, vectors) for count, part in parts(extent, size))


def _candidates(shape: Shape, target: Target) -> Iterator[Blocks]:
    """Blocks of which two parts of panels and one of rows stay in the cache."""
    whole = [d for d in range(_FEWEST_STEPS, _MOST_STEPS + 1) if shape.steps % d == 0]
    steps = (*whole, *(d for d in _USUAL_STEPS if d < shape.steps and d not in whole))
    _, widest = _widest(target)
    # What whole panels leave over is done panel by panel: another width only where that is much.
    fits = shape.columns % (widest * shape.lanes) <= shape.columns // 8
    for vectors in (widest,) if fits else _VECTORS:
        most = _most_rows(vectors, target)
        if most < 1 or vectors * shape.lanes > shape.columns:
            break
        for groups in range(1, shape.rows // most + 1):
            share = -(-shape.rows // groups)
            rows = share if shape.rows % groups == 0 else -(-share // most) * most
            tile = min(range(1, most + 1), key=lambda r: (_cover(rows, vectors, r), -r))
            for count in steps:
                width = vectors * shape.lanes
                near = count * (rows + 2 * width) * shape.itemsize
                if near > _BLOCK_SHARE * target.l2_bytes:
                    continue
                for panels in _GROUPS:
                    if panels * width <= shape.columns:
                        yield Blocks(rows, panels, vectors, count, tile)
            if rows <= 8 * most:
                break


def _estimate(shape: Shape, blocks: Blocks, target: Target) -> float:
    """Cycles that `blocks` take, about, on all cores of `target`."""
    panels = shape.columns // (blocks.vectors * shape.lanes)
    rest = shape.columns % (blocks.vectors * shape.lanes)
    total = 0.0
    for row_count, rows in parts(shape.rows, blocks.rows):
        for panel_count, group in parts(panels, blocks.panels):
            jobs = row_count * panel_count
            total += -(-jobs // target.cores) * _job(shape, blocks, rows, group, target) + _JOIN
        if rest:
            vectors = -(-rest // shape.lanes)
            total += row_count * shape.steps * _cover(rows, vectors, blocks.tile)
    return total


def _job(shape: Shape, blocks: Blocks, rows: int, panels: int, target: Target) -> float:
    """Cycles for one group of rows and of panels."""
    width, size = blocks.vectors * shape.lanes, shape.itemsize
    tiles = -(-rows // blocks.tile)
    arithmetic = _cover(rows, blocks.vectors, blocks.tile)
    near = (tiles * width + rows) * size / OWN_BYTES_A_CYCLE
    column = width * size / _SHARED_BYTES_A_CYCLE
    starts = -(-shape.steps // blocks.steps) * tiles * _START
    step = max(arithmetic + SEEN * (near + column), near, column)
    products = panels * (shape.steps * step + starts)
    partial = 4.0 * rows * panels * width
    over = blocks.steps * (rows + 2 * width) * size + partial - target.l2_bytes
    far = min(partial, max(0.0, over))
    passes = 2.0 * (1 + -(-shape.steps // blocks.steps))
    sums = passes * ((partial - far) / OWN_BYTES_A_CYCLE + far / _SHARED_BYTES_A_CYCLE)
    return products + sums + rows * shape.steps * size / _SHARED_BYTES_A_CYCLE


@dataclass(frozen=True)
class BlockTiling:
    """Schedules the stage `buffer` and its reader by `blocks`.

    `column` and `row` are dimensions of the stage; the others have one element, and the reduction
    one axis.
    """

    schedule: Schedule
    buffer: str
    column: int
    row: int
    lanes: int
    blocks: Blocks
    target: Target

    def run(self, units: tuple[str, ...], row: str, column: str) -> None:
        """Take all steps, for the reader's loops over one element, the rows and whole panels."""
        schedule, blocks = self.schedule, self.blocks
        schedule.reorder(*units, row, column)
        width = blocks.vectors * self.lanes
        groups = parts(schedule.extent(column) // width, blocks.panels)
        row_parts = parts(schedule.extent(row), blocks.rows)
        for name, (_, rows) in self._cut(row, row_parts):
            inner = column + name[len(row) :]
            columns = [(count, panels * width) for count, panels in groups]
            outer, in_rows = schedule.split(name, rows)
            schedule.reorder(inner, outer, in_rows)
            for part, (_, size) in self._cut(inner, columns):
                mark = part[len(inner) :]
                group, in_columns = schedule.split(part, size)
                schedule.reorder(f"{outer}{mark}", group, f"{in_rows}{mark}", in_columns)
                self._group(fuse_parallel(schedule, (f"{outer}{mark}", group)), in_columns)

    def _cut(self, loop: str, covered: list[tuple[int, int]]) -> list[tuple[str, tuple[int, int]]]:
        names = cut_into(self.schedule, loop, [count * size for count, size in covered])
        return list(zip(names, covered, strict=True))

    def _group(self, job: str, columns: str) -> None:
        """Schedule one group of rows and panels, of which the reader goes over `columns`."""
        schedule = self.schedule
        partial = schedule.compute_at(self.buffer, job)
        start, update = nests_of(schedule.func, partial)
        vectorize_in_pieces(schedule, columns, self.lanes)
        self._order(start)
        vectorize_in_pieces(schedule, start.names[self.column], self.lanes)
        self._order(update)
        rank = len(update.store.indices)
        row, column = update.names[self.row], update.names[self.column]
        (steps,) = (a.var.name for a in update.axes[rank:] if a.extent > 1)
        schedule.reorder(steps, row, column)
        covered = parts(schedule.extent(steps), self.blocks.steps)
        for name, (_, size) in self._cut(steps, covered):
            mark = name[len(steps) :]
            self._block(partial, (f"{row}{mark}", f"{column}{mark}", name), size)

    def _order(self, nest: Nest) -> None:
        """Put the loops of one iteration outside of rows, columns and steps."""
        long = {nest.names[self.row], nest.names[self.column]}
        rank = len(nest.store.indices)
        long |= {a.var.name for a in nest.axes[rank:] if a.extent > 1}
        units = [n for n in nest.names if n not in long]
        if units:
            self.schedule.reorder(*units, *(n for n in nest.names if n in long))

    def _block(self, partial: str, loops: tuple[str, str, str], size: int) -> None:
        """Schedule the blocks of `size` steps: `loops` are over rows, columns and steps."""
        schedule = self.schedule
        row, column, steps = loops
        blocks, step = schedule.split(steps, size)
        panel, inner = schedule.split(column, self.blocks.vectors * self.lanes)
        vector, lanes = schedule.split(inner, self.lanes)
        schedule.reorder(blocks, panel, row, vector, lanes, step)
        RowTiling(
            schedule=schedule,
            outermost=(blocks, panel),
            row=row,
            vectors=(vector,),
            lanes=lanes,
            size=self.blocks.tile,
            parallel=False,
            target=self.target,
            body=lambda tile: self._tile(partial, tile, f"{step}{tile.lanes[len(lanes) :]}"),
        ).run()

    def _tile(self, partial: str, loops: TileLoops, step: str) -> None:
        """Sum one block of one tile in registers, and add it to what is there."""
        schedule = self.schedule
        sums = schedule.accumulate(partial, loops.at)
        tile = RegisterTile(schedule, sums, self.column, self.row, self.lanes)
        start, _ = nests_of(schedule.func, sums)
        tile.order(start)
        unrolled = (*loops.rows, *loops.vectors)
        accumulators = 1
        for name in unrolled:
            accumulators *= schedule.extent(name)
        steps = tile.unroll_reduction([step], accumulators)
        schedule.reorder(*steps, *loops.rows, *loops.vectors, loops.lanes)
        for name in unrolled:
            schedule.unroll(name)
        schedule.vectorize(loops.lanes)
        added = next(n for n in nests_of(schedule.func, partial) if n.names[-1].startswith(sums))
        tile.order(added)
