"""Operators of Relay's virtual machine: shapes as values, and kernels that are named.

What a compiled program does here is said by its own bytecode (``docs/vm.md``); these are for
programs that were lowered elsewhere.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Call, Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import FuncType, TupleType, Type
from relay.op.functions import Argument, as_argument
from relay.op.gradients import reshaped_like
from relay.op.shapes import Ints, expect_kind, put_ints
from relay.op.tensor.reshape import Reshape
from relay.op.tensor.sizes import ShapeOf
from relay.support.errors import TypeInferenceError


@operator("vm.shape_of", inputs=("tensor",), pattern=Pattern.OPAQUE, level=10)
class VMShapeOf(ShapeOf):
    """The shape of `tensor`: a vector of its rank, ``int64`` by default."""

    dtype: str = "int64"


@operator("vm.reshape_tensor", inputs=("data", "shape"), pattern=Pattern.OPAQUE, level=10)
class ReshapeTensor(Operator):
    """The elements of `data` in the shape `newshape`, of which one size may be -1.

    `shape` is the same as a vector; where all sizes are known it tells no more.
    """

    takes_small = True

    newshape: tuple[int, ...]

    def __post_init__(self) -> None:
        put_ints(self, "newshape")
        if min(self.newshape, default=0) < -1:
            raise ValueError(f"expected sizes, one of which may be -1, found {self.newshape}")

    @property
    def _reshape(self) -> Reshape:
        return Reshape(self.newshape, True)

    def infer(self, data: Type, shape: Type) -> Type:
        sizes = expect_kind(self.name, "shape", shape, "integer")
        if len(sizes.shape) != 1:
            raise TypeInferenceError(f"{self.name}: expected a vector as shape, found {sizes}")
        return self._reshape.infer(expect_tensor(self.name, "data", data))

    def compute(self, data: te.Tensor, shape: te.Tensor) -> te.Tensor:
        return self._reshape.compute(data)

    def reference(self, data: Array, shape: Array) -> Array:
        return np.reshape(data, self.newshape)

    def gradient(self, grad: Expr, result: Expr, data: Expr, shape: Expr) -> Gradients:
        return reshaped_like(grad, data), None


@operator("vm.invoke_tvm_op", inputs=("op", "ins", "outs"), pattern=Pattern.OPAQUE, level=10)
class InvokeTVMOp(Operator):
    """Run the kernel `op` on the tuple `ins`, which writes the tuple `outs`; the empty tuple.

    `is_inputs` says of kernels that compute shapes whether they read the elements of an argument or
    its shape.
    """

    takes_small = True
    is_inputs: tuple[bool, ...] = ()

    stateful: ClassVar[bool] = True
    missing: ClassVar[dict[str, str]] = {
        "compute": "a kernel that writes its arguments has no value of its own",
        "reference": "a kernel that writes its arguments has no value of its own",
        "gradient": "it runs in programs that are compiled already",
    }

    def infer(self, op: Type, ins: Type, outs: Type) -> Type:
        if not isinstance(op, FuncType):
            raise TypeInferenceError(f"{self.name}: expected a function, found {op}")
        for argument, found in (("ins", ins), ("outs", outs)):
            if not isinstance(found, TupleType):
                raise TypeInferenceError(
                    f"{self.name}: expected a tuple for {argument}, found {found}"
                )
        return TupleType([])


def shape_of(expr: Argument) -> Call:
    """The shape of a tensor as ``int64``; see `VMShapeOf`."""
    return VMShapeOf.call(as_argument(expr))


def reshape_tensor(data: Expr, shape: Expr, newshape: Ints) -> Call:
    """The elements of `data` in another shape; see `ReshapeTensor`."""
    return ReshapeTensor.call(data, shape, newshape=newshape)


def invoke_tvm_op(func: Expr, inputs: Expr, outputs: Expr) -> Call:
    """Run a kernel; see `InvokeTVMOp`."""
    return InvokeTVMOp.call(func, inputs, outputs)


def shape_func(func: Expr, inputs: Expr, outputs: Expr, is_inputs: Sequence[bool]) -> Call:
    """Run `func`, which computes shapes, as `invoke_tvm_op` does.

    `is_inputs` says for each argument whether its elements are read; its shape otherwise.
    """
    return InvokeTVMOp.call(func, inputs, outputs, is_inputs=tuple(map(bool, is_inputs)))


__all__ = [
    "InvokeTVMOp",
    "ReshapeTensor",
    "VMShapeOf",
    "invoke_tvm_op",
    "reshape_tensor",
    "shape_func",
    "shape_of",
]
