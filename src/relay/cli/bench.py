"""``relay bench``: how fast a model runs, and other engines on the same inputs."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from rich.table import Table

from relay.cli import peers
from relay.cli.arrays import complete, read_arrays
from relay.cli.difference import gap
from relay.cli.measure import PeakMemory, Samples, measure
from relay.cli.models import (
    input_option,
    is_artifact,
    level_option,
    model_argument,
    open_model,
    seed_option,
    shape_option,
    threads_option,
    use_threads,
)
from relay.cli.progress import Stages, megabytes, milliseconds
from relay.cli.tables import table_console
from relay.cli.timing import PassTimes, time_passes_option
from relay.executor.artifact import relay_version
from relay.executor.graph import GraphFactory
from relay.runtime.threads import get_num_threads
from relay.support.errors import InputError

_WARM_UP = 2
_Arrays = list[npt.NDArray[np.generic]]


@dataclass
class _Engine:
    """A model loaded into an engine: how to run it, and what loading took."""

    name: str
    version: str
    run: Callable[[], _Arrays]
    load_seconds: float
    compile_seconds: float | None
    first_seconds: float
    memory: int | None
    outputs: _Arrays


def _parse_peers(_context: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if name not in peers.PEERS:
            raise InputError(f"--vs knows no engine {name!r}; it knows {', '.join(peers.PEERS)}")
    return list(dict.fromkeys(names))


@click.command("bench")
@model_argument
@click.option(
    "--vs",
    "rivals",
    default="",
    metavar="ENGINES",
    callback=_parse_peers,
    help="Also measure these: onnxruntime, openvino, or both with a comma between.",
)
@input_option
@shape_option
@threads_option
@level_option
@time_passes_option
@click.option(
    "--rounds", type=click.IntRange(1), default=5, show_default=True, help="Turns of each engine."
)
@click.option(
    "--min-seconds",
    type=click.FloatRange(0, max=3600),
    default=1.0,
    show_default=True,
    help="Each engine is measured for at least so long.",
)
@seed_option
def command(
    model: Path,
    rivals: list[str],
    input_file: Path | None,
    shapes: dict[str, tuple[int, ...]],
    threads: int | None,
    opt_level: int,
    time_passes: bool,
    rounds: int,
    min_seconds: float,
    seed: int,
) -> None:
    """Measure MODEL, an ONNX file or a compiled .rly file.

    The engines take turns in one process, with the same inputs and as many threads. The ratio is
    the engine's median over relay's: above 1, relay is faster.
    """
    if rivals and is_artifact(model):
        raise InputError("--vs needs the ONNX file: other engines do not read compiled models")
    use_threads(threads)
    found = [(name, peers.find(name)) for name in rivals]
    stages = Stages()
    load = functools.partial(open_model, model, shapes, opt_level, stages, PassTimes(time_passes))
    ours, inputs = _ourselves(load, stages, input_file, seed)
    engines = [ours]
    for name, peer in found:
        with stages.stage(name, f"loading {model.name} into {name}"):
            engines.append(_peer(name, peer, model, inputs))
    with stages.stage("measure", f"measuring {model.name}"):
        for engine in engines:
            for _ in range(_WARM_UP):
                engine.run()
        samples = measure({e.name: e.run for e in engines}, rounds, min_seconds)
    _print(model, engines, samples)


def _ourselves(
    load: Callable[[], GraphFactory],
    stages: Stages,
    input_file: Path | None,
    seed: int,
) -> tuple[_Engine, dict[str, npt.NDArray[np.generic]]]:
    """The model compiled by relay, and the inputs by name."""
    with PeakMemory() as memory:
        factory = load()
        given = read_arrays(input_file, factory.inputs) if input_file else {}
        values = complete(given, factory.inputs, seed)
        module = factory.create()

        def run() -> _Arrays:
            return [result.numpy() for result in module(*values)]

        start = time.perf_counter()
        outputs = run()
        first = time.perf_counter() - start
    engine = _Engine(
        "relay",
        relay_version(),
        run,
        stages.seconds.get("import", 0.0) + stages.seconds.get("load", 0.0),
        stages.seconds.get("compile"),
        first,
        memory.bytes,
        outputs,
    )
    names = [spec.name for spec in factory.inputs]
    return engine, dict(zip(names, values, strict=True))


def _peer(
    name: str, peer: peers.Peer, model: Path, inputs: dict[str, npt.NDArray[np.generic]]
) -> _Engine:
    """The model loaded into another engine. Raises `InputError` where the engine refuses it."""
    with PeakMemory() as memory:
        start = time.perf_counter()
        try:
            session = peer.load(model, inputs, get_num_threads())
            loaded = time.perf_counter()
            outputs = session.run()
        except Exception as error:
            # Engines raise exceptions of their own; all mean that this model does not run there.
            raise InputError(f"{name} cannot run {model}: {error}") from error
        first = time.perf_counter() - loaded
    outputs = [np.array(a) for a in outputs]
    return _Engine(
        name, peer.VERSION, session.run, loaded - start, None, first, memory.bytes, outputs
    )


def _difference(ours: _Arrays, theirs: _Arrays) -> str:
    """The largest difference of outputs, relative to the largest element of each."""
    worst = max(
        (gap(a, b) for a, b in zip(ours, theirs, strict=True)), key=lambda found: found.relative
    )
    return worst.note or f"{worst.relative:.1e}"


def _print(model: Path, engines: Sequence[_Engine], samples: dict[str, Samples]) -> None:
    table = Table(title=f"{model.name}, {get_num_threads()} threads", title_justify="left")
    table.add_column("engine")
    headings = ["min", "median", "p90", "ratio", "runs", "load", "compile", "first run", "memory"]
    if len(engines) > 1:
        headings.append("difference")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    ours = engines[0]
    for engine in engines:
        taken = samples[engine.name]
        cells = [
            f"{engine.name} {engine.version}",
            milliseconds(taken.best),
            milliseconds(taken.median),
            milliseconds(taken.p90),
            f"{taken.median / samples[ours.name].median:.2f}",
            str(len(taken.seconds)),
            milliseconds(engine.load_seconds),
            "" if engine.compile_seconds is None else milliseconds(engine.compile_seconds),
            milliseconds(engine.first_seconds),
            "" if engine.memory is None else megabytes(engine.memory),
        ]
        if len(engines) > 1:
            cells.append("" if engine is ours else _difference(ours.outputs, engine.outputs))
        table.add_row(*cells)
    table_console().print(table)
