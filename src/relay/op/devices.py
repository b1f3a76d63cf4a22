"""Where values are computed. A program runs on one device: what names another one is refused."""

from typing import ClassVar

from relay.ir.expr import Call, Expr
from relay.ir.op import Gradients, Operator, Pattern, operator
from relay.ir.types import Type
from relay.op.functions import Argument, as_argument
from relay.runtime.device import Device, cpu
from relay.support.errors import UnsupportedError

_EXPANDED = {"compute": "on one device there is nothing to do: compilers leave it out"}


def as_device(device: Device | str) -> str:
    """The name of a device: ``cpu(0)``."""
    text = str(device)
    return text if not text or text.endswith(")") else f"{text}(0)"


def _check(operator_name: str, *devices: str) -> None:
    """Raise `UnsupportedError` where one of `devices` is another one than programs run on."""
    for device in devices:
        if device and device != str(cpu()):
            raise UnsupportedError(
                f"{operator_name}: a program runs on {cpu()}, but this value is wanted on {device}"
            )


@operator("on_device", inputs=("body",), pattern=Pattern.OPAQUE, level=10)
class OnDevice(Operator):
    """`body`, of any type, computed on `virtual_device`, such as ``"cpu(0)"``; empty is any device.

    With `constrain_body` it is computed there, with `constrain_result` the result is wanted there.
    Building or running a program for a device other than the CPU raises `UnsupportedError`.
    """

    takes_small = True

    virtual_device: str = ""
    constrain_result: bool = False
    constrain_body: bool = True

    missing: ClassVar[dict[str, str]] = _EXPANDED

    def infer(self, body: Type) -> Type:
        return body

    def expand(self, body: Expr) -> Expr:
        _check(self.name, self.virtual_device)
        return body

    def reference(self, body: object) -> object:
        _check(self.name, self.virtual_device)
        return body

    def gradient(self, grad: Expr, result: Expr, body: Expr) -> Gradients:
        return (grad,)


@operator("device_copy", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class DeviceCopy(Operator):
    """`data`, brought from `src_virtual_device` to `dst_virtual_device`, such as ``"cpu(0)"``.

    Building or running a program for a device other than the CPU raises `UnsupportedError`.
    """

    takes_small = True

    src_virtual_device: str = ""
    dst_virtual_device: str = ""

    missing: ClassVar[dict[str, str]] = _EXPANDED

    def infer(self, data: Type) -> Type:
        return data

    def expand(self, data: Expr) -> Expr:
        _check(self.name, self.src_virtual_device, self.dst_virtual_device)
        return data

    def reference(self, data: object) -> object:
        _check(self.name, self.src_virtual_device, self.dst_virtual_device)
        return data

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        return (grad,)


def device_copy(data: Argument, src_device: Device | str, dst_device: Device | str) -> Call:
    """`data`, brought from one device to another; see `DeviceCopy`."""
    return DeviceCopy.call(
        as_argument(data),
        src_virtual_device=as_device(src_device),
        dst_virtual_device=as_device(dst_device),
    )


__all__ = ["DeviceCopy", "OnDevice", "as_device", "device_copy"]
