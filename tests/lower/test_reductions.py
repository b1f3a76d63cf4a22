"""How reductions are put together: what belongs together in one place, nothing computed twice."""

from collections.abc import Sequence

import numpy as np

from relay import nn, op
from relay.executor.build import build, lower_module
from relay.ir.expr import Expr, Function, Tuple, Var
from relay.ir.types import TensorType
from relay.loop.ir import Allocate, For, Stmt, Store
from relay.loop.walk import children, statements
from relay.lower import Kernel


def tensor(*shape: int) -> Var:
    return Var("x", TensorType(shape, "float32"))


def kernels_of(variable: Var, body: Expr) -> Sequence[Kernel]:
    return lower_module(Function([variable], body)).kernels


def updates(root: Stmt) -> int:
    """How often a reduction is updated with an input, not with partial results."""
    if isinstance(root, For):
        return root.extent * updates(root.body)
    if isinstance(root, Store):
        return 1 if root.reduce else 0
    return sum(updates(c) for c in children(root))


def run(variable: Var, body: Expr, array: np.ndarray) -> list[np.ndarray]:
    return [r.numpy() for r in build(Function([variable], body)).create()(array)]


def test_softmax_over_a_middle_axis_is_one_kernel_that_reduces_once():
    x = tensor(4, 33, 64)
    (kernel,) = kernels_of(x, nn.softmax(x, axis=1))
    assert not kernel.scheduled.workspaces
    assert any(isinstance(s, Allocate) for s in statements(kernel.scheduled.body))
    assert updates(kernel.scheduled.body) == updates(kernel.loops.body)


def test_two_results_of_one_reduction_do_not_reduce_it_twice():
    x = tensor(40, 8)
    (kernel,) = kernels_of(x, op.topk(x, k=3).astuple())
    assert updates(kernel.scheduled.body) == updates(kernel.loops.body)


def test_a_result_of_rank_0_has_a_loop_to_reduce_in():
    x = tensor(5, 1000)
    (kernel,) = kernels_of(x, op.sum(x))
    assert not kernel.scheduled.workspaces
    array = np.random.default_rng(0).uniform(size=(5, 1000)).astype("float32")
    np.testing.assert_allclose(run(x, op.sum(x), array)[0], array.sum(), rtol=1e-5)


def test_what_has_no_elements_has_no_loops():
    x = tensor(0, 7)
    (kernel,) = kernels_of(x, nn.softmax(x))
    assert not [s for s in statements(kernel.scheduled.body) if isinstance(s, For)]
    assert run(x, nn.softmax(x), np.zeros((0, 7), "float32"))[0].shape == (0, 7)


def test_a_reduction_over_nothing_is_where_it_starts():
    x = tensor(3, 0)
    body = Tuple([op.sum(x, axis=1), op.prod(x, axis=1)])
    total, product = run(x, body, np.zeros((3, 0), "float32"))
    assert total.tolist() == [0, 0, 0]
    assert product.tolist() == [1, 1, 1]
