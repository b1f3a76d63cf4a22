"""``--time-passes``: how long the stages of a compilation and its passes took."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import click
from rich.table import Table

from relay.cli.progress import Stages
from relay.cli.tables import table_console
from relay.executor.graph import GraphFactory

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PASSES: Final = "graph passes"


class Timed(Protocol):
    """A pass that ran (see `relay.transform.instruments.PassTiming`)."""

    name: str
    depth: int
    seconds: float
    inner: float


class PassTimes:
    """Collects times while a model is compiled, and prints them, if that is `wanted`."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        #: Gives the passes that ran; whoever compiles sets it.
        self.passes: Callable[[], Sequence[Timed]] = tuple

    def show(self, stages: Stages, factory: GraphFactory) -> None:
        """Print the table on stderr: what a command prints on stdout stays as it is."""
        if not self.wanted:
            return
        seconds = {"front end": stages.seconds["import"], **factory.timings}
        table_console(stderr=True).print(_table(seconds, self.passes()))


def time_passes_option(command: _Command) -> _Command:
    """The option ``--time-passes``."""
    return click.option(
        "--time-passes",
        is_flag=True,
        help="Print how long the stages of compiling took, on stderr.",
    )(command)


def _table(seconds: Mapping[str, float], passes: Sequence[Timed]) -> Table:
    total = sum(seconds.values()) or 1.0
    table = Table(show_footer=True)
    table.add_column("stage", "total")
    table.add_column("ms", f"{total * 1e3:,.2f}", justify="right")
    table.add_column("share", "", justify="right")
    for stage, taken in seconds.items():
        table.add_row(stage, f"{taken * 1e3:,.2f}", f"{taken / total:.1%}")
        for ran in passes if stage == _PASSES else ():
            if ran.depth:  # the pipeline as a whole is the stage itself
                own = ran.seconds - ran.inner
                label = "  " * ran.depth + ran.name
                table.add_row(label, f"{own * 1e3:,.2f}", f"{own / total:.1%}", style="dim")
    return table
