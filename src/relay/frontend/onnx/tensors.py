"""ONNX element types, and the tensors stored inside a model."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from onnx import SparseTensorProto, TensorProto

from relay import codes, dtypes
from relay.runtime.ndarray import NDArray
from relay.support.errors import ImportModelError, UnsupportedError

#: Types that came later: a package `onnx` may not have all of them.
_BY_NAME: Final[Mapping[str, str]] = {
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
    "FLOAT4E2M1": "float4_e2m1fn",
    "UINT4": "uint4",
    "INT4": "int4",
    "UINT2": "uint2",
    "INT2": "int2",
}

#: ONNX element type -> data type of relay.
ELEMENT_TYPES: Final[Mapping[int, str]] = {
    **{
        TensorProto.DataType.Value(name): dtype
        for name, dtype in _BY_NAME.items()
        if name in TensorProto.DataType.keys()  # noqa: SIM118 - it is no mapping
    },
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
    TensorProto.STRING: "string",
}

#: Which repeated field holds the elements when there is no `raw_data`.
_FIELDS: Final[Mapping[str, str]] = {
    "float32": "float_data",
    "float64": "double_data",
    "int64": "int64_data",
    "uint32": "uint64_data",
    "uint64": "uint64_data",
}
_CODES: Final[Mapping[str, int]] = {dtype: code for code, dtype in ELEMENT_TYPES.items()}
#: Tensors may have so many dimensions.
MAX_RANK = 32


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


def code_of(dtype: str) -> int:
    """The ONNX element type of `dtype`."""
    return _CODES[dtype]


def declared_bytes(tensor: TensorProto) -> int:
    """How many bytes the declared shape and element type of `tensor` take, packed as ONNX does.

    Raises `ImportModelError` on a shape that is none and on text, which has no size before it is
    read, and `UnsupportedError` on the element type.
    """
    dims = _declared_shape(tensor)
    dtype = element_type(tensor.data_type, f"the tensor {tensor.name!r}")
    if dtype == dtypes.STRING:
        raise ImportModelError(f"the tensor {tensor.name!r} keeps text where only numbers can be")
    return packed_bytes(math.prod(dims), dtype)


def _declared_shape(tensor: TensorProto) -> tuple[int, ...]:
    dims = tuple(tensor.dims)
    if len(dims) > MAX_RANK or any(d < 0 for d in dims):
        raise ImportModelError(f"the tensor {tensor.name!r} declares the shape {dims}")
    return dims


def is_packed(dtype: str) -> bool:
    """Whether ONNX stores several elements in a byte."""
    return dtype in dtypes.SMALL and dtypes.width(dtype) < 8


def packed_bytes(count: int, dtype: str) -> int:
    """How many bytes `count` elements of `dtype` take in a model."""
    if is_packed(dtype):
        return -(-count * dtypes.width(dtype) // 8)
    return count * dtypes.itemsize(dtype)


def to_ndarray(tensor: TensorProto) -> NDArray:
    """The value of `tensor`, whose declared size must be that of its data.

    Raises `ImportModelError` when data are missing or of another size than declared.
    """
    dtype = element_type(tensor.data_type, f"the tensor {tensor.name!r}")
    if dtype == dtypes.STRING:
        return NDArray(_texts(tensor))
    expected = declared_bytes(tensor)
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ImportModelError(
            f"the data of the tensor {tensor.name!r} are in a file beside the model and have not "
            "been read; give the path of the model, or load it with relay.frontend.onnx.load"
        )
    flat = _raw_elements if tensor.HasField("raw_data") else _field_elements
    if is_packed(dtype):
        packed = flat(tensor, "uint8").view(np.uint8)
        return NDArray(_unpacked(tensor, packed, expected, dtype), dtype)
    elements = flat(tensor, dtype)
    if elements.nbytes != expected:
        raise ImportModelError(
            f"the tensor {tensor.name!r} declares the shape {tuple(tensor.dims)} of {dtype}, "
            f"which is {expected} bytes, but carries {elements.nbytes} bytes"
        )
    return NDArray(elements.reshape(tuple(tensor.dims)), dtype)


def _texts(tensor: TensorProto) -> npt.NDArray[np.object_]:
    """The elements of a tensor of text, which are nowhere but in ``string_data``."""
    shape = _declared_shape(tensor)
    found = tensor.string_data
    if tensor.data_location == TensorProto.EXTERNAL or tensor.HasField("raw_data"):
        raise ImportModelError(f"the tensor {tensor.name!r} keeps text where only numbers can be")
    if len(found) != math.prod(shape):
        raise ImportModelError(
            f"the tensor {tensor.name!r} declares the shape {shape}, but carries {len(found)} texts"
        )
    try:
        texts = [element.decode() for element in found]
    except UnicodeDecodeError as error:
        raise ImportModelError(f"the tensor {tensor.name!r} is not UTF-8: {error}") from None
    return np.array(texts, object).reshape(shape)


def _unpacked(
    tensor: TensorProto, packed: npt.NDArray[np.uint8], expected: int, dtype: str
) -> npt.NDArray[np.generic]:
    """The elements of a tensor of which a byte holds several, the first in the lowest bits."""
    if len(packed) != expected:
        raise ImportModelError(
            f"the tensor {tensor.name!r} declares the shape {tuple(tensor.dims)} of {dtype}, "
            f"which is {expected} bytes, but carries {len(packed)} bytes"
        )
    shape = tuple(tensor.dims)
    return codes.unpacked(packed, dtype, math.prod(shape)).reshape(shape)


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


def sparse_to_ndarray(sparse: SparseTensorProto, spend: Callable[[int], bool]) -> NDArray:
    """The value of a sparse tensor, with its zeros; `spend` tells whether there is room for them.

    Raises `ImportModelError` where the indices do not belong to the values or to the shape.
    """
    what = f"the sparse tensor {sparse.values.name!r}"
    shape = tuple(sparse.dims)
    values, indices = to_ndarray(sparse.values), to_ndarray(sparse.indices).numpy()
    size = math.prod(shape)
    if len(shape) > MAX_RANK or any(d < 0 for d in shape):
        raise ImportModelError(f"{what} declares the shape {shape}")
    if not spend(size * dtypes.itemsize(values.dtype)):
        raise UnsupportedError(f"{what} has the shape {shape}, which is too much memory")
    stored = values.numpy().reshape(-1)
    positions = indices.reshape(len(stored), -1).astype(np.int64)
    flat: npt.NDArray[np.int64] | None = None
    if indices.ndim == 2 and positions.shape[1] == len(shape):
        inside = (positions >= 0) & (positions < np.array(shape, np.int64))
        if inside.all():
            flat = np.asarray(np.ravel_multi_index(tuple(positions.T), shape))
    elif indices.ndim == 1:
        flat = positions[:, 0]
    if flat is None or (len(flat) and not (flat.min() >= 0 and flat.max() < size)):
        raise ImportModelError(f"{what} has indices outside of its shape {shape}")
    dense = np.zeros(size, stored.dtype)
    dense[flat] = stored
    return NDArray(dense.reshape(shape), values.dtype)
