"""PyTorch in eager mode, running the very module that the ONNX file was exported from."""

from pathlib import Path

import numpy as np
import torch

from benchmarks.catalogue import find_model
from benchmarks.models import build_source

VERSION = torch.__version__.split("+")[0]


class Session:
    """The module named by the file: its weights come from the same seed, not from the file."""

    def __init__(self, path: Path, threads: int, bfloat16: bool) -> None:
        if bfloat16:
            raise RuntimeError("eager mode is measured in float32 only")
        torch.set_num_threads(threads)
        source = build_source(find_model(path.name.split(".")[0]))
        self._module = source.module
        self._names = list(source.inputs)

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        with torch.inference_mode():
            result = self._module(*(torch.from_numpy(inputs[name]) for name in self._names))
        results = result if isinstance(result, tuple) else (result,)
        return [tensor.numpy() for tensor in results]
