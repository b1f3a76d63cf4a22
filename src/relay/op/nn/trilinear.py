"""The three maps of a convolution, each of which has the other two as its gradients.

Consider the sum over everything of ``result[n, o, y] * data[n, i, at] * weight[o, i, k]`` with
``at = y * stride + k * dilation - padding``. Its derivative by each of the three factors is a map
of the other two: the convolution, the transposed convolution and the weight's gradient. So each of
them is linear in both of its arguments, and has the other two as gradients.
"""

from dataclasses import dataclass

from relay.ir.expr import Expr
from relay.ir.layout import Layout
from relay.op.gradients import converted, known_shape, make
from relay.support.errors import UnsupportedError


def swapped(kernel_layout: str) -> str:
    """A kernel layout with the letters O and I exchanged."""
    return kernel_layout.translate(str.maketrans("OI", "IO"))


@dataclass(frozen=True)
class Trilinear:
    """What the three maps of one convolution share; layouts are as the convolution has them."""

    operator_name: str
    spatial: str
    strides: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    data_layout: str
    kernel_layout: str
    out_layout: str

    def __post_init__(self) -> None:
        layouts = (self.data_layout, self.kernel_layout, self.out_layout)
        if any(Layout(name).is_blocked for name in layouts):
            raise UnsupportedError(
                f"the gradient of {self.operator_name} needs layouts that are not blocked, found "
                f"{', '.join(layouts)}; differentiate before choosing layouts"
            )

    def _call(self, kind: str, *args: Expr, **attributes: object) -> Expr:
        return make(
            f"nn.conv{len(self.spatial)}d{kind}",
            *args,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            **attributes,
        )

    def _sizes(self, value: Expr, layout: str) -> tuple[int, ...]:
        sizes = Layout(layout).extents(known_shape(self.operator_name, value))
        return tuple(s for c in self.spatial if isinstance(s := sizes[c], int))

    def result(self, data: Expr, weight: Expr, like: Expr) -> Expr:
        """The convolution of `data` with `weight`, of the type of `like`."""
        found = self._call(
            "",
            converted(data, like),
            converted(weight, like),
            data_layout=self.data_layout,
            kernel_layout=self.kernel_layout,
            out_layout=self.out_layout,
        )
        shape = known_shape(self.operator_name, like)
        if known_shape(self.operator_name, found) == shape:
            return found
        return make("strided_slice", found, begin=(0,) * len(shape), end=shape)

    def data(self, result: Expr, weight: Expr, like: Expr) -> Expr:
        """The transposed convolution of `result` with `weight`, of the type of `like`."""
        rank = len(self.spatial)
        sizes, outputs = self._sizes(like, self.data_layout), self._sizes(result, self.out_layout)
        window = self._sizes(weight, self.kernel_layout)
        left: list[int] = []
        for k in range(rank):
            reach = (outputs[k] - 1) * self.strides[k] + (window[k] - 1) * self.dilation[k] + 1
            left.append(sizes[k] + self.padding[k] + self.padding[rank + k] - reach)
        return self._call(
            "_transpose",
            converted(result, like),
            converted(weight, like),
            data_layout=self.out_layout,
            kernel_layout=swapped(self.kernel_layout),
            out_layout=self.data_layout,
            output_padding=tuple(left),
        )

    def weight(self, result: Expr, data: Expr, like: Expr) -> Expr:
        """The weight's gradient from `result` and `data`, of the type of `like`."""
        return self._call(
            "_backward_weight",
            converted(result, like),
            converted(data, like),
            kernel_size=self._sizes(like, self.kernel_layout),
            grad_layout=self.out_layout,
            data_layout=self.data_layout,
            kernel_layout=self.kernel_layout,
        )
