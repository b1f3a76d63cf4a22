"""How long the stages of something take, told by whoever carries them out.

::

    with Timings() as timings:
        ...
        with stage("scheduling"):   # anywhere below, in the same thread
            ...
    timings.seconds["scheduling"]

A stage inside of another one counts for itself alone: the seconds add up to the whole. Outside of
any `Timings`, `stage` does nothing.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field


@dataclass
class Timings:
    """Seconds spent in stages, in the order in which they were first entered.

    A context manager, current per thread; inside of another one it takes over.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    _inner: list[float] = field(default_factory=list, repr=False)
    _tokens: "list[Token[Timings | None]]" = field(default_factory=list, repr=False)

    def __enter__(self) -> "Timings":
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _current.reset(self._tokens.pop())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside under `name`, less the stages inside of it."""
        self.seconds.setdefault(name, 0.0)
        self._inner.append(0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self.seconds[name] += elapsed - self._inner.pop()
            if self._inner:
                self._inner[-1] += elapsed

    @property
    def total(self) -> float:
        """Seconds altogether."""
        return sum(self.seconds.values())


_current: ContextVar[Timings | None] = ContextVar("relay_timings", default=None)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time what happens inside under `name` in the current `Timings`, if there is one."""
    timings = _current.get()
    if timings is None:
        yield
        return
    with timings.stage(name):
        yield
