"""How often known sequences of words occur in texts (ONNX: TfIdfVectorizer)."""

import functools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.shapes import expect_kind, expect_same_dtype, put_ints
from relay.support.errors import TypeInferenceError

_MODES = ("tf", "idf", "tfidf")


@operator(
    "tf_idf_vectorize",
    inputs=("data", "pool", "coordinates", "weights"),
    pattern=Pattern.OPAQUE,
    level=10,
)
class TfIdfVectorize(Operator):
    """For each n-gram in `pool`, how often it occurs in a row of `data`, weighted; ``float32``.

    `data` holds words, which are integers or text, in the shape ``(n,)`` or ``(rows, n)``. `pool`
    is a vector of words: all 1-grams, then all 2-grams, and so on; ``begins[k]`` says where those
    of ``k + 1`` words begin. N-gram number ``i`` counts for element ``coordinates[i]`` of the
    result, which is as long as the vector `weights`.

    Looked for are n-grams of `min_length` to `max_length` words. Between two words of one there may
    be up to `max_skip` others, as many between each two. `mode` says what becomes of a number:
    ``"tf"``: it stays; ``"idf"``: the weight, where it is not 0; ``"tfidf"``: times the weight.
    """

    takes_text = True
    missing: ClassVar[dict[str, str]] = {"gradient": "numbers of words do not change by little"}

    begins: tuple[int, ...]
    min_length: int = 1
    max_length: int = 1
    max_skip: int = 0
    mode: str = "tf"

    def __post_init__(self) -> None:
        put_ints(self, "begins")
        if self.mode not in _MODES:
            raise ValueError(f"mode must be one of {', '.join(_MODES)}, found {self.mode!r}")
        if not 1 <= self.min_length <= self.max_length or self.max_skip < 0:
            raise ValueError(
                "expected 1 <= min_length <= max_length and 0 <= max_skip, found "
                f"{self.min_length}, {self.max_length} and {self.max_skip}"
            )

    def infer(self, data: Type, pool: Type, coordinates: Type, weights: Type) -> Type:
        words = expect_tensor(self.name, "data", data)
        known = expect_tensor(self.name, "pool", pool)
        if expect_same_dtype(self.name, words, known) != "string":
            expect_kind(self.name, "data", data, "integer")
        places = expect_kind(self.name, "coordinates", coordinates, "integer")
        factors = expect_tensor(self.name, "weights", weights)
        vectors = (known, places, factors)
        if len(words.shape) not in (1, 2) or any(len(v.shape) != 1 for v in vectors):
            raise TypeInferenceError(
                f"{self.name}: expected words of shape (n,) or (rows, n), and vectors, found "
                f"{', '.join(map(str, (words, *vectors)))}"
            )
        if factors.dtype != "float32":
            raise TypeInferenceError(f"{self.name}: weights must be float32, found {factors}")
        self._check_pool(known.shape[0], places.shape[0])
        return TensorType((*words.shape[:-1], factors.shape[0]), "float32")

    def _check_pool(self, size: Dim, count: Dim) -> None:
        if isinstance(size, Any) or isinstance(count, Any):
            return
        ends = [*self.begins[1:], size]
        if any(not 0 <= a <= b for a, b in zip(self.begins, ends, strict=True)):
            raise TypeInferenceError(
                f"{self.name}: begins {self.begins} must ascend within the {size} words of pool"
            )
        found = sum(grams for _, _, grams, _ in self._lengths(size))
        if found != count:
            raise TypeInferenceError(
                f"{self.name}: pool has {found} n-grams, but there are {count} coordinates"
            )

    def _lengths(self, size: int) -> list[tuple[int, int, int, int]]:
        """For each length of n-grams: it, where they begin, how many there are, and before them."""
        ends = [*self.begins[1:], size]
        found, before = [], 0
        for length, (begin, end) in enumerate(zip(self.begins, ends, strict=True), 1):
            count = (end - begin) // length
            found.append((length, begin, count, before))
            before += count
        return found

    def _skips(self, length: int) -> int:
        """In how many ways words may be skipped: a single word has nothing between."""
        return 1 if length == 1 else self.max_skip + 1

    def compute(
        self, data: te.Tensor, pool: te.Tensor, coordinates: te.Tensor, weights: te.Tensor
    ) -> te.Tensor:
        shape = (*data.shape[:-1], weights.shape[0])
        output = te.placeholder(shape, "float32", "counts")
        (found,) = te.ordered((data, pool, coordinates, weights), (output,), self._write)
        return found

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        (data, _, _, weights), (counts,) = given, made
        rows = data.static_shape[0] if data.ndim == 2 else 1
        with w.loop(rows, "row", kind="parallel") as row:
            lead: tuple[te.Expr, ...] = (row,) if data.ndim == 2 else ()
            with w.loop(weights.static_shape[0], "k") as k:
                w.store(counts, (*lead, k), 0)
            self._count(w, given, counts, lead)
            if self.mode != "tf":
                with w.loop(weights.static_shape[0], "k") as k:
                    number = counts(*lead, k)
                    zero = te.const(0.0, "float32")
                    some = te.select(te.compare("gt", number, zero), weights(k), zero)
                    value = some if self.mode == "idf" else number * weights(k)
                    w.store(counts, (*lead, k), value)

    def _count(
        self, w: te.Writer, given: te.Given, counts: te.Tensor, lead: Sequence[te.Expr]
    ) -> None:
        """Count the n-grams of all lengths in one row."""
        data, pool, coordinates, weights = given
        words, room = data.static_shape[-1], weights.static_shape[0]
        for length, begin, grams, before in self._lengths(pool.static_shape[0]):
            if not self.min_length <= length <= self.max_length or length > words:
                continue
            with (
                w.loop(self._skips(length), "skip") as skip,
                w.loop(words - length + 1, "start") as start,
                w.when(start + (skip + 1) * (length - 1) < words),
                w.loop(grams, "gram") as gram,
            ):
                equal = [
                    te.equal(data(*lead, start + (skip + 1) * k), pool(gram * length + (begin + k)))
                    for k in range(length)
                ]
                place = te.cast(coordinates(gram + before), te.INDEX)
                inside = te.both(te.compare("ge", place, te.const(0)), place < room)
                with w.when(te.both(functools.reduce(te.both, equal), inside)):
                    w.store(counts, (*lead, place), 1.0, reduce="sum")

    def reference(self, data: Array, pool: Array, coordinates: Array, weights: Array) -> Array:
        known: dict[tuple[object, ...], list[int]] = {}
        words = pool.tolist()
        lengths = self._lengths(len(words))
        for length, begin, count, before in lengths:
            for k in range(count):
                gram = tuple(words[begin + k * length : begin + (k + 1) * length])
                known.setdefault(gram, []).append(int(coordinates[before + k]))
        rows = data.tolist() if data.ndim == 2 else [data.tolist()]
        result = np.zeros((len(rows), weights.shape[0]), "float32")
        for found, row in zip(result, rows, strict=True):
            for length, _, _, _ in lengths:
                if not self.min_length <= length <= self.max_length:
                    continue
                for step in range(1, self._skips(length) + 1):
                    for start in range(len(row) - step * (length - 1)):
                        gram = tuple(row[start : start + step * (length - 1) + 1 : step])
                        for place in known.get(gram, ()):
                            if 0 <= place < weights.shape[0]:
                                found[place] += 1
        if self.mode == "idf":
            result = np.where(result > 0, weights, np.float32(0))
        elif self.mode == "tfidf":
            result = result * weights
        return result.reshape(*data.shape[:-1], weights.shape[0])
