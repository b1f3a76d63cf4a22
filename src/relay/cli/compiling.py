"""From an ONNX file to something that runs: what the commands need the compiler for."""

from collections.abc import Sequence
from pathlib import Path

from relay import frontend
from relay.cli.progress import Stages
from relay.cli.timing import PassTimes
from relay.executor.build import build
from relay.executor.graph import GraphFactory
from relay.ir.module import IRModule
from relay.transform.base import PassContext, PassInstrument
from relay.transform.instruments import PassTimingInstrument


def import_model(path: Path, shapes: dict[str, tuple[int, ...]], stages: Stages) -> IRModule:
    """The Relay module for the ONNX file `path`."""
    with stages.stage("import", f"reading {path.name}"):
        module, _ = frontend.from_onnx(path, shape=shapes)
    return module


def instruments(times: PassTimes | None) -> list[PassInstrument]:
    """What has to watch the passes for `times`."""
    if times is None or not times.wanted:
        return []
    timing = PassTimingInstrument()
    times.passes = timing.passes
    return [timing]


def compile_model(
    path: Path,
    shapes: dict[str, tuple[int, ...]],
    opt_level: int,
    stages: Stages,
    instruments: Sequence[PassInstrument] = (),
) -> GraphFactory:
    """The ONNX file `path`, compiled for this CPU at `opt_level`."""
    module = import_model(path, shapes, stages)
    with (
        stages.stage("compile", f"compiling {path.name}"),
        PassContext(opt_level=opt_level, instruments=instruments),
    ):
        return build(module)
