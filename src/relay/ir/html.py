"""Programs as highlighted HTML, which notebooks show in place of the plain text.

The text is that of the printer, with a span of a class around each token that has one. All text is
escaped, whatever names and strings a program brings along. The style sheet goes with every
program, so that it looks the same wherever it is shown; its colours can be read on white and black.
"""

import re
from html import escape
from typing import Final

STYLE: Final = (
    "<style>"
    ".relay-program .keyword{color:#a05cc0;font-weight:bold}"
    ".relay-program .type{color:#1f8a8a}"
    ".relay-program .operator{color:#3a7bd5}"
    ".relay-program .global{color:#c0662a}"
    ".relay-program .literal{color:#4b8f3a}"
    ".relay-program .comment{color:#808080;font-style:italic}"
    "</style>"
)
"""The colours of the classes."""

_KEYWORDS: Final = frozenset("def else extern fn free_var if let match type".split())
_SCALAR: Final = re.compile(r"(bool|bfloat16|u?int\d+|float\d+(?:_\w+)?|Tensor)")
_TOKEN: Final = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)
    |(?P<literal>"(?:\\.|[^"\\])*"|\b\d[\w.]*(?:[eE][+-]\d+\w*)?|\b(?:True|False)\b)
    |(?P<global>@[\w/]+)
    |(?P<local>%[\w/.]+)
    |(?P<word>[A-Za-z_][\w.]*)""",
    re.DOTALL | re.VERBOSE,
)


def highlighted(text: str) -> str:
    """`text`, a Relay program or a part of one, as an HTML element."""
    parts: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(escape(text[end : match.start()]))
        end = match.end()
        parts.append(_span(match, text[end : end + 1]))
    parts.append(escape(text[end:]))
    return f'{STYLE}<pre class="relay-program">{"".join(parts)}</pre>'


def _span(match: "re.Match[str]", following: str) -> str:
    """A token, in a span where it has a class; `following` is the character after it."""
    token, kind = match.group(), match.lastgroup or ""
    if kind == "word":
        if token in _KEYWORDS:
            kind = "keyword"
        elif _SCALAR.fullmatch(token):
            kind = "type"
        elif following == "(" and not token[0].isupper():
            kind = "operator"
    shown = escape(token)
    return shown if kind in ("word", "local") else f'<span class="{kind}">{shown}</span>'
