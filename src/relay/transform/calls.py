"""Short ways to recognise and to build operator calls; what rewrite rules are written with."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from relay import dtypes
from relay.ir.expr import Call, Constant, Expr, Op
from relay.ir.op import Array, Operator
from relay.ir.types import TensorType
from relay.op.gradients import make as make
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError


def in_shape(value: Expr, shape: Sequence[int]) -> Call:
    """The elements of `value` in `shape`, whose sizes mean what they say: 0 is no element."""
    return make("reshape", value, newshape=tuple(shape), allowzero=0 in shape)


def declaration(call: Call) -> Operator:
    """The declaration, with its attributes, of the operator that `call` calls."""
    assert isinstance(call.attrs, Operator), "a call of an operator carries its declaration"
    return call.attrs


def is_operator_call(expr: Expr) -> TypeGuard[Call]:
    """Whether `expr` calls an operator, not a function."""
    return isinstance(expr, Call) and isinstance(expr.op, Op)


def operator_name(expr: Expr) -> str:
    """The name of the operator that `expr` calls, otherwise the empty string."""
    return expr.op.name if isinstance(expr, Call) and isinstance(expr.op, Op) else ""


def is_call_of(expr: Expr, *names: str) -> TypeGuard[Call]:
    """Whether `expr` calls one of the operators called `names`."""
    return operator_name(expr) in names


def attribute(call: Call, name: str) -> Any:
    """Attribute `name` of an operator call."""
    return getattr(call.attrs, name)


def tensor_type(expr: Expr) -> TensorType | None:
    """The type of `expr` where it is a tensor of static shape, otherwise None."""
    found = expr.checked_type
    return found if isinstance(found, TensorType) and found.is_static else None


def constant(values: Array, dtype: str) -> Constant:
    """A constant of `values`, stored as `dtype`."""
    return Constant(NDArray(np.asarray(values), dtype))


def constant_array(expr: Expr) -> Array | None:
    """The elements of a constant whose data type NumPy can compute with, otherwise None."""
    if isinstance(expr, Constant) and dtypes.is_native(expr.data.dtype):
        return expr.data.numpy()
    return None


def uniform_value(expr: Expr) -> float | None:
    """The value that all elements of a constant have, otherwise None."""
    values = constant_array(expr)
    if values is None or values.size == 0:
        return None
    first = values.flat[0]
    if values.flat[-1] != first:  # most weights are told apart without a look at all of them
        return None
    return float(first) if bool(np.all(values == first)) else None


def normalize_axis(axis: int, rank: int, what: str) -> int:
    """`axis` counted from the front; raises `RelayError` where there is no such axis."""
    if not -rank <= axis < rank:
        raise RelayError(f"{what}: axis {axis} is out of range for rank {rank}")
    return axis % rank
