"""Derivatives of programs: against finite differences, of second order, and what is refused."""

import numpy as np
import pytest

import relay
from relay.ir.expr import Call, Expr, Function, If, Let, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import post_order
from relay.support.errors import RelayError, UnsupportedError
from relay.testing.gradient import check_grad
from relay.transform.gradient import FirstOrderGradient, gradient
from relay.transform.infer_type import InferType

RANDOM = np.random.default_rng(3)


def tensor(name: str, *shape: int, dtype: str = "float64") -> Var:
    return Var(name, TensorType(shape, dtype))


def draw(*shape: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    return RANDOM.uniform(low, high, shape)


def number(value: float) -> Expr:
    return relay.const(value, "float64")


def run(function: Function, *arrays: np.ndarray):
    return relay.create_executor("debug", IRModule.from_expr(function)).evaluate()(*arrays)


def check(function: Function, *arrays: np.ndarray, mode: str = "first_order") -> None:
    check_grad(function, list(arrays), atol=1e-6, rtol=1e-5, eps=1e-5, mode=mode)


def test_result_and_gradients() -> None:
    x = tensor("x", 3)
    function = gradient(Function([x], relay.sin(x)), mode="first_order")
    value = draw(3)
    result, (slope,) = run(function, value)
    np.testing.assert_allclose(result.numpy(), np.sin(value))
    np.testing.assert_allclose(slope.numpy(), np.cos(value))


def test_sharing_and_broadcasting() -> None:
    x, y = tensor("x", 2, 3), tensor("y", 3)
    common = relay.tanh(x * y)
    check(Function([x, y], common * common + relay.exp(common)), draw(2, 3), draw(3))


def test_lets_tuples_and_calls() -> None:
    x = tensor("x", 2, 4)
    a, pair, f, z = Var("a"), Var("pair"), Var("f"), tensor("z", 2, 2)
    twice = Function([z], relay.sin(z) * z)
    parts = relay.split(x, 2, axis=1)
    body = Let(
        f,
        twice,
        Let(
            pair,
            parts.astuple(),
            Let(
                a,
                Call(f, [TupleGetItem(pair, 0)]),
                Tuple([a * Call(f, [a]), TupleGetItem(pair, 1), relay.concatenate(pair, 0)]),
            ),
        ),
    )
    check(Function([x], body), draw(2, 4))


def test_global_functions() -> None:
    module = relay.parse(
        """#[version = "0.0.5"]
        def @square(%x: Tensor[(3), float64]) { multiply(%x, %x) }
        def @main(%x: Tensor[(3), float64]) { @square(@square(%x)) }
        """
    )
    function = gradient(module.get_global_var("main"), module, "first_order")
    value = draw(3)
    _, (slope,) = run(function, value)
    np.testing.assert_allclose(slope.numpy(), 4 * value**3)


def branches(x: Var, y: Var, flag: Var) -> Expr:
    """An if whose branches share a value with each other and with what follows."""
    common = relay.exp(x)
    inner = If(relay.logical_not(flag), common, relay.sqrt(y))
    taken = If(flag, relay.sin(common) * y, relay.log(y) * inner)
    return taken * common


@pytest.mark.parametrize("flag", [True, False])
def test_if(flag: bool) -> None:
    x, y, f = tensor("x", 3), tensor("y", 3), Var("f", TensorType((), "bool"))
    function = Function([x, y, f], branches(x, y, f))
    check(function, draw(3), draw(3, low=0.5, high=2.0), np.array(flag))


def test_the_branch_not_taken_is_not_touched() -> None:
    x, f = tensor("x"), Var("f", TensorType((), "bool"))
    function = gradient(Function([x, f], If(f, x, relay.log(x))), mode="first_order")
    _, (slope, _) = run(function, np.array(-1.0), np.array(True))
    assert slope.numpy() == 1


def test_deep_ifs() -> None:
    x, f = tensor("x"), Var("f", TensorType((), "bool"))
    body: Expr = x
    for _ in range(500):
        body = If(f, body * x, x)
    function = gradient(Function([x, f], body), mode="first_order")
    _, (slope, _) = run(function, np.array(1.0), np.array(True))
    assert slope.numpy() == 501


def test_a_long_chain_is_linear() -> None:
    x = tensor("x", 2)
    body: Expr = x
    for _ in range(20_000):
        body = relay.negative(body)
    function = gradient(Function([x], body), mode="first_order")
    assert len(post_order(function)) < 45_000


def test_integers_and_constants_have_zero_gradients() -> None:
    x, k = tensor("x", 4), tensor("k", 2, dtype="int32")
    function = gradient(Function([x, k], relay.take(x, k)), mode="first_order")
    _, (by_x, by_k) = run(function, draw(4), np.array([1, 1], "int32"))
    np.testing.assert_array_equal(by_x.numpy(), [0, 2, 0, 0])
    assert by_k.dtype == "int32"
    assert not by_k.numpy().any()


def test_second_derivatives() -> None:
    x = tensor("x", 3)
    first = gradient(Function([x], relay.sin(x) * relay.exp(x)), mode="first_order")
    y = tensor("y", 3)
    slope = Function([y], TupleGetItem(TupleGetItem(Call(first, [y]), 1), 0))
    value = draw(3)
    _, (second,) = run(gradient(slope, mode="first_order"), value)
    np.testing.assert_allclose(second.numpy(), 2 * np.cos(value) * np.exp(value))


def test_second_derivatives_of_a_network() -> None:
    x, w = tensor("x", 1, 2, 5, 5), tensor("w", 3, 2, 3, 3)
    hidden = relay.tanh(relay.nn.conv2d(x, w, padding=1))
    pooled = relay.nn.avg_pool2d(hidden, pool_size=2, strides=2)
    first = gradient(Function([x, w], relay.nn.softmax(pooled)), mode="first_order")
    a, b = tensor("a", 1, 2, 5, 5), tensor("b", 3, 2, 3, 3)
    slopes = TupleGetItem(Call(first, [a, b]), 1)
    check(Function([a, b], slopes), draw(1, 2, 5, 5), draw(3, 2, 3, 3))


def test_the_pass() -> None:
    x = tensor("x", 3)
    module = InferType()(IRModule.from_expr(Function([x], relay.exp(x))))
    after = FirstOrderGradient()(module)["main"]
    assert str(after.checked_type) == (
        "fn (Tensor[(3), float64]) -> (Tensor[(3), float64], (Tensor[(3), float64],))"
    )


def test_refused() -> None:
    x = tensor("x", 1, 3)
    product = relay.scatter_elements(x, relay.const([[0, 0, 0]]), x, reduction="mul")
    with pytest.raises(UnsupportedError, match="no gradient where it multiplies"):
        gradient(Function([x], product), mode="first_order")
    blocked = relay.nn.contrib_conv2d_nchwc(
        tensor("d", 1, 1, 4, 4, 8), tensor("w", 1, 1, 3, 3, 8, 8), kernel_layout="OIHW8i8o"
    )
    with pytest.raises(UnsupportedError, match="needs layouts that are not blocked"):
        gradient(Function(list(blocked.args), blocked), mode="first_order")
    with pytest.raises(RelayError, match="first_order"):
        gradient(Function([x], x), mode="second")
    with pytest.raises(RelayError, match="a function to differentiate"):
        gradient(x)


def test_recursion_needs_higher_order() -> None:
    module = relay.parse(
        """#[version = "0.0.5"]
        def @power(%n: int32, %x: float64) -> float64 {
          if (equal(%n, 0)) { 1f64 } else { multiply(%x, @power(subtract(%n, 1), %x)) }
        }
        """
    )
    with pytest.raises(UnsupportedError, match="higher_order"):
        gradient(module.get_global_var("power"), module, "first_order")
