"""Generated programs print, parse, keep their type, and mean the same on every executor.

``HYPOTHESIS_PROFILE=long pytest tests/properties`` tries 2000.
"""

import numpy as np
from hypothesis import given, note
from hypothesis import strategies as st

import relay
from executor.random_graphs import programs as straight_programs
from executor.random_graphs import shape_of
from properties.agreement import assert_close, examples, run, small
from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.ir.well_formed import check_well_formed
from relay_programs import programs, tensor_programs

T = np.random.default_rng(1).uniform(-2, 2, (2, 3)).astype(np.float32)


def check_text(module: IRModule) -> IRModule:
    """The program read from its text: the same, with the same text and type."""
    check_well_formed(module)
    assert relay.infer_types(module) is module
    text = module.astext()
    again = relay.parse(text)
    relay.assert_structural_equal(module, again)
    assert relay.structural_hash(module) == relay.structural_hash(again)
    assert again.astext() == text
    assert again["main"].checked_type == module["main"].checked_type
    return again


def check_executors(module: IRModule, *arguments: object) -> None:
    note(module.astext())
    again = check_text(module)
    expected = run("debug", module, arguments)
    assert_close(run("debug", again, arguments), expected)
    assert_close(run("vm", module, arguments), expected)


@examples(150, 2000)
@given(programs(), st.integers(-4, 4))
def test_functional_programs(module: IRModule, x: int) -> None:
    check_executors(small(module), np.int32(x))


@examples(100, 2000)
@given(tensor_programs(), st.integers(-4, 4))
def test_tensor_programs(module: IRModule, x: int) -> None:
    check_executors(small(module), np.int32(x), T)


@examples(15, 300)
@given(straight_programs())
def test_straight_programs(function: Function) -> None:
    module = relay.infer_types(IRModule.from_expr(function))
    random = np.random.default_rng(0)
    arguments = [
        random.uniform(-2, 2, shape_of(p)).astype("float32") for p in module["main"].params
    ]
    check_executors(module, *arguments)
    expected = run("debug", module, arguments)
    assert_close(run("graph", module, arguments), expected, 1e-3)
