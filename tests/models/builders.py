"""Whole networks as ONNX models, built node by node with seeded weights; no framework is needed.

Each function returns the model and inputs for it. Sizes are small: they are chosen to go through
every path of the compiler (blocked channels, remainders, several heads and layers), not to be slow.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Inputs = dict[str, np.ndarray]
Network = tuple[onnx.ModelProto, Inputs]


@dataclass
class Graph:
    """Nodes and weights of a graph under construction; methods return the names of values."""

    seed: int = 0
    opset: int = 17
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.seed)

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        """A node; the name of its first result (others end in ``.1``, ``.2``)."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        names = [name, *(f"{name}.{k}" for k in range(1, outputs))]
        self.nodes.append(helper.make_node(operator, list(inputs), names, name, **attributes))
        return name

    def hold(self, values: object, dtype: object = np.float32) -> str:
        """An initializer with the given values."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def ints(self, *values: int) -> str:
        """A one-dimensional int64 constant, as a node, the way exporters write it."""
        return self.add("Constant", value=numpy_helper.from_array(np.array(values, np.int64)))

    def scalar(self, value: float, dtype: object = np.float32) -> str:
        """A constant without dimensions, as a node."""
        return self.add("Constant", value=numpy_helper.from_array(np.array(value, dtype)))

    def normal(self, *shape: int, scale: float = 1.0) -> str:
        """A weight of normal numbers."""
        return self.hold(self.generator.normal(0.0, scale, shape))

    def uniform(self, low: float, high: float, *shape: int) -> str:
        """A weight of uniform numbers."""
        return self.hold(self.generator.uniform(low, high, shape))

    def convolution(
        self, x: str, before: int, after: int, kernel: int, stride: int = 1, group: int = 1
    ) -> str:
        """A convolution of ``same`` size with a bias."""
        spread = np.sqrt(2.0 / (before // group * kernel * kernel))
        weight = self.normal(after, before // group, kernel, kernel, scale=spread)
        return self.add(
            "Conv",
            x,
            weight,
            self.normal(after, scale=0.1),
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
            group=group,
        )

    def batch_norm(self, x: str, channels: int) -> str:
        """Batch normalisation with statistics that are not those of a fresh layer."""
        scale = self.uniform(0.8, 1.2, channels)
        shift, mean = self.normal(channels, scale=0.1), self.normal(channels, scale=0.1)
        variance = self.uniform(0.5, 1.5, channels)
        return self.add("BatchNormalization", x, scale, shift, mean, variance)

    def linear(self, x: str, before: int, after: int) -> str:
        """``x @ w + b`` on the last dimension, as exporters write it for more than two."""
        product = self.add("MatMul", x, self.normal(before, after, scale=before**-0.5))
        return self.add("Add", self.normal(after, scale=0.1), product)

    def model(self, inputs: Inputs, *outputs: str) -> Network:
        """The model and its inputs."""
        graph = helper.make_graph(
            self.nodes,
            "network",
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
                )
                for name, array in inputs.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            self.weights,
        )
        opset = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8), inputs


def image(*shape: int, seed: int = 100) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 1.0, shape).astype(np.float32)


# ---------------------------------------------------------------------- image networks


def residual_old_style() -> Network:
    """Two residual stages at batch 10, opset 9, input ``0``, flattened through ``Shape``.

    That is what exporters of the time made of ``x.view(x.size(0), -1)``.
    """
    g = Graph(1, opset=9)
    x = g.add("Relu", g.batch_norm(g.convolution("0", 3, 16, 7, 2), 16))
    x = g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    before = 16
    for after, stride in ((16, 1), (32, 2)):
        y = g.add("Relu", g.batch_norm(g.convolution(x, before, after, 3, stride), after))
        y = g.batch_norm(g.convolution(y, after, after, 3), after)
        if stride != 1:
            x = g.batch_norm(g.convolution(x, before, after, 1, stride), after)
        x = g.add("Relu", g.add("Add", y, x))
        before = after
    x = g.add("GlobalAveragePool", x)
    batch = g.add("Gather", g.add("Shape", x), g.scalar(0, np.int64), axis=0)
    batch = g.add("Unsqueeze", batch, axes=[0])
    x = g.add("Reshape", x, g.add("Concat", batch, g.ints(-1), axis=0))
    x = g.add("Gemm", x, g.normal(20, before, scale=0.2), g.normal(20), transB=1)
    return g.model({"0": image(10, 3, 32, 32)}, x)


def bottleneck_depthwise() -> Network:
    """Inverted residuals with depthwise convolutions and ``Clip`` (MobileNet v2), then a
    bottleneck block (ResNet-50)."""
    g = Graph(2)
    low, high = g.scalar(0.0), g.scalar(6.0)

    def relu6(x: str) -> str:
        return g.add("Clip", x, low, high)

    x = relu6(g.batch_norm(g.convolution("input", 3, 16, 3, 2), 16))
    for before, after, stride in ((16, 24, 2), (24, 24, 1)):
        hidden = 6 * before
        y = relu6(g.batch_norm(g.convolution(x, before, hidden, 1), hidden))
        y = relu6(g.batch_norm(g.convolution(y, hidden, hidden, 3, stride, hidden), hidden))
        y = g.batch_norm(g.convolution(y, hidden, after, 1), after)
        x = g.add("Add", x, y) if stride == 1 and before == after else y
    y = g.add("Relu", g.batch_norm(g.convolution(x, 24, 12, 1), 12))
    y = g.add("Relu", g.batch_norm(g.convolution(y, 12, 12, 3), 12))
    y = g.batch_norm(g.convolution(y, 12, 48, 1), 48)
    x = g.add("Relu", g.add("Add", y, g.batch_norm(g.convolution(x, 24, 48, 1), 48)))
    x = g.add("ReduceMean", x, axes=[2, 3], keepdims=0)
    return g.model({"input": image(1, 3, 40, 40)}, g.linear(x, 48, 10))


def fire() -> Network:
    """Fire modules: two convolutions of one input, concatenated (SqueezeNet)."""
    g = Graph(3)
    x = g.add("Relu", g.convolution("input", 3, 16, 3, 2))
    before = 16
    for squeeze, expand in ((8, 24), (12, 20)):
        x = g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        s = g.add("Relu", g.convolution(x, before, squeeze, 1))
        left = g.add("Relu", g.convolution(s, squeeze, expand, 1))
        right = g.add("Relu", g.convolution(s, squeeze, expand, 3))
        x = g.add("Concat", left, right, axis=1)
        before = 2 * expand
    x = g.add("Relu", g.convolution(x, before, 10, 1))
    x = g.add("Flatten", g.add("GlobalAveragePool", x))
    return g.model({"input": image(1, 3, 35, 35)}, x)


# ---------------------------------------------------------------------- attention


def layer_norm(g: Graph, x: str, size: int, decomposed: bool) -> str:
    """Normalised rows: one operator, or the eight that exporters before opset 17 wrote."""
    scale, shift = g.uniform(0.8, 1.2, size), g.normal(size, scale=0.1)
    if not decomposed:
        return g.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5)
    centred = g.add("Sub", x, g.add("ReduceMean", x, axes=[-1]))
    variance = g.add("ReduceMean", g.add("Pow", centred, g.scalar(2.0)), axes=[-1])
    deviation = g.add("Sqrt", g.add("Add", variance, g.scalar(1e-5)))
    return g.add("Add", g.add("Mul", g.add("Div", centred, deviation), scale), shift)


def gelu(g: Graph, x: str) -> str:
    """``x * (erf(x / sqrt(2)) + 1) / 2``, as exporters write it."""
    error = g.add("Erf", g.add("Div", x, g.scalar(2.0**0.5)))
    return g.add("Mul", g.add("Mul", x, g.add("Add", error, g.scalar(1.0))), g.scalar(0.5))


def heads_of(g: Graph, x: str, tokens: int, heads: int, each: int, order: list[int]) -> str:
    split = g.add("Reshape", x, g.ints(0, tokens, heads, each))
    return g.add("Transpose", split, perm=order)


def encoder_layer(
    g: Graph, x: str, mask: str | None, tokens: int, width: int, heads: int, decomposed: bool
) -> str:
    """A transformer encoder layer that normalises after each of its two parts."""
    each = width // heads
    query = heads_of(g, g.linear(x, width, width), tokens, heads, each, [0, 2, 1, 3])
    key = heads_of(g, g.linear(x, width, width), tokens, heads, each, [0, 2, 3, 1])
    value = heads_of(g, g.linear(x, width, width), tokens, heads, each, [0, 2, 1, 3])
    scores = g.add("Div", g.add("MatMul", query, key), g.scalar(each**0.5))
    if mask is not None:
        scores = g.add("Add", scores, mask)
    mixed = g.add("MatMul", g.add("Softmax", scores, axis=-1), value)
    mixed = g.add("Transpose", mixed, perm=[0, 2, 1, 3])
    mixed = g.add("Reshape", mixed, g.ints(0, tokens, width))
    x = layer_norm(g, g.add("Add", g.linear(mixed, width, width), x), width, decomposed)
    y = g.linear(gelu(g, g.linear(x, width, 2 * width)), 2 * width, width)
    return layer_norm(g, g.add("Add", y, x), width, decomposed)


def expand(g: Graph, x: str, *sizes: str) -> str:
    """`x` expanded to `sizes`, in which -1 keeps a size: exporters put 1 there by ``Where``."""
    shape = g.add("Reshape", g.add("Concat", *sizes, axis=0), g.ints(-1))
    one = numpy_helper.from_array(np.array([1], np.int64))
    ones = g.add("ConstantOfShape", g.add("Shape", shape), value=one)
    open_ = g.add("Equal", shape, g.add("Mul", ones, g.ints(-1)))
    return g.add("Expand", x, g.add("Where", open_, ones, shape))


def padding_mask(g: Graph, mask: str, tokens: int) -> str:
    """From ``[batch, tokens]`` of 0 and 1 to ``[batch, 1, tokens, tokens]`` to be added.

    With the sizes computed by the graph, as exporters write ``mask[:, None, None, :].expand(...)``.
    """
    four = g.add("Unsqueeze", g.add("Unsqueeze", mask, g.ints(1)), g.ints(2))
    batch = g.add("Gather", g.add("Shape", mask), g.scalar(0, np.int64), axis=0)
    batch = g.add("Unsqueeze", batch, g.ints(0))
    four = expand(g, four, batch, g.ints(1), g.ints(-1), g.ints(tokens))
    inverted = g.add("Sub", g.scalar(1.0), g.add("Cast", four, to=TensorProto.FLOAT))
    lowest = g.scalar(float(np.finfo(np.float32).min))
    return g.add("Where", g.add("Cast", inverted, to=TensorProto.BOOL), lowest, inverted)


def text_encoder(decomposed: bool) -> Network:
    """Embeddings by ``Gather``, a padding mask and two layers (BERT)."""
    tokens, width = 12, 32
    g = Graph(4)
    words = g.add("Gather", g.normal(50, width), "input_ids", axis=0)
    x = g.add("Add", words, g.normal(1, tokens, width, scale=0.3))
    x = layer_norm(g, x, width, decomposed)
    mask = padding_mask(g, "attention_mask", tokens)
    for _ in range(2):
        x = encoder_layer(g, x, mask, tokens, width, 4, decomposed)
    first = g.add("Gather", x, g.scalar(0, np.int64), axis=1)
    pooled = g.add("Tanh", g.add("Gemm", first, g.normal(width, width, scale=0.2), transB=1))
    ids = np.random.default_rng(5).integers(0, 50, (2, tokens))
    valid = np.ones((2, tokens), np.int64)
    valid[1, 9:] = 0
    return g.model({"input_ids": ids, "attention_mask": valid}, x, pooled)


def vision_transformer() -> Network:
    """Patches by a convolution, a class token in front, one layer (ViT)."""
    patch, width, count = 8, 32, 16
    g = Graph(6)
    weight = g.normal(width, 3, patch, patch, scale=0.1)
    x = g.add("Conv", "input", weight, g.normal(width), strides=[patch] * 2)
    x = g.add("Transpose", g.add("Reshape", x, g.ints(0, width, count)), perm=[0, 2, 1])
    batch = g.add("Unsqueeze", g.add("Gather", g.add("Shape", x), g.scalar(0, np.int64)), g.ints(0))
    token = expand(g, g.normal(1, 1, width), batch, g.ints(-1), g.ints(-1))
    x = g.add("Add", g.add("Concat", token, x, axis=1), g.normal(1, count + 1, width, scale=0.1))
    x = encoder_layer(g, x, None, count + 1, width, 4, False)
    x = g.add("Gather", x, g.scalar(0, np.int64), axis=1)
    return g.model({"input": image(2, 3, 32, 32)}, g.linear(x, width, 10))


# ---------------------------------------------------------------------- the rest


def recurrent(operator: str, layers: int, direction: str = "forward") -> Network:
    """LSTM or GRU layers over ``[steps, batch, features]``; all of their results."""
    gates = {"LSTM": 4, "GRU": 3}[operator]
    steps, batch, features, hidden = 5, 2, 12, 16
    ways = 2 if direction == "bidirectional" else 1
    g = Graph(7)
    x, outputs = "input", []
    extra = {"linear_before_reset": 1} if operator == "GRU" else {}
    for _ in range(layers):
        weights = g.normal(ways, gates * hidden, features, scale=0.3)
        recurrence = g.normal(ways, gates * hidden, hidden, scale=0.3)
        bias = g.normal(ways, 2 * gates * hidden, scale=0.1)
        initial = [g.hold(np.zeros((ways, batch, hidden)))] * (2 if operator == "LSTM" else 1)
        results = len(initial) + 1
        y = g.add(
            operator,
            *(x, weights, recurrence, bias, "", *initial),
            outputs=results,
            direction=direction,
            hidden_size=hidden,
            **extra,
        )
        outputs += [f"{y}.{k}" for k in range(1, results)]
        if ways == 1:
            x = g.add("Squeeze", y, g.ints(1))
        else:
            x = g.add("Transpose", y, perm=[0, 2, 1, 3])
            x = g.add("Reshape", x, g.ints(0, 0, -1))
        features = ways * hidden
    return g.model({"input": image(steps, batch, 12)}, x, *outputs)


def perceptron() -> Network:
    """Three dense layers and softmax."""
    g = Graph(8)
    x = "input"
    sizes = (100, 37, 64, 10)
    for before, after in itertools.pairwise(sizes):
        x = g.add("Gemm", x, g.normal(after, before, scale=0.2), g.normal(after), transB=1)
        x = g.add("Relu", x) if after != sizes[-1] else g.add("Softmax", x, axis=-1)
    return g.model({"input": image(1, 100)}, x)


NETWORKS: dict[str, Callable[[], Network]] = {
    "residual_old_style": residual_old_style,
    "bottleneck_depthwise": bottleneck_depthwise,
    "fire": fire,
    "text_encoder": lambda: text_encoder(decomposed=False),
    "text_encoder_decomposed": lambda: text_encoder(decomposed=True),
    "vision_transformer": vision_transformer,
    "lstm": lambda: recurrent("LSTM", 2),
    "lstm_bidirectional": lambda: recurrent("LSTM", 1, "bidirectional"),
    "gru": lambda: recurrent("GRU", 1),
    "gru_bidirectional": lambda: recurrent("GRU", 1, "bidirectional"),
    "perceptron": perceptron,
}


# ---------------------------------------------------------------------- scale


def chain(length: int) -> Network:
    """`length` operators one after the other, of which no two merge."""
    g = Graph(9)
    x = "input"
    weight = g.normal(8, 8, scale=0.35)
    for k in range(length):
        kind = ("MatMul", "Tanh", "Sin", "Neg")[k % 4]
        x = g.add(kind, x, weight) if kind == "MatMul" else g.add(kind, x)
    return g.model({"input": image(2, 8)}, x)


def wide(width: int) -> Network:
    """`width` operators side by side on one input, summed by one."""
    g = Graph(10)
    parts = []
    for k in range(width):
        parts.append(g.add("Mul", "input", g.hold([float(k % 7 + 1), 1.0, 2.0, float(k)])))
    return g.model({"input": image(2, 4)}, g.add("Concat", *parts, axis=0))


def many_outputs(width: int) -> Network:
    """`width` outputs, and the sum of all of them by one node."""
    g = Graph(11)
    parts = [g.add("Mul", "input", g.hold([k / width, 1.0])) for k in range(width)]
    return g.model({"input": image(3, 2)}, *parts, g.add("Sum", *parts))


LARGE: dict[str, Callable[[int], Network]] = {
    "chain": chain,
    "wide": wide,
    "many_outputs": many_outputs,
}
