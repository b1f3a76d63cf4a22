# ruff: noqa: N802 - these are Relay's names
"""Copies of nodes with some fields changed: ``CallWithFields(call, args=new)``.

A field that is left out, or None, stays. The node itself comes back when nothing changes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    If,
    Let,
    OperatorBase,
    Tuple,
    TupleGetItem,
    Var,
)
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.types import Type
from relay.ir.types import TypeVar as RelayTypeVar
from relay.runtime.ndarray import NDArray
from relay.support.source import Span

E = TypeVar("E", bound=Expr)


def _changed(node: E, span: Span | None, **fields: object) -> E:
    old = {name: getattr(node, name) for name in node._fields}
    new = {name: old[name] if value is None else value for name, value in fields.items()}
    if (span is None or span == node.span) and all(_same(new[n], old[n]) for n in new):
        return node
    make: Callable[..., E] = type(node)
    return make(**{**old, **new}, span=span or node.span)


def _same(new: object, old: object) -> bool:
    if isinstance(old, tuple) and isinstance(new, Sequence):
        return len(old) == len(new) and all(a is b for a, b in zip(new, old, strict=True))
    return new is old


def ConstantWithFields(
    constant: Constant, data: NDArray | None = None, span: Span | None = None
) -> Constant:
    """`constant` with other data."""
    return _changed(constant, span, data=data)


def VarWithFields(
    variable: Var,
    name_hint: str | None = None,
    type_annotation: Type | None = None,
    span: Span | None = None,
) -> Var:
    """A variable like `variable`; another variable, unless nothing changes."""
    return _changed(variable, span, name_hint=name_hint, type_annotation=type_annotation)


def TupleWithFields(
    tuple_expr: Tuple, fields: Sequence[Expr] | None = None, span: Span | None = None
) -> Tuple:
    """`tuple_expr` with other fields."""
    return _changed(tuple_expr, span, fields=fields)


def TupleGetItemWithFields(
    item: TupleGetItem,
    tuple_value: Expr | None = None,
    index: int | None = None,
    span: Span | None = None,
) -> TupleGetItem:
    """`item` of another tuple, or at another index."""
    return _changed(item, span, tuple_value=tuple_value, index=index)


def CallWithFields(
    call: Call,
    op: Expr | None = None,
    args: Sequence[Expr] | None = None,
    attrs: OperatorBase | None = None,
    type_args: Sequence[Type] | None = None,
    span: Span | None = None,
) -> Call:
    """`call` with another callee, arguments, attributes or type arguments."""
    return _changed(call, span, op=op, args=args, attrs=attrs, type_args=type_args)


def FunctionWithFields(
    function: Function,
    params: Sequence[Var] | None = None,
    body: Expr | None = None,
    ret_type: Type | None = None,
    type_params: Sequence[RelayTypeVar] | None = None,
    attrs: Mapping[str, object] | None = None,
    span: Span | None = None,
) -> Function:
    """`function` with other parameters, body, result type, type parameters or attributes."""
    return _changed(
        function,
        span,
        params=params,
        body=body,
        ret_type=ret_type,
        type_params=type_params,
        attrs=attrs,
    )


def LetWithFields(
    let: Let,
    variable: Var | None = None,
    value: Expr | None = None,
    body: Expr | None = None,
    span: Span | None = None,
) -> Let:
    """`let` with another variable, value or body."""
    return _changed(let, span, variable=variable, value=value, body=body)


def IfWithFields(
    if_expr: If,
    cond: Expr | None = None,
    true_branch: Expr | None = None,
    false_branch: Expr | None = None,
    span: Span | None = None,
) -> If:
    """`if_expr` with another condition or other branches."""
    return _changed(if_expr, span, cond=cond, true_branch=true_branch, false_branch=false_branch)


def RefCreateWithFields(
    ref_create: RefCreate, value: Expr | None = None, span: Span | None = None
) -> RefCreate:
    """`ref_create` of another value."""
    return _changed(ref_create, span, value=value)


def RefReadWithFields(
    ref_read: RefRead, ref: Expr | None = None, span: Span | None = None
) -> RefRead:
    """`ref_read` of another reference."""
    return _changed(ref_read, span, ref=ref)


def RefWriteWithFields(
    ref_write: RefWrite,
    ref: Expr | None = None,
    value: Expr | None = None,
    span: Span | None = None,
) -> RefWrite:
    """`ref_write` of another reference or value."""
    return _changed(ref_write, span, ref=ref, value=value)
