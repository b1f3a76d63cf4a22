"""Times us and the installed peers: ``python -m benchmarks [--parts ...] [--models ...]``.

A run goes through the parts of :mod:`benchmarks.parts`. Models that are missing are exported first.
Every row of a table is then measured in fresh processes: one per engine for loading, first run,
memory and error (two for us, to see the cache of compiled kernels empty and filled), and one in
which all engines take turns. After each part its results are written. A part over all models
replaces its section of ``benchmarks/results``, and the main one the table in the README; a run over
fewer models leaves those alone and writes to ``benchmarks/.cache/results``.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import engines, report
from benchmarks.catalogue import BENCHMARKED, DEFAULT_FOLDER, EXPORTERS, TORCHSCRIPT
from benchmarks.parts import PARTS, Case, Choice, Part
from benchmarks.process import ROOT, Board, export, measure
from benchmarks.record import Machine, Result, Row, Section, machine
from benchmarks.tables import number, terminal_table
from benchmarks.worker import Task

RESULTS = Path(__file__).resolve().parent / "results"
PARTIAL_RESULTS = DEFAULT_FOLDER.parent / "results"
README = ROOT / "README.md"


@dataclass(frozen=True)
class Settings:
    """How to measure: see the options of :func:`main`. Times are in seconds."""

    rounds: int
    min_seconds: float
    call_limit: float
    process_limit: float
    exporter: str
    folder: Path


def too_long(case: Case, earlier: list[Row], limit: float) -> dict[str, Result]:
    """The engines that need not be tried: by their last row in the series of ``case``, if time
    grows with work, a call would take longer than ``limit`` seconds."""
    rows = [row for row in earlier if row.series and row.series == case.series]
    cut: dict[str, Result] = {}
    for name in rows[-1].results if rows else ():
        known = next((row for row in reversed(rows) if row.time(name)), None)
        seconds = (known.time(name) or 0.0) / 1e3 * case.work / known.work if known else 0.0
        if seconds > limit:
            cut[name] = {"cut": f"a call would take about {number(seconds)} s"}
    return cut


def measure_case(case: Case, part: Part, earlier: list[Row], how: Settings, board: Board) -> Row:
    """Exports the model of ``case`` if it is missing, and measures a row."""
    results = too_long(case, earlier, how.call_limit)
    running = tuple(name for name in part.engines if name not in results)
    if running and (reason := export(case.model, how.exporter, how.folder, board)):
        results |= {name: {"failed": reason} for name in running}
    elif running:
        task = Task(
            path=str(case.model.onnx_path(how.folder, how.exporter)),
            reference=str(case.model.reference_path(how.folder)),
            engines=running,
            threads=case.threads,
            rounds=how.rounds,
            min_seconds=how.min_seconds,
            race=True,
        )
        results |= measure(task, part.probed, how.process_limit, board)
    ordered = {name: results[name] for name in part.engines}
    model = case.model
    return Row(model.stem, model.title, ordered, case.series, case.position, case.work)


def measure_part(part: Part, how: Settings, computer: Machine, console: Console) -> Section:
    """Measures every row of ``part``."""
    section = Section(
        name=part.name,
        title=part.title,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        engines=part.engines,
        peers=part.peers,
        threads=part.threads,
        batch=part.batch,
        settings={
            "rounds": how.rounds,
            "seconds": how.min_seconds,
            "exporter": how.exporter,
        },
        machine=computer,
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[stage]}"),
    )
    with Progress(*columns, console=console) as progress:
        board = Board(progress, part.title, len(part.cases))
        for case in part.cases:
            section.rows.append(measure_case(case, part, section.rows, how, board))
            board.advance()
        board.show("")
    return section


def chosen(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    """The comma-separated names of ``text``, checked against those that are known."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise click.BadParameter(
            f"no {what} is called {', '.join(unknown) or repr(text)}; there are {', '.join(known)}"
        )
    return names


def positive(default: float, explanation: str) -> dict[str, object]:
    """What the options that are a number of seconds have in common."""
    kind = click.FloatRange(min=0, min_open=True)
    return {"default": default, "show_default": True, "type": kind, "help": explanation}


@click.command(help="Time relay and the installed peers, and write tables and plots.")
@click.option("--parts", default=",".join(PARTS), show_default=True, help="comma separated")
@click.option("--models", default=",".join(model.name for model in BENCHMARKED), show_default=True)
@click.option(
    "--engines",
    "engine_names",
    default=",".join(engines.DEFAULT_NAMES),
    show_default=True,
    help=f"of {', '.join(engines.NAMES)}",
)
@click.option("--threads", default=2, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--rounds",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="turns that each engine takes, or fewer where a call is longer than a turn",
)
@click.option("--min-seconds", **positive(5.0, "timed seconds of each engine in each row"))
@click.option("--call-limit", **positive(5.0, "curves end where a call would take more seconds"))
@click.option("--process-limit", **positive(900.0, "seconds after which a process is ended"))
@click.option("--exporter", default=TORCHSCRIPT, show_default=True, type=click.Choice(EXPORTERS))
@click.option(
    "--folder",
    default=DEFAULT_FOLDER,
    type=click.Path(path_type=Path),
    help="where the models lie, or are exported to",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="where the results are written  [default: benchmarks/results when all models and engines "
    "are measured, else benchmarks/.cache/results]",
)
def main(
    parts: str,
    models: str,
    engine_names: str,
    output: Path | None,
    threads: int,
    folder: Path,
    **limits: float | str,
) -> None:
    """Measures what the options say; ``limits`` are the other fields of :class:`Settings`."""
    console = Console()
    names = chosen(models, tuple(model.name for model in BENCHMARKED), "model")
    competitors = chosen(engine_names, engines.NAMES, "engine")
    wanted = chosen(parts, tuple(PARTS), "part")
    if engines.OURSELVES not in competitors:
        raise click.BadParameter(f"{engines.OURSELVES} is what the others are compared with")
    how = Settings(folder=folder.resolve(), **limits)
    complete = len(set(names)) == len(BENCHMARKED) and set(engines.DEFAULT_NAMES) <= set(
        competitors
    )
    target = output or (RESULTS if complete else PARTIAL_RESULTS)
    written: list[Path] = []
    computer = machine()  # before our own work counts in its load
    for name in (name for name in PARTS if name in wanted):
        part = PARTS[name](Choice(names, competitors, threads))
        if not part.cases:
            console.print(f"{part.title}: none of the models belongs to this part", style="yellow")
            continue
        section = measure_part(part, how, computer, console)
        console.print(terminal_table(section))
        for line in section.remarks():
            console.print(line, style="yellow", markup=False)
        written += report.write(section, target)
        if name == "main" and complete and output is None:
            written += report.update_readme(section, README)
    paths = dict.fromkeys(map(str, written))
    console.print("written: " + ", ".join(paths), markup=False)


if __name__ == "__main__":
    main()
