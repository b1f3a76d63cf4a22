"""The engines that are compared: one module each, with one class that loads a model and runs it.

An engine's module imports its runtime at its top. :func:`find` imports the module on demand, so
that an engine which is not installed is a missing row and not a failure, and so that a process
that measures memory holds only the runtime it measures.
"""

import importlib
from pathlib import Path
from typing import Protocol

import numpy as np

NAMES = ("relay", "onnxruntime", "openvino", "torch")
DEFAULT_NAMES = ("relay", "onnxruntime", "openvino")
OURSELVES = "relay"
REFERENCE = "onnxruntime"
"""The engine that errors are relative to."""

BFLOAT16 = "-bf16"
"""Behind the name of an engine: it may compute in bfloat16; inputs and outputs stay float32."""

Arrays = dict[str, np.ndarray]


class Engine(Protocol):
    """A model loaded into one runtime."""

    def __init__(self, path: Path, threads: int, bfloat16: bool) -> None:
        """Loads and compiles the ONNX file at ``path`` for at most ``threads`` threads.

        Raises:
            RuntimeError: the runtime cannot compute in bfloat16 here, and was asked to.
        """

    def run(self, inputs: Arrays) -> list[np.ndarray]:
        """One inference: inputs by name; outputs in the order of the model's graph."""


class EngineMissingError(Exception):
    """The runtime of an engine is not installed; the message says what was not found."""


def find(name: str) -> tuple[type[Engine], str]:
    """The class of the engine called ``name``, and the version of its runtime.

    Raises:
        EngineMissingError: a module it needs is not there.
    """
    try:
        module = importlib.import_module(f"benchmarks.engines.{runtime(name)}_engine")
    except ModuleNotFoundError as error:
        raise EngineMissingError(str(error)) from error
    return module.Session, module.VERSION


def runtime(name: str) -> str:
    """The runtime behind an engine: ``relay`` for ``relay-bf16``."""
    return name.removesuffix(BFLOAT16)


def load(name: str, path: str, threads: int) -> Engine:
    """The model at ``path``, loaded into the engine called ``name``."""
    return find(name)[0](Path(path), threads, name.endswith(BFLOAT16))
