"""Nodes as older versions of the standard have them: inputs that were attributes once."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper

#: Before which version these inputs were attributes: by place, their names.
ATTRIBUTES: Final[Mapping[str, tuple[int, Mapping[int, str]]]] = {
    "Clip": (11, {1: "min", 2: "max"}),
    "Dropout": (12, {1: "ratio"}),
    "Pad": (11, {1: "pads", 2: "value"}),
    "ReduceSum": (13, {1: "axes"}),
    "Reshape": (5, {1: "shape"}),
    "Slice": (10, {1: "starts", 2: "ends", 3: "axes"}),
    "Split": (13, {1: "split"}),
    "Squeeze": (13, {1: "axes"}),
    "TopK": (10, {1: "k"}),
    "Unsqueeze": (13, {1: "axes"}),
    "Upsample": (9, {1: "scales"}),
    **{
        f"Reduce{name}": (18, {1: "axes"})
        for name in "L1 L2 LogSum LogSumExp Max Mean Min Prod SumSquare".split()
    },
}
#: Those that are one number.
_NUMBERS: Final = ("k", "max", "min", "ratio", "value")


def aged(
    node: NodeProto, opset: int, values: Mapping[str, npt.NDArray[np.generic]]
) -> NodeProto | None:
    """A `node` of the default domain as it was in version `opset`, as far as attributes go.

    `values` are those of its inputs that are known. None where an attribute cannot say what an
    input does.
    """
    since, places = ATTRIBUTES.get(node.op_type, (0, {}))
    if opset >= since:
        return node
    old = NodeProto()
    old.CopyFrom(node)
    for place, name in sorted(places.items(), reverse=True):
        if place >= len(node.input):
            continue
        given = node.input[place]
        del old.input[place]
        if not given:
            continue
        if given not in values or not values[given].size:
            return None
        flat = values[given].reshape(-1).tolist()
        old.attribute.append(helper.make_attribute(name, flat[0] if name in _NUMBERS else flat))
    return old
