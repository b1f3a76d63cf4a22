"""More operators some of whose sizes are known only at run time; see `relay.op.dynamic`."""

from collections.abc import Mapping
from typing import ClassVar

from relay.ir import types
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.dynamic import (
    UNKNOWN,
    DynamicOperator,
    expect_number,
    integers,
    known_sizes,
    unknown_sizes,
)
from relay.op.nn.volumes import Upsampling3D
from relay.op.shapes import expect_kind, put_dtype
from relay.op.tensor.init import Arange
from relay.op.tensor.sparse import SparseToDense
from relay.support.errors import TypeInferenceError


@operator(
    "dyn.sparse_to_dense",
    inputs=("sparse_indices", "sparse_values", "default_value", "output_shape"),
    pattern=Pattern.OPAQUE,
    level=3,
)
class DynSparseToDense(DynamicOperator):
    """`sparse_to_dense` of the sizes in the vector `output_shape`."""

    late = ("output_shape",)
    missing: ClassVar[dict[str, str]] = {
        "compute": UNKNOWN,
        "gradient": "it is not derived; scatter_nd has one",
    }

    def infer(
        self, sparse_indices: Type, sparse_values: Type, default_value: Type, output_shape: Type
    ) -> Type:
        sizes = expect_kind(self.name, "output_shape", output_shape, "integer")
        if len(sizes.shape) != 1 or not isinstance(sizes.shape[0], int) or sizes.shape[0] == 0:
            raise TypeInferenceError(
                f"{self.name}: output_shape must be a vector of known length, found {sizes}"
            )
        rank = sizes.shape[0]
        found = SparseToDense((1,) * rank).infer(sparse_indices, sparse_values, default_value)
        assert isinstance(found, TensorType)
        return TensorType(unknown_sizes(rank), found.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        return SparseToDense(integers(values["output_shape"]))


@operator(
    "dyn.nn.upsampling3d",
    inputs=("data", "scale_d", "scale_h", "scale_w"),
    pattern=Pattern.INJECTIVE,
    level=2,
)
class DynUpsampling3D(DynamicOperator):
    """`nn.upsampling3d` by the numbers `scale_d`, `scale_h` and `scale_w`."""

    late = ("scale_d", "scale_h", "scale_w")

    layout: str = "NCDHW"
    method: str = "nearest_neighbor"
    coordinate_transformation_mode: str = "half_pixel"

    def infer(self, data: Type, scale_d: Type, scale_h: Type, scale_w: Type) -> Type:
        for name, type_ in zip(self.late, (scale_d, scale_h, scale_w), strict=True):
            expect_number(self.name, name, type_, "number")
        same = self._with(1.0, 1.0, 1.0)
        x = same.infer(data)
        assert isinstance(x, TensorType)
        layout = same.parsed_layout()
        sizes: dict[str, Dim] = {**layout.extents(x.shape), **{c: types.Any() for c in "DHW"}}
        return TensorType(layout.shape(sizes), x.dtype)

    def _with(self, depth: float, height: float, width: float) -> Upsampling3D:
        return Upsampling3D(
            depth, height, width, self.layout, self.method, self.coordinate_transformation_mode
        )

    def static(self, values: Mapping[str, Array]) -> Operator:
        return self._with(*(float(values[n].reshape(())) for n in self.late))


@operator("dyn.arange", inputs=("start", "stop", "step"), pattern=Pattern.OPAQUE, level=3)
class DynArange(DynamicOperator):
    """`arange` with the numbers `start`, `stop` and `step`.

    `known` is what is known of the number of elements before: a number, a name or ``?``.
    """

    late = ("start", "stop", "step")
    piecewise_constant = True
    missing: ClassVar[dict[str, str]] = {"compute": UNKNOWN}

    dtype: str = "float32"
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, start: Type, stop: Type, step: Type) -> Type:
        for name, type_ in zip(self.late, (start, stop, step), strict=True):
            expect_number(self.name, name, type_, "number")
        return TensorType(known_sizes(self.name, self.known, 1), self.dtype)

    def static(self, values: Mapping[str, Array]) -> Operator:
        start, stop, step = (values[n].reshape(()).item() for n in self.late)
        if step == 0:
            raise TypeInferenceError(f"{self.name}: its step is 0")
        return Arange(start, stop, step, self.dtype)
