"""Register tiles of a product: accumulators that stay in registers while the reduction runs."""

import math
from dataclasses import dataclass

from relay import dtypes
from relay.loop.ir import Buffer
from relay.loop.walk import loads, stride
from relay.schedule import Schedule
from relay.strategy.nests import Nest, nests_of
from relay.strategy.pairs import merge_pairs
from relay.strategy.rows import TileLoops
from relay.target import Target

#: Multiply-adds written out in one step of the innermost loop, at most; and where operands come
#: from afar, for which loads that are spread in time are better.
_MAX_UNROLLED, _MAX_UNROLLED_STREAM = 96, 16


@dataclass(frozen=True)
class RegisterTile:
    """How to compute a tile of the stage called `buffer`.

    Of the dimensions of the stage, `column` becomes vectors of at most `lanes`, and every step
    along `row` takes one broadcast value. In a `stream` nothing that is loaded is used twice.
    `pairs` is the position of the reduction loop that goes in pairs: see `relay.strategy.pairs`.
    """

    schedule: Schedule
    buffer: str
    column: int
    row: int | None
    lanes: int
    stream: bool = False
    pairs: int | None = None

    def compute(self, loops: TileLoops) -> None:
        """Compute one tile in registers, where the reader's `loops` use it."""
        private = self.schedule.compute_at(self.buffer, loops.at)
        for name in (*loops.rows, *loops.vectors):
            self.schedule.unroll(name)
        self.schedule.vectorize(loops.lanes)
        if self.pairs is not None:
            merge_pairs(self.schedule, private, self.pairs)
        for nest in nests_of(self.schedule.func, private):
            self.order(nest)

    def order(self, nest: Nest) -> None:
        """Order, unroll and vectorize one nest (initialisation or update) of a register tile."""
        schedule = self.schedule
        rank = len(nest.store.indices)
        spatial, reduced = nest.names[:rank], nest.names[rank:]
        lanes = spatial[self.column]
        tiled = [spatial[d] for d in range(rank) if d != self.column]
        vectors: list[str] = []
        if schedule.extent(lanes) > self.lanes:
            outer, lanes = schedule.split(lanes, self.lanes)
            vectors = [outer]
        units = [n for n in tiled if schedule.extent(n) == 1]
        # Rows outside: one broadcast value serves all vectors of its row, and is dead after them.
        row = [spatial[self.row]] if self.row is not None else []
        row = [n for n in row if n not in units]
        unrolled = [*row, *vectors, *(n for n in tiled if n not in (*units, *row))]
        steps = list(reduced)
        if reduced and not (row and _shares(nest, row[0], reduced)):
            accumulators = 1
            for name in unrolled:
                accumulators *= schedule.extent(name)
            steps = self.unroll_reduction(reduced, accumulators)
        schedule.reorder(*units, *steps, *unrolled, lanes)
        for name in unrolled:
            schedule.unroll(name)
        schedule.vectorize(lanes)

    def unroll_reduction(self, reduced: list[str], accumulators: int) -> list[str]:
        """Split a few steps off the innermost reduction loop, to be written out."""
        schedule = self.schedule
        units = [n for n in reduced if schedule.extent(n) == 1]
        long = [n for n in reduced if n not in units]
        if not long:
            return reduced
        extent = schedule.extent(long[-1])
        most = _MAX_UNROLLED_STREAM if self.stream else _MAX_UNROLLED
        if len(long) > 1 and extent * accumulators <= most:
            schedule.unroll(long[-1])
            return [*units, *long]
        for factor in (8, 4, 2):
            if extent % factor == 0 and extent > factor and factor * accumulators <= most:
                outer, inner = schedule.split(long[-1], factor)
                schedule.unroll(inner)
                return [*units, *long[:-1], outer, inner]
        return [*units, *long]


def _shares(nest: Nest, row: str, reduced: list[str]) -> bool:
    """Whether what rows read in an innermost iteration, other rows read in the next ones.

    Written out, such values would stay in registers, of which there are not enough.
    """
    loops = {a.var.name: a for a in nest.axes}
    rows = loops[row]
    step = next((loops[n] for n in reversed(reduced) if loops[n].extent > 1), rows)
    for load in loads(nest.store):
        further, next_row = stride(load, step.var), stride(load, rows.var)
        if step is not rows and further and next_row:
            apart = math.lcm(further, next_row)
            if apart < next_row * rows.extent and apart < further * step.extent:
                return True
    return False


#: The part of the second-level cache that what is brought ahead may take.
_AHEAD_SHARE = 0.4


def look_ahead(schedule: Schedule, buffer: Buffer, ahead: int, used: int, target: Target) -> None:
    """Bring what lies `ahead` elements further in `buffer` near.

    `used` are the elements that are used until then. That may be useless when a kernel runs alone;
    in a network other weights have been used since the last run.
    """
    nbytes = used * dtypes.itemsize(buffer.dtype)
    if 0 < nbytes <= _AHEAD_SHARE * target.l2_bytes and buffer.nbytes > target.l1_bytes:
        schedule.prefetch(buffer.name, ahead)
