"""The graph executor: a compiled dataflow graph, run by one native call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.codegen.llvm.entry import SYMBOL
from relay.codegen.llvm.jit import Library
from relay.runtime.device import Device, cpu
from relay.runtime.executable import ArrayLike, Executable, TensorSpec
from relay.runtime.memory import aligned_empty, is_aligned
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError
from relay.target import Target


@dataclass
class GraphFactory:
    """What `relay.build` returns: machine code and constants, from which modules are made.

    ``factory["default"](device)`` makes a `GraphModule` (Relay's GraphExecutorFactoryModule).
    """

    target: Target
    objects: tuple[bytes, ...]
    constants: tuple[npt.NDArray[np.generic], ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arena_bytes: int
    library: Library
    timings: Mapping[str, float] = field(default_factory=dict)
    kernel_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.constants = tuple(c if is_aligned(c) else _aligned(c) for c in self.constants)

    def __getitem__(self, name: str) -> "Callable[[Device], GraphModule]":
        if name != "default":
            raise InputError(f'there is no function {name!r}; expected "default"')
        return self.create

    def create(self, device: Device | None = None) -> "GraphModule":
        """A module with memory of its own, to set inputs of and run."""
        device = device or cpu(0)
        if device.kind != "cpu":
            raise InputError(f"this program is compiled for a CPU; it cannot run on {device}")
        return GraphModule(
            Executable(
                self.library[SYMBOL],
                self.inputs,
                self.outputs,
                self.constants,
                self.arena_bytes,
                self.library,
            )
        )


def _aligned(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    copy = aligned_empty(array.shape, dtypes.from_numpy(array.dtype))
    np.copyto(copy, array)
    return copy


class GraphModule:
    """A runnable graph: set inputs, run, get outputs (Relay's GraphModule)."""

    def __init__(self, executable: Executable) -> None:
        self.executable = executable

    def set_input(
        self, key: str | int | None = None, value: ArrayLike | None = None, **params: ArrayLike
    ) -> None:
        """Set the input called (or numbered) `key`, and any more by keyword.

        Raises `InputError` for an unknown name, a wrong shape or a wrong data type.
        """
        if key is not None:
            if value is None:
                raise InputError(f"no value is given for input {key!r}")
            self.executable.set_input(key, value)
        for name, array in params.items():
            self.executable.set_input(name, array)

    def run(self, **inputs: ArrayLike) -> None:
        """Run once, after setting `inputs`. Raises `InputError` when an input is missing."""
        for name, array in inputs.items():
            self.executable.set_input(name, array)
        self.executable.run()

    def get_output(self, index: int) -> NDArray:
        """Result `index` of the last run; the next run overwrites it."""
        return self.executable.output(index)

    def get_num_inputs(self) -> int:
        """How many inputs there are."""
        return len(self.executable.inputs)

    def get_num_outputs(self) -> int:
        """How many outputs there are."""
        return len(self.executable.outputs)

    def get_input_index(self, name: str) -> int:
        """The number of the input called `name`, or -1 (as in Relay)."""
        names = [spec.name for spec in self.executable.inputs]
        return names.index(name) if name in names else -1

    def __call__(self, *values: ArrayLike) -> list[NDArray]:
        """Set all inputs in order, run, and return the outputs in memory of their own."""
        return self.executable(*values)
