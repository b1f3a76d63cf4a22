"""A small model, what it computes, and what a command line did."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from onnx_models import floats, model_of

WEIGHTS = floats(4, 8, seed=1)
BIAS = floats(8, seed=2)


def small_model() -> onnx.ModelProto:
    """``y = relu(x @ w + b)`` and ``total = sum of y``."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"], name="multiply"),
        helper.make_node("Add", ["product", "b"], ["sum"], name="add"),
        helper.make_node("Relu", ["sum"], ["y"], name="relu"),
        helper.make_node("ReduceSum", ["y"], ["total"], name="reduce", keepdims=0),
    ]
    return model_of(nodes, {"x": floats(2, 4)}, ["y", "total"], {"w": WEIGHTS, "b": BIAS})


def expected(x: np.ndarray) -> dict[str, np.ndarray]:
    """What `small_model` computes."""
    y = np.maximum(x @ WEIGHTS + BIAS, 0)
    return {"y": y, "total": y.sum()}


@dataclass
class Result:
    """What a command line did."""

    code: int
    out: str
    err: str


Relay = Callable[..., Result]
