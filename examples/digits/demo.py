"""Recognises handwritten digits with a compiled ONNX model, then times a ResNet-18.

Usage: ``python examples/digits/demo.py`` (or ``make demo``)

Needs relay, onnx, numpy and rich. ONNX Runtime is timed too when it is installed.
"""

import os
import statistics
import time
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from resnet18 import INPUT, INPUT_SHAPE, resnet18
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.progress import track
from rich.table import Table

import relay

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

FOLDER = Path(__file__).resolve().parent
SHADES = " ░▒▓█"
TURNS = 10
CALLS = 5
"""ResNet-18 runs this often in each of its turns; the first call of a turn is not timed."""

NEXT = """\
Compile your own model:

    mod, params = relay.frontend.from_onnx(onnx.load("model.onnx"))
    library = relay.build(mod, target="llvm", params=params)
    module = library["default"](relay.cpu(0))
    module.set_input("image", image)
    module.run()
    result = module.get_output(0).numpy()

make bench   nine models beside other runtimes
make test    the tests
make docs    the documentation, into site/
examples/digits/train.py   how the digits model was trained and exported"""


class Runnable(Protocol):
    """One input in, one output out."""

    def __call__(self, value: np.ndarray) -> np.ndarray:
        """Runs the model once."""


def compile_model(model: onnx.ModelProto, input_name: str) -> tuple[Runnable, float]:
    """From ONNX to native code for the machine this runs on, and the seconds that took."""
    start = time.perf_counter()
    mod, params = relay.frontend.from_onnx(model)
    library = relay.build(mod, target="llvm", params=params)
    module = library["default"](relay.cpu(0))
    seconds = time.perf_counter() - start

    def run(value: np.ndarray) -> np.ndarray:
        module.set_input(input_name, value)
        module.run()
        return module.get_output(0).numpy()

    return run, seconds


def picture(image: np.ndarray, digit: int) -> Panel:
    """One image ``[1, 8, 8]`` in shades, two characters a pixel, under the digit recognised."""
    scaled = (image[0] - image.min()) / (image.max() - image.min())
    levels = np.rint(scaled * (len(SHADES) - 1)).astype(int)
    text = "\n".join("".join(SHADES[level] * 2 for level in row) for row in levels)
    return Panel.fit(text, title=str(digit), padding=0)


def recognise_digits(console: Console) -> None:
    """Classifies every held-out image, one at a time."""
    with np.load(FOLDER / "heldout.npz") as archive:
        images, labels = archive["images"], archive["labels"]
    with console.status("compiling digits.onnx"):
        classify, compile_seconds = compile_model(onnx.load(FOLDER / "digits.onnx"), "image")
    answers, seconds = [], []
    for image in track(images, "recognising digits", console=console, transient=True):
        start = time.perf_counter()
        logits = classify(image[np.newaxis])
        seconds.append(time.perf_counter() - start)
        answers.append(int(logits.argmax()))
    right = int(np.sum(answers == labels))
    console.print(Columns([picture(images[i], answers[i]) for i in range(4)]))
    console.print(
        f"[bold green]{right / len(labels):.2%}[/] of {len(labels)} held-out images right; "
        f"compiled in {compile_seconds:.2f} s, "
        f"[bold]{statistics.median(seconds) * 1e6:.0f} µs[/] an image (median)\n"
    )


def onnxruntime_session(model: onnx.ModelProto) -> Runnable:
    """The same model under ONNX Runtime, on as many threads as there are cores for us."""
    options = onnxruntime.SessionOptions()
    affinity = getattr(os, "sched_getaffinity", None)
    options.intra_op_num_threads = len(affinity(0)) if affinity else os.cpu_count() or 1
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    return lambda value: session.run(None, {INPUT: value})[0]


def take_turns(
    engines: dict[str, Runnable], value: np.ndarray, console: Console
) -> dict[str, list[float]]:
    """Seconds of every call, the engines alternating, so that neither gets the quieter machine."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in track(range(TURNS), "timing ResNet-18", console=console, transient=True):
        for name, run in engines.items():
            run(value)
            for _ in range(CALLS):
                start = time.perf_counter()
                run(value)
                times[name].append(time.perf_counter() - start)
    return times


def time_resnet18(console: Console) -> None:
    """Compiles a ResNet-18 of random weights and compares it with ONNX Runtime."""
    with console.status("building ResNet-18"):
        model = resnet18()
    with console.status("compiling ResNet-18"):
        compiled, compile_seconds = compile_model(model, INPUT)
    engines: dict[str, Runnable] = {"relay": compiled}
    if onnxruntime is not None:
        engines["ONNX Runtime"] = onnxruntime_session(model)
    value = np.random.default_rng(0).standard_normal(INPUT_SHAPE, dtype=np.float32)
    times = take_turns(engines, value, console)
    table = Table(title="ResNet-18, one image of 224x224, ms", title_justify="left")
    table.add_column("")
    for heading in ("fastest", "median"):
        table.add_column(heading, justify="right")
    for name, seconds in times.items():
        best, middle = min(seconds) * 1e3, statistics.median(seconds) * 1e3
        table.add_row(name, f"{best:.1f}", f"[bold]{middle:.1f}[/]")
    console.print(table)
    remark = f"compiled in {compile_seconds:.2f} s"
    if onnxruntime is None:
        remark += "; pip install onnxruntime to see it beside relay"
    else:
        expected = engines["ONNX Runtime"](value)
        error = np.abs(compiled(value) - expected).max() / np.abs(expected).max()
        remark += f"; the outputs differ by at most {error:.0e} of the largest"
    console.print(remark + "\n")


def main() -> None:
    console = Console(highlight=False)
    recognise_digits(console)
    time_resnet18(console)
    console.print(Panel(NEXT, title="Where to go next", title_align="left"), markup=False)


if __name__ == "__main__":
    main()
