"""Values of the machine from what users pass, and back. Depth of lists and tuples is no limit."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relay import codes, dtypes
from relay.executor.interpreter import ConstructorValue, RefValue
from relay.executor.vm.machine import Engine
from relay.executor.vm.values import Closure, Data, Reference, Tensor, Value
from relay.ir.expr import Constant
from relay.ir.types import RefType, TensorType, TupleType, Type, TypeVar, compatible
from relay.runtime.ndarray import NDArray, SupportsDLPack, from_dlpack
from relay.support.errors import InputError


class FunctionValue:
    """A function that is a result: called with arrays like the program it comes from."""

    def __init__(self, engine: Engine, closure: Closure) -> None:
        self.engine = engine
        self.closure = closure

    def __call__(self, *arguments: Any) -> Any:
        """The function's value for `arguments`, in order. Raises `InputError` for unfit ones."""
        names = [f"argument {k}" for k in range(len(arguments))]
        return invoke(
            self.engine,
            lambda values: self.engine.call(self.closure, values),
            names,
            [None] * len(arguments),
            arguments,
        )

    def __repr__(self) -> str:
        return f"<function {self.engine.executable.functions[self.closure.function].name}>"


def invoke(
    engine: Engine,
    function: Callable[[Sequence[Value]], Value],
    names: Sequence[str],
    types: Sequence[Type | None],
    arguments: Sequence[Any],
) -> Any:
    """`function` called with users' values, its result as users see it.

    References among the arguments refer afterwards to what the program wrote into them.
    """
    session = _Session(engine)
    values = [session.inward(a, t, n) for n, t, a in zip(names, types, arguments, strict=True)]
    result = function(values)
    session.write_back()
    return session.outward(result)


class _Session:
    """The conversions of one call; a value that occurs several times is converted once."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.constructors = engine.executable.constructors
        self.tags = {(c.belong_to, c.name_hint): k for k, c in enumerate(self.constructors)}
        self.references: list[tuple[RefValue, Reference]] = []
        self._in: dict[tuple[int, int], Value] = {}
        self._out: dict[int, Any] = {}
        self._kept: list[object] = []  # `id` names an object for as long as it lives

    # ------------------------------------------------------------------ inward

    def inward(self, value: Any, type_: Type | None, name: str) -> Value:
        """`value` as a value of the machine; raises `InputError` unless it has type `type_`."""
        stack: list[tuple[Any, Type | None, str, bool]] = [(value, type_, name, False)]
        done = self._in
        while stack:
            current, expected, where, ready = stack.pop()
            if _key(current, expected) in done and not ready:
                continue
            parts = self._parts(current, expected, where)
            if parts is None:
                done[_key(current, expected)] = self._leaf(current, expected, where)
            elif ready:
                self._build(current, expected, tuple(done[_key(p, t)] for p, t in parts))
            else:
                if isinstance(current, RefValue):
                    self._enter(current)
                stack.append((current, expected, where, True))
                inner = [(p, t, f"{where}.{k}", False) for k, (p, t) in enumerate(parts)]
                stack.extend(reversed(inner))
            self._kept.append(current)
        return done[_key(value, type_)]

    def _parts(
        self, value: Any, type_: Type | None, where: str
    ) -> Sequence[tuple[Any, Type | None]] | None:
        """What `value` consists of, with types where they are known; None for a leaf."""
        if isinstance(value, ConstructorValue):
            return [(f, None) for f in value.fields]
        if isinstance(value, RefValue):
            return [(value.value, type_.value if isinstance(type_, RefType) else None)]
        if isinstance(type_, TupleType):
            if not isinstance(value, tuple | list) or len(value) != len(type_.fields):
                raise InputError(f"{where}: expected a tuple of {len(type_.fields)} fields")
            return list(zip(value, type_.fields, strict=True))
        if isinstance(value, tuple) and (type_ is None or isinstance(type_, TypeVar)):
            return [(f, None) for f in value]
        return None

    def _enter(self, reference: RefValue) -> None:
        cell = Reference(())
        self._in[_key(reference, None)] = cell
        self._out[id(cell)] = reference
        self._kept.append(cell)
        self.references.append((reference, cell))

    def _build(self, value: Any, type_: Type | None, parts: tuple[Value, ...]) -> None:
        if isinstance(value, ConstructorValue):
            constructor = value.constructor
            tag = self.tags.get((constructor.belong_to, constructor.name_hint))
            if tag is None or len(self.constructors[tag].inputs) != len(parts):
                raise InputError(
                    f"the program has no constructor {constructor.belong_to}."
                    f"{constructor.name_hint} of {len(parts)} fields"
                )
            self._in[_key(value, type_)] = Data(tag, parts)
        elif isinstance(value, RefValue):
            cell = self._in[_key(value, type_)]
            assert isinstance(cell, Reference)
            cell.value = parts[0]
        else:
            self._in[_key(value, type_)] = parts

    def _leaf(self, value: Any, type_: Type | None, where: str) -> Value:
        if isinstance(value, FunctionValue):
            if value.engine.executable is not self.engine.executable:
                raise InputError(f"{where}: the function belongs to another program")
            return value.closure
        if type_ is not None and not isinstance(type_, TensorType | TypeVar):
            raise InputError(f"{where}: expected {type_}, found a {type(value).__name__}")
        return _tensor(value, type_ if isinstance(type_, TensorType) else None, where)

    # ------------------------------------------------------------------ outward

    def write_back(self) -> None:
        """Give users' references the values that the program wrote."""
        for reference, cell in self.references:
            reference.value = self.outward(cell.value)

    def outward(self, value: Value) -> Any:
        """`value` as users see it: arrays, tuples, data, references, functions."""
        done = self._out
        stack: list[tuple[Value, bool]] = [(value, False)]
        while stack:
            current, ready = stack.pop()
            if id(current) in done and not ready:
                continue
            parts = _machine_parts(current)
            if parts and not ready:
                if isinstance(current, Reference):
                    done[id(current)] = RefValue(())
                stack.append((current, True))
                stack.extend((part, False) for part in reversed(parts))
                continue
            self._finish(current, tuple(done[id(part)] for part in parts))
            self._kept.append(current)
        return done[id(value)]

    def _finish(self, value: Value, parts: tuple[Any, ...]) -> None:
        match value:
            case Tensor():
                self._out[id(value)] = NDArray(value.numpy(), value.dtype)
            case tuple():
                self._out[id(value)] = parts
            case Data(tag, _):
                self._out[id(value)] = ConstructorValue(self.constructors[tag], parts)
            case Closure():
                self._out[id(value)] = FunctionValue(self.engine, value)
            case Reference():
                self._out[id(value)].value = parts[0]


def _key(value: Any, type_: Type | None) -> tuple[int, int]:
    """What a conversion is remembered by. Data and references carry their own types."""
    return id(value), 0 if isinstance(value, ConstructorValue | RefValue) else id(type_)


def _machine_parts(value: Value) -> tuple[Value, ...]:
    match value:
        case tuple():
            return value
        case Data(_, fields):
            return fields
        case Reference(inner):
            return (inner,)
        case _:
            return ()


def _tensor(value: Any, expected: TensorType | None, where: str) -> Tensor:
    """An array, an array of another library, a number or a list as a tensor."""
    if isinstance(value, Constant):
        value = value.data
    if not isinstance(value, NDArray | np.ndarray | np.generic) and isinstance(
        value, SupportsDLPack
    ):
        value = from_dlpack(value)
    if isinstance(value, NDArray):
        tensor = Tensor.of(value.numpy(), value.dtype)
    else:
        array = _as_array(value, None if expected is None else expected.dtype, where)
        dtype = _dtype(array, expected, where)
        try:
            if array.dtype.isbuiltin == 2:
                array, _ = codes.stored_form(array)
            tensor = Tensor.of(np.ascontiguousarray(array).reshape(array.shape), dtype)
        except InputError as error:
            raise InputError(f"{where}: {error.message}") from None
    if expected is not None and not compatible(expected, TensorType(tensor.shape, tensor.dtype)):
        raise InputError(f"{where}: expected {expected}, found {tensor.layout}")
    return tensor


def _as_array(value: Any, dtype: str | None, where: str) -> npt.NDArray[np.generic]:
    """Arrays as they are; numbers and lists as `dtype`, by default as Relay's constants are."""
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if dtype is None and isinstance(value, int | float):
        dtype = "bool" if isinstance(value, bool) else "int32" if type(value) is int else "float32"
    try:
        if value is None:  # NumPy would take it for a number that is none
            raise TypeError
        if dtype is not None and not dtypes.is_native(dtype):
            return codes.encode(np.asarray(value), dtype)
        return np.asarray(value, None if dtype is None else dtypes.to_numpy(dtype))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: expected an array, found a {type(value).__name__}") from None


def _dtype(array: npt.NDArray[np.generic], expected: TensorType | None, where: str) -> str:
    if (
        expected is not None
        and not dtypes.is_native(expected.dtype)
        and array.dtype == dtypes.to_numpy(expected.dtype)
    ):
        return expected.dtype
    try:
        return dtypes.from_numpy(array.dtype)
    except ValueError:
        raise InputError(f"{where}: expected numbers or text, found {array.dtype}") from None
