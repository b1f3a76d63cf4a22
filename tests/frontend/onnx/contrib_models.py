"""Models of one operator of ``com.microsoft``, run by onnxruntime, the interpreter and a graph."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.testing import assert_allclose
from onnx import helper

import relay
from onnx_models import check, model_of, runtime
from relay.frontend.onnx import from_onnx

DOMAIN = "com.microsoft"
Inputs = Sequence[np.ndarray | None]


def contrib(
    op_type: str,
    inputs: Inputs,
    outputs: Sequence[int] = (0,),
    fixed: Sequence[int] = (),
    domain: str = DOMAIN,
    **attributes: object,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A model of one node with the `outputs` named; inputs at the places `fixed` are stored."""
    names = ["" if v is None else f"i{k}" for k, v in enumerate(inputs)]
    given = {n: np.asarray(v) for n, v in zip(names, inputs, strict=True) if v is not None}
    weights = {f"i{k}": given.pop(f"i{k}") for k in fixed if inputs[k] is not None}
    made = [f"o{k}" if k in outputs else "" for k in range(max(outputs) + 1)]
    node = helper.make_node(op_type, names, made, name="tested", domain=domain, **attributes)
    model = model_of([node], given, [f"o{k}" for k in outputs], weights, domains={DOMAIN: 1})
    return model, given


def same(
    op_type: str,
    inputs: Inputs,
    outputs: Sequence[int] = (0,),
    fixed: Sequence[int] = (),
    domain: str = DOMAIN,
    expected: Sequence[np.ndarray] | None = None,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    **attributes: object,
) -> relay.Function:
    """Compare with onnxruntime, or with what is `expected` where it cannot run the operator."""
    model, given = contrib(op_type, inputs, outputs, fixed, domain, **attributes)
    wanted = runtime(model, given) if expected is None else expected
    return agree(model, given, wanted, rtol, atol)


def agree(
    model: onnx.ModelProto,
    given: Mapping[str, np.ndarray],
    wanted: Sequence[np.ndarray],
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> relay.Function:
    """Compare what the interpreter and a graph make of a model with what is `wanted`."""
    main = check(model, given, rtol, atol, wanted)
    compiled = relay.create_executor("graph", mod=from_onnx(model)[0]).evaluate()(**given)
    results = compiled if isinstance(compiled, tuple | list) else (compiled,)
    for ours, theirs in zip(results, wanted, strict=True):
        assert ours.numpy().dtype == theirs.dtype
        assert_allclose(ours.numpy(), theirs, rtol=rtol, atol=atol)
    return main


__all__ = ["DOMAIN", "agree", "contrib", "same"]
