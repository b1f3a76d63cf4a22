"""Copies of expressions: with variables of their own, at other types."""

from collections.abc import Container, Mapping

from relay.infer import infer_types
from relay.ir.expr import Call, Expr, Function, Let, Var
from relay.ir.module import IRModule
from relay.ir.types import Type, TypeVar, substitute_types
from relay.ir.visit import bound_vars, post_order


def fresh_copy(
    expr: Expr,
    types: Mapping[TypeVar, Type] | None = None,
    values: Mapping[Var, Expr] | None = None,
) -> Expr:
    """`expr` with new variables for all that it binds.

    The type variables in `types` and the free variables in `values` are replaced on the way. A
    program in which `expr` stands already may hold the copy as well. Linear in the size of `expr`.
    """
    types = types or {}
    done: dict[Expr, Expr] = {}
    for variable, value in (values or {}).items():
        done[variable] = value
    order = post_order(expr)
    for node in order:
        for variable in bound_vars(node):
            done[variable] = copied_variable(variable, types)
    for node in order:
        if node not in done:
            done[node] = at_types(node.rebuild([done[c] for c in node.children()]), types)
    return done[expr]


def copied_variable(variable: Var, types: Mapping[TypeVar, Type] | None = None) -> Var:
    """A new variable of the name and the type of `variable`."""
    annotation = variable.type_annotation
    if annotation is not None and types:
        annotation = substitute_types(annotation, types)
    return Var(variable.name_hint, annotation, variable.span)


def at_types(node: Expr, types: Mapping[TypeVar, Type]) -> Expr:
    """`node` with the type variables in its own annotations replaced."""
    if not types:
        return node
    if isinstance(node, Call) and node.type_args:
        arguments = [substitute_types(t, types) for t in node.type_args]
        return Call(node.op, node.args, node.attrs, arguments, node.span)
    if isinstance(node, Function):
        result = None if node.ret_type is None else substitute_types(node.ret_type, types)
        kept = [t for t in node.type_params if t not in types]
        return Function(node.params, node.body, result, kept, node.attrs, node.span)
    return node


def instance(func: Function, type_args: Mapping[TypeVar, Type]) -> Function:
    """A copy of the polymorphic `func` at type arguments; it binds variables of its own."""
    result = fresh_copy(func, type_args)
    assert isinstance(result, Function)
    return result


def applied(func: Function, call: Call) -> Expr:
    """What `call` of `func` means: the body of a copy, its parameters bound to the arguments."""
    copy = instance(func, dict(zip(func.type_params, call.type_args, strict=True)))
    body = copy.body
    for parameter, argument in reversed(list(zip(copy.params, call.args, strict=True))):
        body = Let(parameter, argument, body, call.span)
    return body


def typed_with(func: Function, module: IRModule) -> tuple[Function, IRModule]:
    """`func` and `module`, whose functions it may call, with all annotations.

    Raises `TypeInferenceError` when they are ill typed.
    """
    name = unused_name("entry", {g.name_hint for g in module})
    typed = infer_types(module.with_function(name, func))
    entry = typed[name]
    return entry, typed.with_functions(
        {g: f for g, f in typed.functions.items() if g.name_hint != name}
    )


def unused_name(wanted: str, taken: Container[str]) -> str:
    """`wanted`, with a number that makes it none of `taken` where it is one.

    Numbers up to there are mostly taken; they are searched by bisection, as there may be many.
    """
    if wanted not in taken:
        return wanted
    used, free = 0, 1
    while f"{wanted}_{free}" in taken:
        used, free = free, 2 * free
    while free - used > 1:
        middle = (used + free) // 2
        if f"{wanted}_{middle}" in taken:
            used = middle
        else:
            free = middle
    return f"{wanted}_{free}"
