"""The table of a profile."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from relay.executor.profile.profile import KernelProfile, Profile

_NODES_SHOWN = 3
#: Columns that a table takes for each of its columns besides their text, and the least for nodes.
_FRAME, _LEAST = 3, 12


@dataclass(frozen=True)
class Row:
    """A row: seconds, and for kernels the rates. `detail` says where a kernel comes from."""

    label: str
    detail: str
    best: float
    median: float
    share: float
    gflops: float | None = None
    gigabytes: float | None = None
    roofline: float | None = None
    bound: str = ""

    @staticmethod
    def of_kernel(kernel: "KernelProfile", total: float) -> "Row":
        """The row of a kernel; all rows have `total` seconds together."""
        names = kernel.work.nodes or kernel.work.operators
        more = len(names) - _NODES_SHOWN
        shown = ", ".join(names[:_NODES_SHOWN]) + (f", {more} more" if more > 0 else "")
        return Row(
            f"{kernel.kernel} ×{kernel.calls}" if kernel.calls > 1 else kernel.kernel,
            shown,
            kernel.best,
            kernel.median,
            kernel.median / total,
            kernel.gflops,
            kernel.gigabytes,
            kernel.roofline,
            kernel.bound,
        )

    @staticmethod
    def of_time(label: str, best: float, median: float, total: float) -> "Row":
        """The row of something that takes time, and of which no more is known."""
        return Row(label, "", best, median, median / total)

    @property
    def hover(self) -> str:
        """All of the row in words."""
        words = [self.label, self.detail, f"{self.median * 1e6:.1f} µs, {self.share:.1%}"]
        if self.gflops is not None:
            words.append(f"{self.gflops:.1f} GFLOP/s, {self.gigabytes:.1f} GB/s")
        if self.roofline is not None:
            words.append(f"{self.roofline:.0%} of the roofline, bound by {self.bound}")
        return "\n".join(w for w in words if w)

    def cells(self) -> list[str]:
        """The cells after the name, in the order of `HEADINGS`."""
        return [
            f"{self.best * 1e6:,.1f}",
            f"{self.median * 1e6:,.1f}",
            f"{self.share:.1%}",
            "" if self.gflops is None else f"{self.gflops:.1f}",
            "" if self.gigabytes is None else f"{self.gigabytes:.1f}",
            "" if self.roofline is None else f"{self.roofline:.0%}",
            self.bound,
        ]


HEADINGS = ("min µs", "median µs", "share", "GFLOP/s", "GB/s", "roofline", "bound")


def profile_table(profile: "Profile", rows: tuple[Row, ...], width: int, title: str = "") -> Table:
    """`rows` of a profile as a table, with the totals and what the machine can do below.

    In `width` columns the names of kernels come first; where they come from gets what is left.
    """
    footers = _totals(profile)
    widths = [max(len(h), len(f), 7) for h, f in zip(HEADINGS, footers, strict=True)]
    name = f"a run, {len(profile.calls)} calls"
    names = max(len(name), *(len(row.label) for row in rows))
    taken = names + sum(widths) + _FRAME * (len(widths) + 2) + 1
    table = Table(
        title=title or None,
        title_justify="left",
        caption=Text("\n".join(notes(profile))),
        caption_justify="left",
        show_footer=True,
    )
    table.add_column("kernel", Text(name), overflow="fold", max_width=names)
    for heading, footer, size in zip(HEADINGS, footers, widths, strict=True):
        table.add_column(heading, footer, justify="right", no_wrap=True, min_width=size)
    rest = min(max(width - taken, _LEAST), max(_LEAST, *(len(row.detail) for row in rows)))
    table.add_column("from", no_wrap=True, overflow="ellipsis", width=rest)
    for row in rows:
        table.add_row(Text(row.label), *row.cells(), Text(row.detail))
    return table


def _totals(profile: "Profile") -> list[str]:
    flops = sum(w.flops for w in profile.work)
    moved = sum(w.bytes_moved for w in profile.work)
    least = [c.least_seconds for c in profile.calls if c.least_seconds is not None]
    return [
        f"{profile.walls.min() * 1e6:,.1f}",
        f"{profile.seconds * 1e6:,.1f}",
        "",
        f"{flops / profile.seconds / 1e9:.1f}",
        f"{moved / profile.seconds / 1e9:.1f}",
        f"{sum(least) / profile.seconds:.0%}" if least else "",
        "",
    ]


def threads_text(threads: int) -> str:
    """``1 thread`` or ``2 threads``."""
    return f"{threads} thread" + "s" * (threads != 1)


def notes(profile: "Profile") -> list[str]:
    """Lines about how the numbers came about."""
    plain = float(np.median(profile.plain))
    lines = [
        f"{profile.runs} runs with {threads_text(profile.threads)}; without profiling a run takes "
        f"{plain * 1e6:,.1f} µs (min {profile.plain.min() * 1e6:,.1f})"
    ]
    machine = profile.ceilings
    if machine is None:
        return lines
    used = dict.fromkeys(w.dtype if w.dtype in machine.flops else "float32" for w in profile.work)
    peaks = ", ".join(f"{d} {machine.peak(d) / 1e9:.0f} GFLOP/s" for d in used)
    (near, fast), (_, slow) = machine.read[0], machine.read[-1]
    lines.append(
        f"at most {peaks}; reads {fast / 1e9:.0f} GB/s from {near / 2**20:.3g} MiB of cache, "
        f"{slow / 1e9:.0f} GB/s from memory ({machine.cpu})"
    )
    if machine.busy:
        lines.append("other programs took the cores away while this was measured: it is too low")
    return lines
