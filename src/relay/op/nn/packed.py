"""Products with weights that were brought into blocks beforehand.

Such weights come with programs that were compiled for other machines' kernels. Here they are put
back into their plain form, at compile time where they are constants, and multiplied as any others.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.expr import Call, Expr
from relay.ir.layout import Layout
from relay.ir.op import (
    Array,
    Gradients,
    Operator,
    Pattern,
    attributes,
    expect_tensor,
    operator,
)
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.gradients import make, permuted, reshaped
from relay.op.nn.common import dims_agree, layout_of, to_primal
from relay.op.nn.convolution import BLOCKED, Conv2D, Convolution2D
from relay.op.nn.dense import Dense
from relay.op.nn.winograd import Conv2DWinogradWeightTransform, transformed_kernel, transforms
from relay.op.shapes import expect_kind, put_dtype, reference_dtype
from relay.support.errors import TypeInferenceError

_EXPANDED = {"compute": "compilers put operators on plain weights in its place"}


class PackedWeight(Operator):
    """Base of the products with a weight in blocks, in a layout of the axes N (units) and C (k)."""

    weight_layout: str

    def parsed_layout(self) -> Layout:
        """The layout of the weight, checked."""
        return layout_of(self.name, "weight_layout", self.weight_layout, "NC")

    def plain_type(self, weight: Type) -> TensorType:
        """The type (units, k) of the weight in its plain form."""
        layout = self.parsed_layout()
        packed = expect_tensor(self.name, "weight", weight)
        if len(packed.shape) != layout.rank:
            raise TypeInferenceError(
                f"{self.name}: expected a weight in the layout {layout}, found {packed}"
            )
        sizes = layout.extents(packed.shape)
        return TensorType((sizes["N"], sizes["C"]), packed.dtype)

    def plain_weight(self, weight: Expr) -> Expr:
        """The weight in its plain form, which may be the one that it has."""
        if self.weight_layout == "NC":
            return weight
        return make("layout_transform", weight, src_layout=self.weight_layout, dst_layout="NC")

    def plain_array(self, weight: Array) -> Array:
        """`plain_weight` in NumPy."""
        return to_primal(weight, self.parsed_layout(), "NC")


@operator(
    "nn.contrib_dense_pack",
    inputs=("data", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class DensePack(PackedWeight):
    """``data @ weight.T`` of a weight in blocks: data (..., k), result (..., units).

    `weight_layout` has the axes N (units) and C (k): in ``NC16n`` the weight is
    (units / 16, k, 16), in ``NC16n4c`` it is (units / 16, k / 4, 16, 4).
    """

    units: int | None = None
    out_dtype: str = ""
    weight_layout: str = "NC"

    missing: ClassVar[dict[str, str]] = _EXPANDED

    def __post_init__(self) -> None:
        put_dtype(self, "out_dtype")

    def _plain(self) -> Dense:
        """The product with the weight in its plain form."""
        return Dense(self.units, self.out_dtype)

    def infer(self, data: Type, weight: Type) -> Type:
        return self._plain().infer(data, self.plain_type(weight))

    def expand(self, data: Expr, weight: Expr) -> Expr:
        return Call(Dense.op, (data, self.plain_weight(weight)), self._plain())

    def reference(self, data: Array, weight: Array) -> Array:
        return self._plain().reference(data, self.plain_array(weight))

    def gradient(self, grad: Expr, result: Expr, data: Expr, weight: Expr) -> Gradients:
        plain = self.plain_weight(weight)
        by_data, by_weight = self._plain().gradient(grad, result, data, plain)
        if plain is weight or by_weight is None:
            return by_data, by_weight
        back = make("layout_transform", by_weight, src_layout="NC", dst_layout=self.weight_layout)
        return by_data, back


@operator(
    "nn.contrib_conv2d_gemm_weight_transform",
    inputs=("weights",),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Conv2DGemmWeightTransform(Operator):
    """The weight (H, W, I, O) of a convolution as a matrix of blocks.

    Element (n, k, j, i) is row ``k * tile_K + i`` (of ``H * W * I``) of column ``n * tile_N + j``
    (of O); what is beyond the weight is 0.
    """

    tile_N: int  # noqa: N815 - Relay's name
    tile_K: int  # noqa: N815 - Relay's name

    missing: ClassVar[dict[str, str]] = BLOCKED

    def __post_init__(self) -> None:
        if min(self.tile_N, self.tile_K) < 1:
            raise ValueError(f"expected positive tiles, found {self.tile_N} and {self.tile_K}")

    def infer(self, weights: Type) -> Type:
        tensor = expect_tensor(self.name, "weights", weights)
        if len(tensor.shape) != 4:
            raise TypeInferenceError(f"{self.name}: expected a weight (H, W, I, O), found {tensor}")
        sizes = [d for d in tensor.shape if isinstance(d, int)]
        blocks: tuple[Dim, Dim] = (Any(), Any())
        if len(sizes) == 4:
            rows = sizes[0] * sizes[1] * sizes[2]
            blocks = (-(-sizes[3] // self.tile_N), -(-rows // self.tile_K))
        return TensorType((*blocks, self.tile_N, self.tile_K), tensor.dtype)

    def compute(self, weights: te.Tensor) -> te.Tensor:
        height, width, inputs, outputs = weights.shape
        rows = te.as_expr(height, te.INDEX) * width * inputs
        columns = te.as_expr(outputs, te.INDEX)

        def element(n: te.Var, k: te.Var, j: te.Var, i: te.Var) -> te.Expr:
            row, column = k * self.tile_K + i, n * self.tile_N + j
            tap = row // inputs
            value = weights(tap // width, tap % width, row % inputs, column)
            zero = te.const(0, weights.dtype)
            return te.select(te.both(row < rows, column < columns), value, zero)

        shape = (
            (columns + (self.tile_N - 1)) // self.tile_N,
            (rows + (self.tile_K - 1)) // self.tile_K,
            self.tile_N,
            self.tile_K,
        )
        return te.compute(shape, element, "blocks")

    def reference(self, weights: Array) -> Array:
        matrix = weights.reshape(math.prod(weights.shape[:3]), weights.shape[3])
        rows, columns = matrix.shape
        padded = np.pad(matrix, [(0, -rows % self.tile_K), (0, -columns % self.tile_N)])
        counts = [s // t for s, t in zip(padded.shape, (self.tile_K, self.tile_N), strict=True)]
        blocks = padded.reshape(counts[0], self.tile_K, counts[1], self.tile_N)
        return np.ascontiguousarray(blocks.transpose(2, 0, 3, 1))


@operator(
    "nn.contrib_conv2d_gemm_without_weight_transform",
    inputs=("data", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Conv2DGemm(Convolution2D):
    """`nn.conv2d` of a weight that `nn.contrib_conv2d_gemm_weight_transform` has transformed.

    `channels` and `kernel_size` are given; there is one group. `kernel_layout` says how the weight
    was before, which does not matter.
    """

    missing: ClassVar[dict[str, str]] = BLOCKED | _EXPANDED

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size is None or self.channels is None or self.groups != 1:
            raise TypeInferenceError(
                f"{self.name}: expected channels and kernel_size, and one group"
            )

    @property
    def _plain(self) -> Conv2D:
        """The convolution of the weight as it was before, in the layout HWIO."""
        return Conv2D(**attributes(self) | {"kernel_layout": "HWIO"})  # type: ignore[arg-type]

    def _plain_shape(self, data: Sequence[Dim]) -> tuple[Dim, ...]:
        """The shape of the weight as it was before, for data of a shape."""
        assert self.kernel_size is not None
        assert self.channels is not None
        inputs = self.parsed_layouts().data.extents(data)["C"]
        return (*self.kernel_size, inputs, self.channels)

    def infer(self, data: Type, weight: Type) -> Type:
        x, w = expect_tensor(self.name, "data", data), expect_tensor(self.name, "weight", weight)
        shape = self._plain_shape(x.shape)
        if len(w.shape) == 4:
            height, width, inputs, outputs = shape
            fits = self._covers(w.shape[0], w.shape[2], outputs)
            if isinstance(inputs, int) and isinstance(height, int) and isinstance(width, int):
                fits &= self._covers(w.shape[1], w.shape[3], height * width * inputs)
        if len(w.shape) != 4 or not fits:
            raise TypeInferenceError(
                f"{self.name}: expected the blocks of a weight {shape} (H, W, I, O), found {w}"
            )
        return self._plain.infer(data, TensorType(shape, w.dtype))

    def _covers(self, blocks: Dim, tile: Dim, size: Dim) -> bool:
        """Whether so many blocks are what a size is divided into, as far as is known."""
        if not (isinstance(blocks, int) and isinstance(tile, int) and isinstance(size, int)):
            return True
        return tile > 0 and blocks == -(-size // tile)

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        return types

    def expand(self, data: Expr, weight: Expr) -> Expr:
        x, w = data.checked_type, weight.checked_type
        assert isinstance(x, TensorType)
        assert isinstance(w, TensorType)
        shape = [d for d in self._plain_shape(x.shape) if isinstance(d, int)]
        if len(shape) != 4 or not w.is_static:
            raise TypeInferenceError(
                f"{self.name}: the channels and the weight must be known before run time"
            )
        blocks = w.concrete_shape
        columns, rows = blocks[0] * blocks[2], blocks[1] * blocks[3]
        matrix = reshaped(permuted(weight, (1, 3, 0, 2)), (rows, columns))
        end = (shape[0] * shape[1] * shape[2], shape[3])
        if end != (rows, columns):
            matrix = make("strided_slice", matrix, begin=(0, 0), end=end, strides=(1, 1))
        return Call(Conv2D.op, (data, reshaped(matrix, shape)), self._plain)

    def reference(self, data: Array, weight: Array) -> Array:
        shape = [d for d in self._plain_shape(data.shape) if isinstance(d, int)]
        matrix = weight.transpose(1, 3, 0, 2).reshape(weight.shape[1] * weight.shape[3], -1)
        plain = matrix[: shape[0] * shape[1] * shape[2], : shape[3]].reshape(shape)
        return self._plain.reference(data, plain)


@operator(
    "nn.contrib_conv2d_winograd_nnpack_weight_transform",
    inputs=("weight",),
    pattern=Pattern.OPAQUE,
    level=10,
)
class Conv2DWinogradNNPACKWeightTransform(Operator):
    """The kernels (O, I, 3, 3) of an `nn.conv2d` transformed for tiles of 6 by 6: (O, I, 8, 8).

    NNPACK has its own numbers for `convolution_algorithm`; all of them transform tiles of 8 by 8.
    The transform is that of `nn.contrib_conv2d_winograd_weight_transform`.
    """

    convolution_algorithm: int
    out_dtype: str = ""

    missing: ClassVar[dict[str, str]] = BLOCKED

    def __post_init__(self) -> None:
        put_dtype(self, "out_dtype")

    def infer(self, weight: Type) -> Type:
        w = expect_kind(self.name, "weight", weight, "float")
        if len(w.shape) != 4 or not all(dims_agree(d, 3) for d in w.shape[2:]):
            raise TypeInferenceError(f"{self.name}: expected a weight (O, I, 3, 3), found {w}")
        return TensorType((*w.shape[:2], 8, 8), self.out_dtype or w.dtype)

    def compute(self, weight: te.Tensor) -> te.Tensor:
        points = Conv2DWinogradWeightTransform(tile_size=6).compute(weight)
        shape = (*weight.shape[:2], 8, 8)
        dtype = self.out_dtype or weight.dtype
        return te.compute(
            shape, lambda o, i, a, b: te.cast(points(a, b, o, i), dtype), "nnpack_transform"
        )

    def reference(self, weight: Array) -> Array:
        assert len(transforms(6, 3).kernel) == 8
        points = transformed_kernel(weight, (2, 3), 6).transpose(2, 3, 0, 1)
        return points.astype(reference_dtype(self.out_dtype)) if self.out_dtype else points
