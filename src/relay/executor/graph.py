"""The graph executor: a compiled dataflow graph, run by one native call."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.codegen.llvm.entry import SYMBOL
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.jit import Library, link
from relay.executor.artifact import Artifact, check_host, read, write
from relay.runtime.device import Device, cpu
from relay.runtime.executable import ArrayLike, Executable, TensorSpec
from relay.runtime.memory import aligned_empty, is_aligned
from relay.runtime.ndarray import NDArray
from relay.support.errors import ArtifactError, InputError
from relay.target import Target


@dataclass
class GraphFactory:
    """What `relay.build` and `relay.load` return: machine code and constants, to make modules of.

    ``factory["default"](device)`` makes a `GraphModule` (Relay's GraphExecutorFactoryModule).
    `objects` are those of the kernels, then that of the entry point. `steps` counts the kernel
    calls of a run. `model_sha256` is the digest of the file the program comes from, or empty.
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
    steps: int = 0
    model_sha256: str = ""

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

    def export_library(self, path: str | os.PathLike[str]) -> None:
        """Write this program to the file `path` (by custom ``model.rly``), for `relay.load`.

        Raises `ArtifactError` when the file cannot be written; an old file is then left as it was.
        """
        names = [*self.kernel_names, SYMBOL]
        write(
            Artifact(
                target=self.target,
                objects=dict(zip(names, self.objects, strict=True)),
                constants=self.constants,
                inputs=self.inputs,
                outputs=self.outputs,
                arena_bytes=self.arena_bytes,
                steps=self.steps,
                model_sha256=self.model_sha256,
            ),
            path,
        )


def load(path: str | os.PathLike[str]) -> GraphFactory:
    """The program that `GraphFactory.export_library` wrote to the file `path`, ready to run.

    Nothing is compiled; constants are mapped from the file. An artefact holds machine code: load
    only what you would run. Raises `ArtifactError` for a file that is missing, foreign, cut off or
    changed, and for one compiled for another machine, saying which CPU features are missing here.
    """
    artifact = read(path)
    try:
        check_host(artifact.target, host_target())
        library = link(list(artifact.objects.values()), [SYMBOL])
    except ArtifactError as error:
        raise ArtifactError(f"{os.fspath(path)}: {error.message}") from None
    except RuntimeError as error:
        raise ArtifactError(f"{os.fspath(path)} cannot be linked here: {error}") from None
    return GraphFactory(
        target=artifact.target,
        objects=tuple(artifact.objects.values()),
        constants=artifact.constants,
        inputs=artifact.inputs,
        outputs=artifact.outputs,
        arena_bytes=artifact.arena_bytes,
        library=library,
        kernel_names=tuple(artifact.objects)[:-1],
        steps=artifact.steps,
        model_sha256=artifact.model_sha256,
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
