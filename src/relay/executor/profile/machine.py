"""What this machine can do at most: arithmetic and traffic, measured once and kept.

The result is a file ``<key>.json`` in ``${XDG_CACHE_HOME:-~/.cache}/relay/machine``. The key is
made of the CPU's model, its features, the number of threads and the version of the measurement.
``RELAY_CACHE=off`` keeps nothing: each process measures for itself.
"""

import contextlib
import ctypes
import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from relay.codegen.llvm.ceilings import (
    ACCUMULATORS,
    COPY,
    PEAK_BYTES,
    READ,
    STRIDE,
    ceilings_text,
    peak_symbol,
    peaks,
)
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.link import compile_text, link
from relay.codegen.llvm.objects import directory
from relay.runtime.library import Library
from relay.runtime.memory import aligned_empty
from relay.runtime.threads import ensure_started, get_num_threads
from relay.runtime.work import Work
from relay.target import Target

_VERSION: Final = 1
#: A run is at least so long; runs go on for so long, for each number that is measured.
_RUN_SECONDS: Final = 0.0005
_SPENT_SECONDS: Final = 0.1
_LEAST_RUNS: Final = 3
#: The share of their cores that threads get on a machine with nothing else to do, at least.
_UNDISTURBED: Final = 0.8
_MEGABYTE: Final = 1 << 20
#: Bytes all threads together go through, besides what fits their second-level caches.
_SIZES: Final = (4 * _MEGABYTE, 16 * _MEGABYTE, 64 * _MEGABYTE, 256 * _MEGABYTE)
#: Types without arithmetic of their own are computed in this one.
_COMMON: Final = "float32"


@dataclass(frozen=True)
class Ceilings:
    """The most that a machine does with `threads` threads.

    `flops`: operations a second by data type, a multiply-accumulate being two. `read`, `write`:
    pairs of a working set in bytes and the bytes a second that go through it, by growing set.
    `busy`: the threads did not get a core each while this was measured, so that it is too low.
    """

    cpu: str
    threads: int
    flops: Mapping[str, float]
    read: tuple[tuple[int, float], ...]
    write: tuple[tuple[int, float], ...]
    busy: bool = False

    def peak(self, dtype: str) -> float:
        """Operations a second on factors of type `dtype`."""
        return self.flops.get(dtype, self.flops[_COMMON])

    def compute_seconds(self, work: Work) -> float:
        """The least time that the arithmetic of `work` takes."""
        return work.flops / self.peak(work.dtype)

    def memory_seconds(self, work: Work) -> float:
        """The least time that the traffic of `work` takes, each element moved once.

        The smallest measured working set that holds all of it decides about the bandwidth.
        """
        size = work.bytes_moved
        return work.bytes_read / _at(self.read, size) + work.bytes_written / _at(self.write, size)

    def seconds(self, work: Work) -> float:
        """The roofline: the longer one of both."""
        return max(self.compute_seconds(work), self.memory_seconds(work))


def _at(curve: tuple[tuple[int, float], ...], size: int) -> float:
    return next((rate for held, rate in curve if held >= size), curve[-1][1])


def measure_machine(threads: int | None = None, *, remeasure: bool = False) -> Ceilings:
    """What this machine does at most with `threads` threads (default: as many as are in use).

    Taken from the cache unless `remeasure`; measuring takes about three seconds. The number of
    threads must be that of the pool to measure anew: see `relay.runtime.threads.set_num_threads`.
    What is measured while other programs take the cores away is used, but not kept.
    """
    threads = threads or get_num_threads()
    target = host_target()
    path = _path(target, threads)
    found = None if remeasure else (_Kept.found.get(threads) or _read(path))
    if found is None:
        found = _measure(target, threads)
        if not found.busy:
            _write(path, found)
    _Kept.found[threads] = found
    return found


class _Kept:
    """What this process has measured or read, by number of threads."""

    found: Final[dict[int, Ceilings]] = {}


@cache
def cpu_model() -> str:
    """The CPU as its maker calls it, as far as the system tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or host_target().cpu


def _path(target: Target, threads: int) -> Path | None:
    folder = directory("machine")
    if folder is None:
        return None
    key = (_VERSION, cpu_model(), target.cpu, target.features, target.l2_bytes, threads)
    return folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.json"


def _read(path: Path | None) -> Ceilings | None:
    """What is kept in the file `path`; None where that is nothing, or nothing of use."""
    if path is None:
        return None
    try:
        found = json.loads(path.read_text())
        ceilings = Ceilings(
            str(found["cpu"]),
            int(found["threads"]),
            {str(k): float(v) for k, v in found["flops"].items()},
            tuple((int(size), float(rate)) for size, rate in found["read"]),
            tuple((int(size), float(rate)) for size, rate in found["write"]),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    rates = [*ceilings.flops.values(), *(r for _, r in (*ceilings.read, *ceilings.write))]
    complete = _COMMON in ceilings.flops and ceilings.read and ceilings.write
    return ceilings if complete and all(r > 0 for r in rates) else None


def _write(path: Path | None, ceilings: Ceilings) -> None:
    """Keep `ceilings`; a cache that cannot be written is no error."""
    if path is None:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            json.dump(asdict(ceilings), file, indent=1)
        Path(file.name).replace(path)


# ---------------------------------------------------------------------- measuring


def _measure(target: Target, threads: int) -> Ceilings:
    available = peaks(target)
    symbols = [*map(peak_symbol, available), READ, COPY]
    library = link([compile_text(ceilings_text(target), target)], symbols)
    ensure_started()
    loops = _Loops(library, threads)
    flops = {
        dtype: 2.0 * peak.macs * ACCUMULATORS * threads * loops.peak(peak_symbol(dtype))
        for dtype, peak in available.items()
    }
    busy = loops.cores < _UNDISTURBED * threads
    sizes = sorted({target.l2_bytes * threads // 2, *_SIZES})
    read, write = [], []
    for size in sizes:
        part = size // threads // STRIDE * STRIDE
        read_rate = part * threads * loops.stream(READ, part)
        # Half of what a copy goes through is read; the rest of its time is that of writing.
        half = part // 2 // STRIDE * STRIDE
        copied = half * threads
        writing = 1 / loops.stream(COPY, half) - copied / read_rate
        read.append((size, read_rate))
        write.append((size, copied / writing if writing > 0 else read_rate))
    return Ceilings(cpu_model(), threads, flops, tuple(read), tuple(write), busy)


class _Loops:
    """The native loops with memory to run in.

    `cores` is how many cores the threads had at the best moments of measuring arithmetic: of all
    that was measured, the least.
    """

    def __init__(self, library: Library, threads: int) -> None:
        self._library = library
        self._threads = threads
        self.cores = float(threads)
        # Zeros are normal numbers for every type, and touched pages are there.
        self._memory = aligned_empty((max(_SIZES) + PEAK_BYTES * threads,), "uint8")
        self._memory[...] = 0
        self._second = aligned_empty((max(_SIZES) // 2 + STRIDE * threads,), "uint8")
        self._second[...] = 0

    def peak(self, symbol: str) -> float:
        """Rounds a second, of every thread."""
        best = self._best(symbol, PEAK_BYTES)
        self.cores = min(self.cores, best.used / best.seconds)
        return best.rounds / best.seconds

    def stream(self, symbol: str, part: int) -> float:
        """Rounds a second through `part` bytes for each thread."""
        best = self._best(symbol, part)
        return best.rounds / best.seconds

    def _best(self, symbol: str, part: int) -> "_Run":
        run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(self._library[symbol])
        memory, second = self._memory.ctypes.data, self._second.ctypes.data

        def run_once(rounds: int) -> _Run:
            env = np.array([memory, part, rounds, second], np.int64)
            start, used = time.perf_counter(), time.process_time()
            run(env.ctypes.data, self._threads)
            seconds = time.perf_counter() - start
            return _Run(seconds, time.process_time() - used, rounds)

        return _best_run(run_once)


@dataclass(frozen=True, order=True)
class _Run:
    """Rounds that took `seconds`, in which all threads together used `used` seconds of cores."""

    seconds: float
    used: float
    rounds: int


def _best_run(run: Callable[[int], _Run]) -> _Run:
    """The best of many runs just long enough to be timed.

    Where the machine is busy, short runs find a moment at which all threads have a core.
    """
    best = min(run(1) for _ in range(_LEAST_RUNS))
    while best.seconds < _RUN_SECONDS:
        needed = int(best.rounds * 1.2 * _RUN_SECONDS / max(best.seconds, 1e-7)) + 1
        rounds = min(best.rounds * 10, needed)
        best = min(run(rounds) for _ in range(_LEAST_RUNS))
    start = time.perf_counter()
    while time.perf_counter() - start < _SPENT_SECONDS:
        best = min(best, run(best.rounds))
    return best
