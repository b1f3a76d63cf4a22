"""Register tiles: how many rows and vectors of a product to keep in registers at once."""

from dataclasses import dataclass
from functools import cache

from relay.target import Target

#: Vector multiply-adds and loads that a core starts in a cycle, and the cycles until a result can
#: be added to again: the same on the x86-64 and AArch64 cores of the last ten years.
_FMA_A_CYCLE = 2.0
_LOADS_A_CYCLE = 2.0
_FMA_LATENCY = 4.0

#: Bytes that a core gets in a cycle from its own second-level cache, and the part of the time for
#: them that arithmetic does not hide.
OWN_BYTES_A_CYCLE, SEEN = 32.0, 0.1

#: Rows of a tile, at most, that come from afar: those a power of two apart share a set of the
#: first-level cache.
MOST_FAR_ROWS = 9


@dataclass(frozen=True)
class Tile:
    """`rows` times `vectors` accumulators."""

    rows: int
    vectors: int


def cycles(rows: int, vectors: int) -> float:
    """Cycles for one step of the reduction of a tile."""
    arithmetic = rows * vectors / _FMA_A_CYCLE
    memory = (rows + vectors) / _LOADS_A_CYCLE
    return max(arithmetic, memory, _FMA_LATENCY)


def _covered(extent: int, size: int) -> list[tuple[int, int]]:
    """How `extent` is covered by tiles of `size`: ``(count, size)`` and the rest."""
    parts = [(extent // size, size)] if extent >= size else []
    if extent % size:
        parts.append((1, extent % size))
    return parts


@cache
def choose(
    rows: int, vectors: int, target: Target, exact_vectors: bool = False, far: bool = False
) -> Tile:
    """The tile that covers `rows` x `vectors` in the fewest cycles on `target`.

    A tile leaves registers for its vectors of the second operand and one broadcast value. With
    `exact_vectors` only its rows are to be chosen. Where the rows are `far`, not in the core's own
    cache, few columns are better: every tile of rows takes them from there.
    """
    registers = target.vector_registers
    most = min(rows, MOST_FAR_ROWS if far else registers)
    seen = SEEN * target.vector_bytes / OWN_BYTES_A_CYCLE if far else 0.0
    best: tuple[float, int, Tile] | None = None
    for v in range(vectors if exact_vectors else 1, min(vectors, registers) + 1):
        for r in range(1, most + 1):
            if r * v + v + 1 > registers:
                break
            total = sum(
                count_r * count_v * (cycles(size_r, size_v) + seen * size_v)
                for count_r, size_r in _covered(rows, r)
                for count_v, size_v in _covered(vectors, v)
            )
            key = (total, -r * v, Tile(r, v))
            if best is None or key[:2] < best[:2]:
                best = key
    assert best is not None
    return best[2]


def balanced(vectors: int, most: int, cores: int) -> int:
    """The width of panels, at most `most`, by which the core with most of `vectors` has least."""

    def share(width: int) -> int:
        panels = -(-vectors // width)
        return -(-panels // cores) * width

    return min(range(1, most + 1), key=lambda width: (share(width), -width))
