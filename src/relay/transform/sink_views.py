"""`SinkViews`: do elementwise work in as few dimensions as the data comes in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from relay.ir.expr import Call, Expr, Function
from relay.ir.module import IRModule
from relay.ir.op import Pattern, with_attributes
from relay.ir.types import TensorType
from relay.ir.visit import rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import (
    attribute,
    declaration,
    in_shape,
    is_call_of,
    is_operator_call,
    operator_name,
    tensor_type,
)
from relay.transform.fusion_groups import VIEWS, elements

ROW_WISE: Final = frozenset({"nn.softmax", "nn.log_softmax", "nn.fast_softmax", "nn.layer_norm"})
"""Operators that work along `axis` of their first argument, one row at a time."""


@dataclass(frozen=True)
class SinkViews(FunctionPass):
    """Move views that add dimensions behind elementwise and row-wise operators.

    A matrix product of rows is often viewed as batch and sequence right away. Behind its epilogue
    the view costs nothing, and the epilogue works on the rows of the product. Views only move
    where they lower the rank of the work, so that the rewriting ends. ::

        nn.relu(reshape(%y: (6, 4), newshape=[2, 3, 4]))        ->   reshape(nn.relu(%y), ..)
        add(reshape(%y: (6, 4), newshape=[2, 3, 4]), %b: (4))   ->   reshape(add(%y, %b), ..)
        add(reshape(%y: (6, 4), ..), %x: (2, 3, 4))   ->   reshape(add(%y, reshape(%x)), ..)
    """

    opt_level = 2
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, _sink, enter_primitive=False)
        assert isinstance(result, Function)
        return result


def _sink(expr: Expr) -> Expr:
    if not is_operator_call(expr):
        return expr
    operator = declaration(expr)
    if operator.pattern == Pattern.ELEMWISE and operator.inputs == ("data",):
        sunk = _below(expr, 0)
    elif operator.pattern == Pattern.BROADCAST and operator.inputs == ("lhs", "rhs"):
        sunk = _below(expr, 0) or _below(expr, 1)
    elif operator_name(expr) in ROW_WISE:
        sunk = _below_rows(expr)
    else:
        sunk = None
    return expr if sunk is None else sunk


def _source(argument: Expr, whole: TensorType | None) -> tuple[Expr, TensorType] | None:
    """What `argument`, of the shape of `whole`, is a view of, where that has a lower rank."""
    type_ = tensor_type(argument)
    if type_ is None or whole is None or type_.shape != whole.shape:
        return None
    if not is_call_of(argument, *VIEWS):
        return None
    source = tensor_type(argument.args[0])
    if source is None or len(source.shape) >= len(type_.shape):
        return None
    return argument.args[0], source


def _below(call: Call, position: int) -> Expr | None:
    """``f(view(y), others)`` as ``view(f(y, others))``, for the argument at `position`."""
    whole = tensor_type(call)
    found = _source(call.args[position], whole)
    if found is None or whole is None:
        return None
    data, source = found
    arguments: list[Expr] = []
    for i, argument in enumerate(call.args):
        other = data if i == position else _reshaped(argument, whole, source)
        if other is None:
            return None
        arguments.append(other)
    inner = Call(call.op, arguments, call.attrs, call.type_args, call.span)
    return in_shape(inner, whole.concrete_shape)


def _reshaped(argument: Expr, whole: TensorType, source: TensorType) -> Expr | None:
    """`argument` of an operator of the shape of `whole`, for the shape of `source` instead.

    It must have the same elements, one element, or vary along a last axis that both have.
    """
    type_ = tensor_type(argument)
    if type_ is None:
        return None
    if type_.shape == whole.shape:
        return view(argument, source.concrete_shape)
    if elements(type_) == 1:
        return view(argument, ())
    last = source.shape[-1:]
    if last and last == whole.shape[-1:] and type_.shape[-1:] == last:
        if elements(type_) == last[0]:
            return view(argument, type_.concrete_shape[-1:])
    return None


def _below_rows(call: Call) -> Expr | None:
    """A row-wise operator along a last axis that the view leaves alone."""
    whole = tensor_type(call)
    found = _source(call.args[0], whole)
    if found is None or whole is None:
        return None
    data, source = found
    rank = len(whole.shape)
    axis: int = attribute(call, "axis")
    if axis % rank != rank - 1 or source.shape[-1:] != whole.shape[-1:]:
        return None
    attrs = with_attributes(declaration(call), axis=-1)
    inner = Call(call.op, (data, *call.args[1:]), attrs, call.type_args, call.span)
    return in_shape(inner, whole.concrete_shape)


def view(expr: Expr, shape: Sequence[int]) -> Expr:
    """The elements of `expr` in `shape`, without a view of a view."""
    while is_call_of(expr, *VIEWS):
        expr = expr.args[0]
    type_ = tensor_type(expr)
    if type_ is not None and type_.shape == tuple(shape):
        return expr
    return in_shape(expr, shape)
