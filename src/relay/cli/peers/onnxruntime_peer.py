"""ONNX Runtime's CPU provider, with every graph optimisation on (its default)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

VERSION: str = onnxruntime.__version__


class Session:
    """A model, and the inputs to run it on."""

    def __init__(
        self, path: Path, inputs: Mapping[str, npt.NDArray[np.generic]], threads: int
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = dict(inputs)

    def run(self) -> list[npt.NDArray[np.generic]]:
        """One inference."""
        results: list[npt.NDArray[np.generic]] = self._session.run(None, self._inputs)
        return results


def load(path: Path, inputs: Mapping[str, npt.NDArray[np.generic]], threads: int) -> Session:
    """The ONNX file `path` on at most `threads` threads."""
    return Session(path, inputs, threads)
