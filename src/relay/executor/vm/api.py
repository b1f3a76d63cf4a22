"""Compiling for the virtual machine, and calling what was compiled with arrays."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relay.executor.build import as_module, bind_params, resolve_target
from relay.executor.vm.compiler import compile_module
from relay.executor.vm.convert import invoke
from relay.executor.vm.executable import Signature, VMExecutable, missing_arguments
from relay.executor.vm.graphs import DynamicGraph, Graph, Specialising, compile_graph, is_static
from relay.executor.vm.host import HostCall
from relay.executor.vm.machine import Engine
from relay.executor.vm.normalize import normalize
from relay.ir.expr import Expr, Function, GlobalVar, Var
from relay.ir.module import IRModule
from relay.runtime.device import Device
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError
from relay.target import Target
from relay.transform.remove_unused_functions import RemoveUnusedFunctions


def compile(  # noqa: A001 - the name Relay users know
    mod: IRModule | Function,
    target: Target | str | None = None,
    params: Mapping[str, NDArray | npt.NDArray[np.generic]] | None = None,
    specialise: bool = True,
) -> VMExecutable:
    """Compile `mod` for the virtual machine: ``@main``, other functions, and what they call.

    Compiled are all global functions that have one type, take and give no functions, and get by
    with operators that have a compiled form. Others are where one of these calls them. What nobody
    will ask for is dropped with `relay.transform.RemoveUnusedFunctions` beforehand.

    With `specialise`, graphs of sizes unknown now are compiled when they run, for each combination
    of sizes that they meet; `VMExecutable.specialisation_limit` says how many of these are kept.
    Raises `TypeInferenceError` for an ill-typed program, and `UnsupportedError` for operators that
    have no compiled form and that ``@main`` reaches.
    (Relay: ``relay.vm.compile``.)
    """
    resolved = resolve_target(target)
    module = normalize(bind_params(as_module(mod), params))
    program = compile_module(module)
    specialising = Specialising(specialise)
    graphs: list[Graph | DynamicGraph] = []
    for function in program.graphs:
        if is_static(function):
            graphs.append(compile_graph(function, resolved))
        else:
            graphs.append(DynamicGraph(function, resolved, specialising))
    return VMExecutable(
        functions=tuple(program.functions),
        entries=program.entries,
        signatures={v.name_hint: Signature.of(f) for v, f in module.functions.items()},
        graphs=tuple(graphs),
        operators=tuple(HostCall(f, program.constructors) for f in program.operators),
        constants=tuple(c.data.numpy() for c in program.constants),
        constant_dtypes=tuple(c.data.dtype for c in program.constants),
        type_definitions=module.type_definitions,
        specialising=specialising,
        target=resolved,
    )


class VirtualMachine:
    """Runs the functions of a compiled program (Relay's ``runtime.vm.VirtualMachine``).

    `invoke` may be called from several threads at once; `set_input` and `run` are for one.
    """

    def __init__(self, exe: VMExecutable, device: Device | None = None) -> None:
        if device is not None and device.kind != "cpu":
            raise InputError(f"this program is compiled for a CPU; it cannot run on {device}")
        self.executable = exe
        self._engine = Engine(exe)
        self._inputs: dict[str, list[Any]] = {}
        self._result: Any = None

    def invoke(self, func_name: str, *args: Any, **kwargs: Any) -> Any:
        """The value of the function `func_name`; without arguments, of what `set_input` gave it.

        Takes NumPy arrays, `NDArray`, arrays of any library that speaks DLPack, numbers, tuples,
        and what other calls gave. Gives an `NDArray`, or a tuple, data, a reference or a function.
        Raises `InputError` for missing, unknown and unfit arguments.
        """
        signature = self.executable.signature(func_name)
        if not args and not kwargs and func_name in self._inputs:
            values = self._inputs[func_name]
        else:
            values = ordered(signature.names, args, kwargs)
        number = self.executable.entries[func_name]
        return invoke(
            self._engine,
            lambda given: self._engine.run(number, given),
            signature.names,
            signature.types,
            values,
        )

    def set_input(self, func_name: str, *args: Any, **kwargs: Any) -> None:
        """Set the arguments of `func_name` for the runs to come, all of them, in order or by name.

        Raises `InputError` for an unknown function, and for missing and unknown arguments.
        """
        names = self.executable.signature(func_name).names
        self._inputs[func_name] = ordered(names, args, kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """`invoke` ``@main``; `get_outputs` gives its result again."""
        self._result = self.invoke("main", *args, **kwargs)
        return self._result

    def get_outputs(self) -> list[Any]:
        """The results of the last `run`: the fields of a tuple, or the one result there is."""
        return list(self._result) if isinstance(self._result, tuple) else [self._result]

    def benchmark(
        self, *args: Any, func_name: str = "main", repeat: int = 5, number: int = 5
    ) -> list[float]:
        """Seconds that a call of `func_name` takes: `repeat` means over `number` calls each."""
        seconds = []
        for _ in range(repeat):
            start = time.perf_counter()
            for _ in range(number):
                self.invoke(func_name, *args)
            seconds.append((time.perf_counter() - start) / number)
        return seconds


def ordered(names: Sequence[str], args: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """Positional and named arguments in the order of the parameters called `names`."""
    rest = [n for n in names if n not in named]
    if len(args) != len(rest) or len(rest) + len(named) != len(names):
        raise missing_arguments(names, len(args), list(named))
    values = iter(args)
    return [named[n] if n in named else next(values) for n in names]


class VMExecutor:
    """Compiles functions of a module for the virtual machine and calls them (kind ``"vm"``)."""

    def __init__(
        self,
        mod: IRModule | None = None,
        device: object = None,
        target: Any = None,
        params: Mapping[str, NDArray | npt.NDArray[np.generic]] | None = None,
    ) -> None:
        if device is not None and not isinstance(device, Device):
            raise InputError(f"expected a device, such as relay.cpu(0), not {device!r}")
        self.mod = IRModule() if mod is None else mod
        self.device = device
        self.target = target
        self.params = dict(params or {})

    def evaluate(self, expr: Expr | None = None, binds: Mapping[Var, Any] | None = None) -> Any:
        """`expr`, by default ``@main``: a function as a Python callable, else its value.

        `binds` gives values to free variables of `expr`. Raises what `compile` raises, and
        `InputError` for unfit values in `binds`.
        """
        values = dict(binds or {})
        if expr is None or (isinstance(expr, GlobalVar) and expr.name_hint == "main"):
            return self._callable(bind_params(self.mod, self.params))
        if isinstance(expr, GlobalVar):
            return self._callable(self.mod.with_function("main", self.mod[expr]))
        if isinstance(expr, Function) and not values:
            return self._callable(self.mod.with_function("main", expr))
        closed = self.mod.with_function("main", Function(list(values), expr))
        return self._callable(closed)(*values.values())

    def _callable(self, module: IRModule) -> Any:
        called = RemoveUnusedFunctions()(module)
        machine = VirtualMachine(compile(called, self.target), self.device)

        def call(*arguments: Any, **named: Any) -> Any:
            """Call the function with arrays, by position or by name."""
            return machine.invoke("main", *arguments, **named)

        return call
