"""Types of values: what a model says of them, as types of the language, and back."""

from collections.abc import Sequence

from onnx import TypeProto

from relay import dtypes
from relay.frontend.onnx.containers import (
    list_element,
    open_type,
    option_content,
    option_of,
)
from relay.frontend.onnx.tensors import code_of, element_type
from relay.ir.types import Any, Dim, SizeVar, TensorType, TupleType, Type
from relay.op.lists import list_of
from relay.support.errors import ImportModelError, UnsupportedError


def to_onnx(type_: Type) -> TypeProto:
    """`type_` as the standard writes types; an empty one where it has none for it."""
    found = TypeProto()
    element, content = list_element(type_), option_content(type_)
    if isinstance(type_, TensorType):
        found.tensor_type.elem_type = code_of(type_.dtype)
        found.tensor_type.shape.SetInParent()
        for dim in type_.shape:
            size = found.tensor_type.shape.dim.add()
            if isinstance(dim, int):
                size.dim_value = dim
            elif isinstance(dim, SizeVar):
                size.dim_param = dim.name
    elif element is not None:
        found.sequence_type.elem_type.CopyFrom(to_onnx(element))
    elif content is not None:
        found.optional_type.elem_type.CopyFrom(to_onnx(content))
    return found


def from_onnx_type(
    type_: TypeProto, what: str, shape: Sequence[Dim] | None = None, dtype: str | None = None
) -> Type:
    """The type of values of `type_`: a tensor's, or that of a sequence, optional value or map.

    `shape` and `dtype` are what tensors in it have, where it leaves that open; without them the
    elements of sequences have an open type. A map is a tuple of two vectors, keys and values.
    Raises `ImportModelError` and `UnsupportedError`, naming `what` has the type.
    """
    match type_.WhichOneof("value"):
        case "sequence_type":
            return list_of(from_onnx_type(type_.sequence_type.elem_type, what, shape, dtype))
        case "optional_type":
            return option_of(from_onnx_type(type_.optional_type.elem_type, what, shape, dtype))
        case "map_type":
            values = type_.map_type.value_type.tensor_type.elem_type
            key = element_type(type_.map_type.key_type, f"a key of {what}")
            value = element_type(values, f"a value of {what}") if values else dtype or "float32"
            return TupleType([TensorType((Any(),), key), TensorType((Any(),), value)])
        case "tensor_type":
            code = type_.tensor_type.elem_type
            found = element_type(code, what) if code else dtypes.check(dtype or "float32")
            if shape is not None:
                return TensorType(shape, found)
            if not type_.tensor_type.HasField("shape"):
                return open_type(found)
            return TensorType(dimensions(type_), found)
        case None:
            raise ImportModelError(f"the model does not say of what type {what} is")
        case kind:
            raise UnsupportedError(f"{what} is a {kind}, which is not supported")


def dimensions(type_: TypeProto) -> list[Dim]:
    """The sizes that the type of a tensor declares; those that it leaves open keep their names."""
    return [
        int(d.dim_value)
        if d.HasField("dim_value")
        else SizeVar(d.dim_param)
        if d.dim_param.isidentifier()
        else Any()
        for d in type_.tensor_type.shape.dim
    ]
