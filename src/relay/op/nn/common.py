"""What the neural-network operators share: attribute forms, windows, padding, layouts in NumPy."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from relay import dtypes, te
from relay.ir.layout import Layout, LayoutChange, LayoutPlan
from relay.ir.op import Array, Operator, attributes, with_attributes
from relay.ir.types import Any, Dim
from relay.op.shapes import Ints, as_ints
from relay.support.errors import TypeInferenceError, UnsupportedError


def per_axis(name: str, value: Ints, rank: int) -> tuple[int, ...]:
    """Attribute `name` with one integer for each of `rank` axes; one integer serves all axes."""
    found = as_ints(value)
    if len(found) == 1:
        return found * rank
    if len(found) != rank:
        raise TypeInferenceError(f"{name}: expected 1 or {rank} integers, found {list(found)}")
    return found


def full_padding(value: Ints, rank: int) -> tuple[int, ...]:
    """Padding in full: before each of `rank` axes, then after each of them.

    One integer pads everywhere, `rank` integers pad both sides of an axis alike.
    """
    found = as_ints(value)
    if len(found) == 1:
        return found * (2 * rank)
    if len(found) == 2 * rank:
        return found
    if len(found) != rank:
        accepted = f"1, {rank} or {2 * rank}" if rank > 1 else "1 or 2"
        raise TypeInferenceError(f"padding: expected {accepted} integers, found {list(found)}")
    return found * 2


def layout_of(operator_name: str, attribute: str, name: str, letters: str) -> Layout:
    """The layout `name`, which must have exactly the primal axes `letters`."""
    layout = Layout(name)
    if sorted(layout.letters) != sorted(letters):
        raise TypeInferenceError(
            f"{operator_name}: {attribute} must have the axes {', '.join(letters)}, found {name!r}"
        )
    return layout


def spatial_layout(operator_name: str, attribute: str, name: str, spatial: str) -> Layout:
    """The data layout `name` with axes N, C and `spatial`; none of `spatial` may be blocked."""
    layout = layout_of(operator_name, attribute, name, "NC" + spatial)
    blocked = [c for c in spatial if layout.factors(c)]
    if blocked:
        raise TypeInferenceError(
            f"{operator_name}: {attribute} may not split the axis {blocked[0]}, found {name!r}"
        )
    return layout


def dims_agree(a: Dim, b: Dim) -> bool:
    """Whether two sizes are the same as far as is known before run time."""
    return isinstance(a, Any) or isinstance(b, Any) or a == b


def known(operator_name: str, what: str, size: te.Dim) -> int:
    """`size` as an integer; raises `UnsupportedError` when it is not known before run time."""
    value = te.constant_value(size)
    if value is None:
        raise UnsupportedError(f"{operator_name}: {what} must be known before run time")
    return value


def window_count(size: te.Dim, slack: int, stride: int) -> te.Dim:
    """How many windows fit: ``(size + slack) // stride + 1``; `slack` is padding less window."""
    return (size + slack) // stride + 1


def known_window_count(operator_name: str, axis: str, size: Dim, slack: int, stride: int) -> Dim:
    """`window_count` of a dimension of a type; raises when no window fits."""
    if isinstance(size, Any):
        return size if (slack, stride) == (-1, 1) else Any()
    count = (size + slack) // stride + 1
    if count <= 0:
        raise TypeInferenceError(
            f"{operator_name}: the window is larger than the padded input along {axis}: "
            f"the size is {size}, padding less window is {slack}"
        )
    return count


def check_window(operator_name: str, axis: str, size: Dim) -> None:
    """Raise `TypeInferenceError` for a window of `size` along `axis` that has no element."""
    if isinstance(size, int) and size < 1:
        raise TypeInferenceError(
            f"{operator_name}: the window must have an element along {axis}, but its size is {size}"
        )


def pad_tensor(
    data: te.Tensor,
    before: Sequence[int],
    after: Sequence[int],
    value: te.Operand,
    *,
    stage: bool = False,
) -> te.Tensor:
    """`data` with `before` and `after` elements of `value` around it, per axis: ``pad``.

    `data` itself where there is nothing to pad. Negative amounts cut off. For `stage` see
    `te.compute`.
    """
    if not any(before) and not any(after):
        return data
    shape = [s + (b + a) for s, b, a in zip(data.shape, before, after, strict=True)]

    def element(*indices: te.Var) -> te.Expr:
        source = [i - b for i, b in zip(indices, before, strict=True)]
        bounds: list[te.Expr] = []
        for index, size, b, a in zip(source, data.shape, before, after, strict=True):
            if b > 0:
                bounds.append(index >= 0)
            if a > 0:
                bounds.append(index < size)
        return te.select(te.both(*bounds), data(*source), te.as_expr(value, data.dtype))

    return te.compute(shape, element, "pad", stage=stage)


def pad_spatial(
    data: te.Tensor,
    layout: Layout,
    before: Mapping[str, int],
    after: Mapping[str, int],
    value: te.Operand,
    *,
    stage: bool = False,
) -> te.Tensor:
    """`pad_tensor` along the primal axes that `before` and `after` name."""
    letters = [a.letter for a in layout.axes]
    return pad_tensor(
        data,
        [before.get(c, 0) for c in letters],
        [after.get(c, 0) for c in letters],
        value,
        stage=stage,
    )


def to_primal(array: Array, layout: Layout, letters: str) -> Array:
    """`array`, which is in `layout`, with its primal axes whole and in the order of `letters`."""
    order = [position for c in letters for position in layout.positions(c)]
    sizes = layout.components(array.shape)
    return array.transpose(order).reshape([math.prod(sizes[c]) for c in letters])


def from_primal(array: Array, letters: str, layout: Layout) -> Array:
    """The inverse of `to_primal`."""
    sizes = dict(zip(letters, array.shape, strict=True))
    split: list[int] = []
    for c in letters:
        split += [sizes[c] // layout.block(c), *layout.factors(c)]
    grouped = [position for c in letters for position in layout.positions(c)]
    order = sorted(range(len(grouped)), key=grouped.__getitem__)
    return np.ascontiguousarray(array.reshape(split).transpose(order))


def windows(
    array: Array,
    axes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Array:
    """All windows over `axes` of `array`: the window's own axes come last, in order."""
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(array, spans, axis=tuple(axes))
    step: list[slice] = [slice(None)] * view.ndim
    for position, (axis, stride, gap) in enumerate(zip(axes, strides, dilation, strict=True)):
        step[axis] = slice(None, None, stride)
        step[array.ndim + position] = slice(None, None, gap)
    return view[tuple(step)]


def divided(total: te.Expr, count: te.Expr) -> te.Expr:
    """`total` divided by the index expression `count`; integers are rounded towards zero."""
    divisor = te.cast(count, total.dtype)
    return te.binary("div" if dtypes.is_float(total.dtype) else "truncdiv", total, divisor)


def follow_data_layout(
    declaration: Operator, change: LayoutChange | None, whole: str
) -> LayoutPlan | None:
    """The plan to run `declaration` in the layout that its data has been changed to.

    None when there is no such layout or one of the axes `whole` is blocked in it. The operator
    has an attribute ``layout``.
    """
    if change is None or any(change.target.factors(c) for c in whole):
        return None
    if attributes(declaration)["layout"] != change.source.name:
        return None
    changes: dict[str, str] = {"layout": change.target.name}
    if "out_layout" in attributes(declaration):
        changes["out_layout"] = ""
    moved = with_attributes(declaration, **changes)
    return LayoutPlan(moved, (change,), (change,))
