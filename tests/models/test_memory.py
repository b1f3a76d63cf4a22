"""How much memory it takes to bring a model to run."""

import subprocess
import sys

import pytest

from models.builders import Graph, image

SIZE = 4096
RUN = """
import resource, sys
import numpy as np
import relay, relay.executor.build
from relay.frontend.onnx import from_onnx

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
relay.build(from_onnx(sys.argv[1])[0])  # loads what is loaded on first use
before = peak()
graph = relay.build(from_onnx(sys.argv[2])[0])["default"](relay.cpu(0))
graph.run(input=np.zeros((1, int(sys.argv[3])), np.float32))
print(peak() - before)
"""


def perceptron(size: int, path) -> None:
    g = Graph(1)
    x = "input"
    for k in range(2):  # one weight as Gemm takes it, one to be transposed
        weight = g.hold(g.generator.random((size, size), "float32"))
        x = g.add("MatMul", x, weight) if k else g.add("Gemm", x, weight, transB=1)
    path.write_bytes(g.model({"input": image(1, size)}, x)[0].SerializeToString())


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is Linux's")
def test_weights_are_held_at_most_twice(tmp_path):
    """As they came and as kernels want them; once that is done, only the latter."""
    small, large = tmp_path / "small.onnx", tmp_path / "large.onnx"
    perceptron(64, small)
    perceptron(SIZE, large)
    command = [sys.executable, "-c", RUN, small, large, str(SIZE)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 2.2 * 2 * SIZE * SIZE * 4
