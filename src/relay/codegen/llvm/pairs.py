"""Sums of products of ``bfloat16`` pairs: ``T += f(a[0]) * f(b[0]) + f(a[1]) * f(b[1])``.

Where the target has an instruction for it (``vdpbf16ps``), that takes a vector of pairs for each
factor. Pairs that lie side by side in memory are loaded as they are; others are put together.
"""

from collections.abc import Callable
from typing import TypeAlias

from relay.codegen.llvm import scalar
from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.expr import Evaluator
from relay.codegen.llvm.index import Linear
from relay.codegen.llvm.types import Value, vector
from relay.loop.ir import Load, Store
from relay.te.expr import Binary, Cast, Expr

#: Lanes of ``float32`` for which there is an instruction.
_LANES = (4, 8, 16)

_Pair: TypeAlias = tuple[Load, Load]


def pairs_of(store: Store) -> tuple[_Pair, _Pair] | None:
    """The factors ``a`` and ``b`` of such a sum, all in memory; None where `store` is another."""
    value = store.value
    if store.reduce != "sum" or value.dtype != "float32":
        return None
    if not (isinstance(value, Binary) and value.op == "add"):
        return None
    first, second = _factors(value.a), _factors(value.b)
    if first is None or second is None:
        return None
    return (first[0], second[0]), (first[1], second[1])


def _factors(product: Expr) -> _Pair | None:
    if not (isinstance(product, Binary) and product.op == "mul"):
        return None
    a, b = _widened(product.a), _widened(product.b)
    return None if a is None or b is None else (a, b)


def _widened(factor: Expr) -> Load | None:
    load = factor.value if isinstance(factor, Cast) else None
    return load if isinstance(load, Load) and load.dtype == "bfloat16" else None


def update(evaluator: Evaluator, a: _Pair, b: _Pair, old: Callable[[], Value]) -> Value:
    """The sum of `old` and both products."""
    builder = evaluator.builder
    if builder.module.has_brain and evaluator.lanes in _LANES:
        return _dot(builder, old(), _side_by_side(evaluator, *a), _side_by_side(evaluator, *b))
    total = old()
    for x, y in zip(a, b, strict=True):
        p, q = (scalar.cast(builder, evaluator.value(load), "float32") for load in (x, y))
        total = builder.fma(p, q, total)
    return total


def _dot(builder: FunctionBuilder, total: Value, a: Value, b: Value) -> Value:
    """`total` plus the products of neighbours in `a` and `b`, of twice its lanes."""
    pairs = vector("bfloat", 2 * total.lanes)
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * total.lanes}"
    builder.module.declare(name, total.type, [total.type, pairs, pairs])
    x, y = (builder.pure(f"bitcast {v.typed} to {pairs}") for v in (a, b))
    call = f"call {total.type} @{name}({total.typed}, {pairs} {x}, {pairs} {y})"
    return Value(builder.pure(call), total.dtype, total.lanes)


def _side_by_side(evaluator: Evaluator, first: Load, second: Load) -> Value:
    """The two elements of each lane next to each other: a vector of twice the lanes."""
    builder, lanes = evaluator.builder, evaluator.lanes
    starts = [evaluator.offset(e.buffer, e.indices) for e in (first, second)]
    if first.buffer is second.buffer and starts[0] is not None and starts[1] is not None:
        if starts[1] - starts[0] == Linear(1) and starts[0].stride in (0, 2):
            return _loaded(evaluator, first, starts[0])
    x, y = (builder.broadcast(evaluator.value(e), lanes) for e in (first, second))
    return builder.shuffle(x, y, [k // 2 + k % 2 * lanes for k in range(2 * lanes)])


def _loaded(evaluator: Evaluator, load: Load, start: Linear) -> Value:
    """Pairs as they lie in memory from `load` on: one for each lane, or one for all."""
    builder, lanes = evaluator.builder, evaluator.lanes
    first = start.without_lane()
    if not start.stride:
        pair = evaluator.access.load_bits(load.buffer, first, "uint32")
        return builder.bitcast_lanes(builder.broadcast(pair, lanes), load.dtype, 2 * lanes)
    found = evaluator.access.load_strided(load.buffer, first, 1, 2 * lanes, None)
    evaluator.look_ahead(load, first)
    return found
