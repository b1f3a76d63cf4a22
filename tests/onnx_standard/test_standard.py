"""The standard's own tests, run by the standard's own runner through `relay.backend.onnx`."""

import numpy as np
from onnx.backend.test import BackendTest
from onnx.backend.test.loader import load_model_tests

import relay.backend.onnx as backend

standard = BackendTest(backend, __name__)
# It expects what another generator of random numbers has drawn, and says that others draw others.
standard.exclude("test_bernoulli")
# Its result is a list with a scalar in it, whose length the runner asks for. See below.
standard.exclude("test_loop16_seq_none")


def _without_cuda(case: type) -> type:
    """The runner makes each test a second time for CUDA, to skip it."""
    for test in [t for t in vars(case) if t.endswith("_cuda")]:
        delattr(case, test)
    return case


globals().update({n: _without_cuda(case) for n, case in standard.test_cases.items()})


def test_a_list_with_a_scalar() -> None:
    (case,) = (c for c in load_model_tests(kind="node") if c.name == "test_loop16_seq_none")
    for inputs, (expected,) in case.data_sets:
        (found,) = backend.prepare(case.model).run(inputs)
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
