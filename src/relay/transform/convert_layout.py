"""Layouts that the user chooses."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
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


class _Entered(threading.local):
    """The configurations entered in this thread, innermost last."""

    def __init__(self) -> None:
        self.stack: list[LayoutConfig] = []


_ENTERED = _Entered()


class _WithCurrent(type):
    """Lets ``LayoutConfig.current`` be read like an attribute, as Relay has it."""

    @property
    def current(cls) -> "LayoutConfig | None":
        """The innermost configuration of this thread; None outside of any `with`."""
        return _ENTERED.stack[-1] if _ENTERED.stack else None


class LayoutConfig(metaclass=_WithCurrent):
    """While entered, `ConvertLayout` leaves some convolutions as they are.

    `skip_layers` numbers them, from 0, among the convolutions that the pass would convert, in order
    of evaluation, function by function; a second run of the pass goes on counting, `reset` begins
    anew. ::

        with LayoutConfig(skip_layers=[0]):
            module = ConvertLayout({"nn.conv2d": ["NHWC", "default"]})(module)
    """

    def __init__(self, skip_layers: Iterable[int] | None = None) -> None:
        self.skip_counter = 0
        self.skip_layers = list(skip_layers or ())

    def check_skip(self) -> bool:
        """Count one convolution; whether it is to stay as it is."""
        skip = self.skip_counter in self.skip_layers
        self.skip_counter += 1
        return skip

    def reset(self) -> None:
        """Count from 0 again, and skip nothing."""
        self.skip_counter = 0
        self.skip_layers = []

    def __enter__(self) -> "LayoutConfig":
        _ENTERED.stack.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _ENTERED.stack.pop()


@final
@dataclass(frozen=True)
class ConvertLayout(FunctionPass):
    """Run operators in the layouts that `desired_layouts` gives for them.

    ``{"nn.conv2d": ["NHWC", "default"], "nn.max_pool2d": ["NHWC"]}`` names the data layout and, for
    convolutions, the kernel layout; ``"default"`` keeps the data layout, or takes the kernel layout
    that goes with the data layout.

    Contract: the operators around follow as far as they can, ``layout_transform`` stands where they
    cannot. A call whose sizes do not fit the layout stays as it is, and so does one that the
    current `LayoutConfig` skips. The meaning stays up to the order of summation. Raises
    `RelayError` for operators that do not exist or have no layout.
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
        if desired is None:
            return None
        config = LayoutConfig.current
        counted = isinstance(declaration, Convolution | TransposedConvolution)
        if counted and config is not None and config.check_skip():
            return None
        if len(shapes) != len(types):
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
