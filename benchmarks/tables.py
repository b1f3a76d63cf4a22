"""The tables of the report, in Markdown and for the terminal."""

from itertools import groupby

from rich.table import Table

from benchmarks import engines
from benchmarks.record import TITLES, Row, Section, geometric_mean

NONE = "–"


def number(value: float | str | None) -> str:
    """Three significant digits, no exponent; two below 0.1."""
    if value is None:
        return NONE
    value = float(value)
    digits = next((n for n, least in enumerate((100, 10, 1, 0.1)) if value >= least), 4)
    return f"{value:.{digits}f}"


def factor(value: float | None) -> str:
    """How many times as fast."""
    return NONE if value is None else f"{value:.2f}x"


def megabytes(value: float | str | None) -> str:
    """Whole megabytes."""
    return NONE if value is None else f"{float(value):.0f}"


def markdown(header: list[str], rows: list[list[str]], texts: int = 1) -> str:
    """A table; the first ``texts`` columns are text, the others are numbers."""
    lines = [header, ["---"] * texts + ["---:"] * (len(header) - texts), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def present(section: Section) -> list[str]:
    """The engines that ran at least once."""
    return list(section.versions())


def is_compared(section: Section) -> bool:
    """Whether we and at least one peer ran."""
    ran = section.versions()
    return section.ourselves in ran and any(name in ran for name in section.peers)


def latency_header(section: Section, label: str) -> list[str]:
    """The header that goes with :func:`latency_row`."""
    peers = [name for name in section.peers if name in present(section)]
    against = "the faster peer" if len(peers) > 1 else "".join(TITLES[name] for name in peers)
    compared = [f"{TITLES[section.ourselves]} against {against}", "by minimum", "error"]
    return [label, *(TITLES[name] for name in present(section)), *compared * is_compared(section)]


def latency_row(section: Section, row: Row, label: str, emphasis: str) -> list[str]:
    """Minimum and median of each engine, the smallest median marked with ``emphasis``."""
    medians = {name: row.time(name) for name in present(section)}
    known = [value for value in medians.values() if value is not None]
    cells = [label]
    for name, median in medians.items():
        mark = emphasis if median is not None and median == min(known) else ""
        least = number(row.time(name, "min_ms"))
        cells.append(NONE if median is None else f"{least} / {mark}{number(median)}{mark}")
    if is_compared(section):
        error = row.results.get(section.ourselves, {}).get("error")
        cells += [factor(section.speedup(row)), factor(section.speedup(row, "min_ms"))]
        cells.append(NONE if error is None else f"{float(error):.1e}")
    return cells


def mean_row(section: Section) -> list[list[str]]:
    """The geometric mean of the speed-ups, where there is more than one."""
    values = section.speedups()
    if len(values) < 2:
        return []
    faster = sum(value > 1 for value in values)
    label = f"geometric mean; faster in {faster} of {len(section.rows)}"
    means = [geometric_mean(section.speedups(key)) for key in ("median_ms", "min_ms")]
    return [[label, *[""] * len(present(section)), *map(factor, means), ""]]


def latency_table(section: Section) -> str:
    """Latency in ms, ``minimum / median``."""
    rows = [latency_row(section, row, row.title, "**") for row in section.rows]
    return markdown(latency_header(section, "model"), [*rows, *mean_row(section)])


def cost_table(section: Section) -> str:
    """Seconds to load, for us also with a filled cache, and the peak of memory in MB."""
    names = present(section)
    header = ["model"]
    for what in ("load", "memory"):
        for name in names:
            cached = engines.runtime(name) == engines.OURSELVES
            header.append(f"{TITLES[name]}: {what}" + " / cached" * cached)
    rows = []
    for row in section.rows:
        cells = [row.title]
        for key, show in (("load_s", number), ("memory_mb", megabytes)):
            for name in names:
                result = row.results[name]
                cached = result.get(f"cached_{key}")
                cells.append(show(result.get(key)) + (f" / {show(cached)}" if cached else ""))
        rows.append(cells)
    return markdown(header, rows)


def series_tables(section: Section) -> str:
    """A table for each series of time against work."""
    pieces = []
    for series, rows in groupby(section.rows, key=lambda row: row.series):
        if series is None:
            continue
        body = [latency_row(section, row, str(row.position), "**") for row in rows]
        header = latency_header(section, series.axis)
        pieces.append(f"### {series.title}: {series.axis}\n\n{markdown(header, body, texts=0)}")
    return "\n".join(pieces)


def terminal_table(section: Section) -> Table:
    """The latencies, for the end of a run."""
    table = Table(title=f"{section.title}: latency in ms, minimum / median of all calls")
    for index, title in enumerate(latency_header(section, "model")):
        table.add_column(title, justify="right" if index else "left", overflow="fold")
    for row in section.rows:
        on_threads = row.series is not None and row.series.axis == "threads"
        label = row.stem + f", threads {row.position}" * on_threads
        table.add_row(*latency_row(section, row, label, ""))
    for cells in mean_row(section):
        table.add_row(*cells)
    return table


def detail_table(section: Section) -> str:
    """A row per model and engine with everything that was measured."""
    header = ["model", "engine", "min ms", "median ms", "p90 ms", "calls", "load s"]
    header += ["load s, cached", "first run ms", "peak memory MB", "error", "RMS error"]
    rows = []
    for row in section.rows:
        for engine, result in row.results.items():
            if "error" not in result:
                reason = next(iter(set(result) & {"missing", "failed", "cut"}), NONE)
                rows.append([row.title, TITLES[engine], reason, *[NONE] * (len(header) - 3)])
                continue
            rows.append(
                [
                    row.title,
                    TITLES[engine],
                    *(number(result.get(key)) for key in ("min_ms", "median_ms", "p90_ms")),
                    str(result.get("runs", NONE)),
                    number(result.get("load_s")),
                    number(result.get("cached_load_s")),
                    number(result.get("first_run_ms")),
                    megabytes(result.get("memory_mb")),
                    *(f"{float(result[key]):.1e}" for key in ("error", "rms_error")),
                ]
            )
    return markdown(header, rows, texts=2)
