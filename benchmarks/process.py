"""Measures one case in processes of its own, and shows what is going on meanwhile."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import Progress

from benchmarks import engines
from benchmarks.catalogue import Model
from benchmarks.record import Result
from benchmarks.worker import MARK, Task

ROOT = Path(__file__).resolve().parent.parent


class WorkerError(Exception):
    """A measuring process failed; the message is the last line it wrote to standard error."""


@dataclass
class Board:
    """The progress line of one part: what is measured, its stage, and cases done of all."""

    progress: Progress
    title: str
    total: int

    def __post_init__(self) -> None:
        self._task = self.progress.add_task(self.title, total=self.total, stage="")

    def show(self, stage: str) -> None:
        """Says what is going on."""
        self.progress.update(self._task, stage=stage)

    def advance(self) -> None:
        """One more case is done."""
        self.progress.advance(self._task)


def work(
    task: Task, environment: dict[str, str], limit: float, board: Board, title: str
) -> dict[str, Result]:
    """Runs ``task`` in a fresh process and returns its results by engine.

    Raises:
        WorkerError: the process failed, or was ended after ``limit`` seconds.
    """
    command = [sys.executable, "-m", "benchmarks.worker", task.to_json()]
    answer: dict[str, Result] = {}
    board.show(f"{title}: starting")
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
        late = threading.Event()
        clock = threading.Timer(limit, lambda: (late.set(), process.kill()))
        clock.start()
        try:
            for line in process.stdout or ():
                if not line.startswith(MARK):
                    continue
                message = json.loads(line.removeprefix(MARK))
                if "stage" in message:
                    board.show(f"{title}: {message['stage']}")
                else:
                    answer = message["result"]
            process.wait()
        finally:
            clock.cancel()
        errors.seek(0)
        lines = errors.read().strip().splitlines() or ["it wrote no reason"]
    if late.is_set():
        raise WorkerError(f"ended after {limit:.0f} s, which is the limit")
    if process.returncode != 0 or not answer:
        raise WorkerError(f"process ended with {process.returncode}: {lines[-1]}")
    return answer


def probe(task: Task, engine: str, limit: float, board: Board) -> Result:
    """First load, first run, memory and errors of one engine, or why there are none."""
    task = replace(task, engines=(engine,), race=False)
    label = f"{Path(task.reference).stem}, {engine}"
    try:
        if engines.runtime(engine) != engines.OURSELVES:
            return work(task, {}, limit, board, label)[engine]
        with tempfile.TemporaryDirectory() as cache:
            environment = {"RELAY_CACHE_DIR": cache, "XDG_CACHE_HOME": cache}
            cold = work(task, environment, limit, board, label)[engine]
            if "missing" in cold:
                return cold
            warm = work(task, environment, limit, board, f"{label}, from cache")[engine]
            return {**cold, "cached_load_s": warm["load_s"], "cached_memory_mb": warm["memory_mb"]}
    except WorkerError as error:
        return {"failed": str(error)}


def measure(task: Task, probed: bool, limit: float, board: Board) -> dict[str, Result]:
    """Everything about one case, by engine."""
    results: dict[str, Result] = {name: {} for name in task.engines}
    if probed:
        results = {name: probe(task, name, limit, board) for name in task.engines}
    running = tuple(
        name for name, result in results.items() if not {"missing", "failed"} & set(result)
    )
    if not running:
        return results
    try:
        label = f"{Path(task.reference).stem}, in turns"
        times = work(replace(task, engines=running, race=True), {}, limit, board, label)
    except WorkerError as error:
        times = {name: {"failed": str(error)} for name in running}
    return {name: {**result, **times.get(name, {})} for name, result in results.items()}


def export(model: Model, exporter: str, folder: Path, board: Board) -> str:
    """Exports what is missing of ``model``, in a process of its own; why that failed, or ``""``."""
    if model.is_exported(folder, (exporter,)):
        return ""
    board.show(f"{model.stem}: exporting")
    command = [sys.executable, "-m", "benchmarks.models", str(folder), "--models", model.stem]
    done = subprocess.run(
        [*command, "--exporters", exporter], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return ""
    reason = (done.stderr.strip() or "it wrote no reason").splitlines()[-1]
    return f"could not be exported ({reason}); the extra is needed: pip install 'relay-ir[bench]'"
