"""`tvm.relay.build` and what goes with it, in the forms of all versions of TVM."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relay import executor
from relay.compat.container import shown
from relay.compat.graph_executor import Factory, Library
from relay.compat.target import TargetLike, resolve
from relay.compat.vm import Executable, VMLibrary
from relay.executor.build import DEFAULT_LEVEL, as_module, bind_params
from relay.executor.build import build as compile_program
from relay.executor.graph import load
from relay.executor.vm import load as load_program
from relay.ir.expr import Expr, Function, Var
from relay.ir.module import IRModule
from relay.lower import CompileOptions, optimise
from relay.runtime.device import Device
from relay.runtime.ndarray import NDArray
from relay.support.errors import ArtifactError, UnsupportedError
from relay.transform.base import PassContext

Params: TypeAlias = Mapping[str, NDArray | npt.NDArray[np.generic]] | None


class Executor:
    """Which executor to build for (`tvm.relay.backend.Executor`): ``"graph"``."""

    def __init__(self, name: str, options: Mapping[str, object] | None = None) -> None:
        if name != "graph":
            raise UnsupportedError(
                f'relay.build makes programs for the executor "graph", not {name!r}'
            )
        self.name = name
        self.options = dict(options or {})

    def __getitem__(self, name: str) -> object:
        return self.options[name]


class Runtime:
    """Which runtime to build for (`tvm.relay.backend.Runtime`): ``"cpp"``, by its name in TVM."""

    def __init__(self, name: str, options: Mapping[str, object] | None = None) -> None:
        if name != "cpp":
            raise UnsupportedError(
                f'programs run in this process (the runtime "cpp"), not {name!r}'
            )
        self.name = name
        self.options = dict(options or {})


def build(
    ir_mod: IRModule | Function,
    target: TargetLike = None,
    target_host: TargetLike = None,
    executor: "Executor | Params" = None,
    runtime: Runtime | None = None,
    workspace_memory_pools: None = None,
    constant_memory_pools: None = None,
    params: Params = None,
    mod_name: str = "default",
) -> Factory:
    """Compile a module, or a function, for `target`: see `relay.build`.

    Until TVM 0.6, `params` was the fourth argument; it may be. The result is a factory that also
    unpacks as ``graph_json, lib, params``. The level of optimisation is that of the current
    `PassContext`, else 3. Raises what `relay.build` raises.
    """
    if isinstance(executor, Mapping):
        params = executor
    module = as_module(ir_mod)
    # Values that the program does not use are given here by many scripts; TVM ignores them.
    used = {p.name_hint for p in module["main"].params}
    bound = {name: value for name, value in (params or {}).items() if name in used}
    return Factory(compile_program(module, resolve(target), bound), module, mod_name)


def optimize(
    mod: IRModule | Function, target: TargetLike = None, params: Params = None
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module that `build` would compile, and no parameters: they are constants of it."""
    level = PassContext.current().opt_level if PassContext.entered() else DEFAULT_LEVEL
    module = bind_params(as_module(mod), params)
    return optimise(module, CompileOptions(resolve(target), level)), {}


def build_config(
    opt_level: int = 2,
    fallback_device: Device | str | None = None,
    required_pass: Sequence[str] | None = None,
    disabled_pass: Sequence[str] | None = None,
    add_pass: Sequence[str] | None = None,
) -> PassContext:
    """A `PassContext`, as TVM called it until 0.6; `add_pass` is `required_pass` in 0.5.

    Raises `UnsupportedError` for a `fallback_device` other than the CPU.
    """
    if fallback_device is not None and not str(fallback_device).startswith("cpu"):
        raise UnsupportedError(f"programs run on the CPU; there is no fallback {fallback_device}")
    return PassContext(opt_level, [*(required_pass or ()), *(add_pass or ())], disabled_pass)


class TargetExecutor:
    """An executor of `relay.create_executor`, whose results look as in TVM."""

    def __init__(self, inner: executor.Executor) -> None:
        self._inner = inner

    @property
    def mod(self) -> IRModule:
        """The module whose functions are evaluated."""
        found: IRModule = getattr(self._inner, "mod")  # noqa: B009
        return found

    def evaluate(self, expr: Expr | None = None, binds: Mapping[Var, Any] | None = None) -> Any:
        """The value of `expr`, by default ``@main``; a function comes back as a callable."""
        value = self._inner.evaluate(expr, binds)
        if not callable(value):
            return shown(value)
        return lambda *arguments, **named: shown(value(*arguments, **named))


def create_executor(
    kind: str = "debug",
    mod: IRModule | None = None,
    device: Device | None = None,
    target: TargetLike = "llvm",
    params: Params = None,
    ctx: Device | None = None,
) -> TargetExecutor:
    """An executor for `mod`: see `relay.create_executor`; `ctx` is the older name of `device`.

    Tuples in results are of the class `ADT`, as in TVM.
    """
    made = executor.create_executor(kind, mod, device or ctx, resolve(target), params)
    return TargetExecutor(made)


def bind_params_by_name(func: Function, params: Params) -> Expr:
    """`func` with the parameters named in `params` replaced by constants."""
    used = {p.name_hint for p in func.params}
    bound = {name: value for name, value in (params or {}).items() if name in used}
    return bind_params(IRModule({}).with_function("main", func), bound)["main"]


def load_module(path: str, fmt: str = "") -> Library | VMLibrary:
    """The program that `export_library` wrote to the file `path`.

    Raises `ArtifactError` for a file that is missing, foreign, cut off or changed.
    """
    try:
        return Library(load(str(path)))
    except ArtifactError as error:
        try:
            return Executable.of(load_program(str(path))).lib
        except ArtifactError:
            raise error from None


__all__ = [
    "Executor",
    "Runtime",
    "bind_params_by_name",
    "build",
    "build_config",
    "create_executor",
    "load_module",
    "optimize",
]
