"""Sequences and optional values, as ``List`` and ``Option`` of the prelude.

An empty sequence of the model does not say of which rank its elements would be. Its elements have
an *open* type until something is put in: `joined` takes any tensor type instead of it, and an
expression of such a type, which can only be empty, becomes one of the wanted type by `coerced`.

A sequence may have tensors of different ranks, for which there is no common type. Its elements are
*boxed*: a tuple of a vector of the elements of a tensor, and of its shape.
"""

import functools
from collections.abc import Sequence
from typing import Final

from relay.ir.adt import Constructor, TypeData
from relay.ir.expr import Call, Expr, Function, Tuple, Var
from relay.ir.match import Clause, Match
from relay.ir.module import IRModule
from relay.ir.patterns import PatternConstructor, PatternVar
from relay.ir.types import Any, Dim, GlobalTypeVar, SizeVar, TensorType, TupleType, Type, TypeCall
from relay.ir.visit import annotations, post_order
from relay.op.lists import LIST, ListBox, ListOperator, list_of
from relay.op.tensor.reshape import Reshape
from relay.op.tensor.sizes import ShapeOf
from relay.support.source import Span

OPTION: Final = GlobalTypeVar("Option")
OPEN: Final = (SizeVar("_open"),)
"""The shape of an open type."""


def open_type(dtype: str) -> TensorType:
    """The type of the elements of a sequence without any, whose rank is not known."""
    return TensorType(OPEN, dtype)


def boxed_type(dtype: str) -> TupleType:
    """The type of tensors of any rank, as elements of a sequence."""
    return TupleType([TensorType((Any(),), dtype), TensorType((Any(),), "int64")])


def boxed_dtype(type_: Type) -> str | None:
    """The data type of what is boxed in values of `type_`; None for other types."""
    first = type_.fields[0] if isinstance(type_, TupleType) and len(type_.fields) == 2 else None
    if isinstance(first, TensorType) and type_ == boxed_type(first.dtype):
        return first.dtype
    return None


def option_of(content: Type) -> TypeCall:
    """The type of optional values of `content`."""
    return TypeCall(OPTION, (content,))


def list_element(type_: Type) -> Type | None:
    """The type of the elements of lists of `type_`; None for other types."""
    return type_.args[0] if isinstance(type_, TypeCall) and type_.func == LIST else None


def option_content(type_: Type) -> Type | None:
    """The type of what is in optional values of `type_`; None for other types."""
    return type_.args[0] if isinstance(type_, TypeCall) and type_.func == OPTION else None


# ---------------------------------------------------------------- values


@functools.cache
def constructor(name: str) -> Constructor:
    """``Cons``, ``Nil``, ``Some`` or ``None``."""
    types = IRModule.library("prelude.rly").type_definitions
    data = types[LIST if name in ("Cons", "Nil") else OPTION]
    return data.constructor(name)


def nil(element: Type, span: Span | None = None) -> Expr:
    """The empty list."""
    return Call(constructor("Nil"), (), type_args=(element,), span=span)


def cons(first: Expr, rest: Expr, element: Type, span: Span | None = None) -> Expr:
    """The list of `first` and then the elements of `rest`."""
    return Call(constructor("Cons"), (first, rest), type_args=(element,), span=span)


def chain(values: Sequence[Expr], element: Type, span: Span | None = None) -> Expr:
    """The list of `values`."""
    found = nil(element, span)
    for value in reversed(values):
        found = cons(value, found, element, span)
    return found


def some(content: Expr, span: Span | None = None) -> Expr:
    """The optional value that is there."""
    type_ = content.checked_type
    return Call(constructor("Some"), (content,), type_args=(type_,), span=span)


def none(content: Type, span: Span | None = None) -> Expr:
    """The optional value that is not there."""
    return Call(constructor("None"), (), type_args=(content,), span=span)


def known_elements(expr: Expr) -> list[Expr] | None:
    """The elements of a list, where it is known while importing which they are."""
    found: list[Expr] = []
    while isinstance(expr, Call) and expr.op is constructor("Cons"):
        found.append(expr.args[0])
        expr = expr.args[1]
    return found if isinstance(expr, Call) and expr.op is constructor("Nil") else None


def known_presence(expr: Expr) -> bool | None:
    """Whether an optional value is there, where that is known while importing."""
    if option_content(expr.checked_type) is None:
        return True
    if isinstance(expr, Call) and isinstance(expr.op, Constructor):
        return expr.op is constructor("Some")
    return None


# ---------------------------------------------------------------- types


def joined_elements(a: Type, b: Type) -> Type | None:
    """The type of elements of a sequence that have either type; boxed for tensors of two ranks."""
    found = joined(a, b)
    if found is not None:
        return found
    of_a, of_b = (t.dtype if isinstance(t, TensorType) else boxed_dtype(t) for t in (a, b))
    return None if of_a is None or of_a != of_b else boxed_type(of_a)


def joined(a: Type, b: Type) -> Type | None:
    """The type of values that have either type: sizes that differ are `Any`.

    An optional type takes what may be in it. None where there is no such type.
    """
    if isinstance(a, TensorType) and isinstance(b, TensorType):
        return _joined_tensors(a, b)
    if isinstance(a, TupleType) and isinstance(b, TupleType) and len(a.fields) == len(b.fields):
        fields = [joined(x, y) for x, y in zip(a.fields, b.fields, strict=True)]
        return TupleType([f for f in fields if f is not None]) if None not in fields else None
    for left, right in ((a, b), (b, a)):
        content = option_content(left)
        if content is not None:
            inner = option_content(right)
            found = joined(content, right if inner is None else inner)
            return None if found is None else option_of(found)
    element, other = list_element(a), list_element(b)
    if element is None or other is None:
        return None
    found = joined_elements(element, other)
    return None if found is None else list_of(found)


def _joined_tensors(a: TensorType, b: TensorType) -> TensorType | None:
    if a.dtype != b.dtype:
        return None
    if _is_open(a) or _is_open(b):
        return b if _is_open(a) else a
    if len(a.shape) != len(b.shape):
        return None
    dims: list[Dim] = [x if x == y else Any() for x, y in zip(a.shape, b.shape, strict=True)]
    return TensorType(dims, a.dtype)


def _is_open(type_: Type) -> bool:
    return isinstance(type_, TensorType) and type_.shape == OPEN


def coerced(expr: Expr, wanted: Type) -> Expr | None:
    """`expr` as a value of `wanted`, which its type was `joined` into; None where it cannot be."""
    found = expr.checked_type
    if found == wanted:
        return expr
    if isinstance(found, TensorType) and boxed_dtype(wanted) is not None:
        return _boxed(expr)
    content = option_content(wanted)
    if content is not None:
        inside = option_content(found)
        if inside is None:
            value = coerced(expr, content)
            return (
                None
                if value is None
                else Call(constructor("Some"), (value,), type_args=(content,), span=expr.span)
            )
        if holds_open(inside):
            return none(content, expr.span)
        return _content_coerced(expr, inside, content)
    element, inside = list_element(wanted), list_element(found)
    if element is None or inside is None:
        return expr
    if _is_open(inside):
        return nil(element, expr.span)
    known = known_elements(expr)
    if known is not None:
        values = [coerced(v, element) for v in known]
        present = [v for v in values if v is not None]
        return chain(present, element, expr.span) if len(present) == len(values) else None
    if isinstance(inside, TensorType) and boxed_dtype(element) is not None:
        return Call(ListBox.op, (expr,), ListBox(), span=expr.span)
    return None if holds_open(inside) else expr


def _boxed(tensor: Expr) -> Expr:
    flat = Call(Reshape.op, (tensor,), Reshape((-1,)), span=tensor.span)
    sizes = Call(ShapeOf.op, (tensor,), ShapeOf("int64"), span=tensor.span)
    return Tuple((flat, sizes), tensor.span)


def _content_coerced(expr: Expr, inside: Type, wanted: Type) -> Expr | None:
    """An optional value whose content, of type `inside`, is brought to type `wanted`."""
    held = Var("value", inside)
    found = coerced(held, wanted)
    if found is None or found is held:
        return None if found is None else expr
    present = PatternConstructor(constructor("Some"), [PatternVar(held)])
    clauses = [
        Clause(present, some(found, expr.span)),
        Clause(PatternConstructor(constructor("None")), none(wanted, expr.span)),
    ]
    return Match(expr, clauses, True, expr.span)


def holds_open(type_: Type) -> bool:
    """Whether there is an open type in `type_`."""
    return _is_open(type_) or any(map(holds_open, type_.children()))


# ---------------------------------------------------------------- modules


def definitions(main: Function) -> dict[GlobalTypeVar, TypeData]:
    """The data types of the prelude that `main` uses."""
    used: set[GlobalTypeVar] = set()
    pending: list[Type] = []
    for node in post_order(main):
        if isinstance(node, Constructor):
            used.add(node.belong_to)
        elif isinstance(node, Call) and isinstance(node.attrs, ListOperator):
            used.add(LIST)
        pending.extend(t for t in annotations(node) if not isinstance(t, TensorType))
    while pending:
        current = pending.pop()
        if isinstance(current, GlobalTypeVar):
            used.add(current)
        pending.extend(current.children())
    library = IRModule.library("prelude.rly").type_definitions
    return {name: data for name, data in library.items() if name in used}
