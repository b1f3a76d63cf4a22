"""Calls of operators on the host: what no compiled code does, such as work on text.

An operator whose class says ``host = True`` runs there, and any operator where it takes or gives
text, which has no address: it does what its `reference` does.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.executor.interpreter import apply_operator
from relay.executor.lists import apply_to_lists
from relay.executor.values import Value as Shown
from relay.executor.values import type_of
from relay.executor.vm.operators import lacks_code, runs_on_host
from relay.executor.vm.values import Data, Layout, Tensor, Value
from relay.ir.adt import Constructor
from relay.ir.expr import Call, Function
from relay.ir.op import Array, Operator
from relay.ir.types import (
    Dim,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    compatible,
    flatten_tensor_types,
)
from relay.op.lists import LIST, ListOperator
from relay.runtime.memory import aligned_empty
from relay.runtime.ndarray import NDArray
from relay.support.errors import ArtifactError, InputError, InternalError


class HostCall:
    """One operator with its attributes and the types that it takes and gives.

    `function` is of one call of the operator on the parameters, in order. Raises `ArtifactError`
    for any other, and for operators that do not run on the host. `constructors` are those of the
    program, by number.
    """

    def __init__(self, function: Function, constructors: Sequence[Constructor] = ()) -> None:
        call = function.body
        if not (
            isinstance(call, Call)
            and isinstance(call.attrs, Operator)
            and list(call.args) == list(function.params)
            and runs_on_host(call)
            and not lacks_code(call)
        ):
            raise ArtifactError("a call on the host is not that of an operator that runs there")
        self.function = function
        self._operator = call.attrs
        self._takes: list[Type] = [p.checked_type for p in function.params]
        self._gives: Type = call.checked_type
        numbers = {c.name_hint: k for k, c in enumerate(constructors) if c.belong_to == LIST}
        if isinstance(self._operator, ListOperator) and not {"Cons", "Nil"} <= numbers.keys():
            raise ArtifactError(f"{self._operator.name} is called in a program without lists")
        self._cons, self._nil = numbers.get("Cons", -1), numbers.get("Nil", -1)
        self._is_plain = _is_plain(call)

    @property
    def arity(self) -> tuple[str, int]:
        """The name of the operator, and how many arguments it takes."""
        return self._operator.name, len(self._takes)

    def run(self, arguments: "Sequence[Value | None]") -> Value:
        """The operator of `arguments`, in memory of its own.

        Raises `InputError` for arguments of other types, and what the operator raises.
        """
        if isinstance(self._operator, ListOperator):
            return self._run_on_lists(self._operator, arguments)
        if self._is_plain:
            return self._run_on_arrays(arguments)
        given = [_shown(a) for a in arguments]
        found = [type_of(a) for a in given]
        if not all(map(compatible, self._takes, found)):
            raise InputError(
                f"{self._operator.name} on ({', '.join(map(str, self._takes))}) is called with "
                f"({', '.join(map(str, found))})"
            )
        with np.errstate(all="ignore"):
            result = apply_operator(self._operator, given)
        if not compatible(self._gives, type_of(result)):
            raise InternalError(
                f"{self._operator.name} gives {type_of(result)} on the host, not {self._gives}"
            )
        return _value(result, [id(leaf) for value in given for leaf in _leaves(value)])

    def _run_on_arrays(self, arguments: "Sequence[Value | None]") -> Value:
        """The same where arrays hold what they stand for, without a detour."""
        given = [self._array(a, t) for a, t in zip(arguments, self._takes, strict=True)]
        with np.errstate(all="ignore"):
            result = self._operator.reference(*given)
        ids = [id(a) for g in given for a in (g if isinstance(g, tuple) else (g,))]
        return self._result(result, self._gives, ids)

    def _array(self, value: "Value | None", type_: Type) -> "Array | tuple[Array, ...]":
        """The array of a tensor that must be of `type_`, or those of a tuple."""
        if isinstance(type_, TupleType):
            if not isinstance(value, tuple) or len(value) != len(type_.fields):
                raise InputError(f"{self._operator.name} expects {type_}")
            pairs = zip(value, type_.fields, strict=True)
            return tuple(self._checked(v, t).numpy() for v, t in pairs)  # type: ignore[union-attr]
        checked = self._checked(value, type_)
        assert isinstance(checked, Tensor)
        return checked.numpy()

    def _result(self, result: object, type_: Type, given: Collection[int]) -> Value:
        """What the operator gives, as tensors of `type_`."""
        if isinstance(type_, TupleType) and isinstance(result, tuple):
            pairs = zip(result, type_.fields, strict=True)
            return tuple(self._result(r, t, given) for r, t in pairs)
        array = np.asarray(result)
        assert isinstance(type_, TensorType)
        dtype = dtypes.from_numpy(array.dtype)
        if dtype != type_.dtype or not _agree(type_.shape, array.shape):
            raise InternalError(
                f"{self._operator.name} gives {dtype}{array.shape} on the host, not {type_}"
            )
        return _alone(array, dtype, given)

    def _run_on_lists(self, operator: ListOperator, arguments: "Sequence[Value | None]") -> Value:
        pairs = zip(arguments, self._takes, strict=True)
        given: list[Value | list[Value]] = [self._listed(a, t) for a, t in pairs]
        result: Value | list[Value] = apply_to_lists(operator, given, _array_of, _made)
        if not isinstance(result, list):
            return result
        chain = Data(self._nil, ())
        for element in reversed(result):
            chain = Data(self._cons, (element, chain))
        return chain

    def _listed(self, value: "Value | None", type_: Type) -> "Value | list[Value]":
        """`value`, of `type_`; a list as one of Python."""
        if not (isinstance(type_, TypeCall) and type_.func == LIST):
            return self._checked(value, type_)
        elements: list[Value] = []
        checked: Layout | None = None  # most lists are of tensors of one layout
        while isinstance(value, Data) and value.tag == self._cons:
            element, value = value.fields
            if not isinstance(element, Tensor) or element.layout is not checked:
                self._checked(element, type_.args[0])
                checked = element.layout if isinstance(element, Tensor) else None
            elements.append(element)
        if not isinstance(value, Data) or value.tag != self._nil:
            raise InputError(f"{self._operator.name} is called with something else than a list")
        return elements

    def _checked(self, value: "Value | None", type_: Type) -> Value:
        """`value`, which must be a tensor where `type_` is that of one."""
        if isinstance(type_, TensorType):
            found = isinstance(value, Tensor) and value.dtype == type_.dtype
            if not found or not isinstance(value, Tensor) or not _agree(type_.shape, value.shape):
                shown = value.layout if isinstance(value, Tensor) else "no tensor"
                raise InputError(f"{self._operator.name} expects {type_}, found {shown}")
        if value is None:
            raise InputError(f"{self._operator.name} is called with nothing")
        return value


def _is_plain(call: Call) -> bool:
    """Whether an operator is called on tensors and tuples of them that NumPy has types for."""
    operator = call.attrs
    assert isinstance(operator, Operator)
    if isinstance(operator, ListOperator) or operator.reads_stored:
        return False
    types = [t for e in (call, *call.args) for t in flatten_tensor_types(e.checked_type)]
    nested = any(
        isinstance(field, TupleType)
        for argument in call.args
        if isinstance(argument.checked_type, TupleType)
        for field in argument.checked_type.fields
    )
    return not nested and all(dtypes.is_native(t.dtype) for t in types)


def _agree(expected: Sequence[Dim], found: Sequence[int]) -> bool:
    return len(expected) == len(found) and all(
        not isinstance(e, int) or e == f for e, f in zip(expected, found, strict=True)
    )


def _array_of(value: object) -> tuple[Array, str] | None:
    return (value.numpy(), value.dtype) if isinstance(value, Tensor) else None


def _made(array: Array, dtype: str) -> Value:
    """A tensor of `array`, which is part of nothing else."""
    return Tensor.of(np.ascontiguousarray(array).reshape(array.shape), dtype)


def _shown(value: "Value | None") -> Shown:
    """A tensor, or a tuple of them, as the interpreter has it."""
    if isinstance(value, tuple):
        return tuple(_shown(f) for f in value)
    if not isinstance(value, Tensor):
        raise InputError("an operator takes tensors and tuples of them")
    return NDArray(value.numpy(), value.dtype)


def _leaves(value: Shown) -> Iterator[npt.NDArray[np.generic]]:
    """The arrays in a value."""
    if isinstance(value, tuple):
        for field in value:
            yield from _leaves(field)
    elif isinstance(value, NDArray):
        yield value.numpy()


def _value(result: Shown, given: Collection[int]) -> Value:
    """`result` in memory that it shares with nothing; `given` are the ids of the arguments."""
    if isinstance(result, tuple):
        return tuple(_value(f, given) for f in result)
    assert isinstance(result, NDArray)
    return _alone(result.numpy(), result.dtype, given)


def _alone(array: Array, dtype: str, given: Collection[int]) -> Tensor:
    """`array` as a tensor that shares its memory with nothing."""
    if array.base is not None or id(array) in given:
        copy = aligned_empty(array.shape, dtype)
        np.copyto(copy, array)
        array = copy
    return Tensor.of(array, dtype)
