"""Recursive functions without recursion: generators that yield the calls they wait for.

::

    def depth(expr):
        return 1 + max([(yield depth(child)) for child in expr.children()])

    run(depth(expr))
"""

from collections.abc import Generator
from typing import Any, TypeAlias

Steps: TypeAlias = Generator[Any, Any, Any]
"""A computation that yields others and is sent their results; what it returns is its own."""


def run(steps: Steps) -> Any:
    """The result of `steps`; how deep they nest is bounded by memory alone."""
    stack = [steps]
    value: Any = None
    while stack:
        try:
            inner = stack[-1].send(value)
        except StopIteration as finished:
            stack.pop()
            value = finished.value
        else:
            stack.append(inner)
            value = None
    return value
