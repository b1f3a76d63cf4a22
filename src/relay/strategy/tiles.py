"""Register tiles: how many rows and vectors of a product to keep in registers at once."""

from dataclasses import dataclass
from functools import cache

from relay.target import Target

#: Vector multiply-adds and loads that a core starts in a cycle, and the cycles until a result can
#: be added to again: the same on the x86-64 and AArch64 cores of the last ten years.
_FMA_A_CYCLE = 2.0
_LOADS_A_CYCLE = 2.0
_FMA_LATENCY = 4.0


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
def choose(rows: int, vectors: int, target: Target, exact_vectors: bool = False) -> Tile:
    """The tile that covers `rows` x `vectors` in the fewest cycles on `target`.

    A tile leaves registers for its vectors of the second operand and one broadcast value. With
    `exact_vectors` only its rows are to be chosen.
    """
    registers = target.vector_registers
    best: tuple[float, int, Tile] | None = None
    for v in range(vectors if exact_vectors else 1, min(vectors, registers) + 1):
        for r in range(1, min(rows, registers) + 1):
            if r * v + v + 1 > registers:
                break
            total = sum(
                count_r * count_v * cycles(size_r, size_v)
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
