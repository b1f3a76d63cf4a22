"""Functions of operators that are given expressions where numbers are expected."""

import pytest

import relay
from relay.ir.expr import Var, const
from relay.ir.types import Any, TensorType

X = Var("x", TensorType((2, 3)))
SHAPE = Var("s", TensorType((2,), "int32"))
NUMBER = Var("k", TensorType((), "int32"))
INDICES = Var("i", TensorType((4,), "int32"))

CALLS = {
    "reshape": lambda shape, _: relay.reshape(X, shape),
    "broadcast_to": lambda shape, _: relay.broadcast_to(X, shape=shape),
    "full": lambda shape, _: relay.full(1.0, shape),
    "tile": lambda shape, _: relay.tile(X, shape),
    "expand_dims": lambda _, number: relay.expand_dims(X, number),
    "squeeze": lambda shape, _: relay.squeeze(relay.expand_dims(X, 0, 2), axis=shape),
    "one_hot": lambda _, number: relay.one_hot(INDICES, 1.0, 0.0, number, -1, "float32"),
    "strided_slice": lambda shape, _: relay.strided_slice(X, shape, [2, 3]),
    "topk": lambda _, number: relay.topk(X, number, ret_type="values"),
}


@pytest.mark.parametrize("name", CALLS)
def test_expressions_give_dynamic_operators(name):
    call = CALLS[name](SHAPE, NUMBER)
    assert call.op.name == f"dyn.{name}"
    assert any(isinstance(d, Any) for d in call.checked_type.shape)


@pytest.mark.parametrize("name", [n for n in CALLS if n not in ("squeeze", "expand_dims")])
@pytest.mark.parametrize("wrap", [lambda v: v, const])
def test_numbers_and_constants_give_ordinary_operators(name, wrap):
    assert CALLS[name](wrap([2, 3]), wrap(2)).op.name == name


def test_both_results_of_topk():
    values, positions = relay.topk(X, NUMBER)
    assert values.checked_type == TensorType((2, Any()))
    assert positions.checked_type == TensorType((2, Any()), "int32")
