"""Compare what onnxruntime and the executors of relay make of random ONNX models.

``python tools/fuzz.py --models 5000 --seed 0 [--jobs N] [--minutes M] [--keep DIR]``

Models are built operator by operator (after Liu et al., NNSmith, ASPLOS 2023) and run by
onnxruntime without optimisations, the interpreter, the graph executor at every level, and the
virtual machine. The first model of every kind of fault is made smaller, printed, and saved as
``model.onnx`` and ``inputs.npz`` in a folder of its own. The exit status is 1 where there are
faults.
"""

import multiprocessing
import random
import re
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import printer

from fuzzing.building import Array, Builder, Fuzzed
from fuzzing.comparing import Outcome, declared, examine
from fuzzing.control import OPERATORS
from fuzzing.shrinking import shrink

Packed: TypeAlias = tuple[bytes, dict[str, Array]]
#: Seconds that one model may take on all executors.
LIMIT = 90.0


def build(seed: int, number: int, open_: float) -> tuple[Fuzzed, Counter[str]]:
    """Model `number` of a `seed`, and what onnxruntime refused on the way."""
    rng = random.Random(f"{seed}:{number}")
    opset = rng.randint(7, 12) if rng.random() < 0.2 else rng.randint(13, 22)
    builder = Builder(rng, opset, open_)
    makers, weights = list(OPERATORS), list(OPERATORS.values())
    wanted = rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 12, 15))
    for _ in range(60):
        if len(builder.nodes) >= wanted:
            break
        builder.attempt(rng.choices(makers, weights)[0])
    return builder.finish(), builder.refused


def _serve(channel: Connection, levels: list[int]) -> None:
    """Build and examine models, or examine given ones, until there are no more."""
    while True:
        try:
            match channel.recv():
                case (int(seed), int(number), float(open_)):
                    fuzzed, refused = build(seed, number, open_)
                case (bytes(text), dict(inputs)):
                    model = onnx.ModelProto.FromString(text)
                    fuzzed, refused = Fuzzed(model, inputs), Counter()
                case _:
                    return
        except EOFError:
            return
        packed = fuzzed.model.SerializeToString(), fuzzed.inputs
        channel.send(packed)
        channel.send((examine(fuzzed, levels), refused))


class Worker:
    """A process that examines models, started again when one kills it."""

    def __init__(self, levels: list[int]) -> None:
        self.levels = levels
        self.task: Any = None
        self.packed: Packed | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.channel, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, self.levels), daemon=True)
        self.process.start()
        other.close()

    def give(self, task: object) -> None:
        """Let it work on `task`."""
        self.task, self.packed, self.deadline = task, None, time.monotonic() + LIMIT
        self.channel.send(task)

    def poll(self) -> tuple[Outcome, Counter[str]] | None:
        """What it found, if it has."""
        try:
            while self.channel.poll():
                received = self.channel.recv()
                if isinstance(received[0], Outcome):
                    self.task = None
                    found: tuple[Outcome, Counter[str]] = received
                    return found
                self.packed = received
        except (EOFError, OSError):
            self.process.join()
            return self._ended(f"the process ends with status {self.process.exitcode}")
        if time.monotonic() > self.deadline:
            return self._ended(f"it takes more than {LIMIT:.0f} seconds")
        return None

    def _ended(self, message: str) -> tuple[Outcome, Counter[str]]:
        self.stop()
        self._start()
        self.task = None
        if self.packed is None:  # nothing of relay has run yet
            return Outcome(
                "refused", "onnxruntime", f"while it builds a model, {message}"
            ), Counter()
        return Outcome("fault", "running", message), Counter()

    def result(self, task: object) -> Outcome:
        """What becomes of `task`, waited for."""
        self.give(task)
        while True:
            wait([self.channel], 1.0)
            found = self.poll()
            if found is not None:
                return found[0]

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.channel.close()


@dataclass
class Tally:
    """What was found so far."""

    options: Namespace
    kinds: Counter[str] = field(default_factory=Counter)
    buckets: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    meant: Counter[str] = field(default_factory=Counter)
    theirs: Counter[str] = field(default_factory=Counter)

    def add(
        self, worker: Worker, number: int, outcome: Outcome, refused: Mapping[str, int]
    ) -> None:
        """Count the `outcome` of model `number`, and look closer at a fault of a new kind."""
        self.refused.update(refused)
        if outcome.kind in ("same", "refused") or worker.packed is None:  # nothing to look at
            self.kinds[outcome.kind] += 1
            self.refused.update([outcome.message] if outcome.kind == "refused" else [])
            return
        before = self.buckets[outcome.bucket]
        if before >= self.options.each:
            self.buckets[outcome.bucket] += 1
            self.kinds[outcome.kind] += 1
            return
        model = onnx.ModelProto.FromString(worker.packed[0])
        original = Fuzzed(model, worker.packed[1])
        small = shrink(original, lambda f: self._same_fault(worker, f, outcome))
        if outcome.kind == "fault":  # the standard's evaluator may know the few nodes that are left
            after = worker.result((small.model.SerializeToString(), small.inputs))
            outcome = after if after.kind == "theirs" else outcome
        operators = " ".join(n.op_type for n in small.model.graph.node)
        why = declared(outcome, small.model)
        if why:
            self.kinds["declared"] += 1
            self.meant[why] += 1
            return
        self.kinds[outcome.kind] += 1
        if outcome.kind == "theirs":
            self.theirs[operators] += 1
            if self.theirs[operators] > 1 and not self.options.all:
                return
        else:
            self.buckets[outcome.bucket] += 1
        self._show(number, outcome, original, small)

    def _same_fault(self, worker: Worker, fuzzed: Fuzzed, outcome: Outcome) -> bool:
        try:
            text = fuzzed.model.SerializeToString()
        except ValueError:
            return False
        found = worker.result((text, fuzzed.inputs))
        return (
            found.kind in ("fault", "theirs")
            and _stage(found.stage) == _stage(outcome.stage)
            and _gist(found.message) == _gist(outcome.message)
        )

    def _show(self, number: int, outcome: Outcome, original: Fuzzed, small: Fuzzed) -> None:
        folder = Path(self.options.keep) / f"{self.options.seed}_{number}"
        for name, each in (("", small), ("original", original)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            onnx.save(each.model, folder / name / "model.onnx")
            np.savez(folder / name / "inputs.npz", **each.inputs)  # type: ignore[arg-type]
        recipe = printer.to_text(small.model).partition("\n>\n")[2]
        print(f"\nmodel {number}: {outcome.kind}: {outcome.stage}: {outcome.message[:400]}")
        print(
            f"saved in {folder}; {len(small.model.graph.node)} nodes are left, in version "
            f"{small.model.opset_import[0].version} of the operators:\n{recipe}",
            flush=True,
        )

    def line(self) -> str:
        """The counts, in short."""
        return ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))


def _stage(stage: str) -> str:
    return stage.rstrip("0123")


def _gist(message: str) -> str:
    """What stays of a message when a model gets smaller."""
    found = re.match(r"\w+!?(?=: )", message)
    if found:
        return found.group()
    return re.sub(r"[^a-z ]+", "", re.sub(r"\([^)]*\)|\w*\d+\w*", "", message))[:30]


def run(options: Namespace) -> Tally:
    """Examine all models."""
    tally = Tally(options)
    workers = [Worker(options.levels) for _ in range(options.jobs)]
    numbers = deque(range(options.first, options.first + options.models))
    end = time.monotonic() + 60 * options.minutes
    start, done, shown = time.monotonic(), 0, 0.0
    try:
        while numbers or any(w.task for w in workers):
            for worker in workers:
                if worker.task is None and numbers and time.monotonic() < end:
                    worker.give((options.seed, numbers.popleft(), options.open))
            busy = [w for w in workers if w.task is not None]
            if not busy:
                break
            wait([w.channel for w in busy], 1.0)
            for worker in busy:
                number = worker.task[1]
                found = worker.poll()
                if found is not None:
                    done += 1
                    tally.add(worker, number, *found)
            if time.monotonic() - shown > options.every:
                shown = time.monotonic()
                rate = done / (shown - start) if shown > start else 0.0
                print(f"{done} models ({rate:.1f}/s): {tally.line()}", file=sys.stderr, flush=True)
    finally:
        for worker in workers:
            worker.stop()
    return tally


def main() -> int:
    """The command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=100, help="how many models")
    parser.add_argument("--seed", type=int, default=0, help="what the models follow from")
    parser.add_argument("--first", type=int, default=0, help="the number of the first model")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--minutes", type=float, default=1e9, help="give no more models after that")
    parser.add_argument("--keep", default="fuzzed", help="the folder of models with faults")
    parser.add_argument("--levels", type=int, nargs="*", default=[0, 1, 2, 3])
    parser.add_argument("--open", type=float, default=0.3, help="how many leave sizes open")
    parser.add_argument("--each", type=int, default=1, help="show so many faults of each kind")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between progress lines")
    parser.add_argument("--all", action="store_true", help="show what onnxruntime alone differs in")
    tally = run(parser.parse_args())
    print(f"\n{sum(tally.kinds.values())} models: {tally.line()}")
    for title, counts in (
        ("faults", tally.buckets),
        ("meant", tally.meant),
        ("onnxruntime alone differs", tally.theirs),
        ("refused by onnxruntime", tally.refused),
    ):
        if counts:
            print(f"{title}:")
            for text, count in counts.most_common(60):
                print(f"{count:6} {text}")
    return 1 if tally.kinds["fault"] else 0


if __name__ == "__main__":
    sys.exit(main())
