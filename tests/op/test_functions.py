"""The functions that build calls: arguments, defaults, tuples, and how they explain refusals."""

import inspect

import numpy as np
import pytest

from relay import op
from relay.ir.expr import Call, Expr, Op, Tuple, TupleGetItem, Var, const
from relay.ir.types import Any, TensorType, TupleType
from relay.op.functions import TupleWrapper
from relay.op.tensor.broadcast import Add
from relay.op.tensor.index import OneHot
from relay.op.tensor.reduce import Sum
from relay.op.tensor.reshape import Reshape, Transpose
from relay.support.errors import InputError, RelayError, TypeInferenceError


def tensor(*shape: object, dtype: str = "float32", name: str = "x") -> Var:
    return Var(name, TensorType(shape, dtype))


def shape_of(expr: Expr) -> tuple[object, ...]:
    found = expr.checked_type
    assert isinstance(found, TensorType)
    return found.shape


def test_a_call_is_of_the_operator_and_carries_its_declaration() -> None:
    call = op.sum(tensor(2, 3), axis=1)
    assert isinstance(call, Call)
    assert call.op is op.get("sum")
    assert call.attrs == Sum(axis=(1,))


def test_attributes_by_position_and_name() -> None:
    x = tensor(2, 3)
    assert op.sum(x, 1, True).attrs == op.sum(data=x, keepdims=True, axis=[1]).attrs
    with pytest.raises(TypeError):
        op.sum(x, 1, axes=2)
    with pytest.raises(TypeError):
        op.add(x)


def test_signature_and_documentation_come_from_the_declaration() -> None:
    shown = inspect.signature(op.reshape)
    assert list(shown.parameters) == ["data", "newshape", "allowzero"]
    assert shown.parameters["allowzero"].default is False
    assert op.add.__doc__ == Add.__doc__
    assert op.add.__name__ == "add"


def test_integers_lists_and_constants_become_tuples() -> None:
    assert Reshape(newshape=3).newshape == (3,)
    assert Reshape(newshape=[np.int64(2), 3]).newshape == (2, 3)
    assert Reshape(newshape=const([2, 3])).newshape == (2, 3)
    assert Transpose(axes=[]).axes is None


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "uint8"])
def test_scalars_take_the_type_of_the_other_side(dtype: str) -> None:
    x = tensor(2, dtype=dtype)
    for call in (op.add(x, 1), op.add(1, x), x + 1, 1 - x, op.where(tensor(2, dtype="bool"), 1, x)):
        assert call.checked_type == TensorType((2,), dtype)


def test_indices_do_not_take_the_type_of_the_data() -> None:
    assert shape_of(op.take(tensor(4, 5), 2, axis=0)) == (5,)
    assert shape_of(op.take(tensor(4, 5), np.array([1, 2, 3]), axis=1)) == (4, 3)
    hot = op.one_hot(tensor(3, dtype="int32"), 1.0, 0.0, 5)
    assert hot.attrs == OneHot(depth=5)
    assert shape_of(hot) == (3, 5)


def test_tuple_inputs_take_lists() -> None:
    x, y = tensor(2, 3), tensor(1, 3, name="y")
    for joined in (
        op.concatenate([x, y], 0),
        op.concatenate((x, y)),
        op.concatenate(Tuple([x, y])),
    ):
        assert shape_of(joined) == (3, 3)


def test_tuple_results_can_be_unpacked() -> None:
    parts = op.split(tensor(6, 2), 3)
    assert isinstance(parts, TupleWrapper)
    assert len(parts) == 3
    first, _, last = parts
    assert isinstance(last, TupleGetItem)
    assert last.index == 2
    assert parts[-1].checked_type == first.checked_type == TensorType((2, 2))
    assert isinstance(parts.astuple().checked_type, TupleType)
    assert shape_of(op.concatenate(parts)) == (6, 2)
    with pytest.raises(IndexError):
        parts[3]


def test_composites() -> None:
    x = tensor(2, 3)
    assert shape_of(op.variance(x, 1)) == (2,)
    assert shape_of(op.std(x, 1, keepdims=True)) == (2, 1)
    assert op.mean_variance(x, 1).checked_type == TupleType([TensorType((2,))] * 2)
    assert op.mean_std(x, 0, keepdims=True).checked_type == TupleType([TensorType((1, 3))] * 2)
    assert shape_of(op.logsumexp(x, 1)) == (2,)
    assert shape_of(op.logsumexp(x)) == ()
    assert shape_of(op.arange(1, 7, 2)) == (3,)
    assert shape_of(op.arange(const(4))) == (4,)


@pytest.mark.parametrize(
    ("shape", "newshape", "expected"),
    [
        ((2, 3, 4), (0, -1), (2, 12)),
        ((2, 3, 4), (-2,), (2, 3, 4)),
        ((2, 3, 4), (-3, 4), (6, 4)),
        ((2, 3, 4), (-4, 1, 2, -2), (1, 2, 3, 4)),
        ((2, 3, 4), (2, -4, -1, 3, -2), (2, 1, 3, 4)),
        ((Any(), 3, 4), (0, -1), (Any(), 12)),
        ((Any(), 3, 4), (-1, 12), (Any(), 12)),
        ((Any(), 4), (2, -1), (2, Any())),
        ((Any(), 4), (-3, -1), (Any(), 1)),
        ((Any(), 6), (-4, 2, -1, 0), (2, Any(), 6)),
        ((Any(), Any(), 2), (-1, 0, 1), (Any(), Any(), 1)),
        ((Any(), Any()), (0, 0, 1), (Any(), Any(), 1)),
    ],
)
def test_reshape(
    shape: tuple[object, ...], newshape: tuple[int, ...], expected: tuple[object, ...]
) -> None:
    assert shape_of(op.reshape(tensor(*shape), newshape)) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((Any(), 3), (1, 3), (Any(), 3)),
        ((Any(),), (5,), (5,)),
        ((1,), (Any(),), (Any(),)),
        ((Any(),), (Any(),), (Any(),)),
        ((2, 1), (Any(), 1, 4), (Any(), 2, 4)),
    ],
)
def test_broadcast_of_unknown_sizes(
    a: tuple[object, ...], b: tuple[object, ...], expected: tuple[object, ...]
) -> None:
    assert shape_of(op.add(tensor(*a), tensor(*b))) == expected
    assert shape_of(op.add(tensor(*b), tensor(*a))) == expected


REFUSED = {
    "dtypes": (lambda: op.add(tensor(2), tensor(2, dtype="int32")), "float32 and int32.*cast"),
    "broadcast": (lambda: op.add(tensor(2, 3), tensor(4)), r"\(2, 3\) and \(4\).*dimension -1"),
    "integers": (lambda: op.exp(tensor(2, dtype="int32")), "floating-point tensor.*cast"),
    "bool": (lambda: op.add(tensor(2, dtype="bool"), True), "tensor of numbers"),
    "axis": (lambda: op.sum(tensor(2, 3), 2), r"axis must be in -2 \.\. 1, found 2"),
    "twice": (lambda: op.sum(tensor(2, 3), (0, -2)), "named twice"),
    "reshape": (lambda: op.reshape(tensor(2, 3), (4, 2)), "8 elements, the tensor has 6"),
    "divide": (lambda: op.reshape(tensor(2, 3), (4, -1)), "cannot be divided"),
    "two -1": (lambda: op.reshape(tensor(2, 3), (-1, -1)), "-1 may appear once"),
    "squeeze": (lambda: op.squeeze(tensor(2, 3), 1), "has size 3, expected 1"),
    "transpose": (lambda: op.transpose(tensor(2, 3), (0, 0)), "each of the 2 dimensions once"),
    "concatenate": (lambda: op.concatenate([tensor(2, 3), tensor(2, 4)]), "dimension 1"),
    "no tuple": (lambda: op.concatenate(tensor(2, 3)), "expected a tuple of tensors"),
    "split": (lambda: op.split(tensor(5), 2)[0], "cannot be split into 2"),
    "gather": (lambda: op.gather(tensor(5), 0, tensor(1, 1, dtype="int32")), "one rank"),
    "float index": (lambda: op.take(tensor(5), tensor(2)), "integer tensor"),
    "broadcast_to": (lambda: op.broadcast_to(tensor(2), (3,)), "does not broadcast to"),
    "slice": (lambda: op.strided_slice(tensor(2), (0, 0), (1, 1)), "no more than the rank"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_explained(case: str) -> None:
    build, message = REFUSED[case]
    with pytest.raises(TypeInferenceError, match=message):
        _ = build().checked_type


def test_bad_attributes_are_explained() -> None:
    with pytest.raises(RelayError, match="unknown data type 'float31'"):
        op.cast(tensor(2), "float31")
    with pytest.raises(RelayError, match="mode must be"):
        op.take(tensor(2), 0, mode="raise")
    with pytest.raises(RelayError, match="size is known"):
        op.arange(tensor())
    with pytest.raises(RelayError, match="no operator named 'nope'"):
        op.get("nope")


def test_indices_out_of_bounds_are_errors_in_the_reference() -> None:
    data = np.arange(6, dtype="float32").reshape(2, 3)
    gather, take = Op.get("gather").declaration, Op.get("take").declaration
    with pytest.raises(InputError, match=r"index 3 is outside 0 \.\. 2"):
        gather(axis=1).reference(data, np.array([[3], [0]]))
    with pytest.raises(InputError, match="index -1"):
        take(axis=0, mode="fast").reference(data, np.array([-1]))
