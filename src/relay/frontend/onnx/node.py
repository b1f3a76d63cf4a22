"""What a converter sees: one ONNX node, with its arguments, attributes and a way to build Relay.

A value known while importing is a `Constant`. `Node.call` evaluates calls on constants at once,
through the reference of the operator, so chains such as Shape -> Gather -> Concat -> Reshape leave
only static attributes behind.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NoReturn, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto, TypeProto

import relay.op  # noqa: F401  (declares the operators)
from relay import codes, dtypes
from relay.frontend.onnx.captures import Captured
from relay.frontend.onnx.fold import folded
from relay.frontend.onnx.session import Session
from relay.frontend.onnx.tensors import element_type, to_ndarray
from relay.ir.expr import Call, Constant, Expr, Op, Tuple, TupleGetItem, Var
from relay.ir.op import Array
from relay.ir.types import TensorType
from relay.runtime.ndarray import NDArray
from relay.support.errors import ImportModelError, RelayError, UnsupportedError
from relay.support.source import Span

Scalar: TypeAlias = bool | int | float
#: One expression for one output, a sequence for several; None for an output that is not made.
Result: TypeAlias = Expr | Sequence[Expr | None]

#: No tensor that an operator makes from sizes alone may have more bytes than this.
_MAX_VALUE = 1 << 31


class Postponed(Exception):  # noqa: N818 - not an error: the node is converted later
    """A converter needs what is known at run time only: a size, or the value of input `index`."""

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.index = index


class Surroundings(Protocol):
    """The graph that a node is in, as far as the node may ask for it."""

    @property
    def session(self) -> Session:
        """The import that it belongs to."""

    def is_used(self, name: str) -> bool:
        """Whether anybody reads the value `name`."""

    def inner(
        self, graph: GraphProto, arguments: Sequence[Expr], captured: Captured | None = None
    ) -> list[Expr]:
        """The outputs of a `graph` inside of this one, for values of its inputs.

        Values from around the graph are used by way of `captured`.
        """

    def expand(
        self, function: FunctionProto, node: "Node", opsets: Mapping[str, int]
    ) -> list[Expr | None]:
        """The outputs of `function`, which `node` calls."""


class Node:
    """One node of the model: `op_type` in the operator set version `opset` of `domain`."""

    def __init__(
        self,
        proto: NodeProto,
        inputs: Sequence[Expr | None],
        opset: int,
        span: Span | None,
        scope: Surroundings,
    ) -> None:
        self.proto = proto
        self.op_type: str = proto.op_type
        self.name: str = proto.name
        self.inputs = tuple(inputs)
        self.outputs: tuple[str, ...] = tuple(proto.output)
        self.opset = opset
        self.span = span
        self.scope = scope
        self._attributes: dict[str, AttributeProto] = {a.name: a for a in proto.attribute}
        self._allowance = scope.session.allowance

    def __str__(self) -> str:
        return describe(self.name, self.op_type, self.outputs)

    # ------------------------------------------------------------------ errors

    def fail(self, message: str) -> NoReturn:
        """Refuse the node because it is wrong; raises `ImportModelError`."""
        raise ImportModelError(f"{self}: {message}", self.span)

    def unsupported(self, message: str) -> NoReturn:
        """Refuse the node because this version cannot do it; raises `UnsupportedError`."""
        raise UnsupportedError(f"{self}: {message}", self.span)

    # ------------------------------------------------------------------ arguments

    def arg(self, index: int) -> Expr:
        """Input `index`, which the operator requires."""
        found = self.optional(index)
        if found is None:
            self.fail(f"it needs an input {index}, but has only {len(self.inputs)} inputs")
        return found

    def args(self) -> list[Expr]:
        """All inputs of a variadic operator, at least one."""
        return [self.arg(i) for i in range(max(1, len(self.inputs)))]

    def optional(self, index: int) -> Expr | None:
        """Input `index`, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def known(self, expr: Expr | None) -> Array | None:
        """The value of `expr` where it is known while importing, else None."""
        parameters = self.scope.session.parameters
        if isinstance(expr, Constant):
            found = expr.data
        elif isinstance(expr, Var) and expr in parameters:
            found = parameters[expr]
        else:
            return None
        if found.dtype == "bfloat16":
            return codes.from_bfloat16(found.numpy())
        return found.numpy() if dtypes.is_native(found.dtype) else None

    def static(self, index: int, what: str) -> Array:
        """The value of input `index`; without one yet, the node is converted at run time."""
        found = self.known(self.arg(index))
        if found is None:
            raise Postponed(f"its {what} (input {index}) is known only at run time", index)
        return found

    def static_integers(self, index: int, what: str) -> list[int]:
        """The integers in the rank-0 or rank-1 input `index`."""
        value = self.static(index, what)
        if value.ndim > 1 or not np.issubdtype(value.dtype, np.integer):
            self.fail(f"its {what} must be a list of integers, found {value.dtype}{value.shape}")
        return [int(v) for v in value.reshape(-1)]

    def output_is_used(self, index: int) -> bool:
        """Whether anybody reads output `index`."""
        return index < len(self.outputs) and self.scope.is_used(self.outputs[index])

    def only_outputs(self, count: int) -> None:
        """Refuse the node when it has to make more than its first `count` outputs."""
        for index in range(count, len(self.outputs)):
            if self.scope.is_used(self.outputs[index]):
                self.unsupported(f"its output {index} ({self.outputs[index]!r}) is not supported")

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

    # ------------------------------------------------------------------ types

    def type_of(self, expr: Expr) -> TensorType:
        """The type of `expr`, which must be a tensor."""
        found = expr.checked_type
        if not isinstance(found, TensorType):
            self.fail(f"expected a tensor, found {found}")
        return found

    def shape(self, expr: Expr) -> tuple[int, ...]:
        """The shape of `expr`; where a size is not known yet, the node is converted at run time."""
        found = self.type_of(expr)
        if not found.is_static:
            raise Postponed(f"it needs sizes of {found} that are known only at run time")
        return found.concrete_shape

    def rank(self, expr: Expr) -> int:
        """The number of dimensions of `expr`."""
        return len(self.type_of(expr).shape)

    def dtype(self, expr: Expr) -> str:
        """The data type of `expr`."""
        return self.type_of(expr).dtype

    def element_type(self, code: int) -> str:
        """The data type that an attribute with an ONNX element type asks for."""
        return element_type(code, str(self))

    # ------------------------------------------------------------------ building

    def call(self, operator: str, *args: Expr, **attributes: object) -> Expr:
        """`operator` on `args`; a constant where all of them are."""
        try:
            op = Op.get(operator)
        except RelayError:
            self.unsupported(f"it needs the operator {operator}, which this version does not have")
        call = Call(op, args, op.declaration(**attributes), span=self.span)
        found = call.checked_type
        return folded(call, found, self._allowance) or call

    def field(self, value: Expr, index: int) -> Expr:
        """Field `index` of a tuple."""
        if isinstance(value, Tuple):
            return value.fields[index]
        return TupleGetItem(value, index, self.span)

    def tuple_of(self, fields: Sequence[Expr]) -> Tuple:
        """A tuple of `fields`."""
        return Tuple(fields, self.span)

    def constant(self, value: npt.ArrayLike, dtype: str) -> Constant:
        """A constant of `dtype`."""
        if not dtypes.is_native(dtype):
            return Constant(NDArray(codes.encode(value, dtype), dtype), self.span)
        array = np.array(value, dtypes.to_numpy(dtype), order="C")
        return Constant(NDArray(array, dtype), self.span)

    def from_tensor(self, tensor: TensorProto) -> Constant:
        """The constant stored in `tensor`."""
        data = to_ndarray(tensor)
        self._allowance.earn(data.nbytes)
        return Constant(data, self.span)

    def like(self, value: Scalar, expr: Expr) -> Constant:
        """The scalar `value` in the data type of `expr`."""
        return self.constant(value, self.dtype(expr))

    def filled(self, shape: Sequence[int], value: Scalar, dtype: str) -> Expr:
        """A tensor of `shape` with `value` everywhere."""
        size = self.check_size(shape, dtype)
        if self._allowance.folds(size, 0):
            return self.constant(np.full(tuple(shape), value), dtype)
        return self.call("full", self.constant(value, dtype), shape=tuple(shape), dtype=dtype)

    def check_size(self, shape: Sequence[int], dtype: str) -> int:
        """The bytes of a tensor of `shape`; refuses one that no machine should be asked for."""
        if any(d < 0 for d in shape):
            self.fail(f"a dimension cannot be negative, found the shape {tuple(shape)}")
        size = math.prod(shape) * dtypes.itemsize(dtype)
        if size > _MAX_VALUE:
            self.fail(f"it makes a tensor of shape {tuple(shape)}, which is {size} bytes")
        return size

    def spend(self, shape: Sequence[int], dtype: str) -> None:
        """Refuse to compute a tensor of `shape` while importing where that is too large."""
        if not self._allowance.spend(self.check_size(shape, dtype)):
            self.unsupported(f"making a tensor of shape {tuple(shape)} while importing is too much")

    def cast(self, value: Expr, dtype: str) -> Expr:
        """`value` as `dtype`; itself where it is already."""
        return value if self.dtype(value) == dtype else self.call("cast", value, dtype=dtype)

    def reshape(self, value: Expr, shape: Sequence[int]) -> Expr:
        """`value` in another `shape`; itself where it has that one already."""
        if self.shape(value) == tuple(shape):
            return value
        if math.prod(self.shape(value)) != math.prod(shape):
            self.fail(f"a tensor of shape {self.shape(value)} cannot become {tuple(shape)}")
        if math.prod(shape) == 0:  # in `newshape`, 0 stands for "as it was"
            return self.filled(shape, 0, self.dtype(value))
        return self.call("reshape", value, newshape=tuple(shape))

    def transpose(self, value: Expr, axes: Sequence[int]) -> Expr:
        """`value` with its axes in another order; itself where the order is the same."""
        if list(axes) == list(range(self.rank(value))):
            return value
        return self.call("transpose", value, axes=tuple(axes))

    def broadcast(self, value: Expr, shape: Sequence[int]) -> Expr:
        """`value` repeated to `shape` by the rules of broadcasting."""
        if self.shape(value) == tuple(shape):
            return value
        self.check_size(shape, self.dtype(value))
        return self.call("broadcast_to", value, shape=tuple(shape))

    def slice(
        self, value: Expr, begin: Sequence[int], end: Sequence[int], strides: Sequence[int]
    ) -> Expr:
        """Elements `begin` up to `end` (exclusive) in steps of `strides`, along every axis."""
        whole = all(
            (b, s) == (0, 1) and e == d
            for b, e, s, d in zip(begin, end, strides, self.shape(value), strict=True)
        )
        if whole:
            return value
        return self.call(
            "strided_slice", value, begin=tuple(begin), end=tuple(end), strides=tuple(strides)
        )

    def slice_axis(self, value: Expr, axis: int, begin: int, end: int, step: int = 1) -> Expr:
        """Elements `begin` up to `end` of one axis, all of the others."""
        ends = list(self.shape(value))
        begins, steps = [0] * len(ends), [1] * len(ends)
        begins[axis], ends[axis], steps[axis] = begin, end, step
        return self.slice(value, begins, ends, steps)

    def concatenate(self, values: Sequence[Expr], axis: int) -> Expr:
        """`values` one after the other along `axis`; those without elements do not matter."""
        present = [v for v in values if self.shape(v)[axis]] or list(values[:1])
        if len(present) == 1:
            return present[0]
        return self.call("concatenate", self.tuple_of(present), axis=axis)


def describe(name: str, op_type: str, outputs: Sequence[str]) -> str:
    """How messages name a node: by its name, or by its first output where it has none."""
    if name:
        return f"node {name!r} ({op_type})"
    return f"the {op_type} node that makes {outputs[0]!r}" if outputs else f"a {op_type} node"
