"""OpenVINO's CPU plugin, tuned for latency and held to one precision."""

from pathlib import Path

import numpy as np
import openvino

VERSION = openvino.__version__.split("-")[0]


class Session:
    """A compiled model and one request, which shares its memory with the caller's arrays."""

    def __init__(self, path: Path, threads: int, bfloat16: bool) -> None:
        precision = "bf16" if bfloat16 else "f32"
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        self._model = openvino.Core().compile_model(path, "CPU", settings)
        found = self._model.get_property("INFERENCE_PRECISION_HINT").to_string()
        if found != precision:
            raise RuntimeError(f"asked for {precision}, OpenVINO computes in {found} here")
        self._request = self._model.create_infer_request()

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        results = self._request.infer(inputs, share_inputs=True, share_outputs=True)
        return [results[port] for port in self._model.outputs]
