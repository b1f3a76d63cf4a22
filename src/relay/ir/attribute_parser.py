"""Attribute values in Relay text, read as the operator's declaration says."""

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Mapping
from typing import TypeAlias

from relay.ir.expr import Op, OperatorBase
from relay.ir.token_stream import TokenStream
from relay.ir.types import Any
from relay.support.diagnostics import did_you_mean
from relay.support.errors import RelayError
from relay.support.lexer import Token

AttributeValue: TypeAlias = bool | int | float | str | Any | tuple["AttributeValue", ...] | None
Attributes: TypeAlias = Mapping[str, tuple[Token, AttributeValue]]
"""Values by name, each with the token of its name."""

Field: TypeAlias = "dataclasses.Field[object]"

WORDS: dict[str, AttributeValue] = {
    "True": True,
    "False": False,
    "None": None,
    "nullptr": None,
    "inff": float("inf"),
    "nanf": float("nan"),
}


def attribute_value(stream: TokenStream) -> AttributeValue:
    """The value that comes next: a number, string, list, ``True``, ``None``, ..."""
    stream.enter()
    token = stream.advance()
    value: AttributeValue
    if token.kind == "number":
        value = _number(stream, token)
    elif token.kind == "string":
        value = string_value(stream, token)
    elif token.kind == "identifier" and token.text in WORDS:
        value = WORDS[token.text]
    elif token.text == "-":
        value = attribute_value(stream)
        if isinstance(value, bool) or not isinstance(value, int | float):
            stream.error(token, "expected a number after `-`")
        value = -value
    elif token.text == "?":
        value = Any()
    elif token.text in ("[", "("):
        value = _sequence(stream, "]" if token.text == "[" else ")")
    else:
        stream.index -= token.kind != "end"
        stream.unexpected("the value of an attribute: a number, string, list, True, False or None")
    stream.leave()
    return value


def _sequence(stream: TokenStream, closer: str) -> tuple[AttributeValue, ...]:
    values: list[AttributeValue] = []
    while not stream.at(closer):
        values.append(attribute_value(stream))
        if not stream.take(","):
            break
    stream.expect(closer, "after the list")
    return tuple(values)


def _number(stream: TokenStream, token: Token) -> int | float:
    digits, is_float, _ = token.text.partition("f")
    if is_float or "." in digits or "e" in digits.lower():
        return float(digits)
    return stream.integer(token)


def string_value(stream: TokenStream, token: Token) -> str:
    """The content of a string token; escapes are those of JSON."""
    try:
        return str(json.loads(token.text))
    except json.JSONDecodeError:
        stream.error(token, "this string has an unknown escape", "write a backslash as `\\\\`")


def operator_attributes(
    stream: TokenStream, name: Token, op: Op, values: Attributes
) -> OperatorBase:
    """The declaration of `op` with `values`, checked against its fields."""
    fields, hints = _fields(op)
    converted: dict[str, AttributeValue] = {}
    for attribute, (token, value) in values.items():
        if attribute not in fields:
            known = ", ".join(fields) or "none"
            stream.error(
                token,
                f"{op.name} has no attribute `{attribute}`",
                *did_you_mean(attribute, fields),
                because=f"the attributes of {op.name} are: {known}",
            )
        converted[attribute] = _checked(stream, op.name, token, value, hints[attribute])
    for field in fields.values():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and field.name not in converted:
            stream.error(
                name,
                f"a call of {op.name} needs the attribute `{field.name}`",
                f"add `{field.name}=...` after the arguments",
            )
    try:
        return op.declaration(**converted)
    except (RelayError, ValueError, TypeError) as error:
        stream.error(name, f"the attributes of {op.name} are not valid: {error}")


@functools.cache
def _fields(op: Op) -> tuple[dict[str, Field], dict[str, tuple[type, ...]]]:
    """The attributes of `op`, and the Python types that their values may have."""
    declaration = op.declaration
    assert isinstance(declaration, type)
    assert dataclasses.is_dataclass(declaration)
    hints = typing.get_type_hints(declaration)
    fields = {f.name: f for f in dataclasses.fields(declaration)}
    return fields, {name: _alternatives(hints[name]) for name in fields}


def _checked(
    stream: TokenStream,
    operator: str,
    token: Token,
    value: AttributeValue,
    accepted: tuple[type, ...],
) -> AttributeValue:
    """`value` as one of the `accepted` types: whole numbers serve as floats."""
    if isinstance(value, int) and not isinstance(value, bool):
        if float in accepted and int not in accepted:
            return float(value)
    known: tuple[type, ...] = (bool, int, float, str, types.NoneType, tuple)
    if not accepted or not all(kind in known for kind in accepted):
        return value
    # A declaration may spread one number over a list itself, and takes None for "not given".
    fits = type(value) in accepted or (tuple in accepted and isinstance(value, int))
    if not fits and not (bool in accepted and value in (0, 1)):
        wanted = " or ".join(_WORDS_FOR[kind] for kind in accepted)
        stream.error(
            token,
            f"the attribute `{token.text}` of {operator} is {wanted}, found {_shown(value)}",
        )
    return bool(value) if accepted == (bool,) else value


_WORDS_FOR = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a string",
    types.NoneType: "None",
    tuple: "a list",
}


def _shown(value: AttributeValue) -> str:
    return json.dumps(value) if isinstance(value, str) else f"`{value}`"


def _alternatives(hint: object) -> tuple[type, ...]:
    """The Python types that a type hint stands for; empty when that is more than types."""
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        parts = [_alternatives(part) for part in typing.get_args(hint)]
        return tuple(kind for part in parts for kind in part) if all(parts) else ()
    if origin is typing.Literal:
        return tuple({type(value) for value in typing.get_args(hint)})
    if isinstance(origin, type):
        return (tuple,) if origin is tuple else (origin,)
    return (hint,) if isinstance(hint, type) else ()
