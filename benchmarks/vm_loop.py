"""How long a step of a loop takes on the virtual machine.

Usage: ``python -m benchmarks.vm_loop [--steps 1000] [--size 16]``

A step is a comparison, a branch, an addition of vectors, an increment and a tail call: two native
calls and five instructions. Prints microseconds a step, the best and the median of some runs.
"""

import argparse
import statistics

import numpy as np

import relay

LOOP = """#[version = "0.0.5"]
def @main(%n: int32, %x: Tensor[(SIZE), float32]) -> Tensor[(SIZE), float32] {
  let %loop = fn(%i: int32, %a: Tensor[(SIZE), float32]) -> Tensor[(SIZE), float32] {
    if (less(%i, %n)) { %loop(add(%i, 1), add(%a, %x)) } else { %a } };
  %loop(0, %x) }
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--size", type=int, default=16)
    options = parser.parse_args()
    module = relay.parse(LOOP.replace("SIZE", str(options.size)))
    machine = relay.vm.VirtualMachine(relay.vm.compile(module))
    x = np.ones(options.size, np.float32)
    machine.run(options.steps, x)
    seconds = machine.benchmark(options.steps, x, repeat=20, number=1)
    best, middle = min(seconds), statistics.median(seconds)
    per_step = 1e6 / options.steps
    print(f"best {best * per_step:.2f} us a step, median {middle * per_step:.2f} us")


if __name__ == "__main__":
    main()
