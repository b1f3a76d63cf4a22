"""What a command is doing, told on stderr where a person watches."""

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console


class Stages:
    """Named stages of a command: a line that moves while each runs, and how long each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._console = Console(file=sys.stderr) if sys.stderr.isatty() else None

    @contextlib.contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Time what happens inside under `name`, saying `doing` meanwhile."""
        with self._console.status(doing) if self._console else contextlib.nullcontext():
            start = time.perf_counter()
            yield
            self.seconds[name] = time.perf_counter() - start


def milliseconds(seconds: float) -> str:
    """A time for people: ``12.3 ms``."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 0.1 else f"{seconds * 1e3:,.0f} ms"


def megabytes(count: float) -> str:
    """A size for people, in powers of 1000: ``12.3 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
