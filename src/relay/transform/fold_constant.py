"""`FoldConstant`: compute at compile time what depends on constants only."""

import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np

from relay import codes, dtypes
from relay.ir.expr import Call, Constant, Expr, Function, If, Tuple, TupleGetItem
from relay.ir.module import IRModule
from relay.ir.op import Array, Operator
from relay.ir.types import TensorType, TupleType, Type, flatten_tensor_types
from relay.ir.visit import free_type_vars, free_vars, rewrite, substitute
from relay.op.deferred import moved
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import (
    attribute,
    constant,
    declaration,
    is_call_of,
    is_operator_call,
    tensor_type,
)
from relay.transform.copies import typed_with
from relay.transform.lets import Effects

GROWTH_LIMIT: Final = 1 << 20
"""Results larger than this [bytes] are only computed when their arguments are about as large."""


@dataclass(frozen=True)
class FoldConstant(FunctionPass):
    """Replace calls whose arguments are all constants by their results, in NumPy.

    Also ``shape_of`` of a static type, the fields of tuples, and conditions that are constants.
    Left alone are operators with effects, results of unknown shape, bits of bfloat16 read as they
    are, and (unless `allow_growth`) results over 1 MiB that are more than twice as large as their
    arguments: spreading a small constant is work for the compiled program, not for its file size.
    Operators on bfloat16 are computed in float32 and rounded once. ::

        add(transpose(meta[Constant][0]), 1f)   ->   meta[Constant][0]
    """

    allow_growth: bool = False

    opt_level = 2
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, self.folder(), enter_primitive=False)
        assert isinstance(result, Function)
        return result

    def folder(self) -> Callable[[Expr], Expr]:
        """`fold` for a walk over all of a program, which drops nothing that has an effect."""
        effects = Effects()

        def fold(expr: Expr) -> Expr:
            found = self.fold(expr, effects.nodes)
            effects.note(found)
            return found

        return fold

    def fold(self, expr: Expr, effects: AbstractSet[Expr] = frozenset()) -> Expr:
        """`expr`, whose children are folded already, folded: itself where nothing is known.

        `effects` are the nodes that have to stay.
        """
        if isinstance(expr, TupleGetItem) and isinstance(expr.tuple_value, Tuple):
            fields = expr.tuple_value.fields
            others = (*fields[: expr.index], *fields[expr.index + 1 :])
            return expr if any(f in effects for f in others) else fields[expr.index]
        if isinstance(expr, If) and isinstance(expr.cond, Constant):
            return expr.true_branch if bool(expr.cond.data.numpy()) else expr.false_branch
        if is_operator_call(expr):
            if is_call_of(expr, "shape_of", "ndarray_size"):
                return expr if expr.args[0] in effects else _fold_shape(expr)
            return self._fold_call(expr)
        return expr

    def folded(self, call: Call) -> Expr:
        """What `call` of an operator is by its arguments; the call itself when they do not tell."""
        return self.fold(call)

    def _fold_call(self, call: Call) -> Expr:
        operator = declaration(call)
        if operator.stateful or "reference" in operator.missing:
            return call
        if not all(map(_is_constant, call.args)) or not self._worthwhile(call):
            return call
        later = _moved(operator, call)
        if later is not None:
            return later
        if operator.reads_stored:
            return _fold_stored(operator, call)
        known = [constant_value(argument) for argument in call.args]
        with np.errstate(all="ignore"):
            result = operator.reference(*known)
        return as_constant(result, call.checked_type)

    def _worthwhile(self, call: Call) -> bool:
        try:
            results = flatten_tensor_types(call.checked_type)
            arguments = [t for a in call.args for t in flatten_tensor_types(a.checked_type)]
        except ValueError:
            return False
        if not all(t.is_static for t in (*results, *arguments)):
            return False
        size = _bytes(results)
        return self.allow_growth or size <= GROWTH_LIMIT or size <= 2 * _bytes(arguments)


def FoldConstantExpr(expr: Expr, mod: IRModule) -> Expr:  # noqa: N802 - Relay's name
    """`expr`, which may call the functions of `mod`, with its constants folded: `FoldConstant`.

    Free variables stay free. Raises `TypeInferenceError` when `expr` is ill typed, or too little
    is annotated.
    """
    if isinstance(expr, Function):
        function = expr
    else:
        function = Function(free_vars(expr), expr, None, free_type_vars(expr))
    typed, module = typed_with(function, mod)
    folded = FoldConstant().run_function(typed, module, PassContext.current())
    if isinstance(expr, Function):
        return folded
    # Inference may have put variables with types in the place of the free ones.
    return substitute(folded.body, dict(zip(folded.params, function.params, strict=True)))


def _bytes(types: Sequence[TensorType]) -> int:
    return sum(math.prod(t.concrete_shape) * dtypes.itemsize(t.dtype) for t in types)


def _fold_shape(call: Call) -> Expr:
    """The shape, or the number of elements, of a tensor of static type."""
    type_ = tensor_type(call.args[0])
    if type_ is None:
        return call
    shape = type_.concrete_shape
    dtype: str = attribute(call, "dtype")
    value = shape if is_call_of(call, "shape_of") else math.prod(shape)
    return constant(np.asarray(value, dtype=dtypes.to_numpy(dtype)), dtype)


def _fold_stored(operator: Operator, call: Call) -> Constant:
    """The value of a call of an operator whose reference takes and gives what is stored."""
    assert isinstance(call.checked_type, TensorType)
    stored = [a.data.numpy() for a in call.args if isinstance(a, Constant)]
    return constant(operator.reference(*stored).copy(), call.checked_type.dtype)


def _is_constant(expr: Expr) -> bool:
    """Whether `expr` is a constant, or a tuple of constants."""
    fields = expr.fields if isinstance(expr, Tuple) else (expr,)
    return all(isinstance(f, Constant) for f in fields)


def _moved(operator: Operator, call: Call) -> Constant | None:
    """The result of an operator that only moves a large constant, computed when it is needed."""
    data, type_ = call.args[0] if call.args else None, call.checked_type
    if not isinstance(data, Constant) or not isinstance(type_, TensorType):
        return None
    result = moved(operator, data.data, type_)
    return None if result is None else Constant(result)


def constant_value(expr: Expr) -> Array | tuple[Array, ...] | None:
    """The array of a constant, or the arrays of a tuple of constants; otherwise None.

    They are as `NDArray.values` gives them: bfloat16 comes as float32.
    """
    if isinstance(expr, Constant):
        return _elements(expr)
    if isinstance(expr, Tuple) and all(isinstance(f, Constant) for f in expr.fields):
        return tuple(_elements(f) for f in expr.fields if isinstance(f, Constant))
    return None


def _elements(expr: Constant) -> Array:
    return expr.data.values()


def as_constant(value: Array | tuple[Array, ...], type_: Type) -> Expr:
    """`value` as a constant of `type_`, or as a tuple of constants."""
    if isinstance(type_, TupleType):
        return Tuple([as_constant(v, t) for v, t in zip(value, type_.fields, strict=True)])
    assert isinstance(type_, TensorType)
    if not dtypes.is_native(type_.dtype):
        value = codes.encode(np.asarray(value), type_.dtype)
    array = np.asarray(value, dtype=dtypes.to_numpy(type_.dtype))
    # A copy where the result is a view, so that no constant keeps a larger array alive.
    array = np.array(array, order="C", copy=array.base is not None or None)
    return constant(array.reshape(type_.concrete_shape), type_.dtype)
