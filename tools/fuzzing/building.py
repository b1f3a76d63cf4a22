"""A model under construction, built operator by operator, with the value of everything in it.

After every node onnxruntime computes what it makes, so that the next node knows shapes and values.
A node is taken back when onnxruntime refuses it, or when its results are not finite, too large, or
so close to a jump of a function that a rounding error would decide what comes after it.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from fuzzing.aging import aged

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int, ...]

FLOATS = ("float32", "float64", "float16")
INTEGERS = ("int32", "int64", "uint8")
#: Values may be this large.
LARGEST = {"float16": 200.0, "float32": 1e3, "float64": 1e3}
#: A tensor has at most this many elements.
MAX_ELEMENTS = 4000
#: Operators that make no rounding error of their own.
EXACT = frozenset(
    "Abs CenterCropPad Ceil Clip Compress Concat ConcatFromSequence DepthToSpace Expand Flatten "
    "Floor Gather GatherElements GatherND Identity If Max MaxPool Min Neg OneHot Pad ReduceMax "
    "ReduceMin Relu Reshape ReverseSequence Round ScatterElements ScatterND SequenceAt Sign Slice "
    "SpaceToDepth Split SplitToSequence Squeeze Tile TopK Transpose Trilu Unique Unsqueeze "
    "Where".split()
)


class Skip(Exception):  # noqa: N818 - the next attempt follows
    """This attempt makes no valid node."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the model: its name, what it is, and whether rounding errors are in it."""

    name: str
    array: Array
    exact: bool = True

    @property
    def shape(self) -> Shape:
        """Its sizes."""
        return tuple(self.array.shape)

    @property
    def rank(self) -> int:
        """How many dimensions it has."""
        return self.array.ndim

    @property
    def dtype(self) -> str:
        """Its data type."""
        return str(self.array.dtype)

    @property
    def margin(self) -> float:
        """How far its elements have to stay from a jump."""
        if self.exact or self.array.dtype.kind != "f":
            return 0.0
        return 0.02 if self.dtype == "float16" else 1e-3


def info(name: str, array: Array, dims: Sequence[int | str] | None = None) -> onnx.ValueInfoProto:
    """The declaration of a tensor like `array`."""
    code = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, code, array.shape if dims is None else dims)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Array],
    weights: Mapping[str, Array],
    outputs: Sequence[str],
    opset: int,
    dims: Mapping[str, Sequence[int | str]] | None = None,
) -> onnx.ModelProto:
    """A model of `nodes`; the types of its outputs are left open."""
    graph = helper.make_graph(
        nodes,
        "fuzzed",
        [info(n, a, (dims or {}).get(n)) for n, a in inputs.items()],
        [onnx.ValueInfoProto(name=n) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in weights.items()],
    )
    version = 8 if opset < 19 else 10
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=version
    )


def run_onnxruntime(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> list[Array]:
    """What onnxruntime makes of `model`, node by node as written."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    known = {i.name for i in session.get_inputs()}
    found: list[Array] = session.run(None, {n: a for n, a in inputs.items() if n in known})
    return found


@dataclass
class Fuzzed:
    """A complete model with inputs for it."""

    model: onnx.ModelProto
    inputs: dict[str, Array]


#: Operators that make sizes of values, or choose what runs.
CHOOSING: Final = frozenset(
    {"Compress", "If", "Loop", "NonZero", "Range", "Scan", "SplitToSequence", "Unique"}
)


@dataclass
class Builder:
    """The model so far. `pool` has what nodes may read; `refused` what onnxruntime refuses.

    So many of the models leave sizes of their inputs `open`.
    """

    rng: random.Random
    opset: int
    open: float = 0.3
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: dict[str, Array] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)
    pool: list[Value] = field(default_factory=list)
    count: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.numbers = np.random.default_rng(self.rng.getrandbits(64))
        self.is_open = self.chance(self.open)

    # ---------------------------------------------------------------- choices

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.rng.random() < probability

    def size(self, most: int = 7) -> int:
        """A small size; 1 is often, a size that fills a vector now and then."""
        return self.rng.choice((1, 2, 3, 4, 5, 7, 8, 9, 17)[: most + 2])

    def shape(self, rank: int | None = None) -> Shape:
        """A small shape; seldom without elements."""
        rank = self.rng.choice((0, 1, 2, 2, 3, 3, 4, 4, 5)) if rank is None else rank
        sizes = [self.size(7 if rank < 3 else 4) for _ in range(rank)]
        if rank and self.chance(0.02):
            sizes[self.rng.randrange(rank)] = 0
        return tuple(sizes)

    def axis(self, rank: int) -> int:
        """An axis, counted from either end."""
        if not rank:
            raise Skip("no axis")
        return self.rng.randrange(-rank, rank)

    def axes(self, rank: int, least: int = 1) -> list[int]:
        """Some axes, each counted from either end."""
        if rank < least:
            raise Skip("no axes")
        chosen = self.rng.sample(range(rank), self.rng.randint(least, rank))
        return [a - rank if self.chance(0.3) else a for a in chosen]

    @property
    def sizes_are_known(self) -> bool:
        """Whether the sizes of what nodes make follow from what the model says."""
        return not self.is_open and not any(n.op_type in CHOOSING for n in self.nodes)

    # ---------------------------------------------------------------- values

    def fresh(self) -> str:
        """A name that is not taken."""
        self.count += 1
        return f"v{self.count}"

    def array(self, shape: Shape, dtype: str, low: float = -2.0, high: float = 2.0) -> Array:
        """Random elements; sometimes of a coarse grid, so that some are equal."""
        if dtype == "bool":
            return np.asarray(self.numbers.integers(0, 2, shape), bool)
        if dtype.startswith(("int", "uint")):
            least = 0 if dtype.startswith("u") else -5
            return np.asarray(self.numbers.integers(least, 9, shape), dtype)
        elements = self.numbers.uniform(low, high, shape)
        if self.chance(0.15):
            elements = np.clip(np.round(elements * 4) / 4, low, high)
        return np.asarray(elements, dtype)

    def given(self, array: Array) -> Value:
        """`array` as an input of the model, as long as there are few, else as a weight."""
        if len(self.inputs) >= 3:
            return self.weight(array)
        name = self.fresh()
        self.inputs[name] = array
        value = Value(name, array)
        self.pool.append(value)
        return value

    def weight(self, array: Array) -> Value:
        """`array` as an initializer, now and then as a node of its own."""
        name = self.fresh()
        if self.chance(0.1) and array.size < 100:
            tensor = numpy_helper.from_array(array, name)
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.weights[name] = array
        return Value(name, array)

    def integers(self, *values: int) -> Value:
        """A list of int64 that the model has."""
        return self.weight(np.array(values, np.int64))

    def source(self, shape: Shape, dtype: str, low: float = -2.0, high: float = 2.0) -> Value:
        """A new input or weight."""
        made = self.array(shape, dtype, low, high)
        return self.weight(made) if self.chance(0.7) else self.given(made)

    def pick(
        self,
        dtypes: Sequence[str] = FLOATS,
        fits: Callable[[Value], bool] = lambda _: True,
        rank: int | None = None,
    ) -> Value:
        """A value of the model that fits, mostly a late one; a new input where there is none."""
        found = [
            v
            for v in self.pool
            if v.dtype in dtypes and (rank is None or v.rank == rank) and fits(v)
        ]
        if found:
            return found[max(self.rng.randrange(len(found)) for _ in range(2))]
        for _ in range(20):
            value = Value("", self.array(self.shape(rank), dtypes[0]))
            if fits(value):
                return self.given(value.array)
        raise Skip("nothing fits")

    def like(self, value: Value, shape: Shape | None = None) -> Value:
        """Another value of the same type: one of the model, or a new one."""
        shape = value.shape if shape is None else shape
        found = [v for v in self.pool if v.dtype == value.dtype and v.shape == shape]
        return (
            self.rng.choice(found)
            if found and self.chance(0.5)
            else self.source(shape, value.dtype)
        )

    def broadcasting(self, value: Value) -> Value:
        """A value that broadcasts together with `value`."""
        found = [v for v in self.pool if v.dtype == value.dtype and v is not value]
        self.rng.shuffle(found)
        for other in found[:4] if self.chance(0.6) else []:
            try:
                if np.prod(np.broadcast_shapes(other.shape, value.shape)) <= MAX_ELEMENTS:
                    return other
            except ValueError:
                continue
        sizes = [1 if self.chance(0.3) else d for d in value.shape]
        wider = [k for k, d in enumerate(value.shape) if d == 1 and self.chance(0.2)]
        sizes = [self.size(3) if k in wider else d for k, d in enumerate(sizes)]
        sizes = sizes[self.rng.randint(0, len(sizes)) if self.chance(0.4) else 0 :]
        if self.chance(0.1) and value.rank <= len(sizes) < 5:
            sizes = [self.size(3), *sizes]
        return self.source(tuple(sizes), value.dtype)

    # ---------------------------------------------------------------- nodes

    def emit(
        self,
        op_type: str,
        arguments: Sequence[Value | None],
        outputs: int = 1,
        clear: Callable[[Sequence[Value]], bool] | None = None,
        **attributes: Any,
    ) -> list[Value]:
        """The results of a new node."""
        names = [self.fresh() for _ in range(outputs)]
        inputs = ["" if a is None else a.name for a in arguments]
        present = [a for a in arguments if a is not None]
        known = {a.name: a.array for a in present if self._fixed(a.name)}
        node = aged(helper.make_node(op_type, inputs, names, **attributes), self.opset, known)
        if node is None:
            raise Skip("the version has no such node")
        if clear is not None and not clear(present):
            raise Skip("too close to a jump")
        return self.append_all([node], present, names)

    def append_all(
        self, nodes: Sequence[onnx.NodeProto], given: Sequence[Value], results: Sequence[str]
    ) -> list[Value]:
        """The `results` of `nodes`, which read the values `given`."""
        arrays = {v.name: v.array for v in given}
        weights = {name: array for name, array in arrays.items() if self._fixed(name)}
        inputs = {name: array for name, array in arrays.items() if name not in weights}
        model = model_of(nodes, inputs, weights, results, self.opset)
        try:
            found_arrays = run_onnxruntime(model, inputs)
        except Exception as error:
            self.refused[f"{nodes[0].op_type}: {reason(error)}"] += 1
            raise Skip("onnxruntime refuses it") from None
        made: list[Value] = []
        exact = all(v.exact for v in given) and all(n.op_type in EXACT for n in nodes)
        for name, array in zip(results, found_arrays, strict=True):
            found = np.asarray(array)
            if not moderate(found):
                raise Skip("not moderate")
            made.append(Value(name, found, exact or found.dtype.kind != "f"))
        self.nodes += nodes
        self.pool += made
        return made

    def _fixed(self, name: str) -> bool:
        return name in self.weights or any(
            n.op_type == "Constant" and n.output[0] == name for n in self.nodes
        )

    def bounded(self, value: Value, low: float, high: float) -> Value:
        """`value` where it is in a range, else something of the same shape that is."""
        array = value.array
        if array.size == 0 or (array.min() >= low and array.max() <= high):
            return value
        if low >= 0 and high > 100:
            value = self.emit("Abs", [value])[0]
            return self.emit("Add", [value, self.weight(np.array(low + 0.1, value.dtype))])[0]
        (value,) = self.emit("Sigmoid", [value])
        scale = self.weight(np.array((high - low) * 0.9, value.dtype))
        start = self.weight(np.array(low + (high - low) * 0.05, value.dtype))
        return self.emit("Add", [self.emit("Mul", [value, scale])[0], start])[0]

    # ---------------------------------------------------------------- the whole

    def attempt(self, make: Callable[["Builder"], object]) -> bool:
        """Add what `make` makes; False, and nothing added, where that fails."""
        before = len(self.nodes), dict(self.inputs), dict(self.weights), len(self.pool)
        try:
            make(self)
        except Skip:
            del self.nodes[before[0] :], self.pool[before[3] :]
            self.inputs, self.weights = before[1], before[2]
            return False
        return True

    def finish(self) -> Fuzzed:
        """The model: everything that nothing reads is an output, and a few values more."""
        read = {name for node in self.nodes for name in node.input}
        made = [name for node in self.nodes if node.op_type != "Constant" for name in node.output]
        known = {v.name for v in self.pool}
        made = [name for name in made if name in known]
        outputs = [n for n in made if n not in read or self.chance(0.1)] or made[-1:]
        dims: dict[str, list[int | str]] = {}
        if self.is_open:
            for name, array in self.inputs.items():
                dims[name] = [f"d{d}" if self.chance(0.5) else d for d in array.shape]
        model = model_of(self.nodes, self.inputs, self.weights, outputs, self.opset, dims)
        return Fuzzed(model, self.inputs)


def moderate(array: Array) -> bool:
    """Whether `array` is small and its elements are finite and of moderate size."""
    if array.size > MAX_ELEMENTS or array.dtype.kind not in "fiub" or array.ndim > 6:
        return False
    if array.dtype.kind == "b" or not array.size:
        return True
    if array.dtype.kind in "iu":
        return bool(np.abs(array.astype(np.float64)).max() <= 2**24)
    return bool(np.isfinite(array).all() and np.abs(array).max() <= LARGEST[str(array.dtype)])


def reason(error: Exception) -> str:
    """The gist of what onnxruntime says."""
    text = str(error)
    for word in ("NOT_IMPLEMENTED", "INVALID_GRAPH", "INVALID_ARGUMENT", "RUNTIME_EXCEPTION"):
        if word in text:
            detail = text.partition("Status Message:")[2] or text
            return f"{word} {' '.join(detail.split())[:90]}"
    return " ".join(text.split())[:110]
