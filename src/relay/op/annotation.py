"""Marks in a program: they compute nothing, passes read them."""

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Gradients, Operator, Pattern, operator
from relay.ir.types import Type
from relay.op.functions import function


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

    compiler: str


@operator("annotation.compiler_end", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class CompilerEnd(_Mark):
    """`data` as it comes out of a region for the external compiler `compiler`."""

    compiler: str


@operator("annotation.stop_fusion", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class StopFusion(_Mark):
    """`data`, computed by another kernel than what uses it: a border that `FuseOps` keeps."""


@operator("annotation.checkpoint", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class Checkpoint(_Mark):
    """`data`, to be kept for the way back of a gradient; what leads to it is computed again there.

    See `relay.transform.gradient`. `FuseOps` removes the mark.
    """


compiler_begin = function(CompilerBegin)
compiler_end = function(CompilerEnd)
stop_fusion = function(StopFusion)
checkpoint = function(Checkpoint)

__all__ = [
    "Checkpoint",
    "CompilerBegin",
    "CompilerEnd",
    "StopFusion",
    "checkpoint",
    "compiler_begin",
    "compiler_end",
    "stop_fusion",
]
