"""Scopes as SVG. The colours can be read on white and on black; all text is escaped.

A drawing is made from the inside out: the box of a function is as large as the drawing of its
scope, which it holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from relay.drawing.layout import Placement, Point, place
from relay.drawing.scopes import Edge, Kind, Node, Scope

TITLE_WIDTH: Final = 7.9
"""Of a character of a node's title (13 pixels high, of fixed width)."""
DETAIL_WIDTH: Final = 6.7
"""Of a character of a node's second line (11 pixels)."""
PADDING: Final = 12.0
HEADER: Final = 26.0
"""The height of a scope's title."""
HEAD: Final = 8.0
"""The length of an arrow's head."""
LABEL: Final = 16.0
"""The height of the label of an edge."""
GAP: Final = 24.0
"""Between the functions of a module."""
_PORTS: Final = 0.5
"""Arrows end on this part of a node's width, around the middle."""
_LABELLED_PORTS: Final = 0.9
"""The same, where one of the arrows has a label."""
_WIDE: Final = 1600.0
"""Functions of a module go into the next row from here on."""

STYLE: Final = (
    "<style>"
    ".relay-drawing text{font-family:monospace;text-anchor:middle;fill:#fff}"
    ".relay-drawing .title{font-size:13px;font-weight:600}"
    ".relay-drawing .detail{font-size:11px;fill-opacity:.88}"
    ".relay-drawing .operator rect{fill:#2f68b5}"
    ".relay-drawing .variable rect{fill:#1c7c7c}"
    ".relay-drawing .constant rect{fill:#47803a}"
    ".relay-drawing .global rect{fill:#b3591f}"
    ".relay-drawing .control rect{fill:#8b4bab}"
    ".relay-drawing .data rect{fill:#66707c}"
    ".relay-drawing .cut rect{fill:none;stroke:#828b98;stroke-width:1.5;stroke-dasharray:4 3}"
    ".relay-drawing .cut text,.relay-drawing text.name,.relay-drawing text.label"
    "{fill:#828b98}"
    ".relay-drawing text.name{font-size:13px;font-weight:600;text-anchor:start}"
    ".relay-drawing .name .detail{font-weight:400}"
    ".relay-drawing text.label{font-size:11px;text-anchor:start}"
    ".relay-drawing .scope{fill:#828b98;fill-opacity:.09;stroke:#828b98;stroke-opacity:.7}"
    ".relay-drawing .edge{fill:none;stroke:#828b98;stroke-width:1.4}"
    ".relay-drawing .head{fill:#828b98}"
    "</style>"
)
"""The colours of the kinds of nodes, which are those of programs as text (`relay.ir.html`)."""

_ROUND: Final = frozenset({Kind.VARIABLE, Kind.CONSTANT, Kind.DATA})
"""The kinds with round ends."""


@dataclass(frozen=True)
class Picture:
    """A part of a drawing, from (0, 0) to (`width`, `height`).

    Arrows end at the height `inset`; above is room for their labels.
    """

    width: float
    height: float
    parts: tuple[str, ...]
    inset: float = 0.0


def document(scopes: Sequence[Scope]) -> str:
    """`scopes` as an SVG document: one as it is, several in boxes next to each other."""
    pictures: list[Picture] = []
    for scope in scopes:
        picture = scope_picture(scope)
        pictures.append(_boxed(picture, scope.title) if scope.title else picture)
    x = y = row = width = 0.0
    parts: list[str] = []
    for picture in pictures:
        if x and x + picture.width > _WIDE:
            x, y, row = 0.0, y + row + GAP, 0.0
        parts.append(_moved(picture, x, y))
        x += picture.width + GAP
        width, row = max(width, x - GAP), max(row, picture.height)
    size = f'width="{width + 16:.0f}" height="{y + row + 16:.0f}"'
    view = f'viewBox="-8 -8 {width + 16:.0f} {y + row + 16:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="relay-drawing" {size} {view}>'
        f"{STYLE}{''.join(parts)}</svg>"
    )


def scope_picture(scope: Scope) -> Picture:
    """The drawing of `scope`, without a box around it."""
    done: dict[int, Picture] = {}
    stack: list[tuple[Scope, bool]] = [(scope, False)]
    while stack:
        current, ready = stack.pop()
        if ready:
            done[id(current)] = _picture(current, done)
        elif id(current) not in done:
            stack.append((current, True))
            stack.extend((n.scope, False) for n in current.nodes if n.scope is not None)
    return done[id(scope)]


def _picture(scope: Scope, inner: Mapping[int, Picture]) -> Picture:
    """The drawing of `scope` around those of the functions in it, which are `inner`."""
    ports = _ports(scope.edges)
    pictures = [_node(node, inner, ports.get(k, 0.0)) for k, node in enumerate(scope.nodes)]
    sizes = [(p.width, p.height) for p in pictures]
    placed = place(sizes, [(e.source, e.target) for e in scope.edges])
    parts = [
        part
        for edge, points in zip(scope.edges, _routes(scope.edges, placed, pictures), strict=True)
        for part in _edge(edge, points)
    ]
    for picture, (x, y) in zip(pictures, placed.centres, strict=True):
        parts.append(_moved(picture, x - picture.width / 2, y - picture.height / 2))
    return Picture(placed.width, placed.height, tuple(parts))


def _ports(edges: Sequence[Edge]) -> dict[int, float]:
    """How wide the nodes have to be at which edges with labels end."""
    coming: dict[int, list[int]] = {}
    for edge in edges:
        coming.setdefault(edge.target, []).append(len(edge.label))
    return {
        target: len(labels) * (max(labels) * DETAIL_WIDTH + 20.0) / _LABELLED_PORTS
        for target, labels in coming.items()
        if any(labels)
    }


def _node(node: Node, inner: Mapping[int, Picture], least: float) -> Picture:
    """The drawing of `node`, at least so wide."""
    if node.scope is not None:
        return _boxed(inner[id(node.scope)], node.title, node.detail, node.hint)
    longest = max(len(node.title) * TITLE_WIDTH, len(node.detail) * DETAIL_WIDTH, 14.0)
    round_ = node.kind in _ROUND
    width = max(longest + 2 * PADDING, least)
    height = (42.0 if node.detail else 26.0) - 2 * round_
    inset = LABEL if least else 0.0
    parts = [f'<g class="{node.kind}" transform="translate(0 {inset:.0f})">']
    if node.hint:
        parts.append(f"<title>{escape(node.hint)}</title>")
    radius = height / 2 if round_ else 6
    parts.append(f'<rect width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}"/>')
    middle = width / 2
    first = height / 2 - 3 if node.detail else height / 2 + 4.5
    parts.append(_text("title", middle, first, node.title))
    if node.detail:
        parts.append(_text("detail", middle, first + 15, node.detail))
    parts.append("</g>")
    return Picture(width, height + inset, ("".join(parts),), inset)


def _boxed(picture: Picture, title: str, detail: str = "", hint: str = "") -> Picture:
    """`picture` in a box with a title."""
    wanted = len(title) * TITLE_WIDTH + len(detail) * DETAIL_WIDTH + PADDING
    width = max(picture.width, wanted) + 2 * PADDING
    more = f'<tspan class="detail" dx="{PADDING:.0f}">{escape(detail)}</tspan>' if detail else ""
    height = picture.height + HEADER + 2 * PADDING
    parts = (
        "<g>" + (f"<title>{escape(hint)}</title>" if hint else ""),
        f'<rect class="scope" width="{width:.1f}" height="{height:.1f}" rx="10"/>',
        f'<text class="name" x="{PADDING}" y="{HEADER - 5}">{escape(title)}{more}</text>',
        _moved(picture, (width - picture.width) / 2, HEADER + PADDING),
        "</g>",
    )
    return Picture(width, height, parts)


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _moved(picture: Picture, x: float, y: float) -> str:
    return f'<g transform="translate({x:.1f} {y:.1f})">{"".join(picture.parts)}</g>'


def _routes(
    edges: Sequence[Edge], placed: Placement, pictures: Sequence[Picture]
) -> list[list[Point]]:
    """The points of each edge, in pairs: it goes straight between those of a pair.

    An edge begins at the bottom of a node and ends at the top of another. Those that end at one
    node do so side by side, in the order in which they come.
    """
    coming: dict[int, list[int]] = {}
    origin: list[float] = []
    for k, edge in enumerate(edges):
        coming.setdefault(edge.target, []).append(k)
        path = placed.paths[k]
        origin.append(path[-1][0] if path else placed.centres[edge.source][0])
    offset = [0.0] * len(edges)
    for target, numbers in coming.items():
        room = pictures[target].width
        if any(edges[k].label for k in numbers):
            step = room * _LABELLED_PORTS / len(numbers)
        else:
            step = min(28.0, room * _PORTS / len(numbers))
        for position, k in enumerate(sorted(numbers, key=lambda k: origin[k])):
            offset[k] = (position - (len(numbers) - 1) / 2) * step
    routes: list[list[Point]] = []
    for k, edge in enumerate(edges):
        (x, y), (u, v) = placed.centres[edge.source], placed.centres[edge.target]
        u += offset[k]
        leaving = [(x, y + pictures[edge.source].height / 2), (x, placed.bands[edge.source][1])]
        end = v - pictures[edge.target].height / 2 + pictures[edge.target].inset
        arriving = [(u, placed.bands[edge.target][0]), (u, end)]
        routes.append([*leaving, *placed.paths[k], *arriving])
    return routes


def _edge(edge: Edge, points: Sequence[Point]) -> list[str]:
    """An arrow through `points`: curved between layers, straight across them."""
    (x, y), (u, v) = points[0], points[-1]
    path = [f"M{x:.1f} {y:.1f}"]
    # The line ends inside of the arrow's head, which begins above the layer if need be.
    *before, (_, top), _ = points
    stops = [*before, (u, min(top, v - HEAD)), (u, v - HEAD)]
    for k in range(1, len(stops)):
        (a, b), (c, d) = stops[k - 1], stops[k]
        if k % 2 or abs(a - c) < 0.5:
            path.append(f"V{d:.1f}")
        else:
            m = (b + d) / 2
            path.append(f"C{a:.1f} {m:.1f} {c:.1f} {m:.1f} {c:.1f} {d:.1f}")
    head = f"M{u - 4:.1f} {v - HEAD:.1f}h8L{u:.1f} {v:.1f}Z"
    parts = [f'<path class="edge" d="{"".join(path)}"/>', f'<path class="head" d="{head}"/>']
    if edge.label:
        parts.append(_text("label", u + 7, v - 5, edge.label))
    return parts
