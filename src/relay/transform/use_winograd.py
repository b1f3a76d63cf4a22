"""`UseWinograd`: convolutions by minimal filtering where that takes less time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

from relay.ir.expr import Call, Constant, Expr, Function
from relay.ir.layout import Layout
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import rewrite
from relay.op.nn.convolution import Conv2DNCHWc
from relay.op.nn.winograd import Conv2DWinograd, transformed_kernel
from relay.target import Target
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import is_operator_call

#: Results of a tile along an axis. More multiply less, and round more.
_TILE_SIZES = (2, 4)
#: Points of a tile along an axis, at most: beyond, the factors of the transforms grow too large.
_MOST_POINTS = 8
#: Vector multiply-adds in a cycle, and how much of that products reach.
_FMA_A_CYCLE, _EFFICIENCY = 2.0, 0.9
#: Cycles to transform one vector of a tile, for each point along each axis.
_TRANSFORM_CYCLES = 1.5
#: Bytes of weights that come from memory in a cycle, for all cores together.
_MEMORY_BYTES_A_CYCLE = 10.0
#: What a convolution by tiles must gain, at least: it needs more memory and rounds more.
_WORTHWHILE = 0.9


@dataclass(frozen=True)
class _Shape:
    """The sizes of a convolution with kernels of `taps` x `taps`."""

    images: int
    inputs: int
    outputs: int
    height: int
    width: int
    taps: int


def _cycles(shape: _Shape, step: int, target: Target) -> float:
    """Cycles for a convolution in tiles of `step` x `step` results, about; 1 is the direct way."""
    lanes = target.lanes(32)
    points = step + shape.taps - 1 if step > 1 else shape.taps
    tiles = shape.images * -(-shape.height // step) * -(-shape.width // step)
    products = points * points * tiles * shape.inputs * shape.outputs
    work = products / (lanes * _FMA_A_CYCLE * _EFFICIENCY)
    if step > 1:
        there = 2 * points * points * shape.inputs
        back = (points + step) * points * shape.outputs
        work += tiles * (there + back) * _TRANSFORM_CYCLES / lanes
    weights = 4.0 * points * points * shape.inputs * shape.outputs
    return max(work / target.cores, weights / _MEMORY_BYTES_A_CYCLE)


@final
@dataclass(frozen=True)
class UseWinograd(FunctionPass):
    """Compute convolutions in tiles with fewer multiplications where `target` gains by that. ::

        nn.contrib_conv2d_NCHWc(%x, w, kernel_size=[3, 3], ..)   ->
        nn.contrib_conv2d_winograd_without_weight_transform(%x, transform(w), tile_size=4, ..)

    Contract: an ``nn.contrib_conv2d_NCHWc`` of float32 with a square kernel of 3 or more taps,
    strides and dilation 1, one group and a constant weight may become one of tiles of 2 or 4
    results along an axis, its weight transformed. Whether is decided by an estimate of the
    arithmetic and of the weights to be read. Results differ by rounding: about 1e-5 of the largest.
    Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015).
    """

    opt_level: ClassVar[int] = 3
    required: ClassVar[tuple[str, ...]] = ("InferType",)
    target: Target

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, self._apply, enter_primitive=False)
        assert isinstance(result, Function)
        return result

    def _apply(self, expr: Expr) -> Expr:
        if not (is_operator_call(expr) and isinstance(expr.attrs, Conv2DNCHWc)):
            return expr
        shape = _eligible(expr, expr.attrs)
        if shape is None:
            return expr
        direct = _cycles(shape, 1, self.target)
        cycles, step = min(
            ((_cycles(shape, m, self.target), m) for m in _steps(shape)), default=(direct, 1)
        )
        if cycles > _WORTHWHILE * direct:
            return expr
        return _in_tiles(expr, expr.attrs, shape.taps, step)


def _steps(shape: _Shape) -> Iterator[int]:
    """The sizes of tiles to choose from: smaller than the image, and accurate."""
    smallest = min(shape.height, shape.width)
    return (m for m in _TILE_SIZES if m < smallest and m + shape.taps - 1 <= _MOST_POINTS)


def _eligible(call: Call, declaration: Conv2DNCHWc) -> _Shape | None:
    """The sizes of a convolution that can be computed in tiles; None for others."""
    data, weight = call.args
    if not isinstance(weight, Constant) or declaration.groups != 1:
        return None
    if (declaration.strides, declaration.dilation) != ((1, 1), (1, 1)):
        return None
    types = data.checked_type, weight.checked_type, call.checked_type
    if any(not isinstance(t, TensorType) or t.dtype != "float32" for t in types):
        return None
    x, w, y = (t for t in types if isinstance(t, TensorType))
    layouts = declaration.parsed_layouts()
    if not (x.is_static and layouts.data.is_blocked and layouts.out.is_blocked):
        return None
    kernel = layouts.kernel.extents(w.shape)
    taps = kernel["H"]
    if kernel["W"] != taps or not isinstance(taps, int) or not 3 <= taps < _MOST_POINTS:
        return None
    sizes, out = layouts.data.extents(x.shape), layouts.out.extents(y.shape)
    found = (out["N"], sizes["C"], out["C"], out["H"], out["W"], taps)
    return _Shape(*(size for size in found if isinstance(size, int)))


def _in_tiles(call: Call, declaration: Conv2DNCHWc, taps: int, step: int) -> Expr:
    """The convolution `call` in tiles of `step` results along each axis."""
    data, weight = call.args
    assert isinstance(weight, Constant)
    kernel = Layout(declaration.kernel_layout)
    axes = kernel.position("H"), kernel.position("W")
    points = Constant(transformed_kernel(weight.data.numpy(), axes, step), weight.span)
    moved = Conv2DWinograd(
        tile_size=step,
        padding=declaration.padding,
        channels=declaration.channels,
        kernel_size=(taps, taps),
        data_layout=declaration.data_layout,
        kernel_layout=declaration.kernel_layout,
        out_layout=declaration.out_layout,
        out_dtype=declaration.out_dtype,
    )
    return Call(moved.op, [data, points], moved, span=call.span)
