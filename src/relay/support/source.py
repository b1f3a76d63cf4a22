"""Positions in source text: `Source` is a named text, `Span` a range of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """A named text. Lines and columns count from 1."""

    name: str
    text: str = field(repr=False)

    def line(self, number: int) -> str:
        """Line `number` without its end; empty where the text has no such line."""
        lines = self.text.split("\n")
        return lines[number - 1] if 0 < number <= len(lines) else ""


@dataclass(frozen=True)
class Span:
    """A range of a source: from (`line`, `column`) to (`end_line`, `end_column`), end exclusive."""

    source: Source
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"
