"""What the steps of a text test do.

In a `.relay` file a step is `parse` (nothing beyond parsing), `infer` (type inference) or a pass of
`relay.transform` by its name in kebab case, with the constructor's arguments as options. In a
`.loop` file a step is one of `LOOP_STEPS`; a program to be scheduled is followed by the line
``// ---- steps`` and a trace. What the schedule gives must compute the same as the program.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import relay
import relay.loop
import relay.schedule
import relay.transform
from relay.ir.module import IRModule
from relay.ir.types import TensorType, TupleType, Type
from relay.loop.ir import Func
from relay.support.errors import RelayError

Option = int | float | bool | str | list[object] | tuple[object, ...] | dict[object, object] | None
RelayStep = Callable[[IRModule], IRModule]

WORD_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")
SEED = 0
RTOL, ATOL = 1e-4, 1e-5


@dataclass(frozen=True)
class Step:
    """One step of a text test: its name and its options."""

    name: str
    options: Mapping[str, Option] = field(default_factory=dict)


class MismatchError(Exception):
    """A program does not survive printing, or computes something else than before."""


def kebab(name: str) -> str:
    """`EliminateCommonSubexpr` as `eliminate-common-subexpr`, `Conv2D` as `conv2d`."""
    return WORD_BOUNDARY.sub("-", name).lower()


def unchanged(module: IRModule) -> IRModule:
    return module


def passes() -> dict[str, Callable[..., RelayStep]]:
    """Every pass that `relay.transform` offers, by its name in kebab case."""
    return {
        kebab(name): value
        for name, value in vars(relay.transform).items()
        if isinstance(value, type) and issubclass(value, relay.transform.Pass)
    }


def relay_step(step: Step) -> RelayStep:
    """The function from module to module that a step of a `.relay` file names."""
    if step.name == "parse":
        return unchanged
    known = passes()
    name = "infer-type" if step.name == "infer" else step.name
    if name not in known:
        raise KeyError(f"no step `{name}`; there are parse, infer, {', '.join(sorted(known))}")
    return known[name](**step.options)


STEPS_MARKER = "// ---- steps"
"""In a `.loop` file, what stands before the trace that a `schedule` step takes."""


def loop_parse(function: Func, trace: str) -> Func:
    return function


def schedule(function: Func, trace: str) -> Func:
    """`function` after the schedule steps of `trace`, one a line."""
    return relay.schedule.replay(function, relay.schedule.parse(trace)).func


def finish(function: Func, trace: str) -> Func:
    """`function` after the schedule steps of `trace`, without loops of one iteration."""
    return relay.schedule.replay(function, relay.schedule.parse(trace)).finish()


LOOP_STEPS: dict[str, Callable[..., Func]] = {
    "loop-parse": loop_parse,
    "schedule": schedule,
    "finish": finish,
}
"""From loop function and trace (and options) to loop function."""


def parse_relay(path: Path, program: str) -> IRModule:
    return relay.parse(program, path.name)


def run_relay(path: Path, program: str, steps: Sequence[Step]) -> IRModule:
    """The module that the steps make of the program of a `.relay` file."""
    module = parse_relay(path, program)
    for step in steps:
        module = relay_step(step)(module)
    return module


def run_loop(path: Path, program: str, steps: Sequence[Step]) -> Func:
    """The loop function that the steps make of the program of a `.loop` file."""
    program, _, trace = program.partition(STEPS_MARKER)
    function = relay.loop.parse(program, path.name)
    for step in steps:
        function = LOOP_STEPS[step.name](function, trace, **step.options)
    return function


def printed(path: Path, program: str, steps: Sequence[Step]) -> str:
    """What the steps make of the program, as text."""
    if path.suffix == ".loop":
        return str(run_loop(path, program, steps))
    return run_relay(path, program, steps).astext(show_meta_data=False)


def error_of(path: Path, program: str, steps: Sequence[Step]) -> RelayError | None:
    """The error that the steps end in, if they do."""
    try:
        printed(path, program, steps)
    except RelayError as error:
        return error
    return None


def check_round_trip(path: Path, program: str, steps: Sequence[Step]) -> None:
    """The program and what the steps make of it both print as text that parses back."""
    if path.suffix == ".loop":
        for function in (run_loop(path, program, ()), run_loop(path, program, steps)):
            text = str(function)
            if str(relay.loop.parse(text, "printed")) != text:
                raise MismatchError(f"prints differently once it has been parsed back:\n{text}")
        check_loop_execution(path, program, steps)
        return
    for module in (run_relay(path, program, ()), run_relay(path, program, steps)):
        text = module.astext(show_meta_data=True)
        again = relay.parse(text, "printed")
        if not relay.ir.structural_equal(again, module):
            raise MismatchError(
                f"parses back to something else:\n{text}\nwhich is:\n{again.astext()}"
            )


def check_loop_execution(path: Path, program: str, steps: Sequence[Step]) -> None:
    """Before and after the steps a loop program computes the same of the same random inputs."""
    if all(step.name == "loop-parse" for step in steps):
        return
    before, after = run_loop(path, program, ()), run_loop(path, program, steps)
    relay.loop.verify(after)
    rng = np.random.default_rng(SEED)
    taken = before.params[: len(before.params) - before.outputs]
    inputs = [rng.standard_normal(b.shape).astype(b.dtype) for b in taken]
    wanted = relay.loop.run(before, *inputs)
    given = [a.reshape(b.shape) for a, b in zip(inputs, after.params, strict=False)]
    for old, new in zip(wanted, relay.loop.run(after, *given), strict=True):
        np.testing.assert_allclose(new.reshape(old.shape), old, rtol=RTOL, atol=ATOL)


def random_input(type_: Type, rng: np.random.Generator) -> object:
    """A value of `type_`; a dimension that is not known is 3."""
    if isinstance(type_, TupleType):
        return tuple(random_input(field_type, rng) for field_type in type_.fields)
    if not isinstance(type_, TensorType):
        raise MismatchError(
            f"no random value of type {type_}: say `// no-execution: ...` in the file"
        )
    shape = tuple(dim if isinstance(dim, int) else 3 for dim in type_.shape)
    if type_.dtype == "bool":
        return rng.random(shape) < 0.5
    if type_.dtype.startswith(("int", "uint")):
        # Small enough for an index of most things, and for no sum of products to overflow.
        return np.asarray(rng.integers(0, 3, size=shape)).astype(type_.dtype)
    return np.asarray(rng.standard_normal(shape)).astype(type_.dtype)


def arrays(value: object) -> Iterator[np.ndarray]:
    """The tensors of a result, in order."""
    if isinstance(value, tuple | list):
        for item in value:
            yield from arrays(item)
    else:
        yield value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def evaluate(module: IRModule, inputs: Sequence[object]) -> list[np.ndarray]:
    """The results of `@main` on the reference interpreter."""
    run = relay.create_executor("debug", mod=module).evaluate()
    return list(arrays(run(*inputs)))


def check_execution(path: Path, program: str, steps: Sequence[Step]) -> None:
    """Before and after the steps the program computes the same of the same random inputs."""
    before, after = run_relay(path, program, ()), run_relay(path, program, steps)
    rng = np.random.default_rng(SEED)
    inputs = [random_input(parameter.checked_type, rng) for parameter in before["main"].params]
    wanted, found = evaluate(before, inputs), evaluate(after, inputs)
    if len(wanted) != len(found):
        raise MismatchError(f"{len(wanted)} results before the steps, {len(found)} after")
    for index, (old, new) in enumerate(zip(wanted, found, strict=True)):
        message = f"result {index} changed"
        try:
            np.testing.assert_allclose(new, old, rtol=RTOL, atol=ATOL, err_msg=message)
        except AssertionError as error:
            raise MismatchError(str(error)) from None
        if new.dtype != old.dtype:
            raise MismatchError(f"{message} its dtype: {old.dtype} before, {new.dtype} after")
