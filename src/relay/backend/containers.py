"""Sequences, optional values and maps: as Python has them, and as programs do.

A sequence is a list, an optional value the value or None, a map a dictionary. In a program these
are a ``List``, an ``Option``, and a tuple of two vectors, the keys and the values.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TypeProto, helper

from relay.executor.interpreter import ConstructorValue
from relay.frontend.onnx.containers import constructor
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError


def inward(value: Any, type_: TypeProto, name: str, inside: bool = False) -> Any:
    """`value`, the input `name` of `type_`, as a program takes it.

    Raises `InputError` where it is no value of that type. Tensors stay as they are, but for those
    that are `inside` of something.
    """
    match type_.WhichOneof("value"):
        case "sequence_type":
            if not isinstance(value, list | tuple):
                raise InputError(f"{name}: expected a list, found a {type(value).__name__}")
            inner = type_.sequence_type.elem_type
            found = ConstructorValue(constructor("Nil"))
            for number in reversed(range(len(value))):
                element = inward(value[number], inner, f"{name}[{number}]", True)
                found = ConstructorValue(constructor("Cons"), (element, found))
            return found
        case "optional_type":
            if value is None:
                return ConstructorValue(constructor("None"))
            content = inward(value, type_.optional_type.elem_type, name, True)
            return ConstructorValue(constructor("Some"), (content,))
        case "map_type":
            if not isinstance(value, Mapping):
                raise InputError(f"{name}: expected a dictionary, found a {type(value).__name__}")
            map_type = type_.map_type
            of_value = map_type.value_type.tensor_type.elem_type
            return (
                _vector(list(value.keys()), map_type.key_type),
                _vector(list(value.values()), of_value),
            )
        case _:
            return NDArray(np.asarray(value)) if inside else value


def _vector(elements: Sequence[Any], code: int) -> npt.NDArray[Any]:
    return np.array(elements, helper.tensor_dtype_to_np_dtype(code))


def outward(value: Any, type_: TypeProto) -> Any:
    """What a program gave for an output of `type_`, as Python has it; tensors as NumPy arrays."""
    if isinstance(value, NDArray):
        return value.typed()
    if isinstance(value, tuple) and type_.WhichOneof("value") == "tensor_type":
        flat, shape = value
        return flat.typed().reshape(shape.numpy())
    if isinstance(value, tuple):
        keys, values = (outward(part, TypeProto()).tolist() for part in value)
        return dict(zip(keys, values, strict=True))
    if not isinstance(value, ConstructorValue):
        return value
    if value.constructor.name_hint in ("Some", "None"):
        if not value.fields:
            return None
        # What a loop may have set need not be optional behind it.
        optional = type_.HasField("optional_type")
        return outward(value.fields[0], type_.optional_type.elem_type if optional else type_)
    found = []
    rest: Any = value
    while rest.fields:
        element, rest = rest.fields
        found.append(outward(element, type_.sequence_type.elem_type))
    return found


def is_open(type_: TypeProto, inside: bool = False) -> bool:
    """Whether a value of `type_` has tensors in it, of a rank that the model does not tell.

    What models say of tensors `inside` of something else is often no dimensions at all.
    """
    match type_.WhichOneof("value"):
        case "tensor_type":
            told = type_.tensor_type
            return not told.HasField("shape") or (inside and not told.shape.dim)
        case "sequence_type":
            return is_open(type_.sequence_type.elem_type, True)
        case "optional_type":
            return is_open(type_.optional_type.elem_type, True)
        case _:
            return False


def tensors(value: Any) -> Iterator[Any]:
    """The tensors in a value as Python has it."""
    if isinstance(value, list | tuple):
        for element in value:
            yield from tensors(element)
    elif value is not None and not isinstance(value, Mapping):
        yield value
