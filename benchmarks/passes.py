"""How the time of the printer, the parser, type inference and each pass grows with a program.

Usage: ``python -m benchmarks.passes [--sizes 1000,10000,100000] [--shapes calls,lets] [--only X]``

Prints seconds of CPU time, the best of `--repeat` runs, for chains of calls and of nested lets, and
the exponent `e` of the power law ``size ** e`` that fits best: 1 is linear. What takes longer than
`--limit` seconds is not tried with larger programs.
"""

import argparse
import contextlib
import io
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import relay
from benchmarks.scale import exponent
from relay.ir.expr import Call, Function, Let, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.transform import PassContext

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from properties.pass_list import PASSES

TYPE = TensorType((2, 3), "float32")
OPERATORS = ("nn.relu", "tanh", "negative", "abs")


def calls(size: int) -> IRModule:
    """A chain of `size` calls, each the argument of the next."""
    x = Var("x", TYPE)
    body: relay.Expr = x
    for k in range(size):
        body = Call(relay.op.get(OPERATORS[k % len(OPERATORS)]), [body])
    return IRModule.from_expr(Function([x], body))


def lets(size: int) -> IRModule:
    """`size` nested lets, each of a call with the variable before."""
    x = Var("x", TYPE)
    bound: list[tuple[Var, relay.Expr]] = []
    last = x
    for k in range(size):
        value = Call(relay.op.get(OPERATORS[k % len(OPERATORS)]), [last])
        last = Var(f"v{k}")
        bound.append((last, value))
    body: relay.Expr = last
    for variable, value in reversed(bound):
        body = Let(variable, value, body)
    return IRModule.from_expr(Function([x], body))


SHAPES: dict[str, Callable[[int], IRModule]] = {"calls": calls, "lets": lets}


def measure(step: str, program: Callable[[int], IRModule], size: int, repeat: int) -> float:
    """Seconds that `step` takes for a program, the best of `repeat`; all are made afresh."""
    best = math.inf
    for _ in range(repeat):
        untyped = program(size)
        work: Callable[[], object]
        if step == "type":
            work = lambda module=untyped: relay.infer_types(module)  # noqa: E731
        else:
            module = relay.infer_types(untyped)
            work = work_on(step, module)
        start = time.process_time()
        with PassContext(opt_level=3), contextlib.redirect_stderr(io.StringIO()):
            work()
        best = min(best, time.process_time() - start)
    return best


def work_on(step: str, module: IRModule) -> Callable[[], object]:
    """What to measure, with everything made that it needs."""
    if step == "print":
        return module.astext
    if step == "parse":
        text = module.astext()
        return lambda: relay.parse(text)
    return lambda: PASSES[step](module)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="comma separated")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="comma separated")
    parser.add_argument("--only", default="", help="part of the names of passes")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    sizes = [int(text) for text in options.sizes.split(",")]
    steps = [s for s in ("print", "parse", "type", *PASSES) if options.only in s]
    for shape in options.shapes.split(","):
        print(f"{shape:52}" + "".join(f"{size:>10}" for size in sizes) + f"{'exponent':>10}")
        for step in steps:
            measure(step, SHAPES[shape], 10, 1)  # loads what is loaded on first use
            seconds: list[float] = []
            for size in sizes:
                if not seconds or seconds[-1] < options.limit:
                    seconds.append(measure(step, SHAPES[shape], size, options.repeat))
            cells = "".join(f"{s:10.3f}" for s in seconds) + " " * 10 * (len(sizes) - len(seconds))
            fit = f"{exponent(sizes[: len(seconds)], seconds):10.2f}" if len(seconds) > 1 else ""
            print(f"{step:52}{cells}{fit}", flush=True)


if __name__ == "__main__":
    main()
