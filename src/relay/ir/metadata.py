"""The metadata section of Relay text: tensors as readable JSON.

::

    {"relay.Constant": [{"dtype": "float32", "shape": [2], "data": "AACAPwAAgD8="}]}

`data` is base64 of the elements, little-endian, in row-major order; text is a list of strings. The
metadata that Relay's first implementation wrote, a graph of nodes and a list of arrays, is read,
too (`relay.ir.node_graph`).
"""

import base64
import binascii
import json
import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from relay import dtypes
from relay.ir.expr import Constant
from relay.ir.node_graph import MetadataError, load_node_graph
from relay.runtime.ndarray import NDArray

CONSTANTS: Final = "relay.Constant"


def dump(constants: Iterable[Constant]) -> str:
    """The metadata section's JSON for `constants`, in order."""
    return json.dumps({CONSTANTS: [_entry(c) for c in constants]}, indent=2)


def _entry(constant: Constant) -> dict[str, object]:
    if constant.data.dtype == dtypes.STRING:
        texts = [str(v) for v in constant.data.numpy().flat]
        return {"dtype": dtypes.STRING, "shape": list(constant.data.shape), "data": texts}
    data = np.ascontiguousarray(constant.data.numpy())
    little = data.astype(data.dtype.newbyteorder("<"), copy=False)
    return {
        "dtype": constant.data.dtype,
        "shape": list(constant.data.shape),
        "data": base64.b64encode(little.tobytes()).decode("ascii"),
    }


def load(text: str) -> list[Constant]:
    """The constants of a metadata section; raises `MetadataError`."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise MetadataError(
            f"the metadata is not JSON: {error.msg} "
            f"(line {error.lineno} of it, column {error.colno})"
        ) from None
    except (RecursionError, ValueError):
        raise MetadataError("the metadata is not JSON that can be read") from None
    if not isinstance(document, dict):
        raise MetadataError("the metadata must be a JSON object")
    if "nodes" in document:
        return load_node_graph(document)
    unknown = sorted(set(document) - {CONSTANTS})
    if unknown:
        raise MetadataError(
            f"the metadata holds {', '.join(unknown)}; only {CONSTANTS} can be read"
        )
    entries = document.get(CONSTANTS, [])
    if not isinstance(entries, list):
        raise MetadataError(f"{CONSTANTS} must be a list")
    return [_constant(entry, i) for i, entry in enumerate(entries)]


def _constant(entry: object, index: int) -> Constant:
    where = f"{CONSTANTS}[{index}]"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data"}:
        raise MetadataError(f"{where} must be an object with dtype, shape and data")
    dtype, shape, data = entry["dtype"], entry["shape"], entry["data"]
    if dtype not in dtypes.TENSOR_NAMES:
        raise MetadataError(f"{where} has the dtype {dtype!r}, which is not a data type")
    if not isinstance(shape, list) or not all(type(d) is int and d >= 0 for d in shape):
        raise MetadataError(f"{where} has the shape {shape!r}, expected a list of sizes")
    if dtype == dtypes.STRING:
        return _text(data, shape, where)
    if not isinstance(data, str):
        raise MetadataError(f"the data of {where} must be a base64 string")
    # Sizes are compared before anything is allocated for them.
    size = math.prod(shape) * dtypes.itemsize(dtype)
    if len(data) != 4 * ((size + 2) // 3):
        held = len(data) * 3 // 4 - data[-2:].count("=")
        raise MetadataError(
            f"{where} is declared {dtype} of shape {shape}, which takes {size} bytes, "
            f"but its data holds {held}"
        )
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise MetadataError(f"the data of {where} is not base64") from None
    if len(raw) != size:
        raise MetadataError(f"{where} takes {size} bytes, but its data holds {len(raw)}")
    storage = dtypes.to_numpy(dtype)
    array = np.frombuffer(raw, storage.newbyteorder("<")).astype(storage).reshape(shape)
    return Constant(NDArray(array, dtype))


def _text(data: object, shape: list[int], where: str) -> Constant:
    if not isinstance(data, list) or not all(isinstance(v, str) for v in data):
        raise MetadataError(f"the data of {where} must be a list of strings")
    if len(data) != math.prod(shape):
        raise MetadataError(
            f"{where} is declared {dtypes.STRING} of shape {shape}, which takes "
            f"{math.prod(shape)} elements, but its data holds {len(data)}"
        )
    try:
        return Constant(NDArray(np.array(data, object).reshape(shape)))
    except ValueError:  # a size of zero lets others be too large for NumPy
        raise MetadataError(f"{where} has a shape that is too large: {shape}") from None


__all__ = ["CONSTANTS", "MetadataError", "dump", "load"]
