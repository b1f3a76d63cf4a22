"""Long and wide graphs: nothing recurses on the size of a program, and time grows with it."""

import sys
import time

import numpy as np
import pytest

import relay
from models.builders import LARGE
from onnx_models import runtime
from relay.codegen.llvm.host import host_target
from relay.frontend.onnx import from_onnx
from relay.lower import CompileOptions, optimise

TEN_THOUSAND = pytest.param(10_000, marks=pytest.mark.slow)


@pytest.mark.parametrize("size", [1_000, TEN_THOUSAND])
@pytest.mark.parametrize("name", LARGE)
def test_a_large_graph_is_compiled_and_right(name, size):
    model, inputs = LARGE[name](size)
    module, params = from_onnx(model)
    graph = relay.build(module, "llvm", params)["default"](relay.cpu(0))
    graph.run(**inputs)
    wanted = runtime(model, inputs)
    assert graph.get_num_outputs() == len(wanted)
    for k, theirs in enumerate(wanted):
        np.testing.assert_allclose(graph.get_output(k).numpy(), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LARGE)
def test_work_grows_with_the_size_of_the_graph(name):
    """Counted in function calls, which do not depend on what else the machine does."""
    small, large = (calls_to_optimise(name, size) for size in (400, 1_600))
    assert large < 6 * small


def calls_to_optimise(name: str, size: int) -> int:
    """Calls of Python functions while a graph is imported and optimised."""
    model, _ = LARGE[name](size)
    options = CompileOptions(host_target())
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        optimise(from_onnx(model)[0], options)
    finally:
        sys.setprofile(None)
    return calls


def test_a_chain_is_shorter_than_the_stack():
    """A chain far deeper than Python's stack, compiled in seconds."""
    start = time.process_time()
    model, _ = LARGE["chain"](4 * sys.getrecursionlimit())
    relay.build(from_onnx(model)[0])
    assert time.process_time() - start < 30
