"""The attributes of an ONNX node, and the errors that name it."""

from collections.abc import Sequence
from typing import NoReturn

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, TypeProto

from relay.frontend.onnx.tensors import element_type
from relay.support.errors import ImportModelError, UnsupportedError
from relay.support.source import Span


class Attributes:
    """One node of the model: `op_type` in the operator set version `opset` of `domain`."""

    def __init__(self, proto: NodeProto, opset: int, span: Span | None) -> None:
        self.proto = proto
        self.op_type: str = proto.op_type
        self.name: str = proto.name
        self.outputs: tuple[str, ...] = tuple(proto.output)
        self.opset = opset
        self.span = span
        self._attributes: dict[str, AttributeProto] = {a.name: a for a in proto.attribute}

    def __str__(self) -> str:
        return describe(self.name, self.op_type, self.outputs)

    # ------------------------------------------------------------------ errors

    def fail(self, message: str) -> NoReturn:
        """Refuse the node because it is wrong; raises `ImportModelError`."""
        raise ImportModelError(f"{self}: {message}", self.span)

    def unsupported(self, message: str) -> NoReturn:
        """Refuse the node because this version cannot do it; raises `UnsupportedError`."""
        raise UnsupportedError(f"{self}: {message}", self.span)

    # ------------------------------------------------------------------ attributes

    def has(self, name: str) -> bool:
        """Whether the attribute `name` is given."""
        return name in self._attributes

    def _attribute(self, name: str, *kinds: int) -> AttributeProto | None:
        found = self._attributes.get(name)
        if found is None:
            return None
        if found.type not in kinds:
            expected = " or ".join(AttributeProto.AttributeType.Name(k) for k in kinds)
            self.fail(f"its attribute {name!r} must be of type {expected}")
        return found

    def integer(self, name: str, default: int | None = None) -> int:
        """The integer attribute `name`."""
        found = self._attribute(name, AttributeProto.INT)
        if found is not None:
            return int(found.i)
        if default is None:
            self.fail(f"it lacks the attribute {name!r}")
        return default

    def number(self, name: str, default: float) -> float:
        """The floating-point attribute `name`."""
        found = self._attribute(name, AttributeProto.FLOAT)
        return default if found is None else float(found.f)

    def text(self, name: str, default: str) -> str:
        """The string attribute `name`."""
        found = self._attribute(name, AttributeProto.STRING)
        return default if found is None else found.s.decode("utf-8", "replace")

    def texts(self, name: str) -> list[str] | None:
        """The list of strings `name`, or None where it is not given."""
        found = self._attribute(name, AttributeProto.STRINGS)
        return None if found is None else [s.decode("utf-8", "replace") for s in found.strings]

    def integers(self, name: str) -> list[int] | None:
        """The list of integers `name`, or None where it is not given."""
        found = self._attribute(name, AttributeProto.INTS)
        return None if found is None else [int(i) for i in found.ints]

    def numbers(self, name: str) -> list[float] | None:
        """The list of floats `name`, or None where it is not given."""
        found = self._attribute(name, AttributeProto.FLOATS)
        return None if found is None else [float(f) for f in found.floats]

    def tensor(self, name: str) -> TensorProto | None:
        """The tensor attribute `name`, or None where it is not given."""
        found = self._attribute(name, AttributeProto.TENSOR)
        return None if found is None else found.t

    def type(self, name: str) -> TypeProto | None:
        """The type attribute `name`, or None where it is not given."""
        found = self._attribute(name, AttributeProto.TYPE_PROTO)
        return None if found is None else found.tp

    def graph(self, name: str) -> GraphProto:
        """The graph that is the attribute `name`."""
        found = self._attribute(name, AttributeProto.GRAPH)
        if found is None:
            self.fail(f"it lacks the attribute {name!r}")
        return found.g

    def axis(self, name: str, rank: int, default: int | None = None) -> int:
        """The attribute `name` as an axis of a tensor of `rank` dimensions, from 0."""
        return self.normal_axis(self.integer(name, default), rank)

    def normal_axis(self, axis: int, rank: int) -> int:
        """`axis`, which may count from the end, as a number from 0."""
        if not -rank <= axis < rank:
            self.fail(f"the axis {axis} is not one of a tensor with {rank} dimensions")
        return axis % rank

    def normal_axes(self, axes: Sequence[int], rank: int) -> list[int]:
        """Distinct `axes` as numbers from 0, in their order."""
        found = [self.normal_axis(a, rank) for a in axes]
        if len(set(found)) != len(found):
            self.fail(f"the axes {list(axes)} name one axis twice")
        return found

    def element_type(self, code: int) -> str:
        """The data type that an attribute with an ONNX element type asks for."""
        return element_type(code, str(self))


def describe(name: str, op_type: str, outputs: Sequence[str]) -> str:
    """How messages name a node: by its name, or by its first output where it has none."""
    if name:
        return f"node {name!r} ({op_type})"
    return f"the {op_type} node that makes {outputs[0]!r}" if outputs else f"a {op_type} node"
