"""A profile: where the time of a run goes, kernel by kernel, and what limits each of them."""

import json
from dataclasses import dataclass
from functools import cached_property
from io import StringIO

import numpy as np
import numpy.typing as npt
from rich.console import Console

from relay.executor.profile.machine import Ceilings
from relay.executor.profile.picture import Bar, html_page, svg_picture
from relay.executor.profile.table import Row, profile_table, threads_text
from relay.executor.profile.trace import Event, trace_text
from relay.runtime.work import Work

#: Columns of a table that is not printed to a terminal.
_WIDTH = 160
_Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KernelProfile:
    """One kernel call, or with `calls` above 1 all calls of one kernel, over several runs.

    `seconds` has one element a run, in the order of the runs for a single call. `least_seconds` is
    what the arithmetic and the traffic of the call take at the very least on this machine, or None
    where the machine was not measured, and `bound` which of the two it is: ``compute`` or
    ``memory``.
    """

    kernel: str
    work: Work
    seconds: _Seconds
    calls: int
    least_seconds: float | None
    bound: str

    @property
    def best(self) -> float:
        """Seconds of the fastest run."""
        return float(self.seconds.min())

    @property
    def median(self) -> float:
        """Seconds of the run in the middle."""
        return float(np.median(self.seconds))

    @property
    def gflops(self) -> float:
        """Thousand million operations a second, by the median."""
        return self.work.flops / max(self.median, 1e-12) / 1e9

    @property
    def gigabytes(self) -> float:
        """Thousand million bytes read and written a second, by the median."""
        return self.work.bytes_moved / max(self.median, 1e-12) / 1e9

    @property
    def roofline(self) -> float | None:
        """`least_seconds` over the median: 1 is as fast as this machine can do the same work."""
        if self.least_seconds is None:
            return None
        return self.least_seconds / max(self.median, 1e-12)


@dataclass(frozen=True)
class Profile:
    """What profiling found out.

    `stamps` are the times in seconds before the first and after each kernel call, one row a run,
    counted from the start of that run; `walls` are the seconds of these runs altogether, as their
    caller sees them, and `plain` those of runs without a clock in between.
    """

    target: str
    threads: int
    names: tuple[str, ...]
    work: tuple[Work, ...]
    stamps: _Seconds
    walls: _Seconds
    plain: _Seconds
    ceilings: Ceilings | None

    @property
    def runs(self) -> int:
        """How many runs were measured."""
        return len(self.walls)

    @property
    def seconds(self) -> float:
        """Seconds of a run, the median."""
        return float(np.median(self.walls))

    @cached_property
    def calls(self) -> tuple[KernelProfile, ...]:
        """Every kernel call, in order of execution."""
        taken = np.diff(self.stamps, axis=1)
        return tuple(
            self._kernel(name, work, taken[:, k], 1)
            for k, (name, work) in enumerate(zip(self.names, self.work, strict=True))
        )

    @cached_property
    def kernels(self) -> tuple[KernelProfile, ...]:
        """Every kernel with all of its calls taken together, by first call."""
        groups: dict[str, list[KernelProfile]] = {}
        for call in self.calls:
            groups.setdefault(call.kernel, []).append(call)
        return tuple(self._together(name, group) for name, group in groups.items())

    @cached_property
    def outside(self) -> _Seconds:
        """Seconds of each run that no kernel takes: entering and leaving, and reading the clock."""
        inside = self.stamps[:, -1] - self.stamps[:, 0]
        return np.maximum(self.walls - inside, 0.0)

    def _kernel(self, name: str, work: Work, seconds: _Seconds, calls: int) -> KernelProfile:
        if self.ceilings is None:
            return KernelProfile(name, work, seconds, calls, None, "")
        compute = self.ceilings.compute_seconds(work)
        memory = self.ceilings.memory_seconds(work)
        bound = "compute" if compute >= memory else "memory"
        return KernelProfile(name, work, seconds, calls, max(compute, memory), bound)

    def _together(self, name: str, group: list[KernelProfile]) -> KernelProfile:
        first = group[0].work
        work = Work(
            first.operators,
            tuple(dict.fromkeys(n for call in group for n in call.work.nodes)),
            first.dtype,
            sum(c.work.flops for c in group),
            sum(c.work.bytes_read for c in group),
            sum(c.work.bytes_written for c in group),
        )
        least = [c.least_seconds for c in group if c.least_seconds is not None]
        # Sorted first: then the least and the median are the sums of those of the calls.
        seconds = np.sum([np.sort(c.seconds) for c in group], axis=0)
        total = sum(least) if least else None
        return KernelProfile(name, work, seconds, len(group), total, group[0].bound)

    # ------------------------------------------------------------------ outcomes

    def table(self, group: str = "call", order: str = "time", top: int | None = None) -> str:
        """The profile as a table in text.

        One row for each ``"call"`` or ``"kernel"`` (`group`), by ``"time"`` or in the order of the
        ``"program"`` (`order`); of more than `top` rows the rest is summed up.
        """
        stream = StringIO()
        table = profile_table(self, self.rows(group, order, top), _WIDTH)
        Console(file=stream, width=_WIDTH).print(table)
        return stream.getvalue()

    def rows(
        self, group: str = "call", order: str = "time", top: int | None = None
    ) -> tuple[Row, ...]:
        """The rows of `table`: kernels, what was left out, and the time outside of kernels."""
        found = list(self.kernels if group == "kernel" else self.calls)
        if order == "time":
            found.sort(key=lambda k: -k.median)
        kept = found if top is None else found[:top]
        # Medians do not add up to the median of a run; shares should add up to one.
        total = sum(k.median for k in found) + float(np.median(self.outside))
        rows = [Row.of_kernel(k, total) for k in kept]
        rest = found[len(kept) :]
        if rest:
            best, median = sum(k.best for k in rest), sum(k.median for k in rest)
            rows.append(Row.of_time(f"({len(rest)} more)", best, median, total))
        best, median = float(self.outside.min()), float(np.median(self.outside))
        rows.append(Row.of_time("(outside kernels)", best, median, total))
        return tuple(rows)

    def to_dict(self) -> dict[str, object]:
        """The profile as what JSON can hold; times in seconds, rates in operations and bytes."""
        machine = None
        if self.ceilings is not None:
            machine = {
                "cpu": self.ceilings.cpu,
                "threads": self.ceilings.threads,
                "flops_per_second": dict(self.ceilings.flops),
                "read_bytes_per_second": [list(pair) for pair in self.ceilings.read],
                "write_bytes_per_second": [list(pair) for pair in self.ceilings.write],
                "busy": self.ceilings.busy,
            }
        return {
            "target": self.target,
            "threads": self.threads,
            "runs": self.runs,
            "seconds": _spread(self.walls),
            "seconds_unprofiled": _spread(self.plain),
            "seconds_outside_kernels": _spread(self.outside),
            "machine": machine,
            "calls": [_call_record(k) for k in self.calls],
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    def trace(self) -> str:
        """The run in the middle as a JSON text for Perfetto and ``chrome://tracing``."""
        middle = int(np.argsort(self.walls)[len(self.walls) // 2])
        stamps = self.stamps[middle]
        events = [Event("run", 0.0, float(self.walls[middle]), {"threads": self.threads})]
        for k, call in enumerate(self.calls):
            start, end = float(stamps[k]), float(stamps[k + 1])
            details: dict[str, object] = {
                "operators": ", ".join(call.work.operators),
                "nodes": ", ".join(call.work.nodes),
                "GFLOP/s": round(call.work.flops / max(end - start, 1e-12) / 1e9, 1),
                "GB/s": round(call.work.bytes_moved / max(end - start, 1e-12) / 1e9, 1),
            }
            if call.roofline is not None:
                details["roofline"] = f"{call.roofline:.0%}, bound by {call.bound}"
            events.append(Event(call.kernel, start, end - start, details))
        return trace_text(events)

    def svg(self, title: str = "", group: str = "kernel", top: int = 24) -> str:
        """A picture with a bar for each row of `rows`, in SVG."""
        return svg_picture(self._title(title), self._bars(group, top))

    def html(self, title: str = "", group: str = "call") -> str:
        """A page with the picture and the table, which needs no other file and no network."""
        picture = svg_picture(self._title(title), self._bars(group, 24))
        return html_page(self._title(title), picture, self.rows(group))

    def _title(self, title: str) -> str:
        head = f"{title}: " if title else ""
        return f"{head}{self.seconds * 1e3:.3g} ms a run, {threads_text(self.threads)}"

    def _bars(self, group: str, top: int) -> list[Bar]:
        return [
            Bar(row.label, row.median, row.share, row.roofline, row.bound, row.hover)
            for row in self.rows(group, "time", top)
        ]

    def __str__(self) -> str:
        return self.table()


def _spread(seconds: _Seconds) -> dict[str, float]:
    return {"min": float(seconds.min()), "median": float(np.median(seconds))}


def _call_record(call: KernelProfile) -> dict[str, object]:
    return {
        "kernel": call.kernel,
        "operators": list(call.work.operators),
        "nodes": list(call.work.nodes),
        "dtype": call.work.dtype,
        "flops": call.work.flops,
        "bytes_read": call.work.bytes_read,
        "bytes_written": call.work.bytes_written,
        "seconds": _spread(call.seconds),
        "flops_per_second": call.gflops * 1e9,
        "bytes_per_second": call.gigabytes * 1e9,
        "roofline": call.roofline,
        "bound": call.bound or None,
    }
