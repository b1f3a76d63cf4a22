"""Which global functions of a module a program can be asked for by name.

These are ``@main``, and every other function that speaks for itself: of one type, with parameters
and a result that are no functions, and of operators that can be compiled. What they call is
compiled with them.
"""

from typing import Final

from relay.executor.vm.operators import check_operators, lacks_code
from relay.ir.expr import Function, GlobalVar
from relay.ir.module import IRModule
from relay.ir.types import FuncType, Type
from relay.ir.visit import post_order
from relay.transform.closures import CLOSED
from relay.transform.remove_unused_functions import RemoveUnusedFunctions

MAIN: Final = "main"


def without_templates(module: IRModule) -> IRModule:
    """`module` without functions that nothing can be asked of, and that nobody calls.

    These have type parameters, or mean something to a compiler. Needs no types.
    """
    names = [
        variable.name_hint
        for variable, function in module.functions.items()
        if variable.name_hint == MAIN
        or not (function.type_params or CLOSED & function.attrs.keys())
    ]
    return RemoveUnusedFunctions(names)(module)


def with_entries(module: IRModule) -> IRModule:
    """The functions of a typed `module` that can be invoked, and what they call.

    Raises `UnsupportedError` naming all operators without a compiled form that ``@main`` reaches.
    """
    check_operators(RemoveUnusedFunctions()(module))
    blocked = _blocked(module)
    names = [
        variable.name_hint
        for variable, function in module.functions.items()
        if variable.name_hint == MAIN
        or (variable.name_hint not in blocked and _is_first_order(function))
    ]
    return RemoveUnusedFunctions(names)(module)


def _is_first_order(function: Function) -> bool:
    if function.type_params or CLOSED & function.attrs.keys():
        return False
    stack: list[Type] = [p.checked_type for p in function.params]
    stack.append(function.body.checked_type)
    while stack:
        current = stack.pop()
        if isinstance(current, FuncType):
            return False
        stack.extend(current.children())
    return True


def _blocked(module: IRModule) -> set[str]:
    """The functions that reach an operator without a compiled form."""
    callers: dict[str, list[str]] = {}
    waiting: list[str] = []
    for variable, function in module.functions.items():
        for node in post_order(function):
            if isinstance(node, GlobalVar):
                callers.setdefault(node.name_hint, []).append(variable.name_hint)
            elif lacks_code(node):
                waiting.append(variable.name_hint)
    blocked: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in blocked:
            blocked.add(name)
            waiting.extend(callers.get(name, ()))
    return blocked
