"""Convolutions over volumes by Winograd's minimal filtering; see `relay.op.nn.winograd`.

Kernels as deep as they are high and wide are transformed along all three axes, others along height
and width only.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.nn.common import dims_agree, known, pad_tensor, windows
from relay.op.nn.convolution import BLOCKED, Convolution
from relay.op.nn.winograd import Matrix, transformed, transforms
from relay.op.shapes import expect_kind, reference_dtype, replaced
from relay.support.errors import TypeInferenceError

#: Depths of kernels that are transformed along all axes.
_DEEP = range(3, 8)


def _axes(kernel: Sequence[Dim]) -> tuple[int, ...]:
    """Which of the axes D, H and W of a kernel are transformed."""
    depth, height, _ = kernel
    return (0, 1, 2) if depth in _DEEP and depth == height else (1, 2)


def _matrix(matrix: Matrix) -> Array:
    return np.array([[float(v) for v in row] for row in matrix])


def _along(array: Array, axis: int, matrix: Matrix) -> Array:
    """`array` with `matrix` applied along `axis`."""
    return np.moveaxis(np.tensordot(_matrix(matrix), array, (1, axis)), 0, axis)


_Item = TypeVar("_Item", bound=te.Dim)


def _resized(items: Sequence[_Item], axis: int, item: _Item) -> tuple[_Item, ...]:
    """`items` with that at `axis` replaced."""
    found = list(items)
    found[axis] = item
    return tuple(found)


def _apply(
    tensor: te.Tensor, axis: int, matrix: Matrix, read: Callable[..., te.Expr], name: str
) -> te.Tensor:
    """A stage like `tensor`, whose element along `axis` is a row of `matrix` times ``read(k)``."""
    shape = _resized(tensor.shape, axis, len(matrix))

    def element(*at: te.Var) -> te.Expr:
        return transformed(matrix, at[axis], lambda k: read(*replaced(at, axis, k)), tensor.dtype)

    return te.compute(shape, element, name, stage=True)


@operator(
    "nn.contrib_conv3d_winograd_weight_transform",
    inputs=("weight",),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Conv3DWinogradWeightTransform(Operator):
    """The kernels (O, I, d, r, r) of an `nn.conv3d` transformed for tiles of `tile_size` results.

    The result is (n, n, n, O, I) with ``n = tile_size + r - 1`` where d is r and at least 3, else
    (n, n, d, O, I).
    """

    missing: ClassVar[dict[str, str]] = BLOCKED
    tile_size: int = 2

    def infer(self, weight: Type) -> Type:
        w = expect_kind(self.name, "weight", weight, "float")
        if len(w.shape) != 5 or not dims_agree(w.shape[3], w.shape[4]):
            raise TypeInferenceError(
                f"{self.name}: expected a weight (O, I, d, r, r), found the shape {w.shape}"
            )
        depth, taps, _ = w.shape[2:]
        if not (isinstance(depth, int) and isinstance(taps, int)):
            return TensorType((Any(), Any(), Any(), *w.shape[:2]), w.dtype)
        n = len(transforms(self.tile_size, taps).data)
        deep = len(_axes(w.shape[2:])) == 3
        return TensorType((n, n, n if deep else depth, *w.shape[:2]), w.dtype)

    def compute(self, weight: te.Tensor) -> te.Tensor:
        kernel = transforms(self.tile_size, weight.static_shape[4]).kernel
        axes = _axes(weight.static_shape[2:])
        found = weight
        for axis in axes:
            found = _apply(found, 2 + axis, kernel, found, "transformed")
        order = axes if len(axes) == 3 else (1, 2, 0)
        shape = (*(found.shape[2 + a] for a in order), *weight.shape[:2])

        def element(a: te.Var, b: te.Var, c: te.Var, out: te.Var, inner: te.Var) -> te.Expr:
            place = dict(zip(order, (a, b, c), strict=True))
            return found(out, inner, place[0], place[1], place[2])

        return te.compute(shape, element, "kernel_transform")

    def reference(self, weight: Array) -> Array:
        kernel, axes = transforms(self.tile_size, weight.shape[4]).kernel, _axes(weight.shape[2:])
        found = weight.astype("float64")
        for axis in axes:
            found = _along(found, 2 + axis, kernel)
        order = axes if len(axes) == 3 else (1, 2, 0)
        moved = found.transpose(*(2 + a for a in order), 0, 1)
        return np.ascontiguousarray(moved.astype(weight.dtype))


@operator(
    "nn.contrib_conv3d_winograd_without_weight_transform",
    inputs=("data", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Conv3DWinograd(Convolution):
    """`nn.conv3d` of a weight that `nn.contrib_conv3d_winograd_weight_transform` has transformed.

    `tile_size` is the same there, and `kernel_size` is given. Strides, dilation and groups are 1,
    the layouts NCDHW and OIDHW.
    """

    missing: ClassVar[dict[str, str]] = BLOCKED
    spatial = "DHW"
    tile_size: int = 2
    strides: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1, 1)
    groups: int = 1
    channels: int | None = None
    kernel_size: tuple[int, ...] | None = None
    data_layout: str = "NCDHW"
    kernel_layout: str = "OIDHW"
    out_layout: str = ""
    out_dtype: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.kernel_size
        if size is None or size[1] != size[2]:
            raise TypeInferenceError(f"{self.name}: expected kernel_size (d, r, r), found {size}")
        ones = (1, 1, 1)
        if (self.strides, self.dilation, self.groups) != (ones, ones, 1):
            raise TypeInferenceError(
                f"{self.name}: expected strides and dilation 1 and one group, found "
                f"strides={self.strides}, dilation={self.dilation}, groups={self.groups}"
            )
        layouts = (self.data_layout, self.kernel_layout, self.out_layout or "NCDHW")
        if layouts != ("NCDHW", "OIDHW", "NCDHW"):
            raise TypeInferenceError(
                f"{self.name}: expected the layouts NCDHW and OIDHW, found {layouts}"
            )

    @property
    def kernel(self) -> tuple[int, ...]:
        """The taps of the kernel along D, H and W."""
        assert self.kernel_size is not None
        return self.kernel_size

    def infer(self, data: Type, weight: Type) -> Type:
        w = expect_kind(self.name, "weight", weight, "float")
        depth, taps, _ = self.kernel
        n = len(transforms(self.tile_size, taps).data)
        points = (n, n, n) if len(_axes(self.kernel)) == 3 else (n, n, depth)
        if len(w.shape) != 5 or not all(map(dims_agree, w.shape[:3], points)):
            raise TypeInferenceError(
                f"{self.name}: expected a weight of {points} points, then O and I, found {w}"
            )
        return super().infer(data, TensorType((*w.shape[3:], *self.kernel), w.dtype))

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        return types

    def _slack(self) -> list[int]:
        """What the number of results along each axis is more than the size of the data."""
        return [self.padding[k] + self.padding[3 + k] - self.kernel[k] + 1 for k in range(3)]

    def compute(self, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
        m, axes = self.tile_size, _axes(self.kernel)
        matrices = transforms(m, self.kernel[1])
        n, dtype = len(matrices.data), self.out_dtype or data.dtype
        sizes = [known(self.name, "the size of the data", d) for d in data.shape]
        out = [size + more for size, more in zip(sizes[2:], self._slack(), strict=True)]
        tiles = {a: -(-out[a] // m) for a in axes}
        after = [
            self.padding[3 + a] + (tiles[a] * m - out[a] if a in tiles else 0) for a in range(3)
        ]
        padded = pad_tensor(data, (0, 0, *self.padding[:3]), (0, 0, *after), 0, stage=True)
        found = te.compute(padded.shape, lambda *i: te.cast(padded(*i), dtype), "volume")
        # A transformed axis becomes two: the tile, and in front of all others the point of it.
        for a in axes:
            shape = (n, *_resized(found.shape, a - 3, tiles[a]))

            def points(*at: te.Var, source: te.Tensor = found, axis: int = a - 3) -> te.Expr:
                point, *place = at

                def value(k: int) -> te.Expr:
                    return source(*_resized(place, axis, place[axis] * m + k))

                return transformed(matrices.data, point, value, dtype)

            found = te.compute(shape, points, "tiles", stage=True)
        products = self._products(found, weight, axes, out, dtype)
        for a in reversed(axes):
            shape = _resized(products.shape[1:], a - 3, tiles[a] * m)

            def results(*at: te.Var, source: te.Tensor = products, axis: int = a - 3) -> te.Expr:
                place = _resized(at, axis, at[axis] // m)
                return transformed(
                    matrices.result, at[axis] % m, lambda k: source(k, *place), dtype
                )

            products = te.compute(shape, results, "back", stage=True)
        shape = (sizes[0], weight.shape[3], *out)
        return te.compute(shape, lambda *at: products(*at), "convolution")

    def _products(
        self,
        tiles: te.Tensor,
        weight: te.Tensor,
        axes: Sequence[int],
        out: Sequence[int],
        dtype: str,
    ) -> te.Tensor:
        """Sums over channels (and depth, where it is not transformed), point by point."""
        deep, count = len(axes) == 3, len(axes)
        channel = te.reduce_axis(tiles.shape[count + 1], "ic")
        taps = [] if deep else [te.reduce_axis(self.kernel[0], "kd")]
        batch, _, depth, *plane = tiles.shape[count:]
        extent = depth if deep else out[0]
        shape = (*tiles.shape[:count], batch, weight.shape[3], extent, *plane)

        def element(*at: te.Var) -> te.Expr:
            points, (image, output, z, y, x) = at[:count], at[count:]
            depths = [tap.var for tap in taps]
            row = z if deep else z + depths[0]
            taken = tiles(*points, image, channel.var, row, y, x)
            w = weight(*reversed(points), *depths, output, channel.var)
            return te.reduce_sum(taken * te.cast(w, dtype), (channel, *taps))

        return te.compute(shape, element, "products", stage=True)

    def reference(self, data: Array, weight: Array) -> Array:
        """The definition, in float64."""
        m, axes = self.tile_size, _axes(self.kernel)
        matrices = transforms(m, self.kernel[1])
        n = len(matrices.data)
        dtype = reference_dtype(self.out_dtype) if self.out_dtype else data.dtype
        out = [size + more for size, more in zip(data.shape[2:], self._slack(), strict=True)]
        extra = [-out[a] % m if a in axes else 0 for a in range(3)]
        sides = [(self.padding[a], self.padding[3 + a] + extra[a]) for a in range(3)]
        x = np.pad(data.astype("float64"), [(0, 0), (0, 0), *sides])
        window = [n if a in axes else self.kernel[0] for a in range(3)]
        steps = [m if a in axes else 1 for a in range(3)]
        tiles = windows(x, (2, 3, 4), window, steps, (1, 1, 1))
        for a in axes:
            tiles = _along(tiles, 5 + a, matrices.data)
        w = weight.astype("float64")
        letters = "abc" if len(axes) == 3 else "bca"
        products = np.einsum(f"nizyxabc,{letters}oi->nozyx{letters}", tiles, w, optimize=True)
        if len(axes) == 2:
            products = products.sum(axis=-1)
        for position in range(len(axes)):
            products = _along(products, 5 + position, matrices.result)
        # Tiles and the places in them, along each axis, become one.
        count = len(axes)
        order = [0, 1]
        for a in range(3):
            order += [2 + a, *([5 + axes.index(a)] if a in axes else [])]
        whole = products.transpose(order)
        full = [products.shape[2 + a] * (m if a in axes else 1) for a in range(3)]
        assert whole.ndim == 5 + count
        y = whole.reshape(*whole.shape[:2], *full)[:, :, : out[0], : out[1], : out[2]]
        return np.ascontiguousarray(y.astype(dtype))
