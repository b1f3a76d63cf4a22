"""Operators as older versions of the standard define them.

The standard's tests are of the newest versions. Here a node of theirs becomes one of an older
version, inputs becoming the attributes that they were, as far as that version has such nodes.
What comes out must be what onnxruntime makes of it or, where it is too new for that, what the
test expects.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import onnx
import pytest
from onnx import TensorProto, checker, defs, helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests
from onnx.numpy_helper import to_array

import relay.backend.onnx as backend
from fuzzing.aging import aged
from onnx_models import runtime

#: Versions before which what the newest tests have means something else, or nothing.
OTHERWISE: Final = {
    "BatchNormalization": (7, "without is_test the statistics are those of the batch"),
    "Bernoulli": (99, "numbers are drawn at random"),
    "Dropout": (7, "without is_test it drops elements"),
    "MaxUnpool": (99, "onnxruntime does not do what the test expects"),
    "PRelu": (7, "slopes belong to channels"),
}
_TENSORS: Final = (np.ndarray, np.generic, TensorProto)
#: So many nodes of each version are tried.
_NODES: Final = 2


def _old_versions() -> Iterator[tuple[str, str, int]]:
    """Domain, name and version of the operators of older versions."""
    versions: dict[tuple[str, str], list[int]] = {}
    for schema in defs.get_all_schemas_with_history():
        if not schema.deprecated:
            versions.setdefault((schema.domain, schema.name), []).append(schema.since_version)
    for (domain, name), found in sorted(versions.items()):
        for version in sorted(found)[:-1]:
            if version >= OTHERWISE.get(name, (0,))[0]:
                yield domain, name, version


@functools.cache
def _cases() -> dict[tuple[str, str], list[TestCase]]:
    """The standard's tests of one node on tensors, by domain and name."""
    found: dict[tuple[str, str], list[TestCase]] = {}
    for case in load_model_tests(kind="node"):
        nodes = case.model.graph.node
        if len(nodes) == 1 and all(isinstance(a, _TENSORS) for s in case.data_sets[0] for a in s):
            found.setdefault((nodes[0].domain, nodes[0].op_type), []).append(case)
    return found


def _array(value: object) -> np.ndarray:
    return to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def _aged(case: TestCase, version: int) -> tuple[onnx.ModelProto, dict[str, np.ndarray]] | None:
    """A test's model as one of an older version, and its inputs; None where there is none."""
    graph = case.model.graph
    values = map(_array, case.data_sets[0][0])
    given = dict(zip((i.name for i in graph.input), values, strict=True))
    node = aged(graph.node[0], version, given)
    if node is None:
        return None
    given = {name: value for name, value in given.items() if name in node.input}
    inputs = [i for i in graph.input if i.name in given]
    model = helper.make_model(
        helper.make_graph([node], case.name, inputs, graph.output),
        opset_imports=[helper.make_opsetid(node.domain, version)],
        ir_version=10,
    )
    try:
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, onnx.shape_inference.InferenceError):
        return None
    return model, given


def _expected(
    case: TestCase, model: onnx.ModelProto, given: Mapping[str, np.ndarray]
) -> Sequence[np.ndarray]:
    try:
        return runtime(model, given)
    except Exception:  # it has exceptions of its own for what it does not do
        return [_array(a) for a in case.data_sets[0][1]]


def test_nearly_all_old_versions_are_tried() -> None:
    versions = [*_old_versions()]
    tried = [
        (domain, name, version)
        for domain, name, version in versions
        if any(_aged(case, version) for case in _cases().get((domain, name), ()))
    ]
    assert len(tried) > 0.9 * len(versions)


@pytest.mark.parametrize(("domain", "name", "version"), [*_old_versions()])
def test_old_version(domain: str, name: str, version: int) -> None:
    tried = ((case, _aged(case, version)) for case in _cases().get((domain, name), ()))
    found = [(case, made) for case, made in tried if made is not None][:_NODES]
    if not found:
        pytest.skip("no test of the newest version is one of this version")
    for case, (model, given) in found:
        ours = backend.prepare(model).run([given[i.name] for i in model.graph.input])
        for a, b in zip(ours, _expected(case, model, given), strict=True):
            assert np.asarray(a).dtype == np.asarray(b).dtype, case.name
            if np.asarray(b).dtype.kind == "f":
                np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-3, err_msg=case.name)
            else:
                np.testing.assert_array_equal(a, b, err_msg=case.name)
