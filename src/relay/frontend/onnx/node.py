"""What a converter sees: one ONNX node, with its inputs, attributes and a way to build Relay.

Sizes may be open. What is built here takes them as `Extent`: a number, or a formula of open sizes.
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import TypeAlias

import numpy as np
from onnx import NodeProto, helper

from relay.frontend.onnx.sizes import (
    Atom,
    Extent,
    Open,
    Size,
    as_dim,
    broadcast,
    compared,
)
from relay.frontend.onnx.values import Postponed, Values
from relay.frontend.onnx.views import like_range, reshape_codes
from relay.ir.expr import Constant, Expr
from relay.ir.types import Any, SizeVar, TensorType
from relay.op.tensor.slicing import END

#: One expression for one output, a sequence for several; None for an output that is not made.
Result: TypeAlias = Expr | Sequence[Expr | None]


class Node(Values):
    """One node of the model, and what its converter builds."""

    def derived(self, inputs: Sequence[Expr | None], **attributes: object) -> "Node":
        """This node with other `inputs`, and `attributes` beside or instead of its own."""
        proto = self.proto
        if attributes:
            proto = NodeProto()
            proto.CopyFrom(self.proto)
            kept = [a for a in self.proto.attribute if a.name not in attributes]
            del proto.attribute[:]
            proto.attribute.extend(kept)
            proto.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        return Node(proto, inputs, self.opset, self.span, self.scope)

    def reshape(self, value: Expr, shape: Sequence[Extent], by: Expr | None = None) -> Expr:
        """`value` in another `shape`; itself where it has that one already.

        Where sizes are open, a -1 is what is left, and `by` is a vector of `shape` if there is one.
        """
        old, new = self.dims(value), tuple(shape)
        if old == new:
            return value
        before, after = math.prod(old), math.prod(new)
        if -1 not in new and compared(before, after) not in (0, None):
            self.fail(f"a tensor of shape {old} cannot become {new}")
        if after == 0:  # in `newshape`, 0 stands for "as it was"
            return self.filled(self.fixed(new), 0, self.dtype(value))
        sizes = tuple(d for d in new if isinstance(d, int))
        if len(sizes) == len(new) and self.type_of(value).is_static:
            return self.call("reshape", value, newshape=sizes)
        return self.remember(self._viewed(value, old, new, by), new)

    def _viewed(
        self, value: Expr, old: Sequence[Extent], new: Sequence[Extent], by: Expr | None
    ) -> Expr:
        """`value` of sizes `old` in those of `new`, some of which are open."""
        codes = reshape_codes(old, new)
        if codes is not None:
            made = self.call(codes[0], value, newshape=codes[1])
            if self.type_of(made).shape == tuple(Any() if d == -1 else as_dim(d) for d in new):
                return made
        tensors = [
            (v, self.dims(v))
            for v in self.inputs
            if v is not None and isinstance(v.checked_type, TensorType)
        ]
        found = like_range(old, new, tensors)
        if found is not None:
            return self.call("reshape_like", value, found[0], **found[1])
        # Sizes that are computed mean what they say; in those of a model, 0 may copy one.
        allowzero = by is None or bool(self.integer("allowzero", 0))
        by = self.vector(new) if by is None else by
        return self.call("dyn.reshape", value, by, known=_known(new), allowzero=allowzero)

    def remember(self, value: Expr, shape: Sequence[Extent]) -> Expr:
        """`value`, of which is known from now on that it has this `shape`."""
        if -1 not in shape and not isinstance(value, Constant):
            self.scope.session.extents[value] = tuple(shape)
        return value

    def vector(self, sizes: Sequence[Extent]) -> Expr:
        """`sizes` as a vector of ``int64``, computed from the shapes of what this node is given."""
        parts = [
            self._product(d) if isinstance(d, Size) else self.constant([d], "int64") for d in sizes
        ]
        return self.concatenate(parts, 0)

    def common(self, *shapes: Sequence[Extent]) -> tuple[Extent, ...]:
        """What `shapes` broadcast to. Which of two open sizes is 1 is asked at run time."""
        found = broadcast(*shapes)
        if found is not None:
            return found
        rank = max(map(len, shapes))
        padded = [(*(1,) * (rank - len(s)), *s) for s in shapes]
        for sizes in zip(*padded, strict=True):
            if len({d for d in sizes if isinstance(d, int)} - {1}) > 1:
                self.fail(f"the shapes {', '.join(map(str, shapes))} do not broadcast")
        largest = reduce(lambda a, b: self.call("maximum", a, b), [self.vector(s) for s in padded])
        symbols = self._symbols(largest)
        assert symbols is not None, "the largest of sizes is a size"
        return tuple(symbols)

    def scalar(self, size: Extent, dtype: str) -> Expr:
        """`size` as a scalar of `dtype`."""
        if isinstance(size, int):
            return self.constant(size, dtype)
        return self.cast(self.call("squeeze", self.vector([size]), axis=(0,)), dtype)

    def _product(self, size: Size) -> Expr:
        """`size` as a vector of one element."""
        for value in self.inputs:
            symbols = None if value is None else self.scope.session.symbols.get(value)
            if value is not None and symbols is not None and size in symbols.reshape(-1):
                return self._element(value, [*symbols.reshape(-1)].index(size))
        total: Expr | None = None
        for product, factor in size.terms:
            term: Expr = self.constant([factor], "int64")
            for atom, power in product:
                one = self._atom(atom)
                for _ in range(power):
                    term = one if self.known(term) == 1 else self.call("multiply", term, one)
            total = term if total is None else self.call("add", total, term)
        assert total is not None, "a number has no terms only where it is known"
        return total

    def _atom(self, atom: Atom) -> Expr:
        if isinstance(atom, Open) and atom.is_element:
            return self._element(atom.expr, atom.index)
        places = [(atom.expr, atom.index)] if isinstance(atom, Open) else self._places(atom)
        for value, axis in places:
            sizes = self.call("shape_of", value, dtype="int64")
            return self.slice_axis(sizes, 0, axis, axis + 1)
        raise Postponed(f"nothing that it is given has the size {atom}")

    def _element(self, value: Expr, index: int) -> Expr:
        """Element `index` of a small tensor, as a vector."""
        flat = self.reshape(value, (math.prod(self.shape(value)),))
        return self.cast(self.slice_axis(flat, 0, index, index + 1), "int64")

    def _places(self, name: SizeVar) -> list[tuple[Expr, int]]:
        """Inputs that have the size `name`, and in which dimension."""
        return [
            (value, axis)
            for value in self.inputs
            if value is not None and isinstance(value.checked_type, TensorType)
            for axis, size in enumerate(value.checked_type.shape)
            if size == name
        ]

    def transpose(self, value: Expr, axes: Sequence[int]) -> Expr:
        """`value` with its axes in another order; itself where the order is the same."""
        if list(axes) == list(range(self.rank(value))):
            return value
        return self.call("transpose", value, axes=tuple(axes))

    def broadcast(self, value: Expr, shape: Sequence[Extent], by: Expr | None = None) -> Expr:
        """`value` repeated to `shape` by the rules of broadcasting.

        Where sizes are open, `by` is a vector of `shape` if there is one.
        """
        if self.dims(value) == tuple(shape):
            return value
        sizes = tuple(d for d in shape if isinstance(d, int))
        if len(sizes) == len(shape):
            self.check_size(sizes, self.dtype(value))
            return self.call("broadcast_to", value, shape=sizes)
        by = self.vector(shape) if by is None else by
        return self.remember(self.call("dyn.broadcast_to", value, by, known=_known(shape)), shape)

    def tile(self, value: Expr, times: Sequence[Extent], by: Expr) -> Expr:
        """`value` repeated as often along each axis as `times` say, the numbers in `by`."""
        known = tuple(t for t in times if isinstance(t, int))
        if len(known) == len(times):
            return value if set(known) <= {1} else self.call("tile", value, reps=known)
        shape = [d * t for d, t in zip(self.dims(value), times, strict=True)]
        return self.remember(self.call("dyn.tile", value, by, known=_known(shape)), shape)

    def full(self, value: Expr, shape: Sequence[Extent], by: Expr) -> Expr:
        """The scalar `value` everywhere in `shape`, the sizes in the vector `by`."""
        made = self.call("dyn.full", value, by, dtype=self.dtype(value), known=_known(shape))
        return self.remember(made, shape)

    def numbers_below(self, size: Extent) -> Expr:
        """The vector 0, 1, ... up to `size`, which is left out, of ``int64``."""
        if isinstance(size, int):
            self.spend((size,), "int64")
            return self.constant(np.arange(size), "int64")
        zero, one = self.constant(0, "int64"), self.constant(1, "int64")
        return self.progression(zero, self.scalar(size, "int64"), one, size)

    def progression(self, start: Expr, stop: Expr, step: Expr, size: Extent | None) -> Expr:
        """Numbers from `start` up to `stop` in steps of `step`: `size` of them, if that is seen."""
        known = () if size is None else _known((size,))
        made = self.call("dyn.arange", start, stop, step, dtype=self.dtype(start), known=known)
        return made if size is None else self.remember(made, (size,))

    def slice(
        self, value: Expr, begin: Sequence[int], end: Sequence[Extent], strides: Sequence[int]
    ) -> Expr:
        """Elements `begin` up to `end` (exclusive) in steps of `strides`, along every axis.

        An `end` that is open has to be the size of its axis.
        """
        cut = [
            axis
            for axis, (b, e, s, d) in enumerate(
                zip(begin, end, strides, self.dims(value), strict=True)
            )
            if (b, s) != (0, 1) or e != d
        ]
        if not cut:
            return value
        if self.type_of(value).is_static:
            ends = self.fixed(end)
            return self.call(
                "strided_slice", value, begin=tuple(begin), end=ends, strides=tuple(strides)
            )
        return self.call(
            "strided_slice",
            value,
            begin=tuple(begin[a] for a in cut),
            end=self.fixed([END if end[a] == self.dims(value)[a] else end[a] for a in cut]),
            strides=tuple(strides[a] for a in cut),
            axes=tuple(cut),
        )

    def slice_axis(self, value: Expr, axis: int, begin: int, end: int, step: int = 1) -> Expr:
        """Elements `begin` up to `end` of one axis, all of the others."""
        ends = list(self.dims(value))
        begins, steps = [0] * len(ends), [1] * len(ends)
        begins[axis], ends[axis], steps[axis] = begin, end, step
        return self.slice(value, begins, ends, steps)

    def concatenate(self, values: Sequence[Expr], axis: int) -> Expr:
        """`values` one after the other along `axis`; those without elements do not matter."""
        present = [v for v in values if self.dims(v)[axis] != 0] or list(values[:1])
        if len(present) == 1:
            return present[0]
        joined = self.call("concatenate", self.tuple_of(present), axis=axis)
        if self.type_of(joined).is_static:
            return joined
        shape = list(self.dims(joined))
        shape[axis] = sum(self.dims(v)[axis] for v in present)
        return self.remember(joined, shape)


def _known(shape: Sequence[Extent]) -> tuple[str, ...]:
    """What is known of sizes, as ``dyn`` operators take it."""
    return tuple("?" if d == -1 else str(as_dim(d)) for d in shape)
