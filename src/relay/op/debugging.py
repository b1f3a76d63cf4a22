"""The operator `debug`: a value on its way through a program, shown to Python."""

from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar

from relay.ir.expr import Call, Expr
from relay.ir.op import Gradients, Operator, Pattern, operator
from relay.ir.types import Type
from relay.op.functions import Argument, as_argument


@operator("debug", inputs=("program",), pattern=Pattern.OPAQUE, level=6)
class Debug(Operator):
    """`program` itself, of any type; when it is evaluated, ``debug_func(value)`` is called.

    Without `debug_func`, Python's ``breakpoint()`` is. Passes neither remove nor merge its calls,
    and keep their order. It runs in the interpreter only; `relay.transform.RemoveDebug` takes it
    out. The text of a program leaves `debug_func` out: a Python function has none.
    """

    takes_small = True
    debug_func: Callable[[Any], object] | None = field(default=None, repr=False)

    stateful: ClassVar[bool] = True
    missing: ClassVar[dict[str, str]] = {
        "compute": "it calls Python; relay.transform.RemoveDebug() takes it out of a module"
    }

    def __post_init__(self) -> None:
        if self.debug_func is not None and not callable(self.debug_func):
            raise ValueError(f"debug_func is a Python function of a value, not {self.debug_func!r}")

    def infer(self, program: Type) -> Type:
        return program

    def reference(self, program: object) -> object:
        return program

    def gradient(self, grad: Expr, result: Expr, program: Expr) -> Gradients:
        return (grad,)


def debug(expr: Argument, debug_func: Callable[[Any], object] | None = None) -> Call:
    """`expr`, whose value `debug_func` is called with whenever the interpreter has it.

    The value is an array, a tuple, data, a reference or a Python function, as
    ``relay.create_executor("debug")`` gives them; what `debug_func` returns is ignored, what it
    raises ends the evaluation. By default Python's ``breakpoint()`` stops the program where the
    value is ``value``. (Relay: ``relay.op.debug``.)

    Raises `ValueError` when `debug_func` cannot be called.
    """
    return Debug.call(as_argument(expr), debug_func=debug_func)


__all__ = ["Debug", "debug"]
