"""Where nodes and edges go: layers from top to bottom, few crossings, straight long edges.

The layers, their order and the horizontal places come from the package grandalf (the method of
Sugiyama, with the placement of Brandes and Köpf). All lengths are in pixels.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from relay.support.errors import UnsupportedError

try:
    from grandalf.graphs import Edge, Graph, Vertex, graph_core
    from grandalf.layouts import Layer, SugiyamaLayout

    AVAILABLE = True
except ImportError:  # an extra
    AVAILABLE = False

ACROSS: Final = 22.0
"""Between neighbours in a layer."""
DOWN: Final = 34.0
"""Between layers."""
THREAD: Final = 10.0
"""The room that an edge takes where it passes a layer."""
MOST_THREADS: Final = 6000
"""Edges may pass so many layers, counted together; the time for the layout grows with them."""
ROUNDS: Final = 3
"""How often the layers are put in order, downwards and upwards."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Placement:
    """The centre of each node, the points of each edge between the layers, and the whole size.

    The points of an edge are pairs, where it enters and where it leaves each layer that it passes;
    the layers of its ends are not among them. `bands` tells top and bottom of each node's layer.
    """

    width: float
    height: float
    centres: list[Point]
    bands: list[Point]
    paths: list[list[Point]]


@dataclass
class _Box:
    """What grandalf wants to know of a node; it sets `xy`."""

    w: float
    h: float
    xy: Point = (0.0, 0.0)


def require() -> None:
    """Raise `UnsupportedError` where the package for layouts is not installed."""
    if not AVAILABLE:
        raise UnsupportedError(
            "drawings need the package grandalf, which is not installed: pip install relay-ir[draw]"
        )


def place(sizes: Sequence[Point], edges: Sequence[tuple[int, int]]) -> Placement:
    """Lay out nodes of `sizes` (width, height) and `edges` between them, which form no circle.

    A node comes after those from which edges lead to it, unless nothing leads to these. Raises
    `UnsupportedError` where edges would pass too many layers.
    """
    require()
    _check_threads(len(sizes), edges)
    vertices = [Vertex(number) for number in range(len(sizes))]
    for vertex, (width, height) in zip(vertices, sizes, strict=True):
        vertex.view = _Box(width, height)
    links: dict[tuple[int, int], Edge] = {}
    for a, b in edges:
        links.setdefault((a, b), Edge(vertices[a], vertices[b]))
    passed: dict[Edge, list[Point]] = {}
    bands: dict[Vertex, Point] = {}
    left = bottom = 0.0
    with _deep(len(sizes)):
        # What stands alone goes to the left, where it does not get lost beside a large drawing.
        components = Graph(vertices, list(links.values())).C
        for component in sorted(components, key=lambda c: len(c.sV)):
            layout = _layers(component)
            boxes = [v.view for layer in layout.layers for v in layer]
            shift = left - min(box.xy[0] - box.w / 2 for box in boxes)
            for box in boxes:
                box.xy = (box.xy[0] + shift, box.xy[1])
            left = 2 * ACROSS + max(box.xy[0] + box.w / 2 for box in boxes)
            bottom = max(bottom, *(box.xy[1] + box.h / 2 for box in boxes))
            for layer in layout.layers:
                band = _band(layer)
                bands.update((vertex, band) for vertex in layer)
            passed.update((e, _passed(e, layout)) for e in component.sE)
    return Placement(
        width=max(0.0, left - 2 * ACROSS),
        height=bottom,
        centres=[vertex.view.xy for vertex in vertices],
        bands=[bands[vertex] for vertex in vertices],
        paths=[passed[links[edge]] for edge in edges],
    )


def _check_threads(nodes: int, edges: Sequence[tuple[int, int]]) -> None:
    """Raise `UnsupportedError` where the layers that edges pass are too many to be ordered."""
    rank = [0] * nodes
    for a, b in sorted(edges, key=lambda edge: edge[1]):
        rank[b] = max(rank[b], rank[a] + 1)
    targets = {b for _, b in edges}
    first: dict[int, int] = {}
    for a, b in edges:
        first[a] = min(first.get(a, rank[b]), rank[b])
    start = [r if k in targets else first.get(k, 1) - 1 for k, r in enumerate(rank)]
    threads = sum(max(0, rank[b] - start[a] - 1) for a, b in set(edges))
    if threads > MOST_THREADS:
        raise UnsupportedError(
            "values are used so far from where they are made that the drawing would have "
            f"{threads} long lines, and more than {MOST_THREADS} nobody could follow: draw an "
            "expression inside of it, or only what is close to the result, "
            "`relay.draw(program, depth=8)`"
        )


def _layers(component: "graph_core") -> "SugiyamaLayout":
    """`component` laid out, from its own left edge."""
    layout = SugiyamaLayout(component)
    layout.dw, layout.dh = THREAD, 1.0
    layout.xspace, layout.yspace = ACROSS, DOWN
    sources = [v for v in component.sV if not v.e_in()]
    layout.init_all(roots=sources, inverted_edges=[], optimize=True)
    if len(component.sV) > 1:
        layout.draw(ROUNDS)
    else:
        layout.setxy()
    for layer in layout.layers:
        # The placement may leave neighbours too close to each other.
        free = -math.inf
        for vertex in sorted(layer, key=lambda v: v.view.xy[0]):
            x, y = vertex.view.xy
            x = max(x, free + vertex.view.w / 2)
            vertex.view.xy = (x, y)
            free = x + vertex.view.w / 2 + ACROSS / 2
    return layout


def _passed(edge: "Edge", layout: "SugiyamaLayout") -> list[Point]:
    """Where `edge` enters and leaves each layer between those of its ends."""
    control = layout.ctrls.get(edge, {})
    points: list[Point] = []
    for rank in sorted(control)[1:-1]:
        x, _ = control[rank].view.xy
        points += [(x, y) for y in _band(layout.layers[rank])]
    return points


def _band(layer: "Layer") -> Point:
    """Top and bottom of a layer, whose nodes have one middle."""
    half = max(v.view.h for v in layer) / 2
    middle = layer[0].view.xy[1]
    return middle - half, middle + half


@contextmanager
def _deep(nodes: int) -> Iterator[None]:
    """Let the placement, which calls itself once for each node of a layer, do so."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 4 * nodes + 1000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
