"""Fixed-point arithmetic: products with numbers of 31 fractional bits (Q31)."""

from collections.abc import Sequence

import numpy as np

from relay import te
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.op import Array, Operator, Pattern, operator, with_attributes
from relay.ir.types import Type
from relay.op.nn.common import dims_agree
from relay.op.shapes import expect_kind, normalize_axis, put, put_ints
from relay.op.tensor.elementwise import UnaryOperator
from relay.support.errors import TypeInferenceError


@operator("fixed_point_multiply", inputs=("data",), pattern=Pattern.ELEMWISE, level=10)
class FixedPointMultiply(UnaryOperator):
    """``x * multiplier * 2**(shift - 31)`` rounded to the nearest integer, halves upwards.

    `data` is ``int32``, `multiplier` a Q31 number (``int32``) and `shift` the binary exponent.
    """

    piecewise_constant = True
    kind = "integer"

    multiplier: int
    shift: int

    def element(self, x: te.Expr) -> te.Expr:
        right = 31 - min(self.shift, 0)
        wide = te.cast(x, "int64") * te.const(self.multiplier << max(self.shift, 0), "int64")
        rounded = wide + te.const(1 << (right - 1), "int64")
        return te.cast(te.binary("shr", rounded, te.const(right, "int64")), x.dtype)

    def reference(self, data: Array) -> Array:
        scale = self.multiplier * 2.0 ** (self.shift - 31)
        return np.floor(data.astype("float64") * scale + 0.5).astype(data.dtype)


@operator(
    "fixed_point_multiply_per_axis",
    inputs=("data", "fp_multiplier", "left_shift", "right_shift"),
    pattern=Pattern.BROADCAST,
    level=10,
)
class FixedPointMultiplyPerAxis(Operator):
    """``(data << left_shift) * fp_multiplier * 2**-(31 + right_shift)``, halves rounded upwards.

    The multipliers, Q31 numbers, and the shifts are tensors of the sizes of the dimensions `axes`.
    The shifts count only with `is_lshift_required` and `is_rshift_required`. All are ``int32``.
    """

    piecewise_constant = True

    is_lshift_required: bool = False
    is_rshift_required: bool = False
    axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        put_ints(self, "axes")
        put(self, "is_lshift_required", bool(self.is_lshift_required))
        put(self, "is_rshift_required", bool(self.is_rshift_required))

    def infer(self, data: Type, fp_multiplier: Type, left_shift: Type, right_shift: Type) -> Type:
        x = expect_kind(self.name, "data", data, "integer")
        axes = [normalize_axis(self.name, a, len(x.shape)) for a in self.axes]
        others = zip(self.inputs[1:], (fp_multiplier, left_shift, right_shift), strict=True)
        for name, type_ in others:
            found = expect_kind(self.name, name, type_, "integer")
            fits = len(found.shape) == len(axes) and all(
                dims_agree(size, x.shape[a]) for size, a in zip(found.shape, axes, strict=True)
            )
            if not fits:
                raise TypeInferenceError(
                    f"{self.name}: {name} must have the sizes of the dimensions {self.axes} of {x},"
                    f" found {found}"
                )
        return x

    def compute(
        self,
        data: te.Tensor,
        fp_multiplier: te.Tensor,
        left_shift: te.Tensor,
        right_shift: te.Tensor,
    ) -> te.Tensor:
        def element(*i: te.Var) -> te.Expr:
            at = [i[a % data.ndim] for a in self.axes]
            wide = te.cast(data(*i), "int64")
            if self.is_lshift_required:
                wide = te.binary("shl", wide, te.cast(left_shift(*at), "int64"))
            right: te.Expr = te.const(31, "int64")
            if self.is_rshift_required:
                right = right + te.cast(right_shift(*at), "int64")
            half = te.binary("shl", te.const(1, "int64"), right - 1)
            product = wide * te.cast(fp_multiplier(*at), "int64") + half
            return te.cast(te.binary("shr", product, right), data.dtype)

        return te.compute(data.shape, element, "fixed_point_multiply_per_axis")

    def reference(
        self, data: Array, fp_multiplier: Array, left_shift: Array, right_shift: Array
    ) -> Array:
        shape = [1] * data.ndim
        for a in self.axes:
            shape[a] = data.shape[a]
        order = np.argsort([a % data.ndim for a in self.axes])

        def spread(values: Array) -> Array:
            moved = values.transpose(order) if values.ndim else values
            return moved.astype("float64").reshape(shape)

        scale = spread(fp_multiplier) * 2.0**-31
        exponent: Sequence[tuple[bool, Array]] = (
            (self.is_lshift_required, spread(left_shift)),
            (self.is_rshift_required, -spread(right_shift)),
        )
        for wanted, power in exponent:
            scale = scale * 2.0**power if wanted else scale
        return np.floor(data * scale + 0.5).astype(data.dtype)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout: the multipliers and shifts are split as the dimensions `axes` are."""
        change = incoming[0]
        if change is None or change.source.is_blocked:
            return None
        letters = [change.source.axes[a % change.source.rank].letter for a in self.axes]
        axes = tuple(k for k, a in enumerate(change.target.axes) if a.letter in letters)
        moved = with_attributes(self, axes=axes)
        parameter: LayoutChange | None = None
        if letters:
            others = set(change.source.letters) - set(letters)
            parameter = LayoutChange(Layout("".join(letters)), change.target.without(others))
            parameter = None if parameter.is_identity else parameter
        return LayoutPlan(moved, (change, parameter, parameter, parameter), (change,))
