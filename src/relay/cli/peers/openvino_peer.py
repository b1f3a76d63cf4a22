"""OpenVINO's CPU plugin, tuned for latency and held to float32."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino

VERSION: str = openvino.__version__.split("-")[0]


class Session:
    """A compiled model with one request, which shares its memory with the caller's arrays."""

    def __init__(
        self, path: Path, inputs: Mapping[str, npt.NDArray[np.generic]], threads: int
    ) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        core = openvino.Core()
        model = core.read_model(path)
        model.reshape({name: list(array.shape) for name, array in inputs.items()})
        self._model = core.compile_model(model, "CPU", settings)
        self._request = self._model.create_infer_request()
        self._inputs = dict(inputs)

    def run(self) -> list[npt.NDArray[np.generic]]:
        """One inference."""
        results = self._request.infer(self._inputs, share_inputs=True, share_outputs=True)
        return [results[port] for port in self._model.outputs]


def load(path: Path, inputs: Mapping[str, npt.NDArray[np.generic]], threads: int) -> Session:
    """The ONNX file `path` on at most `threads` threads."""
    return Session(path, inputs, threads)
