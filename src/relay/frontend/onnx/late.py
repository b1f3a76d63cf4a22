"""Nodes that are converted at run time, because only then it is known what they mean.

Converters ask for sizes, and for the values of inputs that decide about sizes or axes. Where the
model does not tell them, the node becomes a call of `onnx.node`, which keeps it as it is. It is
converted as soon as its arguments have known shapes and those in `values` known values: by
`DynamicToStatic`, by the virtual machine for the arguments that it meets, and by the interpreter.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import numpy as np
from google.protobuf import text_format  # type: ignore[import-untyped]
from onnx import FunctionProto, GraphProto, NodeProto, TypeProto, checker, defs, shape_inference

from relay.frontend.onnx.captures import Captured
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import Converter, find
from relay.frontend.onnx.session import Boundless, Session
from relay.frontend.onnx.tensors import element_type
from relay.frontend.onnx.trial import tried_types
from relay.frontend.onnx.types import to_onnx
from relay.frontend.onnx.values import Postponed, Values
from relay.ir import types
from relay.ir.expr import Call, Constant, Expr, Tuple, TupleGetItem, Var
from relay.ir.op import Array, Pattern, operator
from relay.ir.types import Dim, TensorType, TupleType, Type
from relay.op.dynamic import UNKNOWN, DynamicOperator
from relay.runtime.ndarray import NDArray
from relay.support.errors import ImportModelError, RelayError, TypeInferenceError, UnsupportedError

#: How malformed models make converters fail where no check names the fault.
MALFORMED: Final = (ValueError, TypeError, IndexError, KeyError, ArithmeticError, MemoryError)
#: Data types of values that may be taken for the numbers of a trial.
_TRIED: Final = ("float32", "float64", "int32", "int64")
#: How the package onnx refuses a node.
_REFUSALS: Final = (
    checker.ValidationError,
    defs.SchemaError,
    shape_inference.InferenceError,
    RuntimeError,
    ValueError,
)


@operator("onnx.node", inputs=("inputs",), pattern=Pattern.OPAQUE, level=10)
class LateNode(DynamicOperator):
    """An ONNX node whose meaning depends on what only its arguments at run time tell.

    It takes the inputs that are given, in their order, and returns its output or a tuple of those
    that are used.

    - `node`: the node as protocol-buffer text; an input without a name is left out.
    - `domain`, `opset`: the set of operators that it is of.
    - `values`: which of the arguments decide with their values, such as axes and sizes.
    - `rank`: how many dimensions the result must have, where only sizes tell.
    """

    late = ()
    missing: ClassVar[dict[str, str]] = {
        "compute": UNKNOWN,
        "gradient": "differentiate the program after DynamicToStatic",
    }

    node: str
    domain: str
    opset: int
    values: tuple[int, ...] = ()
    rank: int | None = None

    def call_type(self, types: Sequence[Type]) -> Type:
        proto = self._proto()
        given = dict(zip(filter(None, proto.input), types, strict=True))
        outputs = [name for name in proto.output if name]
        results: Sequence[Type]
        if not self.values and all(isinstance(t, TensorType) and t.is_static for t in types):
            results = self._types(types, 0)
        elif defs.has(proto.op_type, self.opset, self.domain):
            found = _inferred(proto, self.domain, self.opset, given)
            results = [_result(proto, found.get(name), given) for name in outputs]
        else:
            results = tried_types(types, self._types)
        if self.rank is not None and any(
            not isinstance(r, TensorType) or len(r.shape) != self.rank for r in results
        ):
            raise TypeInferenceError(
                f"{proto.op_type}: an open size is 1, so that the result has not the {self.rank} "
                "dimensions that the program was made for; give its axes, or the sizes of the input"
            )
        return results[0] if len(results) == 1 else TupleType(results)

    def late_arguments(self, arguments: Sequence[Expr]) -> list[Expr]:
        return [arguments[k] for k in self.values]

    def decided(self, arguments: Sequence[Expr]) -> Expr:
        call = Call(self.op, arguments, self)
        if not all(isinstance(a, Constant) for a in self.late_arguments(arguments)):
            return call
        try:
            results = self._converted(arguments, Session({self.domain: self.opset}))
        except Postponed:
            return call
        return results[0] if len(results) == 1 else Tuple(results)

    def reference(self, *arrays: Array) -> Any:
        arguments = [Constant(NDArray(a)) for a in arrays]
        session = Session({self.domain: self.opset}, allowance=Boundless())
        results = self._converted(arguments, session)
        found = tuple(r.data.numpy() for r in results if isinstance(r, Constant))
        if len(found) != len(results):
            raise UnsupportedError(f"{self._proto().op_type} has no value outside of a program")
        return found[0] if len(found) == 1 else found

    def _types(self, types: Sequence[Type], number: int) -> list[Type]:
        """The types of results for arguments of `types`, those that decide being `number`."""
        arguments: list[Expr] = [Var(f"i{k}", type_) for k, type_ in enumerate(types)]
        for k in self.values:
            type_ = types[k]
            if not isinstance(type_, TensorType) or type_.dtype not in _TRIED:
                raise TypeInferenceError(f"it depends on the value of a {type_}")
            filled = np.full(type_.concrete_shape, number, type_.dtype)
            arguments[k] = Constant(NDArray(filled))
        try:
            results = self._converted(arguments, Session({self.domain: self.opset}))
        except Postponed as reason:
            raise TypeInferenceError(reason.message) from None
        return [result.checked_type for result in results]

    def _proto(self) -> NodeProto:
        try:
            proto = text_format.Parse(self.node, NodeProto())
        except text_format.ParseError as error:
            raise TypeInferenceError(
                f"{self.name}: its node is no protocol-buffer text: {error}"
            ) from None
        assert isinstance(proto, NodeProto)
        return proto

    def _converted(self, arguments: Sequence[Expr], session: Session) -> list[Expr]:
        proto = self._proto()
        remaining = iter(arguments)
        inputs = [next(remaining) if name else None for name in proto.input]
        converter = find(self.domain, proto.op_type, self.opset)
        if converter is None:
            raise UnsupportedError(f"the ONNX operator {proto.op_type} has no converter")
        node = Node(proto, inputs, self.opset, None, _Alone(session, proto))
        try:
            results = converter.convert(node)
        except MALFORMED as error:
            reason = str(error) or type(error).__name__
            raise ImportModelError(f"{node} is malformed: {reason}") from error
        made = [results] if isinstance(results, Expr) else list(results)
        wanted = [r for name, r in zip(proto.output, made, strict=False) if name]
        return [r for r in wanted if r is not None]


class _Alone:
    """The surroundings of a node that is converted by itself."""

    def __init__(self, session: Session, node: NodeProto) -> None:
        self.session = session
        self._outputs = set(filter(None, node.output))

    def is_used(self, name: str) -> bool:
        """Whether the value `name` is a result."""
        return name in self._outputs

    def value(self, name: str) -> Expr:
        """There are no names but those of the node."""
        raise ImportModelError(f"nothing makes the value {name!r}")

    def inner(
        self, graph: GraphProto, arguments: Sequence[Expr], captured: Captured | None = None
    ) -> list[Expr]:
        """Nodes with graphs are not postponed."""
        raise ImportModelError(f"the graph {graph.name!r} is outside of a model")

    def expand(
        self, function: FunctionProto, node: Values, opsets: Mapping[str, int]
    ) -> list[Expr | None]:
        """Calls of functions are not postponed."""
        raise ImportModelError(f"the function {function.name!r} is outside of a model")


def postpone(node: Node, domain: str, converter: Converter, reason: Postponed) -> list[Expr | None]:
    """What `node` makes, by a call that `converter` replaces at run time.

    Raises `UnsupportedError`, saying the `reason`, where not even the rank of a result is known.
    """
    proto = _alone(node)
    present = [k for k, value in enumerate(node.inputs) if value is not None]
    deciding = {reason.index}
    if converter.values is not None:
        deciding.update(converter.values)
    else:
        types = {k: node.type_of(node.arg(k)) for k in present[1:]}
        deciding.update(
            k for k, t in types.items() if len(t.shape) <= 1 and t.dtype in ("int32", "int64")
        )
    values = tuple(n for n, k in enumerate(present) if k in deciding)
    text = text_format.MessageToString(proto, as_one_line=True)
    late = LateNode(text, domain, node.opset, values)
    call = Call(late.op, [node.arg(k) for k in present], late, span=node.span)
    try:
        found_type = call.checked_type
    except TypeInferenceError as error:
        node.unsupported(f"{reason.message}, and {error.message}")
    if proto.op_type == "Squeeze" and len(present) == 1 and isinstance(found_type, TensorType):
        late = replace(late, rank=len(found_type.shape))
        call = Call(late.op, call.args, late, span=node.span)
    if not isinstance(found_type, TupleType):
        return [call if name else None for name in proto.output]
    fields = iter(range(len(found_type.fields)))
    return [TupleGetItem(call, next(fields), node.span) if n else None for n in proto.output]


def stand_ins(node: Node, domain: str) -> list[Var | None]:
    """Variables of the types of what `node` makes, as far as the standard's inference tells."""
    proto = _alone(node)
    given = {
        name: value.checked_type
        for name, value in zip(proto.input, node.inputs, strict=True)
        if value is not None
    }
    made: list[Var | None] = []
    for name in proto.output:
        try:
            found = _inferred(proto, domain, node.opset, given)
            made.append(Var(name, _result(proto, found.get(name), given)) if name else None)
        except RelayError:
            made.append(None)
    return made


def _alone(node: Node) -> NodeProto:
    """`node` outside of its model: inputs have names of their own, unused outputs none."""
    proto = NodeProto()
    proto.CopyFrom(node.proto)
    for k, value in enumerate(node.inputs):
        proto.input[k] = f"i{k}" if value is not None else ""
    for k in range(len(proto.output)):
        if not node.output_is_used(k):
            proto.output[k] = ""
    return proto


def _inferred(
    proto: NodeProto, domain: str, opset: int, given: Mapping[str, Type]
) -> dict[str, TypeProto]:
    """The types of the outputs, as far as the standard's inference tells them."""
    try:
        schema = defs.get_schema(proto.op_type, opset, domain)
        return shape_inference.infer_node_outputs(
            schema, proto, {name: to_onnx(t) for name, t in given.items()}
        )
    except _REFUSALS as error:
        raise TypeInferenceError(f"{proto.op_type}: {error}") from None


def _result(proto: NodeProto, found: TypeProto | None, given: Mapping[str, Type]) -> TensorType:
    if found is None or not found.HasField("tensor_type") or not found.tensor_type.elem_type:
        raise TypeInferenceError(f"the type of what {proto.op_type} makes is not known")
    dtype = element_type(found.tensor_type.elem_type, f"what {proto.op_type} makes")
    if found.tensor_type.HasField("shape"):
        names = {
            size.name
            for type_ in given.values()
            if isinstance(type_, TensorType)
            for size in type_.shape
            if isinstance(size, types.SizeVar)
        }
        return TensorType([_dim(d, names) for d in found.tensor_type.shape.dim], dtype)
    rank = _rank(proto, [given[n] if n else None for n in proto.input])
    return TensorType([types.Any() for _ in range(rank)], dtype)


def _dim(dim: Any, names: Collection[str]) -> Dim:
    # Names of sizes are those of the whole model: an operator may not make new ones.
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return types.SizeVar(dim.dim_param) if dim.dim_param in names else types.Any()


def _length(type_: Type | None) -> int:
    if isinstance(type_, TensorType) and len(type_.shape) == 1 and isinstance(type_.shape[0], int):
        return type_.shape[0]
    raise TypeInferenceError("the number of dimensions of its result is not known either")


def _rank(proto: NodeProto, given: Sequence[Type | None]) -> int:
    """The number of dimensions of a result of which the standard's inference says nothing."""
    first = given[0]
    rank = len(first.shape) if isinstance(first, TensorType) else 0
    match proto.op_type:
        case "MelWeightMatrix":
            return 2
        case "STFT":
            return rank + 1
        case "Squeeze" if len(given) > 1:
            return rank - _length(given[1])
        case "Squeeze" if isinstance(first, TensorType):
            # An open size is taken for one that stays; where it is 1, a run says so.
            return sum(d != 1 for d in first.shape)
        case "Unsqueeze":
            return rank + _length(given[1])
        case op_type if op_type.startswith("Reduce") and len(given) > 1 and given[1] is not None:
            return rank - _length(given[1])
        case "Conv" | "ConvTranspose" | "ConvInteger" | "DeformConv" | "QLinearConv":
            return rank
        case "MaxUnpool" | "Pad" | "Split":
            return rank
    raise TypeInferenceError("the number of dimensions of its result is not known either")


__all__ = ["MALFORMED", "LateNode", "postpone", "stand_ins"]
