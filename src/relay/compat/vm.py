"""`tvm.relay.vm` and `tvm.runtime.vm`: the virtual machine in the forms of all versions."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from relay.compat.container import ADT, shown
from relay.compat.graph_executor import BenchmarkResult, measure
from relay.compat.target import TargetLike, resolve
from relay.executor.build import as_module, bind_params
from relay.executor.vm import VirtualMachine as Machine
from relay.executor.vm import VMExecutable, VMExecutor, load
from relay.executor.vm import compile as compile_program
from relay.executor.vm.normalize import normalize
from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.runtime.device import Device
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError


def compile(  # noqa: A001 - the name Relay users know
    mod: IRModule | Function,
    target: TargetLike = None,
    target_host: TargetLike = None,
    params: Mapping[str, Any] | None = None,
) -> "Executable":
    """Compile `mod` for the virtual machine: see `relay.executor.vm.compile`."""
    module = as_module(mod)
    used = {p.name_hint for p in module["main"].params}
    bound = {name: value for name, value in (params or {}).items() if name in used}
    return Executable.of(compile_program(module, resolve(target), bound))


class Executable(VMExecutable):
    """A compiled program, which is saved in two parts as in TVM: ``code, lib = exe.save()``.

    The code is the whole program; the library has nothing to add to it.
    """

    @staticmethod
    def of(program: VMExecutable) -> "Executable":
        """`program` with this interface."""
        return Executable(**{f.name: getattr(program, f.name) for f in fields(program) if f.init})

    @property
    def lib(self) -> "VMLibrary":
        """The part that `export_library` writes."""
        return VMLibrary(self)

    def save(  # type: ignore[override]
        self, path: str | os.PathLike[str] | None = None
    ) -> "tuple[bytearray, VMLibrary] | None":
        """The program as bytes, and the library; or the program in the file `path`."""
        if path is not None:
            super().save(path)
            return None
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            file = Path(folder) / "model.rlyvm"
            super().save(file)
            return bytearray(file.read_bytes()), self.lib

    @staticmethod
    def load_exec(bytecode: bytes | bytearray, lib: "VMLibrary | None" = None) -> "Executable":
        """The program of which `save` gave the bytes. Raises `ArtifactError` for other bytes."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            file = Path(folder) / "model.rlyvm"
            file.write_bytes(bytecode)
            return Executable.of(load(file))


class VMLibrary:
    """The library of a program for the virtual machine."""

    def __init__(self, executable: Executable) -> None:
        self.executable = executable

    def export_library(self, file_name: str, *_: object, **__: object) -> None:
        """Write the program to the file `file_name`, for `load_module`."""
        self.executable.save(file_name)

    save = export_library


class VMCompiler:
    """Compiles in steps: `set_params`, `lower`, `codegen`, `get_exec`."""

    def __init__(self) -> None:
        self._params: dict[str, Any] = {}
        self._executable: Executable | None = None

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Values for parameters of ``@main``, by name."""
        self._params = dict(params)

    def lower(
        self, mod: IRModule | Function, target: TargetLike = None, target_host: TargetLike = None
    ) -> None:
        """Compile `mod`."""
        self._executable = compile(mod, target, target_host, self._params)

    def optimize(
        self,
        mod: IRModule | Function,
        target: TargetLike = None,
        target_host: TargetLike = None,
        params: Mapping[str, Any] | None = None,
    ) -> tuple[IRModule, dict[str, NDArray]]:
        """The module that is compiled for `mod`, and no parameters: they are constants of it."""
        return normalize(bind_params(as_module(mod), {**self._params, **(params or {})})), {}

    def codegen(self) -> None:
        """Nothing: `lower` makes machine code, too."""

    def get_exec(self) -> Executable:
        """The compiled program. Raises `InputError` before `lower`."""
        if self._executable is None:
            raise InputError("nothing is compiled yet; call lower(mod, target) first")
        return self._executable


class VirtualMachine(Machine):
    """Runs a compiled program: ``VirtualMachine(executable, device).invoke("main", x)``.

    As in TVM 0.6, `device` may come later, with `init`. Tuples in results are of the class `ADT`.
    Raises `InputError` for a device that is not there.
    """

    def __init__(
        self, exe: VMExecutable, device: Device | None = None, memory_cfg: object = None
    ) -> None:
        super().__init__(exe, device)
        self._single: dict[str, dict[str, Any]] = {}
        self._last: object = None

    def init(self, ctx: Device | None = None) -> None:
        """Take the device to run on (TVM 0.6)."""
        if ctx is not None and not ctx.exist:
            raise InputError(f"there is no device {ctx} here; expected cpu(0)")

    def get_input_index(self, input_name: str, func_name: str = "main") -> int:
        """The number of the parameter called `input_name`, or -1."""
        names = list(self.executable.signature(func_name).names)
        return names.index(input_name) if input_name in names else -1

    def set_one_input(self, func_name: str, *args: Any, **kwargs: Any) -> None:
        """Keep one argument for the next run: ``(name or number, value)``, or ``name=value``."""
        names = self.executable.signature(func_name).names
        key, value = args if args else next(iter(kwargs.items()))
        if isinstance(key, int) and 0 <= key < len(names):
            key = names[key]
        if key not in names:
            raise InputError(f"@{func_name} has no parameter {key!r}; it has {', '.join(names)}")
        single = self._single.setdefault(func_name, {})
        single[key] = value
        if len(single) == len(names):
            self.set_input(func_name, **single)

    def invoke(self, func_name: str, *args: Any, **kwargs: Any) -> Any:
        """The value of a function applied to `args`, or to what `set_input` kept."""
        self._last = shown(super().invoke(func_name, *args, **kwargs))
        return self._last

    def invoke_stateful(self, func_name: str, *args: Any, **kwargs: Any) -> None:
        """`invoke`, with the result kept for `get_outputs`."""
        self.invoke(func_name, *args, **kwargs)

    def get_outputs(self) -> list[Any]:
        """The fields of the tuple that the last run returned, or the one result there is."""
        return list(self._last) if isinstance(self._last, ADT) else [self._last]

    def benchmark(  # type: ignore[override]
        self,
        device: Device | None = None,
        *args: Any,
        func_name: str = "main",
        repeat: int = 5,
        number: int = 5,
        min_repeat_ms: float | None = None,
        end_to_end: bool = False,
        **kwargs: Any,
    ) -> BenchmarkResult:
        """How long a run takes, in seconds."""
        if args or kwargs:
            self.set_input(func_name, *args, **kwargs)
        return measure(lambda: self.invoke(func_name), number, repeat, min_repeat_ms)


def Tensor(value: Any) -> NDArray:  # noqa: N802 - TVM's name until 0.6
    """An array that the machine can take."""
    return value if isinstance(value, NDArray) else NDArray(np.asarray(value))


__all__ = [
    "ADT",
    "Executable",
    "Tensor",
    "VMCompiler",
    "VMExecutor",
    "VirtualMachine",
    "compile",
]
