"""Ways to run a program."""

from collections.abc import Mapping

from relay.executor.interpreter import Argument, Interpreter
from relay.ir.module import IRModule
from relay.support.errors import RelayError


def create_executor(
    kind: str = "debug",
    mod: IRModule | None = None,
    device: object = None,
    target: object = "llvm",
    params: Mapping[str, Argument] | None = None,
) -> Interpreter:
    """An executor for `mod`: ``create_executor("debug", mod).evaluate()(x)``.

    `kind` is ``"debug"``, the reference interpreter. `params` are values of parameters of ``@main``
    by name. Raises `RelayError` for another `kind`.
    """
    if kind != "debug":
        raise RelayError(f'unknown kind of executor {kind!r}; expected "debug"')
    return Interpreter(mod, device, target, params)


__all__ = ["Interpreter", "create_executor"]
