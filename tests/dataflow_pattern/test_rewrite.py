"""Rewriting and partitioning by patterns."""

from collections.abc import Sequence

import numpy as np
import pytest

import relay
from relay import dataflow_pattern as dp
from relay.dataflow_pattern import DFPatternCallback, is_constant, is_op, is_var, wildcard
from relay.ir.visit import post_order
from relay.support.errors import RelayError

X = relay.var("x", shape=(2, 3))
Y = relay.var("y", shape=(2, 3))
NodeMap = dict[dp.DFPattern, Sequence[relay.Expr]]


class AddToSubtract(DFPatternCallback):
    """``a + b`` to ``a - b``: not true, but easily seen."""

    def __init__(self, require_type: bool = False, rewrite_once: bool = False) -> None:
        super().__init__(require_type, rewrite_once)
        self.left, self.right = wildcard(), wildcard()
        self.pattern = self.left + self.right

    def callback(self, pre: relay.Expr, post: relay.Expr, node_map: NodeMap) -> relay.Expr:
        return relay.subtract(node_map[self.left][0], node_map[self.right][0])


class Flip(DFPatternCallback):
    """``exp(a)`` to ``tanh(a)`` and back, for ever."""

    def __init__(self, rewrite_once: bool = False) -> None:
        super().__init__(rewrite_once=rewrite_once)
        self.x = wildcard()
        self.exp = is_op("exp")(self.x)
        self.pattern = self.exp | is_op("tanh")(self.x)

    def callback(self, pre: relay.Expr, post: relay.Expr, node_map: NodeMap) -> relay.Expr:
        x = node_map[self.x][0]
        return relay.tanh(x) if self.exp in node_map else relay.exp(x)


class DoubleNegative(DFPatternCallback):
    def __init__(self) -> None:
        super().__init__()
        self.x = wildcard()
        self.pattern = is_op("negative")(is_op("negative")(self.x))

    def callback(self, pre: relay.Expr, post: relay.Expr, node_map: NodeMap) -> relay.Expr:
        return node_map[self.x][0]


def test_rewrites_everywhere() -> None:
    found = dp.rewrite(AddToSubtract(), relay.add(relay.add(X, Y), relay.exp(relay.add(Y, X))))
    expected = relay.subtract(relay.subtract(X, Y), relay.exp(relay.subtract(Y, X)))
    relay.assert_structural_equal(found, expected)


def test_rewrites_until_nothing_matches() -> None:
    expr: relay.Expr = X
    for _ in range(7):
        expr = relay.negative(expr)
    relay.assert_structural_equal(dp.rewrite(DoubleNegative(), expr), relay.negative(X))


def test_several_rewrites_and_the_method() -> None:
    expr = relay.negative(relay.negative(relay.add(X, Y)))
    found = dp.rewrite([AddToSubtract(), DoubleNegative()], expr)
    relay.assert_structural_equal(found, relay.subtract(X, Y))
    relay.assert_structural_equal(AddToSubtract().rewrite(relay.add(X, Y)), relay.subtract(X, Y))


def test_nothing_to_do_is_the_same_object() -> None:
    expr = relay.exp(X)
    assert dp.rewrite(AddToSubtract(), expr) is expr


def test_rewrite_once() -> None:
    found = dp.rewrite(Flip(rewrite_once=True), relay.exp(relay.tanh(X)))
    relay.assert_structural_equal(found, relay.tanh(relay.exp(X)))


def test_a_rewrite_that_does_not_end() -> None:
    with pytest.raises(RelayError, match="after 100 rounds"):
        dp.rewrite(Flip(), relay.exp(X))


def test_a_callback_without_a_pattern() -> None:
    with pytest.raises(RelayError, match="has no pattern"):
        dp.rewrite(DFPatternCallback(), X)


def test_require_type() -> None:
    class Widen(DFPatternCallback):
        def __init__(self) -> None:
            super().__init__(require_type=True, rewrite_once=True)
            self.x = wildcard()
            self.pattern = is_op("exp")(self.x)

        def callback(self, pre: relay.Expr, post: relay.Expr, node_map: NodeMap) -> relay.Expr:
            shape = pre.checked_type.concrete_shape
            return relay.broadcast_to(post, shape=shape)

    w = relay.var("w")
    found = dp.rewrite(Widen(), relay.Function([X, w], relay.exp(relay.nn.dense(X, w, units=4))))
    typed = relay.testing.run_infer_type(found)
    assert typed.ret_type == relay.TensorType((2, 4))
    assert relay.testing.count_ops(typed)["broadcast_to"] == 1


def test_require_type_with_a_module() -> None:
    f = relay.GlobalVar("f")
    module = relay.IRModule({f: relay.Function([Y], relay.exp(Y))})
    callback = AddToSubtract(require_type=True)
    found = dp.rewrite(callback, relay.Function([X], relay.add(f(X), X)), module)
    assert relay.testing.count_ops(found) == {"subtract": 1}


def test_rewrites_in_functions_lets_and_branches() -> None:
    v = relay.var("v", shape=(2, 3))
    c = relay.var("c", "bool")
    body = relay.Let(v, relay.add(X, Y), relay.If(c, relay.add(v, X), v))
    found = dp.rewrite(AddToSubtract(), relay.Function([X, Y, c], body))
    assert relay.testing.count_ops(found) == {"subtract": 2}


def test_what_is_used_elsewhere_is_left_alone() -> None:
    inner = relay.negative(X)
    expr = relay.Tuple([relay.negative(inner), inner])
    assert dp.rewrite(DoubleNegative(), expr) is expr


def test_a_long_chain() -> None:
    expr: relay.Expr = X
    for _ in range(10_000):
        expr = relay.add(expr, Y)
    assert relay.testing.count_ops(dp.rewrite(AddToSubtract(), expr)) == {"subtract": 10_000}


def evaluate(expr: relay.Expr) -> list[np.ndarray]:
    """The result for random inputs, by the interpreter."""
    function = relay.Function(relay.analysis.free_vars(expr), expr)
    rng = np.random.default_rng(0)
    inputs = [
        rng.standard_normal(p.checked_type.concrete_shape).astype("float32")
        for p in function.params
    ]
    result = relay.create_executor("debug", relay.IRModule.from_expr(function)).evaluate()(*inputs)
    return [r.numpy() for r in (result if isinstance(result, tuple) else (result,))]


def partitions(expr: relay.Expr) -> list[relay.Function]:
    return [
        node
        for node in post_order(expr)
        if isinstance(node, relay.Function) and "PartitionedFromPattern" in node.attrs
    ]


def check_partition(pattern: dp.DFPattern, expr: relay.Expr) -> list[relay.Function]:
    """The functions made of the matches; the meaning and the type have to stay."""
    found = pattern.partition(expr)
    assert found.checked_type == expr.checked_type
    for a, b in zip(evaluate(expr), evaluate(found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    return partitions(found)


def dense_bias() -> relay.Expr:
    w, b = relay.var("w", shape=(4, 3)), relay.var("b", shape=(4,))
    return relay.nn.bias_add(relay.nn.dense(X, w), b)


def test_partition() -> None:
    pattern = is_op("nn.relu")(is_op("nn.bias_add")(is_op("nn.dense")(None), wildcard()))
    expr = relay.exp(relay.nn.relu(dense_bias()))
    (function,) = check_partition(pattern, expr)
    assert function.attrs["PartitionedFromPattern"] == "nn.dense_nn.bias_add_nn.relu_"
    assert [p.name_hint for p in function.params] == [f"FunctionVar_0_{k}" for k in range(3)]


def test_partition_attributes_and_check() -> None:
    pattern = is_op("exp")(wildcard())
    expr = relay.exp(relay.tanh(relay.exp(X)))
    (function,) = partitions(
        pattern.partition(expr, {"Composite": "toy.exp"}, lambda e: e.args[0] is X)
    )
    assert function.attrs["Composite"] == "toy.exp"


def test_partition_keeps_named_constants_inside() -> None:
    c = relay.const(np.ones((2, 3), "float32"))
    (function,) = check_partition(is_op("add")(wildcard(), is_constant()), relay.add(X, c))
    assert len(function.params) == 1
    (function,) = check_partition(is_op("add")(wildcard(), wildcard()), relay.add(X, c))
    assert len(function.params) == 2


def test_partition_several_and_nested() -> None:
    pattern = is_op("tanh")(is_op("exp")(wildcard()))
    expr: relay.Expr = X
    for _ in range(3):
        expr = relay.tanh(relay.exp(expr))
    assert len(check_partition(pattern, expr)) == 3


def test_partition_is_not_repeated() -> None:
    pattern = is_op("exp")(wildcard())
    once = pattern.partition(relay.exp(X))
    assert pattern.partition(once) is once


def test_partition_leaves_out_what_is_used_elsewhere() -> None:
    inner = relay.exp(X)
    pattern = is_op("tanh")(is_op("exp")(wildcard()))
    expr = relay.Tuple([relay.tanh(inner), inner])
    assert pattern.partition(expr) is expr


def test_partition_shared_input() -> None:
    x = wildcard()
    (function,) = check_partition(is_op("add")(is_op("exp")(x), x), relay.add(relay.exp(X), X))
    assert len(function.params) == 1


def test_partition_tuples() -> None:
    pattern = is_op("concatenate")(dp.is_tuple())
    expr = relay.exp(relay.concatenate((relay.tanh(X), Y), axis=0))
    (function,) = check_partition(pattern, expr)
    assert len(function.params) == 2


def test_partition_dominator() -> None:
    path = is_op("add")(wildcard(), wildcard()) | is_op("tanh")(wildcard())
    pattern = is_op("nn.relu")(wildcard()).dominates(is_op("nn.dense")(None), path)
    bias = relay.exp(relay.var("b2", shape=(4,)))
    product = relay.nn.dense(X, relay.var("w", shape=(4, 3)))
    (function,) = check_partition(
        pattern, relay.exp(relay.nn.relu(relay.add(relay.tanh(product), bias)))
    )
    assert set(relay.testing.count_ops(function)) == {"nn.dense", "tanh", "add", "nn.relu"}
    assert len(function.params) == 3


def test_partition_takes_ifs_whole() -> None:
    c = relay.less(relay.sum(X), relay.const(0.0))
    branch = relay.If(c, relay.exp(X), relay.tanh(Y))
    (function,) = check_partition(dp.is_if(wildcard(), wildcard(), wildcard()), branch)
    assert set(relay.testing.count_ops(function)) == {"exp", "tanh"}
    assert len(function.params) == 3


def test_partition_takes_lets_whole() -> None:
    v = relay.var("v", shape=(2, 3))
    let = relay.Let(v, relay.exp(X), relay.add(v, Y))
    (function,) = check_partition(dp.is_let(is_var(), wildcard(), wildcard()), relay.tanh(let))
    assert len(function.params) == 2
