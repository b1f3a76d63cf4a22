"""``relay compile``: a model into one file that runs without compiling."""

import hashlib
from pathlib import Path

import click

from relay.cli.compiling import compile_model, instruments
from relay.cli.models import (
    is_artifact,
    level_option,
    model_argument,
    shape_option,
)
from relay.cli.progress import Stages, megabytes, milliseconds
from relay.cli.timing import PassTimes, time_passes_option
from relay.executor.graph import GraphFactory
from relay.support.errors import InputError


@click.command("compile")
@model_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.rly",
    help="The compiled model. Default: MODEL with the suffix .rly.",
)
@shape_option
@level_option
@time_passes_option
def command(
    model: Path,
    output: Path | None,
    shapes: dict[str, tuple[int, ...]],
    opt_level: int,
    time_passes: bool,
) -> None:
    """Compile MODEL, an ONNX file, into a file for relay run and relay.load.

    The file holds machine code for this machine's CPU and the weights.
    """
    if is_artifact(model):
        raise InputError(f"{model} is compiled already")
    output = output or model.with_suffix(".rly")
    if not is_artifact(output):
        raise InputError(f"--output must end in .rly, not {output.name!r}")
    stages = Stages()
    times = PassTimes(time_passes)
    factory = compile_model(model, shapes, opt_level, stages, instruments(times))
    times.show(stages, factory)
    with stages.stage("write", f"writing {output.name}"):
        factory.model_sha256 = _digest(model)
        factory.export_library(output)
    for line in _report(factory, output, stages):
        click.echo(line)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _report(factory: GraphFactory, output: Path, stages: Stages) -> list[str]:
    code = sum(map(len, factory.objects))
    weights = sum(c.nbytes for c in factory.constants)
    lines = [f"input   {spec}" for spec in factory.inputs]
    lines += [f"output  {spec}" for spec in factory.outputs]
    lines += [
        f"{output}: {megabytes(output.stat().st_size)}",
        f"  weights     {megabytes(weights)}",
        f"  code        {megabytes(code)} in {len(factory.kernel_names)} kernels, "
        f"called {factory.steps} times",
        f"  scratch     {megabytes(factory.arena_bytes)} at run time",
        f"{'import':<21}{milliseconds(stages.seconds['import']):>10}",
    ]
    lines += [f"{name:<21}{milliseconds(s):>10}" for name, s in factory.timings.items()]
    lines.append(f"{'write':<21}{milliseconds(stages.seconds['write']):>10}")
    return lines
