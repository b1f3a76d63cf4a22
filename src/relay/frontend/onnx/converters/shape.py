"""Shapes: constants and ranges, reshaping, joining and cutting, padding."""

import math
from collections.abc import Sequence

import numpy as np

from relay import dtypes
from relay.frontend.onnx.converters.slicing import sliced
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.sizes import Extent, broadcast, least, quotient
from relay.frontend.onnx.tensors import to_ndarray
from relay.ir.expr import Expr

# ---------------------------------------------------------------- values


@onnx_op("", "Constant")
def constant(node: Node) -> Expr:
    """A tensor stored in the node."""
    if (tensor := node.tensor("value")) is not None:
        return node.from_tensor(tensor)
    if (floats := node.numbers("value_floats")) is not None:
        return node.constant(floats, "float32")
    if (integers := node.integers("value_ints")) is not None:
        return node.constant(integers, "int64")
    if node.has("value_float"):
        return node.constant(node.number("value_float", 0), "float32")
    if (texts := node.texts("value_strings")) is not None:
        return node.constant(texts, "string")
    if node.has("value_string"):
        return node.constant(node.text("value_string", ""), "string")
    if not node.has("value_int"):
        node.unsupported("it holds a sparse tensor, or nothing at all")
    return node.constant(node.integer("value_int"), "int64")


@onnx_op("", "ConstantOfShape")
def constant_of_shape(node: Node) -> Expr:
    """A tensor of a given shape, filled with one value."""
    shape = node.sizes(0, "shape")
    tensor = node.tensor("value")
    number, dtype = 0.0, "float32"
    if tensor is not None:
        value = to_ndarray(tensor)
        if math.prod(value.shape) != 1:
            node.fail(f"its value must be one number, found {value.dtype}{value.shape}")
        number, dtype = value.values().item(), value.dtype
    known = [d for d in shape if isinstance(d, int)]
    if len(known) == len(shape):
        return node.filled(known, number, dtype)
    return node.full(node.constant(number, dtype), shape, node.arg(0))


@onnx_op("", "Shape")
def shape_of(node: Node) -> Expr:
    """The shape of a tensor, or a part of it."""
    value = node.arg(0)
    shape = node.type_of(value).shape
    first, last, _ = slice(node.integer("start", 0), node.integer("end", len(shape))).indices(
        len(shape)
    )
    wanted = shape[first:last]
    known = [d for d in wanted if isinstance(d, int)]
    if len(known) == len(wanted):
        return node.constant(known, "int64")
    sizes = node.call("shape_of", value, dtype="int64")
    return node.slice(sizes, [first], [last], [1])


@onnx_op("", "Size")
def size_of(node: Node) -> Expr:
    """The number of elements of a tensor."""
    value = node.arg(0)
    if not node.type_of(value).is_static:
        return node.call("ndarray_size", value, dtype="int64")
    return node.constant(math.prod(node.shape(value)), "int64")


@onnx_op("", "Range")
def number_range(node: Node) -> Expr:
    """Numbers from a start up to a limit in equal steps."""
    found = [node.known(node.arg(i)) for i in range(3)]
    numbers = [n.reshape(()).item() for n in found if n is not None]
    if len(numbers) < len(found):
        return _open_range(node)
    start, limit, delta = numbers
    if delta == 0:
        node.fail("its step is 0")
    count = max(0, math.ceil((limit - start) / delta))
    dtype = node.dtype(node.arg(0))
    node.spend((count,), "float64")
    return node.constant(start + np.arange(count) * delta, dtype)


def _open_range(node: Node) -> Expr:
    """Numbers between bounds of which some are known only at run time."""
    first, stop, step = (node.arg(i) for i in range(3))
    size: Extent | None = None
    if dtypes.is_integer(node.dtype(first)):
        (start,), (limit,), (delta,) = (node.sizes(i, "bounds") for i in range(3))
        if delta == 1 and least(limit - start) is not None:
            size = limit - start
    return node.progression(first, stop, step, size)


@onnx_op("", "EyeLike")
def eye_like(node: Node) -> Expr:
    """A matrix with ones on a diagonal."""
    value = node.arg(0)
    rows, columns = node.shape(value)
    dtype = node.element_type(node.integer("dtype")) if node.has("dtype") else node.dtype(value)
    node.spend((rows, columns), "float64")
    return node.constant(np.eye(rows, columns, node.integer("k", 0)), dtype)


# ---------------------------------------------------------------- the same elements


@onnx_op("", "Reshape")
def reshape_by_attribute(node: Node) -> Expr:
    """`reshape` to the sizes of an attribute."""
    sizes = node.constant(node.integers("shape") or [], "int64")
    return reshape(node.derived([node.arg(0), sizes]))


@onnx_op("", "Reshape", since=5)
def reshape(node: Node) -> Expr:
    """The same elements in another shape; 0 copies a size, -1 is what is left."""
    value = node.arg(0)
    found = node.dims(value)
    wanted = node.sizes(1, "shape")
    if not node.integer("allowzero", 0):
        if any(d == 0 and i >= len(found) for i, d in enumerate(wanted)):
            node.fail(f"the shape {wanted} copies a dimension that {found} does not have")
        wanted = [found[i] if d == 0 else d for i, d in enumerate(wanted)]
    if wanted.count(-1) > 1 or any(isinstance(d, int) and d < -1 for d in wanted):
        node.fail(f"{wanted} is not a shape: only one size may be -1, none may be less")
    if -1 in wanted:
        whole, rest = math.prod(found), math.prod(d for d in wanted if d != -1)
        left = quotient(whole, rest)
        if rest == 0 or (left is None and isinstance(whole, int) and isinstance(rest, int)):
            node.fail(f"a tensor of shape {found} cannot become {tuple(wanted)}")
        wanted[wanted.index(-1)] = -1 if left is None else left
    return node.reshape(value, wanted, node.arg(1))


@onnx_op("", "Flatten")
def flatten(node: Node) -> Expr:
    """A matrix: the axes before `axis` become its rows, the others its columns."""
    value = node.arg(0)
    shape = node.dims(value)
    axis = node.integer("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        node.fail(f"the axis {axis} is not one of a tensor with {len(shape)} dimensions")
    axis = axis + len(shape) if axis < 0 else axis
    return node.reshape(value, (math.prod(shape[:axis]), math.prod(shape[axis:])))


@onnx_op("", "Transpose")
def transpose(node: Node) -> Expr:
    """The axes in another order; reversed where none is given."""
    value = node.arg(0)
    rank = node.rank(value)
    axes = node.integers("perm")
    if axes is None:
        axes = list(reversed(range(rank)))
    if sorted(axes) != list(range(rank)):
        node.fail(f"{axes} is not an order of {rank} axes")
    return node.transpose(value, axes)


def _given_axes(node: Node) -> list[int] | None:
    """Axes from the attribute (before version 13) or the second input."""
    if node.optional(1) is not None:
        return node.static_integers(1, "axes")
    return node.integers("axes")


@onnx_op("", "Squeeze")
def squeeze(node: Node) -> Expr:
    """Axes of size 1 removed."""
    value = node.arg(0)
    shape = node.dims(value)
    given = _given_axes(node)
    if given is None:
        axes = [i for i, d in enumerate(node.fixed(shape)) if d == 1]
    else:
        axes = node.normal_axes(given, len(shape))
    if any(isinstance(shape[a], int) and shape[a] != 1 for a in axes):
        node.fail(f"the axes {axes} of a tensor of shape {shape} do not all have size 1")
    return node.call("squeeze", value, axis=tuple(sorted(axes))) if axes else value


@onnx_op("", "Unsqueeze")
def unsqueeze(node: Node) -> Expr:
    """Axes of size 1 put in; they are counted in the result."""
    value = node.arg(0)
    given = _given_axes(node)
    if given is None:
        node.fail("it lacks its axes")
    for axis in sorted(node.normal_axes(given, node.rank(value) + len(given))):
        value = node.call("expand_dims", value, axis=axis)
    return value


@onnx_op("", "DepthToSpace")
def depth_to_space(node: Node) -> Expr:
    """Blocks of channels moved into the image."""
    mode = node.text("mode", "DCR")
    size = node.integer("blocksize")
    return node.call("nn.depth_to_space", node.arg(0), block_size=size, mode=mode)


@onnx_op("", "SpaceToDepth")
def space_to_depth(node: Node) -> Expr:
    """Blocks of the image moved into channels."""
    value, size = node.arg(0), node.integer("blocksize")
    if node.text("mode", "DCR") != "CRD":
        return node.call("nn.space_to_depth", value, block_size=size)
    batch, *rest = node.dims(value)
    channels, height, width = node.fixed(rest)
    if size < 1 or height % size or width % size:
        node.fail(f"{height}x{width} elements do not divide into blocks of {size}x{size}")
    blocks = (batch, channels, height // size, size, width // size, size)
    turned = node.transpose(node.reshape(value, blocks), (0, 1, 3, 5, 2, 4))
    return node.reshape(turned, (batch, channels * size * size, height // size, width // size))


# ---------------------------------------------------------------- repeated elements


@onnx_op("", "Expand")
def expand(node: Node) -> Expr:
    """A tensor broadcast together with a shape."""
    value = node.arg(0)
    old, wanted = node.dims(value), node.sizes(1, "shape")
    shape = broadcast(old, wanted)
    if shape is not None:
        return node.broadcast(value, shape, node.arg(1) if list(shape) == wanted else None)
    known = [d for d in (*old, *wanted) if isinstance(d, int)]
    if len(known) == len(old) + len(wanted):
        node.fail(f"a tensor of shape {old} does not broadcast with the shape {wanted}")
    # Which of two sizes is 1 shows only at run time: a choice between equals broadcasts both.
    everywhere = node.full(node.constant(True, "bool"), wanted, node.arg(1))
    return node.call("where", everywhere, value, value)


@onnx_op("", "Tile", values=(1, 2))
def tile_along_axis(node: Node) -> Expr:
    """A tensor repeated along one axis."""
    value = node.arg(0)
    times, axis = (int(node.static(k, what).item()) for k, what in ((1, "repeats"), (2, "axis")))
    (axis,) = node.normal_axes([axis], node.rank(value))
    repeats = [times if k == axis else 1 for k in range(node.rank(value))]
    node.check_size(
        [d * t for d, t in zip(node.shape(value), repeats, strict=True)], node.dtype(value)
    )
    return node.tile(value, repeats, node.constant(repeats, "int64"))


@onnx_op("", "Tile", since=6)
def tile(node: Node) -> Expr:
    """A tensor repeated along its axes."""
    value = node.arg(0)
    times = node.sizes(1, "repeats")
    shape = node.dims(value)
    if len(times) != len(shape):
        node.fail(f"it needs one number of repeats for each of {len(shape)} axes, found {times}")
    made = [d * t for d, t in zip(shape, times, strict=True)]
    known = [d for d in made if isinstance(d, int)]
    if len(known) == len(made):
        node.check_size(known, node.dtype(value))
    return node.tile(value, times, node.arg(1))


# ---------------------------------------------------------------- joining and cutting


@onnx_op("", "Concat")
def concat(node: Node) -> Expr:
    """Tensors one after the other along an axis."""
    values = node.args()
    return node.concatenate(values, node.axis("axis", node.rank(values[0])))


@onnx_op("", "Split")
def split(node: Node) -> list[Expr]:
    """A tensor cut along an axis, into parts of given or of equal sizes."""
    value = node.arg(0)
    axis = node.axis("axis", node.rank(value), 0)
    extent = node.dims(value)[axis]
    if node.optional(1) is not None:
        sizes = node.static_integers(1, "sizes")
    elif (given := node.integers("split")) is not None:
        sizes = given
    else:
        count = node.integer("num_outputs", len(node.outputs))
        if count != len(node.outputs):
            node.fail(f"its num_outputs is {count}, but it has {len(node.outputs)} outputs")
        (whole,) = node.fixed([extent])
        part = -(-whole // count)
        sizes = [max(0, min(part, whole - i * part)) for i in range(count)]
    wrong = isinstance(extent, int) and sum(sizes) != extent
    if wrong or any(s < 0 for s in sizes) or len(sizes) < len(node.outputs):
        node.fail(f"it cuts {extent} elements into {sizes} for {len(node.outputs)} outputs")
    if len(sizes) == 1:
        return [value]
    at = np.cumsum(sizes[:-1]).tolist()
    parts = node.call("split", value, indices_or_sections=tuple(at), axis=axis)
    return [node.field(parts, i) for i in range(len(node.outputs))]


@onnx_op("", "Slice")
def slice_by_attributes(node: Node) -> Expr:
    """A part of a tensor, given by attributes."""
    starts, ends = node.integers("starts"), node.integers("ends")
    if starts is None or ends is None:
        node.fail("it lacks its starts or ends")
    return sliced(node, starts, ends, node.integers("axes"), None)


@onnx_op("", "Slice", since=10)
def slice_by_inputs(node: Node) -> Expr:
    """A part of a tensor, given by inputs."""
    starts, ends = node.sizes(1, "starts"), node.sizes(2, "ends")
    axes = node.static_integers(3, "axes") if node.optional(3) is not None else None
    steps = node.static_integers(4, "steps") if node.optional(4) is not None else None
    return sliced(node, starts, ends, axes, steps)


# ---------------------------------------------------------------- padding


def _pad(node: Node, pads: Sequence[int], axes: Sequence[int] | None, fill: Expr) -> Expr:
    value = node.arg(0)
    shape = node.dims(value)
    axes = list(range(len(shape))) if axes is None else node.normal_axes(axes, len(shape))
    if len(pads) != 2 * len(axes):
        node.fail(f"it needs {2 * len(axes)} sizes of padding, found {len(pads)}")
    widths = [(0, 0)] * len(shape)
    for i, axis in enumerate(axes):
        widths[axis] = (pads[i], pads[i + len(axes)])
    # Less than nothing is put around: that is cut off.
    begin = [max(0, -before) for before, _ in widths]
    end = [d - max(0, -after) for d, (_, after) in zip(shape, widths, strict=True)]
    if any(isinstance(e, int) and b > e for b, e in zip(begin, end, strict=True)):
        node.fail(f"the padding {widths} leaves nothing of the shape {shape}")
    value = node.slice(value, begin, end, [1] * len(shape))
    width = tuple((max(0, before), max(0, after)) for before, after in widths)
    if not any(map(any, width)):
        return value
    padded = [d + sum(w) for d, w in zip(node.dims(value), width, strict=True)]
    node.check_size([d for d in padded if isinstance(d, int)], node.dtype(value))
    mode = node.text("mode", "constant")
    if mode == "wrap":
        return _wrapped(node, value, width)
    if mode not in ("constant", "reflect", "edge"):
        node.unsupported(
            f"its mode {mode!r} is not supported; constant, reflect, edge and wrap are"
        )
    return node.call("nn.pad", value, fill, pad_width=width, pad_mode=mode)


def _wrapped(node: Node, value: Expr, widths: Sequence[tuple[int, int]]) -> Expr:
    """`value` continued as if it were repeated without end."""
    for axis, (before, after) in enumerate(widths):
        if before or after:
            (size,) = node.fixed(node.dims(value)[axis : axis + 1])
            if size == 0:
                node.fail(f"axis {axis} is empty: there is nothing to repeat")
            places = node.constant(np.arange(-before, size + after) % size, "int64")
            value = node.call("take", value, places, axis=axis, mode="clip")
    return value


@onnx_op("", "Pad")
def pad_by_attributes(node: Node) -> Expr:
    """Elements put around a tensor, as attributes say."""
    fill = node.like(node.number("value", 0.0), node.arg(0))
    name = "pads" if node.opset > 1 else "paddings"
    return _pad(node, node.integers(name) or [], None, fill)


@onnx_op("", "Pad", since=11)
def pad_by_inputs(node: Node) -> Expr:
    """Elements put around a tensor, as inputs say."""
    given = node.optional(2)
    fill = node.like(0, node.arg(0)) if given is None else node.reshape(given, ())
    axes = node.static_integers(3, "axes") if node.optional(3) is not None else None
    return _pad(node, node.static_integers(1, "padding"), axes, fill)


@onnx_op("", "Trilu")
def triangle(node: Node) -> Expr:
    """The upper or lower triangle of matrices, zero elsewhere."""
    value = node.arg(0)
    diagonal = node.static_integers(1, "diagonal")[0] if node.optional(1) is not None else 0
    upper = bool(node.integer("upper", 1))
    rows, columns = node.dims(value)[-2:]
    if isinstance(rows, int) and isinstance(columns, int):
        # A mask that is known while importing becomes one select.
        node.spend((rows, columns), "bool")
        ones = np.ones((rows, columns), bool)
        mask: Expr = node.constant(
            np.triu(ones, diagonal) if upper else np.tril(ones, diagonal), "bool"
        )
    else:
        row = node.call("expand_dims", node.numbers_below(rows), axis=1)
        limit = node.call("add", row, node.like(diagonal, row))
        order = "greater_equal" if upper else "less_equal"
        mask = node.call(order, node.numbers_below(columns), limit)
    return node.call("where", mask, value, node.like(0, value))
