"""A lexer for the text formats: tokens by regular expression, comments, exact positions."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from relay.support.diagnostics import Diagnostic
from relay.support.errors import ParseError
from relay.support.source import Source, Span

END = "end"
"""The kind of the last token, whose text is empty."""


class Token(NamedTuple):
    """A piece of text of one kind, from offset `start` to `end`."""

    kind: str
    text: str
    start: int
    end: int


class Positions:
    """Lines and columns of offsets into a source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._starts = [0, *(m.end() for m in re.finditer("\n", source.text))]

    def span(self, start: int, end: int) -> Span:
        """The range from offset `start` to `end`, exclusive."""
        starts = self._starts
        line = bisect_right(starts, start)
        end_line = line if line == len(starts) or end < starts[line] else bisect_right(starts, end)
        return Span(
            self.source,
            line,
            start - starts[line - 1] + 1,
            end_line,
            end - starts[end_line - 1] + 1,
        )


def fail(diagnostic: Diagnostic) -> NoReturn:
    """Raise `diagnostic` as a `ParseError`."""
    raise ParseError(diagnostic.render(), diagnostic.span)


@dataclass(frozen=True)
class Lexer:
    """Token kinds by regular expression, tried in order; `//` and nested `/* */` are comments.

    `line_comment` is what starts a comment to the end of the line where `//` means something else.
    The lexer stops, without an error, at a token of a kind in `stops` (which it still returns).
    """

    kinds: Sequence[tuple[str, str]]
    stops: frozenset[str] = frozenset()
    line_comment: str = "//"

    def tokens(self, source: Source, positions: Positions) -> list[Token]:
        """The tokens of `source`, an `END` token last.

        Raises `ParseError` at a character that starts no token and at a comment without an end.
        """
        skip = rf"[ \t\r\n]+|{re.escape(self.line_comment)}[^\n]*"
        groups = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in self.kinds)
        match = re.compile(rf"(?P<skip>(?:{skip})+)|(?P<comment>/\*)|{groups}").match
        text, at = source.text, 0
        found: list[Token] = []
        while at < len(text):
            hit = match(text, at)
            if hit is None:
                shown = repr(text[at])
                fail(
                    Diagnostic(f"the character {shown} starts nothing", positions.span(at, at + 1))
                )
            kind = hit.lastgroup or ""
            if kind == "skip":
                at = hit.end()
            elif kind == "comment":
                at = _comment_end(text, at, positions)
            else:
                found.append(Token(kind, hit.group(), at, hit.end()))
                at = hit.end()
                if kind in self.stops:
                    break
        found.append(Token(END, "", at, at))
        return found


_COMMENT_EDGE = re.compile(r"/\*|\*/")


def _comment_end(text: str, start: int, positions: Positions) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    fail(
        Diagnostic(
            "this comment has no end",
            positions.span(start, start + 2),
            hints=("close it with `*/`; comments nest",),
        )
    )
