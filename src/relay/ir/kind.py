"""Kinds: whether a type is put together as the language wants it."""

from collections.abc import Mapping
from typing import Final

from relay.ir.adt import TypeData
from relay.ir.module import IRModule
from relay.ir.types import (
    FuncType,
    GlobalTypeVar,
    IncompleteType,
    RefType,
    TupleType,
    Type,
    TypeCall,
    TypeConstraint,
    TypeKind,
    TypeVar,
)
from relay.support.diagnostics import did_you_mean
from relay.support.errors import TypeInferenceError

_WORDS: Final = {
    TypeKind.Type: "a type",
    TypeKind.ShapeVar: "a shape",
    TypeKind.BaseType: "a base type",
    TypeKind.Constraint: "a constraint",
    TypeKind.AdtHandle: "a data type without its arguments",
    TypeKind.TypeData: "a type definition",
}

Definitions = Mapping[GlobalTypeVar, TypeData]


def check_kind(type_: Type, mod: IRModule | None = None) -> TypeKind:
    """The kind of `type_`; raises `TypeInferenceError` where a part has the wrong kind.

    With `mod`, the data types have to be defined there and have their number of arguments.
    """
    problem = kind_error(type_, None if mod is None else mod.type_definitions)
    if problem:
        raise TypeInferenceError(problem)
    return kind_of(type_)


def kind_of(type_: Type) -> TypeKind:
    """The kind of `type_`, whose parts are taken to be right."""
    match type_:
        case TypeVar(kind=kind) | GlobalTypeVar(kind=kind) | IncompleteType(kind=kind):
            return kind
        case TypeData():
            return TypeKind.TypeData
        case TypeConstraint():
            return TypeKind.Constraint
        case _:
            return TypeKind.Type


def kind_error(type_: Type, definitions: Definitions | None) -> str:
    """What is wrong with the kinds in `type_`, "" when nothing is."""
    stack = [type_]
    while stack:
        current = stack.pop()
        inner: tuple[Type, ...] = ()
        match current:
            case TypeCall(func=func, args=args):
                problem = _call_error(func, len(args), definitions)
                if problem:
                    return problem
                inner = args
            case TypeData(constructors=constructors):
                inner = tuple(t for c in constructors for t in c.inputs)
            case TupleType() | FuncType() | RefType() | TypeConstraint():
                inner = current.children()
            case _:
                continue
        for part in inner:
            if kind_of(part) is not TypeKind.Type and not (
                isinstance(current, FuncType) and part in current.type_constraints
            ):
                return f"expected a type inside {current}, found {part}, {_WORDS[kind_of(part)]}"
        stack.extend(inner)
    return ""


def _call_error(func: Type, count: int, definitions: Definitions | None) -> str:
    if not isinstance(func, GlobalTypeVar) or func.kind is not TypeKind.AdtHandle:
        return f"only a data type takes type arguments, found {func}"
    if definitions is None:
        return ""
    data = definitions.get(func)
    if data is None:
        hints = did_you_mean(func.name_hint, [t.name_hint for t in definitions])
        return " ".join([f"the module has no type {func};", *hints]).rstrip(";")
    wanted = len(data.type_vars)
    return "" if count == wanted else f"{func} takes {wanted} type arguments, found {count}"
