"""What was measured, written for people: tables, a plot, and the numbers as JSON."""

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks.catalogue import MODELS
from benchmarks.engines import OURSELVES, REFERENCE

BEGIN, END = "<!-- benchmark table -->", "<!-- /benchmark table -->"
TITLES = {
    "relay": "relay",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "torch": "PyTorch eager",
}
COLOURS = {"relay": "#d1495b", "onnxruntime": "#5b7c99", "openvino": "#a9bcd0", "torch": "#edae49"}
NONE = "–"

TOLERANCE = 1e-3
"""An error above this, relative to the largest output, is remarked on: the engine is wrong."""

Result = dict[str, float | str]
"""What is known of one engine on one model; a ``missing`` or ``failed`` says why nothing is."""


def cpu_name() -> str:
    """What the operating system calls the processor."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Record:
    """One run of the benchmark: ``results[model][engine][quantity]``."""

    date: str
    settings: dict[str, object]
    engines: tuple[str, ...]
    results: dict[str, dict[str, Result]]

    def versions(self) -> dict[str, str]:
        """The versions of the engines that ran, by engine."""
        return {
            name: str(result["version"])
            for by_engine in self.results.values()
            for name, result in by_engine.items()
            if "version" in result
        }

    def present(self) -> list[str]:
        """The engines that were measured on at least one model."""
        return [name for name in self.engines if name in self.versions()]

    def median(self, model: str, engine: str) -> float | None:
        """The median latency in ms, or None where there is none."""
        value = self.results[model].get(engine, {}).get("median_ms")
        return float(value) if value is not None else None

    def remarks(self) -> list[str]:
        """What is missing from the numbers or wrong with them, and why, a line each."""
        lines: dict[str, None] = {}
        for model, by_engine in self.results.items():
            for engine, result in by_engine.items():
                if "missing" in result:
                    lines[f"{TITLES[engine]} is not installed: {result['missing']}"] = None
                elif "failed" in result:
                    lines[f"{TITLES[engine]} on {model}: {result['failed']}"] = None
                elif not float(result["error"]) <= TOLERANCE:
                    error = f"its outputs are off by {result['error']:.1e} of the largest"
                    lines[f"{TITLES[engine]} on {model}: {error}"] = None
        return list(lines)

    def conditions(self) -> str:
        """One line: processor, threads, versions, date."""
        versions = ", ".join(f"{TITLES[name]} {text}" for name, text in self.versions().items())
        return (
            f"{cpu_name()}, {self.settings['threads']} of {os.cpu_count()} threads, batch 1, "
            f"float32, random weights. {versions}; Python {platform.python_version()} on "
            f"{platform.system()}. {self.date}."
        )

    def to_json(self) -> str:
        """Everything, for machines."""
        record = {
            "date": self.date,
            "cpu": cpu_name(),
            "cpu_count": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "versions": self.versions(),
            "settings": self.settings,
            "results": self.results,
        }
        return json.dumps(record, indent=2) + "\n"


def number(value: float | str | None) -> str:
    """Three significant digits, no exponent."""
    if value is None:
        return NONE
    value = float(value)
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"


def markdown(header: list[str], rows: list[list[str]], texts: int = 1) -> str:
    """A table; the first ``texts`` columns are text, the others are numbers."""
    lines = [header, ["---"] * texts + ["---:"] * (len(header) - texts), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def is_comparable(record: Record) -> bool:
    """Whether both we and the engine we compare with were measured."""
    return {OURSELVES, REFERENCE} <= set(record.present())


def latency_rows(record: Record, emphasis: str) -> list[list[str]]:
    """A row per model: the median of each engine, the fastest marked with ``emphasis``."""
    rows = []
    for model in record.results:
        medians = {name: record.median(model, name) for name in record.present()}
        known = [value for value in medians.values() if value is not None]
        row = [MODELS[model].title]
        for median in medians.values():
            mark = emphasis if median is not None and median == min(known) else ""
            row.append(mark + number(median) + mark)
        if is_comparable(record):
            ours, theirs = medians[OURSELVES], medians[REFERENCE]
            row.append(f"{theirs / ours:.2f}x" if ours and theirs else NONE)
        rows.append(row)
    return rows


def latency_header(record: Record) -> list[str]:
    """The header that goes with :func:`latency_rows`."""
    titles = [TITLES[name] for name in record.present()]
    ratio = [f"{TITLES[OURSELVES]} against {TITLES[REFERENCE]}"] if is_comparable(record) else []
    return ["model", *titles, *ratio]


def terminal_table(record: Record) -> Table:
    """The medians, for the end of a run."""
    table = Table(title="latency, median of all calls, in ms")
    for index, title in enumerate(latency_header(record)):
        table.add_column(title, justify="right" if index else "left")
    for row in latency_rows(record, ""):
        table.add_row(*row)
    return table


def latency_table(record: Record) -> str:
    """The medians in Markdown."""
    return markdown(latency_header(record), latency_rows(record, "**"))


def detail_table(record: Record) -> str:
    """A row per model and engine with everything that was measured."""
    header = ["model", "engine", "min ms", "median ms", "p90 ms", "calls", "load s"]
    header += ["load s, cached", "first run ms", "peak memory MB", "relative error"]
    rows = []
    for model, by_engine in record.results.items():
        for engine, result in by_engine.items():
            if "load_s" not in result:
                continue
            rows.append(
                [
                    MODELS[model].title,
                    TITLES[engine],
                    *(number(result.get(key)) for key in ("min_ms", "median_ms", "p90_ms")),
                    str(result.get("runs", NONE)),
                    number(result["load_s"]),
                    number(result.get("cached_load_s")),
                    number(result["first_run_ms"]),
                    f"{float(result['memory_mb']):.0f}",
                    f"{float(result['error']):.1e}",
                ]
            )
    return markdown(header, rows, texts=2)


def page(record: Record) -> str:
    """The page of results."""
    remarks = "".join(f"- {line}\n" for line in record.remarks())
    return f"""# Results

{record.conditions()}

Latency of one inference in ms, median over all calls; the fastest in bold. The engines take turns
in one process, {record.settings["rounds"]} turns each, with inputs and outputs as NumPy arrays.

{latency_table(record)}
![time relative to ONNX Runtime](latest.svg)

## Everything measured

Load is from the ONNX file to a session that can run, compilation included, in a fresh process; for
relay first with an empty cache of compiled kernels and then with a filled one. Memory is the growth
of the resident set over loading and the first run, at its peak. The error is the largest absolute
difference to ONNX Runtime, relative to the largest output.

{detail_table(record)}
{remarks and "## Remarks" + chr(10) + chr(10) + remarks}
Measured by `make bench`; the numbers are in [latest.json](latest.json).
""".replace("\n\n\n", "\n\n")


def plot(record: Record) -> Figure:
    """Grouped bars: the median of each engine over that of ONNX Runtime; lower is faster."""
    # Text stays text, and the same numbers give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "relay"})
    names = record.present()
    models = [model for model in record.results if record.median(model, REFERENCE)]
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / max(len(names), 1)
    for index, name in enumerate(names):
        heights = [
            (record.median(model, name) or 0.0) / (record.median(model, REFERENCE) or 1.0)
            for model in models
        ]
        places = [place + (index - (len(names) - 1) / 2) * width for place in range(len(models))]
        axes.bar(places, heights, width * 0.9, label=TITLES[name], color=COLOURS[name])
    axes.axhline(1.0, color="#444444", linewidth=0.8)
    labels = [model.replace("_", " ") for model in models]
    axes.set_xticks(range(len(models)), labels, rotation=20, ha="right")
    axes.set_ylabel("time relative to ONNX Runtime\n(lower is faster)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=max(len(names), 1), loc="upper left", bbox_to_anchor=(0, 1.12))
    return figure


def replace_text(path: Path, text: str) -> None:
    """Writes ``path`` in one step: a reader sees the old text or the new one."""
    partial = path.with_suffix(path.suffix + ".tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write(record: Record, folder: Path) -> list[Path]:
    """Writes ``latest.json``, ``README.md`` and, when there is something to relate, the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    data, text, image = (folder / name for name in ("latest.json", "README.md", "latest.svg"))
    replace_text(data, record.to_json())
    replace_text(text, page(record))
    plot(record).savefig(image, metadata={"Date": None, "Creator": None})
    return [data, text, image]


def update_readme(record: Record, path: Path) -> list[Path]:
    """Rewrites the part of ``path`` between the two marks; nothing when the marks are not there."""
    if not path.is_file():
        return []
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return []
    table = f"{latency_table(record)}\nMedian latency in ms. {record.conditions()}"
    replace_text(path, f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
    return [path]
