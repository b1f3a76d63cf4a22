"""Times of several engines, taken in turn, and memory."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

try:
    import resource
except ImportError:  # Windows has no such module, and nothing that tells the same
    _HAS_RESOURCE = False
else:
    _HAS_RESOURCE = True

#: An engine runs this long before another one has its turn, so that the threads of one, which may
#: spin for a while after a run, do not disturb the other.
_TURN_SECONDS = 0.1
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Samples:
    """Seconds of single runs."""

    seconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The shortest."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The one in the middle."""
        return float(np.median(self.seconds))

    @property
    def p90(self) -> float:
        """The one that nine of ten do not exceed."""
        return float(np.percentile(self.seconds, 90))


def measure(
    engines: Mapping[str, Callable[[], object]], rounds: int, min_seconds: float
) -> dict[str, Samples]:
    """Time `engines`, by name, in turns.

    There are at least `rounds` rounds, and as many as it takes for each engine to run for
    `min_seconds` seconds altogether. In a round every engine has a turn: one run that does not
    count, then runs for a tenth of a second, at least one. The order turns around every round.
    """
    samples = {name: Samples() for name in engines}
    spent = dict.fromkeys(engines, 0.0)
    number = 0
    while number < rounds or min(spent.values()) < min_seconds:
        order = list(engines) if number % 2 == 0 else list(engines)[::-1]
        for name in order:
            run = engines[name]
            run()
            turn = 0.0
            while turn < _TURN_SECONDS:
                start = time.perf_counter()
                run()
                seconds = time.perf_counter() - start
                samples[name].seconds.append(seconds)
                turn += seconds
            spent[name] += turn
        number += 1
    return samples


class PeakMemory:
    """The most memory that the process takes inside of a ``with``, beyond what it took before."""

    def __init__(self) -> None:
        #: Bytes; None where the system does not tell.
        self.bytes: int | None = None
        self._before: int | None = None

    def __enter__(self) -> "PeakMemory":
        try:
            _CLEAR.write_text("5")  # forgets the peak so far
            self._before = _status("VmRSS")
        except OSError:
            self._before = _peak()
        return self

    def __exit__(self, *error: object) -> None:
        peak = _peak()
        if peak is not None and self._before is not None:
            self.bytes = max(0, peak - self._before)


def _peak() -> int | None:
    """The largest resident size of this process in bytes."""
    found = _status("VmHWM")
    if found is None and _HAS_RESOURCE:
        # In kilobytes everywhere but on macOS, where there is no /proc.
        scale = 1024 if _STATUS.exists() else 1
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return found


def _status(key: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None
