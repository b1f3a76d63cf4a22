"""Functions at types: what a polymorphic value is where one of a certain type is wanted."""

from collections.abc import Mapping, Sequence

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Expr, Function, GlobalVar, If, Let, Op, Var
from relay.ir.match import Match
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
    polymorphic ones are taken at the type that is wanted where they are used: by the call that they
    are given to, the variable that they are bound to, the function that they are the result of.
    Raises `UnsupportedError` for other uses of polymorphic functions.
    """
    order = post_order(func)
    results = _result_types(order)
    done: dict[Expr, Expr] = {}
    for node in order:
        children = node.children()
        wanted = _wanted(node, results.get(node))
        new = [
            done[child] if type_ is None else _at(child, done[child], type_)
            for child, type_ in zip(children, wanted, strict=True)
        ]
        done[node] = _rebuilt(node, new)
    result = done[func]
    assert isinstance(result, Function)
    return result


def _result_types(order: Sequence[Expr]) -> dict[Expr, Type]:
    """The types that lets and choices are wanted to be of, by what they are the result of."""
    found: dict[Expr, Type] = {}
    for node in reversed(order):
        for child, type_ in zip(node.children(), _tails(node, found.get(node)), strict=True):
            if type_ is not None and isinstance(child, Let | If | Match):
                found.setdefault(child, type_)
    return found


def _tails(node: Expr, type_: Type | None) -> list[Type | None]:
    """For each child of `node` the type that is wanted of it, if `type_` is wanted of `node`."""
    wanted: list[Type | None] = [None] * len(node.children())
    match node:
        case Function(ret_type=result):
            wanted[-1] = result
        case Let(variable=variable):
            wanted[1:] = [variable.type_annotation, type_]
        case If():
            wanted[1:] = [type_, type_]
        case Match(clauses=clauses):
            wanted[-len(clauses) :] = [type_] * len(clauses)
        case Call(op=callee, type_args=types) if types and not _is_name(callee):
            polymorphic = callee.checked_type
            assert isinstance(polymorphic, FuncType)
            wanted[0] = instantiate(polymorphic, types)
        case _:
            pass
    return wanted


def _is_name(callee: Expr) -> bool:
    """Whether `callee` may be called at type arguments."""
    return isinstance(callee, GlobalVar | Constructor | Op)


def _rebuilt(node: Expr, children: Sequence[Expr]) -> Expr:
    """`node` over `children`; a call of what has one type now has no type arguments."""
    if isinstance(node, Call) and node.type_args and not _is_name(node.op):
        return Call(children[0], children[1:], node.attrs, None, node.span)
    return node.rebuild(children)


def _wanted(node: Expr, type_: Type | None) -> list[Type | None]:
    """For each child of `node` that is a function, the type to take it at.

    `type_` is what is wanted of `node` itself.
    """
    children = node.children()
    if not isinstance(node, Call) or isinstance(node.op, Op):
        tails = _tails(node, type_)
        own = [_own_type(child) for child in children]
        return [
            t if o is not None and isinstance(t, FuncType) else o
            for t, o in zip(tails, own, strict=True)
        ]
    callee = node.op.checked_type
    assert isinstance(callee, FuncType)
    callee = instantiate(callee, node.type_args) if callee.type_params else callee
    called = None if _is_name(node.op) else _tails(node, None)[0] or _own_type(node.op)
    return [called, *(t if isinstance(t, FuncType) else None for t in callee.arg_types)]


def _own_type(child: Expr) -> Type | None:
    is_function = isinstance(child, GlobalVar | Constructor | Function)
    return child.checked_type if is_function and "Primitive" not in _attrs(child) else None


def _attrs(child: Expr) -> Mapping[str, object]:
    return child.attrs if isinstance(child, Function) else {}


def _at(old: Expr, new: Expr, type_: Type) -> Expr:
    """The function value `new`, which was `old`, at the type that is wanted of it."""
    found = old.checked_type
    assert isinstance(found, FuncType)
    assert isinstance(type_, FuncType)
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
    if found.type_params and not isinstance(old, Let | If | Match):
        raise UnsupportedError(
            f"the value of type {found} is a polymorphic function made at run time; "
            "make it a global one",
            old.span,
        )
    return new
