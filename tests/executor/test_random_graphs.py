"""Random programs: compiled at every level, for this CPU and older ones, against the interpreter.

``HYPOTHESIS_PROFILE=long pytest tests/executor/test_random_graphs.py`` tries many more.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from hypothesis import given, note
from hypothesis import strategies as st

from executor.random_graphs import programs, shape_of
from op.compiled import narrow_targets
from relay.codegen.llvm.host import host_target
from relay.executor import create_executor
from relay.executor.build import build
from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.strategy import contraction, elementwise, reduction
from relay.target import Target
from relay.transform.base import PassContext

NARROW = list(narrow_targets().values())
Arrays = Sequence[npt.NDArray[np.generic]]


def inputs_of(func: Function) -> Arrays:
    random = np.random.default_rng(0)
    return [random.uniform(-2, 2, shape_of(p)).astype("float32") for p in func.params]


def interpreted(func: Function, arrays: Arrays) -> Arrays:
    result = create_executor("debug", IRModule.from_expr(func)).evaluate()(*arrays)
    return [r.numpy() for r in (result if isinstance(result, tuple) else (result,))]


def compiled(func: Function, arrays: Arrays, level: int, target: Target | None = None) -> Arrays:
    with PassContext(opt_level=level):
        return [r.numpy() for r in build(func, target).create()(*arrays)]


def assert_close(found: Arrays, expected: Arrays) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * scale)


@contextlib.contextmanager
def little_work_is_shared() -> Iterator[None]:
    """Programs as small as these run on several cores."""
    with contextlib.ExitStack() as stack:
        for module in (contraction, elementwise, reduction):
            stack.enter_context(patch.object(module, "PARALLEL_WORK", 50))
        yield


@given(programs(), st.sampled_from([None, *NARROW]))
def test_every_level_computes_what_the_interpreter_does(
    func: Function, target: Target | None
) -> None:
    note(str(IRModule.from_expr(func).astext()))
    arrays = inputs_of(func)
    expected = interpreted(func, arrays)
    for level in range(4):
        assert_close(compiled(func, arrays, level, target), expected)


@given(programs(), st.integers(2, 5))
def test_several_cores_compute_what_the_interpreter_does(func: Function, cores: int) -> None:
    note(str(IRModule.from_expr(func).astext()))
    arrays = inputs_of(func)
    target = replace(host_target(), cores=cores)
    with little_work_is_shared():
        found = compiled(func, arrays, 3, target)
    assert_close(found, interpreted(func, arrays))
