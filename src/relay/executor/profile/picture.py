"""Pictures of a profile: a bar a kernel, as SVG, and a page around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from relay.executor.profile.table import HEADINGS, Row

_ROW, _TOP, _LABEL, _BAR, _RIGHT = 22, 62, 330, 400, 190
_WIDTH = _LABEL + _BAR + _RIGHT
_LABEL_LETTERS, _END = 44, 18
_COLOURS = {"compute": "#3b6fb6", "memory": "#c8762b", "": "#8a8a8a"}
_FONT = "font-family='DejaVu Sans, Helvetica, Arial, sans-serif'"


@dataclass(frozen=True)
class Bar:
    """A bar as long as `seconds`; its dark part is `roofline` of it: what cannot be saved."""

    label: str
    seconds: float
    share: float
    roofline: float | None
    bound: str
    hover: str


def svg_picture(title: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars, the longest across the picture."""
    longest = max((b.seconds for b in bars), default=0.0) or 1e-9
    height = _TOP + _ROW * len(bars) + 12
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{height}' "
        f"viewBox='0 0 {_WIDTH} {height}' {_FONT} font-size='12' fill='#222'>",
        f"<rect width='{_WIDTH}' height='{height}' fill='#ffffff'/>",
        f"<text x='12' y='24' font-size='15' font-weight='bold'>{_text(title)}</text>",
        *_legend(bars),
    ]
    for number, bar in enumerate(bars):
        lines += _bar(bar, _TOP + _ROW * number, longest)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _legend(bars: Sequence[Bar]) -> list[str]:
    entries = []
    if any(b.bound == "compute" for b in bars):
        entries.append((_COLOURS["compute"], 1.0, "bound by arithmetic"))
    if any(b.bound == "memory" for b in bars):
        entries.append((_COLOURS["memory"], 1.0, "bound by memory"))
    if entries:
        entries.append(
            (
                "#222222",
                0.25,
                "pale: beyond the least time this machine needs (its share in brackets)",
            )
        )
    lines, x = [], 12
    for colour, opacity, words in entries:
        lines.append(
            f"<rect x='{x}' y='37' width='12' height='12' fill='{colour}' "
            f"fill-opacity='{opacity}'/><text x='{x + 17}' y='47'>{words}</text>"
        )
        x += 40 + 7 * len(words)
    return lines


def _bar(bar: Bar, y: int, longest: float) -> list[str]:
    width = _BAR * bar.seconds / longest
    ideal = width * min(1.0, 1.0 if bar.roofline is None else bar.roofline)
    colour = _COLOURS.get(bar.bound, _COLOURS[""])
    label = bar.label
    if len(label) > _LABEL_LETTERS:  # names differ at their ends
        label = f"{label[: _LABEL_LETTERS - _END - 1]}…{label[-_END:]}"
    words = f"{bar.seconds * 1e6:,.0f} µs  {bar.share:.1%}"
    if bar.roofline is not None:
        words += f"  ({bar.roofline:.0%})"
    return [
        f"<g><title>{_text(bar.hover)}</title>",
        f"<text x='{_LABEL - 8}' y='{y + 14}' text-anchor='end'>{_text(label)}</text>",
        f"<rect x='{_LABEL}' y='{y + 2}' width='{width:.1f}' height='{_ROW - 6}' "
        f"fill='{colour}' fill-opacity='0.3'/>",
        f"<rect x='{_LABEL}' y='{y + 2}' width='{ideal:.1f}' height='{_ROW - 6}' fill='{colour}'/>",
        f"<text x='{_LABEL + width + 6:.1f}' y='{y + 14}' fill='#444'>{_text(words)}</text></g>",
    ]


_STYLE = """
body { font: 14px/1.4 'DejaVu Sans', Helvetica, Arial, sans-serif; color: #222; margin: 24px; }
table { border-collapse: collapse; margin-top: 20px; font-size: 13px; }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
tr:hover { background: #f3f6fa; }
"""


def html_page(title: str, picture: str, rows: Sequence[Row]) -> str:
    """A page with an SVG `picture` and a table of `rows`."""
    headings = "".join(f"<th>{_text(h)}</th>" for h in ("kernel", *HEADINGS, "from"))
    body = "\n".join(
        "<tr>" + "".join(f"<td>{_text(c)}</td>" for c in (r.label, *r.cells(), r.detail)) + "</tr>"
        for r in rows
    )
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>\n<body>\n{picture}"
        f"<table><thead><tr>{headings}</tr></thead>\n<tbody>\n{body}\n</tbody></table>\n"
        "</body></html>\n"
    )


def _text(words: str) -> str:
    return escape("".join(c if c.isprintable() or c == "\n" else "?" for c in words))
