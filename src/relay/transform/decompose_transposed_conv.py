"""`DecomposeTransposedConv`: transposed convolutions as convolutions."""

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from relay.ir.expr import Call, Constant, Expr, Function
from relay.ir.module import IRModule
from relay.ir.op import Array
from relay.ir.types import TensorType
from relay.ir.visit import rewrite
from relay.op.nn.convolution import Conv1D, Conv2D, Conv3D
from relay.op.nn.interleave import Interleave
from relay.op.nn.transposed import TransposedConvolution
from relay.runtime.ndarray import NDArray
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import constant_array, is_operator_call, tensor_type

_CONVOLUTIONS: Final = {1: Conv1D, 2: Conv2D, 3: Conv3D}


@final
@dataclass(frozen=True)
class DecomposeTransposedConv(FunctionPass):
    """Compute transposed convolutions as one convolution with an output for every phase. ::

        nn.conv2d_transpose(%x, w: (8, 16, 4, 4), strides=[2, 2])   ->
        nn.contrib_interleave(nn.conv2d(%x, w': (64, 8, 2, 2), padding=[1, 1, 1, 1]), ..)

    Elements of the result whose positions leave the same remainder by the strides, a phase, are an
    ordinary convolution of the data with every ``stride``-th tap of the kernel. All phases read
    the same elements, so they are the output channels of one convolution, which
    ``nn.contrib_interleave`` puts between each other.

    Contract: an ``nn.conv1d_transpose``, ``nn.conv2d_transpose`` or ``nn.conv3d_transpose`` in the
    layouts NC.. and IO.., of static shape, without dilation and with a constant weight is replaced.
    Where there are phases and one group, output channels are filled up to a multiple of
    `vector_lanes`. Kernels whose sizes are no multiples of the strides are filled up with
    zeros. The meaning stays up to the order of summation.
    Source: W. Shi et al., Is the deconvolution layer the same as a convolutional layer? (2016).
    """

    opt_level: ClassVar[int] = 3
    required: ClassVar[tuple[str, ...]] = ("InferType",)
    vector_lanes: int = 16

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, self._apply, enter_primitive=False)
        assert isinstance(result, Function)
        return result

    def _apply(self, expr: Expr) -> Expr:
        if not (is_operator_call(expr) and isinstance(expr.attrs, TransposedConvolution)):
            return expr
        found = expr.attrs
        data, result = tensor_type(expr.args[0]), tensor_type(expr)
        weight = constant_array(expr.args[1])
        plain = "NC" + found.spatial, "IO" + found.spatial
        if (found.data_layout, found.kernel_layout) != plain or max(found.dilation) > 1:
            return expr
        if found.out_layout not in ("", found.data_layout):
            return expr
        if data is None or result is None or weight is None:
            return expr
        return self._decomposed(expr, found, data, result, weight)

    def _decomposed(
        self,
        call: Call,
        found: TransposedConvolution,
        data: TensorType,
        result: TensorType,
        weight: Array,
    ) -> Expr:
        rank = len(found.spatial)
        out, axes = result.concrete_shape, []
        for k in range(rank):
            stride, taps = found.strides[k], -(-weight.shape[2 + k] // found.strides[k])
            size, padding = data.concrete_shape[2 + k], found.padding[k]
            axes.append(_axis(size, stride, taps, padding, out[2 + k]))
        kernel = _kernel(weight, found.groups, found.strides)
        outputs = kernel.shape[0]
        wide = -(-outputs // self.vector_lanes) * self.vector_lanes
        if found.groups == 1 and max(found.strides) > 1 and outputs != wide:
            grown = np.zeros((wide, *kernel.shape[1:]), kernel.dtype)
            grown[:outputs] = kernel
            kernel = grown
        declaration = _CONVOLUTIONS[rank](
            padding=(*(a.before for a in axes), *(a.after for a in axes)),
            groups=found.groups,
            channels=kernel.shape[0],
            kernel_size=kernel.shape[2:],
            out_dtype=found.out_dtype,
        )
        arguments = [call.args[0], Constant(NDArray(kernel), call.args[1].span)]
        convolution = Call(declaration.op, arguments, declaration, span=call.span)
        if convolution.checked_type == result:
            return convolution
        interleave = Interleave(
            strides=found.strides,
            begin=tuple(a.begin for a in axes),
            size=out[2:],
            channels=out[1],
            groups=found.groups,
            layout=found.data_layout,
        )
        return Call(interleave.op, [convolution], interleave, span=call.span)


@dataclass(frozen=True)
class _Axis:
    """The padding of the convolution along an axis, and where the result begins in its phases."""

    before: int
    after: int
    begin: int


def _axis(size: int, stride: int, taps: int, padding: int, out: int) -> _Axis:
    """How `size` elements give `out`, `padding` having been cut off before them.

    Position `q` of a phase of `taps` taps reads the data from ``q - taps + 1`` to `q`.
    """
    first = min(padding // stride, taps - 1)
    last = (padding + out - 1) // stride
    return _Axis(taps - 1 - first, max(0, last - size + 1), padding - first * stride)


def _kernel(weight: Array, groups: int, strides: tuple[int, ...]) -> Array:
    """The kernel of all phases, (groups * phases * outputs, inputs, *taps) from (I, O, *window)."""
    rank = len(strides)
    inputs, outputs, *window = weight.shape
    taps = [-(-k // s) for k, s in zip(window, strides, strict=True)]
    whole = [t * s for t, s in zip(taps, strides, strict=True)]
    filled = np.zeros((inputs, outputs, *whole), weight.dtype)
    inside: tuple[slice, ...] = tuple(slice(k) for k in window)
    filled[(slice(None), slice(None), *inside)] = weight
    split = [n for pair in zip(taps, strides, strict=True) for n in pair]
    parts = filled.reshape(groups, inputs // groups, outputs, *split)
    parts = np.flip(parts, tuple(3 + 2 * k for k in range(rank)))
    phases = [4 + 2 * k for k in range(rank)]
    order = (0, *phases, 2, 1, *(3 + 2 * k for k in range(rank)))
    kernel = parts.transpose(order)
    return np.ascontiguousarray(
        kernel.reshape(groups * math.prod(strides) * outputs, inputs // groups, *taps)
    )
