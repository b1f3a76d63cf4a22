"""The inputs of an ONNX node: their values and types, and calls of operators on them.

A value known while importing is a `Constant`. `Values.call` evaluates calls on constants at once,
through the reference of the operator, so chains such as Shape -> Gather -> Concat -> Reshape leave
only static attributes behind. Of such chains on open sizes it remembers what they compute.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import FunctionProto, GraphProto, NodeProto, TensorProto

import relay.op  # noqa: F401  (declares the operators)
from relay import codes, dtypes
from relay.frontend.onnx.attributes import Attributes
from relay.frontend.onnx.captures import Captured
from relay.frontend.onnx.fold import folded
from relay.frontend.onnx.session import Session
from relay.frontend.onnx.sizes import (
    Extent,
    Open,
    constant_value,
    evaluated,
    symbol,
)
from relay.frontend.onnx.tensors import MAX_RANK, to_ndarray
from relay.ir.expr import Call, Constant, Expr, Op, Tuple, TupleGetItem, Var
from relay.ir.op import Array
from relay.ir.types import SizeVar, TensorType, Type
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError
from relay.support.source import Span

Scalar: TypeAlias = bool | int | float

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

    def value(self, name: str) -> Expr:
        """What `name` stands for."""

    def inner(
        self, graph: GraphProto, arguments: Sequence[Expr], captured: Captured | None = None
    ) -> list[Expr]:
        """The outputs of a `graph` inside of this one, for values of its inputs.

        Values from around the graph are used by way of `captured`.
        """

    def expand(
        self, function: FunctionProto, node: "Values", opsets: Mapping[str, int]
    ) -> list[Expr | None]:
        """The outputs of `function`, which `node` calls."""


class Values(Attributes):
    """A node with its inputs, in the graph `scope`."""

    def __init__(
        self,
        proto: NodeProto,
        inputs: Sequence[Expr | None],
        opset: int,
        span: Span | None,
        scope: Surroundings,
    ) -> None:
        super().__init__(proto, opset, span)
        self.inputs = tuple(inputs)
        self.scope = scope
        self._allowance = scope.session.allowance

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

    def sizes(self, index: int, what: str) -> list[Extent]:
        """The integers in input `index`, with symbols for those that are not known."""
        expr = self.arg(index)
        if self.known(expr) is not None:
            return [*self.static_integers(index, what)]
        found = self.type_of(expr)
        if len(found.shape) > 1 or not dtypes.is_integer(found.dtype):
            self.fail(f"its {what} must be a list of integers, found {found}")
        if not found.is_static:
            raise Postponed(f"the length of its {what} (input {index}) is not known", index)
        symbols = self._symbols(expr)
        if symbols is None:
            count = math.prod(found.concrete_shape)
            if count > MAX_RANK:
                self.fail(f"its {what} has {count} numbers; a tensor has at most {MAX_RANK} sizes")
            return [symbol(Open(expr, k, True)) for k in range(count)]
        return [*symbols.reshape(-1)]

    def _symbols(self, expr: Expr) -> Array | None:
        """The numbers in a vector of sizes, if `expr` is one."""
        if isinstance(expr, Constant):
            return constant_value(expr)
        return self.scope.session.symbols.get(expr)

    def fixed(self, sizes: Sequence[Extent]) -> tuple[int, ...]:
        """`sizes` as integers; where one is open, the node is converted at run time."""
        known = tuple(d for d in sizes if isinstance(d, int))
        if len(known) != len(sizes):
            raise Postponed("it needs sizes that are known only at run time")
        return known

    def output_is_used(self, index: int) -> bool:
        """Whether anybody reads output `index`."""
        return index < len(self.outputs) and self.scope.is_used(self.outputs[index])

    def only_outputs(self, count: int) -> None:
        """Refuse the node when it has to make more than its first `count` outputs."""
        for index in range(count, len(self.outputs)):
            if self.scope.is_used(self.outputs[index]):
                self.unsupported(f"its output {index} ({self.outputs[index]!r}) is not supported")

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

    def dims(self, expr: Expr) -> tuple[Extent, ...]:
        """The shape of `expr`, with symbols for open sizes."""
        found = self.scope.session.extents.get(expr)
        if found is not None:
            return found
        return tuple(
            d if isinstance(d, int) else symbol(d if isinstance(d, SizeVar) else Open(expr, k))
            for k, d in enumerate(self.type_of(expr).shape)
        )

    def rank(self, expr: Expr) -> int:
        """The number of dimensions of `expr`."""
        return len(self.type_of(expr).shape)

    def dtype(self, expr: Expr) -> str:
        """The data type of `expr`."""
        return self.type_of(expr).dtype

    # ------------------------------------------------------------------ building

    def call(self, operator: str, *args: Expr, **attributes: object) -> Expr:
        """`operator` on `args`; a constant where all of them are."""
        try:
            op = Op.get(operator)
        except RelayError:
            self.unsupported(f"it needs the operator {operator}, which this version does not have")
        call = Call(op, args, op.declaration(**attributes), span=self.span)
        found = call.checked_type
        return folded(call, found, self._allowance) or self._with_symbols(call, found)

    def _with_symbols(self, call: Call, found: Type | None) -> Expr:
        """`call`, whose value is remembered if it computes sizes; a constant if it is known."""
        if not isinstance(found, TensorType):
            return call
        value = evaluated(call, found, self._symbols, self.dims)
        if value is None:
            return call
        if all(isinstance(v, int) for v in value.flat):
            return self.constant(value.astype(np.int64), found.dtype)
        self.scope.session.symbols[call] = value
        return call

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
