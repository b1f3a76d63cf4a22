"""Recursive descent without recursion: a rule yields the rules that it needs.

::

    def nested(self):
        self.expect("(", "before the type")
        inner = yield self.nested()
        ...
        return inner

    run(self.nested())
"""

from collections.abc import Generator
from typing import Any, TypeVar

R = TypeVar("R")


def run(step: Generator[Any, R, R]) -> R:
    """The result of `step` and everything that it needs, on a stack of our own."""
    stack = [step]
    result: R | None = None
    while stack:
        try:
            # A fresh generator is started with None.
            stack.append(stack[-1].send(result))  # type: ignore[arg-type]
            result = None
        except StopIteration as stop:
            stack.pop()
            result = stop.value
    assert result is not None
    return result
