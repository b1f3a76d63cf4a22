"""Quantisation in floating point, of a data type that is a value of the program."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from relay import te
from relay.ir.expr import Expr, const
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import Type
from relay.op.gradients import converted, make, masked, number, rank_of
from relay.op.qnn.common import (
    along,
    check_parameters,
    scalar,
    size_along,
    spread,
    sum_to_parameter,
)
from relay.op.shapes import expect_kind
from relay.support.errors import TypeInferenceError

SQNN_DTYPE_TO_CODE: Final = {"disable": 0, "int8": 1, "uint8": 2, "int32": 3}
"""How programs say what data type is simulated; ``disable`` leaves the numbers as they are."""

_RANGES: Final = {1: (-128.0, 127.0), 2: (0.0, 255.0), 3: (-(2.0**31), 2.0**31 - 1)}


@dataclass(frozen=True, eq=False, repr=False)
class Simulated(Operator):
    """Base of simulated quantisation: `data`, the code of a data type, a scale and a zero point."""

    axis: int = -1

    def infer(self, data: Type, dtype: Type, *parameters: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        code = expect_kind(self.name, self.inputs[1], dtype, "integer")
        if code.shape not in ((), (1,)):
            raise TypeInferenceError(
                f"{self.name}: {self.inputs[1]} must be one number, found {code}"
            )
        size = size_along(self.name, self.axis, x)
        check_parameters(self.name, self.inputs[2:], parameters, size)
        return x

    @abstractmethod
    def element(self, x: te.Expr, code: te.Expr, step: te.Expr, zero: te.Expr) -> te.Expr:
        """An element of the result from that of `data`, the code, its scale and zero point."""

    @abstractmethod
    def values(self, data: Array, code: int, step: Array, zero: Array) -> Array:
        """The result in NumPy, of scales and zero points that broadcast with `data`."""

    def compute(
        self, data: te.Tensor, dtype: te.Tensor, scale: te.Tensor, zero_point: te.Tensor
    ) -> te.Tensor:
        def parameter(tensor: te.Tensor, i: Sequence[te.Var]) -> te.Expr:
            if not tensor.ndim:
                return te.cast(tensor(), data.dtype)
            # What is declared as a vector may have one element.
            at = i[self.axis % data.ndim] % tensor.shape[0] if data.ndim else te.const(0)
            return te.cast(tensor(at), data.dtype)

        def simulated(*i: te.Var) -> te.Expr:
            x = data(*i)
            code = dtype(*(0,) * dtype.ndim)
            found = self.element(x, code, parameter(scale, i), parameter(zero_point, i))
            return te.select(te.equal(code, 0), x, found)

        return te.compute(data.shape, simulated, "simulated")

    def reference(self, data: Array, dtype: Array, *parameters: Array) -> Array:
        code = int(dtype.reshape(()))
        if code == 0:
            return data
        step, zero = (along(p, self.axis, data.ndim).astype(data.dtype) for p in parameters)
        return np.asarray(self.values(data, code, step, zero), dtype=data.dtype)


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

    def element(self, x: te.Expr, code: te.Expr, step: te.Expr, zero: te.Expr) -> te.Expr:
        low, high = (te.as_expr(bound, x.dtype) for bound in _RANGES[3])
        for k in (1, 2):
            chosen = te.equal(code, k)
            low = te.select(chosen, te.const(_RANGES[k][0], x.dtype), low)
            high = te.select(chosen, te.const(_RANGES[k][1], x.dtype), high)
        return te.minimum(te.maximum(te.unary("round", x / step) + zero, low), high)

    def values(self, data: Array, code: int, step: Array, zero: Array) -> Array:
        return np.asarray(np.clip(np.rint(data / step) + zero, *_RANGES[code]))

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

    def element(self, x: te.Expr, code: te.Expr, step: te.Expr, zero: te.Expr) -> te.Expr:
        return (x - zero) * step

    def values(self, data: Array, code: int, step: Array, zero: Array) -> Array:
        return np.asarray((data - zero) * step)

    def gradient(
        self, grad: Expr, result: Expr, data: Expr, dtype: Expr, scale: Expr, zero_point: Expr
    ) -> Gradients:
        step, zero = (
            converted(spread(p, self.axis, rank_of(data), "float64"), grad)
            for p in (scale, zero_point)
        )
        enabled = make("not_equal", scalar(dtype), number(0, dtype))
        by_data = make("where", enabled, grad * step, grad)
        by_step = masked(enabled, grad * (converted(data, grad) - zero))
        by_scale = sum_to_parameter(by_step, scale, self.axis)
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
