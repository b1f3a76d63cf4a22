"""A schedule: a loop program together with the steps that made it what it is.

The trace prints one step a line, parses back, and replays on the unscheduled program.
"""

import ast
import dataclasses
import re

from relay.loop.ir import Func
from relay.loop.walk import drop_unit_loops, simplify_in, with_body
from relay.schedule.accumulate import Accumulate
from relay.schedule.collapse import Collapse
from relay.schedule.compute_at import ComputeAt
from relay.schedule.isolate import Isolate
from relay.schedule.names import as_printed, check_names
from relay.schedule.reduction import Merge, Rfactor
from relay.schedule.steps import (
    Cut,
    Fuse,
    Pack,
    Parallel,
    Prefetch,
    Reorder,
    Split,
    Step,
    Unroll,
    Vectorize,
    find,
)
from relay.support.errors import ParseError

STEPS: dict[str, type[Step]] = {
    "accumulate": Accumulate,
    "collapse": Collapse,
    "compute_at": ComputeAt,
    "cut": Cut,
    "fuse": Fuse,
    "isolate": Isolate,
    "merge": Merge,
    "pack": Pack,
    "parallel": Parallel,
    "prefetch": Prefetch,
    "reorder": Reorder,
    "rfactor": Rfactor,
    "split": Split,
    "unroll": Unroll,
    "vectorize": Vectorize,
}
_NAMES = {cls: name for name, cls in STEPS.items()}


class Schedule:
    """A loop program being scheduled. Every method takes one checked step and records it.

    Loops and buffers of `func` go by the names that they have in its text.
    """

    def __init__(self, func: Func) -> None:
        self.func = as_printed(func)
        self.trace: list[Step] = []

    def take(self, step: Step) -> None:
        """Take `step`; raises `ScheduleError`, leaving all as it was, where it is illegal."""
        func = step.apply(self.func)
        check_names(func)
        self.func = func
        self.trace.append(step)

    def extent(self, loop: str) -> int:
        """Iterations of the loop called `loop`."""
        return find(self.func, loop).extent

    def split(self, loop: str, factor: int, guarded: bool = False) -> tuple[str, str]:
        """See `Split`; returns the names of the outer and inner loop."""
        step = Split(loop, factor, guarded)
        names = step.names(self.func)
        self.take(step)
        return names

    def cut(self, loop: str, point: int) -> tuple[str, str]:
        """See `Cut`; returns the names of the first and second loop."""
        step = Cut(loop, point)
        second = step.second(self.func)
        self.take(step)
        return loop, second

    def reorder(self, *order: str) -> None:
        """See `Reorder`."""
        self.take(Reorder(order))

    def fuse(self, outer: str, inner: str) -> str:
        """See `Fuse`; returns the name of the fused loop."""
        step = Fuse(outer, inner)
        name = step.name(self.func)
        self.take(step)
        return name

    def collapse(self, outer: str, inner: str, also: tuple[tuple[str, str], ...] = ()) -> str:
        """See `Collapse`; returns the name of the collapsed loop."""
        step = Collapse(outer, inner, also)
        name = step.name(self.func)
        self.take(step)
        return name

    def parallel(self, loop: str) -> None:
        """See `Parallel`."""
        self.take(Parallel(loop))

    def vectorize(self, loop: str) -> None:
        """See `Vectorize`."""
        self.take(Vectorize(loop))

    def unroll(self, loop: str) -> None:
        """See `Unroll`."""
        self.take(Unroll(loop))

    def compute_at(self, buffer: str, loop: str) -> str:
        """See `ComputeAt`; returns the name of the private buffer."""
        step = ComputeAt(buffer, loop)
        name = step.name(self.func)
        self.take(step)
        return name

    def accumulate(self, buffer: str, loop: str) -> str:
        """See `Accumulate`; returns the name of the private buffer."""
        step = Accumulate(buffer, loop)
        name = step.name(self.func)
        self.take(step)
        return name

    def pack(self, buffer: str, axis: int, factor: int, pairs: int | None = None) -> str:
        """See `Pack`; returns the name of the packed buffer."""
        step = Pack(buffer, axis, factor, pairs)
        self.take(step)
        return step.packed_name

    def isolate(self, buffer: str) -> tuple[str, list[str]]:
        """See `Isolate`; returns the names of the stage and of the loops of its copy."""
        step = Isolate(buffer)
        names = step.names(self.func)
        self.take(step)
        return names

    def prefetch(self, buffer: str, ahead: int) -> None:
        """See `Prefetch`."""
        self.take(Prefetch(buffer, ahead))

    def merge(self, loop: str) -> None:
        """See `Merge`."""
        self.take(Merge(loop))

    def rfactor(self, loop: str, lanes: tuple[str, ...]) -> None:
        """See `Rfactor`."""
        self.take(Rfactor(loop, lanes))

    def finish(self) -> Func:
        """The scheduled program, without loops of one iteration, simplified."""
        body = simplify_in(drop_unit_loops(self.func.body), {})
        return with_body(self.func, body)

    def __str__(self) -> str:
        return "\n".join(text(step) for step in self.trace)


def text(step: Step) -> str:
    """One step as text: ``split(loop='i', factor=8)``; what has its default value is left out."""
    values = {f.name: (getattr(step, f.name), f.default) for f in dataclasses.fields(step)}  # type: ignore[arg-type]
    arguments = ", ".join(f"{n}={v!r}" for n, (v, default) in values.items() if v != default)
    return f"{_NAMES[type(step)]}({arguments})"


def parse(source: str) -> list[Step]:
    """The steps that `source` (one a line, as printed) says; raises `ParseError`."""
    steps = []
    for number, line in enumerate(source.splitlines(), 1):
        if not line.strip():
            continue
        found = re.fullmatch(r"\s*(\w+)\((.*)\)\s*", line)
        if found is None or found[1] not in STEPS:
            raise ParseError(f"line {number}: expected one of {', '.join(STEPS)}, found {line!r}")
        try:
            call = ast.parse(line.strip(), mode="eval").body
            assert isinstance(call, ast.Call)
            values = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
            steps.append(STEPS[found[1]](**values))
        except (SyntaxError, ValueError, TypeError, AssertionError) as error:
            raise ParseError(f"line {number}: {line.strip()!r} is not a step: {error}") from None
    return steps


def replay(func: Func, steps: list[Step]) -> Schedule:
    """The schedule that takes `steps` on `func`."""
    schedule = Schedule(func)
    for step in steps:
        schedule.take(step)
    return schedule
