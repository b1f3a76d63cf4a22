"""Relay text to programs: version 0.0.5, and 0.0.1 to 0.0.4 (Relay 0.5 and 0.6).

Recursive descent by generators: a rule yields the rule it needs and is resumed with the result, so
that programs may nest without a limit. ``%0 = e;`` names a node for the text alone, no node stands
for it; ``e1; e2`` is a let of an unnamed variable. Texts of the old versions may write ``%r^`` and
``%r := v`` for references, clauses without braces, and ``free_var %x`` without a semicolon.
"""

from collections.abc import Generator
from typing import Final, TypeAlias

import numpy as np

from relay import dtypes
from relay.ir.attribute_parser import (
    AttributeValue,
    attribute_value,
    operator_attributes,
    string_value,
)
from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    GlobalVar,
    If,
    Let,
    Op,
    Tuple,
    TupleGetItem,
    Var,
)
from relay.ir.literals import SPECIAL, scalar_literal
from relay.ir.local_names import LocalNames
from relay.ir.match import Clause, Match
from relay.ir.module import IRModule
from relay.ir.parts_parser import MetaTable, PartsParser
from relay.ir.patterns import pattern_vars
from relay.ir.printer import VERSION
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.steps import run
from relay.support.diagnostics import did_you_mean
from relay.support.errors import RelayError
from relay.support.lexer import END, Token
from relay.support.source import Source

_REFERENCES: Final = ("ref", "ref_read", "ref_write")

Step: TypeAlias = Generator["Step", Expr, Expr]
"""A rule at work: it yields the rules it needs, is sent what they give, and returns its own."""

INFIX: Final = {
    "*": (12, "multiply"),
    "/": (12, "divide"),
    "+": (10, "add"),
    "-": (10, "subtract"),
    "<": (8, "less"),
    "<=": (8, "less_equal"),
    ">": (8, "greater"),
    ">=": (8, "greater_equal"),
    "==": (7, "equal"),
    "!=": (7, "not_equal"),
}
"""Precedence and operator of the infix signs; all of them associate to the left."""


def parse(
    source: str,
    source_name: str = "from_string",
    init_module: IRModule | None = None,
    init_meta_table: MetaTable | None = None,
) -> IRModule:
    """The module that `source` is the text of, as written: nothing is inferred.

    A text of one expression becomes the ``@main`` of a module. The text may use the functions and
    types of `init_module`, which the result has too, and the constants that `init_meta_table` has
    under ``"relay.Constant"`` where it brings none of its own. Raises `ParseError` with the place,
    what was expected there and what was found.
    """
    return _Parser(Source(source_name, source), init_module, init_meta_table).module()


def parse_expr(
    source: str, source_name: str = "from_string", init_module: IRModule | None = None
) -> Expr:
    """The expression that `source` is the text of; the version header may be left out.

    It may use the types of `init_module`. Raises `ParseError` with the place, what was expected
    there and what was found.
    """
    return _Parser(Source(source_name, source), init_module).whole_expression()


class _Parser(PartsParser):
    """Parses one text."""

    def __init__(
        self,
        source: Source,
        init_module: IRModule | None = None,
        init_meta_table: MetaTable | None = None,
    ) -> None:
        super().__init__(source, init_meta_table)
        self.initial = IRModule() if init_module is None else init_module
        self.names = LocalNames()
        self.globals: dict[str, tuple[GlobalVar, Token]] = {}
        for variable in self.initial.functions:
            self.globals[variable.name_hint] = (variable, self.tokens[-1])
        for data in self.initial.type_definitions.values():
            self.add_type(data)

    # ------------------------------------------------------------------ whole texts

    def module(self) -> IRModule:
        """A module: the header, then definitions or one expression."""
        types = self.type_definitions()
        if not self._at_header():
            self.unexpected(
                "the version of the format",
                f'begin the text with `#[version = "{VERSION}"]`, '
                "or read a bare expression with `relay.parse_expr`",
            )
        self._header()
        module = IRModule(self.initial.functions, self.initial.type_definitions)
        if not self.at("def") and self.index not in types and self.token.kind != END:
            found = IRModule.from_expr(self._to_end(), module.functions, module.type_definitions)
            self._check_globals(found)
            return found
        while self.token.kind not in (END, "metadata"):
            if self.index in types:
                self.index, data = types[self.index]
                module[data.header] = data
            elif self.at("def"):
                self._function_definition(module)
            else:
                self.unexpected("a definition, which begins with `def` or `type`")
        self._check_globals(module)
        return module

    def _check_globals(self, module: IRModule) -> None:
        for name, (_, token) in self.globals.items():
            if name not in module:
                known = [g.name_hint for g in module.functions]
                self.error(
                    token, f"the module has no function @{name}", *did_you_mean(name, known, "@")
                )

    def whole_expression(self) -> Expr:
        """An expression with nothing after it."""
        if self._at_header():
            self._header()
        return self._to_end()

    def _to_end(self) -> Expr:
        found = run(self._block())
        if self.token.kind not in (END, "metadata"):
            self.unexpected("the end of the expression")
        return found

    def _function_definition(self, module: IRModule) -> None:
        start = self.advance()
        name = self.expect_kind("global", "a name like `@main` after `def`")
        variable = self._global(name)
        if variable in module:
            self.error(name, f"the module has two functions {name.text}")
        function = run(self._function_rest(start))
        assert isinstance(function, Function)
        module[variable] = function

    # ------------------------------------------------------------------ names

    def _lookup(self, token: Token) -> Expr:
        found = self.names.get(token.text)
        if found is None:
            message = f"the variable {token.text} is not defined here"
            self.error(token, message, *self.names.hints(token.text))
        return found

    def _global(self, token: Token) -> GlobalVar:
        name = token.text[1:]
        if name not in self.globals:
            self.globals[name] = (GlobalVar(name, span=self.span_of(token)), token)
        return self.globals[name][0]

    # ------------------------------------------------------------------ blocks

    def _block(self) -> Step:
        """Bindings and the expression after them, up to what can belong to neither."""
        mark = self.names.mark
        bindings: list[tuple[Var, Expr, Token]] = []
        while True:
            start = self.token
            if self.take("let"):
                name = self.expect_kind("local", "a variable like `%x` after `let`")
                variable = self._variable(name)
                self.expect("=", "after the variable of a let")
                # Only a function may refer to the variable that it is the value of.
                recursive = self.at("fn")
                if recursive:
                    self.names.bind(name.text, variable)
                value = yield self._expression()
                if not recursive:
                    self.names.bind(name.text, variable)
                self.expect(";", "after the value of a let")
                bindings.append((variable, value, start))
            elif self._at_graph_binding():
                self.index += 2
                value = yield self._expression()
                self.expect(";", f"after the value of {start.text}")
                self.names.bind(start.text, value)
            elif self.take("free_var"):
                name = self.expect_kind("local", "a variable like `%x` after `free_var`")
                self.names.bind(name.text, self._variable(name))
                if not self.take(";") and self.version == VERSION:
                    self.unexpected("`;` after the declaration")
            else:
                value = yield self._expression()
                if not self.take(";"):
                    break
                bindings.append((Var("_", span=self.span_of(start)), value, start))
        result = value
        for variable, bound, start in reversed(bindings):
            result = Let(variable, bound, result, self.span_of(start))
        self.names.unbind(mark)
        return result

    def _at_graph_binding(self) -> bool:
        return self.token.kind == "graph" and self.next_is("=")

    def _braced(self, owner: str) -> Step:
        self.expect("{", f"before {owner}")
        body = yield self._block()
        self.expect("}", f"after {owner}")
        return body

    # ------------------------------------------------------------------ expressions

    def _expression(self) -> Step:
        """Operands joined by infix signs, by precedence."""
        operands: list[Expr] = []
        signs: list[tuple[int, str, Token]] = []
        while True:
            leaf = self._leaf()
            operands.append((yield self._operand()) if leaf is None else leaf)
            token = self.token
            level, name = INFIX.get(token.text, (0, "")) if token.kind == "sign" else (0, "")
            while signs and signs[-1][0] >= level:
                _, operator, sign = signs.pop()
                right = operands.pop()
                op = self._operator(sign, operator)
                operands[-1] = Call(op, (operands[-1], right), span=self.span_of(sign))
            if not name:
                break
            signs.append((level, name, self.advance()))
        if not self.at(":="):
            return operands[0]
        assign = self.advance()
        value = yield self._expression()
        return RefWrite(operands[0], value, self.span_of(assign))

    def _leaf(self) -> Expr | None:
        """A variable or number that nothing is applied to; the common case, without a rule."""
        token = self.token
        if token.kind not in ("local", "graph", "number"):
            return None
        after = self.tokens[self.index + 1]
        if after.kind == "field" or after.text in ("(", "^"):
            return None
        self.index += 1
        return scalar_literal(self, token) if token.kind == "number" else self._lookup(token)

    def _operand(self) -> Step:
        """An atom with its calls and projections; a sign before it makes it negative."""
        start = self.token
        if self.take("-"):
            if self.token.kind == "number" or self.token.text in SPECIAL:
                return scalar_literal(self, self.advance(), negative=True)
            inner = yield self._operand()
            return Call(self._operator(start, "negative"), (inner,), span=self.span_of(start))
        found = yield self._atom()
        while True:
            if self.token.kind == "field":
                index = self.integer(self.advance())
                found = TupleGetItem(found, index, self.span_from(start))
            elif self.take("^"):
                found = RefRead(found, self.span_from(start))
            elif self.at("("):
                arguments, attributes = yield from self._arguments()
                for token, _ in attributes.values():
                    self.error(token, "only calls of operators take attributes")
                found = Call(found, arguments, span=self.span_from(start))
            else:
                return found

    def _atom(self) -> Step:
        token = self.token
        match token.kind:
            case "local" | "graph":
                return self._lookup(self.advance())
            case "global":
                return self._global(self.advance())
            case "number":
                return scalar_literal(self, self.advance())
            case "string":
                token = self.advance()
                text = np.asarray(string_value(self, token), object)
                return Constant(text, self.span_of(token))
            case "identifier":
                return (yield self._word())
        if self.at("("):
            return (yield self._parenthesised())
        self.unexpected("an expression")

    def _word(self) -> Step:
        token = self.advance()
        if token.text == "fn":
            return (yield self._function_rest(token))
        if token.text == "if":
            return (yield self._if_rest(token))
        if token.text in ("let", "free_var"):
            self.index -= 1
            return (yield self._block())
        if token.text == "match":
            return (yield self._match_rest(token))
        if token.text in _REFERENCES and self.at("("):
            return (yield self._reference(token))
        if token.text in self.constructors:
            return self._constructed(token)
        if token.text in dtypes.NAMES and self.at("("):
            return self._typed_literal(token)
        if token.text in ("True", "False"):
            return Constant(np.asarray(token.text == "True"), self.span_of(token))
        if token.text in SPECIAL:
            return scalar_literal(self, token)
        if token.text == "meta":
            return self._meta(token)
        op = self._operator(token, token.text)
        if not self.at("("):
            return op
        arguments, attributes = yield from self._arguments()
        declared = operator_attributes(self, token, op, attributes)
        return Call(op, arguments, declared, span=self.span_from(token))

    def _arguments(
        self,
    ) -> Generator[Step, Expr, tuple[list[Expr], dict[str, tuple[Token, AttributeValue]]]]:
        """``(a, b, attribute=value)``."""
        opened = self.expect("(", "before the arguments")
        arguments: list[Expr] = []
        attributes: dict[str, tuple[Token, AttributeValue]] = {}
        while not self.at(")"):
            if self.token.kind == "identifier" and self.next_is("="):
                self._attribute(attributes)
            elif attributes:
                self.unexpected(
                    "an attribute like `axis=1`, since arguments come before attributes"
                )
            else:
                leaf = self._leaf_argument()
                arguments.append((yield self._expression()) if leaf is None else leaf)
            if not self.take(","):
                break
        self._close(opened, "the arguments")
        return arguments, attributes

    def _leaf_argument(self) -> Expr | None:
        """`_leaf` where it is a whole argument."""
        after = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
        return self._leaf() if after.text in (",", ")") else None

    def _close(self, opened: Token, what: str) -> None:
        if not self.at(")"):
            line = self.span_of(opened).line
            self.unexpected(f"`,` or `)` to close {what} opened on line {line}")
        self.advance()

    def _attribute(self, into: dict[str, tuple[Token, AttributeValue]]) -> None:
        token = self.advance()
        self.expect("=", "after the name of an attribute")
        if token.text in into:
            self.error(token, f"the attribute `{token.text}` is given twice")
        into[token.text] = (token, attribute_value(self))

    def _operator(self, token: Token, name: str) -> Op:
        try:
            return Op.get(name)
        except RelayError:
            self.error(
                token,
                f"there is no operator named `{name}`",
                *did_you_mean(name, (*Op.list_names(), *self.constructors)),
            )

    def _parenthesised(self) -> Step:
        """A unit, a group, a tuple, or a block in parentheses."""
        opened = self.advance()
        if self.take(")"):
            return Tuple((), self.span_from(opened))
        if self.at("let") or self.at("free_var") or self._at_graph_binding():
            found = yield self._block()
            self._close(opened, "the expression")
            return found
        fields = [(yield self._expression())]
        if self.take(")"):
            return fields[0]
        while self.take(",") and not self.at(")"):
            leaf = self._leaf_argument()
            fields.append((yield self._expression()) if leaf is None else leaf)
        self._close(opened, "the tuple")
        return Tuple(fields, self.span_from(opened))

    def _if_rest(self, start: Token) -> Step:
        self.expect("(", "before the condition")
        condition = yield self._expression()
        self.expect(")", "after the condition")
        true_branch = yield self._braced("the first branch of an if")
        if not self.at("else"):
            self.unexpected("`else`", "an if is an expression: it needs a value in both cases")
        self.advance()
        if self.at("if"):
            self.unexpected("`{` after `else`", "put the second if into braces")
        false_branch = yield self._braced("the second branch of an if")
        return If(condition, true_branch, false_branch, self.span_of(start))

    def _constructed(self, token: Token) -> Expr:
        """A constructor; one without fields stands for the call of it."""
        constructor = self.constructors[token.text]
        if constructor.inputs:
            return constructor
        if self.take("("):
            self.expect(")", f"since {token.text} has no fields")
        return Call(constructor, (), span=self.span_of(token))

    def _reference(self, token: Token) -> Step:
        """``ref(e)``, ``ref_read(r)`` or ``ref_write(r, v)``."""
        arguments, attributes = yield from self._arguments()
        wanted = 2 if token.text == "ref_write" else 1
        if attributes or len(arguments) != wanted:
            self.error(token, f"{token.text} takes {wanted} arguments, found {len(arguments)}")
        span = self.span_from(token)
        if token.text == "ref":
            return RefCreate(arguments[0], span)
        if token.text == "ref_read":
            return RefRead(arguments[0], span)
        return RefWrite(arguments[0], arguments[1], span)

    # ------------------------------------------------------------------ match

    def _match_rest(self, start: Token) -> Step:
        complete = not self.take("?")
        self.expect("(", "before the matched value")
        data = yield self._expression()
        self.expect(")", "after the matched value")
        self.expect("{", "before the clauses of a match")
        clauses: list[Clause] = []
        while not self.at("}"):
            mark, first = self.names.mark, self.token
            pattern = self._pattern()
            bound = pattern_vars(pattern)
            for i, variable in enumerate(bound):
                if any(variable.name_hint == v.name_hint for v in bound[:i]):
                    self.error(first, f"the pattern binds %{variable.name_hint} twice")
                self.names.bind(f"%{variable.name_hint}", variable)
            self.expect("=>", "after the pattern")
            if self.at("{") or self.version == VERSION:
                value = yield self._braced("the value of a clause")
            else:
                value = yield self._expression()
            self.names.unbind(mark)
            clauses.append(Clause(pattern, value))
            if not self.take(","):
                break
        self.expect("}", "after the clauses of a match")
        return Match(data, clauses, complete, self.span_of(start))

    def _function_rest(self, start: Token) -> Step:
        """What follows ``fn`` or ``def @name``."""
        mark, outer = self.names.mark, dict(self.type_vars)
        type_params = self.type_parameters()
        opened = self.expect("(", "before the parameters")
        params: list[Var] = []
        attributes: dict[str, tuple[Token, AttributeValue]] = {}
        while not self.at(")"):
            if self.token.kind == "identifier" and self.next_is("="):
                self._attribute(attributes)
            else:
                name = self.expect_kind("local", "a parameter like `%x: int32`")
                if any(p.name_hint == name.text[1:] for p in params):
                    self.error(name, f"the function has two parameters {name.text}")
                params.append(self._variable(name))
                self.names.bind(name.text, params[-1])
            if not self.take(","):
                break
        self._close(opened, "the parameters")
        result = self.type() if self.take("->") else None
        body = yield self._braced("the body of a function")
        self.names.unbind(mark)
        self.type_vars = outer
        attrs = {name: value for name, (_, value) in attributes.items()}
        return Function(params, body, result, type_params, attrs, self.span_of(start))
