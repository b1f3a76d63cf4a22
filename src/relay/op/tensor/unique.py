"""The elements of a vector without repetition."""

from typing import ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import TensorType, TupleType, Type
from relay.op.shapes import expect_kind, put
from relay.op.tensor.sort import comes_before
from relay.support.errors import TypeInferenceError


@operator("unique", inputs=("data",), pattern=Pattern.OPAQUE, level=3)
class Unique(Operator):
    """The different elements of a vector, ascending or, unless `sorted`, as they first occur.

    The result is a tuple: the elements, where each first occurs, for each element of `data` which
    of them it is, and how many there are (a vector of one number); with `return_counts` also how
    often each occurs. All but the number have the length of `data`: what is behind the number is 0.
    Positions and counts are ``int32``. NaN equals NaN, and is larger than every number.
    """

    sorted: bool = True
    return_counts: bool = False

    missing: ClassVar[dict[str, str]] = {
        "gradient": "equal elements share one result, so that a small change of one makes two of it"
    }

    def __post_init__(self) -> None:
        put(self, "sorted", bool(self.sorted))
        put(self, "return_counts", bool(self.return_counts))

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "number")
        if len(tensor.shape) != 1:
            raise TypeInferenceError(
                f"{self.name}: expected a vector, found {tensor}; flatten it with relay.reshape"
            )
        whole = TensorType(tensor.shape, "int32")
        fields = [tensor, whole, whole, TensorType((1,), "int32")]
        return TupleType([*fields, whole] if self.return_counts else fields)

    def compute(self, data: te.Tensor) -> tuple[te.Tensor, ...]:
        shape, size = data.shape, data.shape[0]

        def same(a: te.Expr, b: te.Expr) -> te.Expr:
            equal = te.equal(a, b)
            if not dtypes.is_float(a.dtype):
                return equal
            return te.either(equal, te.both(te.unary("isnan", a), te.unary("isnan", b)))

        def first_of(i: te.Var) -> te.Expr:
            r = te.reduce_axis(size)
            return te.reduce_min(te.select(same(data(i), data(r.var)), r.var, te.const(2**62)), r)

        first = te.compute(shape, first_of, "first")

        def which(i: te.Var) -> te.Expr:
            r = te.reduce_axis(size)
            if self.sorted:
                ahead = comes_before(data(r.var), data(i), ascending=True)
            else:
                ahead = r.var < first(i)
            return te.reduce_sum(
                te.cast(te.both(te.equal(first(r.var), r.var), ahead), te.INDEX), r
            )

        number = te.compute(shape, which, "which")

        def count_all(_: te.Var) -> te.Expr:
            r = te.reduce_axis(size)
            return te.reduce_sum(te.cast(te.equal(first(r.var), r.var), "int32"), r)

        count = te.compute((1,), count_all, "unique_count")

        def place(u: te.Var) -> te.Expr:
            r = te.reduce_axis(size)
            hit = te.both(te.equal(first(r.var), r.var), te.equal(number(r.var), u))
            return te.reduce_max(te.select(hit, r.var, te.const(0)), r)

        places = te.compute(shape, place, "places")

        def element(u: te.Var) -> te.Expr:
            known = u < te.cast(count(0), te.INDEX)
            return te.select(known, data(places(u)), te.const(0, data.dtype))

        def narrow(tensor: te.Tensor, name: str) -> te.Tensor:
            return te.compute(shape, lambda i: te.cast(tensor(i), "int32"), name)

        def often(u: te.Var) -> te.Expr:
            r = te.reduce_axis(size)
            return te.reduce_sum(te.cast(te.equal(number(r.var), u), "int32"), r)

        elements = te.compute(shape, element, "unique")
        found = (elements, narrow(places, "indices"), narrow(number, "inverse"), count)
        return (*found, te.compute(shape, often, "counts")) if self.return_counts else found

    def reference(self, data: Array) -> tuple[Array, ...]:
        _, first, inverse, counts = np.unique(
            data, return_index=True, return_inverse=True, return_counts=True
        )
        # By first occurrence: where each of the ascending elements goes.
        order = np.arange(first.size) if self.sorted else np.argsort(first, kind="stable")
        rank = np.argsort(order, kind="stable")

        def padded(values: Array, dtype: np.dtype[np.generic]) -> Array:
            result = np.zeros(data.shape, dtype)
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
