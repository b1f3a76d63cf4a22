"""Operators some of whose attributes are known only at run time (Relay's ``dyn.*``).

Each stands for an ordinary operator, which `relay.transform.DynamicToStatic` puts in its place
where the values are constants; see `relay.op.dynamic`.
"""

from collections.abc import Mapping
from typing import ClassVar

from relay.ir import types
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Dim, TensorType, TupleType, Type
from relay.op.dynamic import (
    UNKNOWN,
    DynamicOperator,
    expect_number,
    integers,
    known_sizes,
    unknown_sizes,
    vector_length,
)
from relay.op.functions import function
from relay.op.gradients import reshaped_like
from relay.op.nn.layout import Upsampling
from relay.op.nn.padding import Pad
from relay.op.shapes import (
    expect_kind,
    expect_same_dtype,
    normalize_axis,
    put,
    put_dtype,
    put_ints,
)
from relay.op.tensor.index import OneHot
from relay.op.tensor.init import Full, Ones, Zeros
from relay.op.tensor.reshape import ExpandDims, Reshape, Squeeze
from relay.op.tensor.slicing import StridedSlice
from relay.op.tensor.sort import TopK
from relay.op.tensor.transform import BroadcastTo, Tile
from relay.support.errors import TypeInferenceError


@operator("dyn.reshape", inputs=("data", "newshape"), pattern=Pattern.INJECTIVE, level=3)
class DynReshape(DynamicOperator):
    """`reshape` to the sizes in the vector `newshape`.

    `known` is what is known of the result's sizes before: a number, a name or ``?`` for each.
    """

    takes_small = True
    late = ("newshape",)
    missing: ClassVar[dict[str, str]] = {"compute": UNKNOWN}

    allowzero: bool = False
    known: tuple[str, ...] = ()

    def infer(self, data: Type, newshape: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        rank = vector_length(self.name, "newshape", newshape)
        return TensorType(known_sizes(self.name, self.known, rank), tensor.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        return Reshape(integers(values["newshape"]), self.allowzero)

    def gradient(self, grad: Expr, result: Expr, data: Expr, newshape: Expr) -> Gradients:
        return reshaped_like(grad, data), None


@operator("dyn.broadcast_to", inputs=("data", "shape"), pattern=Pattern.BROADCAST, level=4)
class DynBroadcastTo(DynamicOperator):
    """`broadcast_to` the sizes in the vector `shape`, in which `known` is as in `dyn.reshape`."""

    takes_small = True
    late = ("shape",)

    dtype: str = ""
    known: tuple[str, ...] = ()

    def infer(self, data: Type, shape: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        rank = vector_length(self.name, "shape", shape)
        return TensorType(known_sizes(self.name, self.known, rank), tensor.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        return BroadcastTo(integers(values["shape"]), self.dtype)


@operator("dyn.full", inputs=("fill_value", "shape"), pattern=Pattern.ELEMWISE, level=3)
class DynFull(DynamicOperator):
    """`full` of the sizes in the vector `shape`, of which `known` says what `dyn.reshape` says."""

    takes_small = True
    late = ("shape",)

    dtype: str = ""
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, fill_value: Type, shape: Type) -> Type:
        value = expect_tensor(self.name, "fill_value", fill_value)
        if value.shape:
            raise TypeInferenceError(f"{self.name}: fill_value must be a scalar, found {value}")
        rank = vector_length(self.name, "shape", shape)
        return TensorType(known_sizes(self.name, self.known, rank), self.dtype or value.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        return Full(integers(values["shape"]), self.dtype)


class DynamicConstant(DynamicOperator):
    """Base of what fills the sizes in the vector `shape` with one value."""

    late = ("shape",)
    missing: ClassVar[dict[str, str]] = {"compute": UNKNOWN}
    piecewise_constant = True
    ordinary: ClassVar[type[Zeros] | type[Ones]]

    dtype: str

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, shape: Type) -> Type:
        return TensorType(unknown_sizes(vector_length(self.name, "shape", shape)), self.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        return self.ordinary(integers(values["shape"]), self.dtype)


@operator("dyn.zeros", inputs=("shape",), pattern=Pattern.ELEMWISE, level=3)
class DynZeros(DynamicConstant):
    """`zeros` of the sizes in the vector `shape`."""

    takes_small = True
    ordinary = Zeros
    dtype: str = "float32"


@operator("dyn.ones", inputs=("shape",), pattern=Pattern.ELEMWISE, level=3)
class DynOnes(DynamicConstant):
    """`ones` of the sizes in the vector `shape`."""

    ordinary = Ones
    dtype: str = "float32"


@operator("dyn.tile", inputs=("data", "reps"), pattern=Pattern.INJECTIVE, level=3)
class DynTile(DynamicOperator):
    """`tile` by the counts in the vector `reps`; `known` says what `dyn.reshape` says."""

    takes_small = True
    late = ("reps",)

    known: tuple[str, ...] = ()

    def infer(self, data: Type, reps: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        rank = max(len(tensor.shape), vector_length(self.name, "reps", reps))
        return TensorType(known_sizes(self.name, self.known, rank), tensor.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        return Tile(integers(values["reps"]))


@operator("dyn.topk", inputs=("data", "k"), pattern=Pattern.OPAQUE, level=6)
class DynTopK(DynamicOperator):
    """`topk` of as many elements as the number `k` says."""

    late = ("k",)

    axis: int = -1
    ret_type: str = "both"
    is_ascend: bool = False
    dtype: str = "int32"

    def __post_init__(self) -> None:
        put(self, "is_ascend", bool(self.is_ascend))
        put_dtype(self)

    def infer(self, data: Type, k: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "number")
        expect_number(self.name, "k", k, "integer")
        shape = list(tensor.shape)
        shape[normalize_axis(self.name, self.axis, len(shape))] = types.Any()
        # Attributes other than `k` are checked by the ordinary operator.
        whole = TopK(0, self.axis, self.ret_type, self.is_ascend, self.dtype).infer(
            TensorType(shape, tensor.dtype)
        )
        assert isinstance(whole, TensorType | TupleType)
        return whole

    def static(self, values: Mapping[str, Array]) -> Operator:
        k = int(values["k"].reshape(()))
        return TopK(k, self.axis, self.ret_type, self.is_ascend, self.dtype)


@operator("dyn.expand_dims", inputs=("data", "axis"), pattern=Pattern.INJECTIVE, level=3)
class DynExpandDims(DynamicOperator):
    """`expand_dims` at the position that the number `axis` says."""

    takes_small = True
    late = ("axis",)

    num_newaxis: int = 1

    def infer(self, data: Type, axis: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        expect_number(self.name, "axis", axis, "integer")
        return TensorType(unknown_sizes(len(tensor.shape) + self.num_newaxis), tensor.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        return ExpandDims(int(values["axis"].reshape(())), self.num_newaxis)


@operator("dyn.squeeze", inputs=("data", "axis"), pattern=Pattern.INJECTIVE, level=3)
class DynSqueeze(DynamicOperator):
    """`squeeze` of the dimensions in the vector `axis`."""

    takes_small = True
    late = ("axis",)

    def infer(self, data: Type, axis: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        rank = len(tensor.shape) - vector_length(self.name, "axis", axis)
        if rank < 0:
            raise TypeInferenceError(f"{self.name}: axis names more dimensions than {tensor} has")
        return TensorType(unknown_sizes(rank), tensor.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        return Squeeze(integers(values["axis"]))


@operator(
    "dyn.one_hot",
    inputs=("indices", "on_value", "off_value", "depth"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class DynOneHot(DynamicOperator):
    """`one_hot` with a new dimension of the size that the number `depth` says."""

    late = ("depth",)

    axis: int = -1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, indices: Type, on_value: Type, off_value: Type, depth: Type) -> Type:
        index = expect_kind(self.name, "indices", indices, "integer")
        on = expect_tensor(self.name, "on_value", on_value)
        expect_same_dtype(self.name, on, expect_tensor(self.name, "off_value", off_value))
        expect_number(self.name, "depth", depth, "integer")
        axis = normalize_axis(self.name, self.axis, len(index.shape) + 1)
        shape = (*index.shape[:axis], types.Any(), *index.shape[axis:])
        return TensorType(shape, self.dtype or on.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        return OneHot(int(values["depth"].reshape(())), self.axis, self.dtype)


@operator(
    "dyn.strided_slice",
    inputs=("data", "begin", "end", "strides"),
    pattern=Pattern.INJECTIVE,
    level=4,
)
class DynStridedSlice(DynamicOperator):
    """`strided_slice` with the positions in the vectors `begin`, `end` and `strides`.

    `known` is what is known of the sizes of the axes that are cut, as `dyn.reshape` has it.
    """

    takes_small = True
    late = ("begin", "end", "strides")

    slice_mode: str = "end"
    axes: tuple[int, ...] | None = None
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put_ints(self, "axes")

    def infer(self, data: Type, begin: Type, end: Type, strides: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        counts = [
            vector_length(self.name, n, t)
            for n, t in (("begin", begin), ("end", end), ("strides", strides))
        ]
        axes = self.axes if self.axes is not None else tuple(range(counts[0]))
        if len({len(axes), *counts}) != 1 or len(axes) > len(tensor.shape):
            raise TypeInferenceError(
                f"{self.name}: begin, end, strides and axes must be of one length, at most the "
                f"rank of {tensor}; found {counts[0]}, {counts[1]}, {counts[2]} and {len(axes)}"
            )
        shape = list(tensor.shape)
        for axis, size in zip(axes, known_sizes(self.name, self.known, len(axes)), strict=True):
            shape[normalize_axis(self.name, axis, len(shape))] = size
        return TensorType(shape, tensor.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        begin, end, strides = (integers(values[n]) for n in self.late)
        return StridedSlice(begin, end, strides, self.axes, self.slice_mode)


@operator("dyn.nn.pad", inputs=("data", "pad_width", "pad_val"), pattern=Pattern.INJECTIVE, level=2)
class DynPad(DynamicOperator):
    """`nn.pad` by the amounts in the matrix `pad_width`: before and after each axis."""

    takes_small = True
    late = ("pad_width",)

    pad_mode: str = "constant"

    def infer(self, data: Type, pad_width: Type, pad_val: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        width = expect_kind(self.name, "pad_width", pad_width, "integer")
        value = expect_tensor(self.name, "pad_val", pad_val)
        fits = len(width.shape) == 2 and all(
            isinstance(found, types.Any) or found == wanted
            for found, wanted in zip(width.shape, (len(x.shape), 2), strict=True)
        )
        if not fits or value.shape:
            raise TypeInferenceError(
                f"{self.name}: for {x}, pad_width must be a matrix ({len(x.shape)}, 2) of integers "
                f"and pad_val a scalar, found {width} and {value}"
            )
        return TensorType(unknown_sizes(len(x.shape)), x.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        pairs = tuple((int(before), int(after)) for before, after in values["pad_width"])
        return Pad(pairs, self.pad_mode)


@operator(
    "dyn.nn.upsampling",
    inputs=("data", "scale_h", "scale_w"),
    pattern=Pattern.INJECTIVE,
    level=2,
)
class DynUpsampling(DynamicOperator):
    """`nn.upsampling` by the numbers `scale_h` and `scale_w`."""

    late = ("scale_h", "scale_w")

    layout: str = "NCHW"
    method: str = "nearest_neighbor"
    align_corners: bool = False

    def infer(self, data: Type, scale_h: Type, scale_w: Type) -> Type:
        expect_number(self.name, "scale_h", scale_h, "number")
        expect_number(self.name, "scale_w", scale_w, "number")
        same = Upsampling(1.0, 1.0, self.layout, self.method, self.align_corners)
        x = same.infer(data)
        assert isinstance(x, TensorType)
        sizes: dict[str, Dim] = {
            **same.parsed_layout().extents(x.shape),
            "H": types.Any(),
            "W": types.Any(),
        }
        return TensorType(same.parsed_layout().shape(sizes), x.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        height, width = (float(values[n].reshape(())) for n in self.late)
        return Upsampling(height, width, self.layout, self.method, self.align_corners)


reshape = function(DynReshape)
broadcast_to = function(DynBroadcastTo)
full = function(DynFull, own_dtype=("shape",))
zeros = function(DynZeros)
ones = function(DynOnes)
tile = function(DynTile)
topk = function(DynTopK)
expand_dims = function(DynExpandDims)
squeeze = function(DynSqueeze)
one_hot = function(DynOneHot, own_dtype=("indices", "depth"))
strided_slice = function(DynStridedSlice)
pad = function(DynPad)
upsampling = function(DynUpsampling)

__all__ = [
    "broadcast_to",
    "expand_dims",
    "full",
    "one_hot",
    "ones",
    "pad",
    "reshape",
    "squeeze",
    "strided_slice",
    "tile",
    "topk",
    "upsampling",
    "zeros",
]
