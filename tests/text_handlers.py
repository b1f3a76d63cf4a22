"""What the steps of a text test do.

In a `.relay` file a step is `parse` (nothing beyond parsing), `infer` (type inference) or a pass of
`relay.transform` by its name in kebab case, with the constructor's arguments as options. In a
`.loop` file a step is one of `LOOP_STEPS`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from relay.ir.module import IRModule

import relay
import relay.loop
import relay.transform
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


def loop_parse(function: Func) -> Func:
    return function


LOOP_STEPS: dict[str, Callable[..., Func]] = {"loop-parse": loop_parse}
"""From loop function (and options) to loop function."""


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
    function = relay.loop.parse(program, path.name)
    for step in steps:
        function = LOOP_STEPS[step.name](function, **step.options)
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
        return
    for module in (run_relay(path, program, ()), run_relay(path, program, steps)):
        text = module.astext(show_meta_data=True)
        again = relay.parse(text, "printed")
        if not relay.ir.structural_equal(again, module):
            raise MismatchError(
                f"parses back to something else:\n{text}\nwhich is:\n{again.astext()}"
            )


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
