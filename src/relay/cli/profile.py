"""``relay profile``: where the time of a model goes, kernel by kernel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from relay.cli.arrays import complete, read_arrays
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
from relay.cli.progress import Stages
from relay.cli.tables import table_console
from relay.cli.timing import PassTimes, time_passes_option
from relay.executor.profile import Profile, measure_machine
from relay.executor.profile.table import profile_table
from relay.support.errors import InputError

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _file_option(name: str, what: str) -> Callable[[_Command], _Command]:
    """The option ``--name FILE``: a file to write `what` to."""
    path = click.Path(path_type=Path)
    return click.option(f"--{name}", f"{name}_file", type=path, metavar="FILE", help=what)


@click.command("profile")
@model_argument
@input_option
@shape_option
@threads_option
@level_option
@time_passes_option
@click.option(
    "--runs",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="Runs to measure.",
)
@click.option(
    "--group",
    type=click.Choice(["call", "kernel"]),
    default="call",
    show_default=True,
    help="A row for each call of a kernel, or one for all calls of the same.",
)
@click.option(
    "--order",
    type=click.Choice(["time", "program"]),
    default="time",
    show_default=True,
    help="The slowest first, or in the order of the program.",
)
@click.option("--top", type=click.IntRange(1), metavar="N", help="Sum up all but N rows.")
@click.option("--no-roofline", is_flag=True, help="Do not compare with what the machine can do.")
@click.option("--remeasure", is_flag=True, help="Measure anew what the machine can do.")
@_file_option("json", "Where to write all numbers; - is stdout, instead of the table.")
@_file_option("trace", "Where to write a run for Perfetto or chrome://tracing.")
@_file_option("svg", "Where to write a picture.")
@_file_option("html", "Where to write a page with the picture and the table.")
@seed_option
def command(
    model: Path,
    input_file: Path | None,
    shapes: dict[str, tuple[int, ...]],
    threads: int | None,
    opt_level: int,
    time_passes: bool,
    runs: int,
    group: str,
    order: str,
    top: int | None,
    no_roofline: bool,
    remeasure: bool,
    json_file: Path | None,
    trace_file: Path | None,
    svg_file: Path | None,
    html_file: Path | None,
    seed: int,
) -> None:
    """Measure every kernel of MODEL, an ONNX file or a compiled .rly file.

    The roofline is the least time that the arithmetic and the traffic of a kernel take on this
    machine with as many threads: 100% is as fast as it can be with the same operations. What the
    machine can do is measured once and kept.
    """
    if no_roofline and remeasure:
        raise InputError("--no-roofline does not go with --remeasure")
    use_threads(threads)
    stages = Stages()
    factory = open_model(model, shapes, opt_level, stages, PassTimes(time_passes))
    given = read_arrays(input_file, factory.inputs) if input_file else {}
    values = complete(given, factory.inputs, seed)
    if not no_roofline:
        with stages.stage("machine", "measuring what this machine can do"):
            measure_machine(remeasure=remeasure)
    with stages.stage("profile", f"profiling {model.name}"):
        profile = factory.profile(*values, runs=runs, roofline=not no_roofline)
    if json_file != Path("-"):
        _print(profile, model.name, group, order, top)
    if json_file is not None:
        _write(json_file, profile.to_json())
    if trace_file is not None:
        _write(trace_file, profile.trace())
    if svg_file is not None:
        _write(svg_file, profile.svg(model.stem))
    if html_file is not None:
        _write(html_file, profile.html(model.stem, group))


def _print(profile: Profile, name: str, group: str, order: str, top: int | None) -> None:
    console = table_console()
    rows = profile.rows(group, order, top)
    console.print(profile_table(profile, rows, console.width, name))


def _write(path: Path, text: str) -> None:
    if path == Path("-"):
        click.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    click.echo(f"{path} written", err=True)
