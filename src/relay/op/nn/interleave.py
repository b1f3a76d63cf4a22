"""The phases of an enlarged image, put between each other."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import te
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.op import Array, Operator, Pattern, expect_tensor, operator, with_attributes
from relay.ir.types import Any, TensorType, Type
from relay.op.nn.common import from_primal, layout_of, to_primal
from relay.op.shapes import put
from relay.support.errors import TypeInferenceError


@operator(
    "nn.contrib_interleave",
    inputs=("data",),
    pattern=Pattern.INJECTIVE,
    level=10,
)
class Interleave(Operator):
    """Images enlarged by `strides`, out of one image for every remainder of a position by them.

    Data (N, groups * phases * C, *positions), where ``phases = prod(strides)``; within a group the
    number of a channel is made up of phase and channel. Result (N, groups * C, *size): element
    ``y`` of it is at position ``(y + begin) // strides`` of the phase ``(y + begin) % strides``,
    phases counted in row-major order. `channels` is ``groups * C``; more channels of data than
    that needs are left out, where there is one group.

    It is not one of Relay's operators; `relay.transform.DecomposeTransposedConv` makes transposed
    convolutions of it and a convolution.
    """

    takes_small = True
    missing: ClassVar[dict[str, str]] = {
        "gradient": "programs are differentiated before they are optimised"
    }
    strides: tuple[int, ...]
    begin: tuple[int, ...]
    size: tuple[int, ...]
    channels: int
    groups: int = 1
    layout: str = "NCHW"

    def __post_init__(self) -> None:
        for name in ("strides", "begin", "size"):
            put(self, name, tuple(getattr(self, name)))
        if not len(self.strides) == len(self.begin) == len(self.size):
            raise TypeInferenceError(f"{self.name}: strides, begin and size must be of one length")
        if min(self.strides) < 1 or min(self.begin) < 0 or min(self.size) < 1:
            raise TypeInferenceError(
                f"{self.name}: strides and size must be positive and begin not negative"
            )
        if self.groups < 1 or self.channels % self.groups:
            raise TypeInferenceError(
                f"{self.name}: {self.channels} channels do not make {self.groups} groups"
            )

    @property
    def spatial(self) -> str:
        """The letters of the spatial axes."""
        return "DHW"[3 - len(self.strides) :]

    def parsed_layout(self) -> Layout:
        """The layout, checked: at most channels are blocked, in blocks that divide a group."""
        layout = layout_of(self.name, "layout", self.layout, "NC" + self.spatial)
        if len(layout.factors("C")) > 1 or any(layout.factors(c) for c in "N" + self.spatial):
            raise TypeInferenceError(f"{self.name}: only channels may be blocked, and once")
        if (self.channels // self.groups) % layout.block("C"):
            raise TypeInferenceError(
                f"{self.name}: blocks of {layout.block('C')} do not divide the "
                f"{self.channels // self.groups} channels of a group"
            )
        return layout

    def infer(self, data: Type) -> Type:
        x = expect_tensor(self.name, "data", data)
        layout = self.parsed_layout()
        sizes = layout.extents(x.shape)
        needed = self.channels * math.prod(self.strides)
        found = sizes["C"]
        if isinstance(found, int) and (found < needed or (self.groups > 1 and found != needed)):
            raise TypeInferenceError(
                f"{self.name}: expected {needed} channels of data for {self.channels} channels "
                f"and {math.prod(self.strides)} phases, found {found}"
            )
        for c, stride, begin, size in zip(
            self.spatial, self.strides, self.begin, self.size, strict=True
        ):
            positions = sizes[c]
            if not isinstance(positions, Any) and begin + size > positions * stride:
                raise TypeInferenceError(
                    f"{self.name}: {positions} positions along {c} give {positions * stride} "
                    f"elements, expected at least {begin + size}"
                )
        out = {"N": sizes["N"], "C": self.channels}
        out |= dict(zip(self.spatial, self.size, strict=True))
        return TensorType(layout.shape(out), x.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        layout = self.parsed_layout()
        sizes = layout.components(data.shape)
        block = layout.block("C")
        per_group = self.channels // self.groups // block
        phases = math.prod(self.strides)
        shape: dict[str, tuple[te.Dim, ...]] = {
            "N": sizes["N"],
            "C": (self.channels // block, *layout.factors("C")),
        }
        shape |= {c: (size,) for c, size in zip(self.spatial, self.size, strict=True)}

        def element(*indices: te.Var) -> te.Expr:
            at = layout.components(indices)
            phase: te.Expr = te.const(0, te.INDEX)
            source: dict[str, Sequence[te.Operand]] = {"N": at["N"]}
            for c, stride, begin in zip(self.spatial, self.strides, self.begin, strict=True):
                position = at[c][0] + begin
                source[c] = (position // stride,)
                phase = phase * stride + position % stride
            channel: te.Expr = at["C"][0]
            if self.groups > 1:
                group, channel = channel // per_group, channel % per_group
                channel = channel + group * (phases * per_group)
            source["C"] = (phase * per_group + channel, *at["C"][1:])
            return data(*layout.place(source))

        return te.compute(layout.place(shape), element, "interleave")

    def reference(self, data: Array) -> Array:
        layout, rank = self.parsed_layout(), len(self.strides)
        x = to_primal(data, layout, "NC" + self.spatial)
        n, positions = x.shape[0], x.shape[2:]
        x = x[:, : self.channels * math.prod(self.strides)]
        x = x.reshape(n, self.groups, *self.strides, self.channels // self.groups, *positions)
        order = [0, 1, 2 + rank]
        for k in range(rank):
            order += [3 + rank + k, 2 + k]
        grown = [p * s for p, s in zip(positions, self.strides, strict=True)]
        y = x.transpose(order).reshape(n, self.channels, *grown)
        for k, (begin, size) in enumerate(zip(self.begin, self.size, strict=True)):
            y = np.take(y, range(begin, begin + size), axis=2 + k)
        return from_primal(y, "NC" + self.spatial, layout)

    def layouts(
        self, incoming: tuple[LayoutChange | None, ...], types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        """Any layout of blocks of channels that divide the channels of a group."""
        change = incoming[0]
        if change is None or change.source.name != self.layout or change.source.is_blocked:
            return None
        target = change.target
        if any(target.factors(c) for c in "N" + self.spatial) or len(target.factors("C")) > 1:
            return None
        if (self.channels // self.groups) % target.block("C"):
            return None
        moved = with_attributes(self, layout=target.name)
        return LayoutPlan(moved, (change,), (change,))
