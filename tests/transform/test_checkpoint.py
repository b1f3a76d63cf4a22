"""The marks `annotation.checkpoint` and `annotation.stop_fusion`: values, gradients, executors."""

import numpy as np
import pytest

import relay
from pass_helpers import groups, names, tensor
from relay.ir.expr import Expr, Function, If, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import post_order
from relay.testing.gradient import check_grad
from relay.transform import FuseOps, PassContext, graph_pipeline
from relay.transform.gradient import gradient

checkpoint, stop_fusion = relay.annotation.checkpoint, relay.annotation.stop_fusion


def layers(x: Expr, count: int) -> Expr:
    """Layers that need their input and what is in them on the way back, with checkpoints."""
    for _ in range(count):
        x = checkpoint(relay.tanh(relay.sin(x) * relay.exp(x)))
    return x


@pytest.mark.parametrize("mode", ["first_order", "higher_order"])
def test_gradients_are_those_without_checkpoints(mode: str) -> None:
    x = tensor("x", 2, 3, dtype="float64")
    function = Function([x], relay.sigmoid(layers(x, 3)) * x)
    check_grad(function, [np.linspace(-1, 1, 6).reshape(2, 3)], eps=1e-5, mode=mode)


def test_what_leads_to_checkpoints_is_computed_again() -> None:
    x = tensor("x", 3)
    function = gradient(Function([x], layers(x, 3)), mode="first_order")
    found = names(function.body)
    assert found.count("tanh") == 6  # three layers, and three copies
    plain = gradient(Function([x], relay.tanh(relay.sin(x))), mode="first_order")
    assert names(plain.body).count("tanh") == 1


def test_copies_survive_the_pipeline_and_marks_do_not() -> None:
    x = tensor("x", 3)
    function = gradient(Function([x], layers(x, 3)), mode="first_order")
    with PassContext(opt_level=3):
        result = graph_pipeline(3)(IRModule.from_expr(function))["main"]
    found = [name for group in groups(result.body) for name in group]
    assert found.count("tanh") == 6
    assert "annotation.checkpoint" not in names(result.body)


def test_what_is_in_use_elsewhere_is_kept() -> None:
    x = tensor("x", 3)
    shared = relay.exp(x)
    body = checkpoint(relay.tanh(shared)) + relay.sin(shared)
    found = names(gradient(Function([x], body), mode="first_order").body)
    assert found.count("exp") == 1
    assert found.count("tanh") == 2


def test_a_chain_of_checkpoints_is_linear() -> None:
    x = tensor("x", 2)
    short, long = (
        len(post_order(gradient(Function([x], layers(x, n)), mode="first_order")))
        for n in (500, 1000)
    )
    assert long < 2.1 * short


@pytest.mark.parametrize("flag", [True, False])
def test_branches(flag: bool) -> None:
    x, f = tensor("x", 3, dtype="float64"), Var("f", TensorType((), "bool"))
    common = relay.exp(x)
    branch = If(f, relay.sin(common), checkpoint(relay.tanh(common * x)) * x)
    function = Function([x, f], checkpoint(branch * common) * x)
    check_grad(function, [np.array([0.1, 0.5, -0.3]), np.array(flag)], eps=1e-5, mode="first_order")


def test_second_derivatives() -> None:
    x = tensor("x", 3, dtype="float64")
    first = gradient(Function([x], layers(x, 2)), mode="first_order")
    y = tensor("y", 3, dtype="float64")
    slope = Function([y], relay.TupleGetItem(relay.TupleGetItem(relay.Call(first, [y]), 1), 0))
    check_grad(slope, [np.array([0.1, 0.5, -0.3])], eps=1e-5, mode="first_order")


def test_no_group_goes_over_stop_fusion() -> None:
    x = tensor("x", 2, 3)
    body = relay.tanh(stop_fusion(relay.exp(x)))
    assert groups(FuseOps()(IRModule.from_expr(Function([x], body)))["main"].body) == [
        ["exp"],
        ["tanh"],
    ]
    without = relay.tanh(checkpoint(relay.exp(x)))
    assert groups(FuseOps()(IRModule.from_expr(Function([x], without)))["main"].body) == [
        ["exp", "tanh"]
    ]


def test_stop_fusion_beside_another_path() -> None:
    x = tensor("x", 2, 3)
    common = relay.exp(x)
    body = relay.negative(common) + stop_fusion(common)
    assert groups(FuseOps()(IRModule.from_expr(Function([x], body)))["main"].body) == [
        ["exp"],
        ["negative", "add"],
    ]


@pytest.mark.parametrize(
    ("kind", "level"),
    [("debug", 1), ("graph", 0), ("graph", 1), ("graph", 3), ("vm", 1), ("vm", 3)],
)
def test_executors(kind: str, level: int) -> None:
    x = tensor("x", 2, 3)
    pair = stop_fusion(relay.Tuple([checkpoint(relay.exp(x)), x]))
    body = relay.Tuple(
        [
            relay.tanh(stop_fusion(relay.exp(x))),
            checkpoint(x),
            stop_fusion(x),
            relay.TupleGetItem(pair, 0) + relay.TupleGetItem(pair, 1),
            relay.concatenate(pair, axis=0),
            checkpoint(stop_fusion(relay.const(np.ones(2, "float32")))),
        ]
    )
    module = IRModule.from_expr(Function([x], body))
    value = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)
    with PassContext(opt_level=level):
        found = [r.numpy() for r in relay.create_executor(kind, module).evaluate()(value)]
    e = np.exp(value)
    wanted = [np.tanh(e), value, value, e + value, np.concatenate([e, value]), np.ones(2)]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("kind", ["graph", "vm"])
def test_gradients_of_checkpoints_compile(kind: str) -> None:
    x = tensor("x", 2, 3)
    function = gradient(Function([x], layers(x, 2)), mode="first_order")
    value = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)
    results = []
    for executor in ("debug", kind):
        out, (slope,) = relay.create_executor(executor, IRModule.from_expr(function)).evaluate()(
            value
        )
        results.append((out.numpy(), slope.numpy()))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_names() -> None:
    x = tensor("x", 3)
    assert "annotation.stop_fusion(%x)" in str(Function([x], stop_fusion(x)))
