"""Values of programs as the interpreter has them, and the way from arrays to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relay import codes, dtypes
from relay.ir.adt import Constructor
from relay.ir.expr import Constant, Expr, Function, Op, Var
from relay.ir.expr import const as constant
from relay.ir.types import TensorType, TupleType, Type
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError, RelayError


@dataclass(frozen=True, eq=False)
class Frame:
    """One activation of a function: the values found so far, and the frame it was defined in."""

    values: "dict[Expr, Value]" = field(default_factory=dict)
    outer: "Frame | None" = None


@dataclass(frozen=True, eq=False)
class Closure:
    """A function together with the frame that its free variables live in."""

    function: Function
    frame: Frame


@dataclass(frozen=True, eq=False, repr=False)
class ConstructorValue:
    """What `constructor` makes of `fields`."""

    constructor: Constructor
    fields: "tuple[Value, ...]" = ()

    @property
    def tag(self) -> int:
        """The number of the constructor."""
        return self.constructor.tag

    def __repr__(self) -> str:
        # Only the outermost layer: a list may be long.
        fields = ", ".join(
            f"{f.constructor.name_hint}(..)" if isinstance(f, ConstructorValue) else repr(f)
            for f in self.fields
        )
        return f"{self.constructor.name_hint}({fields})"


@dataclass(eq=False)
class RefValue:
    """A reference: `value` is what it holds now."""

    value: "Value"


Value: TypeAlias = (
    "NDArray | tuple[Value, ...] | Closure | Op | Constructor | ConstructorValue | RefValue"
)
Argument: TypeAlias = (
    "NDArray | npt.ArrayLike | Constant | Sequence[Argument] | Closure | ConstructorValue"
    " | RefValue"
)
Callee: TypeAlias = Callable[..., Any]


def enter(closure: Closure, arguments: Sequence[Value]) -> Frame:
    """A frame in which the parameters of `closure` are bound to `arguments`."""
    params = closure.function.params
    if len(params) != len(arguments):
        raise InputError(f"the function takes {len(params)} arguments, found {len(arguments)}")
    return Frame(dict(zip(params, arguments, strict=True)), closure.frame)


def describe(value: object) -> str:
    """What `value` is, in words for an error."""
    match value:
        case NDArray():
            return f"a tensor of shape {value.shape} and type {value.dtype}"
        case tuple():
            return f"a tuple of {len(value)} fields"
        case ConstructorValue():
            return f"a value of {value.constructor.name_hint}"
        case RefValue():
            return "a reference"
        case _:
            return "a function"


def type_of(value: Value) -> Type:
    """The type of a tensor or of a tuple of tensors.

    Raises `RelayError` for functions and the like, which no operator takes.
    """
    if isinstance(value, NDArray):
        return TensorType(value.shape, value.dtype)
    if isinstance(value, tuple):
        return TupleType([type_of(f) for f in value])
    raise RelayError(f"an operator takes tensors and tuples of them, found {describe(value)}")


def to_numpy(value: Value) -> Any:
    """A tensor, or a tuple of tensors, as NumPy arrays; see `NDArray.values`."""
    if isinstance(value, tuple):
        return tuple(to_numpy(f) for f in value)
    assert isinstance(value, NDArray)
    return value.values()


def from_numpy(array: npt.NDArray[Any], dtype: str) -> NDArray:
    """`array` as a tensor of `dtype`; what NumPy does not have is rounded to the nearest."""
    if dtypes.is_native(dtype):
        return NDArray(np.asarray(array))
    return NDArray(codes.encode(array, dtype), dtype)


def bind_arguments(
    params: Sequence[Var], args: Sequence[Argument], named: Mapping[str, Argument]
) -> list[Value]:
    """One value a parameter: those of `named` by name, the others from `args` in order.

    Raises `InputError` for missing, unknown and superfluous arguments, and for wrong types.
    """
    names = [p.name_hint for p in params]
    unknown = sorted(set(named) - set(names))
    if unknown:
        raise InputError(
            f"there is no parameter {', '.join(unknown)}; "
            f"the function has {', '.join(names) or 'none'}"
        )
    open_params = [p for p in params if p.name_hint not in named]
    if len(open_params) != len(args):
        expected = ", ".join(p.name_hint for p in open_params) or "none"
        raise InputError(f"expected {len(open_params)} inputs ({expected}), found {len(args)}")
    given = dict(zip(open_params, args, strict=True))
    return [to_value(given[p] if p in given else named[p.name_hint], p) for p in params]


def to_value(argument: Argument, param: Var) -> Value:
    """`argument` as a value for `param`.

    Numbers and lists take the data type that the parameter declares; arrays must have it already.
    Raises `InputError` naming the parameter, what is declared and what was found.
    """
    return _to_value(argument, param.type_annotation, param.name_hint)


def _to_value(argument: Argument, declared: Type | None, name: str) -> Value:
    if isinstance(argument, Closure | Op | Constructor | ConstructorValue | RefValue):
        return argument
    if isinstance(argument, Constant):
        argument = argument.data
    if isinstance(declared, TupleType):
        if not isinstance(argument, list | tuple) or len(argument) != len(declared.fields):
            raise InputError(f"{name}: expected a tuple of {len(declared.fields)} fields")
        pairs = zip(argument, declared.fields, strict=True)
        return tuple(_to_value(a, t, f"{name}.{k}") for k, (a, t) in enumerate(pairs))
    if isinstance(argument, tuple) and not isinstance(declared, TensorType):
        return tuple(_to_value(a, None, f"{name}.{k}") for k, a in enumerate(argument))
    dtype = declared.dtype if isinstance(declared, TensorType) else None
    array = _to_array(argument, dtype)
    if isinstance(declared, TensorType):
        fits = len(array.shape) == len(declared.shape) and all(
            not isinstance(d, int) or d == s
            for d, s in zip(declared.shape, array.shape, strict=False)
        )
        if not fits or array.dtype != declared.dtype:
            found = TensorType(array.shape, array.dtype)
            raise InputError(f"{name}: expected {declared}, found {found}")
    return array


def _to_array(argument: Any, dtype: str | None) -> NDArray:
    if isinstance(argument, NDArray):
        return argument
    if isinstance(argument, np.ndarray | np.generic):
        array = np.asarray(argument)
        if dtype == "bfloat16" and array.dtype == np.float32:
            return from_numpy(array, "bfloat16")
        if dtype is not None and not dtypes.is_native(dtype) and _stores(array, dtype):
            return NDArray(array, dtype)
        return NDArray(array)
    if dtype is not None and not dtypes.is_native(dtype):
        return from_numpy(np.asarray(argument), dtype)
    if dtype is not None:
        return NDArray(np.asarray(argument, dtype=dtypes.to_numpy(dtype)))
    return constant(argument).data


def _stores(array: npt.NDArray[Any], dtype: str) -> bool:
    """Whether `array` is what `dtype`, which NumPy does not have, is stored as."""
    return bool(array.dtype == dtypes.to_numpy(dtype))
