"""`SimplifyInference`: what normalisation and dropout mean when a model only runs forward."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relay.ir.expr import Call, Expr, Function, TupleGetItem, const
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import (
    attribute,
    in_shape,
    is_call_of,
    make,
    normalize_axis,
    operator_name,
)
from relay.transform.calls import tensor_type as static_type


@dataclass(frozen=True)
class SimplifyInference(FunctionPass):
    """Expand normalisations into arithmetic and drop dropout.

    ``nn.batch_norm`` is expanded where its first result is taken, into one multiplication and one
    addition per channel. With `expand_norms` also ``nn.layer_norm``, ``nn.group_norm``,
    ``nn.instance_norm`` and ``nn.l2_normalize``; without it they stay whole, as one row-wise kernel
    each. ::

        nn.batch_norm(%x, %gamma, %beta, %mean, %var).0
        ->
        %scale = divide(%gamma, sqrt(add(%var, 1e-05f)));
        add(multiply(%x, expand_dims(%scale, ..)), expand_dims(%beta - %mean * %scale, ..))
    """

    expand_norms: bool = True

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, self._simplify, enter_primitive=False)
        assert isinstance(result, Function)
        return result

    def _simplify(self, expr: Expr) -> Expr:
        if isinstance(expr, TupleGetItem) and expr.index == 0:
            if is_call_of(expr.tuple_value, "nn.batch_norm"):
                return expand_batch_norm(expr.tuple_value)
            if is_call_of(expr.tuple_value, "nn.dropout", "nn.dropout_raw"):
                return expr.tuple_value.args[0]
        if isinstance(expr, Call) and self.expand_norms:
            expand = EXPANSIONS.get(operator_name(expr))
            if expand is not None:
                return expand(expr)
        return expr


def _tensor(expr: Expr) -> TensorType:
    found = expr.checked_type
    assert isinstance(found, TensorType), "the operator takes tensors"
    return found


def along_axis(vector: Expr, axis: int, rank: int) -> Expr:
    """A vector as a tensor that broadcasts along `axis` of tensors of `rank`."""
    trailing = rank - 1 - axis
    return make("expand_dims", vector, axis=1, num_newaxis=trailing) if trailing else vector


def _inverse_deviation(variance: Expr, epsilon: float) -> Expr:
    """``1 / sqrt(variance + epsilon)``."""
    dtype = _tensor(variance).dtype
    root = make("sqrt", make("add", variance, const(epsilon, dtype)))
    return make("divide", const(1, dtype), root)


def expand_batch_norm(call: Call) -> Expr:
    """The first result of ``nn.batch_norm``: ``data * scale + shift`` per channel."""
    data, gamma, beta, mean, variance = call.args
    rank = len(_tensor(data).shape)
    axis = normalize_axis(attribute(call, "axis"), rank, "nn.batch_norm")
    scale = _inverse_deviation(variance, attribute(call, "epsilon"))
    if attribute(call, "scale"):
        scale = make("multiply", scale, gamma)
    shift = make("negative", make("multiply", mean, scale))
    if attribute(call, "center"):
        shift = make("add", shift, beta)
    scaled = make("multiply", data, along_axis(scale, axis, rank))
    return make("add", scaled, along_axis(shift, axis, rank))


def _standardize(data: Expr, axes: tuple[int, ...], epsilon: float) -> Expr:
    """``(data - mean) / sqrt(variance + epsilon)`` with mean and variance over `axes`."""
    mean = make("mean", data, axis=axes, keepdims=True)
    centered = make("subtract", data, mean)
    square = make("multiply", centered, centered)
    variance = make("mean", square, axis=axes, keepdims=True)
    return make("multiply", centered, _inverse_deviation(variance, epsilon))


def _scale_and_center(call: Call, value: Expr, axis: int, rank: int) -> Expr:
    _, gamma, beta = call.args
    if attribute(call, "scale"):
        value = make("multiply", value, along_axis(gamma, axis, rank))
    if attribute(call, "center"):
        value = make("add", value, along_axis(beta, axis, rank))
    return value


def expand_layer_norm(call: Call) -> Expr:
    """``nn.layer_norm``: standardise over `axis`, then scale and shift along it."""
    data = call.args[0]
    rank = len(_tensor(data).shape)
    axis = normalize_axis(attribute(call, "axis"), rank, "nn.layer_norm")
    value = _standardize(data, (axis,), attribute(call, "epsilon"))
    return _scale_and_center(call, value, axis, rank)


def expand_instance_norm(call: Call) -> Expr:
    """``nn.instance_norm``: standardise over all axes but the batch and `axis`."""
    data = call.args[0]
    rank = len(_tensor(data).shape)
    axis = normalize_axis(attribute(call, "axis"), rank, "nn.instance_norm")
    axes = tuple(i for i in range(1, rank) if i != axis)
    value = _standardize(data, axes, attribute(call, "epsilon"))
    return _scale_and_center(call, value, axis, rank)


def expand_group_norm(call: Call) -> Expr:
    """``nn.group_norm``: standardise over each of `num_groups` groups of channels (`axis`)."""
    data = call.args[0]
    type_ = static_type(data)
    if type_ is None:
        return call
    shape = type_.concrete_shape
    rank = len(shape)
    axis = normalize_axis(attribute(call, "axis"), rank, "nn.group_norm")
    groups: int = attribute(call, "num_groups")
    grouped = (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
    # Everything but the batch and the axis that counts the groups.
    axes = tuple(i for i in range(1, rank + 1) if i != axis)
    value: Expr = in_shape(data, grouped)
    value = _standardize(value, axes, attribute(call, "epsilon"))
    value = in_shape(value, shape)
    return _scale_and_center(call, value, axis, rank)


def expand_l2_normalize(call: Call) -> Expr:
    """``nn.l2_normalize``: divide by the root of the sum of squares over `axis`."""
    (data,) = call.args
    dtype = _tensor(data).dtype
    total = make("sum", make("multiply", data, data), axis=attribute(call, "axis"), keepdims=True)
    bounded = make("maximum", total, const(attribute(call, "eps"), dtype))
    return make("divide", data, make("sqrt", bounded))


EXPANSIONS: Final[dict[str, Callable[[Call], Expr]]] = {
    "nn.layer_norm": expand_layer_norm,
    "nn.instance_norm": expand_instance_norm,
    "nn.group_norm": expand_group_norm,
    "nn.l2_normalize": expand_l2_normalize,
}
"""What each whole normalisation expands into."""
