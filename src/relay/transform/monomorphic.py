"""Functions at types: what a polymorphic value is where one of a certain type is wanted."""

from collections.abc import Mapping

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Expr, Function, GlobalVar, Op, Var
from relay.ir.types import FuncType, Type, TypeVar, instantiate
from relay.ir.visit import post_order
from relay.support.errors import UnsupportedError
from relay.transform.copies import instance


def matched(pattern: Type, type_: Type) -> Mapping[TypeVar, Type]:
    """What the type variables in `pattern` stand for, so that it becomes `type_`."""
    found: dict[TypeVar, Type] = {}
    stack = [(pattern, type_)]
    while stack:
        left, right = stack.pop()
        if isinstance(left, TypeVar):
            found.setdefault(left, right)
        else:
            stack.extend(zip(left.children(), right.children(), strict=False))
    return found


def monomorphic_values(func: Function) -> Function:
    """`func` (typed, without type parameters) with functions of one type for all its values.

    Global functions and constructors that are used as values get a function written around them;
    polymorphic ones are taken at the type that the call wants which they are given to.
    Raises `UnsupportedError` for other uses of polymorphic functions.
    """
    done: dict[Expr, Expr] = {}
    for node in post_order(func):
        children = node.children()
        wanted = _wanted(node)
        new = [
            done[child] if type_ is None else _at(child, done[child], type_)
            for child, type_ in zip(children, wanted, strict=True)
        ]
        done[node] = node.rebuild(new)
    result = done[func]
    assert isinstance(result, Function)
    return result


def _wanted(node: Expr) -> list[Type | None]:
    """For each child of `node` that is a value of its own, the type to take it at."""
    children = node.children()
    if not isinstance(node, Call) or isinstance(node.op, Op):
        return [_own_type(child) for child in children]
    callee = node.op.checked_type
    assert isinstance(callee, FuncType)
    callee = instantiate(callee, node.type_args) if callee.type_params else callee
    called = None if isinstance(node.op, GlobalVar | Constructor) else _own_type(node.op)
    return [called, *(t if isinstance(t, FuncType) else None for t in callee.arg_types)]


def _own_type(child: Expr) -> Type | None:
    is_function = isinstance(child, GlobalVar | Constructor | Function)
    return child.checked_type if is_function and "Primitive" not in _attrs(child) else None


def _attrs(child: Expr) -> Mapping[str, object]:
    return child.attrs if isinstance(child, Function) else {}


def _at(old: Expr, new: Expr, type_: Type) -> Expr:
    """The function value `new`, which was `old`, at the type that is wanted of it."""
    found = old.checked_type
    assert isinstance(found, FuncType) and isinstance(type_, FuncType)
    if type_.type_params:
        raise UnsupportedError(
            f"a polymorphic function is used as a value of type {type_}: only where a call wants "
            "one of a certain type can it be made one that is not polymorphic",
            old.span,
        )
    types = matched(FuncType(found.arg_types, found.ret_type), type_) if found.type_params else {}
    if isinstance(old, GlobalVar | Constructor):
        params = [Var(f"x{i}", t) for i, t in enumerate(type_.arg_types)]
        arguments = [types[t] for t in found.type_params]
        return Function(params, Call(old, params, None, arguments), type_.ret_type)
    if isinstance(new, Function) and types:
        return instance(new, {t: types[t] for t in found.type_params})
    if found.type_params:
        raise UnsupportedError(
            f"the variable of type {found} is a polymorphic local function; make it a global one",
            old.span,
        )
    return new
