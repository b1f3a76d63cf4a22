"""What onnxruntime and the executors of relay make of one model, and whether that is the same."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

import relay
from fuzzing.building import CHOOSING, Array, Fuzzed, reason, run_onnxruntime
from relay.frontend.onnx import from_onnx
from relay.ir.module import IRModule
from relay.support.errors import InternalError, RelayError, UnsupportedError

#: How far apart results may be, relative to the largest element, by the least precise type.
TOLERANCE: Final = {"float16": 2e-2, "float32": 2e-4, "float64": 1e-7}
#: How much inputs are changed in order to see how much results follow.
CHANGE: Final = {"float16": 5e-4, "float32": 5e-7, "float64": 1e-12}
#: What these read must stay as it is: sizes and places follow from it.
_DECIDING: Final = ("Resize", "QuantizeLinear", "DequantizeLinear", "Pad")

#: Differences that are meant: the operators that are left, what the message says, and why.
DECLARED: Final[Sequence[tuple[str, str, str]]] = (
    (
        "GroupNormalization",
        "has been deprecated since version 18",
        "GroupNormalization of open sizes before version 21, which the standard withdrew",
    ),
    (
        "ReduceLogSumExp",
        r"\(u?int\d+\) differs",
        "ReduceLogSumExp of integers, whose exponentials onnxruntime cuts off before it adds them",
    ),
    (
        "ConvTranspose",
        " instead of ",
        "onnxruntime adds no pixels where SAME asks for more than windows and strides give",
    ),
)


@dataclass(frozen=True)
class Outcome:
    """How a model went: `kind` is same, refused, theirs (onnxruntime alone differs) or fault."""

    kind: str
    stage: str = ""
    message: str = ""

    @property
    def bucket(self) -> str:
        """What faults of one cause have in common."""
        gist = re.sub(
            r"\d+(\.\d+)?(e-?\d+)?", "#", self.message.splitlines()[0] if self.message else ""
        )
        gist = re.sub(r"'[^']*'", "'..'", gist)
        return f"{self.stage.rstrip('0123')}: {gist[:100]}"


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of `graph` and of the graphs in them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from all_nodes(attribute.g)


def precision(fuzzed: Fuzzed) -> str:
    """The least precise floating-point type in a model."""
    found = {str(a.dtype) for a in fuzzed.inputs.values()}
    codes = {t.data_type for t in fuzzed.model.graph.initializer}
    for node in all_nodes(fuzzed.model.graph):
        codes |= {a.i for a in node.attribute if a.name in ("to", "dtype")}
        codes |= {a.t.data_type for a in node.attribute if a.type == AttributeProto.TENSOR}
    if "float16" in found or TensorProto.FLOAT16 in codes:
        return "float16"
    return "float32" if "float32" in found or TensorProto.FLOAT in codes else "float64"


def differs(
    found: Sequence[Array], expected: Sequence[Array], slack: Sequence[float], tolerance: float
) -> str:
    """How results differ; nothing where they do not."""
    if len(found) != len(expected):
        return f"{len(found)} results instead of {len(expected)}"
    for place, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
            return (
                f"result {place} is {ours.dtype}{ours.shape} instead of "
                f"{theirs.dtype}{theirs.shape}"
            )
        if not theirs.size:
            continue
        if theirs.dtype.kind != "f":
            wrong = int((ours != theirs).sum())
            if wrong:
                return f"result {place} ({theirs.dtype}) differs in {wrong} of {theirs.size} places"
            continue
        distance = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()
        largest = float(np.abs(theirs.astype(np.float64)).max())
        if not distance <= tolerance * max(largest, 1e-3) + slack[place]:
            return f"result {place} ({theirs.dtype}) is {distance:.3g} off, largest {largest:.3g}"
    return ""


def sensitivity(fuzzed: Fuzzed, expected: Sequence[Array], change: float) -> list[float]:
    """How far each result moves when inputs and weights change by rounding errors."""
    random = np.random.default_rng(0)
    model = onnx.ModelProto()
    model.CopyFrom(fuzzed.model)
    kept = {n for node in model.graph.node if node.op_type in _DECIDING for n in node.input[1:]}
    moved = [0.0] * len(expected)

    def shaken(array: Array) -> Array:
        if array.dtype.kind != "f":
            return array
        return (array * (1 + change * random.uniform(-1, 1, array.shape))).astype(array.dtype)

    for _ in range(3):
        for tensor in model.graph.initializer:
            if tensor.name not in kept:
                array = shaken(numpy_helper.to_array(tensor))
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        inputs = {n: a if n in kept else shaken(a) for n, a in fuzzed.inputs.items()}
        try:
            found = run_onnxruntime(model, inputs)
        except Exception:
            continue
        for place, (one, two) in enumerate(zip(found, expected, strict=True)):
            if one.shape == two.shape and one.dtype.kind == "f" and one.size:
                apart = np.abs(one.astype(np.float64) - two.astype(np.float64)).max()
                moved[place] = max(moved[place], float(apart))
    return [20 * m for m in moved]


def _arrays(result: object) -> list[Array]:
    fields = result if isinstance(result, tuple | list) else (result,)
    return [field.numpy() for field in fields]


def _straight(model: onnx.ModelProto) -> bool:
    """Whether all sizes follow from those of the inputs, and no node chooses what runs."""
    return not any(n.op_type in CHOOSING for n in model.graph.node)


def stages(fuzzed: Fuzzed, levels: Sequence[int]) -> Iterator[tuple[str, list[Array]]]:
    """The results of every executor."""
    model, inputs = fuzzed.model, fuzzed.inputs
    module = from_onnx(model)[0]
    names = [p.name_hint for p in module["main"].params]
    given = {name: inputs[name] for name in names}
    yield "debug", _arrays(relay.create_executor("debug", mod=module).evaluate()(**given))
    fixed = from_onnx(model, shape={n: given[n].shape for n in names})[0]
    for level in levels:
        with relay.transform.PassContext(opt_level=level):
            compiled = _compiled(fixed, model)
        if compiled is not None:
            yield f"graph{level}", _arrays(compiled(**given))
    machine = relay.create_executor("vm", mod=module).evaluate()
    yield "vm", _arrays(machine(**given))
    yield "vm again", _arrays(machine(**given))


def _compiled(module: IRModule, model: onnx.ModelProto) -> Any:
    """`main`, compiled ahead; None where only the virtual machine can run such a program."""
    try:
        return relay.create_executor("graph", mod=module).evaluate()
    except UnsupportedError:
        if _straight(model):
            raise
        return None


def examine(fuzzed: Fuzzed, levels: Sequence[int]) -> Outcome:
    """Compare all executors on one model."""
    try:
        expected = [np.asarray(a) for a in run_onnxruntime(fuzzed.model, fuzzed.inputs)]
    except Exception as error:
        return Outcome("refused", "onnxruntime", reason(error))
    least = precision(fuzzed)
    slack: list[float] | None = None
    stage = "import"
    results = stages(fuzzed, levels)
    last = "nothing"
    while True:
        try:
            stage, found = next(results)
        except StopIteration:
            return Outcome("same")
        except Exception as error:
            return _failed(f"after {last}", error)
        last = stage
        if not differs(found, expected, [0.0] * len(expected), TOLERANCE[least]):
            continue
        if slack is None:
            slack = sensitivity(fuzzed, expected, CHANGE[least])
        message = differs(found, expected, slack, TOLERANCE[least])
        if message:
            return _judged(fuzzed, found, slack, TOLERANCE[least], Outcome("fault", stage, message))


def _failed(stage: str, error: Exception) -> Outcome:
    kind = type(error).__name__
    known = isinstance(error, RelayError) and not isinstance(error, InternalError)
    return Outcome("fault", stage, f"{kind}{'' if known else '!'}: {error}")


def _judged(
    fuzzed: Fuzzed, found: Sequence[Array], slack: Sequence[float], tolerance: float, fault: Outcome
) -> Outcome:
    """`fault`, unless the standard's own evaluator sides with relay."""
    try:
        made = ReferenceEvaluator(fuzzed.model).run(None, dict(fuzzed.inputs))
        reference = [np.asarray(a) for a in made]
    except Exception:
        return fault
    if differs(found, reference, slack, tolerance):
        return fault
    return Outcome("theirs", fault.stage, fault.message)


def declared(outcome: Outcome, model: onnx.ModelProto) -> str:
    """Why the difference that is left in a shrunk `model` is meant; nothing where it is not."""
    operators = [n.op_type for n in all_nodes(model.graph)]
    for op_type, pattern, why in DECLARED:
        if op_type in operators and re.search(pattern, outcome.message):
            return why
    return ""


def inputs_of(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Those of `inputs` that `model` has."""
    return {i.name: inputs[i.name] for i in model.graph.input}
