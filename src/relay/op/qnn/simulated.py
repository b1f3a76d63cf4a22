"""Quantisation in floating point, of a data type that is a value of the program."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from relay import te
from relay.ir.expr import Expr, const
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import Type
from relay.op.gradients import converted, make, masked, number, rank_of
from relay.op.qnn.common import along, check_parameters, scalar, size_along, spread
from relay.op.qnn.quantize import sum_to_parameter
from relay.op.shapes import expect_kind
from relay.support.errors import TypeInferenceError

SQNN_DTYPE_TO_CODE: Final = {"disable": 0, "int8": 1, "uint8": 2, "int32": 3}
"""How programs say what data type is simulated; ``disable`` leaves the numbers as they are."""

_RANGES: Final = {1: (-128.0, 127.0), 2: (0.0, 255.0), 3: (-(2.0**31), 2.0**31 - 1)}


class Simulated(Operator):
    """Base of simulated quantisation: `data`, the code of a data type, a scale and a zero point."""

    axis: int

    def infer(self, data: Type, dtype: Type, scale: Type, zero_point: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        code = expect_kind(self.name, self.inputs[1], dtype, "integer")
        if code.shape not in ((), (1,)):
            raise TypeInferenceError(
                f"{self.name}: {self.inputs[1]} must be one number, found {code}"
            )
        given = zip(self.inputs[2:], (scale, zero_point), strict=True)
        check_parameters(self.name, [*given], size_along(self.name, self.axis, x))
        return x

    def _compute(
        self,
        tensors: Sequence[te.Tensor],
        element: Callable[[te.Expr, te.Expr, te.Expr, te.Expr], te.Expr],
    ) -> te.Tensor:
        """Each element from itself, the code, its scale and its zero point."""
        data, dtype, scale, zero_point = tensors

        def parameter(tensor: te.Tensor, i: Sequence[te.Var]) -> te.Expr:
            if not tensor.ndim:
                return te.cast(tensor(), data.dtype)
            # What is declared as a vector may have one element.
            at = i[self.axis % data.ndim] % tensor.shape[0] if data.ndim else te.const(0)
            return te.cast(tensor(at), data.dtype)

        def whole(*i: te.Var) -> te.Expr:
            x = data(*i)
            code = dtype(*(0,) * dtype.ndim)
            found = element(x, code, parameter(scale, i), parameter(zero_point, i))
            return te.select(te.equal(code, 0), x, found)

        return te.compute(data.shape, whole, "simulated")


@operator(
    "qnn.simulated_quantize",
    inputs=("data", "out_dtype", "output_scale", "output_zero_point"),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class SimulatedQuantize(Simulated):
    """What `qnn.quantize` gives, as floating-point numbers.

    The integer `out_dtype` says what data type is simulated: 1 is ``int8``, 2 ``uint8``, 3
    ``int32``, and 0 leaves `data` as they are. Scale and zero point may be vectors along `axis`.
    """

    axis: int = -1

    def compute(
        self, data: te.Tensor, dtype: te.Tensor, scale: te.Tensor, zero_point: te.Tensor
    ) -> te.Tensor:
        def element(x: te.Expr, code: te.Expr, step: te.Expr, zero: te.Expr) -> te.Expr:
            low: te.Expr = te.const(_RANGES[3][0], x.dtype)
            high: te.Expr = te.const(_RANGES[3][1], x.dtype)
            for k in (1, 2):
                chosen = te.equal(code, k)
                low = te.select(chosen, te.const(_RANGES[k][0], x.dtype), low)
                high = te.select(chosen, te.const(_RANGES[k][1], x.dtype), high)
            return te.minimum(te.maximum(te.unary("round", x / step) + zero, low), high)

        return self._compute((data, dtype, scale, zero_point), element)

    def reference(self, data: Array, dtype: Array, scale: Array, zero_point: Array) -> Array:
        code = int(dtype.reshape(()))
        if code == 0:
            return data
        step, zero = (
            along(v, self.axis, data.ndim).astype(data.dtype) for v in (scale, zero_point)
        )
        bounded = np.clip(np.rint(data / step) + zero, *_RANGES[code])
        return np.asarray(bounded, dtype=data.dtype)

    def gradient(
        self, grad: Expr, result: Expr, data: Expr, dtype: Expr, scale: Expr, zero_point: Expr
    ) -> Gradients:
        return masked(make("equal", scalar(dtype), number(0, dtype)), grad), None, None, None


@operator(
    "qnn.simulated_dequantize",
    inputs=("data", "in_dtype", "input_scale", "input_zero_point"),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class SimulatedDequantize(Simulated):
    """What `qnn.dequantize` gives for quantised values that are floating-point numbers.

    The integer `in_dtype` says what data type is simulated, as for `qnn.simulated_quantize`; 0
    leaves `data` as they are. Scale and zero point may be vectors along `axis`.
    """

    axis: int = -1

    def compute(
        self, data: te.Tensor, dtype: te.Tensor, scale: te.Tensor, zero_point: te.Tensor
    ) -> te.Tensor:
        def element(x: te.Expr, _: te.Expr, step: te.Expr, zero: te.Expr) -> te.Expr:
            return (x - zero) * step

        return self._compute((data, dtype, scale, zero_point), element)

    def reference(self, data: Array, dtype: Array, scale: Array, zero_point: Array) -> Array:
        if not dtype.any():
            return data
        step, zero = (
            along(v, self.axis, data.ndim).astype(data.dtype) for v in (scale, zero_point)
        )
        return np.asarray((data - zero) * step)

    def gradient(
        self, grad: Expr, result: Expr, data: Expr, dtype: Expr, scale: Expr, zero_point: Expr
    ) -> Gradients:
        rank = rank_of(data)
        enabled = make("not_equal", scalar(dtype), number(0, dtype))
        steps = converted(data, grad) - converted(
            spread(zero_point, self.axis, rank, "float64"), grad
        )
        factor = converted(spread(scale, self.axis, rank, "float64"), grad)
        by_data = make("where", enabled, grad * factor, grad)
        by_scale = sum_to_parameter(masked(enabled, grad * steps), scale, self.axis)
        return by_data, None, by_scale, None


def code_of(dtype: str | Expr) -> Expr:
    """The code of a data type as an expression; raises `TypeInferenceError` for other names."""
    if isinstance(dtype, Expr):
        return dtype
    if dtype not in SQNN_DTYPE_TO_CODE:
        raise TypeInferenceError(
            f"simulated data types are {', '.join(SQNN_DTYPE_TO_CODE)}, found {dtype!r}"
        )
    return const(SQNN_DTYPE_TO_CODE[dtype], "int32")
