"""A buffer of what came last, for models that take in a stream."""

import numpy as np

from relay import te
from relay.ir.expr import Expr, Tuple, TupleGetItem
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.gradients import known_shape, make, zero_of
from relay.op.shapes import expect_same_dtype, normalize_axis, replaced, unify_dim
from relay.support.errors import TypeInferenceError


@operator("nn.fifo_buffer", inputs=("data", "buffer"), pattern=Pattern.OPAQUE, level=3)
class FIFOBuffer(Operator):
    """`buffer` moved towards the front of `axis`, with `data` behind it; the size stays."""

    takes_small = True
    axis: int = 0

    def infer(self, data: Type, buffer: Type) -> Type:
        new, old = (expect_tensor(self.name, n, t) for n, t in (("data", data), ("buffer", buffer)))
        expect_same_dtype(self.name, new, old)
        if len(new.shape) != len(old.shape):
            raise TypeInferenceError(
                f"{self.name}: data and buffer must be of one rank, found {new} and {old}"
            )
        axis = normalize_axis(self.name, self.axis, len(old.shape))
        shape = list(old.shape)
        for k, (a, b) in enumerate(zip(new.shape, old.shape, strict=True)):
            if k != axis:
                shape[k] = unify_dim(self.name, a, b, f"the sizes of dimension {k}")
            elif isinstance(a, int) and isinstance(b, int) and a > b:
                raise TypeInferenceError(
                    f"{self.name}: the data are of size {a} along axis {axis}, which is more than "
                    f"the buffer has, {b}"
                )
        return TensorType(shape, old.dtype)

    def compute(self, data: te.Tensor, buffer: te.Tensor) -> te.Tensor:
        axis = self.axis % buffer.ndim
        new, size = data.shape[axis], buffer.shape[axis]

        def element(*i: te.Var) -> te.Expr:
            moved, kept = i[axis] + new, te.as_expr(size, te.INDEX) - new
            old = buffer(*replaced(i, axis, moved))
            return te.select(moved < size, old, data(*replaced(i, axis, i[axis] - kept)))

        return te.compute(buffer.shape, element, "fifo_buffer")

    def reference(self, data: Array, buffer: Array) -> Array:
        _, kept = np.split(buffer, [data.shape[self.axis]], axis=self.axis)
        return np.concatenate([kept, data], axis=self.axis)

    def gradient(self, grad: Expr, result: Expr, data: Expr, buffer: Expr) -> Gradients:
        shape, new = known_shape(self.name, buffer), known_shape(self.name, data)
        axis = self.axis % len(shape)
        cut = shape[axis] - new[axis]
        parts = make("split", grad, indices_or_sections=(cut,), axis=axis)
        old, late = (TupleGetItem(parts, k) for k in (0, 1))
        before = make("zeros_like", late)
        if cut == 0:
            return late, zero_of(buffer.checked_type, buffer)
        return late, make("concatenate", Tuple([before, old]), axis=axis)
