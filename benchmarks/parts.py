"""The parts of the benchmark: which models, sizes, threads and engines each of them measures."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from benchmarks.catalogue import BENCHMARKED, MODELS, Model
from benchmarks.engines import BFLOAT16, OURSELVES

BATCH = 8
BATCHES = (1, 2, 4, 8, 16, 32, 64)
TOKENS = (16, 32, 64, 128, 256, 512, 1024)
BATCH_SCALED = ("resnet18", "mobilenet_v2")
TOKENS_SCALED = ("bert",)
NARROWED = ("resnet50", "bert")


@dataclass(frozen=True)
class Series:
    """One curve of time against work. `unit` is what the time is per, such as an image."""

    title: str
    axis: str
    unit: str


@dataclass(frozen=True)
class Case:
    """One row: a model, and with a series, where on it the row lies and its work in units."""

    model: Model
    threads: int
    series: Series | None = None
    position: int = 0
    work: int = 1


@dataclass(frozen=True)
class Part:
    """A table of the report. ``engines[0]`` is compared with those in `peers`.

    `probed`: load, memory and first run are measured too, each in a process of its own.
    """

    name: str
    title: str
    engines: tuple[str, ...]
    peers: tuple[str, ...]
    threads: int
    batch: int = 1
    probed: bool = True
    cases: tuple[Case, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Choice:
    """What the command line asks for; `models` are names of :data:`BENCHMARKED`."""

    models: tuple[str, ...]
    engines: tuple[str, ...]
    threads: int

    def ranked(self) -> tuple[str, ...]:
        """The engines, ourselves first."""
        return tuple(sorted(self.engines, key=lambda name: name != OURSELVES))

    def peers(self) -> tuple[str, ...]:
        """The engines that are not ourselves."""
        return tuple(name for name in self.engines if name != OURSELVES)

    def of(self, names: Iterable[str]) -> list[Model]:
        """Those models among `names` that were asked for."""
        return [MODELS[name] for name in names if name in self.models]

    def timed(self) -> list[Model]:
        """All models that were asked for."""
        return self.of(model.name for model in BENCHMARKED)


def _table(choice: Choice, name: str, title: str, threads: int, batch: int) -> Part:
    size = batch if batch > 1 else 0
    models = [replace(model, batch=size) for model in choice.timed()]
    cases = tuple(Case(model, threads) for model in models)
    return Part(name, title, choice.ranked(), choice.peers(), threads, batch, True, cases)


def main_part(choice: Choice) -> Part:
    """Every model at batch 1 with all threads."""
    return _table(choice, "main", "Batch 1", choice.threads, 1)


def one_thread_part(choice: Choice) -> Part:
    """Every model at batch 1 with one thread."""
    return _table(choice, "one-thread", "One thread", 1, 1)


def batch_part(choice: Choice) -> Part:
    """Every model at a larger batch."""
    return _table(choice, "batch", f"Batch {BATCH}", choice.threads, BATCH)


def scaling_part(choice: Choice) -> Part:
    """Time against the batch, the tokens and the threads."""
    cases: list[Case] = []
    for model in choice.of(BATCH_SCALED):
        series = Series(model.title, "images in a batch", "image")
        for batch in BATCHES:
            sized = replace(model, batch=batch if batch > 1 else 0)
            cases.append(Case(sized, choice.threads, series, batch, batch))
    for model in choice.of(TOKENS_SCALED):
        series = Series("BERT-base", "tokens in a sequence", "token")
        for tokens in TOKENS:
            sized = replace(model, tokens=tokens if tokens != 128 else 0)
            cases.append(Case(sized, choice.threads, series, tokens, tokens))
    powers = {2**exponent for exponent in range(choice.threads.bit_length())}
    for model in choice.of((*BATCH_SCALED, *TOKENS_SCALED)):
        series = Series(model.title, "threads", "inference")
        cases += [
            Case(model, threads, series, threads)
            for threads in sorted({*powers, choice.threads})
            if threads <= choice.threads
        ]
    return Part(
        "scaling",
        "Time against work and threads",
        choice.ranked(),
        choice.peers(),
        choice.threads,
        probed=False,
        cases=tuple(cases),
    )


def bf16_part(choice: Choice) -> Part:
    """bfloat16 beside float32, for those engines that can compute in it."""
    able = [name for name in choice.ranked() if name in (OURSELVES, "openvino")]
    return Part(
        "bf16",
        "bfloat16",
        tuple(name + BFLOAT16 for name in able) + tuple(able),
        tuple(name + BFLOAT16 for name in able if name != OURSELVES),
        choice.threads,
        cases=tuple(Case(model, choice.threads) for model in choice.of(NARROWED)),
    )


PARTS: dict[str, Callable[[Choice], Part]] = {
    "main": main_part,
    "one-thread": one_thread_part,
    "batch": batch_part,
    "scaling": scaling_part,
    "bf16": bf16_part,
}
