"""Ways to run a program. Each is loaded when it is first asked for."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from relay.ir.expr import Expr, Var
from relay.ir.module import IRModule
from relay.support.errors import RelayError

if TYPE_CHECKING:
    from relay.executor.calibration import get_calibration_data
    from relay.executor.graph import GraphFactory, GraphModule
    from relay.executor.graph_executor import GraphExecutor
    from relay.executor.interpreter import Interpreter
    from relay.executor.vm import VMExecutor

_LAZY: Final = {
    "GraphExecutor": "relay.executor.graph_executor",
    "GraphFactory": "relay.executor.graph",
    "GraphModule": "relay.executor.graph",
    "Interpreter": "relay.executor.interpreter",
    "VMExecutor": "relay.executor.vm",
    "get_calibration_data": "relay.executor.calibration",
}
"""Public name -> the module that has it."""

_KINDS: Final = {"debug": "Interpreter", "graph": "GraphExecutor", "vm": "VMExecutor"}
"""Kind of executor -> its class."""


class Executor(Protocol):
    """What `create_executor` makes: something that evaluates the functions of a module."""

    def evaluate(self, expr: Expr | None = None, binds: Mapping[Var, Any] | None = None) -> Any:
        """The value of `expr`, by default ``@main``; a function comes back as a callable."""


def create_executor(
    kind: str = "debug",
    mod: IRModule | None = None,
    device: object = None,
    target: object = "llvm",
    params: Mapping[str, Any] | None = None,
) -> Executor:
    """An executor for `mod`: ``create_executor("graph", mod).evaluate()(x)``.

    `kind` is ``"debug"``, the reference interpreter; ``"graph"``, which compiles straight-line
    programs for `target`; or ``"vm"``, which compiles the whole language. `params` are values of
    parameters of ``@main`` by name. Raises `RelayError` for another `kind`.
    """
    if kind not in _KINDS:
        expected = ", ".join(f'"{k}"' for k in _KINDS)
        raise RelayError(f"unknown kind of executor {kind!r}; expected one of {expected}")
    name = _KINDS[kind]
    executor: Executor = getattr(importlib.import_module(_LAZY[name]), name)(
        mod, device, target, params
    )
    return executor


__all__ = [
    "Executor",
    "GraphExecutor",
    "GraphFactory",
    "GraphModule",
    "Interpreter",
    "VMExecutor",
    "create_executor",
    "get_calibration_data",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
