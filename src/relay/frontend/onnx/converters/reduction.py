"""Reductions along axes."""

from collections.abc import Callable
from typing import Final

from relay import dtypes
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

#: ONNX reduction -> the reduction, what comes before and what comes after it.
REDUCTIONS: Final[dict[str, tuple[str, str | None, str | None]]] = {
    "ReduceSum": ("sum", None, None),
    "ReduceMean": ("mean", None, None),
    "ReduceMax": ("max", None, None),
    "ReduceMin": ("min", None, None),
    "ReduceProd": ("prod", None, None),
    "ReduceL1": ("sum", "abs", None),
    "ReduceL2": ("sum", "square", "sqrt"),
    "ReduceSumSquare": ("sum", "square", None),
    "ReduceLogSum": ("sum", None, "log"),
}


def _axes(node: Node, rank: int) -> list[int] | None:
    """The axes to reduce; None for none at all."""
    if node.optional(1) is not None:
        axes = node.static_integers(1, "axes")
    else:
        axes = node.integers("axes") or []
    if not axes and node.integer("noop_with_empty_axes", 0):
        return None
    return sorted(node.normal_axes(axes, rank)) or list(range(rank))


def reduce(node: Node, operator: str, value: Expr, axes: list[int], keep: bool) -> Expr:
    """`operator` along `axes`, with size 1 left of each where `keep` is set."""
    if not axes:
        return value
    if node.dtype(value) == "bool" and operator in ("max", "min"):
        operator = {"max": "any", "min": "all"}[operator]
    # Layout passes know this form of a mean over an image.
    if operator == "mean" and axes == [2, 3] and node.rank(value) == 4:
        mean = node.call("nn.global_avg_pool2d", value)
        return mean if keep else node.reshape(mean, node.dims(value)[:2])
    return node.call(operator, value, axis=tuple(axes), keepdims=keep)


def _converter(operator: str, before: str | None, after: str | None) -> Callable[[Node], Expr]:
    def convert(node: Node) -> Expr:
        value = node.arg(0)
        axes = _axes(node, node.rank(value))
        if before == "square":
            value = node.call("multiply", value, value)
        elif before is not None:
            value = node.call(before, value)
        if axes is not None:
            value = reduce(node, operator, value, axes, bool(node.integer("keepdims", 1)))
        if after is None:
            return value
        dtype = node.dtype(value)
        wide = value if dtypes.is_float(dtype) else node.cast(value, "float64")
        return node.cast(node.call(after, wide), dtype)

    return convert


for _name, _steps in REDUCTIONS.items():
    onnx_op("", _name)(_converter(*_steps))


@onnx_op("", "ReduceLogSumExp")
def log_sum_exp(node: Node) -> Expr:
    """``log(sum(exp(x)))``, shifted by the maximum so that it does not overflow."""
    value = node.arg(0)
    dtype = node.dtype(value)
    value = value if dtypes.is_float(dtype) else node.cast(value, "float64")
    axes = _axes(node, node.rank(value))
    if not axes:
        return node.arg(0)
    keep = bool(node.integer("keepdims", 1))
    largest = node.call("max", value, axis=tuple(axes), keepdims=True)
    shifted = node.call("exp", node.call("subtract", value, largest))
    total = node.call("log", node.call("sum", shifted, axis=tuple(axes), keepdims=True))
    result = node.cast(node.call("add", total, largest), dtype)
    if keep:
        return result
    return node.reshape(result, [d for i, d in enumerate(node.dims(value)) if i not in axes])


def _arg_reduce(operator: str) -> Callable[[Node], Expr]:
    def convert(node: Node) -> Expr:
        value = node.arg(0)
        axis = node.axis("axis", node.rank(value), 0)
        found = node.call(
            operator,
            value,
            axis=(axis,),
            keepdims=bool(node.integer("keepdims", 1)),
            select_last_index=bool(node.integer("select_last_index", 0)),
        )
        return node.cast(found, "int64")

    return convert


onnx_op("", "ArgMax")(_arg_reduce("argmax"))
onnx_op("", "ArgMin")(_arg_reduce("argmin"))


def _cumulative(node: Node, operator: str) -> Expr:
    value = node.arg(0)
    axes = node.static_integers(1, "axis")
    if len(axes) != 1:
        node.fail(f"it needs one axis, found {axes}")
    axis = node.normal_axis(axes[0], node.rank(value))
    backwards = bool(node.integer("reverse", 0))
    if backwards:
        value = node.call("reverse", value, axis=axis)
    exclusive = bool(node.integer("exclusive", 0))
    dtype = node.dtype(value)
    value = node.call(operator, value, axis=axis, dtype=dtype, exclusive=exclusive)
    return node.call("reverse", value, axis=axis) if backwards else value


@onnx_op("", "CumSum")
def cumulative_sum(node: Node) -> Expr:
    """Sums of all elements up to each one, along an axis."""
    return _cumulative(node, "cumsum")


@onnx_op("", "CumProd")
def cumulative_product(node: Node) -> Expr:
    """Products of all elements up to each one, along an axis."""
    return _cumulative(node, "cumprod")


@onnx_op("", "TopK")
def top_k_by_attribute(node: Node) -> tuple[Expr, Expr]:
    """The largest elements along an axis, as many as an attribute says."""
    return _top_k(node, node.integer("k"))


@onnx_op("", "TopK", since=10)
def top_k(node: Node) -> tuple[Expr, Expr]:
    """The largest or smallest elements along an axis, in order, and where they were."""
    (count,) = node.static_integers(1, "k")
    return _top_k(node, count)


def _top_k(node: Node, count: int) -> tuple[Expr, Expr]:
    value = node.arg(0)
    found = node.call(
        "topk",
        value,
        k=count,
        axis=node.axis("axis", node.rank(value), -1),
        ret_type="both",
        is_ascend=not node.integer("largest", 1),
        dtype="int64",
    )
    return node.field(found, 0), node.field(found, 1)
