"""``relay run``: a model, once."""

from pathlib import Path

import click
import numpy as np

from relay.cli.arrays import complete, read_arrays, write_arrays
from relay.cli.models import (
    input_option,
    level_option,
    model_argument,
    open_model,
    seed_option,
    shape_option,
    threads_option,
    use_threads,
)
from relay.cli.progress import Stages, milliseconds
from relay.cli.timing import PassTimes, time_passes_option
from relay.executor.graph import GraphFactory
from relay.runtime.ndarray import NDArray


@click.command("run")
@model_argument
@input_option
@click.option(
    "--output",
    "output_file",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Where to write the outputs, by name.",
)
@shape_option
@threads_option
@level_option
@time_passes_option
@seed_option
def command(
    model: Path,
    input_file: Path | None,
    output_file: Path | None,
    shapes: dict[str, tuple[int, ...]],
    threads: int | None,
    opt_level: int,
    time_passes: bool,
    seed: int,
) -> None:
    """Run MODEL, an ONNX file or a compiled .rly file, once.

    Inputs that --input does not give are random: standard normal floats, integers 0 or 1.
    """
    use_threads(threads)
    stages = Stages()
    factory = open_model(model, shapes, opt_level, stages, PassTimes(time_passes))
    given = read_arrays(input_file, factory.inputs) if input_file else {}
    values = complete(given, factory.inputs, seed)
    made_up = [spec.name for spec in factory.inputs if spec.name not in given]
    if made_up:
        click.echo(f"random data (seed {seed}) for: {', '.join(made_up)}", err=True)
    module = factory.create()
    with stages.stage("run", "running"):
        results = module(*values)
    for line in summary(factory, results):
        click.echo(line)
    times = ", ".join(f"{name} {milliseconds(s)}" for name, s in stages.seconds.items())
    click.echo(times, err=True)
    if output_file:
        names = [spec.name for spec in factory.outputs]
        write_arrays(output_file, {n: r.numpy() for n, r in zip(names, results, strict=True)})
        click.echo(f"outputs written to {output_file}", err=True)


def summary(factory: GraphFactory, results: list[NDArray]) -> list[str]:
    """A line for each input and output: what it is, and for outputs what is in it."""
    lines = [f"input   {spec}" for spec in factory.inputs]
    for spec, result in zip(factory.outputs, results, strict=True):
        lines.append(f"output  {spec}  {_contents(result)}")
    return lines


def _contents(result: NDArray) -> str:
    values = result.values()
    if not values.size:
        return "empty"
    numbers = values.astype(np.float64)
    odd = int(np.count_nonzero(~np.isfinite(numbers)))
    finite = numbers[np.isfinite(numbers)]
    text = f"{odd} of {numbers.size} are not finite  " if odd else ""
    if finite.size:
        text += f"min {finite.min():.6g}  mean {finite.mean():.6g}  max {finite.max():.6g}"
    return text.rstrip()
