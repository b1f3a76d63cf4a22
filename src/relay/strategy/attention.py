"""Attention: two products with a softmax between them, a block of rows at a time.

The stages ``query, keys -> scores -> masked -> top -> powers -> total -> inverse`` and
``powers, values -> mixed -> attention`` (`relay.op.nn.attention` writes them) would each go to
memory and come back; the scores of all queries with all keys are the largest by far. Here a block
of rows goes through all stages while its scores are in the nearest caches. Keys and values are
brought into an order that suits the products once for each head; a head's blocks of rows then read
them again and again. Where there are too few heads for all cores, keys and values of all heads are
brought in order first, and the cores share out blocks of rows.

Sources: M. Milakov and N. Gimelshein, Online normalizer calculation for softmax (2018); T. Dao et
al., FlashAttention (2022). Whole rows of scores are kept here: caches hold them for thousands of
keys, and no running maximum has to be corrected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relay import dtypes
from relay.loop.ir import Buffer, Kind
from relay.loop.walk import loads
from relay.schedule import Schedule
from relay.strategy.elementwise import (
    PARALLEL_WORK,
    cut_into,
    fuse_parallel,
    pieces,
    vectorize_in_pieces,
    vectorize_writes,
)
from relay.strategy.nests import (
    Nest,
    consumer_loops,
    lanes_of,
    nests_of,
    product_operands,
    top_nests,
    update_of,
)
from relay.strategy.pairs import paired
from relay.strategy.registers import RegisterTile
from relay.strategy.rows import RowTiling, TileLoops, parts
from relay.strategy.tiles import choose
from relay.target import Target

#: The part of a core's second-level cache that the scores of a block of rows may take.
_CACHE_SHARE = 0.125
#: Rows of a block: enough to use what is read of the keys from the second-level cache, and as many
#: as are worth it where their scores take more than their part of it.
_MOST_ROWS, _LEAST_ROWS = 24, 8
#: Vectors of partial results of a row: enough to hide how long a maximum takes.
_PARTIALS = 4
#: Vector registers that it takes to put pairs together.
_REGISTERS_OF_PAIRS = 2


@dataclass(frozen=True)
class _Stages:
    """The stages, all of them workspaces; `head` counts the dimensions of a head's number."""

    query: Buffer
    keys: Buffer
    scores: Buffer
    masked: Buffer
    top: Buffer
    powers: Buffer
    total: Buffer
    inverse: Buffer
    values: Buffer
    mixed: Buffer
    result: Buffer

    @property
    def head(self) -> int:
        return len(self.scores.shape) - 2


def _readers(schedule: Schedule, buffer: Buffer) -> list[Buffer]:
    """The stages that read `buffer`, in order."""
    nests = top_nests(schedule.func)
    found = (n.store.buffer for n in nests if any(e.buffer is buffer for e in loads(n.store)))
    return list(dict.fromkeys(found))


def _reduction(schedule: Schedule, buffer: Buffer) -> str | None:
    """How the stage `buffer` is reduced; None where it is not."""
    update = update_of(schedule.func, buffer)
    return update.store.reduce if update else None


def _operands(schedule: Schedule, product: Buffer) -> tuple[Buffer, Buffer] | None:
    """The two stages whose product is summed up in the stage `product`."""
    update = update_of(schedule.func, product)
    found = product_operands(update.store.value) if update else None
    if found is None or any(e.buffer not in schedule.func.workspaces for e in found):
        return None
    return found[0].buffer, found[1].buffer


def _paired(update: Nest, target: Target) -> int | None:
    """Which of the reduction loops of a product goes in pairs, if one does."""
    found = product_operands(update.store.value)
    return None if found is None else paired(update, *found, target)


def _recognize(schedule: Schedule, scores: Buffer) -> _Stages | None:
    """The stages around the product `scores`; None where there are not all of them."""

    def only(buffer: Buffer) -> Buffer | None:
        found = _readers(schedule, buffer)
        return found[0] if len(found) == 1 and found[0] in schedule.func.workspaces else None

    operands, masked = _operands(schedule, scores), only(scores)
    if operands is None or masked is None or len(operands[1].shape) != len(scores.shape) + 1:
        return None
    row = _readers(schedule, masked)
    last = _readers(schedule, row[-1])
    if len(row) != 2 or len(last) != 2:
        return None
    top, powers = row
    total, mixed = sorted(last, key=lambda b: len(b.shape))
    weighted, inverse, result = _operands(schedule, mixed), only(total), only(mixed)
    kinds = _reduction(schedule, top), _reduction(schedule, total)
    if weighted is None or inverse is None or result is None or kinds != ("max", "sum"):
        return None
    if weighted[0] is not powers or only(top) is not powers or only(inverse) is not result:
        return None
    return _Stages(
        *operands, scores, masked, top, powers, total, inverse, weighted[1], mixed, result
    )


def _steps(nest: Nest, buffer: Buffer) -> list[str] | None:
    """The loops by which `nest` steps through `buffer`, the last two dimensions last.

    None where it reduces, or does anything else than to visit each element once.
    """
    found = consumer_loops(nest, buffer)
    loops = [loop for loop in found if loop is not None]
    names = [loop.var.name for loop in loops]
    whole = all(
        size == (1 if loop is None else loop.extent)
        for size, loop in zip(buffer.shape, found, strict=True)
    )
    alone = all(a.extent == 1 for a in nest.axes if a.var.name not in names)
    if nest.store.reduce or None in found[-2:] or not (whole and alone):
        return None
    return names if len(set(names)) == len(names) else None


def schedule_attention(schedule: Schedule, target: Target) -> None:
    """Schedule every attention in the program."""
    for buffer in schedule.func.workspaces:
        stages = _recognize(schedule, buffer) if buffer in schedule.func.workspaces else None
        if stages is not None:
            _Blocks(schedule, stages, target).run()


class _Blocks:
    """Takes the steps of one attention."""

    def __init__(self, schedule: Schedule, stages: _Stages, target: Target) -> None:
        self.schedule = schedule
        self.stages = stages
        update = update_of(schedule.func, stages.scores)
        second = update_of(schedule.func, stages.mixed)
        assert update is not None
        assert second is not None
        self.lanes = lanes_of(update, target)
        self.pairs = {
            product: _paired(nest, target)
            for product, nest in ((stages.scores, update), (stages.mixed, second))
        }
        # Pairs of what is not packed are put together in registers.
        taken = _REGISTERS_OF_PAIRS if any(v is not None for v in self.pairs.values()) else 0
        self.target = replace(target, vector_registers=target.vector_registers - taken)
        self.parallel = update.work + second.work >= PARALLEL_WORK
        self.heads = stages.scores.size // (stages.scores.shape[-1] * stages.scores.shape[-2])

    def run(self) -> None:
        """Take all steps."""
        schedule, stages = self.schedule, self.stages
        around, row, column = self._final()
        schedule.reorder(*around, row, column)
        size = self._rows()
        apart = self.parallel and (
            self.heads < 4 * self.target.cores and self.heads % self.target.cores != 0
        )
        shared = None
        if not apart and around:
            shared = fuse_parallel(schedule, around) if self.parallel else around[-1]
        if shared is None:
            schedule.reorder(row, *around, column)
        covered = parts(schedule.extent(row), size)
        names = cut_into(schedule, row, [count * rows for count, rows in covered])
        for name, (_, rows) in zip(names, covered, strict=True):
            mark = name[len(row) :]
            block, inner = schedule.split(name, rows)
            if shared is None:
                outer = [f"{n}{mark}" for n in around]
                schedule.reorder(*outer, block, inner, f"{column}{mark}")
                if self.parallel:
                    block = fuse_parallel(schedule, [*outer, block])
            self._block(block, inner, f"{column}{mark}")
        for stage in (stages.keys, stages.values):
            self._in_order(stage, shared)

    def _rows(self) -> int:
        """Rows of a block: whole register tiles, or fewer where keys are many."""
        scores = self.stages.scores
        columns = self.stages.mixed.shape[-1]
        tile = choose(_MOST_ROWS, -(-columns // self.lanes), self.target)
        row = 2 * scores.shape[-1] * dtypes.itemsize(scores.dtype)
        near = int(_CACHE_SHARE * self.target.l2_bytes) // row
        most = min(_MOST_ROWS, max(_LEAST_ROWS, near))
        rows = most // tile.rows * tile.rows or most
        return min(rows, scores.shape[-2])

    def _final(self) -> tuple[list[str], str, str]:
        """The loops of the nest that reads the result: those around, of rows, of columns."""
        schedule, result = self.schedule, self.stages.result
        self.result = result.name
        nests = [
            n for n in top_nests(schedule.func) if any(e.buffer is result for e in loads(n.store))
        ]
        steps = _steps(nests[0], result) if len(nests) == 1 else None
        if steps is None:
            self.result, names = schedule.isolate(result.name)
            return names[:-2], names[-2], names[-1]
        row, column = steps[-2:]
        # Loops of one step, which stand for no head, go outside.
        around = [n for n in nests[0].names if n not in steps]
        return [*around, *steps[:-2]], row, column

    def _block(self, block: str, row: str, column: str) -> None:
        """All stages of one block of rows: `row` counts its rows, `column` features of values."""
        schedule, stages = self.schedule, self.stages
        vectors = -(-schedule.extent(column) // self.lanes)
        tile = choose(schedule.extent(row), vectors, self.target)
        self._tiles(stages.mixed, (), row, column, tile.vectors, self.result)
        order = (stages.inverse, stages.total, stages.powers, stages.top, stages.masked)
        inner = {stage: schedule.compute_at(stage.name, block) for stage in order}
        (nest,) = nests_of(schedule.func, inner[stages.masked])
        *heads, row, column = nest.names
        width = self._without_filling(heads, row, column)
        tile = choose(schedule.extent(row), width, self.target)
        self._tiles(stages.scores, heads, row, column, tile.vectors, None)
        query = schedule.compute_at(stages.query.name, block)
        for name in (query, inner[stages.powers]):
            for nest in nests_of(schedule.func, name):
                vectorize_in_pieces(schedule, nest.names[-1], self.lanes)
        for stage in (stages.top, stages.total):
            for nest in nests_of(schedule.func, inner[stage]):
                if nest.store.reduce:
                    self._reduce_row(nest.names[-1])

    def _without_filling(self, heads: Sequence[str], row: str, column: str) -> int:
        """Take vectors of `column` that hold no key at all apart; returns how many are left."""
        schedule = self.schedule
        vectors = -(-self.stages.values.shape[-2] // self.lanes)
        if vectors * self.lanes < schedule.extent(column):
            schedule.reorder(column, *heads, row)
            _, rest = schedule.cut(column, vectors * self.lanes)
            mark = rest[len(column) :]
            schedule.reorder(*(f"{n}{mark}" for n in (*heads, row)), rest)
            vectorize_in_pieces(schedule, rest, self.lanes)
        return vectors

    def _tiles(
        self,
        product: Buffer,
        outer: Sequence[str],
        row: str,
        column: str,
        vectors: int,
        result: str | None,
    ) -> None:
        """Register tiles of the stage `product` over `row` and `column` of a nest that reads it.

        `result` is a stage that stands between the product and that nest.
        """
        schedule = self.schedule
        rank = len(product.shape)
        pairs = self.pairs[product]
        tile = RegisterTile(schedule, product.name, rank - 1, rank - 2, self.lanes, pairs=pairs)

        def body(loops: TileLoops) -> None:
            if result is not None:
                self._write_out(schedule.compute_at(result, loops.at))
            tile.compute(loops)

        for panel, lanes_loop, vector_loop, mark in self._panels(outer, row, column, vectors):
            count = schedule.extent(vector_loop) if vector_loop else 1
            rows = choose(schedule.extent(f"{row}{mark}"), count, self.target, exact_vectors=True)
            ahead = [f"{n}{mark}" for n in outer]
            RowTiling(
                schedule=schedule,
                outermost=(*ahead, panel),
                row=f"{row}{mark}",
                vectors=(vector_loop,) if vector_loop else (),
                lanes=lanes_loop,
                size=rows.rows,
                parallel=False,
                target=self.target,
                body=body,
            ).run()

    def _reduce_row(self, loop: str) -> None:
        """Reduce a row of scores, which is whole vectors long, with vectors of partial results."""
        schedule = self.schedule
        vectors = schedule.extent(loop) // self.lanes
        groups = min(vectors, _PARTIALS)
        if rest := vectors % groups:
            loop, last = schedule.cut(loop, (vectors - rest) * self.lanes)
            self._reduce_row(last)
        outer, inner = schedule.split(loop, groups * self.lanes)
        group, lane = schedule.split(inner, self.lanes)
        schedule.rfactor(outer, (group, lane))
        schedule.unroll(group)
        schedule.vectorize(lane)

    def _panels(
        self, outer: Sequence[str], row: str, column: str, vectors: int
    ) -> list[tuple[str, str, str | None, str]]:
        """`column` outside and in panels: ``(panel, lanes, vectors, mark of the names inside)``."""
        schedule = self.schedule
        schedule.reorder(column, *outer, row)
        sizes = _panel_sizes(schedule.extent(column), vectors, self.lanes)
        cuts = cut_into(schedule, column, [count * size for count, size in sizes])
        found = []
        for name, (_, size) in zip(cuts, sizes, strict=True):
            panel, inner = schedule.split(name, size)
            vector_loop: str | None = None
            if size > self.lanes:
                vector_loop, inner = schedule.split(inner, self.lanes)
            found.append((panel, inner, vector_loop, name[len(column) :]))
        return found

    def _write_out(self, private: str) -> None:
        """Write out the rows of the small stage `private`, in vectors."""
        for nest in nests_of(self.schedule.func, private):
            for axis in nest.axes[:-1]:
                if axis.extent > 1:
                    self.schedule.unroll(axis.var.name)
            last = nest.axes[-1]
            if last.extent > self.lanes and last.extent % self.lanes == 0:
                vector, lane = self.schedule.split(last.var.name, self.lanes)
                self.schedule.unroll(vector)
                self.schedule.vectorize(lane)
            else:
                vectorize_in_pieces(self.schedule, last.var.name, self.lanes)

    def _in_order(self, stage: Buffer, shared: str | None) -> None:
        """Compute keys or values: in loop `shared`, or else all of them before, on all cores."""
        schedule, name = self.schedule, stage.name
        if shared is not None:
            name = schedule.compute_at(name, shared)
        (nest,) = nests_of(schedule.func, name)
        size, count = stage.shape[-1], self.stages.values.shape[-2]
        if stage is self.stages.keys and 0 < count % size < count:
            # Only the last block has more room than there are keys.
            schedule.cut(nest.names[-3], count // size)
        if shared is None and self.parallel:
            for nest in nests_of(schedule.func, name):
                fuse_parallel(schedule, nest.names[: self.stages.head + 1], self.target.cores)
        vectorize_writes(schedule, name, self.lanes)
        if stage is self.stages.keys:
            self._turn(name)

    def _turn(self, keys: str) -> None:
        """Bring squares of keys and features in order at once: what is read is contiguous."""
        for nest in nests_of(self.schedule.func, keys):
            square = nest.axes[-1].extent
            if len(nest.axes) < 2 or nest.axes[-1].kind is not Kind.VECTORIZED:
                continue
            feature = nest.axes[-2]
            if feature.kind is Kind.SERIAL and feature.extent % square == 0:
                _, inner = self.schedule.split(feature.var.name, square)
                self.schedule.unroll(inner)


def _panel_sizes(extent: int, vectors: int, lanes: int) -> list[tuple[int, int]]:
    """`extent` columns as ``(count, columns)``: panels of `vectors`, then powers of two."""
    width = vectors * lanes
    found = parts(extent - extent % lanes, width)
    return found + [(1, size) for size in pieces(extent % lanes, lanes)]
