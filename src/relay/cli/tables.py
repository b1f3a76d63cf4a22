"""Where tables are printed."""

from typing import Final

from rich.console import Console

#: Columns of a table that goes to no terminal; a pipe has no width, which must not break a table.
_WIDTH: Final = 160


def table_console(stderr: bool = False) -> Console:
    """A console for tables, on stdout or `stderr`."""
    console = Console(stderr=stderr)
    console.width = console.width if console.is_terminal else _WIDTH
    return console
