"""Python's cyclic garbage collector, paused while many objects are made that form no cycles.

Expressions, types and loops point only at what is older than they are. The collector would walk
over all of them again and again as their number grows: on a program of 10,000 operators that is a
third of the time of all passes, and it makes linear passes look worse than linear.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Pauses:
    """How many pauses are on, in all threads, and whether the collector ran before the first."""

    lock = threading.Lock()
    count = 0
    enabled = False


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the cyclic garbage collector; pauses nest, and the last one to end resumes it."""
    with _Pauses.lock:
        if _Pauses.count == 0:
            _Pauses.enabled = gc.isenabled()
            gc.disable()
        _Pauses.count += 1
    try:
        yield
    finally:
        with _Pauses.lock:
            _Pauses.count -= 1
            if _Pauses.count == 0 and _Pauses.enabled:
                gc.enable()
