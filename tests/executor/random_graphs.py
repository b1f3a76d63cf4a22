"""Random small programs for Hypothesis: well typed, and with values that stay moderate."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from relay import nn, op
from relay.ir.expr import Constant, Expr, Function, Tuple, Var
from relay.ir.types import TensorType
from relay.runtime.ndarray import NDArray

Shape = tuple[int, ...]

#: Sizes of dimensions: one, less than a vector, no multiple of it, more than one.
SIZES = (1, 2, 3, 4, 7, 8, 16, 17, 33)
#: Elements of a value, at most.
MAX_ELEMENTS = 20_000
#: Where values may become larger than this, they are squeezed by ``tanh``.
MAX_BOUND = 50.0


@dataclass
class Program:
    """A program under construction: `pool` are the values so far, by how large they may be."""

    draw: st.DrawFn
    inputs: list[Var] = field(default_factory=list)
    pool: list[tuple[Expr, float]] = field(default_factory=list)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def input(self, shape: Shape) -> Expr:
        variable = Var(f"x{len(self.inputs)}", TensorType(shape, "float32"))
        self.inputs.append(variable)
        return variable

    def weight(self, shape: Shape, fan_in: int = 1) -> Expr:
        """A constant, or now and then an input; sums of `fan_in` products stay moderate."""
        if self.integer(0, 3) == 3:
            scale = Constant(NDArray(np.float32(1.0 / fan_in)))
            return op.multiply(self.input(shape), scale)
        values = self.random.uniform(-1, 1, shape) / fan_in
        return Constant(NDArray(values.astype("float32")))

    def pick(self, rank: int | None = None) -> tuple[Expr, float]:
        """A value so far, of `rank` if there is one; mostly the last, so that chains get long."""
        found = [v for v in self.pool if rank is None or len(shape_of(v[0])) == rank] or self.pool
        back = self.integer(1, len(found)) if self.integer(0, 3) == 3 else 1
        return found[-back]

    def add(self, value: Expr, bound: float) -> None:
        if math.prod(shape_of(value)) <= MAX_ELEMENTS:
            if bound > MAX_BOUND:
                value, bound = op.tanh(value), 1.0
            self.pool.append((value, bound))


def shape_of(value: Expr) -> Shape:
    type_ = value.checked_type
    assert isinstance(type_, TensorType)
    return type_.concrete_shape


def _unary(p: Program) -> None:
    x, bound = p.pick()
    same = (nn.relu, op.abs, op.negative, lambda v: nn.leaky_relu(v, alpha=0.1))
    small = (op.tanh, op.sigmoid, op.sin, op.erf, lambda v: op.clip(v, a_min=-1.0, a_max=0.5))
    k = p.integer(0, len(same) + len(small) - 1)
    p.add((*same, *small)[k](x), bound if k < len(same) else 1.0)
    if k == 4:
        p.add(op.exp(p.pool[-1][0]), 3.0)


def _binary(p: Program) -> None:
    x, a = p.pick()
    shape = shape_of(x)
    others = [v for v in p.pool if _broadcasts(shape, shape_of(v[0]))]
    if p.integer(0, 1):
        y, b = others[p.integer(0, len(others) - 1)]
    else:
        kept = tuple(d if p.integer(0, 1) else 1 for d in shape)
        y, b = p.weight(kept[p.integer(0, len(kept)) :]), 1.0
    function, bound = (
        (op.add, a + b), (op.subtract, a + b), (op.multiply, a * b), (op.maximum, max(a, b)),
        (op.minimum, max(a, b)), (lambda u, v: op.divide(u, op.exp(op.tanh(v))), 3 * a),
    )[p.integer(0, 5)]  # fmt: skip
    p.add(function(x, y), bound)


def _broadcasts(a: Shape, b: Shape) -> bool:
    pairs = zip(reversed(a), reversed(b), strict=False)
    return all(x == y or 1 in (x, y) for x, y in pairs)


def _reduce(p: Program) -> None:
    x, bound = p.pick()
    rank = len(shape_of(x))
    axes = tuple(k for k in range(rank) if p.integer(0, 1)) or None
    function = (op.mean, op.max, op.min)[p.integer(0, 2)]
    p.add(function(x, axis=axes, keepdims=bool(p.integer(0, 1))), bound)


def _reshape(p: Program) -> None:
    x, bound = p.pick()
    shape = shape_of(x)
    rank = len(shape)
    match p.integer(0, 3):
        case 0 if rank > 1:
            k = p.integer(0, rank - 2)
            p.add(op.reshape(x, (*shape[:k], shape[k] * shape[k + 1], *shape[k + 2 :])), bound)
        case 1:
            p.add(op.expand_dims(x, axis=p.integer(0, rank)), bound)
        case 2 if rank:
            k = p.integer(0, rank - 1)
            part = max(d for d in (1, 2, 4, 8) if shape[k] % d == 0)
            p.add(op.reshape(x, (*shape[:k], shape[k] // part, part, *shape[k + 1 :])), bound)
        case _:
            p.add(op.reshape(x, (-1,)), bound)


def _transpose(p: Program) -> None:
    x, bound = p.pick()
    order = p.draw(st.permutations(range(len(shape_of(x)))))
    p.add(op.transpose(x, tuple(order)), bound)


def _join(p: Program) -> None:
    x, a = p.pick()
    shape = shape_of(x)
    if not shape:
        return
    axis = p.integer(0, len(shape) - 1)
    fitting = [
        v
        for v in p.pool
        if len(s := shape_of(v[0])) == len(shape)
        and (*s[:axis], *s[axis + 1 :]) == (*shape[:axis], *shape[axis + 1 :])
    ]
    y, b = fitting[p.integer(0, len(fitting) - 1)]
    p.add(op.concatenate([x, y], axis=axis), max(a, b))


def _slice(p: Program) -> None:
    x, bound = p.pick()
    shape = shape_of(x)
    if not shape:
        return
    axis = p.integer(0, len(shape) - 1)
    size = shape[axis]
    match p.integer(0, 2):
        case 0:
            start = p.integer(0, size - 1)
            stop, step = p.integer(start + 1, size), p.integer(1, 2)
            p.add(op.strided_slice(x, (start,), (stop,), (step,), axes=(axis,)), bound)
        case 1 if size > 1:
            parts = op.split(x, (p.integer(1, size - 1),), axis=axis)
            for k in range(2):
                p.add(parts[k], bound)
        case _:
            width = [(0, 0)] * len(shape)
            width[axis] = (p.integer(0, 2), p.integer(0, 2))
            p.add(nn.pad(x, width, 0.5), bound)


def _rows(p: Program) -> None:
    x, bound = p.pick()
    shape = shape_of(x)
    if not shape:
        return
    axis = p.integer(0, len(shape) - 1)
    vector = (shape[axis],)
    match p.integer(0, 2):
        case 0:
            p.add(nn.softmax(x, axis=axis), 1.0)
        case 1:
            p.add(nn.log_softmax(x, axis=axis), 2 * bound + 4)
        case _:
            gamma, beta = p.weight(vector), p.weight(vector)
            p.add(nn.layer_norm(x, gamma, beta, axis=axis, epsilon=0.1), 1 + math.sqrt(vector[0]))


def _dense(p: Program) -> None:
    x, bound = p.pick(2)
    shape = shape_of(x)
    if len(shape) == 3:
        y = p.weight((shape[0], p.draw(st.sampled_from(SIZES)), shape[2]), shape[2])
        p.add(nn.batch_matmul(x, y), bound)
    elif len(shape) == 2:
        units = p.draw(st.sampled_from(SIZES))
        y = nn.dense(x, p.weight((units, shape[1]), shape[1]))
        if p.integer(0, 1):
            y = nn.bias_add(y, p.weight((units,)))
        p.add(y, bound + 1)


def _image(p: Program) -> None:
    x, bound = p.pick(4)
    shape = shape_of(x)
    if len(shape) != 4:
        return
    window = p.integer(1, min(3, *shape[2:]))
    place = {"padding": p.integer(0, window - 1), "strides": p.integer(1, 2)}
    match p.integer(0, 4):
        case 0:
            p.add(nn.max_pool2d(x, pool_size=window, **place), bound)
        case 1:
            p.add(nn.avg_pool2d(x, pool_size=window, **place), bound)
        case 2:
            vectors = [p.weight((shape[1],)) for _ in range(3)]
            variance = Constant(NDArray(np.ones(shape[1], "float32")))
            p.add(nn.batch_norm(x, *vectors, variance)[0], bound + 2)
        case 3:
            weight = p.weight((shape[1], 1, window, window), window * window)
            p.add(nn.conv2d(x, weight, groups=shape[1], **place), bound)
        case _:
            channels = p.draw(st.sampled_from(SIZES))
            fan_in = shape[1] * window * window
            weight = p.weight((channels, shape[1], window, window), fan_in)
            p.add(nn.conv2d(x, weight, **place), bound)


STEPS: tuple[Callable[[Program], None], ...] = (
    _unary, _unary, _binary, _binary, _binary, _reduce, _reshape, _transpose, _join, _slice, _rows,
    _dense, _image, _image,
)  # fmt: skip


@st.composite
def programs(draw: st.DrawFn, steps: int = 12) -> Function:
    """A function of ``float32`` tensors with up to `steps` operators, and one or more results."""
    program = Program(draw)
    for _ in range(draw(st.integers(1, 2))):
        rank = draw(st.sampled_from((4, 2, 3, 1)))
        shape = tuple(draw(st.sampled_from(SIZES)) for _ in range(rank))
        while math.prod(shape) > MAX_ELEMENTS:
            shape = shape[1:]
        program.pool.append((program.input(shape), 2.0))
    for _ in range(draw(st.integers(steps // 2, steps))):
        draw(st.sampled_from(STEPS))(program)
    results = [value for value, _ in program.pool[-draw(st.integers(1, 3)) :]]
    return Function(program.inputs, results[0] if len(results) == 1 else Tuple(results))
