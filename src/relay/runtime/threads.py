"""The thread pool: Python's side of it.

The pool itself is native code (shared words, spinning, parking), handed in as addresses by whoever
generated it; this module starts and stops the threads that run it. Workers are daemon threads that
enter native code, without the interpreter lock, and come back only to end.

One pool serves the process. Its size is the number of cores this process may use (affinity mask and
cgroup quota), or `set_num_threads`. A forked child starts with no workers and makes its own when it
first runs something.
"""

import atexit
import ctypes
import os
import threading
import time
from collections.abc import Mapping

from relay.support.errors import InputError
from relay.target import usable_cores

#: How long a worker spins for the next job before it parks.
SPIN_MICROSECONDS = 40.0
_CALIBRATION_ROUNDS = 2000
#: Threads that one job can name.
MAX_THREADS = 4000


class Pool:
    """Threads that carry out parallel loops; `addresses` are the native functions by name."""

    def __init__(self, addresses: Mapping[str, int], threads: int) -> None:
        int32, int64 = ctypes.c_int32, ctypes.c_int64
        call, count = ctypes.CFUNCTYPE(None), ctypes.CFUNCTYPE(int32)
        self.addresses = addresses
        self._worker = ctypes.CFUNCTYPE(None, int64)(addresses["relay_worker"])
        self._set = ctypes.CFUNCTYPE(None, int32, int32)(addresses["relay_pool_set"])
        self._ready = count(addresses["relay_pool_ready"])
        self._stop = count(addresses["relay_pool_stop"])
        self._reset = call(addresses["relay_pool_reset"])
        self._spin = ctypes.CFUNCTYPE(None, int64)(addresses["relay_pool_spin"])
        self._lock = threading.Lock()
        self._workers: list[threading.Thread] = []
        self._threads = threads
        #: Whether the threads must be started before the next run.
        self.stale = True
        self._spins = self._calibrate()
        self._reset()
        os.register_at_fork(after_in_child=self._after_fork)
        atexit.register(self.shutdown)

    @property
    def threads(self) -> int:
        """Threads that take part in a parallel loop, the calling one included."""
        return self._threads

    def _calibrate(self) -> int:
        """Rounds of the spin loop that take `SPIN_MICROSECONDS`."""
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            self._spin(_CALIBRATION_ROUNDS)
            best = min(best, time.perf_counter() - start)
        rounds = SPIN_MICROSECONDS * 1e-6 * _CALIBRATION_ROUNDS / max(best, 1e-7)
        return int(min(max(rounds, 100), 1e6))

    def resize(self, threads: int) -> None:
        """Let `threads` threads take part from now on."""
        with self._lock:
            self._threads = threads
            self._start()

    def refresh(self) -> None:
        """Start the threads if that has not happened yet in this process."""
        with self._lock:
            if self.stale:
                self._start()

    def _start(self) -> None:
        """Bring the workers up to the number asked for; surplus ones stay parked."""
        while len(self._workers) < self._threads - 1:
            number = len(self._workers) + 1
            worker = threading.Thread(
                target=self._worker, args=(number,), name=f"relay-{number}", daemon=True
            )
            worker.start()
            self._workers.append(worker)
        while self._ready() < len(self._workers):
            time.sleep(0)
        self._set(self._threads, self._spins)
        self.stale = False

    def shutdown(self) -> None:
        """End the workers; loops run on the calling thread alone until the next `refresh`."""
        with self._lock:
            if self.stale:
                return
            for _ in range(1000):
                if self._stop():
                    break
                time.sleep(0.001)
            else:
                return  # somebody is still computing, and keeps the code alive
            for worker in self._workers:
                worker.join()
            self._workers = []
            self._reset()
            self.stale = True

    def _after_fork(self) -> None:
        """A forked child has only the thread that forked."""
        self._lock = threading.Lock()
        self._workers = []
        self._reset()
        self.stale = True


class _State:
    """The process's pool, and the size it has or will have."""

    pool: Pool | None = None
    threads: int | None = None
    lock = threading.Lock()


def install(addresses: Mapping[str, int]) -> Pool:
    """The process's pool; made from the native functions at `addresses` on the first call."""
    with _State.lock:
        if _State.pool is None:
            _State.pool = Pool(addresses, get_num_threads())
        return _State.pool


def ensure_started() -> None:
    """Start the pool's threads unless they run; cheap when they do."""
    pool = _State.pool
    if pool is not None and pool.stale:
        pool.refresh()


def get_num_threads() -> int:
    """Threads that parallel loops use, the calling one included."""
    if _State.threads is None:
        return usable_cores()
    return _State.threads


def set_num_threads(threads: int) -> None:
    """Use `threads` threads for parallel loops from now on; results do not depend on it.

    Raises `InputError` unless ``1 <= threads <= MAX_THREADS``.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise InputError(f"set_num_threads expects 1 to {MAX_THREADS} threads, not {threads}")
    with _State.lock:
        _State.threads = threads
        pool = _State.pool
    if pool is not None:
        pool.resize(threads)
