"""How compile time grows with the size of a graph.

Usage: ``python -m benchmarks.scale [--sizes 1000,2000,5000,10000] [--graphs chain,wide]``

Prints seconds of CPU time for each stage, and the exponent `e` of the power law ``size ** e`` that
fits each graph best: 1 is linear. The cache of compiled kernels is off.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

import relay
from relay.executor.build import lower_module
from relay.frontend.onnx import from_onnx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from models.builders import LARGE

STAGES = ("import", "type", "optimise, lower", "machine code", "total")


def measure(name: str, size: int) -> dict[str, float]:
    """Seconds of CPU time that each stage takes for one graph; ``machine code`` is the rest."""
    model, _ = LARGE[name](size)
    marks = [time.process_time()]
    module, params = from_onnx(model)
    marks.append(time.process_time())
    relay.transform.InferType()(module)
    marks.append(time.process_time())
    lower_module(module, "llvm", params)
    marks.append(time.process_time())
    relay.build(module, "llvm", params)
    marks.append(time.process_time())
    importing, typing, lowering, building = np.diff(marks)
    seconds = (importing, typing, lowering, max(building - lowering, 0.0), importing + building)
    return dict(zip(STAGES, map(float, seconds), strict=True))


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """The slope of the times over the sizes, both on logarithmic scales."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(seconds, 1e-6)), 1)[0])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="How compile time grows with the graph.")
    parser.add_argument("--sizes", default="1000,2000,5000,10000", help="comma separated")
    parser.add_argument("--graphs", default=",".join(LARGE), help="comma separated")
    options = parser.parse_args()
    os.environ["RELAY_CACHE"] = "off"
    sizes = [int(text) for text in options.sizes.split(",")]
    names = options.graphs.split(",")
    measure(names[0], 10)  # loads what is loaded on first use
    print(f"{'graph':14}{'operators':>10}" + "".join(f"{stage:>17}" for stage in STAGES))
    for name in names:
        rows = []
        for size in sizes:
            rows.append(measure(name, size))
            cells = "".join(f"{rows[-1][stage]:17.2f}" for stage in STAGES)
            print(f"{name:14}{size:10}{cells}", flush=True)
        fits = (exponent(sizes, [row[stage] for row in rows]) for stage in STAGES)
        print(f"{name:14}{'exponent':>10}" + "".join(f"{fit:17.2f}" for fit in fits), flush=True)


if __name__ == "__main__":
    main()
