"""The graph executor: a compiled dataflow graph, run by one native call."""

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.codegen.llvm.calls import SYMBOL, Step
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.link import link, support_object
from relay.executor.artifact import Artifact, check_runs_here, obstacle, read, write
from relay.runtime.device import Device, cpu
from relay.runtime.executable import ArrayLike, Executable, TensorSpec
from relay.runtime.library import Library
from relay.runtime.memory import aligned_empty, is_aligned
from relay.runtime.ndarray import NDArray
from relay.runtime.work import Work
from relay.support.errors import ArtifactError, InputError
from relay.target import Target

if TYPE_CHECKING:
    from relay.executor.profile import Profile


@dataclass
class GraphFactory:
    """What `relay.build` and `relay.load` return: machine code and constants, to make modules of.

    ``factory["default"](device)`` makes a `GraphModule` (Relay's GraphExecutorFactoryModule).
    `objects` are those of the kernels, then that of the entry point. `steps` counts the kernel
    calls of a run, `calls` lists them with their arguments, and `work` says what each has to do:
    what profiling needs. `library` is the code ready to be called, or None where it is for another
    machine: such a program can only be written to a file. `timings` are seconds by stage of the
    compilation. `model_sha256` is the digest of the file the program comes from, or empty.
    `support` is the object of the support code that came with the program, or None.
    """

    target: Target
    objects: tuple[bytes, ...]
    constants: tuple[npt.NDArray[np.generic], ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arena_bytes: int
    library: Library | None
    timings: Mapping[str, float] = field(default_factory=dict)
    kernel_names: tuple[str, ...] = ()
    steps: int = 0
    model_sha256: str = ""
    calls: tuple[Step, ...] = ()
    work: tuple[Work, ...] = ()
    support: bytes | None = None

    def __post_init__(self) -> None:
        self.constants = tuple(c if is_aligned(c) else _aligned(c) for c in self.constants)

    def __getitem__(self, name: str) -> "Callable[[Device], GraphModule]":
        if name != "default":
            raise InputError(f'there is no function {name!r}; expected "default"')
        return self.create

    def linked(self) -> Library:
        """The code in this process. Raises `InputError` when it is for another machine."""
        if self.library is None:
            raise InputError(
                f"this program is compiled for {obstacle(self.target, host_target())}. "
                "Write it to a file and load that where it is to run"
            )
        return self.library

    def create(self, device: Device | None = None) -> "GraphModule":
        """A module with memory of its own, to set inputs of and run.

        Raises `InputError` for another device than a CPU, and when the program is compiled for
        another machine.
        """
        device = device or cpu(0)
        if device.kind != "cpu":
            raise InputError(f"this program is compiled for a CPU; it cannot run on {device}")
        library = self.linked()
        executable = Executable(
            library[SYMBOL],
            self.inputs,
            self.outputs,
            self.constants,
            self.arena_bytes,
            library,
        )
        return GraphModule(executable, self)

    def profile(
        self, *values: ArrayLike, runs: int = 20, warm_up: int = 3, roofline: bool = True
    ) -> "Profile":
        """Run on inputs `values`, in order, and measure each kernel; see `GraphModule.profile`."""
        module = self.create()
        if len(values) != len(self.inputs):
            raise InputError(f"expected {len(self.inputs)} inputs, not {len(values)}")
        for index, value in enumerate(values):
            module.set_input(index, value)
        return module.profile(runs=runs, warm_up=warm_up, roofline=roofline)

    def export_library(self, path: str | os.PathLike[str]) -> None:
        """Write this program to the file `path` (by custom ``model.rly``), for `relay.load`.

        Raises `ArtifactError` when the file cannot be written; an old file is then left as it was.
        """
        names = [*self.kernel_names, SYMBOL]
        write(
            Artifact(
                target=self.target,
                objects=dict(zip(names, self.objects, strict=True)),
                support=support_object(self.target) if self.support is None else self.support,
                constants=self.constants,
                inputs=self.inputs,
                outputs=self.outputs,
                arena_bytes=self.arena_bytes,
                steps=self.steps,
                model_sha256=self.model_sha256,
                calls=self.calls,
                work=self.work,
            ),
            path,
        )


def load(path: str | os.PathLike[str]) -> GraphFactory:
    """The program that `GraphFactory.export_library` wrote to the file `path`, ready to run.

    Nothing is compiled, and LLVM is not loaded; constants are mapped from the file. An artefact
    holds machine code: load only what you would run. Raises `ArtifactError` for a file that is
    missing, foreign, cut off or changed, and for one compiled for another machine, saying which CPU
    features are missing here.
    """
    artifact = read(path)
    try:
        check_runs_here(artifact.target)
        objects = list(artifact.objects.values())
        library = link(objects, [SYMBOL], support=artifact.support)
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
        calls=artifact.calls,
        work=artifact.work,
        support=artifact.support,
    )


def _aligned(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    copy = aligned_empty(array.shape, dtypes.from_numpy(array.dtype))
    np.copyto(copy, array)
    return copy


class GraphModule:
    """A runnable graph: set inputs, run, get outputs (Relay's GraphModule)."""

    def __init__(self, executable: Executable, factory: GraphFactory | None = None) -> None:
        self.executable = executable
        self.factory = factory

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

    def profile(
        self, *, runs: int = 20, warm_up: int = 3, roofline: bool = True, **inputs: ArrayLike
    ) -> "Profile":
        """Measure each kernel, after setting `inputs`: times, rates and what limits them.

        The graph runs `warm_up` times, then `runs` times as usual and `runs` times with a clock
        read between kernels, in turn. `roofline` compares with what this machine can do, which is
        measured once and kept (see `relay.executor.profile.measure_machine`).
        Raises `InputError` when an input is missing, or `runs` is less than 1.
        """
        if self.factory is None:
            raise InputError("this module does not know its kernels: profile one of GraphFactory's")
        for name, array in inputs.items():
            self.executable.set_input(name, array)
        measuring = importlib.import_module("relay.executor.profile.measure")
        profile: Profile = measuring.profile_graph(
            self.factory, self.executable, runs, warm_up, roofline
        )
        return profile

    def __call__(self, *values: ArrayLike) -> list[NDArray]:
        """Set all inputs in order, run, and return the outputs in memory of their own."""
        return self.executable(*values)
