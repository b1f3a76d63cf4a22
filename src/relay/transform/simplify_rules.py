"""The rewrite rules of `SimplifyExpr`: each a law and the function that applies it.

A rule gives the simpler expression, of the very same type, or None where it does not apply. The
arguments of the call that it is given are simple already.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from relay import dtypes
from relay.ir.expr import Call, Constant, Expr, Tuple
from relay.ir.layout import Layout
from relay.ir.op import Array
from relay.transform.calls import (
    attribute,
    constant,
    constant_array,
    in_shape,
    is_call_of,
    make,
    operator_name,
    tensor_type,
    uniform_value,
)
from relay.transform.fusion_groups import VIEWS


@dataclass(frozen=True)
class Rule:
    """For calls of `operators`: `law`, as `apply` does it."""

    operators: tuple[str, ...]
    law: str
    apply: Callable[[Call], Expr | None]


def keeps_type(call: Call) -> Expr | None:
    """The first argument, where the call gives it no other type."""
    data = call.args[0]
    found = tensor_type(call)
    if is_call_of(call, "cast") and found is not None and found.dtype in dtypes.SMALL_FLOATS:
        return None  # it may make infinity the largest number
    return data if found is not None and found == data.checked_type else None


def merge_views(call: Call) -> Expr | None:
    """A view of a view as one reshape."""
    inner, found = call.args[0], tensor_type(call)
    if found is None or not is_call_of(inner, *VIEWS):
        return None
    if inner.args[0].checked_type == found:
        return inner.args[0]
    return in_shape(inner.args[0], found.concrete_shape)


def permutation(call: Call) -> tuple[int, ...] | None:
    """The axes of a transpose, all counted from the front."""
    found = tensor_type(call.args[0])
    if found is None:
        return None
    rank = len(found.shape)
    axes: Sequence[int] | None = attribute(call, "axes")
    if not axes:
        return tuple(reversed(range(rank)))
    return tuple(int(axis) % rank for axis in axes)


def merge_transposes(call: Call) -> Expr | None:
    """A transpose of a transpose as one."""
    inner = call.args[0]
    if not is_call_of(inner, "transpose"):
        return None
    outer_axes, inner_axes = permutation(call), permutation(inner)
    if outer_axes is None or inner_axes is None:
        return None
    axes = tuple(inner_axes[axis] for axis in outer_axes)
    if axes == tuple(range(len(axes))):
        return inner.args[0]
    return make("transpose", inner.args[0], axes=axes)


def transpose_as_view(call: Call) -> Expr | None:
    """A transpose that keeps the order of all axes longer than one as a reshape."""
    axes, found = permutation(call), tensor_type(call)
    if axes is None or found is None:
        return None
    shape = found.concrete_shape
    long_axes = [axis for axis, size in zip(axes, shape, strict=True) if size != 1]
    if long_axes != sorted(long_axes):
        return None
    if axes == tuple(range(len(axes))):
        return call.args[0]
    return in_shape(call.args[0], shape)


def transposes_around_view(call: Call) -> Expr | None:
    """A transpose of a view of a transpose as a view of one, where the view moves axes of 1 only.

    The axes longer than one are moved at once; those of 1 are where the last view puts them.
    """
    view, outer, found = call.args[0], permutation(call), tensor_type(call)
    if not is_call_of(view, *VIEWS) or not is_call_of(view.args[0], "transpose"):
        return None
    inner = view.args[0]
    data, axes = tensor_type(inner.args[0]), permutation(inner)
    kinds = tensor_type(inner), tensor_type(view)
    if data is None or axes is None or outer is None or found is None or None in kinds:
        return None
    before, after = (
        [k for k, size in enumerate(kind.concrete_shape) if size != 1]
        for kind in kinds
        if kind is not None
    )
    sizes = [kind.concrete_shape for kind in kinds if kind is not None]
    if [sizes[0][k] for k in before] != [sizes[1][k] for k in after]:
        return None
    source = {k: axes[b] for k, b in zip(after, before, strict=True)}
    moved = [source[k] for k in outer if k in source]
    units = [k for k in range(len(axes)) if k not in moved]
    order = (*units, *moved)
    turned = inner.args[0]
    if order != tuple(range(len(order))):
        turned = make("transpose", turned, axes=order)
    return in_shape(turned, found.concrete_shape)


def merge_layout_transforms(call: Call) -> Expr | None:
    """A change of layout of a change of layout as one."""
    inner = call.args[0]
    if not is_call_of(inner, "layout_transform"):
        return None
    source: str = attribute(inner, "src_layout")
    target: str = attribute(call, "dst_layout")
    if attribute(inner, "dst_layout") != attribute(call, "src_layout"):
        return None
    if source == target:
        return inner.args[0]
    return make("layout_transform", inner.args[0], src_layout=source, dst_layout=target)


def _memory_order(layout: str, shape: Sequence[int]) -> list[tuple[str, int]]:
    """Letter and size of the axes longer than one, in order of memory.

    An axis and the blocks split off it count as one axis where they are neighbours.
    """
    order: list[tuple[str, int]] = []
    for axis, size in zip(Layout(layout).axes, shape, strict=True):
        if size == 1:
            continue
        if order and order[-1][0] == axis.letter:
            size *= order.pop()[1]
        order.append((axis.letter, size))
    return order


def layout_as_view(call: Call) -> Expr | None:
    """A change of layout that leaves everything where it is in memory as a reshape."""
    data, found = tensor_type(call.args[0]), tensor_type(call)
    if data is None or found is None:
        return None
    before = _memory_order(attribute(call, "src_layout"), data.concrete_shape)
    after = _memory_order(attribute(call, "dst_layout"), found.concrete_shape)
    letters = [letter for letter, _ in before]
    if before != after or len(letters) != len(set(letters)):
        return None
    if data == found:
        return call.args[0]
    return in_shape(call.args[0], found.concrete_shape)


def cast_round_trip(call: Call) -> Expr | None:
    """A cast to a type that holds every value, and back."""
    inner = call.args[0]
    if not is_call_of(inner, "cast"):
        return None
    data, dtype, between = inner.args[0], attribute(call, "dtype"), attribute(inner, "dtype")
    found = tensor_type(data)
    if (
        found is None
        or found.dtype != dtype
        or not (dtypes.is_native(dtype) and dtypes.is_native(between))
    ):
        return None
    lossless = np.can_cast(dtypes.to_numpy(dtype), dtypes.to_numpy(between), "safe")
    return data if lossless else None


def concatenate_one(call: Call) -> Expr | None:
    """The concatenation of one tensor."""
    fields = call.args[0]
    return fields.fields[0] if isinstance(fields, Tuple) and len(fields.fields) == 1 else None


def same_slice(call: Call) -> Expr | None:
    """A slice, with positive strides only, that keeps the shape."""
    strides: Sequence[int] | None = attribute(call, "strides")
    if attribute(call, "slice_mode") != "end" or any(s < 1 for s in strides or ()):
        return None
    return keeps_type(call)


def no_padding(call: Call) -> Expr | None:
    """Padding by nothing: everything that keeps the shape and takes nothing away."""
    if any(amount < 0 for pair in attribute(call, "pad_width") for amount in pair):
        return None
    return keeps_type(call)


def neutral(value: float, both_sides: bool) -> Callable[[Call], Expr | None]:
    """``x op value`` (and ``value op x``) as ``x``."""

    def apply(call: Call) -> Expr | None:
        for data, other in (call.args, call.args[::-1]) if both_sides else (call.args,):
            if uniform_value(other) == value and data.checked_type == call.checked_type:
                if tensor_type(data) is not None:
                    return data
        return None

    return apply


def constant_last(call: Call) -> Expr | None:
    """The constant of a commutative operator as its second argument."""
    lhs, rhs = call.args
    if isinstance(lhs, Constant) and not isinstance(rhs, Constant):
        return Call(call.op, (rhs, lhs), call.attrs, call.type_args, call.span)
    return None


def merge_constants(call: Call) -> Expr | None:
    """``(x op a) op b`` as ``x op (a op b)``, for constants that together stay as small.

    Not for sums of two numbers that cancel: those are there to round between them. And not where
    a product of finite numbers is infinite or 0, which a product with `x` need not be.
    """
    inner, last = call.args
    if operator_name(inner) != operator_name(call):
        return None
    assert isinstance(inner, Call)
    data, first = inner.args
    a, b, found = constant_array(first), constant_array(last), tensor_type(call)
    if a is None or b is None or found is None or isinstance(data, Constant):
        return None
    with np.errstate(all="ignore"):
        joined = np.add(a, b) if is_call_of(call, "add") else np.multiply(a, b)
    if joined.size > max(a.size, b.size):
        return None
    if np.issubdtype(joined.dtype, np.floating):
        if is_call_of(call, "multiply"):
            usual = np.isfinite(a) & np.isfinite(b) & (a != 0) & (b != 0)
            if not np.all((np.isfinite(joined) & (joined != 0)) | ~usual):
                return None
        elif joined.size == 1 and abs(joined.item()) < max(abs(a.item()), abs(b.item())) / 2:
            return None
    merged = Call(call.op, (data, constant(joined.astype(a.dtype), found.dtype)), span=call.span)
    return merged if merged.checked_type == found else None


def _reciprocal(values: Array) -> Array | None:
    """The reciprocals of floats, where all are normal numbers; None otherwise."""
    if values.size == 0 or not np.issubdtype(values.dtype, np.floating):
        return None
    with np.errstate(all="ignore"):
        inverse = np.reciprocal(values)
    normal = np.isfinite(inverse) & (np.abs(inverse) >= np.finfo(values.dtype).tiny)
    return inverse if bool(np.all(normal)) else None


def _as_product(division: Call, exact: bool) -> Expr | None:
    """A division by a constant as a multiplication, `exact` where only without rounding."""
    lhs, rhs = division.args
    values = constant_array(rhs)
    if values is None or not isinstance(rhs, Constant) or isinstance(lhs, Constant):
        return None
    inverse = _reciprocal(values)
    if inverse is None or (exact and not np.all(np.abs(np.frexp(values)[0]) == 0.5)):
        return None
    return make("multiply", lhs, constant(inverse, rhs.data.dtype))


def exact_division(call: Call) -> Expr | None:
    """Division by constant powers of two as multiplication."""
    return _as_product(call, exact=True)


def smooth_of_division(call: Call) -> Expr | None:
    """A smooth function of a division by a constant: of a product, which rounds a little more.

    Nothing jumps there, as rounding down would: 49 / 49 is 1, but 49 * (1 / 49) less.
    """
    (argument,) = call.args
    if not is_call_of(argument, "divide"):
        return None
    product = _as_product(argument, exact=False)
    return None if product is None else Call(call.op, (product,), span=call.span)


def square(call: Call) -> Expr | None:
    """The second power as a product."""
    data, exponent = call.args
    if uniform_value(exponent) != 2 or data.checked_type != call.checked_type:
        return None
    return make("multiply", data, data)


FILLED: Final[dict[str, float | None]] = {
    # The value that the operator fills its result with; None: its first argument.
    "zeros": 0,
    "zeros_like": 0,
    "ones": 1,
    "ones_like": 1,
    "full": None,
    "full_like": None,
}


def fill_value(expr: Expr) -> Constant | None:
    """The scalar that all elements of `expr` have by construction."""
    found = tensor_type(expr)
    if not isinstance(expr, Call) or operator_name(expr) not in FILLED or found is None:
        return None
    value = FILLED[operator_name(expr)]
    if value is None:
        given = expr.args[-1]
        value = uniform_value(given)
        if value is None:
            return None
    return constant(np.asarray(value, dtype=dtypes.to_numpy(found.dtype)), found.dtype)


def scalar_for_full(call: Call) -> Expr | None:
    """A tensor filled with one value, in arithmetic, as the scalar."""
    for position in (0, 1):
        value, other = fill_value(call.args[position]), call.args[1 - position]
        other_type, found = tensor_type(other), tensor_type(call)
        if value is None or other_type is None or found is None:
            continue
        if other_type.shape == found.shape and dtypes.is_native(other_type.dtype):
            arguments = (value, other) if position == 0 else (other, value)
            return Call(call.op, arguments, call.attrs, call.type_args, call.span)
    return None


def slice_of_split(call: Call, index: int) -> Expr | None:
    """Part `index` of ``split(x)`` as a slice, which fuses with what uses it."""
    data = call.args[0]
    found = tensor_type(data)
    if found is None:
        return None
    axis = int(attribute(call, "axis")) % len(found.shape)
    bounds: list[tuple[int, int]] = attribute(call, "bounds")(found.concrete_shape[axis])
    begin, end = bounds[index]
    return make("strided_slice", data, begin=(begin,), end=(end,), strides=(1,), axes=(axis,))


_ARITHMETIC = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power")
_COMMUTATIVE = ("add", "multiply", "maximum", "minimum")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        (*sorted(VIEWS), "broadcast_to", "cast", "cast_like", "tile", "repeat", "copy"),
        "f(x) = x where f(x) has the type of x, and f only repeats, regroups or casts",
        keeps_type,
    ),
    Rule(tuple(sorted(VIEWS)), "view(view'(x)) = reshape(x)", merge_views),
    Rule(("transpose",), "transpose(transpose(x, p), q) = transpose(x, p[q])", merge_transposes),
    Rule(("transpose",), "transpose(x, p) = reshape(x) where p moves axes of 1", transpose_as_view),
    Rule(
        ("transpose",),
        "transpose(view(transpose(x, p)), q) = view(transpose(x, r)) where the view moves only 1s",
        transposes_around_view,
    ),
    Rule(
        ("layout_transform",),
        "layout(layout(x, a, b), b, c) = layout(x, a, c)",
        merge_layout_transforms,
    ),
    Rule(
        ("layout_transform",),
        "layout(x, a, b) = reshape(x) where only axes of 1 move or blocks are one whole",
        layout_as_view,
    ),
    Rule(("cast",), "cast(cast(x: t, u), t) = x where u holds every t", cast_round_trip),
    Rule(("concatenate",), "concatenate((x,)) = x", concatenate_one),
    Rule(("strided_slice",), "x[0:n] = x where x has n elements along the axis", same_slice),
    Rule(("nn.pad",), "pad(x, 0) = x", no_padding),
    Rule(_ARITHMETIC, "x op full(c) = x op c", scalar_for_full),
    Rule(_COMMUTATIVE, "c op x = x op c", constant_last),
    Rule(("add",), "x + 0 = x", neutral(0, both_sides=True)),
    Rule(("subtract",), "x - 0 = x", neutral(0, both_sides=False)),
    Rule(("multiply",), "x * 1 = x", neutral(1, both_sides=True)),
    Rule(("divide", "power"), "x / 1 = x and x ** 1 = x", neutral(1, both_sides=False)),
    Rule(("power",), "x ** 2 = x * x", square),
    Rule(("divide",), "x / 2^k = x * 2^-k, exactly", exact_division),
    Rule(("erf", "tanh", "sigmoid"), "f(x / c) = f(x * (1 / c)), nearly", smooth_of_division),
    Rule(
        ("add", "multiply"),
        "(x op a) op b = x op (a op b) where a and b neither cancel nor overflow",
        merge_constants,
    ),
)
"""Every rule, in order of trying."""


def rules_by_operator() -> dict[str, tuple[Rule, ...]]:
    """The rules that concern each operator, in order of trying."""
    found: dict[str, tuple[Rule, ...]] = {}
    for rule in RULES:
        for name in rule.operators:
            found[name] = (*found.get(name, ()), rule)
    return found
