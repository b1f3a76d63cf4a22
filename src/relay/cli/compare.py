"""``relay compare``: the first node of a model whose value differs from another engine's."""

import importlib
from pathlib import Path

import click
import numpy as np

from relay.cli.models import (
    input_option,
    is_artifact,
    level_option,
    model_argument,
    seed_option,
    shape_option,
    threads_option,
    use_threads,
)
from relay.cli.peers import PEERS
from relay.cli.progress import Stages
from relay.support.errors import InputError

_SAME, _DIFFERENT = 0, 1


@click.command("compare")
@model_argument
@click.option(
    "--vs",
    "engine",
    type=click.Choice(list(PEERS)),
    default="onnxruntime",
    show_default=True,
    help="The engine to compare with.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=1e-3,
    show_default=True,
    help="Differences allowed, relative to the largest element of a value.",
)
@input_option
@shape_option
@threads_option
@level_option
@seed_option
def command(
    model: Path,
    engine: str,
    tolerance: float,
    input_file: Path | None,
    shapes: dict[str, tuple[int, ...]],
    threads: int | None,
    opt_level: int,
    seed: int,
) -> int:
    """Run MODEL, an ONNX file, here and by another engine, and find the first node that differs.

    Inputs that --input does not give are random. The exit code is 0 if all outputs agree, and 1
    otherwise.
    """
    if is_artifact(model):
        raise InputError(f"{model} is compiled already; compare the model that it was made from")
    use_threads(threads)
    comparing = importlib.import_module("relay.cli.comparing")
    comparison = comparing.Comparison(
        model, engine, shapes, input_file, seed, opt_level, tolerance, Stages()
    )
    for name, gap in comparison.outputs().items():
        click.echo(f"output  {name}: {gap}")
    if comparison.agrees:
        click.echo(f"all outputs agree within {tolerance:g}")
        return _SAME
    found = comparison.first_difference()
    if found is None:
        click.echo("no node differs where all of them are kept: it is in how kernels are fused")
        return _DIFFERENT
    click.echo(f"\nthe first value that differs: {found.value!r} of {found.node}")
    click.echo(f"difference  {found.gap}")
    for title, lines in (("expression", found.expressions), ("kernel", found.kernels)):
        for line in lines:
            click.echo(f"{title:<11} {line}")
    if np.isfinite(found.gap.largest):
        click.echo(f"at {list(found.gap.place)}: {found.gap.ours:.9g}, not {found.gap.theirs:.9g}")
    return _DIFFERENT
