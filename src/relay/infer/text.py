"""Reading programs as users want them: parsed and typed."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from relay.infer.infer import infer_types
from relay.ir import parser
from relay.ir.expr import Constant
from relay.ir.module import IRModule
from relay.ir.parser import parse_expr
from relay.support.diagnostics import did_you_mean
from relay.support.errors import RelayError

__all__ = ["fromtext", "library", "parse", "parse_expr"]

_LIBRARY = Path(__file__).resolve().parent.parent / "std"


def parse(
    source: str,
    source_name: str = "from_string",
    init_module: IRModule | None = None,
    init_meta_table: Mapping[str, Sequence[Constant]] | None = None,
) -> IRModule:
    """The module that `source`, Relay text with its version header, is the text of, fully typed.

    A text of one expression becomes ``@main``. The text may use the functions and types of
    `init_module`, which the result has too, and the constants of `init_meta_table`. Raises
    `ParseError` or `TypeInferenceError`, which show the place; `relay.ir.parser.parse` reads a
    program that is not well typed.
    """
    return infer_types(parser.parse(source, source_name, init_module, init_meta_table))


def fromtext(data: str, source_name: str = "from_string") -> IRModule:
    """`parse`, by the name that Relay 0.6 gave it."""
    return parse(data, source_name)


@functools.cache
def library(file_name: str) -> IRModule:
    """The module in a file of the standard library, typed: ``"prelude.rly"``.

    It is read once: do not change it. Raises `RelayError` when there is no such file.
    """
    known = sorted(path.name for path in _LIBRARY.glob("*.rly"))
    if file_name not in known:
        hints = " ".join(did_you_mean(file_name, known))
        raise RelayError(f"the standard library has no file {file_name!r}; {hints}".rstrip("; "))
    return parse((_LIBRARY / file_name).read_text(encoding="utf-8"), file_name)


IRModule.library = staticmethod(library)
