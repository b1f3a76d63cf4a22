"""Gradients of small networks, whole, against finite differences."""

from collections.abc import Callable

import numpy as np
import pytest

import relay
from relay.ir.expr import Expr, Function, Tuple, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.testing.gradient import check_grad
from relay.transform.gradient import gradient

RANDOM = np.random.default_rng(5)


def tensor(name: str, *shape: int) -> Var:
    return Var(name, TensorType(shape, "float64"))


def one_hot(labels: list[int], classes: int) -> Expr:
    return relay.const(np.eye(classes)[labels])


def mlp() -> Function:
    x, w1, b1, w2, b2 = (
        tensor("x", 4, 6),
        tensor("w1", 5, 6),
        tensor("b1", 5),
        tensor("w2", 3, 5),
        tensor("b2", 3),
    )
    hidden = relay.nn.relu(relay.nn.bias_add(relay.nn.dense(x, w1), b1))
    logits = relay.nn.log_softmax(relay.nn.bias_add(relay.nn.dense(hidden, w2), b2))
    loss = relay.nn.cross_entropy_with_logits(logits, one_hot([0, 2, 1, 2], 3))
    return Function([x, w1, b1, w2, b2], loss)


def convolutional() -> Function:
    x, w, scale, shift = (
        tensor("x", 2, 2, 6, 6),
        tensor("w", 4, 2, 3, 3),
        tensor("scale", 4),
        tensor("shift", 4),
    )
    folded = w * relay.expand_dims(scale, 1, 3)
    hidden = relay.nn.bias_add(relay.nn.conv2d(x, folded, padding=1, strides=(1, 1)), shift)
    pooled = relay.nn.max_pool2d(relay.nn.relu(hidden), pool_size=2, strides=2)
    means = relay.nn.batch_flatten(relay.nn.global_avg_pool2d(pooled))
    loss = relay.nn.cross_entropy(relay.nn.softmax(means), one_hot([1, 3], 4))
    return Function([x, w, scale, shift], loss)


def attention() -> Function:
    x, q, k, v, gamma, beta = (
        tensor("x", 2, 3, 4),
        *(tensor(n, 4, 4) for n in "qkv"),
        tensor("gamma", 4),
        tensor("beta", 4),
    )
    queries, keys, values = (relay.nn.dense(x, w) for w in (q, k, v))
    scores = relay.nn.batch_matmul(queries, keys) * relay.const(0.5, "float64")
    mixed = relay.nn.batch_matmul(relay.nn.softmax(scores), values, transpose_b=False)
    return Function([x, q, k, v, gamma, beta], relay.nn.layer_norm(x + mixed, gamma, beta))


def lstm_cell() -> Function:
    x, h, c, w, u, b = (
        tensor("x", 2, 3),
        tensor("h", 2, 4),
        tensor("c", 2, 4),
        tensor("w", 16, 3),
        tensor("u", 16, 4),
        tensor("b", 16),
    )
    gates = relay.nn.bias_add(relay.nn.dense(x, w) + relay.nn.dense(h, u), b)
    i, f, g, o = relay.split(gates, 4, axis=1)
    state = relay.sigmoid(f) * c + relay.sigmoid(i) * relay.tanh(g)
    return Function([x, h, c, w, u, b], Tuple([relay.sigmoid(o) * relay.tanh(state), state]))


def in_float32(function: Function) -> Function:
    """The same program on ``float32``."""
    text = IRModule.from_expr(function).astext().replace("float64", "float32").replace("f64", "f")
    return relay.parse(text)["main"]


@pytest.mark.parametrize("network", [attention, lstm_cell])
def test_compiled(network: Callable[[], Function]) -> None:
    """The compiled gradients are those of the interpreter."""
    function = gradient(in_float32(network()), mode="first_order")
    module = IRModule.from_expr(function)
    arrays = [
        RANDOM.uniform(-1, 1, p.checked_type.shape).astype("float32") for p in function.params
    ]
    expected = flat(relay.create_executor("debug", module).evaluate()(*arrays))
    found = relay.build(module, target="llvm").create()(*arrays)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-4, atol=1e-5)


def flat(value: object) -> list[np.ndarray]:
    if isinstance(value, tuple):
        return [array for part in value for array in flat(part)]
    assert isinstance(value, relay.NDArray)
    return [value.numpy()]


@pytest.mark.parametrize("mode", ["first_order", "higher_order"])
@pytest.mark.parametrize("network", [mlp, convolutional, attention, lstm_cell])
def test_network(network: Callable[[], Function], mode: str) -> None:
    function = network()
    arrays = [RANDOM.uniform(-1, 1, p.checked_type.shape) for p in function.params]
    check_grad(function, arrays, eps=1e-5, atol=1e-6, rtol=1e-5, mode=mode)
