"""Every pass, alone and in random sequences, keeps the type and the value of programs."""

import contextlib
import functools
import io
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

import relay
from pass_helpers import random_arguments
from properties.agreement import Value, assert_close, examples, run, small
from properties.pass_list import DEFAULTS, EXPORTED, LEFT_OUT, PASSES, needs_arguments
from relay import testing
from relay.executor.build import bind_params
from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.ir.well_formed import check_well_formed
from relay.transform import Pass, PassContext
from relay_programs import tensor_programs

T = np.random.default_rng(1).uniform(-2, 2, (2, 3)).astype(np.float32)


def test_every_exported_pass_is_tried_or_left_out_for_a_reason() -> None:
    assert set(DEFAULTS) | set(LEFT_OUT) == set(EXPORTED)
    assert not any(needs_arguments(EXPORTED[name]) for name in DEFAULTS)


def applied(step: Pass, module: IRModule) -> IRModule:
    """`module` after `step`: well formed, and `@main` of the same type."""
    with PassContext(opt_level=3), contextlib.redirect_stderr(io.StringIO()):
        after = step(module)
    check_well_formed(after)
    typed = relay.infer_types(after)
    assert typed["main"].checked_type == module["main"].checked_type
    return typed


def check(steps: Sequence[Pass], module: IRModule, arguments: Sequence[object]) -> None:
    note(module.astext())
    expected = run("debug", module, arguments)
    after = module
    for step in steps:
        after = applied(step, after)
    note(after.astext())
    assert_close(run("debug", after, arguments), expected)


@pytest.mark.parametrize("name", PASSES)
@examples(12, 60)
@given(module=tensor_programs(), x=st.integers(-2, 3))
def test_a_pass_alone(name: str, module: IRModule, x: int) -> None:
    check([PASSES[name]], small(module), [np.int32(x), T])


@examples(15, 200)
@given(
    tensor_programs(),
    st.integers(-2, 3),
    st.lists(st.sampled_from(sorted(PASSES)), min_size=2, max_size=6),
)
def test_sequences(module: IRModule, x: int, names: list[str]) -> None:
    check([PASSES[name] for name in names], small(module), [np.int32(x), T])


WORKLOADS: dict[str, Callable[[], tuple[IRModule, dict[str, relay.NDArray]]]] = {
    "dcgan": lambda: testing.dcgan.get_workload(1, ngf=2, random_len=4),
    "dqn": lambda: testing.dqn.get_workload(1, 4, (4, 36, 36)),
    "lstm": lambda: testing.lstm.get_workload(2, 4),
    "mlp": lambda: testing.mlp.get_workload(2, 10, (1, 6, 6)),
    "mobilenet": lambda: testing.mobilenet.get_workload(1, 4, (3, 16, 16)),
    "resnet": lambda: testing.resnet.get_workload(1, 4, 8, (3, 8, 8)),
}


@functools.cache
def workload(name: str) -> tuple[IRModule, tuple[relay.NDArray, ...], Value]:
    """A network whose weights are constants, arguments for it, and its value."""
    module, params = WORKLOADS[name]()
    main = module["main"]
    body = main.body
    if isinstance(body, relay.Call) and body.op == relay.op.get("nn.softmax"):
        # Softmax makes all results alike.
        main = Function(main.params, body.args[0])
    bound = relay.infer_types(bind_params(IRModule.from_expr(main), params))
    arguments = tuple(random_arguments(bound["main"]))
    return bound, arguments, run("debug", bound, arguments)


@pytest.mark.parametrize("network", WORKLOADS)
@pytest.mark.parametrize("name", PASSES)
def test_a_pass_on_a_network(name: str, network: str) -> None:
    module, arguments, expected = workload(network)
    assert_close(run("debug", applied(PASSES[name], module), arguments), expected)


@examples(10, 60)
@given(
    st.sampled_from(sorted(WORKLOADS)),
    st.lists(st.sampled_from(sorted(PASSES)), min_size=2, max_size=6),
)
def test_sequences_on_networks(network: str, names: list[str]) -> None:
    module, arguments, expected = workload(network)
    for name in names:
        module = applied(PASSES[name], module)
    assert_close(run("debug", module, arguments), expected)
