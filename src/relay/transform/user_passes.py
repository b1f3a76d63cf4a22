"""Passes made of a user's function or class, as `relay.transform.function_pass` makes them.

::

    @function_pass(opt_level=1)
    def double_negation(func, mod, ctx):
        return ...

    @function_pass(opt_level=1)
    class Replace:
        def __init__(self, new): self.new = new
        def transform_function(self, func, mod, ctx): return self.new

    module = Sequential([double_negation, Replace(f)])(module)
"""

from collections.abc import Callable, Sequence
from typing import Any

from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.support.errors import RelayError
from relay.transform.base import FunctionPass, Pass, PassContext, PassInfo


class _UserPass(Pass):
    """A pass made of a user's function or object."""

    def __init__(self, function: Callable[..., object], info: PassInfo) -> None:
        self._function = function
        self._info = info

    @property
    def info(self) -> PassInfo:
        return self._info

    def __repr__(self) -> str:
        return f"{self._info.name}()"

    def _wrong_result(self, expected: str, found: object) -> RelayError:
        return RelayError(
            f"the pass {self._info.name} must return {expected}, it returned {type(found).__name__}"
        )


class UserModulePass(_UserPass):
    """A pass made of ``f(module, context) -> module``."""

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        result = self._function(module, context)
        if not isinstance(result, IRModule):
            raise self._wrong_result("an IRModule", result)
        return result


class UserFunctionPass(_UserPass, FunctionPass):
    """A pass made of ``f(function, module, context) -> function``."""

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = self._function(func, module, context)
        if not isinstance(result, Function):
            raise self._wrong_result("a Function", result)
        return result


def function_pass(
    pass_func: Callable[..., object] | None = None,
    opt_level: int = 0,
    name: str | None = None,
    required: Sequence[str] | None = None,
) -> Any:
    """Make a function pass of ``f(func, mod, ctx) -> Function``; also a decorator.

    Of a class with a method ``transform_function(self, func, mod, ctx)`` it makes a class whose
    instances are passes. `required` names passes that must run before.
    """
    return _make(UserFunctionPass, "transform_function", pass_func, opt_level, name, required)


def module_pass(
    pass_func: Callable[..., object] | None = None,
    opt_level: int = 0,
    name: str | None = None,
    required: Sequence[str] | None = None,
) -> Any:
    """Make a module pass of ``f(mod, ctx) -> IRModule``; also a decorator.

    Of a class with a method ``transform_module(self, mod, ctx)`` it makes a class whose instances
    are passes. `required` names passes that must run before.
    """
    return _make(UserModulePass, "transform_module", pass_func, opt_level, name, required)


def _make(
    base: type[_UserPass],
    method: str,
    pass_func: Callable[..., object] | None,
    opt_level: int,
    name: str | None,
    required: Sequence[str] | None,
) -> Any:
    def wrap(declared: Callable[..., object]) -> Any:
        info = PassInfo(name or declared.__name__, opt_level, tuple(required or ()))
        if isinstance(declared, type):
            return _pass_class(declared, base, method, info)
        return base(declared, info)

    return wrap if pass_func is None else wrap(pass_func)


def _pass_class(
    declared: type, base: type[_UserPass], method: str, info: PassInfo
) -> type[_UserPass]:
    """A class of passes that construct and ask instances of `declared`."""

    def construct(self: _UserPass, *args: object, **keywords: object) -> None:
        wrapped = declared(*args, **keywords)
        object.__setattr__(self, "wrapped", wrapped)
        base.__init__(self, getattr(wrapped, method), info)

    def attribute(self: _UserPass, name: str) -> object:
        """What the pass itself lacks is asked of the user's object."""
        if name == "wrapped":
            raise AttributeError(name)
        return getattr(object.__getattribute__(self, "wrapped"), name)

    members = {"__init__": construct, "__getattr__": attribute, "__doc__": declared.__doc__}
    return type(declared.__name__, (base,), members)
