"""The plots of the report."""

import math
from itertools import groupby
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.record import TITLES, Row, Section

COLOURS = {
    "relay": "#d1495b",
    "onnxruntime": "#5b7c99",
    "openvino": "#a9bcd0",
    "torch": "#edae49",
}
MARKERS = {"relay": "o", "onnxruntime": "s", "openvino": "^", "torch": "v"}


def relative(section: Section) -> Figure:
    """Grouped bars: the median of each engine over that of the faster peer; lower is faster."""
    names = list(section.versions())
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / max(len(names), 1)
    rows = [row for row in section.rows if any(row.time(peer) for peer in section.peers)]
    best = [min(time for peer in section.peers if (time := row.time(peer))) for row in rows]
    for index, name in enumerate(names):
        heights = [(row.time(name) or 0.0) / time for row, time in zip(rows, best, strict=True)]
        places = [place + (index - (len(names) - 1) / 2) * width for place in range(len(rows))]
        axes.bar(places, heights, width * 0.9, label=TITLES[name], color=COLOURS[name])
    axes.axhline(1.0, color="#444444", linewidth=0.8)
    labels = [row.stem.split("-")[0].replace("_", " ") for row in rows]
    axes.set_xticks(range(len(rows)), labels, rotation=20, ha="right")
    axes.set_ylabel("time relative to the faster peer\n(lower is faster)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=max(len(names), 1), loc="upper left", bbox_to_anchor=(0, 1.12))
    return figure


def latency_range(values: list[float]) -> tuple[float, float]:
    """The ends of a logarithmic axis around ``values``: never less than a factor of 4 apart."""
    least, most = min(values, default=1.0), max(values, default=1.0)
    middle, half = math.sqrt(least * most), max(1.2 * math.sqrt(most / least), 2.0)
    return middle / half, middle * half


def scaling(section: Section) -> Figure:
    """A panel for each series: median latency per unit of work, both axes logarithmic."""
    panels = [
        (series, list(rows)) for series, rows in groupby(section.rows, lambda row: row.series)
    ]
    columns = 3
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(4 * columns, 3.4 * lines), layout="constrained")
    names = list(section.versions())

    def times(row: Row) -> list[float]:
        return [time for name in names if (time := row.time(name))]

    for index, (series, rows) in enumerate(panels):
        if series is None:
            continue
        axes = figure.add_subplot(lines, columns, index + 1)
        for name in names:
            points = [(row.position, time / row.work) for row in rows if (time := row.time(name))]
            x, y = ([point[part] for point in points] for part in (0, 1))
            style = {"marker": MARKERS[name], "markersize": 4.5, "color": COLOURS[name]}
            axes.plot(x, y, label=TITLES[name], **style)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks([row.position for row in rows], [str(row.position) for row in rows])
        axes.set_ylim(*latency_range([time / row.work for row in rows for time in times(row)]))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_title(series.title, fontsize=10)
        axes.set_xlabel(series.axis)
        axes.set_ylabel(f"ms per {series.unit}")
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if index == 0:
            axes.legend(frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes an SVG file whose text stays text; the same numbers give the same file."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "relay"}):
        figure.savefig(path, metadata={"Date": None, "Creator": None})
