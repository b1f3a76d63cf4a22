"""Arithmetic of quantised values of different scales, and joining them."""

from collections.abc import Sequence

import numpy as np

from relay import dtypes
from relay.ir.expr import Expr, Tuple
from relay.ir.op import Array, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import field, fields_of, make, rank_of
from relay.op.qnn.common import (
    QuantizedOperator,
    along,
    calculated,
    cast,
    centered,
    check_parameters,
    expect_quantized,
    is_number,
    saturated,
    saturated_array,
    scalar,
    size_along,
)
from relay.op.qnn.rescaling import (
    RequantizeConfig,
    configured,
    ratio_array,
    requantized,
    requantized_array,
    rescaled,
    rescaled_array,
)
from relay.op.shapes import broadcast_types, expect_tensors
from relay.op.tensor.join import Concatenate
from relay.support.errors import TypeInferenceError

_INPUTS = (
    "lhs",
    "rhs",
    "lhs_scale",
    "lhs_zero_point",
    "rhs_scale",
    "rhs_zero_point",
    "output_scale",
    "output_zero_point",
)


class QuantizedBroadcast(QuantizedOperator):
    """Base of the operators on two tensors, which broadcast and have one data type."""

    lhs_axis: int
    rhs_axis: int

    def infer(
        self,
        lhs: Type,
        rhs: Type,
        lhs_scale: Type,
        lhs_zero_point: Type,
        rhs_scale: Type,
        rhs_zero_point: Type,
        output_scale: Type,
        output_zero_point: Type,
    ) -> Type:
        x = expect_quantized(self.name, "lhs", lhs)
        y = expect_quantized(self.name, "rhs", rhs)
        left = (("lhs_scale", lhs_scale), ("lhs_zero_point", lhs_zero_point))
        right = (("rhs_scale", rhs_scale), ("rhs_zero_point", rhs_zero_point))
        check_parameters(self.name, left, size_along(self.name, self.lhs_axis, x))
        check_parameters(self.name, right, size_along(self.name, self.rhs_axis, y))
        output = (("output_scale", output_scale), ("output_zero_point", output_zero_point))
        check_parameters(self.name, output)
        return broadcast_types(self.name, x, y)


class QuantizedSum(QuantizedBroadcast):
    """Base of addition and subtraction: both sides are brought to the scale of the result."""

    def expand(
        self,
        lhs: Expr,
        rhs: Expr,
        lhs_scale: Expr,
        lhs_zero_point: Expr,
        rhs_scale: Expr,
        rhs_zero_point: Expr,
        output_scale: Expr,
        output_zero_point: Expr,
    ) -> Expr:
        config = configured()
        wide = config.compute_dtype

        def side(data: Expr, scale: Expr, zero_point: Expr, axis: int) -> Expr:
            values = centered(data, zero_point, axis, wide)
            bits = dtypes.bits(_dtype(data)) + 1
            return rescaled(values, scale, output_scale, axis, config, bits)

        total = make(
            self.name.removeprefix("qnn."),
            side(lhs, lhs_scale, lhs_zero_point, self.lhs_axis),
            side(rhs, rhs_scale, rhs_zero_point, self.rhs_axis),
        )
        return saturated(total, output_zero_point, -1, _dtype(lhs))

    def reference(
        self,
        lhs: Array,
        rhs: Array,
        lhs_scale: Array,
        lhs_zero_point: Array,
        rhs_scale: Array,
        rhs_zero_point: Array,
        output_scale: Array,
        output_zero_point: Array,
    ) -> Array:
        config = configured()

        def side(data: Array, scale: Array, zero_point: Array, axis: int) -> Array:
            values = data.astype("int64") - along(zero_point, axis, data.ndim)
            return rescaled_array(values, ratio_array(scale, output_scale, axis, data.ndim), config)

        left = side(lhs, lhs_scale, lhs_zero_point, self.lhs_axis)
        right = side(rhs, rhs_scale, rhs_zero_point, self.rhs_axis)
        total = left + right if self.name == "qnn.add" else left - right
        return saturated_array(total, output_zero_point.reshape(()), lhs.dtype.name)


def _dtype(value: Expr) -> str:
    found = value.checked_type
    assert isinstance(found, TensorType)
    return found.dtype


@operator("qnn.add", inputs=_INPUTS, pattern=Pattern.BROADCAST, level=11)
class QuantizedAdd(QuantizedSum):
    """The sum of two tensors of quantised values, each rounded to the scale of the result first.

    Scales and zero points of `lhs` and `rhs` may be vectors along `lhs_axis` and `rhs_axis`.
    """

    lhs_axis: int = -1
    rhs_axis: int = -1


@operator("qnn.subtract", inputs=_INPUTS, pattern=Pattern.BROADCAST, level=11)
class QuantizedSubtract(QuantizedSum):
    """The difference of two tensors of quantised values; see `qnn.add`."""

    lhs_axis: int = -1
    rhs_axis: int = -1


@operator("qnn.mul", inputs=_INPUTS, pattern=Pattern.BROADCAST, level=11)
class QuantizedMultiply(QuantizedBroadcast):
    """The product of two tensors of quantised values, rounded once; it must fit 32 bits before.

    Zero points of `lhs` and `rhs` may be vectors along `lhs_axis` and `rhs_axis`, and so may one of
    the scales.
    """

    lhs_axis: int = -1
    rhs_axis: int = -1

    def infer(self, *types: Type) -> Type:
        result = super().infer(*types)
        assert isinstance(result, TensorType)
        _, _, lhs_scale, _, rhs_scale, *_ = types
        for one, other in ((lhs_scale, rhs_scale), (rhs_scale, lhs_scale)):
            assert isinstance(one, TensorType)
            assert isinstance(other, TensorType)
            if one.shape not in ((), (1,)) and other.shape not in ((), (1,)):
                raise TypeInferenceError(
                    f"{self.name}: only one of the scales may be a vector, found {one} and {other}"
                )
        return result

    def expand(
        self,
        lhs: Expr,
        rhs: Expr,
        lhs_scale: Expr,
        lhs_zero_point: Expr,
        rhs_scale: Expr,
        rhs_zero_point: Expr,
        output_scale: Expr,
        output_zero_point: Expr,
    ) -> Expr:
        config = configured()
        dtype = _dtype(lhs)
        # The product of 8-bit values has 18 bits, that of 16-bit values up to 34.
        wide = "int32" if dtype in ("int8", "uint8") else "int64"
        product = make(
            "multiply",
            centered(lhs, lhs_zero_point, self.lhs_axis, wide),
            centered(rhs, rhs_zero_point, self.rhs_axis, wide),
        )
        axis = self._axis(is_number(lhs_scale), rank_of(lhs), rank_of(rhs))
        scale = scale_product(lhs_scale, rhs_scale)
        values = cast(product, config.compute_dtype)
        bits = 2 * (dtypes.bits(dtype) + 1)
        found = rescaled(values, scale, output_scale, axis, config, bits)
        return saturated(found, output_zero_point, -1, dtype)

    def _axis(self, by_rhs: bool, lhs_rank: int, rhs_rank: int) -> int:
        """The axis of the result that the vector among the scales is along, from the end."""
        axis, rank = (self.rhs_axis, rhs_rank) if by_rhs else (self.lhs_axis, lhs_rank)
        return axis % rank - rank if rank else -1

    def reference(
        self,
        lhs: Array,
        rhs: Array,
        lhs_scale: Array,
        lhs_zero_point: Array,
        rhs_scale: Array,
        rhs_zero_point: Array,
        output_scale: Array,
        output_zero_point: Array,
    ) -> Array:
        left = lhs.astype("int64") - along(lhs_zero_point, self.lhs_axis, lhs.ndim)
        right = rhs.astype("int64") - along(rhs_zero_point, self.rhs_axis, rhs.ndim)
        product = left * right
        scale = lhs_scale.astype("float64") * rhs_scale.astype("float64")
        axis = self._axis(lhs_scale.size == 1, lhs.ndim, rhs.ndim)
        ratio = ratio_array(scale, output_scale, axis, product.ndim)
        found = rescaled_array(product, ratio, configured())
        return saturated_array(found, output_zero_point.reshape(()), lhs.dtype.name)


def scale_product(a: Expr, b: Expr) -> Expr:
    """The product of two scales, in float64."""
    a, b = (cast(scalar(v) if is_number(v) else v, "float64") for v in (a, b))
    return calculated("multiply", a, b)


@operator(
    "qnn.concatenate",
    inputs=("data", "input_scales", "input_zero_points", "output_scale", "output_zero_point"),
    pattern=Pattern.INJECTIVE,
    level=11,
)
class QuantizedConcatenate(QuantizedOperator):
    """The tensors of the tuple `data`, brought to one scale and joined along `axis`.

    `input_scales` and `input_zero_points` are tuples with a number for each tensor.
    """

    axis: int = 0

    def infer(
        self,
        data: Type,
        input_scales: Type,
        input_zero_points: Type,
        output_scale: Type,
        output_zero_point: Type,
    ) -> Type:
        tensors = expect_tensors(self.name, "data", data)
        for k, tensor in enumerate(tensors):
            expect_quantized(self.name, f"field {k} of data", tensor)
        for name, given in (
            ("input_scale", input_scales),
            ("input_zero_point", input_zero_points),
        ):
            found = expect_tensors(self.name, f"{name}s", given)
            if len(found) != len(tensors):
                raise TypeInferenceError(
                    f"{self.name}: {len(tensors)} tensors need as many {name}s, found {len(found)}"
                )
            check_parameters(self.name, [(name, t) for t in found])
        output = (("output_scale", output_scale), ("output_zero_point", output_zero_point))
        check_parameters(self.name, output)
        return Concatenate(self.axis).infer(data)

    def expand(
        self,
        data: Expr,
        input_scales: Expr,
        input_zero_points: Expr,
        output_scale: Expr,
        output_zero_point: Expr,
    ) -> Expr:
        config: RequantizeConfig = configured()
        parts = [
            requantized(
                field(data, k),
                (field(input_scales, k), output_scale),
                (field(input_zero_points, k), output_zero_point),
                -1,
                _dtype(field(data, k)),
                config,
            )
            for k in range(fields_of(data))
        ]
        return make("concatenate", Tuple(parts), axis=self.axis)

    def reference(
        self,
        data: Sequence[Array],
        input_scales: Sequence[Array],
        input_zero_points: Sequence[Array],
        output_scale: Array,
        output_zero_point: Array,
    ) -> Array:
        parts = [
            requantized_array(
                x, (scale, output_scale), (zero, output_zero_point), -1, x.dtype.name, configured()
            )
            for x, scale, zero in zip(data, input_scales, input_zero_points, strict=True)
        ]
        return np.concatenate(parts, axis=self.axis)
