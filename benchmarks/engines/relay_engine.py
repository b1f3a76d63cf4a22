"""This project: a model compiled by ``relay.build`` for the machine it runs on."""

from importlib.metadata import version
from pathlib import Path

import numpy as np

import relay

# Loaded on first use otherwise, and counted as if it were the model's.
import relay.executor.build
import relay.frontend.onnx
import relay.runtime.threads

VERSION = version("relay-ir")


class Session:
    """The graph executor. No tuning, no settings beyond the target and the thread count."""

    def __init__(self, path: Path, threads: int, bfloat16: bool) -> None:
        relay.runtime.threads.set_num_threads(threads)
        mod, params = relay.frontend.from_onnx(path)
        if bfloat16:
            config = {"relay.ToMixedPrecision.keep_orig_output_dtype": True}
            with relay.transform.PassContext(config=config):
                mod = relay.transform.ToMixedPrecision("bfloat16")(mod)
        library = relay.build(mod, params=params)
        self._module = library["default"](relay.cpu(0))
        self._outputs = range(self._module.get_num_outputs())

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        module = self._module
        for name, value in inputs.items():
            module.set_input(name, value)
        module.run()
        return [module.get_output(index).numpy() for index in self._outputs]
