"""`UseWinograd`: convolutions by minimal filtering where that takes less time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

from relay import dtypes
from relay.codes import from_bfloat16, to_bfloat16
from relay.ir.expr import Call, Constant, Expr, Function
from relay.ir.layout import Layout
from relay.ir.module import IRModule
from relay.ir.op import Array
from relay.ir.types import TensorType
from relay.ir.visit import rewrite
from relay.op.nn.convolution import Conv2DNCHWc
from relay.op.nn.winograd import Conv2DWinograd, transformed_kernel, transformed_shape
from relay.runtime.ndarray import NDArray
from relay.target import Target
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import is_operator_call

#: Results of a tile along an axis. More multiply less, and round more.
_TILE_SIZES = (2, 4)
#: The same where tiles are rounded to bfloat16. An error of a product by tiles of 2 is 1.7 times
#: that of the direct way, by tiles of 4 it is 8 times as large.
_NARROW_TILE_SIZES = (2,)
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
    """The sizes of a convolution with kernels of `taps` x `taps` on data of `dtype`."""

    images: int
    inputs: int
    outputs: int
    height: int
    width: int
    taps: int
    dtype: str


@dataclass(frozen=True)
class _Way:
    """Tiles of `step` x `step` results, factors of `dtype`; `step` 1 is the direct way."""

    step: int
    dtype: str


def _cycles(shape: _Shape, way: _Way, target: Target) -> float:
    """Cycles for a convolution, about."""
    lanes, step = target.lanes(32), way.step
    paired = way.dtype == "bfloat16" and target.multiplies_pairs
    points = step + shape.taps - 1 if step > 1 else shape.taps
    tiles = shape.images * -(-shape.height // step) * -(-shape.width // step)
    products = points * points * tiles * shape.inputs * shape.outputs
    work = products / (lanes * _FMA_A_CYCLE * _EFFICIENCY * (2 if paired else 1))
    if step > 1:
        there = 2 * points * points * shape.inputs
        back = (points + step) * points * shape.outputs
        work += tiles * (there + back) * _TRANSFORM_CYCLES / lanes
    weights = dtypes.itemsize(way.dtype) * points * points * shape.inputs * shape.outputs
    return max(work / target.cores, weights / _MEMORY_BYTES_A_CYCLE)


@final
@dataclass(frozen=True)
class UseWinograd(FunctionPass):
    """Compute convolutions in tiles with fewer multiplications where `target` gains by that. ::

        nn.contrib_conv2d_NCHWc(%x, w, kernel_size=[3, 3], ..)   ->
        nn.contrib_conv2d_winograd_without_weight_transform(%x, transform(w), tile_size=4, ..)

    Contract: an ``nn.contrib_conv2d_NCHWc`` of float32, or of bfloat16 that gives float32, with a
    square kernel of 3 or more taps, strides and dilation 1, one group and a constant weight may
    become one of tiles of 2 or 4 results along an axis, its weight transformed. Tiles are float32;
    those of 2 results of bfloat16 data are rounded to bfloat16 where `target` multiplies that in
    pairs. Whether, and how, is decided by an estimate of the arithmetic and of the weights to be
    read. Results differ by rounding: about 1e-5 of the largest; with rounded tiles errors are less
    than twice those of the direct way in bfloat16.
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
        direct = _cycles(shape, _Way(1, shape.dtype), self.target)
        ways = [(_cycles(shape, way, self.target), way) for way in _ways(shape, self.target)]
        cycles, way = min(ways, key=lambda found: found[0], default=(direct, None))
        if way is None or cycles > _WORTHWHILE * direct:
            return expr
        return _in_tiles(expr, expr.attrs, shape.taps, way)


def _ways(shape: _Shape, target: Target) -> Iterator[_Way]:
    """The tiles to choose from: smaller than the image, and accurate."""
    sizes: list[tuple[str, tuple[int, ...]]] = [("float32", _TILE_SIZES)]
    if shape.dtype == "bfloat16" and target.multiplies_pairs:
        sizes.append(("bfloat16", _NARROW_TILE_SIZES))
    smallest = min(shape.height, shape.width)
    for dtype, steps in sizes:
        for m in steps:
            if m < smallest and m + shape.taps - 1 <= _MOST_POINTS:
                yield _Way(m, dtype)


def _eligible(call: Call, declaration: Conv2DNCHWc) -> _Shape | None:
    """The sizes of a convolution that can be computed in tiles; None for others."""
    data, weight = call.args
    if not isinstance(weight, Constant) or declaration.groups != 1:
        return None
    if (declaration.strides, declaration.dilation) != ((1, 1), (1, 1)):
        return None
    types = data.checked_type, weight.checked_type, call.checked_type
    if not all(isinstance(t, TensorType) for t in types):
        return None
    x, w, y = (t for t in types if isinstance(t, TensorType))
    if x.dtype not in ("float32", "bfloat16") or (w.dtype, y.dtype) != (x.dtype, "float32"):
        return None
    layouts = declaration.parsed_layouts()
    if not (x.is_static and layouts.data.is_blocked and layouts.out.is_blocked):
        return None
    kernel = layouts.kernel.extents(w.shape)
    taps = kernel["H"]
    if kernel["W"] != taps or not isinstance(taps, int) or not 3 <= taps < _MOST_POINTS:
        return None
    sizes, out = layouts.data.extents(x.shape), layouts.out.extents(y.shape)
    found = (out["N"], sizes["C"], out["C"], out["H"], out["W"], taps)
    images, inputs, outputs, height, width, taps = (n for n in found if isinstance(n, int))
    return _Shape(images, inputs, outputs, height, width, taps, x.dtype)


def _points(weight: NDArray, axes: tuple[int, int], way: _Way) -> NDArray:
    """The kernels of `weight` transformed, which is done when somebody asks for them."""

    def make() -> Array:
        values = weight.numpy()
        if weight.dtype == "bfloat16":
            values = from_bfloat16(values)
        found = transformed_kernel(values, axes, way.step)
        return to_bfloat16(found) if way.dtype == "bfloat16" else found

    return NDArray.deferred(transformed_shape(weight.shape, axes, way.step), way.dtype, make)


def _in_tiles(call: Call, declaration: Conv2DNCHWc, taps: int, way: _Way) -> Expr:
    """The convolution `call` in tiles."""
    data, weight = call.args
    assert isinstance(weight, Constant)
    kernel = Layout(declaration.kernel_layout)
    axes = kernel.position("H"), kernel.position("W")
    points = Constant(_points(weight.data, axes, way), weight.span)
    moved = Conv2DWinograd(
        tile_size=way.step,
        padding=declaration.padding,
        channels=declaration.channels,
        kernel_size=(taps, taps),
        data_layout=declaration.data_layout,
        kernel_layout=declaration.kernel_layout,
        out_layout=declaration.out_layout,
        out_dtype=declaration.out_dtype,
    )
    return Call(moved.op, [data, points], moved, span=call.span)
