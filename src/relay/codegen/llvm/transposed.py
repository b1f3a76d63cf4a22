"""Squares of memory, read along one axis and used along the other: transposed in registers."""

from collections.abc import Sequence

from relay.codegen.llvm.access import Access
from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.index import Linear
from relay.codegen.llvm.types import Value
from relay.loop.ir import Buffer, For, Kind, Load, Store
from relay.loop.walk import loads, stride
from relay.te.expr import Select, Var
from relay.te.walk import post_order

#: The smallest square worth it.
_SMALLEST = 4


def transposed(builder: FunctionBuilder, rows: Sequence[Value]) -> list[Value]:
    """The columns of a matrix of `rows`; both are powers of two in number.

    What is no square is made of squares. Each step on one exchanges, in all pairs of rows a power
    of two apart, the halves of blocks of twice that: J. O. Eklundh, A Fast Computer Method for
    Matrix Transposing (1972).
    """
    found, count, lanes = list(rows), len(rows), rows[0].lanes
    if lanes > count:
        parts = [range(k, k + count) for k in range(0, lanes, count)]
        squares = [[builder.shuffle(row, None, part) for row in rows] for part in parts]
        return [column for square in squares for column in transposed(builder, square)]
    if count > lanes:
        half = count // 2
        above, below = transposed(builder, rows[:half]), transposed(builder, rows[half:])
        pairs = zip(above, below, strict=True)
        return [builder.shuffle(a, b, range(count)) for a, b in pairs]
    apart = lanes // 2
    while apart:
        upper = [j if not j & apart else lanes + j - apart for j in range(lanes)]
        lower = [j + apart if not j & apart else lanes + j for j in range(lanes)]
        for i in range(lanes):
            if not i & apart:
                a, b = found[i], found[i + apart]
                found[i] = builder.shuffle(a, b, upper)
                found[i + apart] = builder.shuffle(a, b, lower)
        apart //= 2
    return found


class Squares:
    """The squares that the iterations of one loop, all written out, read a column each.

    Loads that are contiguous along that loop, and not along the vector in it, are done once, row by
    row, for all iterations.
    """

    def __init__(self, access: Access, loop: For, lanes: int, written: Buffer) -> None:
        self._access = access
        self._variable, self._count, self._lanes = loop.var, loop.extent, lanes
        self._written = written
        self._columns: dict[tuple[Buffer, Linear, int], list[Value]] = {}

    @staticmethod
    def of(access: Access, loop: For) -> "Squares | None":
        """The squares (or parts of one) of `loop`; None where it is no loop of vectors like that.

        What is stored must be computed without branches, as the first iteration loads for all.
        """
        inner, count = loop.body, loop.extent
        if loop.kind is not Kind.UNROLLED or count < _SMALLEST or count & (count - 1):
            return None
        if not (isinstance(inner, For) and inner.kind is Kind.VECTORIZED):
            return None
        store, lanes = inner.body, inner.extent
        if lanes < _SMALLEST or lanes & (lanes - 1) or not isinstance(store, Store):
            return None
        if any(isinstance(e, Select) for e in post_order(store.value)):
            return None
        if not any(stride(load, loop.var) == 1 for load in loads(store)):
            return None
        return Squares(access, loop, lanes, store.buffer)

    def column(self, load: Load, first: Linear, apart: int, iteration: int) -> Value | None:
        """What `load` reads in `iteration`, from the place `first` on, elements `apart`.

        None where that is no column of a square.
        """
        buffer = load.buffer
        if buffer is self._written or stride(load, self._variable) != 1:
            return None
        begin = first + Linear(-iteration)
        key = (buffer, begin, apart)
        if key not in self._columns:
            rows = [
                self._access.load_strided(buffer, begin + Linear(apart * k), 1, self._count, None)
                for k in range(self._lanes)
            ]
            self._columns[key] = transposed(self._access.builder, rows)
        return self._columns[key][iteration]

    @property
    def variable(self) -> Var:
        """The variable of the loop."""
        return self._variable
