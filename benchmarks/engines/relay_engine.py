"""This project: a model compiled by ``relay.build`` for the machine it runs on."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

import relay

VERSION = version("relay-ir")


class Session:
    """The graph executor. No tuning, no settings beyond the target and the thread count."""

    def __init__(self, path: Path, threads: int) -> None:
        relay.runtime.threads.set_num_threads(threads)
        model = onnx.load(path)
        mod, params = relay.frontend.from_onnx(model)
        library = relay.build(mod, target=relay.target.Target.host(), params=params)
        self._outputs = range(len(model.graph.output))
        self._module = library["default"](relay.cpu(0))

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        module = self._module
        for name, value in inputs.items():
            module.set_input(name, value)
        module.run()
        return [module.get_output(index).numpy() for index in self._outputs]
