"""Constants in the metadata that Relay's first implementation wrote (0.5 to 0.19).

The metadata is a graph of nodes, in JSON; a node is a map, an array or an object with attributes,
and refers to others by number. ``relay.Constant`` maps to an array of constants; the attribute
`data` of each is the number of an array in ``b64ndarrays``, which holds records: a magic number,
device, rank, data type, shape, size in bytes and the elements, little-endian.
"""

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from relay import dtypes
from relay.ir.expr import Constant
from relay.runtime.ndarray import NDArray

_MAGIC: Final = 0xDD5E40F096B4A13F
_HEAD: Final = struct.Struct("<QQiiiBBH")
"""Magic number, reserved, device kind and number, rank, type code, bits, lanes."""
_CODES: Final = {0: "int", 1: "uint", 2: "float", 4: "bfloat"}
MAX_RANK: Final = 64


class MetadataError(Exception):
    """The metadata is not what it should be; the message says why."""


def load_node_graph(document: Mapping[str, object]) -> list[Constant]:
    """The constants of a metadata section of the node graph form; raises `MetadataError`."""
    nodes = document.get("nodes")
    arrays = document.get("b64ndarrays", [])
    if not isinstance(nodes, list) or not isinstance(arrays, list):
        raise MetadataError("the nodes and the arrays of the metadata must be lists")
    root = _node(nodes, document.get("root"))
    kinds = root.get("keys", [])
    entries = root.get("data", [])
    if not isinstance(kinds, list) or not isinstance(entries, list) or len(kinds) != len(entries):
        raise MetadataError("the root of the metadata must map kinds to arrays")
    unknown = sorted(str(k) for k in kinds if k != "relay.Constant")
    if unknown:
        raise MetadataError(
            f"the metadata holds {', '.join(unknown)}; only relay.Constant can be read"
        )
    if not entries:
        return []
    members = _node(nodes, entries[0]).get("data", [])
    if not isinstance(members, list):
        raise MetadataError("relay.Constant must be an array")
    return [_constant(_node(nodes, member), arrays, i) for i, member in enumerate(members)]


def _node(nodes: Sequence[object], index: object) -> Mapping[str, object]:
    """The node that `index`, a number or its digits, refers to."""
    position = int(index) if isinstance(index, int | str) and str(index).isdigit() else -1
    found = nodes[position] if 0 <= position < len(nodes) else None
    if not isinstance(found, dict):
        raise MetadataError(f"the metadata has no node {index!r}")
    return found


def _constant(node: Mapping[str, object], arrays: Sequence[object], index: int) -> Constant:
    attributes = node.get("attrs")
    number = attributes.get("data") if isinstance(attributes, dict) else None
    position = int(number) if isinstance(number, str) and number.isdigit() else -1
    encoded = arrays[position] if 0 <= position < len(arrays) else None
    if not isinstance(encoded, str):
        raise MetadataError(f"relay.Constant[{index}] refers to no array of the metadata")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise MetadataError(f"the data of relay.Constant[{index}] is not base64") from None
    return Constant(_array(raw, f"relay.Constant[{index}]"))


def _array(raw: bytes, where: str) -> NDArray:
    if len(raw) < _HEAD.size:
        raise MetadataError(f"the data of {where} ends too early")
    magic, _, _, _, rank, code, bits, lanes = _HEAD.unpack_from(raw)
    if magic != _MAGIC or not 0 <= rank <= MAX_RANK:
        raise MetadataError(f"the data of {where} is no array")
    name = "bool" if (code, bits) == (1, 1) else f"{_CODES.get(code, '?')}{bits}"
    if name not in dtypes.NAMES or lanes != 1:
        raise MetadataError(f"{where} has a data type that cannot be read: {name}x{lanes}")
    start = _HEAD.size + 8 * rank + 8
    if len(raw) < start:
        raise MetadataError(f"the data of {where} ends too early")
    *shape, size = struct.unpack_from(f"<{rank + 1}q", raw, _HEAD.size)
    wanted = math.prod(shape) * dtypes.itemsize(name)
    if min(shape, default=0) < 0 or size != wanted or len(raw) != start + size:
        raise MetadataError(
            f"{where} is declared {name} of shape {shape}, which takes {wanted} bytes, "
            f"but its data holds {len(raw) - start}"
        )
    storage = dtypes.to_numpy(name)
    found = np.frombuffer(raw, storage.newbyteorder("<"), offset=start).astype(storage)
    return NDArray(found.reshape(shape), name)
