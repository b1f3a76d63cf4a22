"""Padding: more elements around a tensor."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.layout import LayoutChange, LayoutPlan
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.gradients import (
    known_shape,
    make,
    mapped_along,
    number,
    total,
)
from relay.op.nn.common import pad_tensor
from relay.op.shapes import put, put_ints
from relay.support.errors import TypeInferenceError

Pairs: TypeAlias = tuple[tuple[int, int], ...]


def _pairs(name: str, value: Sequence[Sequence[int]]) -> Pairs:
    found: list[tuple[int, int]] = []
    for pair in value:
        if len(pair) != 2:
            raise TypeInferenceError(
                f"{name}: pad_width needs a pair (before, after) for every axis, found {pair}"
            )
        found.append((int(pair[0]), int(pair[1])))
    return tuple(found)


def _padded_type(name: str, x: TensorType, pairs: Pairs) -> TensorType:
    if len(pairs) != len(x.shape):
        raise TypeInferenceError(
            f"{name}: pad_width has {len(pairs)} pairs, but the data has {len(x.shape)} dimensions"
        )
    shape: list[Dim] = []
    for axis, (size, (before, after)) in enumerate(zip(x.shape, pairs, strict=True)):
        if isinstance(size, int) and size + before + after < 0:
            raise TypeInferenceError(f"{name}: pad_width cuts off more than axis {axis} of {x} has")
        grown = before + after
        if isinstance(size, Any):
            shape.append(Any() if grown else size)
        else:
            shape.append(size + grown)
    return TensorType(shape, x.dtype)


def _check_mirror(name: str, x: TensorType, pairs: Pairs, spare: int) -> None:
    for axis, (size, pair) in enumerate(zip(x.shape, pairs, strict=True)):
        if min(pair) < 0 or (isinstance(size, int) and max(pair) > size - spare):
            raise TypeInferenceError(
                f"{name}: axis {axis} of {x} can be mirrored by 0 to {size} - {spare} elements, "
                f"found {pair}"
            )


def _gather(data: te.Tensor, pairs: Pairs, mode: str) -> te.Tensor:
    """`data` padded with elements of itself: the nearest, or mirrored with or without the edge."""
    shape = [s + (b + a) for s, (b, a) in zip(data.shape, pairs, strict=True)]

    def position(index: te.Expr, size: te.Dim, before: int, after: int) -> te.Expr:
        if before == 0 and after == 0:
            return index
        at = index - before
        last = te.as_expr(size - 1, te.INDEX)
        if mode == "edge":
            return te.clamp(at, 0, last)
        shift = 1 if mode == "symmetric" else 0
        low = te.select(at < 0, -at - shift, at) if before else at
        return te.select(low > last, last * 2 + shift - low, low) if after else low

    def element(*indices: te.Var) -> te.Expr:
        return data(
            *(position(i, s, *pair) for i, s, pair in zip(indices, data.shape, pairs, strict=True))
        )

    return te.compute(shape, element, "pad")


def _folded(
    operator_name: str, grad: Expr, data: Expr, along: Callable[[int, Array], Array]
) -> Expr:
    """`grad` with what lies around the data added to the elements that it was copied from."""
    value = grad
    for axis, (old, new) in enumerate(
        zip(known_shape(operator_name, data), known_shape(operator_name, grad), strict=True)
    ):
        copies = along(axis, np.eye(old))
        if old != new or not np.array_equal(copies, np.eye(old)):
            value = mapped_along(value, axis, copies.T)
    return value


def _follow(
    declaration: "Pad | MirrorPad", change: LayoutChange | None
) -> tuple[LayoutChange, Pairs] | None:
    """The padding under a change of layout, where the padded axes stay whole."""
    if change is None:
        return None
    by_letter = change.source.components(declaration.pad_width)
    pairs: list[tuple[int, int]] = []
    for axis in change.target.axes:
        (pair,) = by_letter[axis.letter] if len(by_letter[axis.letter]) == 1 else ((1, 1),)
        if pair != (0, 0) and change.target.factors(axis.letter):
            return None
        pairs.append((0, 0) if axis.factor else pair)
    return change, tuple(pairs)


@operator("nn.pad", inputs=("data", "pad_val"), pattern=Pattern.INJECTIVE, level=2)
class Pad(Operator):
    """Add elements before and after each axis: `pad_width` has a pair for every axis.

    `pad_mode` is ``constant`` (the scalar `pad_val`), ``edge`` (the nearest element) or ``reflect``
    (mirrored, without repeating the edge). Negative amounts cut off, except for ``reflect``.
    """

    takes_small = True

    pad_width: Pairs
    pad_mode: str = "constant"

    def __post_init__(self) -> None:
        put(self, "pad_width", _pairs(self.name, self.pad_width))
        if self.pad_mode not in ("constant", "edge", "reflect"):
            raise TypeInferenceError(
                f"{self.name}: pad_mode must be constant, edge or reflect, found {self.pad_mode!r}"
            )

    def infer(self, data: Type, pad_val: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        value = expect_tensor(self.name, "pad_val", pad_val)
        if value.shape != ():
            raise TypeInferenceError(f"{self.name}: pad_val must be a scalar, found {value}")
        padded = _padded_type(self.name, x, self.pad_width)
        if self.pad_mode == "reflect":
            _check_mirror(self.name, x, self.pad_width, 1)
        pairs = zip(x.shape, self.pad_width, strict=True)
        if self.pad_mode == "edge" and any(s == 0 and max(p) > 0 for s, p in pairs):
            raise TypeInferenceError(f"{self.name}: {x} has no elements to repeat around it")
        return padded

    def compute(self, data: te.Tensor, pad_val: te.Tensor) -> te.Tensor:
        if self.pad_mode != "constant":
            return _gather(data, self.pad_width, self.pad_mode)
        before, after = [b for b, _ in self.pad_width], [a for _, a in self.pad_width]
        padded = pad_tensor(data, before, after, te.cast(pad_val(), data.dtype))
        return te.compute(data.shape, lambda *i: data(*i), "pad") if padded is data else padded

    def reference(self, data: Array, pad_val: Array) -> Array:
        if not self.pad_width:
            return data
        cut = tuple(
            slice(max(-b, 0), s - max(-a, 0))
            for s, (b, a) in zip(data.shape, self.pad_width, strict=True)
        )
        grown = [(max(b, 0), max(a, 0)) for b, a in self.pad_width]
        if self.pad_mode == "constant":
            return np.pad(data[cut], grown, constant_values=pad_val.astype(data.dtype).item())
        return np.pad(data, grown, mode="edge" if self.pad_mode == "edge" else "reflect")[
            tuple(
                slice(max(-b, 0), s + max(b, 0) + max(a, 0) - max(-a, 0))
                for s, (b, a) in zip(data.shape, self.pad_width, strict=True)
            )
        ]

    def reference_along(self, axis: int, values: Array) -> Array:
        """`values`, which have one row a position along `axis`, padded as that axis is."""
        pairs = (self.pad_width[axis], (0, 0))
        return Pad(pairs, self.pad_mode).reference(values, np.zeros(()))

    def gradient(self, grad: Expr, result: Expr, data: Expr, pad_val: Expr) -> Gradients:
        if self.pad_mode != "constant":
            return _folded(self.name, grad, data, self.reference_along), None
        back = tuple((-before, -after) for before, after in self.pad_width)
        kept = make("nn.pad", grad, number(0, grad), pad_width=back)
        return kept, total(grad, pad_val) - total(kept, pad_val)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout in which the padded axes are whole."""
        followed = _follow(self, incoming[0])
        if followed is None:
            return None
        change, pairs = followed
        return LayoutPlan(Pad(pairs, self.pad_mode), (change, None), (change,))


@operator("nn.mirror_pad", inputs=("data",), pattern=Pattern.INJECTIVE, level=2)
class MirrorPad(Operator):
    """Mirror elements around each axis: `pad_width` has a pair for every axis.

    `mode` ``SYMMETRIC`` repeats the edge, ``REFLECT`` does not.
    """

    takes_small = True

    pad_width: Pairs
    mode: str = "SYMMETRIC"

    def __post_init__(self) -> None:
        put(self, "pad_width", _pairs(self.name, self.pad_width))
        if self.mode not in ("SYMMETRIC", "REFLECT"):
            raise TypeInferenceError(
                f"{self.name}: mode must be SYMMETRIC or REFLECT, found {self.mode!r}"
            )

    def infer(self, data: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        padded = _padded_type(self.name, x, self.pad_width)
        _check_mirror(self.name, x, self.pad_width, int(self.mode == "REFLECT"))
        return padded

    def compute(self, data: te.Tensor) -> te.Tensor:
        return _gather(data, self.pad_width, self.mode.lower())

    def reference(self, data: Array) -> Array:
        if self.mode == "SYMMETRIC":
            return np.pad(data, self.pad_width, mode="symmetric")
        return np.pad(data, self.pad_width, mode="reflect")

    def reference_along(self, axis: int, values: Array) -> Array:
        """`values`, which have one row a position along `axis`, padded as that axis is."""
        return MirrorPad((self.pad_width[axis], (0, 0)), self.mode).reference(values)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (_folded(self.name, grad, data, self.reference_along),)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout in which the padded axes are whole."""
        followed = _follow(self, incoming[0])
        if followed is None:
            return None
        change, pairs = followed
        return LayoutPlan(MirrorPad(pairs, self.mode), (change,), (change,))


@operator("nn.dilate", inputs=("data",), pattern=Pattern.INJECTIVE, level=10)
class Dilate(Operator):
    """The elements of `data` `strides` apart along each axis, `dilation_value` between them."""

    takes_small = True

    strides: tuple[int, ...]
    dilation_value: float = 0.0

    def __post_init__(self) -> None:
        put_ints(self, "strides")
        if min(self.strides, default=1) < 1:
            raise TypeInferenceError(f"{self.name}: strides must be positive, found {self.strides}")

    def infer(self, data: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        if len(self.strides) != len(x.shape):
            raise TypeInferenceError(
                f"{self.name}: {len(self.strides)} strides, but the data has {len(x.shape)} "
                "dimensions"
            )
        shape: list[Dim] = []
        for size, stride in zip(x.shape, self.strides, strict=True):
            grown = max((size - 1) * stride + 1, 0) if isinstance(size, int) else Any()
            shape.append(size if stride == 1 else grown)
        return TensorType(shape, x.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        shape: list[te.Dim] = [
            s if step == 1 else te.maximum((te.as_expr(s, te.INDEX) - 1) * step + 1, 0)
            for s, step in zip(data.shape, self.strides, strict=True)
        ]

        def element(*indices: te.Var) -> te.Expr:
            pairs = list(zip(indices, self.strides, strict=True))
            inside = [te.equal(i % step, 0) for i, step in pairs if step > 1]
            value = data(*(i if step == 1 else i // step for i, step in pairs))
            between = te.const(self.dilation_value, data.dtype)
            return te.select(te.both(*inside), value, between)

        return te.compute(shape, element, "dilate")

    def reference(self, data: Array) -> Array:
        shape = [max((s - 1) * k + 1, 0) for s, k in zip(data.shape, self.strides, strict=True)]
        result = np.full(shape, self.dilation_value, dtype=data.dtype)
        result[tuple(slice(None, None, k) for k in self.strides)] = data
        return result

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        rank = len(self.strides)
        ends = (np.iinfo("int64").max,) * rank
        return (make("strided_slice", grad, begin=(0,) * rank, end=ends, strides=self.strides),)
