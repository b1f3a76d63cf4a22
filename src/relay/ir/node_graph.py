"""Constants in the metadata that Relay's first implementation wrote (0.5 to 0.19).

The metadata is a graph of nodes, in JSON; a node is a map, an array or an object with attributes,
and refers to others by number. ``relay.Constant`` maps to an array of constants; the attribute
`data` of each is the number of an array in ``b64ndarrays``, which holds records
(`relay.runtime.records`).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence

from relay.ir.expr import Constant
from relay.runtime.records import read_record
from relay.support.errors import ArtifactError


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
    try:
        array, end = read_record(raw, 0, f"relay.Constant[{index}]")
    except ArtifactError as error:
        raise MetadataError(error.message) from None
    if end < len(raw):
        raise MetadataError(f"relay.Constant[{index}] goes on after its end")
    return Constant(array)
