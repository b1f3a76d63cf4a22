"""Compiling for the virtual machine, and calling what was compiled with arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.executor.build import as_module, bind_params, resolve_target
from relay.executor.interpreter import ConstructorValue, RefValue
from relay.executor.vm.compiler import compile_module, normalize
from relay.executor.vm.executable import (
    DynamicGraph,
    Graph,
    VMExecutable,
    compile_graph,
    is_static,
)
from relay.executor.vm.machine import VirtualMachine
from relay.executor.vm.values import Closure, Data, Reference, Tensor, Value
from relay.ir.expr import Expr, Function, GlobalVar, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType, TupleType, Type, compatible
from relay.runtime.ndarray import NDArray, SupportsDLPack, from_dlpack
from relay.support.errors import InputError
from relay.target import Target


def compile(  # noqa: A001 - the name Relay users know
    mod: IRModule | Function,
    target: Target | str | None = None,
    params: Mapping[str, NDArray | npt.NDArray[np.generic]] | None = None,
    specialise: bool = True,
) -> VMExecutable:
    """Compile `mod` for the virtual machine (Relay: ``relay.vm.compile``).

    With `specialise`, graphs of sizes unknown now are compiled when they first run, once for each
    combination of sizes. Raises `TypeInferenceError` for an ill-typed program, and
    `UnsupportedError` for operators that have no compiled form.
    """
    resolved = resolve_target(target)
    program = compile_module(normalize(bind_params(as_module(mod), params)))
    compilations: list[str] = []
    graphs: list[Graph | DynamicGraph] = []
    for function in program.graphs:
        if is_static(function):
            graphs.append(compile_graph(function, resolved))
        else:
            graphs.append(DynamicGraph(function, resolved, compilations, specialise))
    return VMExecutable(
        functions=tuple(program.functions),
        entries=program.entries,
        graphs=tuple(graphs),
        constants=tuple(c.data.numpy() for c in program.constants),
        constant_dtypes=tuple(c.data.dtype for c in program.constants),
        constructors=program.constructors,
        compilations=compilations,
        target=resolved,
    )


def to_value(value: Any, type_: Type | None = None) -> Value:
    """An argument as a value of the machine: arrays, numbers, tuples, data, references.

    Raises `InputError` where a tensor does not have the type that is expected.
    """
    if isinstance(value, Closure | Data | Reference):
        return value
    if isinstance(value, ConstructorValue):
        return Data(value.tag, tuple(to_value(f) for f in value.fields))
    if isinstance(value, RefValue):
        return Reference(to_value(value.value))
    if isinstance(value, tuple | list) and (type_ is None or isinstance(type_, TupleType)):
        types = type_.fields if isinstance(type_, TupleType) else [None] * len(value)
        return tuple(to_value(v, t) for v, t in zip(value, types, strict=True))
    expected = type_ if isinstance(type_, TensorType) else None
    if isinstance(value, SupportsDLPack) and not isinstance(value, np.ndarray | NDArray):
        value = from_dlpack(value)
    if isinstance(value, NDArray):
        tensor = Tensor.of(value.numpy(), value.dtype)
    else:
        wanted = None if expected is None or isinstance(value, np.ndarray) else expected.dtype
        array = np.asarray(value, None if wanted is None else dtypes.to_numpy(wanted))
        tensor = Tensor.of(np.ascontiguousarray(array).reshape(array.shape), array.dtype.name)
    found = TensorType(tensor.shape, tensor.dtype)
    if expected is not None and not compatible(expected, found):
        raise InputError(f"expected an argument of type {expected}, found {found}")
    return tensor


class VMExecutor:
    """Compiles functions of a module for the virtual machine and calls them (kind ``"vm"``)."""

    def __init__(
        self,
        mod: IRModule | None = None,
        device: object = None,
        target: Any = None,
        params: Mapping[str, NDArray | npt.NDArray[np.generic]] | None = None,
    ) -> None:
        self.mod = IRModule() if mod is None else mod
        self.target = target
        self.params = dict(params or {})

    def evaluate(self, expr: Expr | None = None, binds: Mapping[Var, Any] | None = None) -> Any:
        """`expr`, by default ``@main``: a function as a Python callable, else its value."""
        values: Sequence[Any] = ()
        if expr is None or (isinstance(expr, GlobalVar) and expr.name_hint == "main"):
            module = bind_params(self.mod, self.params)
        elif isinstance(expr, GlobalVar):
            module = self.mod.with_function("main", self.mod[expr])
        elif isinstance(expr, Function):
            module = self.mod.with_function("main", expr)
        else:
            bound = dict(binds or {})
            module = self.mod.with_function("main", Function(list(bound), expr))
            values = tuple(bound.values())
        executable = compile(module, self.target)
        machine = VirtualMachine(executable)
        main = module["main"]

        def call(*arguments: Any, **named: Any) -> Any:
            ordered = _ordered(main.params, arguments, named)
            types = [p.type_annotation for p in main.params]
            given = [to_value(v, t) for v, t in zip(ordered, types, strict=True)]
            return from_value(machine.invoke("main", given), machine)

        is_function = expr is None or isinstance(expr, GlobalVar | Function)
        return call if is_function else call(*values)


def _ordered(
    params: Sequence[Var], arguments: Sequence[Any], named: Mapping[str, Any]
) -> list[Any]:
    """Positional and named arguments in the order of the parameters."""
    names = [p.name_hint for p in params]
    rest = names[len(arguments) :]
    if len(arguments) > len(names) or set(named) != set(rest):
        raise InputError(
            f"expected the arguments ({', '.join(names) or 'none'}), found {len(arguments)} by "
            f"position and ({', '.join(named) or 'none'}) by name"
        )
    return [*arguments, *(named[n] for n in rest)]


def from_value(value: Value, machine: VirtualMachine) -> Any:
    """A value of the machine as users see it: arrays, tuples, data, references, callables."""
    match value:
        case Tensor():
            return NDArray(value.numpy(), value.dtype)
        case tuple():
            return tuple(from_value(v, machine) for v in value)
        case Data(tag, fields):
            constructor = machine.executable.constructors[tag]
            return ConstructorValue(constructor, tuple(from_value(f, machine) for f in fields))
        case Reference(inner):
            return RefValue(from_value(inner, machine))
        case Closure():
            return _callable(value, machine)


def _callable(closure: Closure, machine: VirtualMachine) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        given = [to_value(a) for a in arguments]
        return from_value(machine.call(closure, given), machine)

    return call
