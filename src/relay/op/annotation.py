"""Marks in a program: they compute nothing, passes read them."""

from collections.abc import Sequence
from typing import ClassVar

from relay import te
from relay.ir.expr import Call, Expr, Function, Var
from relay.ir.op import Gradients, Operator, Pattern, operator
from relay.ir.types import FuncType, Type
from relay.ir.visit import substitute
from relay.op.devices import OnDevice, as_device
from relay.op.functions import Argument, as_argument, function
from relay.op.shapes import put_dtype
from relay.op.simulated import SimulatedQuantize
from relay.runtime.device import Device
from relay.support.errors import TypeInferenceError


class _Mark(Operator):
    """Base of the marks: the result is the argument, a tensor or a tuple of tensors."""

    def infer(self, data: Type) -> Type:
        return data

    def compute(self, data: te.Tensor | tuple[te.Tensor, ...]) -> te.Tensor | tuple[te.Tensor, ...]:
        if isinstance(data, tuple):
            return tuple(_copied(field) for field in data)
        return _copied(data)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (grad,)

    def reference(self, data: object) -> object:
        return data


def _copied(data: te.Tensor) -> te.Tensor:
    return te.compute(data.shape, lambda *i: data(*i), "mark")


@operator("annotation.compiler_begin", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class CompilerBegin(_Mark):
    """`data` as it goes into a region for the external compiler `compiler`."""

    takes_small = True

    compiler: str


@operator("annotation.compiler_end", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class CompilerEnd(_Mark):
    """`data` as it comes out of a region for the external compiler `compiler`."""

    takes_small = True

    compiler: str


@operator("annotation.stop_fusion", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class StopFusion(_Mark):
    """`data`, computed by another kernel than what uses it: a border that `FuseOps` keeps."""

    takes_small = True


@operator("annotation.checkpoint", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class Checkpoint(_Mark):
    """`data`, to be kept for the way back of a gradient; what leads to it is computed again there.

    See `relay.transform.gradient`. `FuseOps` removes the mark.
    """

    takes_small = True


@operator("annotation.bitpack_start", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class BitPackStart(_Mark):
    """`data`, from which on values are packed into bits, up to `annotation.bitpack_end`."""

    takes_small = True


@operator("annotation.bitpack_end", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class BitPackEnd(_Mark):
    """`data`, from which on values are not packed into bits any more."""

    takes_small = True


@operator("annotation.cast_hint", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class CastHint(_Mark):
    """`data`, which quantisation may keep in `dtype`; the values are not converted."""

    takes_small = True

    dtype: str

    def __post_init__(self) -> None:
        put_dtype(self)


@operator("annotation.with_funcid", inputs=("func",), pattern=Pattern.OPAQUE, level=10)
class WithFuncId(Operator):
    """The function `func`, which a pass has given the number `fid`."""

    takes_small = True
    piecewise_constant = True
    missing: ClassVar[dict[str, str]] = {"compute": "functions are no tensors"}

    fid: int = -1

    def infer(self, func: Type) -> Type:
        if not isinstance(func, FuncType):
            raise TypeInferenceError(f"{self.name}: expected a function, found {func}")
        return func

    def expand(self, func: Expr) -> Expr:
        return func

    def reference(self, func: object) -> object:
        return func


def on_device(
    body: Argument,
    device: Device | str,
    constrain_result: bool = False,
    constrain_body: bool = True,
) -> Call:
    """`body`, computed on `device` (``relay.cpu()`` or ``"cpu(0)"``); see `OnDevice`."""
    return OnDevice.call(
        as_argument(body),
        virtual_device=as_device(device),
        constrain_result=constrain_result,
        constrain_body=constrain_body,
    )


def function_on_device(
    function: Function, param_devices: Sequence[Device | str], result_device: Device | str
) -> Function:
    """`function`, whose parameters are on `param_devices` and whose result is on `result_device`.

    Raises `ValueError` where there is not one device for each parameter.
    """
    if len(param_devices) != len(function.params):
        raise ValueError(
            f"expected {len(function.params)} devices of parameters, found {len(param_devices)}"
        )
    placed: dict[Var, Expr] = {
        p: on_device(p, d, constrain_result=True, constrain_body=False)
        for p, d in zip(function.params, param_devices, strict=True)
    }
    return function.with_body(on_device(substitute(function.body, placed), result_device))


compiler_begin = function(CompilerBegin)
bitpack_start = function(BitPackStart)
bitpack_end = function(BitPackEnd)
cast_hint = function(CastHint)
with_funcid = function(WithFuncId)
simulated_quantize = function(SimulatedQuantize)
compiler_end = function(CompilerEnd)
stop_fusion = function(StopFusion)
checkpoint = function(Checkpoint)

__all__ = [
    "BitPackEnd",
    "BitPackStart",
    "CastHint",
    "Checkpoint",
    "CompilerBegin",
    "CompilerEnd",
    "OnDevice",
    "SimulatedQuantize",
    "StopFusion",
    "WithFuncId",
    "bitpack_end",
    "bitpack_start",
    "cast_hint",
    "checkpoint",
    "compiler_begin",
    "compiler_end",
    "function_on_device",
    "on_device",
    "simulated_quantize",
    "stop_fusion",
    "with_funcid",
]
