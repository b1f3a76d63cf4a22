"""Reading programs as users want them: parsed and typed."""

from relay.infer.infer import infer_types
from relay.ir import parser
from relay.ir.module import IRModule
from relay.ir.parser import parse_expr

__all__ = ["fromtext", "parse", "parse_expr"]


def parse(source: str, source_name: str = "from_string") -> IRModule:
    """The module that `source`, Relay text with its version header, is the text of, fully typed.

    A text of one expression becomes ``@main``. Raises `ParseError` or `TypeInferenceError`, which
    show the place; `relay.ir.parser.parse` reads a program that is not well typed.
    """
    return infer_types(parser.parse(source, source_name))


def fromtext(data: str, source_name: str = "from_string") -> IRModule:
    """`parse`, by the name that Relay 0.6 gave it."""
    return parse(data, source_name)
