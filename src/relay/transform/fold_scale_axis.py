"""`FoldScaleAxis`: multiply the weights once instead of the activations every time.

Contractions are linear: scaling the output channels of ``conv(x, w)`` is scaling the rows of ``w``,
scaling its input channels is scaling the columns. A constant factor per channel travels towards the
contraction through operators it commutes with, each of which must have no other user. The laws are
in `COMMUTES` and in `_step_back`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from relay import dtypes
from relay.ir.expr import Call, Constant, Expr, Function
from relay.ir.module import IRModule
from relay.ir.op import Array
from relay.ir.visit import post_order, use_counts
from relay.op.deferred import LARGE
from relay.runtime.ndarray import NDArray
from relay.transform.base import FunctionPass, PassContext, Sequential
from relay.transform.calls import (
    attribute,
    constant_array,
    is_call_of,
    normalize_axis,
    operator_name,
    tensor_type,
)
from relay.transform.fold_constant import FoldConstant

CONVOLUTIONS: Final = frozenset({"nn.conv1d", "nn.conv2d", "nn.conv3d"})

COMMUTES: Final[dict[str, bool]] = {
    # f(s * x) = s * f(x) for every s >= 0, and for negative s only where the value is True.
    "nn.relu": False,
    "nn.leaky_relu": False,
    "multiply": True,
}
"""Operators that a factor passes unchanged, from their first argument or to it."""

REACH: Final = 64
"""The most operators that a factor travels through."""


@dataclass(frozen=True)
class Factor:
    """A constant factor for a tensor of `rank`: `values` along `axis`, or one value for all."""

    values: Array
    axis: int | None
    rank: int

    def broadcast(self) -> Array:
        """The factor with the rank of the tensor, to multiply with it."""
        shape = [1] * self.rank
        if self.axis is not None:
            shape[self.axis] = self.values.size
        return self.values.reshape(shape)

    def along(self, axis: int, size: int) -> Array | None:
        """One value for each of `size` elements along `axis`; None where it varies elsewhere."""
        if self.axis is not None and self.axis != axis:
            return None
        return np.broadcast_to(self.values.reshape(-1), (size,))

    @property
    def non_negative(self) -> bool:
        """Whether no value is negative (or not a number)."""
        return bool(np.all(self.values >= 0))


def scaling(call: Expr) -> tuple[Expr, Factor] | None:
    """`call` as a tensor times a constant factor along at most one axis of it, if it is that."""
    if not is_call_of(call, "multiply"):
        return None
    for value, other in (call.args, call.args[::-1]):
        values, type_ = constant_array(other), tensor_type(value)
        if values is None or type_ is None or isinstance(value, Constant):
            continue
        rank = len(type_.shape)
        if values.ndim > rank or call.checked_type != type_:
            continue
        shape = (1,) * (rank - values.ndim) + values.shape
        axes = [i for i, size in enumerate(shape) if size != 1]
        if len(axes) <= 1:
            return value, Factor(values.reshape(-1), axes[0] if axes else None, rank)
    return None


def _split_constant(call: Call) -> tuple[Expr, Constant, bool] | None:
    """The arguments of a binary call as value, constant, and whether the value comes first."""
    lhs, rhs = call.args
    if isinstance(rhs, Constant):
        return lhs, rhs, True
    if isinstance(lhs, Constant):
        return rhs, lhs, False
    return None


def _weight(call: Call) -> NDArray | None:
    """The weight of a contraction that can be scaled: a constant in a layout without blocks."""
    if not isinstance(call.args[1], Constant):
        return None
    weight = call.args[1].data
    if weight.dtype == "bfloat16" or not dtypes.is_float(weight.dtype):
        return None
    if operator_name(call) in CONVOLUTIONS:
        layouts = (attribute(call, "data_layout"), attribute(call, "kernel_layout"))
        output = attribute(call, "out_layout") or layouts[0]
        if output != layouts[0] or not all(name.isalpha() and name.isupper() for name in layouts):
            return None
    return weight


def scale_outputs(call: Call, factor: Factor) -> Call | None:
    """The contraction `call` with its output channels scaled by `factor`."""
    weight = _weight(call)
    if weight is None:
        return None
    if operator_name(call) == "nn.dense":
        channel, axis = factor.rank - 1, 0
    else:
        channel = attribute(call, "data_layout").index("C")
        axis = attribute(call, "kernel_layout").index("O")
    values = factor.along(channel, weight.shape[axis])
    if values is None:
        return None
    shape = [1] * weight.ndim
    shape[axis] = -1
    return _with_weight(call, call.args[0], weight, values.reshape(shape))


def scale_inputs(call: Call, data: Expr, factor: Factor) -> Call | None:
    """The contraction `call` on `data`, with its input channels scaled by `factor`."""
    weight = _weight(call)
    if weight is None:
        return None
    if operator_name(call) == "nn.dense":
        values = factor.along(factor.rank - 1, weight.shape[1])
        return None if values is None else _with_weight(call, data, weight, values)
    layout: str = attribute(call, "kernel_layout")
    groups: int = attribute(call, "groups")
    outputs, inputs = layout.index("O"), layout.index("I")
    per_group = weight.shape[inputs]
    values = factor.along(attribute(call, "data_layout").index("C"), groups * per_group)
    if values is None:
        return None
    # Output channel o belongs to group o // (outputs / groups) and reads that group's inputs.
    table = np.repeat(values.reshape(groups, per_group), weight.shape[outputs] // groups, axis=0)
    shape = [1] * weight.ndim
    shape[outputs], shape[inputs] = table.shape
    oriented = table if outputs < inputs else table.T
    return _with_weight(call, data, weight, oriented.reshape(shape))


def _with_weight(call: Call, data: Expr, weight: NDArray, factors: Array) -> Call:
    scaled = Constant(_product(weight, factors))
    return Call(call.op, (data, scaled), call.attrs, call.type_args, call.span)


def _step_back(call: Expr, factor: Factor) -> Expr | None:
    """The argument that `factor` on the result of `call` travels to, if it can."""
    name = operator_name(call)
    if not isinstance(call, Call):
        return None
    if name in COMMUTES and (COMMUTES[name] or factor.non_negative):
        if name != "multiply":
            return call.args[0]
        parts = _split_constant(call)
        return parts[0] if parts and parts[0].checked_type == call.checked_type else None
    if name in ("add", "subtract"):
        # s * (x + c) = s * x + s * c
        parts = _split_constant(call)
        if parts and constant_array(parts[1]) is not None:
            return parts[0] if parts[0].checked_type == call.checked_type else None
    if name == "nn.bias_add" and constant_array(call.args[1]) is not None:
        axis = normalize_axis(attribute(call, "axis"), factor.rank, name)
        return call.args[0] if factor.axis in (None, axis) else None
    return None


def _scale_step(call: Expr, data: Expr, factor: Factor) -> Expr:
    """`call` on `data`, which has been scaled: its constant term is scaled too."""
    assert isinstance(call, Call)
    name = operator_name(call)
    arguments = [data, *call.args[1:]]
    if name in ("add", "subtract", "multiply"):
        parts = _split_constant(call)
        assert parts is not None
        _, term, value_first = parts
        scaled = term if name == "multiply" else _scaled(term, factor.broadcast())
        arguments = [data, scaled] if value_first else [scaled, data]
    elif name == "nn.bias_add":
        assert isinstance(call.args[1], Constant)
        arguments = [data, _scaled(call.args[1], factor.values)]
    return Call(call.op, arguments, call.attrs, call.type_args, call.span)


def _scaled(term: Constant, values: Array) -> Constant:
    return Constant(_product(term.data, values))


def _product(data: NDArray, values: Array) -> NDArray:
    """`data` times `values` in the type of `data`; large products are made when they are needed."""

    def make() -> Array:
        elements = data.numpy()
        result: Array = np.multiply(elements, values).astype(elements.dtype, copy=False)
        return result

    if data.nbytes < LARGE or np.broadcast_shapes(data.shape, values.shape) != data.shape:
        return NDArray(make(), data.dtype)
    return NDArray.deferred(data.shape, data.dtype, make)


class _Uses:
    """Use counts that follow nodes through a rewrite."""

    def __init__(self, root: Expr) -> None:
        self.old = use_counts(root, enter_primitive=False)
        self.new: dict[Expr, int] = {}

    def record(self, old: Expr, new: Expr) -> None:
        """`new` stands for `old` from now on."""
        self.new[new] = self.new.get(new, 0) + self.old[old] if new is not old else self.old[old]

    def single(self, node: Expr) -> bool:
        """Whether `node` has one user; nodes made in between have."""
        return self.new.get(node, 1) == 1


@dataclass(frozen=True)
class BackwardFoldScaleAxis(FunctionPass):
    """Fold constant factors per channel into the weights of the convolution or dense before. ::

    multiply(nn.relu(nn.conv2d(%x, w)), s)   ->   nn.relu(nn.conv2d(%x, w * s))       (s >= 0)
    multiply(add(nn.conv2d(%x, w), c), s)    ->   add(nn.conv2d(%x, w * s), c * s)
    """

    opt_level = 3
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        return _rewrite(func, backward=True)


@dataclass(frozen=True)
class ForwardFoldScaleAxis(FunctionPass):
    """Fold constant factors per channel into the weights of the convolution or dense after. ::

    nn.conv2d(nn.relu(multiply(%x, s)), w)   ->   nn.conv2d(nn.relu(%x), w * s)       (s >= 0)
    """

    opt_level = 3
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        return _rewrite(func, backward=False)


def _rewrite(func: Function, backward: bool) -> Function:
    uses = _Uses(func)
    done: dict[Expr, Expr] = {}
    for node in post_order(func, enter_primitive=False):
        children = node.children()
        known = not children or children[-1] in done
        new = node.rebuild([done[c] for c in children]) if known else node
        folded = _fold_backward(new, uses) if backward else _fold_forward(new, uses)
        new = new if folded is None else folded
        done[node] = new
        uses.record(node, new)
    result = done[func]
    assert isinstance(result, Function)
    return result


def _fold_backward(expr: Expr, uses: _Uses) -> Expr | None:
    """``scale * chain(contraction)`` as ``chain(scaled contraction)``."""
    found = scaling(expr)
    if found is None:
        return None
    node, factor = found
    path: list[Expr] = []
    while len(path) < REACH and uses.single(node):
        if operator_name(node) in CONVOLUTIONS or operator_name(node) == "nn.dense":
            assert isinstance(node, Call)
            scaled: Expr | None = scale_outputs(node, factor)
            return None if scaled is None else _rebuild(path, scaled, factor)
        following = _step_back(node, factor)
        if following is None:
            return None
        path.append(node)
        node = following
    return None


def _rebuild(path: Sequence[Expr], innermost: Expr, factor: Factor) -> Expr:
    """The operators of `path` (outermost first) again, over `innermost`, which is scaled."""
    for node in reversed(path):
        innermost = _scale_step(node, innermost, factor)
    return innermost


def _fold_forward(expr: Expr, uses: _Uses) -> Expr | None:
    """``contraction(chain(scale * x))`` as ``scaled contraction(chain(x))``."""
    if not (operator_name(expr) in CONVOLUTIONS or operator_name(expr) == "nn.dense"):
        return None
    assert isinstance(expr, Call)
    node = expr.args[0]
    path: list[Call] = []
    while len(path) < REACH and uses.single(node) and isinstance(node, Call):
        found = scaling(node)
        if found is not None:
            data, factor = found
            if not factor.non_negative and not all(COMMUTES[operator_name(n)] for n in path):
                return None
            for step in reversed(path):
                data = Call(step.op, (data, *step.args[1:]), step.attrs, (), step.span)
            return scale_inputs(expr, data, factor)
        if operator_name(node) not in COMMUTES or is_call_of(node, "multiply"):
            return None
        path.append(node)
        node = node.args[0]
    return None


def FoldScaleAxis() -> Sequential:  # noqa: N802 - a pass to its users, as in Relay
    """Fold constant factors per channel into weights, backward and forward, then constants."""
    passes = (BackwardFoldScaleAxis(), ForwardFoldScaleAxis(), FoldConstant())
    return Sequential(passes, name="FoldScaleAxis", opt_level=0)


__all__ = ["BackwardFoldScaleAxis", "FoldScaleAxis", "ForwardFoldScaleAxis"]
