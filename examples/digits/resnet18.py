"""ResNet-18 as an ONNX model, built without any training framework.

The architecture is that of He et al., "Deep Residual Learning for Image Recognition" (2015), for
224x224 images and 1000 classes. The weights are random: enough to time the model and to compare
two engines, not to classify.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT = "image"
OUTPUT = "logits"
INPUT_SHAPE = (1, 3, 224, 224)
OPSET = 17
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels of each stage of two blocks, and the stride of its first block."""


@dataclass
class Builder:
    """Nodes and weights of a graph under construction; every method returns a tensor's name."""

    generator: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Appends a node with one output."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def weight(self, values: np.ndarray) -> str:
        """Appends a float32 initialiser."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def convolution(self, x: str, channels: tuple[int, int], kernel: int, stride: int = 1) -> str:
        """A convolution from ``channels[0]`` to ``channels[1]``, and batch normalisation."""
        before, after = channels
        # The initialisation of He et al. (2015) keeps the variance through ReLU.
        spread = np.sqrt(2.0 / (after * kernel * kernel))
        shape = (after, before, kernel, kernel)
        weight = self.weight(self.generator.normal(0.0, spread, shape))
        x = self.node("Conv", x, weight, strides=[stride] * 2, pads=[kernel // 2] * 4)
        scale = self.weight(self.generator.uniform(0.8, 1.2, after))
        shift, mean = (self.weight(self.generator.normal(0.0, 0.1, after)) for _ in range(2))
        variance = self.weight(self.generator.uniform(0.5, 1.5, after))
        return self.node("BatchNormalization", x, scale, shift, mean, variance)

    def block(self, x: str, before: int, after: int, stride: int) -> str:
        """A basic residual block; its shortcut is projected where the shape changes."""
        y = self.node("Relu", self.convolution(x, (before, after), 3, stride))
        y = self.convolution(y, (after, after), 3)
        if stride != 1 or before != after:
            x = self.convolution(x, (before, after), 1, stride)
        return self.node("Relu", self.node("Add", y, x))


def resnet18(seed: int = 0) -> onnx.ModelProto:
    """The model: ``image [1, 3, 224, 224]`` float32 to ``logits [1, 1000]`` float32."""
    build = Builder(np.random.default_rng(seed))
    x = build.node("Relu", build.convolution(INPUT, (3, 64), 7, stride=2))
    x = build.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for after, stride in STAGES:
        x = build.block(x, channels, after, stride)
        x = build.block(x, after, after, 1)
        channels = after
    x = build.node("Flatten", build.node("GlobalAveragePool", x))
    limit = 1.0 / np.sqrt(channels)
    weight = build.weight(build.generator.uniform(-limit, limit, (1000, channels)))
    bias = build.weight(build.generator.uniform(-limit, limit, 1000))
    build.nodes.append(helper.make_node("Gemm", [x, weight, bias], [OUTPUT], OUTPUT, transB=1))
    graph = helper.make_graph(
        build.nodes,
        "resnet18",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, INPUT_SHAPE)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, (1, 1000))],
        build.weights,
    )
    # IR version 8 came with opset 17; the newest one would shut out older onnxruntimes.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
