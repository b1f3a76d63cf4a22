"""Random nodes that compute: element by element, over axes, and products of matrices."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from fuzzing.building import FLOATS, INTEGERS, Builder, Skip, Value

#: Whether the arguments of a node are clear of the jumps of its function.
Check: TypeAlias = Callable[[Sequence[Value]], bool]

#: Operators of one floating-point argument -> the version they came with, and their domain.
UNARY: Final[dict[str, tuple[int, float, float]]] = {
    "Abs": (13, -1e9, 1e9),
    "Acos": (7, -0.95, 0.95),
    "Acosh": (9, 1.1, 1e9),
    "Asin": (7, -0.95, 0.95),
    "Asinh": (9, -1e9, 1e9),
    "Atan": (7, -1e9, 1e9),
    "Atanh": (9, -0.9, 0.9),
    "Celu": (12, -1e9, 1e9),
    "Cos": (7, -10, 10),
    "Cosh": (9, -4, 4),
    "Elu": (6, -1e9, 1e9),
    "Erf": (13, -1e9, 1e9),
    "Exp": (13, -20, 4),
    "Gelu": (20, -1e9, 1e9),
    "HardSigmoid": (6, -1e9, 1e9),
    "HardSwish": (14, -1e9, 1e9),
    "Identity": (13, -1e9, 1e9),
    "LeakyRelu": (6, -1e9, 1e9),
    "Log": (13, 0.1, 1e9),
    "Mish": (18, -1e9, 1e9),
    "Neg": (13, -1e9, 1e9),
    "Reciprocal": (13, 0.1, 1e9),
    "Relu": (14, -1e9, 1e9),
    "Selu": (6, -1e9, 1e9),
    "Sigmoid": (13, -1e9, 1e9),
    "Sin": (7, -10, 10),
    "Sinh": (9, -4, 4),
    "Softplus": (1, -1e9, 1e9),
    "Softsign": (1, -1e9, 1e9),
    "Sqrt": (13, 0.01, 1e9),
    "Tan": (7, -1.3, 1.3),
    "Tanh": (13, -1e9, 1e9),
}
#: Attributes that such an operator may have, with their range.
ALPHA: Final = {
    "Celu": ("alpha",),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
    "Selu": ("alpha", "gamma"),
}


def clear_of_integers(offset: float = 0.0) -> Check:
    """Whether no element is near a whole number plus `offset`."""

    def check(values: Sequence[Value]) -> bool:
        value = values[0]
        shifted = value.array.astype(np.float64) - offset
        return bool((np.abs(shifted - np.round(shifted)) >= value.margin).all())

    return check


def clear_of(point: float) -> Check:
    """Whether no element is near `point`."""

    def check(values: Sequence[Value]) -> bool:
        distance = np.abs(values[0].array.astype(np.float64) - point)
        return bool((distance >= values[0].margin).all())

    return check


def apart(values: Sequence[Value]) -> bool:
    """Whether two values that are compared are nowhere nearly equal."""
    left, right = values[0], values[1]
    margin = max(left.margin, right.margin)
    if not margin:
        return True
    distance = np.abs(left.array.astype(np.float64) - right.array.astype(np.float64))
    return bool((distance >= margin).all())


def distinct(axis: int | None) -> Check:
    """Whether the elements along an axis are clearly different, so that their order is certain."""

    def check(values: Sequence[Value]) -> bool:
        value = values[0]
        if not value.margin:
            return True
        array = value.array.reshape(-1) if axis is None else value.array
        gaps = np.diff(
            np.sort(array.astype(np.float64), 0 if axis is None else axis), axis=axis or 0
        )
        return bool((gaps >= value.margin).all())

    return check


def unary(b: Builder) -> None:
    """A function of each element."""
    op_type = b.rng.choice([n for n, (since, _, _) in UNARY.items() if since <= b.opset])
    _, low, high = UNARY[op_type]
    value = b.bounded(b.pick(), low, high)
    names = [n for n in ALPHA.get(op_type, ()) if b.chance(0.5)]
    attributes: dict[str, Any] = {n: b.rng.uniform(0.1, 1.5) for n in names}
    if op_type == "Gelu" and b.chance(0.5):
        attributes["approximate"] = "tanh"
    b.emit(op_type, [value], **attributes)


def unary_integer(b: Builder) -> None:
    """A function of each whole number."""
    op_type = b.rng.choice(("Abs", "Neg", "Sign", "Identity", "Relu", "BitwiseNot"))
    b.emit(op_type, [b.pick(INTEGERS)])


def rounding(b: Builder) -> None:
    """A function with jumps."""
    op_type = b.rng.choice(("Floor", "Ceil", "Round", "Sign", "ThresholdedRelu", "Shrink"))
    value = b.pick()
    match op_type:
        case "Floor" | "Ceil":
            b.emit(op_type, [value], clear=clear_of_integers())
        case "Round":
            b.emit(op_type, [value], clear=clear_of_integers(0.5))
        case "Sign":
            b.emit(op_type, [value], clear=clear_of(0.0))
        case "ThresholdedRelu":
            b.emit(op_type, [value], clear=clear_of(0.5), alpha=0.5)
        case _:
            bound = [v for v in (clear_of(0.4), clear_of(-0.4)) if not v([value])]
            if bound:
                raise Skip("too close to a jump")
            b.emit(op_type, [value], lambd=0.4, bias=b.rng.choice((0.0, 0.2)))


def floating_class(b: Builder) -> None:
    """A question about each number."""
    b.emit(b.rng.choice(("IsNaN", "IsInf")), [b.pick(("float32", "float64"))])


def binary(b: Builder) -> None:
    """Arithmetic of two values that broadcast."""
    op_type = b.rng.choice("Add Sub Mul Div Pow PRelu Mod Max Min Mean Sum".split())
    left = b.pick(FLOATS + INTEGERS if b.chance(0.3) else FLOATS)
    right = b.broadcasting(left)
    whole = left.array.dtype.kind != "f"
    attributes: dict[str, Any] = {}
    match op_type:
        case "Div":
            if whole:
                right = b.weight(b.array(right.shape, left.dtype) % 5 + np.array(1, left.dtype))
            else:
                right = b.bounded(right, 0.2, 1e9)
        case "Pow":
            left = left if whole else b.bounded(left, 0.2, 1e9)
            right = (
                b.bounded(right, -2.0, 3.0)
                if not whole
                else b.weight(b.array(right.shape, left.dtype) % 3)
            )
        case "PRelu":
            sizes = left.shape[b.rng.randint(0, left.rank) :]
            shape = tuple(1 if b.chance(0.3) else d for d in sizes)
            right = b.source(shape, left.dtype, 0.0, 1.0)
        case "Mod":
            if not whole:
                raise Skip("a float has jumps there")
            attributes["fmod"] = int(b.chance(0.3))
            right = b.weight(b.array(right.shape, left.dtype) % 5 + np.array(1, left.dtype))
        case "Max" | "Min" | "Mean" | "Sum":
            more = [b.broadcasting(left) for _ in range(b.rng.choice((0, 1, 1, 2)))]
            b.emit(op_type, [left, *more])
            return
    b.emit(
        op_type,
        [left, right] if b.chance(0.8) or op_type in _ORDERED else [right, left],
        **attributes,
    )


_ORDERED: Final = ("Div", "Pow", "PRelu", "Mod")


def comparison(b: Builder) -> None:
    """A comparison of two values."""
    names = "Equal Less LessOrEqual Greater GreaterOrEqual".split()
    left = b.pick(FLOATS + INTEGERS)
    right = b.broadcasting(left)
    b.emit(b.rng.choice(names), [left, right], clear=apart)


def logic(b: Builder) -> None:
    """Truth values, and the bits of whole numbers."""
    if b.chance(0.6) or b.opset < 18:
        left = b.pick(("bool",))
        if b.chance(0.2):
            b.emit("Not", [left])
        else:
            b.emit(b.rng.choice(("And", "Or", "Xor")), [left, b.broadcasting(left)])
        return
    left = b.pick(INTEGERS)
    if left.dtype == "uint8" and b.chance(0.5):
        shift = b.weight(b.array(left.shape, "uint8") % 4)
        b.emit("BitShift", [left, shift], direction=b.rng.choice(("LEFT", "RIGHT")))
    else:
        op_type = b.rng.choice(("BitwiseAnd", "BitwiseOr", "BitwiseXor"))
        b.emit(op_type, [left, b.broadcasting(left)])


def where(b: Builder) -> None:
    """A choice between two values, element by element."""
    left = b.pick(FLOATS + INTEGERS)
    right = b.broadcasting(left)
    sizes = tuple(1 if b.chance(0.3) else d for d in left.shape)
    found = [v for v in b.pool if v.dtype == "bool" and v.shape in (left.shape, sizes)]
    condition = b.rng.choice(found) if found else b.source(sizes, "bool")
    b.emit("Where", [condition, left, right] if b.chance(0.7) else [condition, right, left])


def clip(b: Builder) -> None:
    """Bounds, of which either may be missing."""
    value = b.pick(FLOATS + INTEGERS)
    low, high = sorted(b.array((2,), value.dtype))
    bounds = [b.weight(np.array(bound)) if b.chance(0.8) else None for bound in (low, high)]
    b.emit("Clip", [value, *bounds] if bounds[1] else [value, *bounds[:1]])


def cast(b: Builder) -> None:
    """Another data type."""
    value = b.pick((*FLOATS, *INTEGERS, "bool"))
    wanted = b.rng.choice((*FLOATS, "float32", *INTEGERS, "bool", "int8"))
    whole = value.array.dtype.kind == "f" and wanted not in FLOATS
    if whole and value.array.size and wanted == "uint8" and value.array.min() < 0:
        raise Skip("not the same everywhere")
    check: Check | None
    if whole and wanted == "bool":
        check = clear_of(0.0)
    else:
        check = clear_of_integers() if whole else None
    code = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9}
    code |= {"float16": 10, "float64": 11}
    if b.opset >= 15 and b.chance(0.15):
        b.emit("CastLike", [value, b.source((), wanted)], clear=check)
    else:
        b.emit("Cast", [value], clear=check, to=code[wanted])


def reduction(b: Builder) -> None:
    """A sum, a mean, a norm or an extreme over axes, which may be inputs."""
    names = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()
    op_type = "Reduce" + b.rng.choice(names)
    value = b.pick((*FLOATS, "int32", "int64") if b.chance(0.2) else FLOATS)
    if not value.array.size and op_type not in ("ReduceSum", "ReduceProd", "ReduceL1"):
        raise Skip("the standard does not say")
    if op_type == "ReduceLogSum":
        value = b.bounded(value, 0.1, 1e9)
    attributes: dict[str, Any] = {"keepdims": b.rng.choice((0, 1))} if b.chance(0.8) else {}
    axes = b.axes(value.rank) if value.rank and b.chance(0.8) else None
    arguments: list[Value | None] = [value]
    if b.opset >= 18 or (op_type == "ReduceSum" and b.opset >= 13):
        if axes is not None:
            arguments.append(b.integers(*axes))
        elif b.chance(0.4):
            if b.chance(0.5):
                arguments.append(b.integers())
            attributes["noop_with_empty_axes"] = 1
    elif axes is not None:
        attributes["axes"] = axes
    b.emit(op_type, arguments, **attributes)


def arg_extreme(b: Builder) -> None:
    """Where the largest or smallest element is."""
    value = b.pick((*FLOATS, "int32"), lambda v: v.rank > 0)
    axis = b.axis(value.rank)
    b.emit(
        b.rng.choice(("ArgMax", "ArgMin")),
        [value],
        clear=distinct(axis),
        axis=axis,
        keepdims=b.rng.choice((0, 1)),
        select_last_index=b.rng.choice((0, 0, 1)),
    )


def softmax(b: Builder) -> None:
    """Something normalised along one axis."""
    value = b.pick(fits=lambda v: v.rank > 0)
    op_type = b.rng.choice("Softmax Softmax LogSoftmax Hardmax LpNormalization".split())
    axis = b.axis(value.rank)
    if op_type == "Hardmax":
        b.emit(op_type, [value], clear=distinct(axis), axis=axis)
    elif op_type == "LpNormalization":
        value = b.bounded(value, 0.1, 1e9)
        b.emit(op_type, [value], axis=axis, p=b.rng.choice((1, 2)))
    else:
        b.emit(op_type, [value], axis=axis)


def cumulative(b: Builder) -> None:
    """Sums of the elements so far."""
    value = b.pick((*FLOATS, "int32", "int64"), lambda v: v.rank > 0)
    axis = b.weight(np.array(b.axis(value.rank), b.rng.choice(("int32", "int64"))))
    flags: dict[str, Any] = {
        n: b.rng.choice((0, 1)) for n in ("exclusive", "reverse") if b.chance(0.6)
    }
    b.emit("CumSum", [value, axis], **flags)


def matmul(b: Builder) -> None:
    """Products of (stacks of) matrices and vectors."""
    left = b.pick((*FLOATS, "int32") if b.chance(0.05) else FLOATS, lambda v: v.rank > 0)
    depth = left.shape[-1]
    stack = tuple(1 if b.chance(0.3) else d for d in left.shape[:-2])
    stack = stack[b.rng.randint(0, len(stack)) if b.chance(0.4) else 0 :]
    shape = (depth,) if b.chance(0.15) else (*stack, depth, b.size())
    right = b.source(shape, left.dtype, -1.0, 1.0)
    if b.chance(0.15) and left.rank > 1:
        rows = b.source((*stack, b.size(), left.shape[-2]), left.dtype, -1.0, 1.0)
        b.emit("MatMul", [rows, left])
    else:
        b.emit("MatMul", [left, right])


def gemm(b: Builder) -> None:
    """A product of matrices, either transposed, plus something that broadcasts."""
    left = b.pick(rank=2)
    flags = [int(b.chance(0.4)) for _ in range(2)]
    rows, depth = left.shape[:: -1 if flags[0] else 1]
    columns = b.size()
    right = b.source((columns, depth) if flags[1] else (depth, columns), left.dtype, -1.0, 1.0)
    arguments: list[Value | None] = [left, right]
    if b.chance(0.7):
        shapes = ((rows, columns), (columns,), (1, columns), (rows, 1), (1,), (), (1, 1))
        arguments.append(b.source(b.rng.choice(shapes), left.dtype))
    scales: dict[str, Any] = {
        n: b.rng.choice((0.5, 2.0, 1.0)) for n in ("alpha", "beta") if b.chance(0.4)
    }
    b.emit("Gemm", arguments, transA=flags[0], transB=flags[1], **scales)


def einsum(b: Builder) -> None:
    """A sum of products that an equation describes."""
    left = b.pick(("float32", "float64"), lambda v: 0 < v.rank < 5)
    letters = "abcde"[: left.rank]
    others = "".join(c for c in letters if b.chance(0.6)) + ("x" if b.chance(0.6) else "")
    sizes = dict(zip(letters, left.shape, strict=True)) | {"x": b.size(3)}
    terms, arguments = [letters], [left]
    if b.chance(0.8) and others:
        others = "".join(b.rng.sample(others, len(others)))
        terms.append(others)
        arguments.append(b.source(tuple(sizes[c] for c in others), left.dtype, -1.0, 1.0))
    every = "".join(dict.fromkeys("".join(terms)))
    result = "".join(b.rng.sample(every, b.rng.randint(0, len(every))))
    equation = ",".join(terms) + ("->" + result if b.chance(0.9) else "")
    b.emit("Einsum", arguments, equation=equation)


def quantization(b: Builder) -> None:
    """Numbers as eight bits, and back."""
    value = b.pick(("float32",))
    axis = b.rng.randrange(value.rank) if value.rank and b.chance(0.4) else None
    shape: tuple[int, ...] = () if axis is None else (value.shape[axis],)
    scale = b.weight(np.asarray(b.numbers.uniform(0.02, 0.1, shape), np.float32))
    dtype = b.rng.choice(("uint8", "int8"))
    zero = b.weight(np.asarray(b.numbers.integers(0, 60, shape), dtype))
    attributes: dict[str, Any] = {} if axis is None else {"axis": axis}
    wide = [1] * value.rank
    if axis is not None:
        wide[axis] = -1
    scaled = value.array / (scale.array.reshape(wide) if axis is not None else scale.array)
    half = scaled.astype(np.float64) - 0.5
    if not value.exact and (np.abs(half - np.round(half)) < 0.02).any():
        raise Skip("too close to a jump")
    if (np.abs(half - np.round(half)) < 1e-4).any():
        raise Skip("too close to a jump")
    arguments = [scale, zero] if b.chance(0.8) else [scale]
    (coded,) = b.emit("QuantizeLinear", [value, *arguments], **attributes)
    b.emit("DequantizeLinear", [coded, *arguments], **attributes)


def dynamic_quantization(b: Builder) -> None:
    """Whole numbers multiplied, with their offsets."""
    left = b.pick(("uint8",), rank=2)
    right = b.weight(b.array((left.shape[1], b.size()), "uint8"))
    zeros = [b.weight(np.array(z, np.uint8)) for z in (3, 1)]
    b.emit("MatMulInteger", [left, right, *zeros[: b.rng.randint(0, 2)]])


def trilu(b: Builder) -> None:
    """A triangle of matrices."""
    value = b.pick((*FLOATS, "int64"), lambda v: v.rank > 1)
    arguments: list[Value | None] = [value]
    if b.chance(0.6):
        arguments.append(b.weight(np.array(b.rng.randint(-3, 3), np.int64)))
    b.emit("Trilu", arguments, upper=b.rng.choice((0, 1)))
