"""Blocks of pixels as channels, as Darknet arranges them."""

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import Any, TensorType, Type
from relay.op.gradients import known_shape, permuted, reshaped
from relay.op.shapes import expect_kind, te_unflatten
from relay.support.errors import TypeInferenceError


@operator("vision.yolo_reorg", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class YoloReorg(Operator):
    """Darknet's reorganisation: blocks of `stride` by `stride` elements become channels.

    (N, C, H, W) to (N, C * stride ** 2, H / stride, W / stride). As in Darknet, `data` is read as
    if it had C / stride ** 2 channels of `stride` times the height and width, of which the blocks
    are taken; hence the number of channels is a multiple of ``stride ** 2``.
    """

    stride: int = 1

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise ValueError(f"stride must be positive, found {self.stride}")

    def infer(self, data: Type) -> Type:
        tensor = expect_kind(self.name, "data", data, "any")
        if len(tensor.shape) != 4:
            raise TypeInferenceError(f"{self.name}: expected data (N, C, H, W), found {tensor}")
        n, c, h, w = tensor.shape
        area = self.stride**2
        for size, least in ((c, area), (h, self.stride), (w, self.stride)):
            if isinstance(size, int) and size % least:
                raise TypeInferenceError(
                    f"{self.name}: with the stride {self.stride} channels must be a multiple of "
                    f"{area}, height and width of {self.stride}; found {tensor}"
                )
        moved = [
            Any() if isinstance(c, Any) else c * area,
            *(Any() if isinstance(s, Any) else s // self.stride for s in (h, w)),
        ]
        return TensorType((n, *moved), tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        s = self.stride
        n, c, h, w = data.shape
        outer = c // (s * s)
        shape = (n, c * (s * s), h // s, w // s)

        def element(image: te.Var, channel: te.Var, y: te.Var, x: te.Var) -> te.Expr:
            # Where it is in the result of the shape of the data, and from which block there.
            place = (channel * (h // s) + y) * (w // s) + x
            k, row, column = te_unflatten(place, (c, h, w))
            block = k // outer
            above = ((k % outer) * h + row) * s + block // s
            source = (above * w + column) * s + block % s
            return data(image, *te_unflatten(source, (c, h, w)))

        return te.compute(shape, element, "reorg")

    def reference(self, data: Array) -> Array:
        s = self.stride
        n, c, h, w = data.shape
        blocks = data.reshape(n, c // (s * s), h, s, w, s)
        return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(n, c * s * s, h // s, w // s)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        s = self.stride
        n, c, h, w = known_shape(self.name, data)
        blocks = reshaped(grad, (n, s, s, c // (s * s), h, w))
        return (reshaped(permuted(blocks, (0, 3, 4, 1, 5, 2)), (n, c, h, w)),)
