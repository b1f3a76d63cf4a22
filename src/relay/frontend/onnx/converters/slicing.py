"""Parts of tensors between positions, of which some are known only at run time."""

from collections.abc import Sequence

from relay.frontend.onnx.node import Node
from relay.frontend.onnx.sizes import Extent, as_dim, compared, least
from relay.ir.expr import Expr
from relay.op.tensor.slicing import END

#: An end of this or more is that of the axis: exporters write the largest number of some type.
_FAR = (1 << 31) - 1


def sliced(
    node: Node,
    starts: Sequence[Extent],
    ends: Sequence[Extent],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Expr:
    """The part of input 0 from `starts` up to `ends`, in `steps`, along `axes`."""
    shape = node.dims(node.arg(0))
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        node.fail("its starts, ends, axes and steps are not of one length")
    if 0 in steps:
        node.fail("its step is 0")
    axes = node.normal_axes(axes, len(shape))
    known = [d for d in (*shape, *starts, *ends) if isinstance(d, int)]
    if len(known) == len(shape) + len(starts) + len(ends):
        return _known(node, node.fixed(starts), node.fixed(ends), axes, steps)
    return _open(node, starts, ends, axes, steps)


def _known(
    node: Node,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int],
    steps: Sequence[int],
) -> Expr:
    value = node.arg(0)
    shape = node.fixed(node.dims(value))
    begin, end, stride = [0] * len(shape), list(shape), [1] * len(shape)
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        begin[axis], end[axis], stride[axis] = slice(first, last, step).indices(shape[axis])
    empty = [len(range(b, e, s)) for b, e, s in zip(begin, end, stride, strict=True)]
    if 0 in empty:
        return node.filled(empty, 0, node.dtype(value))
    # Before the first element: -1 would count from the end.
    end = [-d - 1 if e == -1 else e for d, e in zip(shape, end, strict=True)]
    return node.slice(value, begin, end, stride)


def _open(
    node: Node,
    starts: Sequence[Extent],
    ends: Sequence[Extent],
    axes: Sequence[int],
    steps: Sequence[int],
) -> Expr:
    """The part where a position or the size of an axis is open."""
    value = node.arg(0)
    shape = list(node.dims(value))
    cuts: list[int] = []
    for k, axis in enumerate(axes):
        size = _size(shape[axis], starts[k], ends[k], steps[k])
        if size is not None and size == shape[axis] and starts[k] == 0:
            continue
        cuts.append(k)
        shape[axis] = -1 if size is None else size
    if not cuts:
        return value
    numbers = [(starts[k], ends[k]) for k in cuts]
    cut = tuple(axes[k] for k in cuts)
    if all(isinstance(a, int) and isinstance(b, int) for a, b in numbers):
        begin, end = (node.fixed(p) for p in zip(*numbers, strict=True))
        made = node.call(
            "strided_slice",
            value,
            begin=begin,
            end=tuple(END if e >= _FAR else e for e in end),
            strides=tuple(steps[k] for k in cuts),
            axes=cut,
        )
    else:
        made = node.call(
            "dyn.strided_slice",
            value,
            node.arg(1),
            node.arg(2),
            node.constant(steps, node.dtype(node.arg(1))),
            axes=tuple(axes),
            known=tuple("?" if shape[a] == -1 else str(as_dim(shape[a])) for a in axes),
        )
    return node.remember(made, shape)


def _size(size: Extent, first: Extent, last: Extent, step: int) -> Extent | None:
    """How many elements of an axis of `size` a slice has, where that shows.

    A part of as many elements as something else is taken not to be cut off by the end of a table
    of known size: a model would not work with what it is short of.
    """
    if isinstance(size, int) and isinstance(first, int) and isinstance(last, int):
        return len(range(*slice(first, last, step).indices(size)))
    start = least(first)
    if step != 1 or start is None or start < 0:
        return None
    if compared(last, size) in (0, 1) or (isinstance(last, int) and last >= _FAR):
        last = size
    inside = least(size - last) is not None or (isinstance(size, int) and not isinstance(last, int))
    bounded = least(last) if not isinstance(last, int) else (0 if last >= 0 else None)
    if bounded is None or not inside or least(last - first) is None:
        return None
    return last - first
