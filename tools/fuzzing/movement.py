"""Random nodes that move elements: shapes, slices, indices, and sizes that are computed."""

from typing import Any

import numpy as np

from fuzzing.building import FLOATS, Builder, Skip, Value
from fuzzing.numeric import distinct

ANY = (*FLOATS, "int32", "int64", "uint8", "bool")


def _whole(b: Builder, shape: tuple[int, ...], low: int, high: int) -> Value:
    """Indices from `low` to below `high`, as int32 or int64."""
    if high <= low:
        raise Skip("nothing to index")
    dtype = b.rng.choice(("int32", "int64"))
    made = np.asarray(b.numbers.integers(low, high, shape), dtype)
    return b.weight(made) if b.chance(0.6) else b.given(made)


def concatenation(b: Builder) -> None:
    """Values one after the other."""
    value = b.pick(ANY, lambda v: v.rank > 0)
    axis = b.axis(value.rank)
    parts = [value]
    for _ in range(b.rng.choice((0, 1, 1, 2))):
        sizes = list(value.shape)
        sizes[axis] = b.size(3)
        parts.append(b.like(value, tuple(sizes)))
    b.rng.shuffle(parts)
    b.emit("Concat", parts, axis=axis)


def splitting(b: Builder) -> None:
    """A value in parts."""
    value = b.pick(ANY, lambda v: v.rank > 0 and max(v.shape) > 1)
    axis = b.rng.choice([k for k, d in enumerate(value.shape) if d > 1])
    size = value.shape[axis]
    count = b.rng.randint(1, min(3, size))
    if b.chance(0.6):
        cuts = sorted(b.rng.sample(range(1, size), count - 1))
        sizes = np.diff([0, *cuts, size])
        b.emit("Split", [value, b.integers(*sizes)], count, axis=axis)
    elif b.opset >= 18:
        b.emit("Split", [value], count, axis=axis, num_outputs=count)
    else:
        b.emit("Split", [value], count, axis=axis)


def slicing(b: Builder) -> None:
    """Elements from a start to an end, in steps of either sign."""
    value = b.pick(ANY, lambda v: v.rank > 0)
    axes = b.axes(value.rank)
    steps = [b.rng.choice((1, 1, 1, 2, 3, -1, -2)) for _ in axes]
    starts, ends = [], []
    for axis, step in zip(axes, steps, strict=True):
        size = value.shape[axis]
        low, high = sorted((b.rng.randint(0, size), b.rng.randint(0, size)))
        start, end = (low, high) if step > 0 else (high - 1, low - 1 if low else -(2**31))
        starts.append(start - size if 0 < start < size and b.chance(0.2) else start)
        ends.append(2**31 if step > 0 and b.chance(0.2) else end)
    lists = [starts, ends, axes, steps]
    keep = 4
    if all(s == 1 for s in steps) and b.chance(0.5):
        keep = 3
    dtype = b.rng.choice((np.int64, np.int64, np.int32))
    limits = np.iinfo(np.int32)
    arrays = [np.array(np.clip(each, limits.min, limits.max), dtype) for each in lists[:keep]]
    b.emit("Slice", [value, *map(b.weight, arrays)])


def padding(b: Builder) -> None:
    """Elements around."""
    value = b.pick((*FLOATS, "int32", "int64"), lambda v: v.rank > 0)
    mode = b.rng.choice(("constant", "constant", "reflect", "edge", "wrap"))
    if mode == "wrap" and b.opset < 19:
        mode = "constant"
    if mode != "constant" and value.array.size == 0:
        raise Skip("nothing to repeat")
    low = -1 if mode == "constant" and b.chance(0.2) else 0
    limits = [min(2, d - 1) if mode == "reflect" else 2 for d in value.shape]
    pads = [
        b.rng.randint(max(low, -d // 3), max(0, m))
        for d, m in zip(value.shape * 2, limits * 2, strict=True)
    ]
    arguments: list[Value | None] = [value, b.integers(*pads)]
    if mode == "constant" and b.chance(0.5):
        arguments.append(b.weight(b.array((), value.dtype)))
    if b.opset >= 18 and b.chance(0.4):
        axes = b.axes(value.rank)
        chosen = [pads[a % value.rank] for a in axes] + [
            pads[a % value.rank + value.rank] for a in axes
        ]
        arguments[1] = b.integers(*chosen)
        arguments += [None] * (3 - len(arguments))
        arguments.append(b.integers(*axes))
    b.emit("Pad", arguments, mode=mode)


def _factors(b: Builder, total: int) -> list[int]:
    """Sizes of a shape with `total` elements."""
    sizes: list[int] = []
    while total > 1 and len(sizes) < 4:
        found = b.rng.choice([d for d in range(1, total + 1) if total % d == 0])
        sizes.append(found)
        total //= found
    return [*sizes, total] if total > 1 or b.chance(0.3) else sizes


def reshaping(b: Builder) -> None:
    """The same elements in another shape, which may be computed from shapes."""
    value = b.pick(ANY, lambda v: v.array.size > 0)
    sizes = _factors(b, value.array.size)
    if b.chance(0.3) and value.rank and value.shape[-1]:
        (shape,) = b.emit("Shape", [value])
        if b.chance(0.5):
            last = b.emit("Gather", [shape, b.weight(np.array(b.axis(value.rank), np.int64))])[0]
            (last,) = b.emit("Unsqueeze", [last, b.integers(0)])
            order = [last, b.integers(-1)] if b.chance(0.5) else [b.integers(-1), last]
            (target,) = b.emit("Concat", order, axis=0)
        else:
            cut = b.rng.randint(0, value.rank)
            (first,) = b.emit("Slice", [shape, b.integers(0), b.integers(cut)])
            (target,) = b.emit("Concat", [first, b.integers(-1)], axis=0)
        b.emit("Reshape", [value, target])
        return
    if sizes and b.chance(0.5):
        sizes[b.rng.randrange(len(sizes))] = -1
    for k, size in enumerate(sizes):
        if k < value.rank and value.shape[k] == size and b.chance(0.5):
            sizes[k] = 0
    b.emit("Reshape", [value, b.integers(*sizes)])


def sizes_as_numbers(b: Builder) -> None:
    """Sizes that take part in the computation."""
    value = b.pick(ANY)
    attributes: dict[str, Any] = {}
    if b.opset >= 15 and value.rank and b.chance(0.4):
        attributes = {"start": b.axis(value.rank)} | (
            {"end": b.axis(value.rank)} if b.chance(0.4) else {}
        )
    (sizes,) = b.emit("Size", [value]) if b.chance(0.3) else b.emit("Shape", [value], **attributes)
    if b.chance(0.5):
        (sizes,) = b.emit("Cast", [sizes], to=1)
        b.emit("Mul", [sizes, b.weight(b.array((), "float32"))])
    elif b.chance(0.4) and sizes.rank == 1 and np.prod(sizes.array) < 500:
        b.emit("ConstantOfShape", [sizes])


def transposition(b: Builder) -> None:
    """Axes in another order."""
    value = b.pick(ANY)
    order = b.rng.sample(range(value.rank), value.rank)
    attributes: dict[str, Any] = {"perm": order} if b.chance(0.85) and order else {}
    b.emit("Transpose", [value], **attributes)


def ones(b: Builder) -> None:
    """Dimensions of size one that come and go."""
    value = b.pick(ANY, lambda v: v.rank < 5)
    if 1 in value.shape and b.chance(0.5):
        axes = [k for k, d in enumerate(value.shape) if d == 1 and b.chance(0.7)]
        if not axes and not b.sizes_are_known:  # which sizes are one has to be known
            axes = [value.shape.index(1)]
        axes = [a - value.rank if b.chance(0.3) else a for a in axes]
        b.emit("Squeeze", [value, b.integers(*axes)] if axes else [value])
        return
    rank = value.rank + b.rng.randint(1, 2)
    axes = b.rng.sample(range(rank), rank - value.rank)
    axes = [a - rank if b.chance(0.3) else a for a in axes]
    b.emit("Unsqueeze", [value, b.integers(*axes)])


def repetition(b: Builder) -> None:
    """Elements repeated: by broadcasting or as tiles."""
    value = b.pick(ANY)
    if b.chance(0.5):
        sizes = [b.rng.choice((1, d)) if d != 1 else b.size(3) for d in value.shape]
        sizes = [b.size(2)] * b.rng.choice((0, 0, 1)) + sizes
        b.emit("Expand", [value, b.integers(*sizes)])
    elif value.rank:
        b.emit("Tile", [value, b.integers(*(b.rng.choice((1, 1, 2, 3)) for _ in value.shape))])


def flattening(b: Builder) -> None:
    """A matrix of it."""
    value = b.pick(ANY)
    axis = b.rng.randint(-value.rank, value.rank)
    attributes: dict[str, Any] = {"axis": axis} if b.chance(0.8) else {}
    b.emit("Flatten", [value], **attributes)


def gathering(b: Builder) -> None:
    """Elements that indices name."""
    value = b.pick(ANY, lambda v: v.rank > 0 and v.array.size > 0)
    axis = b.axis(value.rank)
    size = value.shape[axis]
    match b.rng.randrange(4):
        case 0 | 1:
            b.emit(
                "Gather",
                [value, _whole(b, b.shape(b.rng.choice((0, 1, 2))), -size, size)],
                axis=axis,
            )
        case 2:
            sizes = [b.rng.randint(1, d) for d in value.shape]
            sizes[axis] = b.size(3)
            b.emit("GatherElements", [value, _whole(b, tuple(sizes), -size, size)], axis=axis)
        case _:
            batch = b.rng.choice((0, 0, 1)) if value.rank > 1 else 0
            depth = b.rng.randint(1, value.rank - batch)
            shape = (*value.shape[:batch], *b.shape(b.rng.choice((1, 2)))[:2], depth)
            least = min(value.shape[batch : batch + depth])
            indices = b.weight(np.asarray(b.numbers.integers(-least, least, shape), np.int64))
            b.emit("GatherND", [value, indices], batch_dims=batch)


def scattering(b: Builder) -> None:
    """Elements put where indices say."""
    value = b.pick(("float32", "int64", "float64"), lambda v: v.rank > 0 and v.array.size > 0)
    attributes: dict[str, Any] = {}
    if b.opset >= 16 and b.chance(0.5):
        kinds = ("add", "mul", "max", "min") if b.opset >= 18 else ("add", "mul")
        attributes["reduction"] = b.rng.choice(kinds)
    if b.chance(0.5):
        axis = b.axis(value.rank)
        sizes = [b.rng.randint(1, d) for d in value.shape]
        order = np.argsort(b.numbers.random(value.shape), axis)
        window = tuple(slice(0, n) for n in sizes)
        indices = order[window].astype(np.int64)
        if b.chance(0.3):
            indices = indices - value.shape[axis]
        updates = b.source(tuple(sizes), value.dtype)
        b.emit("ScatterElements", [value, b.weight(indices), updates], axis=axis, **attributes)
        return
    depth = b.rng.randint(1, value.rank)
    places = list(np.ndindex(*value.shape[:depth]))
    chosen = b.rng.sample(places, min(len(places), b.rng.randint(1, 4)))
    updates = b.source((len(chosen), *value.shape[depth:]), value.dtype)
    b.emit("ScatterND", [value, b.weight(np.array(chosen, np.int64)), updates], **attributes)


def top(b: Builder) -> None:
    """The largest or smallest elements, in order."""
    value = b.pick(
        ("float32", "float64", "int64", "int32"), lambda v: v.rank > 0 and v.array.size > 0
    )
    axis = b.axis(value.rank)
    count = b.integers(b.rng.randint(1, value.shape[axis]))
    b.emit("TopK", [value, count], 2, distinct(axis), axis=axis, largest=b.rng.choice((0, 1)))


def one_hot(b: Builder) -> None:
    """Numbers as unit vectors."""
    depth = b.rng.randint(1, 6)
    indices = _whole(b, b.shape(b.rng.choice((1, 2))), -depth, depth)
    values = b.weight(b.array((2,), b.rng.choice(("float32", "int64"))))
    rank = indices.rank + 1
    b.emit("OneHot", [indices, b.weight(np.array(depth, np.int64)), values], axis=b.axis(rank))


def reversing(b: Builder) -> None:
    """The beginnings of sequences, the other way around."""
    value = b.pick(("float32", "int64"), lambda v: v.rank > 1 and v.array.size > 0)
    time = b.rng.choice((0, 1))
    lengths = [b.rng.randint(1, value.shape[time]) for _ in range(value.shape[1 - time])]
    b.emit("ReverseSequence", [value, b.integers(*lengths)], time_axis=time, batch_axis=1 - time)


def found_at_run_time(b: Builder) -> None:
    """Results whose size only values tell."""
    match b.rng.randrange(4):
        case 0:
            value = b.pick((*FLOATS, "int64", "bool"), lambda v: v.exact and v.rank > 0)
            b.emit("NonZero", [value])
        case 1:
            value = b.pick(("float32", "int64"), lambda v: v.rank > 0)
            axis = b.rng.randrange(value.rank)
            condition = b.source((value.shape[axis],), "bool")
            b.emit("Compress", [value, condition], axis=axis)
        case 2:
            value = b.pick(("float32", "int64"), lambda v: v.exact and v.array.size > 0)
            b.emit("Unique", [value], b.rng.choice((1, 4)), sorted=1)
        case _:
            limits = [b.weight(np.array(n, np.int64)) for n in (0, b.rng.randint(1, 6), 1)]
            b.emit("Range", limits)


def cropping(b: Builder) -> None:
    """The middle of something, or zeros around it."""
    if b.opset < 18:
        raise Skip("too old")
    value = b.pick(("float32",), lambda v: v.rank > 0)
    sizes = [b.rng.randint(1, d + 2) for d in value.shape]
    b.emit("CenterCropPad", [value, b.integers(*sizes)])
