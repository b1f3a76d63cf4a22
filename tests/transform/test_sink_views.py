import pytest

from pass_helpers import add, multiply, names, positive, run_pass, tensor, weights
from relay.ir.expr import Expr, const
from relay.transform import FoldConstant, SinkViews
from relay.transform.calls import make

Y = tensor("y", 6, 4)


def sequence(y: Expr) -> Expr:
    return make("reshape", y, newshape=(2, 3, 4))


SUNK = {
    "unary": make("nn.relu", sequence(Y)),
    "row": add(sequence(Y), weights(4)),
    "row of rank three": add(weights(1, 1, 4), sequence(Y)),
    "scalar": multiply(sequence(Y), const(2.0)),
    "chain": make("nn.relu", add(multiply(sequence(Y), const(2.0)), weights(4))),
    "both sides": add(sequence(Y), sequence(tensor("z", 6, 4))),
    "softmax": make("nn.softmax", sequence(Y)),
    "layer_norm": make("nn.layer_norm", sequence(Y), positive(4), weights(4), axis=2),
}


@pytest.mark.parametrize("body", SUNK.values(), ids=SUNK.keys())
def test_the_view_comes_last(body):
    found = names(run_pass(FoldConstant(), run_pass(SinkViews(), body)))
    assert found.count("reshape") == 1
    assert found[-1] == "reshape"


def test_a_residual_of_the_viewed_shape_is_viewed_back():
    body = make("nn.relu", add(sequence(Y), tensor("x", 2, 3, 4)))
    found = names(run_pass(SinkViews(), body))
    assert found == ["reshape", "add", "nn.relu", "reshape"]


KEPT = {
    "fewer dimensions": make("nn.relu", make("nn.batch_flatten", tensor("x", 2, 3, 4))),
    "broadcast along another axis": add(sequence(Y), weights(3, 1)),
    "the view itself is broadcast": add(
        make("expand_dims", tensor("b", 4), axis=1), tensor("x", 4, 5)
    ),
    "softmax along another axis": make("nn.softmax", sequence(Y), axis=1),
    "softmax along an axis that is split": make(
        "nn.softmax", make("reshape", Y, newshape=(6, 2, 2))
    ),
}


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT.keys())
def test_the_view_stays(body):
    assert run_pass(SinkViews(), body) is body
