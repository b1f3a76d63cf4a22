"""Counting: operators, layers, multiply-accumulates."""

import math
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

from relay.ir.expr import Call, Expr, Op
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import post_order, post_order_all
from relay.op.nn.winograd import Conv2DWinograd
from relay.support.errors import RelayError


def post_order_visit(expr: Expr, visit: Callable[[Expr], None]) -> None:
    """Call `visit` on every node of `expr` once, children first."""
    for node in post_order(expr):
        visit(node)


def _calls(program: Expr | IRModule) -> list[tuple[str, Call]]:
    """The operator calls of a program with the operators' names."""
    roots = program.functions.values() if isinstance(program, IRModule) else (program,)
    return [
        (node.op.name, node)
        for node in post_order_all(roots)
        if isinstance(node, Call) and isinstance(node.op, Op)
    ]


def list_op_freqs(program: Expr | IRModule) -> dict[str, int]:
    """How often each operator is called, by its name."""
    return dict(Counter(name for name, _ in _calls(program)))


def count_layers(program: Expr, valid_ops: Collection[str]) -> int:
    """The largest number of calls of `valid_ops` on any path to the result of `program`."""
    depth: dict[Expr, int] = {}
    for node in post_order(program):
        own = isinstance(node, Call) and isinstance(node.op, Op) and node.op.name in valid_ops
        depth[node] = max((depth[c] for c in node.children()), default=0) + own
    return depth[program]


def _shape(expr: Expr) -> tuple[int, ...]:
    found = expr.checked_type
    if not isinstance(found, TensorType) or not found.is_static:
        raise RelayError(f"cannot count multiplications: expected a static shape, found {found}")
    return found.concrete_shape


def _convolution(call: Call) -> int:
    """Each output element sums over the window and the input channels of its group.

    Winograd's algorithm multiplies less; it counts like any other.
    """
    weight = _shape(call.args[1])
    if isinstance(call.attrs, Conv2DWinograd):
        weight = TensorType(call.attrs.plain_shape(weight)).concrete_shape
    layout: str = getattr(call.attrs, "kernel_layout")  # noqa: B009 - of any convolution
    channels = math.prod(s for s, a in zip(weight, _letters(layout), strict=True) if a == "O")
    return math.prod(_shape(call)) * math.prod(weight) // max(1, channels)


def _transposed_convolution(call: Call) -> int:
    """Each input element spreads over the window and the output channels of its group."""
    weight = _shape(call.args[1])
    layout: str = getattr(call.attrs, "kernel_layout")  # noqa: B009 - of any convolution
    channels = math.prod(s for s, a in zip(weight, _letters(layout), strict=True) if a == "I")
    return math.prod(_shape(call.args[0])) * math.prod(weight) // max(1, channels)


def _letters(layout: str) -> list[str]:
    """The axes of a layout as upper-case letters: ``OIHW16o`` as O, I, H, W, O."""
    return [letter.upper() for letter in layout if letter.isalpha()]


def _dense(call: Call) -> int:
    return math.prod(_shape(call)) * _shape(call.args[0])[-1]


def _matmul(call: Call) -> int:
    transposed: bool = getattr(call.attrs, "transpose_a")  # noqa: B009 - of this operator
    return math.prod(_shape(call)) * _shape(call.args[0])[-2 if transposed else -1]


def _attention(call: Call) -> int:
    """Both products: of queries with keys, and of their weights with values."""
    query, key, value = (_shape(argument) for argument in call.args[:3])
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


_MACS: Final[dict[str, Callable[[Call], int]]] = {
    "nn.conv1d": _convolution,
    "nn.conv2d": _convolution,
    "nn.conv3d": _convolution,
    "nn.conv1d_transpose": _transposed_convolution,
    "nn.conv2d_transpose": _transposed_convolution,
    "nn.conv3d_transpose": _transposed_convolution,
    "nn.contrib_conv2d_NCHWc": _convolution,
    "nn.contrib_depthwise_conv2d_NCHWc": _convolution,
    "nn.contrib_conv2d_winograd_without_weight_transform": _convolution,
    "nn.contrib_attention": _attention,
    "nn.dense": _dense,
    "nn.matmul": _matmul,
    "nn.batch_matmul": _matmul,
}


def mac_number(call: Call) -> int:
    """Multiply-accumulates of one call; 0 where `get_total_mac_number` does not count it.

    Raises `RelayError` where a shape that matters is not known.
    """
    rule = _MACS.get(call.op.name) if isinstance(call.op, Op) else None
    return rule(call) if rule is not None else 0


def get_total_mac_number(program: Expr | IRModule) -> int:
    """Multiply-accumulates of all convolutions, dense layers and batched matrix products.

    Raises `RelayError` where one of them has a shape that is not known.
    """
    return sum(mac_number(call) for _, call in _calls(program))
