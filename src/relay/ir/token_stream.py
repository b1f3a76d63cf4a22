"""Reading Relay text token by token: the lexical grammar, and helpful errors."""

from typing import Final, NoReturn

from relay.support.diagnostics import Diagnostic
from relay.support.lexer import END, Lexer, Positions, Token, fail
from relay.support.source import Source, Span

NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z0-9_]+)*"
LEXER: Final = Lexer(
    kinds=(
        ("graph", r"%\d+"),
        ("local", "%" + NAME),
        ("global", "@" + NAME),
        ("field", r"\.\d+"),
        ("number", r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:f\d*|[iu]\d+)?"),
        ("metadata", r"#\[metadata\]|METADATA:"),
        ("identifier", r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"),
        ("string", r'"(?:\\.|[^"\\\n])*"'),
        ("sign", r"->|=>|:=|==|!=|<=|>=|#\[|[(){}\[\],:;=<>+\-*/?^]"),
    ),
    stops=frozenset({"metadata"}),
)
MAX_NESTING: Final = 64
"""How deep patterns and attribute values may nest (programs and types nest without a limit)."""
MAX_DIGITS: Final = 25


class TokenStream:
    """Tokens of a text with a position, and what every part of the parser needs."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.positions = Positions(source)
        self.tokens = LEXER.tokens(source, self.positions)
        self.index = 0
        self._nesting = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self.index]

    def advance(self) -> Token:
        """The next token, consumed; the last one stays."""
        found = self.tokens[self.index]
        if found.kind != END:
            self.index += 1
        return found

    def at(self, text: str) -> bool:
        """Whether the next token is the sign or word `text`."""
        found = self.tokens[self.index]
        return found.text == text and found.kind != "string"

    def next_is(self, text: str) -> bool:
        """Whether the token after the next one is `text`."""
        after = min(self.index + 1, len(self.tokens) - 1)
        return self.tokens[after].text == text and self.tokens[after].kind != "string"

    def take(self, text: str) -> bool:
        """Consume `text` if it comes next."""
        if self.at(text):
            self.index += 1
            return True
        return False

    def expect(self, text: str, purpose: str) -> Token:
        """Consume `text`, or fail saying what it is wanted for."""
        if not self.at(text):
            self.unexpected(f"`{text}` {purpose}")
        return self.advance()

    def expect_kind(self, kind: str, what: str) -> Token:
        """Consume a token of `kind`, or fail saying that `what` is wanted."""
        if self.token.kind != kind:
            self.unexpected(what)
        return self.advance()

    def span_of(self, token: Token) -> Span:
        """The range of one token."""
        return self.positions.span(token.start, token.end)

    def span_from(self, start: Token) -> Span:
        """The range from `start` to the last consumed token."""
        return self.positions.span(start.start, self.tokens[max(self.index - 1, 0)].end)

    def unexpected(self, expected: str, *hints: str) -> NoReturn:
        """Fail at the next token: `expected` is wanted there."""
        found = "the end of the text" if self.token.kind == END else f"`{self.token.text}`"
        fail(
            Diagnostic(
                f"expected {expected}, found {found}", self.span_of(self.token), hints=tuple(hints)
            )
        )

    def error(self, token: Token, message: str, *hints: str, because: str = "") -> NoReturn:
        """Fail at `token`."""
        fail(Diagnostic(message, self.span_of(token), hints=tuple(hints), because=because))

    def enter(self) -> None:
        """Count one level of a nesting that is parsed by recursion; `leave` undoes it."""
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            self.error(self.token, f"patterns and attribute values nest at most {MAX_NESTING} deep")

    def leave(self) -> None:
        """The end of what `enter` began."""
        self._nesting -= 1

    def integer(self, token: Token) -> int:
        """The value of a number token that must be a whole number of reasonable length."""
        digits = token.text.lstrip(".").partition("i")[0].partition("u")[0]
        if not digits.isdigit():
            self.error(token, f"expected a whole number, found `{token.text}`")
        if len(digits) > MAX_DIGITS:
            self.error(token, f"the number {digits[:12]}... is too large")
        return int(digits)
