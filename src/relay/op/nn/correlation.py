"""How well two images match at displacements of one another."""

from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.nn.common import full_padding, pad_tensor
from relay.op.shapes import expect_kind, expect_same_dtype, put, unify_dim
from relay.support.errors import TypeInferenceError


@operator(
    "nn.correlation", inputs=("data1", "data2"), pattern=Pattern.OUT_ELEMWISE_FUSABLE, level=2
)
class Correlation(Operator):
    """For every displacement, the mean product of patches of `data1` and of `data2`, moved by it.

    Both are (N, C, H, W). Patches of `kernel_size` (odd) lie `stride1` apart, displacements are
    multiples of `stride2` up to `max_displacement` in both directions: they are the channels of the
    result, row by row. Without `is_multiply` it is the mean absolute difference. `padding` is one
    integer, two or four. A. Dosovitskiy et al., "FlowNet", 2015.
    """

    kernel_size: int = 1
    max_displacement: int = 1
    stride1: int = 1
    stride2: int = 1
    padding: tuple[int, ...] = (0, 0, 0, 0)
    is_multiply: bool = True
    layout: str = "NCHW"

    missing: ClassVar[dict[str, str]] = {"gradient": "it is not derived"}

    def __post_init__(self) -> None:
        put(self, "padding", full_padding(self.padding, 2))
        put(self, "is_multiply", bool(self.is_multiply))
        if self.kernel_size % 2 != 1 or self.kernel_size < 1:
            raise ValueError(f"kernel_size must be odd, found {self.kernel_size}")
        if min(self.stride1, self.stride2) < 1 or self.max_displacement < 0:
            raise ValueError("strides must be positive, max_displacement not negative")
        if self.layout != "NCHW" or min(self.padding) < 0:
            raise ValueError(
                f"layout must be NCHW and padding not negative, found {self.layout!r} and "
                f"{self.padding}"
            )

    @property
    def _radius(self) -> int:
        """How many displacements there are in each direction."""
        return self.max_displacement // self.stride2

    def _count(self, size: te.Dim, k: int) -> te.Dim:
        """How many patches there are along spatial axis `k`."""
        border = (self.kernel_size - 1) // 2 + self.max_displacement
        rest = size + (self.padding[k] + self.padding[2 + k] - 2 * border)
        return (rest + (self.stride1 - 1)) // self.stride1

    def infer(self, data1: Type, data2: Type) -> Type:
        x = expect_kind(self.name, "data1", data1, "float")
        y = expect_kind(self.name, "data2", data2, "float")
        expect_same_dtype(self.name, x, y)
        if not len(x.shape) == len(y.shape) == 4:
            raise TypeInferenceError(f"{self.name}: expected (N, C, H, W), found {x} and {y}")
        batch, _, *sizes = (
            unify_dim(self.name, a, b, "the sizes of data1 and data2")
            for a, b in zip(x.shape, y.shape, strict=True)
        )
        counts: list[Dim] = []
        for k, size in enumerate(sizes):
            count = self._count(size, k) if isinstance(size, int) else Any()
            if isinstance(count, int) and count < 1:
                raise TypeInferenceError(
                    f"{self.name}: displacements of {self.max_displacement} leave no patch in {x}"
                )
            assert isinstance(count, int | Any)
            counts.append(count)
        return TensorType((batch, (2 * self._radius + 1) ** 2, *counts), x.dtype)

    def compute(self, data1: te.Tensor, data2: te.Tensor) -> te.Tensor:
        top, left, bottom, right = self.padding
        first, second = (
            pad_tensor(t, (0, 0, top, left), (0, 0, bottom, right), 0.0) for t in (data1, data2)
        )
        across = 2 * self._radius + 1
        channels, size = data1.shape[1], self.kernel_size
        counts = [self._count(data1.shape[2 + k], k) for k in (0, 1)]

        def element(n: te.Var, q: te.Var, i: te.Var, j: te.Var) -> te.Expr:
            c, r, s = (te.reduce_axis(e, v) for e, v in ((channels, "c"), (size, "r"), (size, "s")))
            y = i * self.stride1 + r.var + self.max_displacement
            x = j * self.stride1 + s.var + self.max_displacement
            down = (q // across - self._radius) * self.stride2
            aside = (q % across - self._radius) * self.stride2
            a, b = first(n, c.var, y, x), second(n, c.var, y + down, x + aside)
            matched = a * b if self.is_multiply else te.unary("abs", a - b)
            return te.reduce_sum(matched, (c, r, s))

        shape = (data1.shape[0], across * across, *counts)
        summed = te.compute(shape, element, "correlation_sum")
        count = te.cast(te.as_expr(channels, te.INDEX) * (size * size), data1.dtype)
        return te.compute(shape, lambda *i: summed(*i) / count, "correlation")

    def reference(self, data1: Array, data2: Array) -> Array:
        top, left, bottom, right = self.padding
        border = ((0, 0), (0, 0), (top, bottom), (left, right))
        first, second = np.pad(data1, border), np.pad(data2, border)
        d, size, radius = self.max_displacement, self.kernel_size, self._radius
        height, width = (int(self._count(data1.shape[2 + k], k)) for k in (0, 1))  # type: ignore[arg-type]
        result = np.zeros((data1.shape[0], (2 * radius + 1) ** 2, height, width), data1.dtype)
        moves = np.arange(-radius, radius + 1) * self.stride2
        for q, (down, aside) in enumerate((a, b) for a in moves for b in moves):
            for i, j in np.ndindex(height, width):
                y, x = i * self.stride1 + d, j * self.stride1 + d
                a = first[:, :, y : y + size, x : x + size]
                b = second[:, :, y + down : y + down + size, x + aside : x + aside + size]
                matched = a * b if self.is_multiply else np.abs(a - b)
                result[:, q, i, j] = matched.mean(axis=(1, 2, 3))
        return result
