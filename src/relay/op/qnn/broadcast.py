"""Arithmetic of quantised values of different scales, and joining them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relay import dtypes
from relay.ir.expr import Expr, Tuple
from relay.ir.op import Array, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import field, fields_of, make, rank_of, tensor_of
from relay.op.qnn.common import (
    Quantization,
    QuantizedOperator,
    calculated,
    cast,
    centered,
    centered_array,
    check_parameters,
    expect_quantized,
    is_number,
    quantizations,
    saturated,
    saturated_array,
    size_along,
)
from relay.op.qnn.rescaling import (
    configured,
    ratio_array,
    requantized,
    requantized_array,
    rescaled,
    rescaled_array,
    wide_scale,
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


@dataclass(frozen=True, eq=False, repr=False)
class QuantizedBroadcast(QuantizedOperator):
    """Base of the operators on two tensors, which broadcast and have one data type."""

    lhs_axis: int = -1
    rhs_axis: int = -1

    def infer(self, lhs: Type, rhs: Type, *parameters: Type) -> Type:
        x = expect_quantized(self.name, "lhs", lhs)
        y = expect_quantized(self.name, "rhs", rhs)
        left = size_along(self.name, self.lhs_axis, x)
        right = size_along(self.name, self.rhs_axis, y)
        names = self.inputs[2:]
        check_parameters(self.name, names[:2], parameters[:2], left)
        check_parameters(self.name, names[2:4], parameters[2:4], right)
        check_parameters(self.name, names[4:], parameters[4:])
        return broadcast_types(self.name, x, y)


class QuantizedSum(QuantizedBroadcast):
    """Base of addition and subtraction: both sides are brought to the scale of the result."""

    def expand(self, lhs: Expr, rhs: Expr, *parameters: Expr) -> Expr:
        left, right, output = quantizations(parameters)
        config = configured()

        def side(data: Expr, given: Quantization[Expr], axis: int) -> Expr:
            values = centered(data, given.zero_point, axis, config.compute_dtype)
            bits = dtypes.bits(tensor_of(data).dtype) + 1
            return rescaled(values, given.scale, output.scale, axis, config, bits)

        total = make(
            self.name.removeprefix("qnn."),
            side(lhs, left, self.lhs_axis),
            side(rhs, right, self.rhs_axis),
        )
        return saturated(total, output.zero_point, -1, tensor_of(lhs).dtype)

    def reference(self, lhs: Array, rhs: Array, *parameters: Array) -> Array:
        left, right, output = quantizations(parameters)

        def side(data: Array, given: Quantization[Array], axis: int) -> Array:
            values = centered_array(data, given.zero_point, axis, "int64")
            ratio = ratio_array(given.scale, output.scale, axis, data.ndim)
            return rescaled_array(values, ratio, configured())

        x, y = side(lhs, left, self.lhs_axis), side(rhs, right, self.rhs_axis)
        total = x + y if self.name == "qnn.add" else x - y
        return saturated_array(total, output.zero_point.reshape(()), lhs.dtype.name)


@operator("qnn.add", inputs=_INPUTS, pattern=Pattern.BROADCAST, level=11)
class QuantizedAdd(QuantizedSum):
    """The sum of two tensors of quantised values, each rounded to the scale of the result first.

    Scales and zero points of `lhs` and `rhs` may be vectors along `lhs_axis` and `rhs_axis`.
    """


@operator("qnn.subtract", inputs=_INPUTS, pattern=Pattern.BROADCAST, level=11)
class QuantizedSubtract(QuantizedSum):
    """The difference of two tensors of quantised values; see `qnn.add`."""


@operator("qnn.mul", inputs=_INPUTS, pattern=Pattern.BROADCAST, level=11)
class QuantizedMultiply(QuantizedBroadcast):
    """The product of two tensors of quantised values, rounded once; it must fit 32 bits before.

    Zero points of `lhs` and `rhs` may be vectors along `lhs_axis` and `rhs_axis`, and so may one of
    the scales.
    """

    def infer(self, lhs: Type, rhs: Type, *parameters: Type) -> Type:
        result = super().infer(lhs, rhs, *parameters)
        left, right, _ = quantizations(parameters)
        scales = (left.scale, right.scale)
        if not any(isinstance(s, TensorType) and s.shape in ((), (1,)) for s in scales):
            raise TypeInferenceError(
                f"{self.name}: only one of the scales may be a vector, found {scales[0]} "
                f"and {scales[1]}"
            )
        return result

    def expand(self, lhs: Expr, rhs: Expr, *parameters: Expr) -> Expr:
        left, right, output = quantizations(parameters)
        config = configured()
        dtype = tensor_of(lhs).dtype
        # The product of 8-bit values has 18 bits, that of 16-bit values up to 34.
        wide = "int32" if dtype in ("int8", "uint8") else "int64"
        product = make(
            "multiply",
            centered(lhs, left.zero_point, self.lhs_axis, wide),
            centered(rhs, right.zero_point, self.rhs_axis, wide),
        )
        values = cast(product, config.compute_dtype)
        scale = calculated("multiply", wide_scale(left.scale), wide_scale(right.scale))
        axis = self._axis(is_number(left.scale), rank_of(lhs), rank_of(rhs))
        bits = 2 * (dtypes.bits(dtype) + 1)
        found = rescaled(values, scale, output.scale, axis, config, bits)
        return saturated(found, output.zero_point, -1, dtype)

    def _axis(self, by_rhs: bool, lhs_rank: int, rhs_rank: int) -> int:
        """The axis of the result that the vector among the scales is along, from the end."""
        axis, rank = (self.rhs_axis, rhs_rank) if by_rhs else (self.lhs_axis, lhs_rank)
        return axis % rank - rank if rank else -1

    def reference(self, lhs: Array, rhs: Array, *parameters: Array) -> Array:
        left, right, output = quantizations(parameters)
        x = centered_array(lhs, left.zero_point, self.lhs_axis, "int64")
        y = centered_array(rhs, right.zero_point, self.rhs_axis, "int64")
        product = np.asarray(x * y)
        scale = left.scale.astype("float64") * right.scale.astype("float64")
        axis = self._axis(left.scale.size == 1, lhs.ndim, rhs.ndim)
        ratio = ratio_array(scale, output.scale, axis, product.ndim)
        found = rescaled_array(product, ratio, configured())
        return saturated_array(found, output.zero_point.reshape(()), lhs.dtype.name)


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

    def infer(self, data: Type, scales: Type, zero_points: Type, *output: Type) -> Type:
        tensors = expect_tensors(self.name, "data", data)
        for k, tensor in enumerate(tensors):
            expect_quantized(self.name, f"field {k} of data", tensor)
        for name, given in (("input_scale", scales), ("input_zero_point", zero_points)):
            found = expect_tensors(self.name, f"{name}s", given)
            if len(found) != len(tensors):
                raise TypeInferenceError(
                    f"{self.name}: {len(tensors)} tensors need as many {name}s, found {len(found)}"
                )
            check_parameters(self.name, [name] * len(found), found)
        check_parameters(self.name, self.inputs[3:], output)
        return Concatenate(self.axis).infer(data)

    def expand(self, data: Expr, scales: Expr, zero_points: Expr, *output: Expr) -> Expr:
        wanted = Quantization(*output)
        parts = []
        for k in range(fields_of(data)):
            part = field(data, k)
            given = Quantization(field(scales, k), field(zero_points, k))
            dtype = tensor_of(part).dtype
            parts.append(requantized(part, given, wanted, -1, dtype, configured()))
        return make("concatenate", Tuple(parts), axis=self.axis)

    def reference(
        self,
        data: Sequence[Array],
        scales: Sequence[Array],
        zero_points: Sequence[Array],
        *output: Array,
    ) -> Array:
        wanted = Quantization(*output)
        parts = [
            requantized_array(x, given, wanted, -1, x.dtype.name, configured())
            for x, given in zip(data, map(Quantization, scales, zero_points), strict=True)
        ]
        return np.concatenate(parts, axis=self.axis)
