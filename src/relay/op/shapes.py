"""Shapes and axes of operators: normal attributes, broadcasting, checks with helpful messages."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from relay import dtypes, te
from relay.ir.expr import Constant
from relay.ir.op import Operator, expect_tensor
from relay.ir.types import Any, Dim, SizeVar, TensorType, TupleType, Type
from relay.support.errors import TypeInferenceError

Ints: TypeAlias = int | Sequence[int] | npt.NDArray[np.generic] | Constant


def as_ints(value: Ints) -> tuple[int, ...]:
    """An integer, a sequence of integers or a constant, as a tuple of integers."""
    if isinstance(value, Constant):
        value = value.data.numpy()
    if isinstance(value, np.ndarray):
        return tuple(int(v) for v in value.reshape(-1))
    if isinstance(value, Sequence):
        return tuple(int(v) for v in value)
    return (int(value),)


def put(declaration: Operator, name: str, value: object) -> None:
    """Set an attribute while the declaration is being made (in ``__post_init__``)."""
    object.__setattr__(declaration, name, value)


def put_ints(declaration: Operator, *names: str) -> None:
    """Normalise the attributes `names` to tuples of integers; None stays None."""
    for name in names:
        value = getattr(declaration, name)
        if value is not None:
            put(declaration, name, as_ints(value))


def put_dtype(declaration: Operator, name: str = "dtype") -> None:
    """Check the data type attribute `name`; empty means "same as the input" and is left alone."""
    value = getattr(declaration, name) or ""
    put(declaration, name, dtypes.check(value) if value else "")


def reference_dtype(dtype: str) -> np.dtype[np.generic]:
    """The NumPy dtype in which references compute `dtype` (``bfloat16`` in ``float32``)."""
    return dtypes.value_dtype(dtype)


def fits(value: float, dtype: str) -> bool:
    """Whether `dtype` has `value`, rounded to an integer where it has only those."""
    if dtypes.is_float(dtype):
        return True
    low, high = dtypes.integer_range(dtype)
    return math.isfinite(value) and low <= math.trunc(value) <= high


def normalize_axis(operator_name: str, axis: int, rank: int) -> int:
    """`axis` counted from the front; raises `TypeInferenceError` when it is out of range."""
    if not -rank <= axis < rank:
        expected = f"-{rank} .. {rank - 1}" if rank else "nothing (the tensor is a scalar)"
        raise TypeInferenceError(f"{operator_name}: axis must be in {expected}, found {axis}")
    return axis % rank


def normalize_axes(
    operator_name: str, axes: Sequence[int] | None, rank: int, exclude: bool = False
) -> tuple[int, ...]:
    """Sorted axes counted from the front; None is all of them; `exclude` takes the others.

    Raises `TypeInferenceError` when an axis is out of range or named twice.
    """
    if axes is None:
        chosen = set(range(rank))
    else:
        chosen = {normalize_axis(operator_name, a, rank) for a in axes}
        if len(chosen) != len(axes):
            raise TypeInferenceError(f"{operator_name}: an axis is named twice in {tuple(axes)}")
        if exclude:
            chosen = set(range(rank)) - chosen
    return tuple(sorted(chosen))


def broadcast_dim(a: Dim, b: Dim) -> Dim | None:
    """The dimension that `a` and `b` broadcast to, or None where they do not.

    1 yields to the other; an unknown size yields to a known one other than 1. Of two different
    unknown sizes either may be 1.
    """
    if a == 1:
        return b
    if b == 1 or a == b:
        return a
    if isinstance(a, Any):
        return Any() if isinstance(b, Any) else b
    return a if isinstance(b, Any) else None


def broadcast_shape(operator_name: str, a: Sequence[Dim], b: Sequence[Dim]) -> tuple[Dim, ...]:
    """The shape that `a` and `b` broadcast to, aligned at the last dimension (NumPy's rule).

    Raises `TypeInferenceError` where a pair of dimensions does not match.
    """
    rank = max(len(a), len(b))
    left = (*(1,) * (rank - len(a)), *a)
    right = (*(1,) * (rank - len(b)), *b)
    result: list[Dim] = []
    for k, (x, y) in enumerate(zip(left, right, strict=True)):
        dim = broadcast_dim(x, y)
        if dim is None:
            raise TypeInferenceError(
                f"{operator_name}: shapes {show(a)} and {show(b)} do not broadcast: dimension "
                f"{k - rank} is {x} on one side and {y} on the other (equal sizes or 1 expected)"
            )
        result.append(dim)
    return tuple(result)


def show(shape: Sequence[Dim]) -> str:
    """A shape for a message: ``(1, ?, 3)``."""
    return f"({', '.join(map(str, shape))})"


def expect_same_dtype(operator_name: str, a: TensorType, b: TensorType) -> str:
    """The data type of both; raises `TypeInferenceError` suggesting a cast where they differ."""
    if a.dtype != b.dtype:
        raise TypeInferenceError(
            f"{operator_name}: both sides must have one data type, found {a.dtype} and {b.dtype}; "
            f'convert one of them, for example relay.cast(x, "{a.dtype}")'
        )
    return a.dtype


def broadcast_types(operator_name: str, lhs: Type, rhs: Type) -> TensorType:
    """The broadcast of two tensor types of one data type."""
    a = expect_tensor(operator_name, "lhs", lhs)
    b = expect_tensor(operator_name, "rhs", rhs)
    dtype = expect_same_dtype(operator_name, a, b)
    return TensorType(broadcast_shape(operator_name, a.shape, b.shape), dtype)


def expect_kind(operator_name: str, argument: str, type_: Type, kind: str) -> TensorType:
    """`type_` as a tensor whose data type is of `kind`: float, integer, number, bits, bool or any.

    Raises `TypeInferenceError` otherwise.
    """
    tensor = expect_tensor(operator_name, argument, type_)
    dtype = tensor.dtype
    fits = {
        "float": dtypes.is_float(dtype),
        "integer": dtypes.is_integer(dtype),
        "number": dtype not in ("bool", dtypes.STRING),
        "bits": dtype == "bool" or dtypes.is_integer(dtype),
        "bool": dtype == "bool",
        "any": True,
    }[kind]
    if not fits:
        expected = {
            "float": "a floating-point tensor",
            "integer": "an integer tensor",
            "number": "a tensor of numbers",
            "bits": "an integer or bool tensor",
            "bool": "a bool tensor",
        }[kind]
        raise TypeInferenceError(
            f"{operator_name}: expected {expected} for {argument}, found {tensor}; "
            "convert it with relay.cast"
        )
    return tensor


def expect_tensors(operator_name: str, argument: str, type_: Type) -> tuple[TensorType, ...]:
    """The fields of a tuple type, all tensors, at least one; raises `TypeInferenceError`."""
    if not isinstance(type_, TupleType):
        raise TypeInferenceError(
            f"{operator_name}: expected a tuple of tensors for {argument}, found {type_}"
        )
    if not type_.fields:
        raise TypeInferenceError(f"{operator_name}: {argument} must not be empty")
    return tuple(
        expect_tensor(operator_name, f"field {k} of {argument}", f)
        for k, f in enumerate(type_.fields)
    )


def size_of(shape: Sequence[Dim]) -> Dim:
    """The number of elements; `Any` where a dimension is unknown."""
    known = [d for d in shape if isinstance(d, int)]
    if 0 in known:
        return 0
    return math.prod(known) if len(known) == len(shape) else Any()


def unify_dim(operator_name: str, a: Dim, b: Dim, what: str) -> Dim:
    """The common size of two dimensions that must be equal: a number, else a name, else `Any`."""
    if isinstance(a, Any):
        return b if isinstance(b, int | SizeVar) else a
    if not isinstance(b, Any) and a != b:
        raise TypeInferenceError(f"{operator_name}: {what} must be equal, found {a} and {b}")
    return a


def te_broadcast_shape(*shapes: Sequence[te.Dim]) -> tuple[te.Dim, ...]:
    """The shape that shapes of tensor expressions broadcast to (already checked by `infer`)."""
    rank = max(map(len, shapes))
    result: list[te.Dim] = [1] * rank
    for shape in shapes:
        for k, dim in enumerate(shape, start=rank - len(shape)):
            old = result[k]
            if old is dim or old == 1:
                result[k] = dim
            elif not isinstance(old, int) and dim != 1:
                known = isinstance(dim, int)
                result[k] = dim if known else te.select(te.equal(old, 1), dim, old)
    return tuple(result)


def te_broadcast_read(
    tensor: te.Tensor, indices: Sequence[te.Expr], shape: Sequence[te.Dim]
) -> te.Expr:
    """The element of `tensor` that broadcasts to `indices` of a tensor of `shape`."""
    skipped = len(indices) - tensor.ndim
    position: list[te.Operand] = []
    for size, index, out in zip(tensor.shape, indices[skipped:], shape[skipped:], strict=True):
        if size is out:
            position.append(index)
        elif isinstance(size, int):
            position.append(0 if size == 1 and out != 1 else index)
        else:
            position.append(te.select(te.equal(size, 1), te.const(0), index))
    return tensor(*position)


def replaced(items: Sequence[te.Operand], axis: int, item: te.Operand) -> tuple[te.Operand, ...]:
    """`items` with the one at `axis` replaced."""
    return (*items[:axis], item, *items[axis + 1 :])


def te_size(shape: Sequence[te.Dim]) -> te.Expr:
    """The number of elements of a tensor expression of `shape`."""
    total: te.Expr = te.const(1)
    for dim in shape:
        total = total * dim
    return total


def te_unflatten(position: te.Expr, shape: Sequence[te.Dim]) -> tuple[te.Expr, ...]:
    """The indices of row-major `position` in a tensor whose `shape` may be symbolic."""
    sizes = [d for d in shape if isinstance(d, int)]
    if len(sizes) == len(shape):
        return te.unflatten_index(position, sizes)
    indices: list[te.Expr] = []
    for dim in reversed(shape):
        indices.append(position % dim if len(indices) + 1 < len(shape) else position)
        position = position // dim
    return tuple(reversed(indices))
