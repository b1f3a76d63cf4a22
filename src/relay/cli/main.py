"""The entry point of the command line: commands by name, and what becomes of errors.

Exit codes: 0 success, 1 nobody reads the output any more, 2 the user's input is at fault, 3 relay
is, 130 interrupted.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import click

from relay.support.errors import InternalError, RelayError

OUTPUT_CLOSED, USER_ERROR, INTERNAL_ERROR, INTERRUPTED = 1, 2, 3, 130

_COMMANDS: Final = {
    "run": "Run a model once on given or random inputs.",
    "bench": "Measure how fast a model runs, and other engines on the same inputs.",
    "profile": "Measure where the time of a model goes, kernel by kernel.",
    "show": "Print what becomes of a model: graph, loops, schedule, LLVM IR, assembly.",
    "check": "Say which nodes of a model cannot be imported, without running it.",
    "compare": "Find the first node of a model whose value differs from another engine's.",
    "compile": "Compile a model into one file that runs without compiling.",
}
"""Name -> what it does. The module of the same name is loaded when the command is used."""


class _Group(click.Group):
    """Commands that are imported one at a time, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"relay.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="relay-ir", prog_name="relay", message="%(prog)s %(version)s")
@click.option(
    "--debug", is_flag=True, expose_value=False, help="Show the Python traceback of an error."
)
def cli() -> None:
    """Compile and run deep-learning models on this machine's CPU."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (default: that of the process); returns the exit code.

    Errors are one message on stderr. ``--debug``, anywhere, adds the traceback.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        result = cli.main([a for a in given if a != "--debug"], "relay", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads our output has seen enough; nothing may be flushed into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_CLOSED
    except (KeyboardInterrupt, click.Abort):
        click.echo("relay: interrupted", err=True)
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _report(error)
    return result if isinstance(result, int) else 0


def _report(error: Exception) -> int:
    """Say on stderr what went wrong; returns the exit code."""
    match error:
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else "relay"
            text, code = f"{error.format_message()}\n(see {where} --help)", USER_ERROR
        case click.ClickException():
            text, code = error.format_message(), USER_ERROR
        case RelayError() if not isinstance(error, InternalError):
            text, code = str(error), USER_ERROR
        case MemoryError():
            text, code = "there is not enough memory for this model", USER_ERROR
        case OSError(filename=str() as name, strerror=str() as reason):
            text, code = f"{name}: {reason}", USER_ERROR
        case _:
            text = (
                f"internal error, please report it: {type(error).__name__}: {error}\n"
                "run the command again with --debug for the traceback"
            )
            code = INTERNAL_ERROR
    click.echo(f"relay: {text}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
