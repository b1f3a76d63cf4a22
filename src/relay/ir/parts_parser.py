"""The parts of Relay text that hold no expressions: header, patterns, variables, constants."""

from collections.abc import Mapping, Sequence
from typing import Final

from relay.ir.expr import Constant, Var
from relay.ir.literals import scalar_literal
from relay.ir.metadata import CONSTANTS, MetadataError, load
from relay.ir.patterns import (
    Pattern,
    PatternConstructor,
    PatternTuple,
    PatternVar,
    PatternWildcard,
)
from relay.ir.printer import VERSION
from relay.ir.type_parser import TypeParser
from relay.ir.types import Type
from relay.runtime.ndarray import array
from relay.support.diagnostics import did_you_mean
from relay.support.lexer import Token
from relay.support.source import Source

VERSIONS: Final = ("0.0.1", "0.0.2", "0.0.3", "0.0.4", VERSION)
"""The versions of the format that can be read."""

MetaTable = Mapping[str, Sequence[Constant]]


class PartsParser(TypeParser):
    """Parses what stands around and inside of expressions."""

    def __init__(self, source: Source, meta_table: MetaTable | None = None) -> None:
        super().__init__(source)
        self.version = VERSION
        self.constants: Sequence[Constant] = (meta_table or {}).get(CONSTANTS, ())
        last = self.tokens[-2] if len(self.tokens) > 1 else self.tokens[-1]
        if last.kind == "metadata":
            try:
                self.constants = load(source.text[last.end :])
            except MetadataError as error:
                self.error(last, str(error))

    def _at_header(self) -> bool:
        return self.at("#[") or (self.at("v0") and self.tokens[self.index + 1].kind == "field")

    def _header(self) -> None:
        """``#[version = "0.0.5"]``, or ``v0.0.4`` as it used to be written."""
        start = self.token
        if self.take("v0"):
            self.version = "0"
            while self.token.kind == "field":
                self.version += self.advance().text
        else:
            self.expect("#[", "to begin the header")
            self.expect("version", "in the header")
            self.expect("=", "after `version`")
            start = self.expect_kind("string", "the version in quotes")
            self.version = start.text.strip('"')
            self.expect("]", "after the version")
        if self.version not in VERSIONS:
            self.error(
                start,
                f"cannot read version {self.version} of the format, only {', '.join(VERSIONS)}",
                "print the program again with a version of its compiler that writes "
                f'"{VERSION}" (Relay 0.7 and later)',
            )

    def _variable(self, token: Token) -> Var:
        """The variable whose name is `token`, with the annotation that follows, if any."""
        annotation: Type | None = self.type() if self.take(":") else None
        return Var(token.text[1:], annotation, self.span_of(token))

    def _typed_literal(self, token: Token) -> Constant:
        """``int64(3)``, as Relay 0.5 wrote scalars."""
        self.expect("(", "after the data type")
        negative = self.take("-")
        number = self.expect_kind("number", "a number")
        self.expect(")", "after the number")
        value = scalar_literal(self, number, negative).data
        return Constant(array(value, token.text), self.span_of(token))

    def _pattern(self) -> Pattern:
        self.enter()
        token = self.token
        found: Pattern
        if self.take("_"):
            found = PatternWildcard()
        elif token.kind == "local":
            found = PatternVar(self._variable(self.advance()))
        elif self.at("("):
            found = PatternTuple(self._pattern_list())
        elif token.kind == "identifier":
            found = self._constructor_pattern(self.advance())
        else:
            self.unexpected("a pattern", "a pattern is like `_`, `%x`, `Cons(%x, _)` or `(%a, %b)`")
        self.leave()
        return found

    def _constructor_pattern(self, token: Token) -> Pattern:
        constructor = self.constructors.get(token.text)
        if constructor is None:
            self.error(
                token,
                f"there is no constructor named {token.text}",
                *did_you_mean(token.text, self.constructors),
            )
        return PatternConstructor(constructor, self._pattern_list() if self.at("(") else [])

    def _pattern_list(self) -> list[Pattern]:
        self.expect("(", "before the patterns")
        found: list[Pattern] = []
        while not self.at(")"):
            found.append(self._pattern())
            if not self.take(","):
                break
        self.expect(")", "after the patterns")
        return found

    def _meta(self, start: Token) -> Constant:
        self.expect("[", "after `meta`")
        kind = self.expect_kind("identifier", f"`{CONSTANTS}`")
        if kind.text != CONSTANTS:
            self.error(kind, f"the metadata holds only {CONSTANTS}, not {kind.text}")
        self.expect("]", "after the kind")
        self.expect("[", "before the index")
        index = self.expect_kind("number", "an index into the metadata")
        self.expect("]", "after the index")
        position = self.integer(index)
        if position >= len(self.constants):
            self.error(
                start,
                f"the metadata section has {len(self.constants)} constants, "
                f"so there is no {CONSTANTS}[{position}]",
                "print the program with `astext(show_meta_data=True)`",
            )
        return self.constants[position]
