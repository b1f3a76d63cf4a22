"""What rounding to few bits does to floating-point numbers, before they are integers."""

from collections.abc import Callable
from typing import Final

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import total
from relay.op.shapes import expect_kind
from relay.support.errors import TypeInferenceError

#: The kind of a value that is not rounded.
IDENTITY = 0

_ROUNDINGS: Final[dict[str, Callable[[Array], Array]]] = {
    "round": np.round,
    "floor": np.floor,
    "ceil": np.ceil,
}


@operator(
    "relay.op.annotation.simulated_quantize",
    inputs=("data", "dom_scale", "clip_min", "clip_max"),
    pattern=Pattern.ELEMWISE,
    level=11,
)
class SimulatedQuantize(Operator):
    """``round(clip(data / dom_scale, clip_min, clip_max)) * dom_scale``: the values that remain.

    The other arguments are scalars of the data type of `data`. Rounding is as `rounding` says:
    ``"round"`` (to the nearest, halves to even), ``"floor"`` or ``"ceil"``. Where `kind` is 0 the
    data stays as it is; other kinds, and `sign`, tell quantisation what the values are.
    """

    kind: int
    sign: bool = True
    rounding: str = "round"

    def __post_init__(self) -> None:
        if self.rounding not in _ROUNDINGS:
            raise ValueError(
                f"rounding must be one of {', '.join(_ROUNDINGS)}, found {self.rounding!r}"
            )

    def infer(self, data: Type, dom_scale: Type, clip_min: Type, clip_max: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "float")
        for argument, type_ in zip(self.inputs[1:], (dom_scale, clip_min, clip_max), strict=True):
            if type_ != TensorType((), tensor.dtype):
                raise TypeInferenceError(
                    f"{self.name}: expected a scalar of type {tensor.dtype} for {argument}, "
                    f"found {type_}"
                )
        return tensor

    def compute(
        self, data: te.Tensor, dom_scale: te.Tensor, clip_min: te.Tensor, clip_max: te.Tensor
    ) -> te.Tensor:
        def element(*i: te.Var) -> te.Expr:
            if self.kind == IDENTITY:
                return data(*i)
            kept = te.clamp(data(*i) / dom_scale(), clip_min(), clip_max())
            return te.unary(self.rounding, kept) * dom_scale()

        return te.compute(data.shape, element, "simulated_quantize")

    def reference(self, data: Array, dom_scale: Array, clip_min: Array, clip_max: Array) -> Array:
        if self.kind == IDENTITY:
            return data
        kept = np.minimum(np.maximum(data / dom_scale, clip_min), clip_max)
        return np.asarray(_ROUNDINGS[self.rounding](kept) * dom_scale, data.dtype)

    def gradient(
        self,
        grad: Expr,
        result: Expr,
        data: Expr,
        dom_scale: Expr,
        clip_min: Expr,
        clip_max: Expr,
    ) -> Gradients:
        if self.kind == IDENTITY:
            return grad, None, None, None
        # What is rounded stays as it is for small changes; the scale brings it back.
        return None, total(grad * result, dom_scale) / dom_scale, None, None
