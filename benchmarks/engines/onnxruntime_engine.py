"""ONNX Runtime's CPU provider, with every graph optimisation on (its default)."""

from pathlib import Path

import numpy as np
import onnxruntime

VERSION = onnxruntime.__version__


class Session:
    """An ``InferenceSession`` with ``threads`` threads inside an operator and one between them."""

    def __init__(self, path: Path, threads: int, bfloat16: bool) -> None:
        if bfloat16:
            raise RuntimeError("its CPU provider has no bfloat16 mode")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(path, options, providers=providers)

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return self._session.run(None, inputs)
