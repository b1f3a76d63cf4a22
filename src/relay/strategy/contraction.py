"""Products summed over an axis: matrix products and convolutions, whatever their layout.

The stage ``T[..] += a[..] * b[..]`` is tiled in registers: `vectors` vectors along an axis that
moves `b` (the columns) times `rows` steps along an axis that moves `a` only. The tile is computed
where its readers use it, so that the epilogue works on registers before the only store.
"""

from dataclasses import dataclass

from relay import dtypes
from relay.loop.ir import Buffer, For, Load
from relay.loop.walk import loads, stride
from relay.schedule import Schedule
from relay.strategy.blocks import Blocks, BlockTiling, Shape, choose_blocks
from relay.strategy.elementwise import (
    PARALLEL_WORK,
    cut_into,
    pieces,
)
from relay.strategy.nests import (
    Nest,
    consumer_loops,
    depends,
    lanes_of,
    product_operands,
    readers,
    top_nests,
    update_of,
)
from relay.strategy.pairs import paired
from relay.strategy.registers import RegisterTile, look_ahead
from relay.strategy.rows import RowTiling, gather, parts
from relay.strategy.tiles import MOST_FAR_ROWS, Tile, balanced, choose
from relay.target import Target

#: Operations of a product of one row below which it stays on one core.
_PARALLEL_WORK_OF_A_ROW = 8 * PARALLEL_WORK

#: How far ahead to look where everything is read once: a few steps of any tile.
_AHEAD_BYTES = 2048

#: Tiles of rows that go over a panel, at most, where the next one is asked for in each.
_MOST_TILES_AHEAD = 64


@dataclass(frozen=True)
class Contraction:
    """What is known of ``T[..] += a * b``: dimensions of `T` by role.

    `column` is the dimension whose steps are vector lanes, `row` the one tiled in rows (None where
    there is none), `blocks` further dimensions that move only `b`.
    """

    update: Nest
    rows_operand: Load
    columns_operand: Load
    column: int
    row: int | None
    blocks: tuple[int, ...]


def recognize(update: Nest) -> Contraction | None:
    """`update` as a contraction; None where it is none (or both operands move together)."""
    if update.store.reduce != "sum" or not update.spatial:
        return None
    operands = product_operands(update.store.value)
    if operands is None:
        return None
    axes = update.axes[: len(update.store.indices)]
    innermost = next((a.var for a in reversed(axes) if a.extent > 1), None)
    if innermost is None or all(depends(operand, innermost) for operand in operands):
        return None  # neighbours have factors of their own: nothing to broadcast
    candidates = []
    for a, b in (operands, operands[::-1]):
        for dimension in reversed(range(len(axes))):
            variable = axes[dimension].var
            if axes[dimension].extent > 1 and depends(b, variable) and not depends(a, variable):
                contiguous = stride(b, variable) == 1
                candidates.append((not contiguous, len(axes) - dimension, a, b, dimension))
                break
    if not candidates:
        return None
    # The innermost dimension makes the columns; of two, the one that is contiguous already.
    _, _, a, b, column = min(candidates, key=lambda c: (c[1], c[0]))
    rows = [
        d
        for d, axis in enumerate(axes)
        if axis.extent > 1 and depends(a, axis.var) and not depends(b, axis.var)
    ]
    blocks = tuple(
        d
        for d, axis in enumerate(axes)
        if d != column and axis.extent > 1 and depends(b, axis.var) and not depends(a, axis.var)
    )
    return Contraction(update, a, b, column, rows[-1] if rows else None, blocks)


@dataclass(frozen=True)
class _Roles:
    """The loops of the reading nest by role (names): see `Contraction`.

    `block_stride` are elements of the columns operand from one step of `block` to the next.
    """

    column: str
    row: str | None
    block: str | None
    block_stride: int
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def outer(self) -> str:
        """The loop whose tiles are the panels of columns."""
        return self.block or self.column

    @property
    def inside(self) -> tuple[str, ...]:
        """The loops inside the panels, before any is split."""
        row = (self.row,) if self.row else ()
        return (*self.after, *row, *((self.column,) if self.block else ()))


def schedule_contraction(
    schedule: Schedule, buffer: Buffer, target: Target, constants: frozenset[str]
) -> bool:
    """Schedule the stage `buffer` and its reader, if it is a contraction.

    `constants` are the names of parameters known at compile time: packing them costs nothing.
    """
    update = update_of(schedule.func, buffer)
    work = recognize(update) if update else None
    if work is None or _along_rows(work, constants):
        return False
    reader = _single_reader(schedule, buffer)
    if reader is None or not _can_tile(reader, buffer, work):
        name, _ = schedule.isolate(buffer.name)
        buffer = next(b for b in schedule.func.workspaces if b.name == name)
        reader = _single_reader(schedule, buffer)
        assert reader is not None, "the copy of an isolated stage is its one reader"
    _Tiling(schedule, buffer, reader, work, target, constants).run()
    return True


def _along_rows(work: Contraction, constants: frozenset[str]) -> bool:
    """Whether a matrix that is read once, by rows, is multiplied by a vector.

    Every result is then a reduction along a row; vectors of results would need another layout.
    """
    operand, axes = work.columns_operand, work.update.axes
    if work.row is not None or operand.buffer.name in constants:
        return False
    if stride(operand, axes[work.column].var) == 1:
        return False
    return any(a.extent > 1 and stride(operand, a.var) == 1 for a in work.update.reduced)


def _single_reader(schedule: Schedule, buffer: Buffer) -> Nest | None:
    """The one nest that reads the stage `buffer`, if there is one and it reduces nothing."""
    found = readers(schedule.func, buffer)
    nests = [n for n in top_nests(schedule.func) if any(e.buffer is buffer for e in loads(n.store))]
    if len(found) != 1 or len(nests) != 1 or nests[0].store.reduce:
        return None
    return nests[0]


def _can_tile(reader: Nest, buffer: Buffer, work: Contraction) -> bool:
    """Whether the loops of `reader` step the rows and columns of `buffer` one by one."""
    steps = consumer_loops(reader, buffer)
    column = steps[work.column]
    if column is None or column.extent < min(8, buffer.shape[work.column]):
        return False
    if work.row is not None and steps[work.row] is None:
        return False
    every = [s.var for s in steps if s is not None]
    return len(every) == len(set(every))


class _Tiling:
    """Tiles one contraction in registers."""

    def __init__(
        self,
        schedule: Schedule,
        buffer: Buffer,
        reader: Nest,
        work: Contraction,
        target: Target,
        constants: frozenset[str],
    ) -> None:
        self.schedule = schedule
        self.buffer = buffer
        self.reader = reader
        self.work = work
        self.target = target
        self.constants = constants
        self.lanes = lanes_of(work.update, target)
        self.roles, column_extent = self._assign_roles()
        extents = {a.var.name: a.extent for a in reader.axes}
        rows = extents[self.roles.row] if self.roles.row else 1
        if self.roles.block:
            vectors = extents[self.roles.block]
        else:
            vectors = max(1, -(-column_extent // self.lanes))
        self.far = not self.roles.block and work.rows_operand.buffer.nbytes > target.l2_bytes
        # Weights that come from afar for a few rows are best read once, by one tile of rows.
        few = 1 < rows <= MOST_FAR_ROWS and work.columns_operand.buffer.nbytes > target.l2_bytes
        self.far |= few and not self.roles.block
        self.tile = choose(rows, vectors, target, far=self.far)
        # A single row does two operations for every weight that it reads: that is over soon.
        least = _PARALLEL_WORK_OF_A_ROW if rows == 1 else PARALLEL_WORK
        self.parallel = work.update.work >= least
        if rows == 1 and self.parallel:
            # Only panels can be shared out, and reading them takes the time: equal shares.
            self.tile = Tile(1, balanced(vectors, self.tile.vectors, target.cores))
        self.stream = rows == 1
        self.pairs = paired(work.update, work.rows_operand, work.columns_operand, target)
        self.registers = RegisterTile(
            schedule, buffer.name, work.column, work.row, self.lanes, self.stream, self.pairs
        )
        self.column_extent = column_extent
        self.extents = extents
        self.blocks = self._choose_blocks()
        if self.blocks is not None:
            self.tile = Tile(self.blocks.tile, self.blocks.vectors)

    def _choose_blocks(self) -> Blocks | None:
        """How to cut a product of two matrices into blocks; None where it is none, or is small."""
        work, roles = self.work, self.roles
        steps = [a.extent for a in work.update.reduced if a.extent > 1]
        others = any(self.extents[n] > 1 for n in (*roles.before, *roles.after))
        inputs = self.schedule.func.params[: -self.schedule.func.outputs]
        if not (self.far and self.parallel and roles.row) or others or len(steps) != 1:
            return None
        if work.rows_operand.buffer not in inputs or self._packed_dimension() is None:
            return None
        if self.pairs is not None or sum(d > 1 for d in self.buffer.shape) != 2:
            return None
        size = max(dtypes.itemsize(e.dtype) for e in (work.rows_operand, work.columns_operand))
        rows = self.extents[roles.row]
        shape = Shape(rows, self.column_extent, steps[0], size, self.lanes)
        return choose_blocks(shape, self.target)

    def _assign_roles(self) -> tuple[_Roles, int]:
        work, steps = self.work, consumer_loops(self.reader, self.buffer)
        column = steps[work.column]
        assert column is not None
        row = steps[work.row] if work.row is not None else None
        block: For | None = None
        block_stride = 0
        if column.extent <= self.lanes:
            for d in work.blocks:
                if steps[d] is not None:
                    block = steps[d]
                    block_stride = stride(work.columns_operand, work.update.axes[d].var) or 0
        taken = {f.var for f in (column, row, block) if f is not None}
        outside = [a for a in self.reader.axes if a.var not in taken]
        # Loops that move only the rows operand go inside the panels while what they read stays in
        # the second-level cache, or is less than the columns operand that would be read again.
        moving = {
            steps[d].var  # type: ignore[union-attr]
            for d, axis in enumerate(work.update.axes[: len(steps)])
            if steps[d] is not None
            and depends(work.rows_operand, axis.var)
            and not depends(work.columns_operand, axis.var)
        }
        limit = max(self.target.l2_bytes, work.columns_operand.buffer.nbytes)
        footprint = work.rows_operand.buffer.nbytes
        for axis in outside:
            footprint //= axis.extent if axis.var in moving else 1
        after: list[str] = []
        for axis in reversed(outside):
            if axis.var not in moving or footprint * axis.extent > limit:
                break
            footprint *= axis.extent
            after.insert(0, axis.var.name)
        before = tuple(a.var.name for a in outside if a.var.name not in after)
        name = row.var.name if row else None
        outer = block.var.name if block else None
        return (
            _Roles(column.var.name, name, outer, block_stride, before, tuple(after)),
            column.extent,
        )

    def run(self) -> None:
        """Take all steps."""
        roles, schedule = self.roles, self.schedule
        if not roles.block or self.pairs is not None:
            self._pack()
        if not roles.block:
            panels = self._column_parts()
        else:
            panels = parts(self.extents[roles.block], self.tile.vectors)
        rest = (*roles.before, *roles.inside)
        if rest:
            schedule.reorder(roles.outer, *rest)
        cuts = cut_into(schedule, roles.outer, [count * size for count, size in panels])
        if self.blocks is not None and roles.row is not None and self.work.row is not None:
            BlockTiling(
                schedule,
                self.buffer.name,
                self.work.column,
                self.work.row,
                self.lanes,
                self.blocks,
                self.target,
            ).run((*roles.before, *roles.after), roles.row, cuts.pop(0))
            del panels[0]
        for name, (_, size) in zip(cuts, panels, strict=True):
            self._panels(name, size, name[len(roles.outer) :])
        gather(schedule, self.work.rows_operand.buffer, self.lanes)
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Bring the columns operand near before it is used, where that takes from afar.

        With one row everything is used once, and is brought into the nearest cache a little before.
        Otherwise the next panel is brought while the rows go over this one, unless these are so
        many that asking every time costs more than to wait once.
        """
        operand = self.work.columns_operand
        loaded = {e.buffer for e in loads(self.schedule.func.body)}
        packed = next((b for b in loaded if b.name == f"{operand.buffer.name}.packed"), None)
        buffer = packed or operand.buffer
        if self.stream:
            if packed is not None:
                self.schedule.prefetch(packed.name, _AHEAD_BYTES // dtypes.itemsize(operand.dtype))
            return
        if self.roles.block:
            ahead = self.roles.block_stride * self.tile.vectors
        else:
            ahead = buffer.strides[0] if packed is not None else 0
        used = ahead
        if self.blocks is not None:
            used = self.blocks.steps * self.blocks.vectors * self.lanes
        elif self.far and self._row_tiles() > _MOST_TILES_AHEAD:
            return
        look_ahead(self.schedule, buffer, ahead, used, self.target)

    def _row_tiles(self) -> int:
        """How often a panel is gone over."""
        roles = self.roles
        total = -(-self.extents[roles.row] // self.tile.rows) if roles.row else 1
        for name in roles.after:
            total *= self.extents[name]
        return total

    def _pack(self) -> None:
        """Copy the columns operand so that the columns of a tile lie together, if that pays."""
        operand, variable = self.work.columns_operand, self.work.update.axes[self.work.column].var
        dimension = self._packed_dimension()
        if dimension is None:
            return
        near = stride(operand, variable) == 1 and operand.buffer.name not in self.constants
        if near and self.blocks is None:
            return
        width = self.tile.vectors * self.lanes
        while width // 2 >= max(self.column_extent, 1):
            width //= 2
        if self.roles.block:
            width = self.column_extent
        self.schedule.pack(operand.buffer.name, dimension, width, self._paired_dimension())

    def _packed_dimension(self) -> int | None:
        """The dimension of the columns operand that is cut into panels, if it is an input."""
        operand, variable = self.work.columns_operand, self.work.update.axes[self.work.column].var
        inputs = self.schedule.func.params[: -self.schedule.func.outputs]
        moved = [d for d, index in enumerate(operand.indices) if index is variable]
        return moved[0] if operand.buffer in inputs and len(moved) == 1 else None

    def _paired_dimension(self) -> int | None:
        """The dimension of the columns operand that goes in pairs, if one does."""
        if self.pairs is None:
            return None
        update = self.work.update
        variable = update.axes[len(update.store.indices) + self.pairs].var
        indices = self.work.columns_operand.indices
        return next((d for d, index in enumerate(indices) if index is variable), None)

    def _column_parts(self) -> list[tuple[int, int]]:
        """The columns as ``(count, columns)``: whole tiles, then powers of two."""
        width = self.tile.vectors * self.lanes
        whole = self.column_extent // width
        found = [(whole, width)] if whole else []
        rest = self.column_extent - whole * width
        vectors = rest - rest % self.lanes
        found += [(1, vectors)] if vectors else []
        return found + [(1, size) for size in pieces(rest - vectors, self.lanes)]

    def _panels(self, outer: str, size: int, mark: str) -> None:
        """Schedule the nest of one part of the panels; its loops carry `mark`."""
        schedule, roles = self.schedule, self.roles
        before = [f"{n}{mark}" for n in roles.before]
        after = [f"{n}{mark}" for n in roles.after]
        panel, inner = schedule.split(outer, size)
        lanes_loop = f"{roles.column}{mark}" if roles.block else inner
        vector_loop: str | None = inner if roles.block else None
        if not roles.block and size > self.lanes:
            vector_loop, lanes_loop = schedule.split(inner, self.lanes)
        row = f"{roles.row}{mark}" if roles.row else None
        rows = 1
        if row:
            vectors = size if roles.block else -(-size // self.lanes)
            extent = schedule.extent(row)
            rows = choose(extent, vectors, self.target, exact_vectors=True, far=self.far).rows
        RowTiling(
            schedule=schedule,
            outermost=(*before, panel, *after),
            row=row,
            vectors=(vector_loop,) if vector_loop else (),
            lanes=lanes_loop,
            size=rows,
            parallel=self.parallel,
            target=self.target,
            body=self.registers.compute,
        ).run()
