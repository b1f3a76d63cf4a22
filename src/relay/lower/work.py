"""Counting the work of kernels: operations from the loops as built, names from the spans."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from relay import dtypes
from relay.analysis.counts import mac_number
from relay.ir.expr import Call, Expr, Function
from relay.ir.op import Operator, Pattern
from relay.ir.types import flatten_tensor_types
from relay.ir.visit import post_order
from relay.loop.ir import Buffer, For, Func, Load, Stmt, Store
from relay.loop.walk import children, expressions
from relay.lower.translate import operators
from relay.runtime.work import Work
from relay.te import expr as te
from relay.te.walk import post_order as post_order_te

_FREE = (te.INDEX, "bool")


@dataclass(frozen=True)
class Arithmetic:
    """Operations of a loop program.

    `dtype` is that of the factors of the largest sum of products, else of the first output.
    """

    flops: int
    dtype: str


def kernel_work(source: Function, loops: Func) -> Work:
    """The work of a call of the kernel whose program is `loops`; its nodes are left open.

    A function with convolutions and matrix products counts by its mathematics, like
    `relay.analysis.get_total_mac_number`: another algorithm, which takes fewer multiplications,
    shows as a higher rate, so that rates of all of them compare. Others count by their loops.
    """
    calls = [node for node in post_order(source.body) if isinstance(node, Call)]
    products = 2 * sum(mac_number(call) for call in calls)
    counted = arithmetic(loops)
    return Work(
        operators=tuple(operators(source)),
        nodes=(),
        dtype=counted.dtype,
        flops=products + sum(map(_simple_flops, calls)) if products else counted.flops,
        bytes_read=bytes_read(loops),
        bytes_written=sum(b.nbytes for b in loops.params[-loops.outputs :]),
    )


def _simple_flops(call: Call) -> int:
    """One operation an element for an elementwise operator or a reduction; 0 for another one."""
    if not isinstance(call.attrs, Operator):
        return 0
    pattern = call.attrs.pattern
    if pattern in (Pattern.ELEMWISE, Pattern.BROADCAST):
        return _elements(call)
    return _elements(call.args[0]) if pattern is Pattern.COMM_REDUCE else 0


def _elements(expr: Expr) -> int:
    return sum(math.prod(t.concrete_shape) for t in flatten_tensor_types(expr.checked_type))


def arithmetic(func: Func) -> Arithmetic:
    """The operations of `func`: arithmetic on elements, one for each combination of a reduction.

    Index arithmetic (``int64``), conditions and choices are free; a transcendental function counts
    for one.
    """
    total = largest = 0
    dtype = func.params[-1].dtype
    for store, times in _stores(func.body):
        count = times * (_operations(store.value) + (store.reduce is not None))
        total += count
        factors = _factors(store)
        if factors is not None and count > largest:
            largest, dtype = count, factors
    return Arithmetic(total, dtype)


def bytes_read(func: Func) -> int:
    """Bytes that `func` has to read from its inputs: each element once, and only what it needs.

    A load that is carried out less often than its buffer has elements needs only so many of them:
    looking a few rows up does not read the table.
    """
    inputs = set(func.params[: len(func.params) - func.outputs])
    needed: dict[Buffer, int] = {}
    for stmt, times in _counted(func.body):
        for expr in expressions(stmt):
            for node in post_order_te(expr):
                if isinstance(node, Load) and node.buffer in inputs:
                    needed[node.buffer] = needed.get(node.buffer, 0) + times
    return sum(min(n, b.size) * dtypes.itemsize(b.dtype) for b, n in needed.items())


def origins(source: Function) -> tuple[str, ...]:
    """Where the calls in `source` come from: names of a model's nodes, or places in a text."""
    found: dict[str, None] = {}
    for node in post_order(source.body):
        name = _origin(node)
        if name:
            found[name] = None
    return tuple(found)


def _origin(node: Expr) -> str:
    if not isinstance(node, Call) or node.span is None:
        return ""
    # A model's source has a line for each node, which starts with its name.
    line = node.span.source.line(node.span.line)
    name, sign, _ = line.partition(": ")
    is_node = sign and node.span.column == 1 and node.span.end_column == len(line) + 1
    found = name if is_node else str(node.span)
    return "".join(c if c.isprintable() else "?" for c in found)


def _counted(root: Stmt) -> Iterator[tuple[Stmt, int]]:
    """Every statement in `root` and how often it is carried out."""
    pending = [(root, 1)]
    while pending:
        stmt, times = pending.pop()
        yield stmt, times
        inner = times * stmt.extent if isinstance(stmt, For) else times
        pending.extend((child, inner) for child in children(stmt))


def _stores(root: Stmt) -> Iterator[tuple[Store, int]]:
    return ((stmt, times) for stmt, times in _counted(root) if isinstance(stmt, Store))


def _operations(value: te.Expr) -> int:
    return sum(
        isinstance(node, te.Binary | te.Unary) and node.dtype not in _FREE
        for node in post_order_te(value)
    )


def _factors(store: Store) -> str | None:
    """The data type of what a sum of products multiplies; None for another store."""
    value = store.value
    while isinstance(value, te.Cast):
        value = value.value
    if store.reduce != "sum" or not (isinstance(value, te.Binary) and value.op == "mul"):
        return None
    # Narrow factors are converted before they are multiplied.
    factors = []
    for factor in (value.a, value.b):
        while isinstance(factor, te.Cast):
            factor = factor.value
        factors.append(factor.dtype)
    return max(factors, key=dtypes.bits)
