"""Layouts that the user chooses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from relay.ir.expr import Function, Op
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.module import IRModule
from relay.ir.op import Operator, with_attributes
from relay.ir.types import TensorType, Type
from relay.op.nn.adaptive_pooling import WholePooling
from relay.op.nn.convolution import Convolution
from relay.op.nn.pooling import Pooling
from relay.op.nn.transposed import TransposedConvolution
from relay.support.errors import RelayError
from relay.transform.base import FunctionPass, PassContext
from relay.transform.layout_engine import carry_layouts
from relay.transform.layout_rules import Changes

DEFAULT_KERNEL_LAYOUTS = {
    "NCW": "OIW",
    "NWC": "WIO",
    "NCHW": "OIHW",
    "NHWC": "HWIO",
    "NCDHW": "OIDHW",
    "NDHWC": "DHWIO",
}
"""The kernel layout that goes with a data layout where the user leaves it to the compiler."""


@final
@dataclass(frozen=True)
class ConvertLayout(FunctionPass):
    """Run operators in the layouts that `desired_layouts` gives for them.

    ``{"nn.conv2d": ["NHWC", "default"], "nn.max_pool2d": ["NHWC"]}`` names the data layout and, for
    convolutions, the kernel layout; ``"default"`` keeps the data layout, or takes the kernel layout
    that goes with the data layout.

    Contract: the operators around follow as far as they can, ``layout_transform`` stands where they
    cannot. A call whose sizes do not fit the layout stays as it is. The meaning stays up to the
    order of summation. Raises `RelayError` for operators that do not exist or have no layout.
    """

    opt_level: ClassVar[int] = 3
    desired_layouts: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        for name, layouts in self.desired_layouts.items():
            kind = Op.get(name).declaration
            bases = (Convolution, TransposedConvolution, Pooling, WholePooling)
            if not (isinstance(kind, type) and issubclass(kind, bases)):
                raise RelayError(f"ConvertLayout: {name} has no layout that could be converted")
            if not 1 <= len(layouts) <= 2:
                raise RelayError(
                    f"ConvertLayout: {name} takes a data layout and a kernel layout, "
                    f"found {list(layouts)}"
                )

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        return carry_layouts(func, self._plan)

    def _plan(
        self, declaration: Operator, incoming: Changes, types: tuple[Type, ...]
    ) -> LayoutPlan | None:
        desired = self.desired_layouts.get(declaration.name)
        shapes = [t.shape for t in types if isinstance(t, TensorType)]
        if desired is None or len(shapes) != len(types):
            return None
        match declaration:
            case Convolution() | TransposedConvolution():
                plan = _convolution(declaration, desired)
            case Pooling() | WholePooling():
                plan = _pooling(declaration, desired)
            case _:
                return None
        changes = [c for c in plan.inputs if isinstance(c, LayoutChange)]
        if not all(c.fits(s) for c, s in zip(changes, shapes, strict=True)):
            return None
        return None if all(c.is_identity for c in changes) else plan


def _convolution(
    declaration: Convolution | TransposedConvolution, desired: Sequence[str]
) -> LayoutPlan:
    data_layout = declaration.data_layout if desired[0] == "default" else desired[0]
    kernel_layout = desired[1] if len(desired) == 2 else "default"
    if kernel_layout == "default":
        if data_layout == declaration.data_layout:
            kernel_layout = declaration.kernel_layout
        elif data_layout in DEFAULT_KERNEL_LAYOUTS:
            kernel_layout = DEFAULT_KERNEL_LAYOUTS[data_layout]
        else:
            raise RelayError(
                f"ConvertLayout: no kernel layout goes by default with {data_layout}; give one "
                f"for {declaration.name}"
            )
    moved = with_attributes(
        declaration, data_layout=data_layout, kernel_layout=kernel_layout, out_layout=""
    )
    data, out = Layout(declaration.data_layout), declaration.out_layout or declaration.data_layout
    arguments = (
        LayoutChange(data, Layout(data_layout)),
        LayoutChange(Layout(declaration.kernel_layout), Layout(kernel_layout)),
    )
    return LayoutPlan(moved, arguments, (LayoutChange(Layout(out), Layout(data_layout)),))


def _pooling(declaration: Pooling | WholePooling, desired: Sequence[str]) -> LayoutPlan:
    layout = declaration.layout if desired[0] == "default" else desired[0]
    change = LayoutChange(Layout(declaration.layout), Layout(layout))
    moved = with_attributes(declaration, layout=layout, out_layout="")
    return LayoutPlan(moved, (change,), (change,))
