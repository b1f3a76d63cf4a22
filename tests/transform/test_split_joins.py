import numpy as np
import pytest

import relay
from onnx_models import operators
from relay.executor import create_executor
from relay.ir.expr import Function, Tuple, Var
from relay.ir.types import TensorType
from relay.transform import SplitJoins


def joined(count: int, make) -> Function:
    parameters = [Var(f"x{k}", TensorType((2, 3))) for k in range(count)]
    return Function(parameters, make(Tuple(parameters)))


def values(count: int) -> list[np.ndarray]:
    return [np.full((2, 3), k, np.float32) for k in range(count)]


@pytest.mark.parametrize("count", [5, 9, 64, 65])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("kind", ["concatenate", "stack"])
def test_joining_in_steps(kind, axis, count):
    before = relay.IRModule.from_expr(joined(count, lambda t: getattr(relay, kind)(t, axis=axis)))
    after = SplitJoins(4)(before)
    lengths = [
        len(call.args[0].fields)
        for call in relay.ir.visit.post_order(after["main"].body)
        if isinstance(call, relay.Call)
    ]
    assert max(lengths) <= 4
    assert sum(lengths) < 2 * count
    expected = getattr(np, kind)(values(count), axis=axis)
    for executor in ("debug", "graph"):
        found = create_executor(executor, after).evaluate()(*values(count)).numpy()
        np.testing.assert_array_equal(found, expected)


def test_short_ones_stay_as_they_are():
    module = relay.IRModule.from_expr(joined(4, relay.concatenate))
    assert SplitJoins(4)(module) is module
    assert operators(module["main"]) == ["concatenate"]


def test_fusion_leaves_them_apart():
    module = relay.IRModule.from_expr(joined(200, relay.concatenate))
    library = relay.build(module)
    # Of 64 each, by one kernel, and what is left together with the join of the four.
    assert [call.kernel for call in library.calls] == [
        *["fused_concatenate"] * 3,
        "fused_concatenate_concatenate",
    ]
    found = create_executor("graph", module).evaluate()(*values(200)).numpy()
    np.testing.assert_array_equal(found, np.concatenate(values(200)))
    few = relay.build(
        relay.IRModule.from_expr(joined(9, lambda t: relay.exp(relay.concatenate(t))))
    )
    assert len(few.calls) == 1
