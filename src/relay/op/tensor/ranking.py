"""The first elements of rows in order: all of them by sorting, a few by one pass over the row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay import te
from relay.op.tensor.order import (
    LARGEST_WORD,
    WORD,
    Rows,
    fits_word,
    for_rows,
    like,
    position_in,
    sort_row,
    word,
)

#: Up to so many elements are kept in order during one pass; more are sorted for.
_FEW = 64
#: A row is divided for several threads into so many parts, where they have so many elements.
_PARTS = 4
_LONG_PART = 4096
#: Words moved at once when one is inserted.
_LANES = 8


@dataclass(frozen=True)
class Ranking:
    """The first `kept` elements of the rows of `data` along `axis`, in order; equals keep theirs.

    Wanted are the `values`, their positions in the dtype `positions` (none where empty), or both.
    NaN counts as larger than every number.
    """

    data: te.Tensor
    axis: int
    ascending: bool
    kept: te.Dim
    values: bool = True
    positions: str = ""

    def compute(self, name: str) -> tuple[te.Tensor, ...]:
        """The tensors that are wanted, values first."""
        outputs: list[te.Tensor] = []
        if self.values:
            outputs.append(like(self.data, self.axis, self.kept, self.data.dtype, f"{name}_values"))
        if self.positions:
            outputs.append(like(self.data, self.axis, self.kept, self.positions, f"{name}_indices"))
        few = isinstance(self.kept, int) and self.kept <= _FEW and fits_word(self.data.dtype)
        if few:
            return te.ordered((self.data,), outputs, self._select)
        return for_rows((self.data,), outputs, self.axis, self._sort)

    def _put(
        self,
        w: te.Writer,
        row: te.Expr,
        k: te.Expr,
        position: te.Expr,
        source: Rows,
        results: Sequence[Rows],
    ) -> None:
        """The element at `position` of a row of `source` is number `k` of its results."""
        if self.values:
            w.store(results[0].tensor, results[0].place(row, k), source(row, position))
        if self.positions:
            place = results[-1].place(row, k)
            w.store(results[-1].tensor, place, te.cast(position, self.positions))

    def _sort(
        self, w: te.Writer, row: te.Expr, sources: Sequence[Rows], results: Sequence[Rows]
    ) -> None:
        (source,) = sources
        entries = sort_row(
            w, source.size, lambda k: source(row, k), self.data.dtype, self.ascending
        )
        with w.loop(results[0].size, "k") as k:
            self._put(w, row, k, entries.position(k), source, results)

    def _select(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        source, results = Rows(given[0], self.axis), [Rows(t, self.axis) for t in made]
        kept = results[0].size
        if not (kept and source.count):
            return
        parts = min(_PARTS // source.count, source.size // max(_LONG_PART, 4 * kept))
        if parts <= 1:
            with w.loop(source.count, "row", kind="parallel") as row:
                best = _Best(w, kept)
                self._scan(w, row, source, best, te.const(0), source.size)
                with w.loop(kept, "k") as k:
                    self._put(w, row, k, best.position(k), source, results)
            return
        self._select_in_parts(w, source, results, parts)

    def _select_in_parts(
        self, w: te.Writer, source: Rows, results: Sequence[Rows], parts: int
    ) -> None:
        """Long rows: the best of each part, then the best of these."""
        kept, size = results[0].size, source.size // parts
        found = w.shared(WORD, (source.count * parts, kept), "found")
        with w.loop(source.count * parts, "part", kind="parallel") as part:
            best = _Best(w, kept)
            self._scan(w, part // parts, source, best, part % parts * size, size)
            w.each(kept, lambda k: w.store(found, (part, k), best(k)))
        with w.loop(source.count, "row", kind="parallel") as row:
            best = _Best(w, kept)
            with w.loop(parts, "p") as p, w.loop(kept, "k") as k:
                best.offer(w, found(row * parts + p, k))
            with w.loop(source.size - parts * size, "k") as k:
                place = k + parts * size
                best.offer(w, word(source(row, place), place, self.ascending))
            with w.loop(kept, "k") as k:
                self._put(w, row, k, best.position(k), source, results)

    def _scan(
        self, w: te.Writer, row: te.Expr, source: Rows, best: "_Best", first: te.Expr, size: int
    ) -> None:
        """Take note of `size` elements of a row from `first` on, at least as many as are kept."""

        def insert(k: te.Expr) -> None:
            best.insert(w, word(source(row, first + k), first + k, self.ascending))

        with w.loop(best.kept, "k") as k:
            insert(k)
        limit = w.private(source.tensor.dtype, (1,), "limit")
        worst = best.position(te.const(best.kept - 1))
        w.store(limit, (0,), source(row, worst))
        with w.loop(size - best.kept, "k") as k:
            element = source(row, first + best.kept + k)
            # What equals the last one kept comes behind it. This lets NaN through as well.
            behind = element >= limit(0) if self.ascending else element <= limit(0)
            with w.when(te.unary("not", behind)):
                insert(k + best.kept)
                w.store(limit, (0,), source(row, worst))


class _Best:
    """The `kept` smallest words so far, ascending, in private memory."""

    def __init__(self, w: te.Writer, kept: int) -> None:
        self.kept = kept
        # In front stands a word that none comes before; behind, what fills whole vectors.
        self._padded = -(-kept // _LANES) * _LANES
        self._words = w.private(WORD, (self._padded + 1,), "best")
        self._moved = w.private(WORD, (self._padded,), "moved")
        self._new = w.private(WORD, (1,), "new")
        w.fill(self._words, LARGEST_WORD)
        w.store(self._words, (0,), 0)

    def __call__(self, k: te.Expr) -> te.Expr:
        """Word number `k`."""
        return self._words(k + 1)

    def position(self, k: te.Expr) -> te.Expr:
        """The position in word number `k`."""
        return position_in(self(k))

    def offer(self, w: te.Writer, new: te.Expr) -> None:
        """Insert a word if it is among the smallest."""
        with w.when(new < self(te.const(self.kept - 1))):
            self.insert(w, new)

    def insert(self, w: te.Writer, new: te.Expr) -> None:
        """Insert a word where it belongs, and forget the largest."""
        w.store(self._new, (0,), new)
        self._each(w, lambda k: w.store(self._moved, (k,), self._after(k)))
        self._each(w, lambda k: w.store(self._words, (k + 1,), self._moved(k)))

    def _after(self, k: te.Expr) -> te.Expr:
        """What word number `k` becomes: itself, the new one, or the one before it."""
        return te.maximum(self._words(k), te.minimum(self._words(k + 1), self._new(0)))

    def _each(self, w: te.Writer, body: Callable[[te.Expr], None]) -> None:
        with (
            w.loop(self._padded // _LANES, "block") as block,
            w.loop(_LANES, "lane", kind="vectorized") as lane,
        ):
            body(block * _LANES + lane)
