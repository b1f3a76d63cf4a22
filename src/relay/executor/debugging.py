"""What happens where a program says `debug`."""

from typing import Any

from relay.executor.values import ConstructorValue, RefValue
from relay.op.debugging import Debug
from relay.runtime.ndarray import NDArray


def pause(declaration: Debug, value: Any) -> None:
    """Show `value` to the function of `declaration`, or stop in Python's debugger."""
    if declaration.debug_func is None:
        stop(value)
    else:
        declaration.debug_func(value)


def stop(value: Any) -> None:
    """Python's ``breakpoint()``, where `value` and its `plain` NumPy form are variables.

    `PYTHONBREAKPOINT` and ``sys.breakpointhook`` choose the debugger, as ever.
    """
    plain = as_plain(value)
    breakpoint()
    del plain


def as_plain(value: Any) -> Any:
    """`value` in NumPy arrays and tuples; data are tuples that begin with the constructor's name.

    A reference is a list of what it holds. Functions stay what they are. Data nested deeper than
    100 levels are left as they are there.
    """
    return _plain(value, 100)


def _plain(value: Any, levels: int) -> Any:
    if levels == 0:
        return value
    match value:
        case NDArray():
            return value.numpy()
        case tuple():
            return tuple(_plain(f, levels - 1) for f in value)
        case ConstructorValue():
            return (value.constructor.name_hint, *(_plain(f, levels - 1) for f in value.fields))
        case RefValue():
            # A reference may hold itself; the levels end that.
            return [_plain(value.value, levels - 1)]
    return value
