"""One measurement in a process of its own: ``python -m benchmarks.worker JSON``.

The process prints lines that start with :data:`MARK`, each a JSON object: ``{"stage": text}`` while
it works and ``{"result": {engine: {quantity: value}}}`` once. Whatever else a runtime writes is
passed over.
"""

import json
import statistics
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import engines

MARK = "@benchmark "
SETTLE_SECONDS = 0.02
"""How long an engine runs untimed at the start of its turn.

The threads of the engine before it may still spin, and the caches hold the other's weights.
"""
MIN_TURNS = 5
"""How many turns an engine takes at least, however long a call of it takes."""
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Task:
    """What to measure. ``race`` times the engines against each other; otherwise there is one
    engine, whose first load, first run, memory and errors are measured.

    Each engine is timed for ``min_seconds`` in at most ``rounds`` turns.
    """

    path: str
    reference: str
    engines: tuple[str, ...]
    threads: int
    rounds: int
    min_seconds: float
    race: bool

    def to_json(self) -> str:
        """The command-line argument of the process."""
        return json.dumps(asdict(self))


def report(**fields: object) -> None:
    """One line to the parent."""
    print(MARK + json.dumps(fields), flush=True)


def read_reference(path: str) -> tuple[engines.Arrays, list[np.ndarray]]:
    """Inputs by name, and the expected outputs in the order of the model's graph."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    inputs = {name: value for name, value in arrays.items() if not name.startswith("out:")}
    return inputs, [value for name, value in arrays.items() if name.startswith("out:")]


def errors(expected: list[np.ndarray], found: list[np.ndarray]) -> dict[str, float | str]:
    """How far ``found`` is off, for the worst output: ``error``, the largest absolute difference
    over the largest value; ``rms_error``, the same of the root mean squares.

    Raises:
        ValueError: an output has another shape than it should have.
    """
    largest, rms = 0.0, 0.0
    for index, (wanted, actual) in enumerate(zip(expected, found, strict=True)):
        if wanted.shape != actual.shape:
            raise ValueError(f"output {index} has shape {actual.shape}, expected {wanted.shape}")
        difference = actual - wanted
        # Not `max`, which would pass over a NaN.
        largest = np.maximum(largest, np.abs(difference).max() / np.abs(wanted).max())
        rms = np.maximum(rms, np.linalg.norm(difference) / np.linalg.norm(wanted))
    return {"error": float(largest), "rms_error": float(rms)}


def resident_bytes() -> int:
    """The memory of this process that is resident now, in bytes; 0 where /proc is not there."""
    if not STATUS.exists():
        return 0
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


class PeakMemory:
    """Samples the resident memory in a thread; ``growth`` is its peak over that at the start."""

    def __enter__(self) -> "PeakMemory":
        self._before = self._peak = resident_bytes()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._peak = max(self._peak, resident_bytes())

    def _sample(self) -> None:
        while not self._stop.wait(0.005):
            self._peak = max(self._peak, resident_bytes())

    @property
    def growth(self) -> int:
        """Bytes."""
        return self._peak - self._before


def probe(task: Task) -> dict[str, dict[str, float | str]]:
    """Load and first run of one engine; its runtime is imported before the clock starts."""
    (name,) = task.engines
    try:
        _, version = engines.find(name)
    except engines.EngineMissingError as error:
        return {name: {"missing": str(error)}}
    inputs, expected = read_reference(task.reference)
    with PeakMemory() as memory:
        report(stage="loading")
        start = time.perf_counter()
        session = engines.load(name, task.path, task.threads)
        loaded = time.perf_counter()
        report(stage="first run")
        first = time.perf_counter()
        found = session.run(inputs)
        done = time.perf_counter()
    measured: dict[str, float | str] = {
        "version": version,
        "load_s": loaded - start,
        "first_run_ms": (done - first) * 1e3,
        "memory_mb": memory.growth / 1e6,
        **errors(expected, found),
    }
    return {name: measured}


def take_turn(session: engines.Engine, inputs: engines.Arrays, seconds: float) -> list[float]:
    """Seconds of every call of one turn: untimed calls first, then calls for ``seconds``."""
    clock = time.perf_counter
    settled = clock() + SETTLE_SECONDS
    session.run(inputs)
    while clock() < settled:
        session.run(inputs)
    times: list[float] = []
    end = clock() + seconds
    while not times or clock() < end:
        start = clock()
        session.run(inputs)
        times.append(clock() - start)
    return times


def race(task: Task) -> dict[str, dict[str, float | str]]:
    """Times all engines in turns, the order reversed every round, and sums the calls up."""
    inputs, expected = read_reference(task.reference)
    results: dict[str, dict[str, float | str]] = {}
    sessions: dict[str, engines.Engine] = {}
    for name in task.engines:
        report(stage=f"loading {name}")
        try:
            version = engines.find(name)[1]
            session = engines.load(name, task.path, task.threads)
            results[name] = {"version": version, **errors(expected, session.run(inputs))}
            sessions[name] = session
        except engines.EngineMissingError as error:
            results[name] = {"missing": str(error)}
        except Exception as error:  # whatever stops one engine, the others still run
            reason = (str(error).strip() or "no reason given").splitlines()[0]
            results[name] = {"failed": f"{type(error).__name__}: {reason}"}
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(task.rounds if sessions else 0):
        report(stage=f"round {number + 1}")
        order = list(sessions) if number % 2 == 0 else list(reversed(sessions))
        for name in order:
            times[name] += take_turn(sessions[name], inputs, task.min_seconds / task.rounds)
        # Where one call is longer than a turn, fewer turns will do.
        shortest = min(sum(values) for values in times.values())
        if number + 1 >= MIN_TURNS and shortest >= task.min_seconds:
            break
    for name, values in times.items():
        results[name] |= {
            "min_ms": min(values) * 1e3,
            "median_ms": statistics.median(values) * 1e3,
            "p90_ms": float(np.percentile(values, 90)) * 1e3,
            "runs": len(values),
        }
    return results


def main() -> None:
    """Does the task given as the only argument."""
    fields = json.loads(sys.argv[1])
    task = Task(**{**fields, "engines": tuple(fields["engines"])})
    report(result=race(task) if task.race else probe(task))


if __name__ == "__main__":
    main()
