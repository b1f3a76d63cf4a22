"""Rows of tensors put in order: algorithms for ordered stages (`relay.te.ordered`).

Elements are compared by a *key*, an unsigned integer: equal elements have equal keys, zeros of both
signs one, and NaN has that of the largest. A key of up to 32 bits and the position of its element
make one 64-bit *word*; the words of a row are all different, so that what orders them keeps equal
elements in their order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay import dtypes, te

#: Rows up to this size are sorted by counting, for each element, those before it.
_COUNTED = 96
#: Rows below this size are sorted by 8 bits of the key at a time, others by 11.
_LONG = 4096

WORD = "uint64"
#: Bits of a word below its key.
_POSITION_BITS = 32
_POSITION_MASK = 2**_POSITION_BITS - 1
LARGEST_WORD = 2**64 - 1


@dataclass(frozen=True)
class Rows:
    """A tensor of static shape, seen as rows along `axis`, numbered in row-major order.

    A scalar is one row of one element.
    """

    tensor: te.Tensor
    axis: int

    @property
    def size(self) -> int:
        """The elements of a row."""
        return self.tensor.static_shape[self.axis] if self.tensor.ndim else 1

    @property
    def count(self) -> int:
        """The number of rows."""
        total = 1
        for k, size in enumerate(self.tensor.static_shape):
            total *= 1 if k == self.axis else size
        return total

    def place(self, row: te.Expr, k: te.Operand) -> tuple[te.Operand, ...]:
        """The indices of element `k` of a row."""
        shape = list(self.tensor.static_shape)
        if not shape:
            return ()
        del shape[self.axis]
        indices = te.unflatten_index(row, shape)
        return (*indices[: self.axis], k, *indices[self.axis :])

    def __call__(self, row: te.Expr, k: te.Operand) -> te.Expr:
        """Element `k` of a row."""
        return self.tensor(*self.place(row, k))


def key_bits(dtype: str) -> int:
    """The bits of the keys of elements of `dtype`: keys are below ``2 ** key_bits(dtype)``."""
    return 32 if dtype == "bfloat16" else max(8, dtypes.bits(dtype))


def fits_word(dtype: str) -> bool:
    """Whether a key and a position make one word."""
    return key_bits(dtype) <= _POSITION_BITS


def key(value: te.Expr, ascending: bool) -> te.Expr:
    """The key of an element, as ``uint64``; the one that comes first has the smallest."""
    bits = key_bits(value.dtype)
    half = 2 ** (bits - 1)
    width = 64 if bits == 64 else 32
    if dtypes.is_float(value.dtype):
        if value.dtype == "bfloat16":
            value = te.cast(value, "float32")
        pattern = te.cast(te.unary("asint", value), f"int{width}")
        # The patterns of negative numbers, as integers, run the wrong way.
        sign = te.binary("shr", pattern, width - 1)
        straight = te.binary("xor", pattern, te.binary("and", sign, half - 1))
        one_zero = te.select(te.equal(straight, -1), te.const(0, straight.dtype), straight)
        largest = te.const(half - 1, straight.dtype)
        value = te.select(te.unary("isnan", value), largest, one_zero)
    if dtypes.is_signed(value.dtype):
        wide = te.cast(te.cast(value, f"int{width}"), f"uint{width}")
        number = te.binary("add", wide, half)
    else:
        number = te.cast(value, f"uint{width}")
    if not ascending:
        number = te.binary("sub", te.const(2**bits - 1, number.dtype), number)
    return te.cast(number, WORD)


def word(value: te.Expr, position: te.Expr, ascending: bool) -> te.Expr:
    """The word of an element whose key fits into one."""
    high = te.binary("shl", key(value, ascending), _POSITION_BITS)
    return te.binary("or", high, te.cast(position, WORD))


def position_in(packed: te.Expr) -> te.Expr:
    """The position in a word."""
    return te.cast(te.binary("and", packed, _POSITION_MASK), te.INDEX)


@dataclass(frozen=True)
class Entries:
    """Keys of a row with the positions of their elements: words, or where too wide, two arrays."""

    keys: te.Tensor
    positions: te.Tensor | None

    @staticmethod
    def private(w: te.Writer, size: int, dtype: str, name: str) -> "Entries":
        """Memory for those of `size` elements of `dtype`."""
        keys = w.private(WORD, (size,), name)
        wide = not fits_word(dtype)
        return Entries(keys, w.private("int32", (size,), f"{name}_at") if wide else None)

    def set(self, w: te.Writer, at: te.Expr, value: te.Expr, position: te.Expr, up: bool) -> None:
        """Make entry `at` that of an element; `up` is whether the order is ascending."""
        if self.positions is None:
            w.store(self.keys, (at,), word(value, position, up))
        else:
            w.store(self.keys, (at,), key(value, up))
            w.store(self.positions, (at,), te.cast(position, "int32"))

    def move(self, w: te.Writer, at: te.Expr, source: "Entries", k: te.Expr) -> None:
        """Make entry `at` what `k` of `source` is."""
        w.store(self.keys, (at,), source.keys(k))
        if self.positions is not None and source.positions is not None:
            w.store(self.positions, (at,), source.positions(k))

    def position(self, k: te.Expr) -> te.Expr:
        """The position of entry `k` (``int64``)."""
        if self.positions is None:
            return position_in(self.keys(k))
        return te.cast(self.positions(k), te.INDEX)

    def key(self, k: te.Expr) -> te.Expr:
        """The key of entry `k` (``uint64``)."""
        if self.positions is None:
            return te.binary("shr", self.keys(k), _POSITION_BITS)
        return self.keys(k)

    def before(self, a: te.Expr, b: te.Expr) -> te.Expr:
        """Whether entry `a`, which is not `b`, comes before it; entries are as they were set."""
        if self.positions is None:
            return self.keys(a) < self.keys(b)
        tied = te.both(te.equal(self.keys(a), self.keys(b)), a < b)
        return te.either(self.keys(a) < self.keys(b), tied)


def sort_row(
    w: te.Writer, size: int, element: Callable[[te.Expr], te.Expr], dtype: str, ascending: bool
) -> Entries:
    """The entries of ``element(0) .. element(size - 1)`` in order, in private memory."""
    entries = Entries.private(w, size, dtype, "entries")
    ordered = Entries.private(w, size, dtype, "ordered")
    if size <= _COUNTED:
        w.each(size, lambda k: entries.set(w, k, element(k), k, ascending))
        _by_counting(w, size, entries, ordered)
        return ordered
    step = min(key_bits(dtype), 8 if size < _LONG else 11)
    shifts = range(0, key_bits(dtype), step)
    counts = w.private("int32", (len(shifts) << step,), "counts")
    w.fill(counts, 0)

    def slot(entry: Entries, k: te.Expr, number: int) -> te.Expr:
        """Where elements of the same digit are counted."""
        down = te.binary("shr", entry.key(k), shifts[number])
        digit = te.binary("and", down, 2**step - 1)
        return te.cast(digit, te.INDEX) + (number << step)

    with w.loop(size, "k") as k:
        entries.set(w, k, element(k), k, ascending)
        for number in range(len(shifts)):
            w.store(counts, (slot(entries, k, number),), 1, reduce="sum")
    for number in range(len(shifts)):
        starts(w, counts, 1 << step, number << step)
        with w.loop(size, "k") as k:
            digit = slot(entries, k, number)
            ordered.move(w, te.cast(counts(digit), te.INDEX), entries, k)
            w.store(counts, (digit,), 1, reduce="sum")
        entries, ordered = ordered, entries
    return entries


def starts(w: te.Writer, counts: te.Tensor, count: int, first: int = 0) -> None:
    """Replace `count` numbers of a vector, from `first` on, by the sums of those before each."""
    total = w.private(counts.dtype, (1,), "total")
    here = w.private(counts.dtype, (1,), "here")
    w.store(total, (0,), 0)
    with w.loop(count, "digit") as k:
        w.store(here, (0,), counts(k + first))
        w.store(counts, (k + first,), total(0))
        w.store(total, (0,), here(0), reduce="sum")


def _by_counting(w: te.Writer, size: int, entries: Entries, ordered: Entries) -> None:
    """Few entries in order: the place of each is the number of those before it."""
    places = w.private("int32", (size,), "places")
    w.fill(places, 0)
    with w.loop(size, "other") as other:

        def count(k: te.Expr) -> None:
            w.store(places, (k,), te.cast(entries.before(other, k), "int32"), reduce="sum")

        w.each(size, count)
    with w.loop(size, "k") as k:
        ordered.move(w, te.cast(places(k), te.INDEX), entries, k)


def for_rows(
    inputs: Sequence[te.Tensor],
    outputs: Sequence[te.Tensor],
    axis: int,
    write: Callable[[te.Writer, te.Expr, Sequence[Rows], Sequence[Rows]], None],
) -> tuple[te.Tensor, ...]:
    """Tensors made row by row along `axis`, rows in parallel: ``write(writer, row, ins, outs)``."""

    def stage(w: te.Writer, given: te.Given, made: te.Given) -> None:
        sources, results = [Rows(t, axis) for t in given], [Rows(t, axis) for t in made]
        if sources[0].size and sources[0].count:
            with w.loop(sources[0].count, "row", kind="parallel") as row:
                write(w, row, sources, results)

    return te.ordered(inputs, outputs, stage)


def like(data: te.Tensor, axis: int, size: te.Dim, dtype: str, name: str) -> te.Tensor:
    """A placeholder for results: shaped as `data`, with `size` elements along `axis`."""
    return te.placeholder((*data.shape[:axis], size, *data.shape[axis + 1 :]), dtype, name)
