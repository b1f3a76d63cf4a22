"""ONNX element types, and the tensors stored inside a model."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from relay import dtypes
from relay.runtime.ndarray import NDArray
from relay.support.errors import ImportModelError, UnsupportedError

#: ONNX element type -> data type of relay.
ELEMENT_TYPES: Final[Mapping[int, str]] = {
    TensorProto.FLOAT: "float32",
    TensorProto.UINT8: "uint8",
    TensorProto.INT8: "int8",
    TensorProto.UINT16: "uint16",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.UINT32: "uint32",
    TensorProto.UINT64: "uint64",
    TensorProto.BFLOAT16: "bfloat16",
}

#: Which repeated field holds the elements when there is no `raw_data`.
_FIELDS: Final[Mapping[str, str]] = {
    "float32": "float_data",
    "float64": "double_data",
    "int64": "int64_data",
    "uint32": "uint64_data",
    "uint64": "uint64_data",
}
_MAX_RANK = 32


def element_type(code: int, what: str) -> str:
    """The data type that the ONNX element type `code` stands for.

    Raises `UnsupportedError` naming `what` has it.
    """
    found = ELEMENT_TYPES.get(code)
    if found is None:
        known = code in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(code) if known else str(code)
        raise UnsupportedError(
            f"{what} has the element type {name}; supported are "
            f"{', '.join(sorted(ELEMENT_TYPES.values()))}"
        )
    return found


def declared_bytes(tensor: TensorProto) -> int:
    """How many bytes the declared shape and element type of `tensor` take.

    Raises `ImportModelError` on a shape that is none, `UnsupportedError` on the element type.
    """
    dims = tuple(tensor.dims)
    if len(dims) > _MAX_RANK or any(d < 0 for d in dims):
        raise ImportModelError(f"the tensor {tensor.name!r} declares the shape {dims}")
    dtype = element_type(tensor.data_type, f"the tensor {tensor.name!r}")
    return int(math.prod(dims)) * dtypes.itemsize(dtype)


def to_ndarray(tensor: TensorProto) -> NDArray:
    """The value of `tensor`, whose declared size must be that of its data.

    Raises `ImportModelError` when data are missing or of another size than declared.
    """
    expected = declared_bytes(tensor)
    dtype = element_type(tensor.data_type, f"the tensor {tensor.name!r}")
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ImportModelError(
            f"the data of the tensor {tensor.name!r} are in a file beside the model and have not "
            "been read; give the path of the model, or load it with relay.frontend.onnx.load"
        )
    flat = _raw_elements if tensor.HasField("raw_data") else _field_elements
    elements = flat(tensor, dtype)
    if elements.nbytes != expected:
        raise ImportModelError(
            f"the tensor {tensor.name!r} declares the shape {tuple(tensor.dims)} of {dtype}, "
            f"which is {expected} bytes, but carries {elements.nbytes} bytes"
        )
    return NDArray(elements.reshape(tuple(tensor.dims)), dtype)


def _raw_elements(tensor: TensorProto, dtype: str) -> npt.NDArray[np.generic]:
    raw = tensor.raw_data
    if len(raw) % dtypes.itemsize(dtype):
        raise ImportModelError(
            f"the tensor {tensor.name!r} carries {len(raw)} bytes, "
            f"which is no whole number of {dtype} elements"
        )
    if dtype == "bool":
        return np.frombuffer(raw, np.uint8).astype(np.bool_)
    stored = dtypes.to_numpy(dtype)
    little = np.frombuffer(raw, stored.newbyteorder("<"))
    elements: npt.NDArray[np.generic] = little.astype(stored, copy=False)
    return elements


def _field_elements(tensor: TensorProto, dtype: str) -> npt.NDArray[np.generic]:
    field = _FIELDS.get(dtype, "int32_data")
    values: Sequence[float] = getattr(tensor, field)
    if len(values) * dtypes.itemsize(dtype) != declared_bytes(tensor):
        raise ImportModelError(
            f"the tensor {tensor.name!r} declares the shape {tuple(tensor.dims)}, "
            f"but carries {len(values)} elements in {field}"
        )
    if dtype == "float16":  # stored as the bits of the number
        return np.array(values, np.int32).astype(np.uint16).view("float16")
    if field != "int32_data":
        return np.array(values, dtypes.to_numpy(dtype))
    return np.array(values, np.int32).astype(dtypes.to_numpy(dtype))
