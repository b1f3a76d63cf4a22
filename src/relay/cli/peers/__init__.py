"""Other engines to compare with. Each module here imports its engine and is loaded on demand."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from relay.support.errors import InputError

PEERS: Final = {
    "onnxruntime": "relay.cli.peers.onnxruntime_peer",
    "openvino": "relay.cli.peers.openvino_peer",
}
"""Name of the engine, which is also its package -> the module that runs it."""


class Session(Protocol):
    """A model loaded into an engine."""

    def run(self) -> list[npt.NDArray[np.generic]]:
        """One inference on the inputs given at loading; outputs in the order of the model."""


class Peer(Protocol):
    """A module that runs an engine."""

    VERSION: str

    def load(
        self, path: Path, inputs: Mapping[str, npt.NDArray[np.generic]], threads: int
    ) -> Session:
        """The ONNX file `path` in the engine, on at most `threads` threads."""


def find(name: str) -> Peer:
    """The engine called `name`. Raises `InputError` when it is unknown or not installed."""
    if name not in PEERS:
        raise InputError(f"--vs knows no engine {name!r}; it knows {', '.join(PEERS)}")
    try:
        peer: Peer = importlib.import_module(PEERS[name])
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise InputError(f"{name} is not installed; install it with: pip install {name}") from None
    return peer
