"""What was measured: rows of results by engine, as they are kept in ``latest.json``."""

import json
import math
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

from llvmlite import binding

from benchmarks.engines import BFLOAT16
from benchmarks.parts import Series

Result = dict[str, float | str]
"""What is known of one engine in one row; a ``missing``, ``failed`` or ``cut`` says why nothing
is."""

Machine = dict[str, str | float]
"""What :func:`machine` tells."""

TITLES = {
    "relay": "relay",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "torch": "PyTorch eager",
    "relay-bf16": "relay bf16",
    "openvino-bf16": "OpenVINO bf16",
}

TOLERANCE = 1e-3
"""An error above this, relative to the largest output, is remarked on: the engine is wrong."""

NARROW_TOLERANCE = 5e-2
"""The same for bfloat16, which has three decimal digits less."""


def cpu_name() -> str:
    """What the operating system calls the processor, and what LLVM does."""
    information = Path("/proc/cpuinfo")
    name = platform.processor() or platform.machine()
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    return f"{name} ({binding.get_host_cpu_name()})"


def machine() -> Machine:
    """The machine as it is now; ``load`` is the number of processes that wanted to run lately."""
    return {
        "cpu": cpu_name(),
        "cpu_count": os.cpu_count() or 1,
        "system": platform.system(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else -1.0,
    }


@dataclass(frozen=True)
class Row:
    """One model at one size. `work` is how many units of its series one inference holds."""

    stem: str
    title: str
    results: dict[str, Result]
    series: Series | None = None
    position: int = 0
    work: int = 1

    def time(self, engine: str, quantity: str = "median_ms") -> float | None:
        """A latency in ms, or None where there is none."""
        value = self.results.get(engine, {}).get(quantity)
        return float(value) if value is not None else None

    def remarks(self) -> list[str]:
        """What is missing from the row or wrong with it, and why, a line each."""
        lines = []
        for engine, result in self.results.items():
            tolerance = NARROW_TOLERANCE if engine.endswith(BFLOAT16) else TOLERANCE
            where = f"{TITLES[engine]} on {self.stem}"
            if "missing" in result:
                lines.append(f"{TITLES[engine]} is not installed: {result['missing']}")
            elif "failed" in result:
                lines.append(f"{where}: {result['failed']}")
            elif "cut" in result:
                lines.append(f"{where}: cut, {result['cut']}")
            elif not float(result["error"]) <= tolerance:
                error = float(result["error"])
                lines.append(f"{where}: its outputs are off by {error:.1e} of the largest")
        return lines


@dataclass(frozen=True)
class Section:
    """One part as it was measured: see :class:`benchmarks.parts.Part`."""

    name: str
    title: str
    date: str
    engines: tuple[str, ...]
    peers: tuple[str, ...]
    threads: int
    batch: int
    settings: dict[str, str | float]
    machine: Machine
    rows: list[Row] = field(default_factory=list)

    @property
    def ourselves(self) -> str:
        """The engine that is compared with the others."""
        return self.engines[0]

    def versions(self) -> dict[str, str]:
        """The versions of the engines that ran, by engine."""
        known = {
            name: str(result["version"])
            for row in self.rows
            for name, result in row.results.items()
            if "version" in result
        }
        return {name: known[name] for name in self.engines if name in known}

    def speedup(self, row: Row, quantity: str = "median_ms") -> float | None:
        """How many times as fast we are in ``row`` as the fastest peer; above 1 we win."""
        ours = row.time(self.ourselves, quantity)
        theirs = [time for name in self.peers if (time := row.time(name, quantity)) is not None]
        return min(theirs) / ours if ours and theirs else None

    def speedups(self, quantity: str = "median_ms") -> list[float]:
        """Those of all rows that have one."""
        found = (self.speedup(row, quantity) for row in self.rows)
        return [value for value in found if value is not None]

    def remarks(self) -> list[str]:
        """What is missing from the numbers or wrong with them; each line once."""
        return list(dict.fromkeys(line for row in self.rows for line in row.remarks()))

    def conditions(self) -> str:
        """One line: processor, threads, versions, date."""
        versions = {
            TITLES[name.removesuffix(BFLOAT16)]: text for name, text in self.versions().items()
        }
        machine = self.machine
        load = f" Load average before: {machine['load']}." if float(machine["load"]) >= 0 else ""
        batch = "" if any(row.series for row in self.rows) else f" batch {self.batch},"
        return (
            f"{machine['cpu']}, {self.threads} of {machine['cpu_count']} threads,{batch} "
            f"random weights. "
            f"{', '.join(f'{name} {text}' for name, text in versions.items())}; "
            f"Python {machine['python']} on {machine['system']}. {self.date}.{load}"
        )


def geometric_mean(values: list[float]) -> float | None:
    """The geometric mean of ``values``, or None where there are none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def to_json(sections: dict[str, Section]) -> str:
    """Everything, for machines."""
    parts = {name: {**asdict(part), "versions": part.versions()} for name, part in sections.items()}
    return json.dumps({"parts": parts}, indent=1) + "\n"


def _row(fields: dict) -> Row:
    series = fields["series"]
    return Row(**{**fields, "series": Series(**series) if series else None})


def from_json(text: str) -> dict[str, Section]:
    """What :func:`to_json` wrote, by the name of the part; nothing where ``text`` has no parts."""
    sections = {}
    for name, part in json.loads(text).get("parts", {}).items():
        fields = {key: value for key, value in part.items() if key != "versions"}
        rows = [_row(row) for row in fields["rows"]]
        engines, peers = tuple(fields["engines"]), tuple(fields["peers"])
        sections[name] = Section(**{**fields, "rows": rows, "engines": engines, "peers": peers})
    return sections
