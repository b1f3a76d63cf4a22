"""The elements of a vector without repetition."""

from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, TupleType, Type
from relay.op.shapes import expect_kind, put
from relay.op.tensor.order import sort_row
from relay.support.errors import TypeInferenceError


@operator("unique", inputs=("data",), pattern=Pattern.OPAQUE, level=3)
class Unique(Operator):
    """The different elements of a vector, ascending or, unless `sorted`, as they first occur.

    The result is a tuple: the elements, where each first occurs, for each element of `data` which
    of them it is, and how many there are (a vector of one number); with `return_counts` also how
    often each occurs. All but the number have the length of `data`: what is behind the number is 0,
    or empty text. Positions and counts are ``int32``. NaN equals NaN, and is larger than every
    number.
    """

    takes_text = True

    sorted: bool = True
    return_counts: bool = False

    missing: ClassVar[dict[str, str]] = {
        "gradient": "equal elements share one result, so that a small change of one makes two of it"
    }

    def __post_init__(self) -> None:
        put(self, "sorted", bool(self.sorted))
        put(self, "return_counts", bool(self.return_counts))

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        if tensor.dtype == "bool":
            expect_kind(self.name, "data", data, "number")
        if len(tensor.shape) != 1:
            raise TypeInferenceError(
                f"{self.name}: expected a vector, found {tensor}; flatten it with relay.reshape"
            )
        whole = TensorType(tensor.shape, "int32")
        fields = [tensor, whole, whole, TensorType((1,), "int32")]
        return TupleType([*fields, whole] if self.return_counts else fields)

    def compute(self, data: te.Tensor) -> tuple[te.Tensor, ...]:
        shape = data.shape
        outputs = [
            te.placeholder(shape, data.dtype, "unique"),
            te.placeholder(shape, "int32", "indices"),
            te.placeholder(shape, "int32", "inverse"),
            te.placeholder((1,), "int32", "unique_count"),
        ]
        if self.return_counts:
            outputs.append(te.placeholder(shape, "int32", "counts"))
        return te.ordered((data,), outputs, self._write)

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        """Sort, so that equals are neighbours, the first occurrence in front; then number them."""
        (data,) = given
        elements, places, inverse, count = made[:4]
        (size,) = data.static_shape
        for tensor in (elements, places, *made[4:]):
            w.fill(tensor, 0)
        w.store(count, (0,), 0)
        if not size:
            return
        with w.loop(1, "all", kind="parallel"):
            entries = sort_row(w, size, lambda k: data(k), data.dtype, True)
            first = w.private(te.INDEX, (1,), "first")
            with w.loop(size, "k") as k:
                before = te.maximum(k - 1, 0)
                different = te.compare("ne", entries.key(k), entries.key(before))
                with w.when(te.either(te.equal(k, 0), different)):
                    w.store(first, (0,), entries.position(k))
                    if self.sorted:
                        self._begin(w, data, made, first(0))
                # Where elements are numbered as they occur, this is where each first does so far.
                number = count(0) - 1 if self.sorted else te.cast(first(0), "int32")
                w.store(inverse, (entries.position(k),), number)
            if not self.sorted:
                first_number = w.private("int32", (size,), "number")
                with w.loop(size, "k") as k:
                    with w.when(te.equal(te.cast(inverse(k), te.INDEX), k)):
                        self._begin(w, data, made, k)
                        w.store(first_number, (k,), count(0) - 1)
                    w.store(inverse, (k,), first_number(te.cast(inverse(k), te.INDEX)))
            if self.return_counts:
                with w.loop(size, "k") as k:
                    w.store(made[4], (te.cast(inverse(k), te.INDEX),), 1, reduce="sum")

    def _begin(self, w: te.Writer, data: te.Tensor, made: te.Given, place: te.Expr) -> None:
        """One more element, which first occurs at `place`."""
        elements, places, _, count = made[:4]
        number = te.cast(count(0), te.INDEX)
        w.store(elements, (number,), data(place))
        w.store(places, (number,), te.cast(place, "int32"))
        w.store(count, (0,), 1, reduce="sum")

    def reference(self, data: Array) -> tuple[Array, ...]:
        _, first, inverse, counts = np.unique(
            data, return_index=True, return_inverse=True, return_counts=True
        )
        # By first occurrence: where each of the ascending elements goes.
        order = np.arange(first.size) if self.sorted else np.argsort(first, kind="stable")
        rank = np.argsort(order, kind="stable")

        def padded(values: Array, dtype: np.dtype[np.generic]) -> Array:
            result = np.full(data.shape, "" if dtype.hasobject else 0, dtype)
            result[: values.size] = values
            return result

        whole = np.dtype("int32")
        found = (
            padded(data[first[order]], data.dtype),
            padded(first[order], whole),
            rank[inverse].astype(whole) if data.size else np.zeros(0, whole),
            np.array([first.size], whole),
        )
        return (*found, padded(counts[order], whole)) if self.return_counts else found
