"""The meaning of tensor expressions in NumPy: every element at once, over grids of indices.

It shares nothing with the compiler but the meaning of single operations (`relay.te.arith`) and, for
ordered stages, the interpreter of loop programs, which checks every access. Of expressions, a read
out of bounds is an error only where its value is used: each value carries the positions at which it
is invalid, a select takes those of the chosen side, and what is invalid in the end is reported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relay import dtypes, te
from relay.ir.op import Operator
from relay.loop.interp import run
from relay.loop.ordered import function_of
from relay.support.errors import InternalError
from relay.te import arith
from relay.te.arith import BINARY, COMPARE, UNARY
from relay.te.expr import REINTERPRETS

Array: TypeAlias = npt.NDArray[Any]

_REDUCE: dict[str, Callable[..., Array]] = {
    "sum": np.sum,
    "prod": np.prod,
    "min": np.min,
    "max": np.max,
    "any": np.any,
    "all": np.all,
}


@dataclass(frozen=True)
class _Value:
    """An array over the grid, and where it is invalid (None: nowhere)."""

    array: Array
    invalid: Array | None = None


def _either(masks: Sequence[Array | None]) -> Array | None:
    result: Array | None = None
    for mask in masks:
        if mask is not None:
            result = mask if result is None else np.logical_or(result, mask)
    return result


def _numpy_dtype(dtype: str) -> np.dtype[np.generic]:
    return dtypes.value_dtype(dtype)


class _Evaluator:
    """Evaluates expressions over one grid of indices."""

    def __init__(self, variables: dict[te.Var, Array], tensors: Mapping[te.Tensor, Array]) -> None:
        self.variables = variables
        self.tensors = tensors

    def run(self, root: te.Expr) -> _Value:
        """The value of `root` over the grid."""
        done: dict[te.Expr, _Value] = {}
        stack = [root]
        while stack:
            node = stack[-1]
            pending = [c for c in node.children() if c not in done]
            if node in done or not pending:
                stack.pop()
                if node not in done:
                    done[node] = self.apply(node, [done[c] for c in node.children()])
            else:
                stack.extend(pending)
        return done[root]

    def apply(self, node: te.Expr, inputs: Sequence[_Value]) -> _Value:
        """The value of `node` from the values of its children."""
        arrays = [v.array for v in inputs]
        invalid = _either([v.invalid for v in inputs])
        dtype = _numpy_dtype(node.dtype)
        match node:
            case te.Const():
                return _Value(np.asarray(arith.constant(node)))
            case te.Var():
                return _Value(self.variables[node])
            case te.Unary(op=op) if op in REINTERPRETS:
                return _Value(np.asarray(arith.unary(node, arrays[0])), invalid)
            case te.Unary(op=op):
                return _Value(np.asarray(UNARY[op](arrays[0]), dtype=dtype), invalid)
            case te.Binary(op=op):
                return _Value(np.asarray(BINARY[op](*arrays), dtype=dtype), invalid)
            case te.Compare(op=op):
                return _Value(np.asarray(COMPARE[op](*arrays)), invalid)
            case te.Cast() if node.dtype in dtypes.SMALL:
                return _Value(np.asarray(arith.convert(arrays[0], node.dtype)), invalid)
            case te.Cast():
                return _Value(arrays[0].astype(dtype), invalid)
            case te.Select():
                return self.select(inputs)
            case te.Read():
                return self.read(node, arrays, invalid)
            case _:
                raise InternalError(f"{type(node).__name__} inside of an expression")

    def select(self, inputs: Sequence[_Value]) -> _Value:
        """The chosen side's value, and where that is invalid."""
        cond, then, otherwise = inputs
        result = np.where(cond.array, then.array, otherwise.array)
        if then.invalid is None and otherwise.invalid is None:
            return _Value(result, cond.invalid)
        left = False if then.invalid is None else then.invalid
        right = False if otherwise.invalid is None else otherwise.invalid
        return _Value(result, _either([cond.invalid, np.where(cond.array, left, right)]))

    def read(self, node: te.Read, indices: Sequence[Array], invalid: Array | None) -> _Value:
        """The elements at `indices`; those out of bounds are invalid."""
        source = self.tensors[node.tensor]
        safe: list[Array] = []
        for index, size in zip(indices, source.shape, strict=True):
            outside = np.logical_or(index < 0, index >= size)
            if np.any(outside):
                invalid = _either([invalid, outside])
            safe.append(np.clip(index, 0, max(size - 1, 0)))
        if 0 in source.shape:
            shape = np.broadcast_shapes(*(i.shape for i in safe))
            return _Value(np.zeros(shape, dtype=source.dtype), invalid)
        return _Value(np.asarray(source[tuple(safe)]), invalid)


def _grid(
    axes: Sequence[te.Axis], sizes: Sequence[int], variables: Mapping[te.Var, Array]
) -> dict[te.Var, Array]:
    """`variables` and one array per axis, shaped to broadcast over the grid of `sizes`."""
    result = dict(variables)
    for k, (axis, size) in enumerate(zip(axes, sizes, strict=True)):
        shape = [1] * len(axes)
        shape[k] = size
        result[axis.var] = np.arange(size, dtype="int64").reshape(shape)
    return result


def _compute(
    tensor: te.Tensor, tensors: Mapping[te.Tensor, Array], variables: Mapping[te.Var, Array]
) -> Array:
    """All elements of a computed tensor."""
    assert tensor.body is not None
    reduction = tensor.body if isinstance(tensor.body, te.Reduce) else None
    axes = [*tensor.axes, *(reduction.axes if reduction else ())]
    sizes = [_known_size(a.extent, variables) for a in axes]
    evaluator = _Evaluator(_grid(axes, sizes, variables), tensors)
    value = evaluator.run(reduction.body if reduction else tensor.body)
    if value.invalid is not None and np.any(np.broadcast_to(value.invalid, sizes)):
        raise InternalError(f"the expression of {tensor.name} reads out of bounds")
    dtype = _numpy_dtype(tensor.dtype)
    full = np.broadcast_to(value.array, sizes)
    if reduction is None:
        return np.array(full, dtype=dtype)
    over = tuple(range(tensor.ndim, len(axes)))
    start = te.identity(reduction.kind, tensor.dtype).value
    if reduction.kind in ("any", "all"):
        return np.asarray(_REDUCE[reduction.kind](full, axis=over))
    if reduction.kind in ("sum", "prod"):
        return np.asarray(_REDUCE[reduction.kind](full, axis=over, dtype=dtype))
    return np.asarray(_REDUCE[reduction.kind](full, axis=over, initial=start), dtype=dtype)


def _run_ordered(
    stage: te.Ordered, tensors: Mapping[te.Tensor, Array], variables: Mapping[te.Var, Array]
) -> dict[te.Tensor, Array]:
    """All elements of what an ordered stage makes."""
    given = [tensors[t] for t in stage.inputs]
    shapes = [a.shape for a in given] + [
        tuple(_known_size(d, variables) for d in t.shape) for t in stage.outputs
    ]
    stored = [arith.stored(a, t.dtype) for a, t in zip(given, stage.inputs, strict=True)]
    made = run(function_of(stage, shapes), *stored)
    return {
        t: np.asarray(arith.loaded(a, t.dtype)) for t, a in zip(stage.outputs, made, strict=True)
    }


def _known_size(size: te.Dim, variables: Mapping[te.Var, Array]) -> int:
    if isinstance(size, int):
        return size
    return int(_Evaluator(dict(variables), {}).run(size).array)


def _reads(tensor: te.Tensor) -> list[te.Tensor]:
    """The tensors that the expression of `tensor` reads."""
    assert tensor.body is not None, f"no value is given for {tensor.name}"
    root = tensor.body
    found: dict[te.Tensor, None] = {}
    seen: set[te.Expr] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, te.Read):
            found[node.tensor] = None
        stack.extend(node.children())
    return list(found)


def evaluate_te(
    outputs: Sequence[te.Tensor], inputs: Mapping[te.Tensor, Array]
) -> tuple[Array, ...]:
    """The values of `outputs` given those of the placeholders.

    Variables that are dimensions of placeholders get their sizes from the arrays. ``bfloat16`` is
    computed in ``float32``. Raises `InternalError` where a used value is read out of bounds.
    """
    variables: dict[te.Var, Array] = {}
    for tensor, array in inputs.items():
        for dim, size in zip(tensor.shape, array.shape, strict=True):
            if isinstance(dim, te.Var):
                variables[dim] = np.asarray(size, dtype="int64")
    tensors = dict(inputs)
    stack = list(outputs)
    with np.errstate(all="ignore"):
        while stack:
            tensor = stack[-1]
            if tensor in tensors:
                stack.pop()
                continue
            read = tensor.ordered.inputs if tensor.ordered else _reads(tensor)
            pending = [t for t in read if t not in tensors]
            if pending:
                stack.extend(pending)
            elif tensor.ordered is not None:
                tensors.update(_run_ordered(tensor.ordered, tensors, variables))
            else:
                tensors[tensor] = _compute(tensor, tensors, variables)
    return tuple(tensors[t] for t in outputs)


def evaluate_operator(
    declaration: Operator,
    arguments: Sequence[Array | tuple[Array, ...]],
    symbolic: bool = False,
) -> tuple[Array, ...]:
    """The results of an operator's `compute` on `arguments`, its only result in a 1-tuple.

    With `symbolic` the expressions are made without knowing a size. Raises as `evaluate_te` does.
    """
    bound: dict[te.Tensor, Array] = {}

    def placeholder(array: Array) -> te.Tensor:
        shape: Sequence[te.Dim] = array.shape
        if symbolic:
            shape = [te.Var(f"n{k}") for k in range(array.ndim)]
        tensor = te.placeholder(shape, dtypes.from_numpy(array.dtype), f"x{len(bound)}")
        bound[tensor] = array
        return tensor

    placeholders = [
        tuple(placeholder(f) for f in a) if isinstance(a, tuple) else placeholder(a)
        for a in arguments
    ]
    results = declaration.compute(*placeholders)
    return evaluate_te(results if isinstance(results, tuple) else (results,), bound)
