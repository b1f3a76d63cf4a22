"""Convolutions, in one, two or three dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.sizes import Extent
from relay.ir.expr import Expr


@dataclass(frozen=True)
class Window:
    """How a kernel moves over an image; one entry for each spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def padding(self) -> tuple[int, ...]:
        """Padding before all axes, then after all axes, as Relay writes it."""
        return (*self.before, *self.after)

    @property
    def reach(self) -> tuple[int, ...]:
        """How many elements the dilated kernel spans."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def steps(self, image: Sequence[int]) -> tuple[int, ...]:
        """How many places it takes on each axis of an `image` of these sizes."""
        whole = zip(image, self.before, self.after, self.reach, self.strides, strict=True)
        return tuple((d + b + a - r) // s + 1 for d, b, a, r, s in whole)

    def touched(self, image: Sequence[int]) -> list[npt.NDArray[np.int64]]:
        """Along each axis, where each tap of each window reads; beside the image too.

        Each array has one dimension for each axis of the places, then one for each of the kernel.
        """
        rank = len(image)
        found = []
        for axis, steps in enumerate(self.steps(image)):
            starts = np.arange(steps) * self.strides[axis] - self.before[axis]
            at = starts[:, None] + np.arange(self.kernel[axis]) * self.dilations[axis]
            extent = [1] * (2 * rank)
            extent[axis], extent[rank + axis] = at.shape
            found.append(at.reshape(extent))
        return found


def _per_axis(node: Node, name: str, rank: int, default: int) -> tuple[int, ...]:
    found = node.integers(name) or [default] * rank
    if len(found) != rank or any(v < 1 for v in found):
        node.fail(f"its attribute {name!r} must have {rank} positive numbers, found {found}")
    return tuple(found)


def spatial_rank(node: Node, value: Expr) -> int:
    """How many axes follow batch and channels: one to three."""
    rank = node.rank(value) - 2
    if not 1 <= rank <= 3:
        node.unsupported(f"it works on {node.type_of(value)}; expected 1 to 3 spatial axes")
    return rank


def window(node: Node, image: Sequence[Extent], kernel: Sequence[int]) -> Window:
    """The window of a convolution or pooling over an image of spatial shape `image`."""
    rank = len(image)
    strides = _per_axis(node, "strides", rank, 1)
    dilations = _per_axis(node, "dilations", rank, 1)
    automatic = node.text("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        before, after = [], []
        for size, k, s, d in zip(node.fixed(image), kernel, strides, dilations, strict=True):
            total = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
            small, large = total // 2, total - total // 2
            before.append(small if automatic == "SAME_UPPER" else large)
            after.append(large if automatic == "SAME_UPPER" else small)
    elif automatic in ("NOTSET", "VALID", ""):
        pads = [0] * (2 * rank)
        if automatic != "VALID":
            pads = node.integers("pads") or pads
        if len(pads) != 2 * rank or any(p < 0 for p in pads):
            node.fail(f"its padding must be {2 * rank} numbers from 0 on, found {pads}")
        before, after = pads[:rank], pads[rank:]
    else:
        node.fail(f"its auto_pad {automatic!r} is not one of NOTSET, SAME_UPPER, SAME_LOWER, VALID")
    return Window(tuple(kernel), strides, dilations, tuple(before), tuple(after))


def add_bias(node: Node, value: Expr, bias: Expr | None) -> Expr:
    """`value` with one number added for each channel."""
    return value if bias is None else node.call("nn.bias_add", value, bias, axis=1)


def _kernel_shape(node: Node, weight: Expr, rank: int) -> tuple[int, ...]:
    if node.rank(weight) != rank + 2:
        node.fail(f"its weight must have {rank + 2} dimensions, found {node.shape(weight)}")
    kernel = node.shape(weight)[2:]
    if tuple(node.integers("kernel_shape") or kernel) != kernel:
        node.fail(f"its kernel_shape differs from that of its weight, {kernel}")
    return kernel


@onnx_op("", "Conv")
def convolution(node: Node) -> Expr:
    """Convolution (really a cross-correlation), in groups of channels."""
    return add_bias(node, convolve(node, node.arg(0), node.arg(1)), node.optional(2))


def convolve(node: Node, value: Expr, weight: Expr) -> Expr:
    """`value` and `weight` convolved as the attributes of `node` say."""
    rank = spatial_rank(node, value)
    moves = window(node, node.dims(value)[2:], _kernel_shape(node, weight, rank))
    return node.call(
        f"nn.conv{rank}d",
        value,
        weight,
        strides=moves.strides,
        padding=moves.padding,
        dilation=moves.dilations,
        groups=node.integer("group", 1),
        channels=node.shape(weight)[0],
        kernel_size=moves.kernel,
    )


@onnx_op("", "ConvTranspose")
def transposed_convolution(node: Node) -> Expr:
    """The transpose of a convolution: it makes the image larger by its strides."""
    value, weight = node.arg(0), node.arg(1)
    rank = spatial_rank(node, value)
    image = node.dims(value)[2:]
    kernel = _kernel_shape(node, weight, rank)
    strides = _per_axis(node, "strides", rank, 1)
    dilations = _per_axis(node, "dilations", rank, 1)
    extra = tuple(node.integers("output_padding") or [0] * rank)
    moves = Window(kernel, strides, dilations, (0,) * rank, (0,) * rank)
    automatic = node.text("auto_pad", "NOTSET")
    full = [
        s * (size - 1) + e + reach
        for size, s, e, reach in zip(image, strides, extra, moves.reach, strict=True)
    ]
    wanted = node.integers("output_shape")
    if wanted is None and automatic in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [size * s for size, s in zip(node.fixed(image), strides, strict=True)]
    if wanted is not None:
        whole = node.fixed(full)
        total = [max(0, f - w) for f, w in zip(whole, wanted[-rank:], strict=True)]
        # What must grow beyond the full size is left to the padding of the output.
        grown = [max(0, w - f) for f, w in zip(whole, wanted[-rank:], strict=True)]
        extra = tuple(e + g for e, g in zip(extra, grown, strict=True))
        half, rest = [t // 2 for t in total], [t - t // 2 for t in total]
        before, after = (half, rest) if automatic == "SAME_UPPER" else (rest, half)
    else:
        pads = window(node, image, kernel)
        before, after = list(pads.before), list(pads.after)
    groups = node.integer("group", 1)
    result = node.call(
        f"nn.conv{rank}d_transpose",
        value,
        weight,
        channels=node.shape(weight)[1] * groups,
        kernel_size=kernel,
        strides=strides,
        output_padding=extra,
        padding=(*before, *after),
        dilation=dilations,
        groups=groups,
    )
    return add_bias(node, result, node.optional(2))
