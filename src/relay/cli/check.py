"""``relay check``: what of a model cannot be imported."""

import importlib
from pathlib import Path

import click
from rich.table import Table

from relay.cli.models import is_artifact, model_argument
from relay.cli.tables import table_console
from relay.support.errors import InputError

_SUPPORTED, _LACKING = 0, 1


@click.command("check")
@model_argument
def command(model: Path) -> int:
    """Say which nodes of MODEL, an ONNX file, cannot be imported. Nothing is compiled or run.

    The exit code is 0 if all can be, and 1 otherwise.
    """
    if is_artifact(model):
        raise InputError(f"{model} is compiled already; check the model that it was made from")
    checking = importlib.import_module("relay.frontend.onnx.checking")
    report = checking.check(model)
    click.echo(f"{report.nodes} nodes of {report.operators} kinds")
    if not report.problems:
        click.echo("all of them can be imported")
        return _SUPPORTED
    table = Table("operator (opset)", "nodes", "what is wrong")
    for problem in report.problems:
        table.add_row(problem.operator, problem.where, problem.reason)
    table_console().print(table)
    return _LACKING
