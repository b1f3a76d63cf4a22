"""Operators that the standard defines by others: what stands in where there is no converter."""

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from onnx import AttributeProto, FunctionProto, NodeProto, TypeProto, defs

from relay.frontend.onnx.session import versions


class _Attribute(Protocol):
    default_value: AttributeProto


class _Schema(Protocol):
    """What is used of `onnx.defs.OpSchema`, whose own types do not tell all of it."""

    attributes: Mapping[str, _Attribute]
    has_function: bool
    has_context_dependent_function: bool
    function_opset_versions: list[int]
    context_dependent_function_opset_versions: list[int]

    def get_function_with_opset_version(self, version: int) -> bytes: ...

    def get_context_dependent_function_with_opset_version(
        self, version: int, node: bytes, types: Sequence[bytes]
    ) -> bytes: ...


def has_standard_function(domain: str, op_type: str, opset: int) -> bool:
    """Whether the standard defines the operator by a function body."""
    schema = _schema(domain, op_type, opset)
    return schema is not None and (schema.has_function or schema.has_context_dependent_function)


def standard_function(
    node: NodeProto, domain: str, opset: int, types: Mapping[str, TypeProto]
) -> tuple[FunctionProto, dict[str, int]] | None:
    """The function body of the operator of `node`, and the operator sets that it uses.

    `types` has those of the inputs; some bodies depend on them. None where there is no body.
    """
    schema = _schema(domain, node.op_type, opset)
    if schema is None:
        return None
    made = b""
    if schema.has_function:
        version = _newest(schema.function_opset_versions, opset)
        made = schema.get_function_with_opset_version(version)
    if not made and schema.has_context_dependent_function:
        version = _newest(schema.context_dependent_function_opset_versions, opset)
        given = [types.get(name, TypeProto()).SerializeToString() for name in node.input]
        made = schema.get_context_dependent_function_with_opset_version(
            version, node.SerializeToString(), given
        )
    if not made:
        return None
    function = FunctionProto.FromString(made)
    named = {a.name for a in function.attribute_proto}
    for name, attribute in schema.attributes.items():
        if name not in named and attribute.default_value.type:
            function.attribute_proto.append(attribute.default_value)
    opsets = versions(function.opset_import)
    opsets.setdefault("", opset if not domain else defs.onnx_opset_version())
    return function, opsets


def _schema(domain: str, op_type: str, opset: int) -> _Schema | None:
    if not defs.has(op_type, domain):
        return None
    try:
        return cast(_Schema, defs.get_schema(op_type, opset, domain))
    except defs.SchemaError:  # not in this version
        return None


def _newest(found: list[int], opset: int) -> int:
    """The newest version that `opset` includes, else the oldest of all."""
    return max((v for v in found if v <= opset), default=min(found))
