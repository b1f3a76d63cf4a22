"""Convolutions by Winograd's minimal filtering: fewer multiplications than there are products.

``m`` results of a convolution with a kernel of ``r`` taps are computed by ``m + r - 1``
multiplications, as the product of two polynomials by Toom and Cook: evaluate both at ``m + r - 2``
points and at infinity, multiply, interpolate. In matrices, of one tile of data ``d`` and a kernel
``g``: ``y = A' [(G g) * (B' d)]``, and the same along each axis in two dimensions.

Sources: S. Winograd, Arithmetic Complexity of Computations (1980); A. Lavin and S. Gray, Fast
Algorithms for Convolutional Neural Networks (2015).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import prod
from typing import ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.layout import Layout
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.nn.common import (
    dims_agree,
    from_primal,
    known,
    layout_of,
    pad_spatial,
    to_primal,
    windows,
)
from relay.op.nn.convolution import BLOCKED, Convolution
from relay.op.shapes import expect_kind, reference_dtype
from relay.runtime.memory import aligned_empty
from relay.support.errors import TypeInferenceError

#: Where polynomials are evaluated: small, so that rounding stays small, and in pairs of two signs.
_POINTS = (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2))

Matrix = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Transforms:
    """The matrices for tiles of `m` results and kernels of `r` taps; ``n = m + r - 1``.

    `data` is B' (n, n), `kernel` is G (n, r) and `result` is A' (m, n).
    """

    data: Matrix
    kernel: Matrix
    result: Matrix


def _times_root(polynomial: list[Fraction], root: Fraction) -> list[Fraction]:
    """The coefficients, lowest first, of `polynomial` times ``x - root``."""
    shifted = [Fraction(0), *polynomial]
    return [s - root * p for s, p in zip(shifted, [*polynomial, Fraction(0)], strict=True)]


@cache
def transforms(m: int, r: int) -> Transforms:
    """The exact transforms of ``F(m, r)``; raises `TypeInferenceError` where `m` is too large."""
    n = m + r - 1
    if m < 1 or n - 1 > len(_POINTS):
        raise TypeInferenceError(
            f"tile_size: expected 1 to {len(_POINTS) + 2 - r} for a kernel of {r} taps, found {m}"
        )
    points = [Fraction(p) for p in _POINTS[: n - 1]]
    data: list[list[Fraction]] = []
    kernel: list[list[Fraction]] = []
    whole = [Fraction(1)]
    for point in points:
        whole = _times_root(whole, point)
        others = [q for q in points if q != point]
        product, scale = [Fraction(1)], Fraction(1)
        for other in others:
            product, scale = _times_root(product, other), scale * (point - other)
        data.append([*product, Fraction(0)])
        kernel.append([point**k / scale for k in range(r)])
    data.append(whole)
    kernel.append([Fraction(int(k == r - 1)) for k in range(r)])
    result = [[*(point**i for point in points), Fraction(int(i == m - 1))] for i in range(m)]
    return Transforms(*(tuple(map(tuple, matrix)) for matrix in (data, kernel, result)))


def _combination(coefficients: Sequence[Fraction], values: Sequence[te.Expr]) -> te.Expr | None:
    """The sum of `values` times `coefficients`; None where all of these are zero.

    Values with the same factor up to its sign are added first.
    """
    by_size: dict[Fraction, te.Expr] = {}
    first_sign: dict[Fraction, int] = {}
    for coefficient, value in zip(coefficients, values, strict=True):
        if coefficient == 0:
            continue
        size, sign = abs(coefficient), 1 if coefficient > 0 else -1
        if size not in by_size:
            by_size[size], first_sign[size] = value, sign
        elif sign == first_sign[size]:
            by_size[size] = by_size[size] + value
        else:
            by_size[size] = by_size[size] - value
    total: te.Expr | None = None
    for size in sorted(by_size, key=lambda s: -first_sign[s]):
        term = by_size[size] if size == 1 else by_size[size] * float(size)
        if total is None:
            total = term if first_sign[size] > 0 else -term
        else:
            total = total + term if first_sign[size] > 0 else total - term
    return total


def _row(matrix: Matrix, row: int, values: Sequence[te.Expr], dtype: str) -> te.Expr:
    """Row `row` of `matrix` times `values`.

    Rows that differ in the signs of some columns only are written as sum and difference of the same
    two parts, which are then computed once.
    """
    own = matrix[row]
    for number, other in enumerate(matrix):
        same = [a if a == b else Fraction(0) for a, b in zip(own, other, strict=True)]
        opposite = [a if a == -b else Fraction(0) for a, b in zip(own, other, strict=True)]
        mirrored = all(abs(a) == abs(b) for a, b in zip(own, other, strict=True))
        if not mirrored or not any(same) or not any(opposite):
            continue
        if number < row:
            opposite = [-value for value in opposite]
        kept, changed = _combination(same, values), _combination(opposite, values)
        assert kept is not None
        assert changed is not None
        return kept + changed if number > row else kept - changed
    found = _combination(own, values)
    return te.const(0, dtype) if found is None else found


def transformed(
    matrix: Matrix, index: te.Expr, values: Callable[[int], te.Expr], dtype: str
) -> te.Expr:
    """Element `index` of `matrix` times the vector `values`."""
    vector = [values(k) for k in range(len(matrix[0]))]
    rows = [_row(matrix, k, vector, dtype) for k in range(len(matrix))]
    chosen = rows[-1]
    for k in reversed(range(len(rows) - 1)):
        chosen = te.select(te.equal(index, k), rows[k], chosen)
    return chosen


def _as_array(matrix: Matrix) -> Array:
    return np.array([[float(value) for value in row] for row in matrix])


#: Kernels that are transformed at once, at most: they stay in the cache of a core, and the products
#: are too small for BLAS to start threads, of which there are enough where weights are placed.
_KERNELS_AT_ONCE = 1 << 9


def transformed_shape(shape: Sequence[int], axes: tuple[int, int], step: int) -> tuple[int, ...]:
    """The shape of `transformed_kernel` of a weight of `shape`."""
    points = len(transforms(step, shape[axes[0]]).kernel)
    return (points, points, *(size for axis, size in enumerate(shape) if axis not in axes))


def transformed_kernel(weight: Array, axes: tuple[int, int], step: int) -> Array:
    """The kernels that lie along `axes` of `weight` transformed for tiles of `step` results.

    The two axes come first in the result, and have as many points as there are; the others stay as
    they are, in whatever layout. Computed in float64.
    """
    g = _as_array(transforms(step, weight.shape[axes[0]]).kernel)
    both = np.kron(g, g)
    kernels = np.moveaxis(weight, axes, (0, 1))
    others = kernels.shape[2:]
    result = aligned_empty((len(g), len(g), *others), dtypes.from_numpy(weight.dtype))
    outer = next(k for k in range(len(others) + 1) if prod(others[k:]) <= _KERNELS_AT_ONCE)
    inner = others[outer:]
    taps = np.empty((both.shape[1], prod(inner)))
    points = np.empty((len(both), prod(inner)))
    for at in np.ndindex(others[:outer]):
        part = (slice(None), slice(None), *at)
        np.copyto(taps.reshape(*kernels.shape[:2], *inner), kernels[part])
        np.matmul(both, taps, out=points)
        result[part] = points.reshape(len(g), len(g), *inner)
    return result


@operator(
    "nn.contrib_conv2d_winograd_weight_transform",
    inputs=("weight",),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Conv2DWinogradWeightTransform(Operator):
    """The kernels (O, I, r, r) of an `nn.conv2d` transformed for tiles of `tile_size` results.

    The result is (n, n, O, I) with ``n = tile_size + r - 1``: ``G g G'`` for every kernel ``g``.
    """

    missing: ClassVar[dict[str, str]] = BLOCKED
    tile_size: int = 4

    def infer(self, weight: Type) -> Type:
        w = expect_kind(self.name, "weight", weight, "float")
        if len(w.shape) != 4 or not dims_agree(w.shape[2], w.shape[3]):
            raise TypeInferenceError(
                f"{self.name}: expected a weight (O, I, r, r), found the shape {w.shape}"
            )
        taps = next((size for size in w.shape[2:] if isinstance(size, int)), None)
        n: Dim = Any() if taps is None else len(transforms(self.tile_size, taps).data)
        return TensorType((n, n, *w.shape[:2]), w.dtype)

    def compute(self, weight: te.Tensor) -> te.Tensor:
        o, i, taps, _ = weight.static_shape
        kernel = transforms(self.tile_size, taps).kernel
        n = len(kernel)

        def half(out: te.Var, inner: te.Var, a: te.Var, column: te.Var) -> te.Expr:
            return transformed(kernel, a, lambda k: weight(out, inner, k, column), weight.dtype)

        rows = te.compute((o, i, n, taps), half, "rows", stage=True)

        def full(a: te.Var, b: te.Var, out: te.Var, inner: te.Var) -> te.Expr:
            return transformed(kernel, b, lambda k: rows(out, inner, a, k), weight.dtype)

        return te.compute((n, n, o, i), full, "kernel_transform")

    def reference(self, weight: Array) -> Array:
        return transformed_kernel(weight, (2, 3), self.tile_size)


@operator(
    "nn.contrib_conv2d_winograd_without_weight_transform",
    inputs=("data", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Conv2DWinograd(Convolution):
    """`nn.conv2d` of a weight that is already transformed for tiles of `tile_size` results.

    `kernel_layout` is that of the weight before, such as OIHW or OIHW16i16o; the transformed one
    has its axes H and W first: (n, n, O, I) or (n, n, O // 16, I // 16, 16, 16). Strides and
    dilation are 1, groups too, and `kernel_size` (r, r) is given. Where the type of the weight is
    narrower than that of the result, the transformed data are rounded to it.
    """

    missing: ClassVar[dict[str, str]] = BLOCKED
    spatial = "HW"
    tile_size: int = 4
    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCHW"
    kernel_layout: str = "OIHW"
    out_layout: str = ""
    out_dtype: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.kernel_size
        if size is None or size[0] != size[1]:
            raise TypeInferenceError(f"{self.name}: expected kernel_size (r, r), found {size}")
        if (self.strides, self.dilation, self.groups) != ((1, 1), (1, 1), 1):
            raise TypeInferenceError(
                f"{self.name}: expected strides and dilation 1 and one group, found "
                f"strides={self.strides}, dilation={self.dilation}, groups={self.groups}"
            )

    @property
    def taps(self) -> int:
        """Taps of the kernel along each axis."""
        assert self.kernel_size is not None
        return self.kernel_size[0]

    @property
    def weight_layout(self) -> Layout:
        """The layout of the transformed weight: `kernel_layout` with H and W first."""
        plain = layout_of(self.name, "kernel_layout", self.kernel_layout, "OIHW")
        return Layout(f"HW{plain.without('HW')}")

    def plain_shape(self, shape: Sequence[Dim]) -> tuple[Dim, ...]:
        """The shape of the weight before it was transformed."""
        n = self.tile_size + self.taps - 1
        layout = self.weight_layout
        if len(shape) != layout.rank or not all(dims_agree(size, n) for size in shape[:2]):
            raise TypeInferenceError(
                f"{self.name}: expected a weight of {n} x {n} points in the layout {layout}, "
                f"found the shape {tuple(shape)}"
            )
        sizes = dict(layout.components(shape))
        sizes |= {"H": (self.taps,), "W": (self.taps,)}
        return tuple(Layout(self.kernel_layout).place(sizes))

    def infer(self, data: Type, weight: Type) -> Type:
        w = expect_kind(self.name, "weight", weight, "float")
        return super().infer(data, TensorType(self.plain_shape(w.shape), w.dtype))

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        return types

    def reference(self, data: Array, weight: Array) -> Array:
        """The definition, in float64."""
        layouts, step = self.parsed_layouts(), self.tile_size
        matrices = transforms(step, self.taps)
        there, back = _as_array(matrices.data), _as_array(matrices.result)
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else data.dtype
        x = to_primal(data, layouts.data, "NCHW").astype("float64")
        w = to_primal(weight, self.weight_layout, "HWOI").astype("float64")
        top, left, bottom, right = self.padding
        height = x.shape[2] + top + bottom - self.taps + 1
        width = x.shape[3] + left + right - self.taps + 1
        rows, columns = -(-height // step), -(-width // step)
        below, beyond = rows * step - height, columns * step - width
        x = np.pad(x, [(0, 0), (0, 0), (top, bottom + below), (left, right + beyond)])
        n = len(there)
        tiles = windows(x, (2, 3), (n, n), (step, step), (1, 1))
        tiles = np.einsum("ah,nctuhw,bw->abnctu", there, tiles, there, optimize=True)
        products = np.einsum("abnctu,aboc->abnotu", tiles, w, optimize=True)
        y = np.einsum("ia,abnotu,jb->notiuj", back, products, back, optimize=True)
        y = y.reshape(*y.shape[:2], rows * step, columns * step)[:, :, :height, :width]
        return from_primal(y.astype(dtype), "NCHW", layouts.out)

    def compute(self, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
        return _Tiles(self, data, weight).result()


class _Tiles:
    """The stages of a convolution by tiles. All have their channels as blocks and within blocks.

    ``pad -> half -> tiles (a, b, N, C, t, c) -> products (a, b, N, O, t, o) -> back -> result``;
    `t` numbers the tiles of an image by rows.
    """

    def __init__(self, declaration: Conv2DWinograd, data: te.Tensor, weight: te.Tensor) -> None:
        layouts = declaration.parsed_layouts()
        self.declaration, self.weight, self.layouts = declaration, weight, layouts
        self.m = declaration.tile_size
        self.matrices = transforms(self.m, declaration.taps)
        self.n = len(self.matrices.data)
        self.dtype = declaration.out_dtype or data.dtype
        # Tiles are rounded to a narrower type of the weight: products of two narrow factors.
        narrow = dtypes.bits(weight.dtype) < dtypes.bits(self.dtype)
        self.factor = weight.dtype if narrow else self.dtype
        sizes = layouts.data.components(data.shape)
        name = declaration.name
        self.batch = known(name, "the batch", sizes["N"][0])
        self.in_blocks = known(name, "the number of channels", sizes["C"][0])
        self.in_block = layouts.data.block("C")
        self.out_block = layouts.out.block("C")
        kernel = declaration.weight_layout.components(weight.static_shape)
        self.out_blocks = kernel["O"][0]
        top, left, bottom, right = declaration.padding
        height = known(name, "the height", sizes["H"][0])
        width = known(name, "the width", sizes["W"][0])
        self.height = height + top + bottom - declaration.taps + 1
        self.width = width + left + right - declaration.taps + 1
        self.rows, self.columns = -(-self.height // self.m), -(-self.width // self.m)
        # Tiles at the lower and right borders may reach beyond the padding asked for.
        below = bottom + self.rows * self.m - self.height
        beyond = right + self.columns * self.m - self.width
        before, after = {"H": top, "W": left}, {"H": below, "W": beyond}
        self.padded = pad_spatial(data, layouts.data, before, after, 0, stage=True)

    def _channel(self, block: te.Operand, inner: te.Operand, blocked: bool) -> list[te.Operand]:
        return [block, inner] if blocked else [block]

    def _tiles(self) -> te.Tensor:
        """The tiles of the data, transformed along both axes."""
        place, blocked = self.layouts.data.place, self.layouts.data.is_blocked
        n, count = self.n, self.rows * self.columns

        def half(*at: te.Var) -> te.Expr:
            image, block, tile, a, column, inner = at
            row, left = (tile // self.columns) * self.m, (tile % self.columns) * self.m

            def element(k: int) -> te.Expr:
                source: dict[str, Sequence[te.Operand]] = {
                    "N": [image],
                    "C": self._channel(block, inner, blocked),
                    "H": [row + k],
                    "W": [left + column],
                }
                return te.cast(self.padded(*place(source)), self.dtype)

            return transformed(self.matrices.data, a, element, self.dtype)

        shape = (self.batch, self.in_blocks, count, n, n, self.in_block)
        rows = te.compute(shape, half, "half", stage=True)

        def full(*at: te.Var) -> te.Expr:
            a, b, image, block, tile, inner = at
            data = self.matrices.data
            found = transformed(
                data, b, lambda k: rows(image, block, tile, a, k, inner), self.dtype
            )
            return te.cast(found, self.factor)

        shape = (n, n, self.batch, self.in_blocks, count, self.in_block)
        return te.compute(shape, full, "tiles", stage=True)

    def _products(self, tiles: te.Tensor) -> te.Tensor:
        """Sums over the input channels of the products, point by point."""
        place = self.declaration.weight_layout.place
        channels = te.reduce_axis(self.in_blocks, "ic"), te.reduce_axis(self.in_block, "ici")
        block, inner = (axis.var for axis in channels)
        in_blocked, out_blocked = self.layouts.data.is_blocked, self.layouts.out.is_blocked

        def product(*at: te.Var) -> te.Expr:
            a, b, image, out, tile, out_inner = at
            source: dict[str, Sequence[te.Operand]] = {
                "H": [a],
                "W": [b],
                "I": self._channel(block, inner, in_blocked),
                "O": self._channel(out, out_inner, out_blocked),
            }
            x = te.cast(tiles(a, b, image, block, tile, inner), self.dtype)
            return te.reduce_sum(x * te.cast(self.weight(*place(source)), self.dtype), channels)

        count = self.rows * self.columns
        shape = (self.n, self.n, self.batch, self.out_blocks, count, self.out_block)
        return te.compute(shape, product, "products")

    def result(self) -> te.Tensor:
        """The last stage, in the layout of the result."""
        products = self._products(self._tiles())
        back, m = self.matrices.result, self.m

        def half(*at: te.Var) -> te.Expr:
            image, out, tile, row, b, inner = at
            return transformed(
                back, row, lambda k: products(k, b, image, out, tile, inner), self.dtype
            )

        count = self.rows * self.columns
        shape = (self.batch, self.out_blocks, count, m, self.n, self.out_block)
        rows = te.compute(shape, half, "back", stage=True)
        blocked = self.layouts.out.is_blocked

        def full(*at: te.Var) -> te.Expr:
            parts = self.layouts.out.components(at)
            (image,), (y,), (x,) = parts["N"], parts["H"], parts["W"]
            inner: te.Operand = parts["C"][1] if blocked else 0
            tile = (y // m) * self.columns + x // m
            return transformed(
                back, x % m, lambda k: rows(image, parts["C"][0], tile, y % m, k, inner), self.dtype
            )

        def shape_of(height: int, width: int) -> tuple[int, ...]:
            channels = [self.out_blocks, self.out_block] if blocked else [self.out_blocks]
            sizes = {"N": [self.batch], "C": channels, "H": [height], "W": [width]}
            return self.layouts.out.place(sizes)

        whole = te.compute(shape_of(self.rows * m, self.columns * m), full, "result", stage=True)
        return te.compute(shape_of(self.height, self.width), lambda *at: whole(*at), "convolution")
