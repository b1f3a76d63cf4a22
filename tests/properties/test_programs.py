"""Generated programs print, parse, keep their type, and mean the same on every executor.

``HYPOTHESIS_PROFILE=long pytest tests/properties`` tries 2000.
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import given, note
from hypothesis import strategies as st

import relay
from executor.random_graphs import programs as straight_programs
from executor.random_graphs import shape_of
from properties.agreement import Value, assert_close, examples, run, small
from relay.ir.adt import Constructor
from relay.ir.expr import Function, GlobalVar, If
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.visit import post_order_all
from relay.ir.well_formed import check_well_formed
from relay.support.errors import UnsupportedError
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


def is_straight(module: IRModule) -> bool:
    """Whether `module` has no branches, data, references, or calls of other global functions."""
    other = If | Match | Constructor | RefCreate | RefRead | RefWrite | GlobalVar
    nodes = post_order_all(module.functions.values())
    return not any(isinstance(node, other) for node in nodes)


def run_graph(module: IRModule, arguments: Sequence[object]) -> Value | None:
    """What the graph executor gives; None where it refuses a program that is not straight."""
    if is_straight(module):
        return run("graph", module, arguments)
    try:
        return run("graph", module, arguments)  # what branches may be unused, or constant
    except UnsupportedError:
        return None


def check_executors(module: IRModule, *arguments: object, tolerance: float = 1e-4) -> None:
    note(module.astext())
    again = check_text(module)
    expected = run("debug", module, arguments)
    assert_close(run("debug", again, arguments), expected)
    assert_close(run("vm", module, arguments), expected, tolerance)
    found = run_graph(module, arguments)
    if found is not None:
        assert_close(found, expected, tolerance)


@examples(150, 2000)
@given(programs(), st.integers(-4, 4))
def test_functional_programs(module: IRModule, x: int) -> None:
    check_executors(small(module), np.int32(x))


@examples(100, 2000)
@given(tensor_programs(), st.integers(-4, 4))
def test_tensor_programs(module: IRModule, x: int) -> None:
    check_executors(small(module), np.int32(x), T)


@examples(15, 2000)
@given(straight_programs())
def test_straight_programs(function: Function) -> None:
    module = relay.infer_types(IRModule.from_expr(function))
    assert is_straight(module)
    random = np.random.default_rng(0)
    arguments = [
        random.uniform(-2, 2, shape_of(p)).astype("float32") for p in module["main"].params
    ]
    check_executors(module, *arguments, tolerance=1e-3)
