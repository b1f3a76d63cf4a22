"""Random nodes with graphs inside of them, sequences, and the list of everything random."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fuzzing import movement, networks, numeric
from fuzzing.building import Builder, Value, info

_SAME: Final = ("Relu", "Neg", "Abs", "Sigmoid", "Tanh", "Identity")


def _branch(b: Builder, value: Value, name: str) -> onnx.GraphProto:
    """A graph of a few functions of each element of `value`, from around it."""
    nodes, last = [], value.name
    for _ in range(b.rng.randint(1, 3)):
        made = b.fresh()
        if b.chance(0.3):
            scale = numpy_helper.from_array(np.array(0.5, value.dtype), b.fresh())
            nodes.append(helper.make_node("Constant", [], [scale.name], value=scale))
            nodes.append(helper.make_node("Mul", [last, scale.name], [made]))
        else:
            nodes.append(helper.make_node(b.rng.choice(_SAME), [last], [made]))
        last = made
    return helper.make_graph(nodes, name, [], [info(last, value.array)])


def branches(b: Builder) -> None:
    """One of two graphs."""
    value = b.pick(("float32",))
    condition = b.source((), "bool")
    node = helper.make_node(
        "If",
        [condition.name],
        [b.fresh()],
        then_branch=_branch(b, value, "yes"),
        else_branch=_branch(b, value, "no"),
    )
    b.append_all([node], [condition, value], list(node.output))


def loop(b: Builder) -> None:
    """A graph run several times, with what it keeps and what it collects."""
    value = b.pick(("float32",))
    bound = b.weight(np.array(b.rng.randint(0, 4), np.int64))
    go = b.weight(np.array(True))
    step, going, kept = b.fresh(), b.fresh(), b.fresh()
    after, result, half, collected = (b.fresh() for _ in range(4))
    scale = numpy_helper.from_array(np.array(0.5, np.float32), half)
    body = helper.make_graph(
        [
            helper.make_node("Identity", [going], [after]),
            helper.make_node("Constant", [], [half], value=scale),
            helper.make_node(b.rng.choice(("Mul", "Add", "Sub")), [kept, half], [result]),
            helper.make_node(b.rng.choice(_SAME), [result], [collected]),
        ],
        "body",
        [
            helper.make_tensor_value_info(step, TensorProto.INT64, []),
            helper.make_tensor_value_info(going, TensorProto.BOOL, []),
            info(kept, value.array),
        ],
        [
            helper.make_tensor_value_info(after, TensorProto.BOOL, []),
            info(result, value.array),
            info(collected, value.array),
        ],
    )
    names = [b.fresh(), b.fresh()] if b.chance(0.6) else [b.fresh(), ""]
    node = helper.make_node("Loop", [bound.name, go.name, value.name], names, body=body)
    if not names[1]:
        body.output.pop()
        node = helper.make_node("Loop", [bound.name, go.name, value.name], names[:1], body=body)
    b.append_all([node], [bound, go, value], list(node.output))


def scan(b: Builder) -> None:
    """A graph run on each slice of a value."""
    value = b.pick(("float32",), lambda v: v.rank > 0 and v.array.size > 0)
    start = b.like(value, value.shape[1:])
    kept, slice_, total, shown = (b.fresh() for _ in range(4))
    body = helper.make_graph(
        [
            helper.make_node("Add", [kept, slice_], [total]),
            helper.make_node(b.rng.choice(_SAME), [total], [shown]),
        ],
        "body",
        [info(kept, value.array[0]), info(slice_, value.array[0])],
        [info(total, value.array[0]), info(shown, value.array[0])],
    )
    names = [b.fresh(), b.fresh()]
    node = helper.make_node("Scan", [start.name, value.name], names, body=body, num_scan_inputs=1)
    b.append_all([node], [start, value], list(node.output))


def sequences(b: Builder) -> None:
    """A list of tensors, taken apart and put together."""
    value = b.pick(("float32", "int64"), lambda v: v.rank > 0 and max(v.shape) > 1)
    axis = b.rng.choice([k for k, d in enumerate(value.shape) if d > 1])
    parts, place, one, whole = (b.fresh() for _ in range(4))
    index = numpy_helper.from_array(np.array(b.rng.choice((0, 1, -1)), np.int64))
    nodes = [
        helper.make_node("SplitToSequence", [value.name], [parts], axis=axis),
        helper.make_node("Constant", [], [place], value=index),
        helper.make_node("SequenceAt", [parts, place], [one]),
        helper.make_node("ConcatFromSequence", [parts], [whole], axis=axis),
    ]
    b.append_all(nodes, [value], [one, whole])


#: What adds a node or a few, and how often.
OPERATORS: Final[Mapping[Callable[[Builder], object], int]] = {
    numeric.unary: 10,
    numeric.unary_integer: 2,
    numeric.rounding: 3,
    numeric.floating_class: 1,
    numeric.binary: 10,
    numeric.comparison: 3,
    numeric.logic: 2,
    numeric.where: 4,
    numeric.clip: 3,
    numeric.cast: 5,
    numeric.reduction: 8,
    numeric.arg_extreme: 2,
    numeric.softmax: 4,
    numeric.cumulative: 2,
    numeric.matmul: 6,
    numeric.gemm: 4,
    numeric.einsum: 3,
    numeric.quantization: 2,
    numeric.dynamic_quantization: 1,
    numeric.trilu: 1,
    networks.convolution: 6,
    networks.transposed_convolution: 3,
    networks.pooling: 5,
    networks.global_pooling: 1,
    networks.normalization: 6,
    networks.resizing: 4,
    networks.recurrence: 2,
    networks.channels_to_space: 2,
    networks.sampling: 1,
    movement.concatenation: 5,
    movement.splitting: 3,
    movement.slicing: 5,
    movement.padding: 4,
    movement.reshaping: 6,
    movement.sizes_as_numbers: 3,
    movement.transposition: 5,
    movement.ones: 4,
    movement.repetition: 4,
    movement.flattening: 2,
    movement.gathering: 5,
    movement.scattering: 3,
    movement.top: 2,
    movement.one_hot: 1,
    movement.reversing: 1,
    movement.found_at_run_time: 1,
    movement.cropping: 1,
    branches: 1,
    loop: 1,
    scan: 1,
    sequences: 1,
}
