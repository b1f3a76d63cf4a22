"""Calls on constants, computed while importing."""

import math
from collections.abc import Sequence

import numpy as np

from relay import dtypes
from relay.frontend.onnx.session import Allowance
from relay.ir.expr import Call, Constant, Expr, Tuple
from relay.ir.op import Operator
from relay.ir.types import TensorType, TupleType, Type
from relay.op.deferred import moved
from relay.runtime.memory import owned
from relay.runtime.ndarray import NDArray
from relay.support.errors import InternalError
from relay.support.source import Span


def _is_constant(expr: Expr) -> bool:
    if isinstance(expr, Tuple):
        return all(isinstance(f, Constant) for f in expr.fields)
    return isinstance(expr, Constant)


def _leaves(expr: Expr) -> list[Constant]:
    fields = expr.fields if isinstance(expr, Tuple) else (expr,)
    return [f for f in fields if isinstance(f, Constant)]


def _bytes(types: Sequence[Type]) -> int:
    return sum(
        math.prod(t.concrete_shape) * dtypes.itemsize(t.dtype)
        for t in types
        if isinstance(t, TensorType)
    )


def folded(call: Call, found: Type, allowance: Allowance) -> Expr | None:
    """The value of a call on constants; None where it is better made at run time.

    `found` is the type of the call.
    """
    if not call.args or not all(_is_constant(a) for a in call.args):
        return None
    results = found.fields if isinstance(found, TupleType) else (found,)
    leaves = [c for a in call.args for c in _leaves(a)]
    tensors = [t for t in results if isinstance(t, TensorType) and t.is_static]
    operator = call.attrs
    if (
        len(tensors) != len(results)
        or not isinstance(operator, Operator)
        or "reference" in operator.missing
        or operator.stateful
        or not all(dtypes.is_native(t.dtype) for t in tensors)
        or not all(dtypes.is_native(c.data.dtype) for c in leaves)
        or not allowance.folds(_bytes(tensors), _bytes([c.checked_type for c in leaves]))
    ):
        return None
    if isinstance(found, TensorType) and isinstance(call.args[0], Constant):
        later = moved(operator, call.args[0].data, found)
        if later is not None:
            return Constant(later, call.span)
    arguments = [
        tuple(f.data.numpy() for f in _leaves(a))
        if isinstance(a, Tuple)
        else _leaves(a)[0].data.numpy()
        for a in call.args
    ]
    with np.errstate(all="ignore"):
        value = operator.reference(*arguments)
    values = value if isinstance(found, TupleType) else (value,)
    constants = [_checked(v, t, operator, call.span) for v, t in zip(values, tensors, strict=True)]
    return Tuple(constants, call.span) if isinstance(found, TupleType) else constants[0]


def _checked(
    value: object, expected: TensorType, operator: Operator, span: Span | None
) -> Constant:
    array = np.asarray(value)
    if array.shape != expected.concrete_shape or dtypes.from_numpy(array.dtype) != expected.dtype:
        raise InternalError(
            f"the reference of {operator.name} makes {array.dtype.name}{array.shape}, "
            f"but its type is {expected}",
            span,
        )
    # A transposed weight stays a view until it is packed.
    return Constant(NDArray(owned(array)), span)
