"""The standard's own tests, run by the standard's own runner through `relay.backend.onnx`."""

from onnx.backend.test import BackendTest

import relay.backend.onnx as backend

standard = BackendTest(backend, __name__)
#: There is no CUDA device; this leaves out the second half of every pair of tests.
standard.exclude("_cuda$")

globals().update(standard.test_cases)
