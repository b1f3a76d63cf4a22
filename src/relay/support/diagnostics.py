"""Messages for people: what is wrong, where, what was expected and found, and what to try."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relay.support.source import Source, Span


@dataclass(frozen=True)
class Diagnostic:
    """One message about one place of a source.

    `message` says what is wrong, `label` stands beside the caret. `expected` and `found` contrast
    what is wanted with what is there, `because` tells where the expectation comes from, and
    `hints` what to try. Only what is given is shown.
    """

    message: str
    span: Span | None = None
    label: str = ""
    expected: str = ""
    found: str = ""
    because: str = ""
    hints: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """The lines below the excerpt."""
        rows = (("expected", self.expected), ("found", self.found), ("because", self.because))
        named = [f"{name}: {text}" for name, text in rows if text]
        return [*named, *(f"try: {hint}" for hint in self.hints)]

    def render(self) -> str:
        """The message, the excerpt with a caret where the place is known, and the notes."""
        lines = [self.message]
        if self.span is not None:
            lines += excerpt(self.span, self.label)
        indent = " " * (len(str(self.span.line)) + 1) if self.span is not None else ""
        lines += [f"{indent}= {note}" for note in self.notes()]
        return "\n".join(lines)


def excerpt(span: Span, label: str = "") -> list[str]:
    """The line of `span` with its number, and carets under the range."""
    text = span.source.line(span.line)
    margin = " " * len(str(span.line))
    return [f"{margin} |", f"{span.line} | {text}", f"{margin} | {_carets(span, text, label)}"]


def _carets(span: Span, text: str, label: str) -> str:
    end = span.end_column if span.end_line == span.line else len(text) + 1
    width = max(1, min(end, len(text) + 1) - span.column)
    # Tabs are kept, so that the carets stand where the terminal shows the text.
    lead = "".join(c if c == "\t" else " " for c in text[: span.column - 1])
    return f"{lead.ljust(span.column - 1)}{'^' * width} {label}".rstrip()


def listing(source: Source, diagnostics: Sequence[Diagnostic], context: int = 2) -> str:
    """The text of `source` around `diagnostics`, each message under the line that it is about.

    `context` lines are shown before and after; what lies between is left out. Diagnostics without
    a place follow at the end. At most one excerpt per line is shown, however many messages it has.
    """
    lines = source.text.split("\n")
    placed: dict[int, list[Diagnostic]] = {}
    homeless: list[Diagnostic] = []
    for diagnostic in diagnostics:
        if diagnostic.span is None or diagnostic.span.source != source:
            homeless.append(diagnostic)
        else:
            placed.setdefault(diagnostic.span.line, []).append(diagnostic)
    width = len(str(max(placed, default=1) + context))
    shown = sorted(
        {
            number
            for line in placed
            for number in range(line - context, line + context + 1)
            if 0 < number <= len(lines)
        }
    )
    while shown and not lines[shown[-1] - 1].strip():
        shown.pop()
    result: list[str] = []
    previous = None
    for number in shown:
        if previous is not None and number != previous + 1:
            result.append("." * width)
        previous = number
        text = lines[number - 1]
        result.append(f"{number:>{width}} | {text}".rstrip())
        for diagnostic in placed.get(number, ()):
            assert diagnostic.span is not None
            carets = _carets(diagnostic.span, text, diagnostic.message)
            result.append(f"{' ' * width} | {carets}")
            result += [f"{' ' * width} = {note}" for note in diagnostic.notes()]
    for diagnostic in homeless:
        result.append(diagnostic.message)
        result += [f"{' ' * width} = {note}" for note in diagnostic.notes()]
    return "\n".join(result)


def near(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The names in `known` that `name` may have been meant to be, best first."""
    candidates = list(known)
    found = difflib.get_close_matches(name, candidates, n=limit, cutoff=0.6)
    if found:
        return found
    # A name without its namespace: `conv2d` for `nn.conv2d`.
    last = name.rsplit(".", 1)[-1]
    return [c for c in candidates if c.rsplit(".", 1)[-1] == last][:limit]


def did_you_mean(name: str, known: Iterable[str], sign: str = "") -> tuple[str, ...]:
    """The hint about names close to `name`, none when there are none; `sign` precedes each."""
    found = near(name, known)
    if not found:
        return ()
    return ("did you mean " + " or ".join(f"`{sign}{n}`" for n in found) + "?",)
