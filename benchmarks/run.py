"""Times us and the installed peers on nine models: ``python -m benchmarks [--models ...]``.

Models that are missing are exported first. Every model is then measured in fresh processes: one per
engine for loading, first run, memory and error (two for us, to see the cache of compiled kernels
empty and filled), and one in which all engines take turns. A run over all nine models rewrites
``benchmarks/results`` and the table in the README; a run over fewer leaves those alone and writes
to ``benchmarks/.cache/results``.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import engines, report
from benchmarks.catalogue import BENCHMARKED, DEFAULT_FOLDER, EXPORTERS, TORCHSCRIPT, Model
from benchmarks.report import Result
from benchmarks.worker import MARK, Task

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
PARTIAL_RESULTS = DEFAULT_FOLDER.parent / "results"
README = ROOT / "README.md"


class WorkerError(Exception):
    """A measuring process failed; the message is the last line it wrote to standard error."""


@dataclass
class Board:
    """The one progress line: what is measured, the stage it is in, and models done of all."""

    progress: Progress
    total: int

    def __post_init__(self) -> None:
        self._task = self.progress.add_task("", total=self.total, stage="")

    def show(self, model: str, stage: str = "") -> None:
        """Says what is going on."""
        self.progress.update(self._task, description=model, stage=stage)

    def advance(self) -> None:
        """One more model is done."""
        self.progress.advance(self._task)


def work(task: Task, environment: dict[str, str], board: Board, title: str) -> dict[str, Result]:
    """Runs ``task`` in a fresh process and returns its results by engine.

    Raises:
        WorkerError: the process failed.
    """
    command = [sys.executable, "-m", "benchmarks.worker", task.to_json()]
    answer: dict[str, Result] = {}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        for line in process.stdout or ():
            if not line.startswith(MARK):
                continue
            message = json.loads(line.removeprefix(MARK))
            if "stage" in message:
                board.show(title, message["stage"])
            else:
                answer = message["result"]
        process.wait()
        errors.seek(0)
        lines = errors.read().strip().splitlines() or ["it wrote no reason"]
    if process.returncode != 0 or not answer:
        raise WorkerError(f"process ended with {process.returncode}: {lines[-1]}")
    return answer


def probe(task: Task, engine: str, board: Board, title: str) -> Result:
    """First load, first run, memory and error of one engine, or why there are none."""
    task = replace(task, engines=(engine,), race=False)
    label = f"{title}: {engine}"
    board.show(label, "starting")
    try:
        if engine != engines.OURSELVES:
            return work(task, {}, board, label)[engine]
        with tempfile.TemporaryDirectory() as cache:
            environment = {"RELAY_CACHE_DIR": cache, "XDG_CACHE_HOME": cache}
            cold = work(task, environment, board, label)[engine]
            if "missing" in cold:
                return cold
            warm = work(task, environment, board, f"{label}, from cache")[engine]
            return {**cold, "cached_load_s": warm["load_s"], "cached_memory_mb": warm["memory_mb"]}
    except WorkerError as error:
        return {"failed": str(error)}


def measure(model: Model, task: Task, board: Board) -> dict[str, Result]:
    """Everything about one model, by engine."""
    results = {name: probe(task, name, board, model.title) for name in task.engines}
    running = tuple(name for name, result in results.items() if "load_s" in result)
    if not running:
        return results
    label = f"{model.title}: taking turns"
    board.show(label, "starting")
    try:
        times = work(replace(task, engines=running, race=True), {}, board, label)
    except WorkerError as error:
        return {**results, **{name: {"failed": str(error)} for name in running}}
    return {name: {**result, **times.get(name, {})} for name, result in results.items()}


def export_missing(models: list[Model], folder: Path, console: Console) -> None:
    """Exports, each in a process of its own, the models whose files are not all there."""
    for model in models:
        if model.is_exported(folder):
            continue
        with console.status(f"exporting {model.title}"):
            command = [sys.executable, "-m", "benchmarks.models", str(folder), "--models"]
            done = subprocess.run(
                [*command, model.name], cwd=ROOT, capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            raise click.ClickException(
                f"{model.name} could not be exported to {folder}:\n{done.stderr.strip()}\n"
                "The export needs the packages of the extra: pip install 'relay-ir[bench]'"
            )


def chosen(text: str, known: tuple[str, ...], what: str) -> list[str]:
    """The comma-separated names of ``text``, checked against those that are known."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise click.BadParameter(
            f"no {what} is called {', '.join(unknown) or repr(text)}; there are {', '.join(known)}"
        )
    return names


@click.command(help="Time relay and the installed peers on nine models, and write the tables.")
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
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="turns that each engine takes",
)
@click.option(
    "--min-seconds",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="timed seconds of each engine and model, over all rounds",
)
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
    help="where the results are written  [default: benchmarks/results when all models were "
    "measured, else benchmarks/.cache/results]",
)
def main(  # one parameter per option, as click wants them
    models: str,
    engine_names: str,
    threads: int,
    rounds: int,
    min_seconds: float,
    exporter: str,
    folder: Path,
    output: Path | None,
) -> None:
    """Measures what the options say; see the module."""
    console = Console()
    names = chosen(models, tuple(model.name for model in BENCHMARKED), "model")
    selected = [model for model in BENCHMARKED if model.name in names]
    competitors = tuple(chosen(engine_names, engines.NAMES, "engine"))
    folder = folder.resolve()
    export_missing(selected, folder, console)
    results: dict[str, dict[str, Result]] = {}
    columns = (
        TextColumn("{task.description}"),
        TextColumn("[dim]{task.fields[stage]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        board = Board(progress, len(selected))
        for model in selected:
            task = Task(
                path=str(model.onnx_path(folder, exporter)),
                reference=str(model.reference_path(folder)),
                engines=competitors,
                threads=threads,
                rounds=rounds,
                min_seconds=min_seconds,
                race=True,
            )
            results[model.name] = measure(model, task, board)
            board.advance()
    settings = {
        "threads": threads,
        "rounds": rounds,
        "min_seconds": min_seconds,
        "exporter": exporter,
        "batch": 1,
        "dtype": "float32",
    }
    record = report.Record(datetime.now(UTC).strftime("%Y-%m-%d"), settings, competitors, results)
    console.print(report.terminal_table(record))
    for line in record.remarks():
        console.print(line, style="yellow", markup=False)
    complete = len(selected) == len(BENCHMARKED)
    written = report.write(record, output or (RESULTS if complete else PARTIAL_RESULTS))
    if complete and output is None:
        written += report.update_readme(record, README)
    console.print("written: " + ", ".join(str(path) for path in written), markup=False)


if __name__ == "__main__":
    main()
