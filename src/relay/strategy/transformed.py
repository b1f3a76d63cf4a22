"""Products in a transformed domain: convolutions by tiles, as Winograd's.

The chain of stages is ``half -> tiles -> products -> back -> result``: tiles of the data are
transformed along two axes, multiplied with weights point by point and summed over the channels, and
transformed back (`relay.op.nn.winograd` writes them). Done stage by stage the transformed tiles
would go to memory and come back. Here a block of tiles goes through all stages while it is in the
second-level cache.

Where there are too few blocks for all cores, or they would read the weights too often, the tiles of
the whole are transformed first, and the cores then share blocks of tiles and of results.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from relay import dtypes
from relay.loop.ir import Buffer, Load
from relay.loop.walk import loads
from relay.schedule import Schedule
from relay.strategy.elementwise import fuse_parallel, vectorize_in_pieces, vectorize_writes
from relay.strategy.nests import (
    Nest,
    depends,
    lanes_of,
    nests_of,
    product_operands,
    top_nests,
    update_of,
)
from relay.strategy.pairs import paired
from relay.strategy.registers import RegisterTile, look_ahead
from relay.strategy.rows import RowTiling, parts
from relay.strategy.tiles import choose, cycles
from relay.target import Target
from relay.te.expr import Binary, Expr, Var, constant_value
from relay.te.walk import post_order

#: Bytes that a core gets in a cycle from its own second-level cache, and from the shared one.
_OWN_BYTES_A_CYCLE, _SHARED_BYTES_A_CYCLE = 32.0, 12.0
#: The part of the second-level cache that a block of tiles may take.
_CACHE_SHARE = 0.75


@dataclass(frozen=True)
class _Stages:
    """The stages from the padded data on; all but the first are workspaces."""

    padded: Buffer
    half: Buffer
    tiles: Buffer
    products: Buffer
    back: Buffer
    result: Buffer


@dataclass(frozen=True)
class _Chain:
    """The stages, and the sizes that matter: a row of tiles has `columns`, an image `rows` of them.

    There are `points` products a tile, which has `step` x `step` results, `inputs` channels, and
    `output_blocks` blocks of `output_block` channels of results. `roles` are the dimensions of the
    result: image, block of channels, height, width, channel within its block. `pairs` is the
    reduction loop of the products that goes in pairs, if one does.
    """

    stages: _Stages
    weight: Load
    step: int
    rows: int
    columns: int
    roles: tuple[int, ...]
    pairs: int | None

    @property
    def points(self) -> int:
        return self.stages.products.shape[0] * self.stages.products.shape[1]

    @property
    def images(self) -> int:
        return self.stages.products.shape[2]

    @property
    def inputs(self) -> int:
        return self.stages.tiles.shape[3] * self.stages.tiles.shape[5]

    @property
    def output_blocks(self) -> int:
        return self.stages.products.shape[3]

    @property
    def output_block(self) -> int:
        return self.stages.products.shape[5]


def _read(schedule: Schedule, buffer: Buffer) -> set[Buffer]:
    """The buffers that the nests of stage `buffer` read."""
    nests = [n for n in top_nests(schedule.func) if n.store.buffer is buffer]
    return {e.buffer for n in nests for e in loads(n.store)} - {buffer}


def _only_reader(schedule: Schedule, buffer: Buffer) -> Buffer | None:
    """The one stage that reads `buffer`."""
    found = {
        n.store.buffer
        for n in top_nests(schedule.func)
        if any(e.buffer is buffer for e in loads(n.store))
    }
    return found.pop() if len(found) == 1 else None


def _divisors(root: Expr) -> Iterator[tuple[Var, int]]:
    """Loop variables, and what they are divided by in `root`."""
    for node in post_order(root):
        if isinstance(node, Binary) and node.op == "floordiv" and isinstance(node.a, Var):
            divisor = constant_value(node.b)
            if divisor is not None:
                yield node.a, divisor


def _recognize(schedule: Schedule, products: Buffer, target: Target) -> _Chain | None:
    """The chain around the stage `products`; None where there is none."""
    update = update_of(schedule.func, products)
    if update is None or update.store.reduce != "sum" or len(products.shape) != 6:
        return None
    operands = product_operands(update.store.value)
    if operands is None:
        return None
    tiles, weight = operands
    first = update.axes[0].var
    if not (depends(tiles, first) and depends(weight, first)):
        return None
    if tiles.buffer not in schedule.func.workspaces or len(tiles.buffer.shape) != 6:
        return None
    back = _only_reader(schedule, products)
    result = _only_reader(schedule, back) if back is not None else None
    halves = _read(schedule, tiles.buffer)
    if back is None or result is None or len(halves) != 1 or result.shape[0] != products.shape[2]:
        return None
    half = halves.pop()
    sources = _read(schedule, half)
    if half not in schedule.func.workspaces or len(sources) != 1:
        return None
    stages = _Stages(sources.pop(), half, tiles.buffer, products, back, result)
    return _close(schedule, stages, weight, paired(update, tiles, weight, target))


def _close(schedule: Schedule, stages: _Stages, weight: Load, pairs: int | None) -> _Chain | None:
    """The chain of `stages`, if the last one is what it must be."""
    nest = next(n for n in top_nests(schedule.func) if n.store.buffer is stages.result)
    reads = {e.indices for e in loads(nest.store) if e.buffer is stages.back}
    divided = dict(pair for indices in reads for i in indices for pair in _divisors(i))
    steps = set(divided.values())
    variables = [axis.var for axis in nest.axes]
    image, block, *_, inner = next(iter(reads))
    found = [image, block, *(v for v in variables if v in divided), inner]
    if len(steps) != 1 or len(found) != 5 or set(found) != set(variables):
        return None
    roles = tuple(variables.index(v) for v in found if isinstance(v, Var))
    step = steps.pop()
    rows, columns = (stages.result.shape[d] // step for d in roles[2:4])
    if rows * columns != stages.products.shape[4]:
        return None
    return _Chain(stages, weight, step, rows, columns, roles, pairs)


@dataclass(frozen=True)
class _Plan:
    """A block is `rows` rows of `columns` tiles, and `vectors` blocks of output channels.

    With `apart` the tiles of the whole are transformed first.
    """

    rows: int
    columns: int
    vectors: int
    apart: bool


def _divide(extent: int) -> list[int]:
    return [d for d in range(1, extent + 1) if extent % d == 0]


def _plans(chain: _Chain, target: Target) -> Iterator[_Plan]:
    """All ways to cut the work into equal blocks, whose register tiles `target` can hold."""
    blocks = [(rows, chain.columns) for rows in _divide(chain.rows)]
    blocks += [(1, columns) for columns in _divide(chain.columns)[:-1]]
    for rows, columns in blocks:
        for vectors in _divide(chain.output_blocks):
            if vectors <= 8 and 2 * vectors < target.vector_registers:
                yield _Plan(rows, columns, vectors, apart=False)
                yield _Plan(rows, columns, vectors, apart=True)


def _estimate(chain: _Chain, plan: _Plan, target: Target) -> float:
    """Cycles that `plan` takes, about."""
    count = plan.rows * plan.columns
    blocks = chain.images * (chain.rows // plan.rows) * (chain.columns // plan.columns)
    panels = chain.output_blocks // plan.vectors
    tile = choose(count, plan.vectors, target, exact_vectors=True)
    step = sum(n * cycles(size, plan.vectors) for n, size in parts(count, tile.rows))
    arithmetic = chain.points * chain.inputs * step / (1 if chain.pairs is None else 2)
    size = dtypes.itemsize(chain.weight.dtype)
    weights = size * chain.points * chain.inputs * plan.vectors * chain.output_block
    tiles = size * chain.points * chain.inputs * count
    products = 4.0 * chain.points * count * plan.vectors * chain.output_block
    cache = _CACHE_SHARE * target.l2_bytes
    # What of the operands of a panel of results is not in the core's own cache.
    kept_weights = weights * panels + tiles + products <= cache
    kept_tiles = tiles + products <= cache and not plan.apart
    moved = (0.0 if kept_weights else weights) + (0.0 if kept_tiles else tiles)
    near = (weights + tiles) / _OWN_BYTES_A_CYCLE
    panel = max(arithmetic, near, moved / _SHARED_BYTES_A_CYCLE) + products / _OWN_BYTES_A_CYCLE
    shares = blocks * (panels if plan.apart else 1)
    rounds = -(-shares // target.cores)
    total = rounds * panel * (1 if plan.apart else panels)
    if plan.apart:
        total += 2.0 * tiles * blocks / target.cores / _SHARED_BYTES_A_CYCLE
    return total


def schedule_transformed(
    schedule: Schedule, products: Buffer, target: Target, constants: frozenset[str]
) -> bool:
    """Schedule the chain around the stage `products` and its readers, if there is one.

    `constants` are the names of parameters known at compile time: packing them costs nothing.
    """
    chain = _recognize(schedule, products, target)
    if chain is None:
        return False
    plan = min(_plans(chain, target), key=lambda p: _estimate(chain, p, target))
    _Blocks(schedule, chain, plan, target, constants).run()
    return True


class _Blocks:
    """Takes the steps of one plan."""

    def __init__(
        self,
        schedule: Schedule,
        chain: _Chain,
        plan: _Plan,
        target: Target,
        constants: frozenset[str],
    ) -> None:
        self.schedule = schedule
        self.chain = chain
        self.plan = plan
        self.target = target
        self.constants = constants
        update = update_of(schedule.func, chain.stages.products)
        assert update is not None
        self.lanes = lanes_of(update, target)
        self.result = chain.stages.result.name

    def run(self) -> None:
        """Take all steps."""
        schedule, chain, plan = self.schedule, self.chain, self.plan
        weight = self._pack()
        image, block, y, x, inner = self._final()
        rows, y_in = schedule.split(y, chain.step, guarded=True)
        columns, x_in = schedule.split(x, chain.step, guarded=True)
        row_blocks, row = schedule.split(rows, plan.rows)
        column_blocks, column = schedule.split(columns, plan.columns)
        panel, vector = schedule.split(block, plan.vectors)
        outer = (image, row_blocks, column_blocks)
        schedule.reorder(*outer, panel, row, column, vector, y_in, x_in, inner)
        sums, _ = schedule.isolate(chain.stages.products.name)
        shared = fuse_parallel(schedule, (*outer, panel) if plan.apart else outer)
        at = shared if plan.apart else panel
        self._back(vector, (y_in, x_in), inner)
        self._products(schedule.compute_at(chain.stages.products.name, at), sums, weight)
        if plan.apart:
            self._tiles(chain.stages.tiles.name, apart=True)
        else:
            self._tiles(schedule.compute_at(chain.stages.tiles.name, shared), apart=False)

    def _final(self) -> tuple[str, str, str, str, str]:
        """The loops of the nest that reads the result: image, block, height, width, channel."""
        schedule, result = self.schedule, self.chain.stages.result
        readers = [
            n for n in top_nests(schedule.func) if any(e.buffer is result for e in loads(n.store))
        ]
        names: list[str] | None = None
        if len(readers) == 1 and not readers[0].store.reduce:
            names = _steps_of(readers[0], result)
        if names is None:
            self.result, names = schedule.isolate(result.name)
        image, block, y, x, inner = (names[d] for d in self.chain.roles)
        return image, block, y, x, inner

    def _back(self, vector: str, steps: tuple[str, str], inner: str) -> None:
        """Transform the products of one tile back, where its results are used."""
        for stage in (self.result, self.chain.stages.back.name):
            private = self.schedule.compute_at(stage, vector)
            self._write_out(private)
        for name in steps:
            self.schedule.unroll(name)
        vectorize_in_pieces(self.schedule, inner, self.lanes)

    def _write_out(self, private: str) -> None:
        """Unroll all loops of the small stage `private` but the last, which becomes vectors."""
        for nest in nests_of(self.schedule.func, private):
            for axis in nest.axes[:-1]:
                if axis.extent > 1:
                    self.schedule.unroll(axis.var.name)
            vectorize_in_pieces(self.schedule, nest.names[-1], self.lanes)

    def _products(self, private: str, sums: str, weight: Buffer) -> None:
        """The products of one block, computed in register tiles."""
        (nest,) = nests_of(self.schedule.func, private)
        a, b, image, block, tile, lanes = nest.names
        count = self.schedule.extent(tile)
        RowTiling(
            schedule=self.schedule,
            outermost=(a, b, image),
            row=tile,
            vectors=(block,),
            lanes=lanes,
            size=choose(count, self.plan.vectors, self.target, exact_vectors=True).rows,
            parallel=False,
            target=self.target,
            body=RegisterTile(
                self.schedule, sums, 5, 4, self.lanes, pairs=self.chain.pairs
            ).compute,
        ).run()
        # The weights of the next point, while the tiles go over those of this one.
        point = self.chain.weight.buffer.strides[1]
        panel = point // self.chain.output_blocks * self.plan.vectors
        look_ahead(self.schedule, weight, point, panel, self.target)

    def _pack(self) -> Buffer:
        """Let the weights that are multiplied together lie together; where they do then."""
        weight, pairs = self.chain.weight, self.chain.pairs
        if pairs is None or weight.buffer.name not in self.constants:
            return weight.buffer
        update = update_of(self.schedule.func, self.chain.stages.products)
        assert update is not None
        rank = len(update.store.indices)
        axes = update.axes[rank - 1].var, update.axes[rank + pairs].var
        dimensions = [d for v in axes for d, i in enumerate(weight.indices) if i is v]
        if len(dimensions) != len(axes):
            return weight.buffer
        column, pair = dimensions
        name = self.schedule.pack(weight.buffer.name, column, weight.buffer.shape[column], pair)
        return next(b for b in self.schedule.func.workspaces if b.name == name)

    def _tiles(self, buffer: str, apart: bool) -> None:
        """Transform tiles of the data: all of them, `apart` and shared by the cores, or a block."""
        schedule, chain = self.schedule, self.chain
        (nest,) = nests_of(schedule.func, buffer)
        a, b, image, block, tile, lanes = nest.names
        schedule.reorder(image, block, tile, a, b, lanes)
        columns = chain.columns if apart else self.plan.columns
        row, column = schedule.split(tile, columns)
        at = block
        if apart:
            channels = schedule.extent(image) * schedule.extent(block)
            few = channels < 4 * self.target.cores and channels % self.target.cores != 0
            at = fuse_parallel(schedule, (image, block, row) if few else (image, block))
        half = schedule.compute_at(chain.stages.half.name, column)
        for name in (a, b):
            schedule.unroll(name)
        vectorize_in_pieces(schedule, lanes, self.lanes)
        self._write_out(half)
        if chain.stages.padded in schedule.func.workspaces:
            vectorize_writes(
                schedule, schedule.compute_at(chain.stages.padded.name, at), self.lanes
            )


def _steps_of(nest: Nest, buffer: Buffer) -> list[str] | None:
    """The loops of `nest` that step the dimensions of `buffer`; None where these are not all."""
    places = {e.indices for e in loads(nest.store) if e.buffer is buffer}
    if len(places) != 1 or len(nest.axes) != len(buffer.shape):
        return None
    names = nest.names
    found = [i.name for i in places.pop() if isinstance(i, Var)]
    return found if sorted(found) == sorted(names) else None
