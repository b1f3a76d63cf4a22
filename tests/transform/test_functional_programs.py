"""The functional passes on programs made by Hypothesis: what they compute stays the same."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import relay
from relay.executor.interpreter import ConstructorValue, RefValue
from relay.infer import infer_types
from relay.ir.module import IRModule
from relay.ir.well_formed import check_well_formed
from relay.support.errors import UnsupportedError
from relay.transform import (
    DeadCodeElimination,
    Defunctionalization,
    EtaExpand,
    Inline,
    LambdaLift,
    PartialEvaluate,
    RemoveUnusedFunctions,
    ToANormalForm,
    ToBasicBlockNormalForm,
    ToGraphNormalForm,
    to_cps,
    un_cps,
)
from relay_programs import programs

FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def plain(value: object) -> object:
    """A result as something that compares; references by what they hold."""
    if isinstance(value, tuple):
        return tuple(plain(v) for v in value)
    if isinstance(value, ConstructorValue):
        return value.constructor.name_hint, tuple(plain(f) for f in value.fields)
    if isinstance(value, RefValue):
        return plain(value.value)
    return np.asarray(value.numpy()).tolist()


def small(module: IRModule) -> IRModule:
    """The part of a program that runs, typed."""
    return infer_types(RemoveUnusedFunctions()(module))


def result(module: IRModule, argument: int) -> object:
    run = relay.create_executor("debug", mod=module).evaluate()
    return plain(run(np.asarray(argument, "int32")))


def assert_same(before: IRModule, after: IRModule) -> None:
    """Both are well formed and typed, and compute the same."""
    check_well_formed(after)
    typed = infer_types(after)
    assert typed["main"].checked_type == before["main"].checked_type
    for argument in (0, 2):
        assert result(typed, argument) == result(before, argument)


PASSES = [
    DeadCodeElimination(),
    DeadCodeElimination(inline_once=True),
    EtaExpand(expand_constructor=True, expand_global_var=True),
    Inline(),
    LambdaLift(),
    PartialEvaluate(),
    PartialEvaluate(fuel=5),
    ToANormalForm(),
    ToBasicBlockNormalForm(),
    ToGraphNormalForm(),
]


@pytest.mark.parametrize("step", PASSES, ids=str)
@FEW
@given(programs())
def test_passes(step: relay.transform.Pass, module: IRModule) -> None:
    before = small(module)
    assert_same(before, step(before))


def marked_inline(module: IRModule) -> IRModule:
    functions = {
        g: f if g.name_hint == "main" else f.with_attr("Inline", 1)
        for g, f in module.functions.items()
    }
    return module.with_functions(functions)


@FEW
@given(programs())
def test_inline_everything(module: IRModule) -> None:
    before = infer_types(marked_inline(small(module)))
    assert_same(before, Inline()(before))


@FEW
@given(programs())
def test_there_and_back_through_continuations(module: IRModule) -> None:
    before = small(module)
    after = IRModule(before.functions, before.type_definitions)
    after["main"] = un_cps(to_cps(before["main"], after))
    assert_same(before, after)


@FEW
@given(programs())
def test_defunctionalization(module: IRModule) -> None:
    before = small(module)
    after = IRModule(before.functions, before.type_definitions)
    try:
        after["main"] = Defunctionalization(before["main"], after)
    except UnsupportedError:
        # A polymorphic function that is, say, the field of a tuple.
        reject()
    assert_same(before, after)
    assert_first_order(infer_types(RemoveUnusedFunctions()(after)))


def assert_first_order(module: IRModule) -> None:
    for function in module.functions.values():
        for node in relay.ir.visit.post_order(function.body):
            assert not isinstance(node, relay.Function)
            if isinstance(node, relay.Call):
                assert isinstance(node.op, relay.Op | relay.GlobalVar | relay.Constructor)


@FEW
@given(programs(), st.integers(0, 9))
def test_sequences_of_passes(module: IRModule, first: int) -> None:
    before = after = small(module)
    for step in PASSES[first:] + PASSES[:first]:
        after = infer_types(step(after))
    assert_same(before, after)
