"""Types and type definitions in Relay text."""

from collections.abc import Generator, Iterator
from typing import Final, TypeAlias

from relay import dtypes
from relay.ir.adt import Constructor, TypeData
from relay.ir.steps import run
from relay.ir.token_stream import TokenStream
from relay.ir.types import (
    Any,
    Dim,
    FuncType,
    GlobalTypeVar,
    IncompleteType,
    RefType,
    SizeVar,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    TypeVar,
)
from relay.support.diagnostics import did_you_mean
from relay.support.lexer import Token
from relay.support.source import Source

RESERVED: Final = frozenset({*dtypes.TENSOR_NAMES, "Tensor", "Tuple", "fn", "ref"})
"""Names that types of the language have; a data type of such a name could not be told apart."""

TypeStep: TypeAlias = Generator["TypeStep", Type, Type]
"""A rule at work: it yields the rules it needs, is sent what they give, and returns its own."""


class TypeParser(TokenStream):
    """Parses types. Types may be used before they are defined, so definitions come first."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        #: Type parameters in scope.
        self.type_vars: dict[str, TypeVar] = {}
        #: Data types by name, with how many type parameters they have.
        self.arities: dict[str, int] = {}
        self.constructors: dict[str, Constructor] = {}

    # ------------------------------------------------------------------ definitions

    def add_type(self, data: TypeData) -> None:
        """Make a data type and its constructors known."""
        self.arities[data.header.name_hint] = len(data.type_vars)
        self.constructors.update({c.name_hint: c for c in data.constructors})

    def type_definitions(self) -> dict[int, tuple[int, TypeData]]:
        """The type definitions of the text by where they begin: where they end, what they are."""
        starts = list(self._definition_starts())
        for start in starts:
            self.index = start
            name = self._definition_head()
            if name.text in self.arities:
                self.error(name, f"the module has two types {name.text}")
            outer = dict(self.type_vars)
            self.arities[name.text] = len(self.type_parameters())
            self.type_vars = outer
        found: dict[int, tuple[int, TypeData]] = {}
        for start in starts:
            self.index = start
            data = self._type_definition()
            found[start] = (self.index, data)
        self.index = 0
        return found

    def _definition_starts(self) -> Iterator[int]:
        """The tokens outside of all braces that begin a type definition."""
        depth = 0
        for i, token in enumerate(self.tokens):
            if token.kind == "sign":
                depth += (token.text == "{") - (token.text == "}")
            elif depth == 0 and token.kind == "identifier" and token.text in ("type", "extern"):
                external = i > 0 and self.tokens[i - 1].text == "extern"
                following = self.tokens[min(i + 1, len(self.tokens) - 1)]
                if following.kind == "identifier" and not external:
                    yield i

    def _definition_head(self) -> Token:
        """``type Name`` or ``extern type Name``; the token of the name."""
        if self.take("extern"):
            self.expect("type", "after `extern`")
        else:
            self.expect("type", "to begin a type definition")
        name = self.expect_kind("identifier", "the name of a type")
        if name.text in RESERVED:
            self.error(name, f"`{name.text}` is a type of the language and cannot be defined again")
        return name

    def _type_definition(self) -> TypeData:
        external = self.at("extern")
        header = GlobalTypeVar(self._definition_head().text)
        outer = dict(self.type_vars)
        params = self.type_parameters()
        constructors: list[Constructor] = []
        if external:
            self.take(";")
        else:
            self.expect("{", "before the constructors")
            while not self.at("}"):
                constructors.append(self._constructor(header))
                if not self.take(","):
                    break
            self.expect("}", "after the constructors")
        self.type_vars = outer
        return TypeData(header, params, constructors)

    def _constructor(self, header: GlobalTypeVar) -> Constructor:
        name = self.expect_kind("identifier", "the name of a constructor")
        if name.text in self.constructors:
            owner = self.constructors[name.text].belong_to
            self.error(name, f"{owner} has a constructor {name.text} already")
        inputs = self._fields() if self.at("(") else []
        found = Constructor(name.text, inputs, header, self.span_of(name))
        self.constructors[name.text] = found
        return found

    def _fields(self) -> list[Type]:
        """The types of the fields of a constructor."""
        fields = self.type()  # in parentheses, like those of a tuple
        assert isinstance(fields, TupleType)
        return list(fields.fields)

    # ------------------------------------------------------------------ types

    def type(self) -> Type:
        """A type; it may nest without a limit."""
        return run(self._type())

    def _type(self) -> TypeStep:
        start = self.token
        if self.take("_"):
            return IncompleteType()
        if self.at("("):
            return TupleType((yield from self._type_list()))
        if self.take("Tensor"):
            return self._tensor_type()
        if self.take("fn"):
            return (yield from self._function_type())
        if self.at("ref") and self.next_is("("):
            self.advance()
            return (yield from self._reference_type())
        if self.at("Tuple") and self.next_is("["):
            # How Relay 0.5 wrote tuple types.
            self.advance()
            return TupleType((yield from self._type_list("[", "]")))
        if start.kind == "identifier":
            return (yield from self._named_type(self.advance()))
        self.unexpected("a type", "a type is like `Tensor[(1, 3), float32]` or `int32`")

    def _named_type(self, token: Token) -> TypeStep:
        if token.text in self.type_vars:
            return self.type_vars[token.text]
        if token.text in self.arities:
            arguments = (yield from self._type_list("[", "]")) if self.at("[") else []
            wanted = self.arities[token.text]
            if len(arguments) != wanted:
                self.error(
                    token, f"{token.text} takes {wanted} type arguments, found {len(arguments)}"
                )
            return TypeCall(GlobalTypeVar(token.text), arguments)
        return TensorType((), self._dtype(token))

    def _reference_type(self) -> TypeStep:
        self.expect("(", "after `ref`")
        value = yield self._type()
        self.expect(")", "after the type of what the reference holds")
        return RefType(value)

    def _dtype(self, token: Token) -> str:
        if token.text not in dtypes.TENSOR_NAMES:
            known = (*dtypes.TENSOR_NAMES, "Tensor", "fn", *self.type_vars, *self.arities)
            self.error(
                token, f"there is no type named `{token.text}`", *did_you_mean(token.text, known)
            )
        return token.text

    def _type_list(
        self, opener: str = "(", closer: str = ")"
    ) -> Generator[TypeStep, Type, list[Type]]:
        """Types in parentheses or brackets."""
        self.expect(opener, "before the types")
        found: list[Type] = []
        while not self.at(closer):
            found.append((yield self._type()))
            if not self.take(","):
                break
        self.expect(closer, "after the types")
        return found

    def _tensor_type(self) -> TensorType:
        self.expect("[", "after `Tensor`")
        self.expect("(", "before the shape")
        shape: list[Dim] = []
        while not self.at(")"):
            if self.take("?"):
                shape.append(Any())
            elif self.token.kind == "identifier" and "." not in self.token.text:
                shape.append(SizeVar(self.advance().text))
            else:
                size = self.expect_kind("number", "a size, a name for one, or `?`")
                shape.append(self.integer(size))
            if not self.take(","):
                break
        self.expect(")", "after the shape")
        self.expect(",", "between the shape and the data type")
        dtype = self._dtype(self.expect_kind("identifier", "a data type"))
        self.expect("]", "after the data type")
        return TensorType(shape, dtype)

    def _function_type(self) -> TypeStep:
        outer = dict(self.type_vars)
        params = self.type_parameters()
        arguments = yield from self._type_list()
        self.expect("->", "before the result type")
        result = yield self._type()
        self.type_vars = outer
        return FuncType(arguments, result, params)

    def type_parameters(self) -> list[TypeVar]:
        """``[A, B]`` where it comes next; the names are known as types from here on."""
        found: list[TypeVar] = []
        if self.take("["):
            while not self.at("]"):
                name = self.expect_kind("identifier", "the name of a type parameter").text
                self.type_vars[name] = TypeVar(name)
                found.append(self.type_vars[name])
                if not self.take(","):
                    break
            self.expect("]", "after the type parameters")
        return found
