"""Memory as compiled programs of Relay's virtual machine name it.

Here the compiler plans memory behind the program's back, so that no program has to name it. The
operators are there to read and to look at programs that do; values of tuples are taken apart and
put together with `flatten_tuple_type`, `from_tuple_type` and `to_tuple_type`.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from relay.ir.expr import Call, Constant, Expr, ExprLike, Tuple, TupleGetItem, const
from relay.ir.op import Operator, Pattern, expect_tensor, operator
from relay.ir.types import (
    Any,
    GlobalTypeVar,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    flatten_tensor_types,
)
from relay.op.devices import as_device
from relay.op.gradients import reshaped
from relay.op.shapes import Ints, as_ints, expect_kind, put_dtype, put_ints
from relay.runtime.device import Device
from relay.support.errors import TypeInferenceError

STORAGE = TypeCall(GlobalTypeVar("Storage"), ())
"""The type of memory: the external type ``Storage`` of ``core.rly``."""

_PLANNED = "the compiler plans memory itself; nothing is left for a program to allocate"
_MISSING = {"compute": _PLANNED, "reference": _PLANNED}


def _expect_scalar(name: str, argument: str, type_: Type) -> None:
    tensor = expect_kind(name, argument, type_, "integer")
    if tensor.shape:
        raise TypeInferenceError(f"{name}: expected a scalar for {argument}, found {tensor}")


@operator(
    "memory.alloc_storage",
    inputs=("size", "shape", "alignment"),
    pattern=Pattern.OPAQUE,
    level=10,
)
class AllocStorage(Operator):
    """Memory of `size` bytes at a multiple of `alignment`, for a tensor of `shape` and `dtype`."""

    piecewise_constant = True
    missing: ClassVar[dict[str, str]] = _MISSING

    dtype: str = "float32"
    virtual_device: str = ""

    def __post_init__(self) -> None:
        put_dtype(self)

    def infer(self, size: Type, shape: Type, alignment: Type) -> Type:
        _expect_scalar(self.name, "size", size)
        _expect_scalar(self.name, "alignment", alignment)
        expect_kind(self.name, "shape", shape, "integer")
        return STORAGE


@operator(
    "memory.alloc_tensor",
    inputs=("storage", "offset", "shape"),
    pattern=Pattern.OPAQUE,
    level=10,
)
class AllocTensor(Operator):
    """A tensor in `storage` from byte `offset` on, of type `dtype`.

    Its sizes are `const_shape`, or `assert_shape` where `shape` is known only at run time.
    """

    piecewise_constant = True
    missing: ClassVar[dict[str, str]] = _MISSING

    dtype: str = "float32"
    const_shape: tuple[int, ...] | None = None
    assert_shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        put_dtype(self)
        put_ints(self, "const_shape", "assert_shape")

    def infer(self, storage: Type, offset: Type, shape: Type) -> Type:
        if storage != STORAGE:
            raise TypeInferenceError(f"{self.name}: expected {STORAGE}, found {storage}")
        _expect_scalar(self.name, "offset", offset)
        sizes = expect_kind(self.name, "shape", shape, "integer").shape
        given = self.const_shape if self.const_shape is not None else self.assert_shape
        if given is not None:
            return TensorType(given, self.dtype)
        rank = sizes[0] if sizes else 0
        if not isinstance(rank, int):
            raise TypeInferenceError(f"{self.name}: the rank of the tensor is not known")
        return TensorType([Any()] * rank, self.dtype)


@operator("memory.kill", inputs=("to_free",), pattern=Pattern.OPAQUE, level=10)
class Kill(Operator):
    """Says that the tensor `to_free` is not used any more; the empty tuple."""

    takes_small = True
    piecewise_constant = True
    stateful: ClassVar[bool] = True
    missing: ClassVar[dict[str, str]] = {"compute": _PLANNED}

    def infer(self, to_free: Type) -> Type:
        return TupleType([])

    def expand(self, to_free: Expr) -> Expr:
        return Tuple([])

    def reference(self, to_free: object) -> tuple[()]:
        return ()


def alloc_storage(
    size: Expr,
    alignment: Expr,
    device: Device | str,
    dtype_hint: str = "float32",
    shape: Expr | None = None,
) -> Call:
    """Memory for a tensor; see `AllocStorage`. Without a `shape` it is a vector of `size`."""
    sizes = reshaped(size, (1,)) if shape is None else shape
    return AllocStorage.call(
        size, sizes, alignment, dtype=dtype_hint, virtual_device=as_device(device)
    )


def alloc_tensor(
    storage: Expr,
    offset: ExprLike,
    shape: Expr | Ints,
    dtype: str = "float32",
    assert_shape: Sequence[int] | None = None,
) -> Call:
    """A tensor in memory; see `AllocTensor`. Without `assert_shape` the shape is a constant.

    Raises `ValueError` where neither is known.
    """
    sizes = shape if isinstance(shape, Expr) else const(np.asarray(as_ints(shape), "int64"))
    place = offset if isinstance(offset, Expr) else const(np.asarray(offset, "int64"))
    known: tuple[int, ...] | None = None
    if assert_shape is None:
        if not isinstance(sizes, Constant):
            raise ValueError("expected a constant shape, or an assert_shape")
        known = as_ints(sizes)
    return AllocTensor.call(
        storage, place, sizes, dtype=dtype, const_shape=known, assert_shape=assert_shape
    )


def kill(to_free: Expr) -> Call:
    """Says that a tensor is not used any more; see `Kill`."""
    return Kill.call(to_free)


def flatten_tuple_type(ty: Type) -> list[TensorType]:
    """The tensors of a type, from left to right; raises `ValueError` where a leaf is none."""
    return list(flatten_tensor_types(ty))


def from_tuple_type(ty: Type, expr: Expr) -> list[Expr]:
    """The tensors that `expr` of type `ty` is made of, as expressions, from left to right."""
    found: list[Expr] = []
    stack: list[tuple[Type, Expr]] = [(ty, expr)]
    while stack:
        type_, value = stack.pop()
        if isinstance(type_, TupleType):
            parts = [(t, TupleGetItem(value, k)) for k, t in enumerate(type_.fields)]
            stack.extend(reversed(parts))
        else:
            expect_tensor("from_tuple_type", "a leaf", type_)
            found.append(value)
    return found


def to_tuple_type(ty: Type, exprs: Sequence[Expr]) -> Expr:
    """The value of type `ty` that the tensors `exprs` make, taken from left to right.

    Raises `ValueError` where there are more or fewer than the type has.
    """
    if len(flatten_tensor_types(ty)) != len(exprs):
        raise ValueError(f"{ty} does not consist of {len(exprs)} tensors")
    return _packed(ty, iter(exprs))


def _packed(ty: Type, exprs: Iterator[Expr]) -> Expr:
    # As deep as the type is nested, which people write down.
    if isinstance(ty, TupleType):
        return Tuple([_packed(field, exprs) for field in ty.fields])
    return next(exprs)


__all__ = [
    "STORAGE",
    "AllocStorage",
    "AllocTensor",
    "Kill",
    "alloc_storage",
    "alloc_tensor",
    "flatten_tuple_type",
    "from_tuple_type",
    "kill",
    "to_tuple_type",
]
