"""Small ONNX models, run by onnxruntime and by relay."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from numpy.testing import assert_allclose
from onnx import TensorProto, helper, numpy_helper

from relay.executor import create_executor
from relay.frontend.onnx import from_onnx
from relay.ir.expr import Call, Function
from relay.ir.module import IRModule
from relay.ir.visit import post_order

Arrays = Mapping[str, np.ndarray]


def value_info(name: str, array: np.ndarray, shape: Sequence[int | str | None] | None = None):
    code = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, code, array.shape if shape is None else shape)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Arrays,
    outputs: Sequence[str],
    weights: Arrays | None = None,
    opset: int = 17,
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A model of `nodes`; the types of its outputs are left open."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [value_info(name, array) for name, array in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(d, v) for d, v in (domains or {}).items()]
    return helper.make_model(
        graph, opset_imports=opsets, functions=functions, ir_version=min(10, 3 + opset // 2)
    )


def single(
    op_type: str,
    inputs: Sequence[np.ndarray | None],
    opset: int = 17,
    outputs: int = 1,
    fixed: Sequence[int] = (),
    **attributes: object,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A model of one node; the inputs at the places `fixed` are stored in the model."""
    names = ["" if v is None else f"i{k}" for k, v in enumerate(inputs)]
    given = {n: v for n, v in zip(names, inputs, strict=True) if v is not None}
    weights = {f"i{k}": given.pop(f"i{k}") for k in fixed}
    results = [f"o{k}" for k in range(outputs)]
    node = helper.make_node(op_type, names, results, name="tested", **attributes)
    return model_of([node], given, results, weights, opset), given


def evaluate(module: IRModule, arguments: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """``main`` on `arguments` by name, by the reference interpreter."""
    result = create_executor("debug", mod=module).evaluate()(**arguments)
    return [r.numpy() for r in (result if isinstance(result, tuple) else (result,))]


def runtime(model: onnx.ModelProto, inputs: Arrays) -> list[np.ndarray]:
    """What onnxruntime makes of it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, dict(inputs))


def check(
    model: onnx.ModelProto,
    inputs: Arrays,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    expected: Sequence[np.ndarray] | None = None,
) -> Function:
    """Compare relay with onnxruntime, with constant and with free weights; the imported main."""
    wanted = runtime(model, inputs) if expected is None else expected
    for freeze in (True, False):
        module, params = from_onnx(model, freeze_params=freeze)
        weights = {name: value.numpy() for name, value in params.items()}
        found = evaluate(module, {**inputs, **weights})
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            assert ours.dtype == theirs.dtype
            assert ours.shape == theirs.shape
            assert_allclose(ours, theirs, rtol=rtol, atol=atol)
    return from_onnx(model)[0]["main"]


def operators(main: Function) -> list[str]:
    """The names of the operators that `main` calls, in order."""
    return [c.attrs.op.name for c in post_order(main.body) if isinstance(c, Call) and c.attrs]


def floats(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


__all__ = ["TensorProto", "check", "evaluate", "floats", "helper", "ints", "model_of", "operators"]
