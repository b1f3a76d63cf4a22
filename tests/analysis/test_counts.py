from pass_helpers import chain, tensor, weights
from relay.analysis import (
    all_dtypes,
    all_vars,
    bound_vars,
    count_layers,
    free_vars,
    get_total_mac_number,
    list_op_freqs,
    post_order_visit,
)
from relay.ir import IRModule
from relay.ir.expr import Expr, Function
from relay.transform.calls import make

X = tensor("x", 2, 4, 8, 8)


def test_multiply_accumulates_of_convolutions():
    conv = make("nn.conv2d", X, weights(6, 4, 3, 3), padding=(1, 1))
    assert get_total_mac_number(conv) == 2 * 6 * 8 * 8 * 4 * 9
    depthwise = make("nn.conv2d", X, weights(4, 1, 3, 3), padding=(1, 1), groups=4)
    assert get_total_mac_number(IRModule.from_expr(depthwise)) == 2 * 4 * 8 * 8 * 9


def test_multiply_accumulates_of_matrix_products():
    assert get_total_mac_number(make("nn.dense", tensor("x", 3, 5), weights(7, 5))) == 3 * 5 * 7
    product = make("nn.batch_matmul", tensor("a", 2, 3, 5), tensor("b", 2, 7, 5))
    assert get_total_mac_number(product) == 2 * 3 * 5 * 7


def test_operator_counts():
    body = chain(X, "exp", "nn.relu", "exp")
    assert list_op_freqs(body) == {"exp": 2, "nn.relu": 1}
    assert count_layers(body, ["exp"]) == 2


def test_variables():
    y = tensor("y", 2)
    func = Function((X,), make("add", X, y))
    assert free_vars(func) == [y]
    assert bound_vars(func) == [X]
    assert set(all_vars(func)) == {X, y}
    assert all_dtypes(make("cast", X, dtype="int8")) == {"float32", "int8"}


def test_post_order_visit():
    seen: list[Expr] = []
    body = chain(X, "exp")
    post_order_visit(body, seen.append)
    assert seen == [X, body]
