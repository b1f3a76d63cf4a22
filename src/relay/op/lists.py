"""Lists of values: the operators that reach into a ``List`` of the prelude, on the host.

A program may build and match lists constructor by constructor. These operators do in one step what
would take it as many as there are elements, and put lists of tensors together without compiling
anything for their number. Their `reference` takes and gives lists of Python in place of ``List``;
values that are elements pass through as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any as AnyValue
from typing import ClassVar, Final

import numpy as np

from relay import dtypes
from relay.ir.op import Array, Pattern, expect_tensor, operator
from relay.ir.types import (
    Any,
    Dim,
    GlobalTypeVar,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    compatible,
    join,
    scalar_type,
)
from relay.op.functions import function
from relay.op.host import ON_HOST, HostOperator
from relay.op.shapes import expect_kind, normalize_axis, put_dtype, put_ints
from relay.support.errors import InputError, TypeInferenceError

LIST: Final = GlobalTypeVar("List")
"""The data type of the prelude that these operators are about."""

_NO_GRADIENT: Final = "gradients are of tensors and tuples of them, not of lists"


def list_of(element: Type) -> TypeCall:
    """The type of lists of `element`."""
    return TypeCall(LIST, (element,))


def expect_list(name: str, type_: Type) -> Type:
    """The type of the elements of lists of `type_`; raises `TypeInferenceError` for others."""
    if not isinstance(type_, TypeCall) or type_.func != LIST:
        raise TypeInferenceError(f"{name}: expected a List, found {type_}")
    return type_.args[0]


def _expect_tensors(name: str, type_: Type) -> TensorType:
    return expect_tensor(name, "an element of values", expect_list(name, type_))


def _expect_position(name: str, type_: Type) -> None:
    found = expect_kind(name, "position", type_, "integer")
    if found.shape not in ((), (1,)):
        raise TypeInferenceError(f"{name}: position must be one number, found {found}")


def _position(name: str, position: Array, count: int, end: int) -> int:
    """`position`, which may count from the end, in a list of `count`, from 0 and before `end`."""
    number = int(position.reshape(()))
    if not -count <= number < end:
        raise InputError(
            f"{name}: there is no position {number} in a list of {count}; expected "
            + (f"{-count} .. {end - 1}" if end else "none: the list is empty")
        )
    return number + count if number < 0 else number


class ListOperator(HostOperator):
    """Base of the operators that take or give lists."""

    missing: ClassVar[dict[str, str]] = {"compute": ON_HOST, "gradient": _NO_GRADIENT}

    def made_dtype(self, given: Sequence[str]) -> str:
        """The data type of the tensors that it makes, where it is `given` tensors of these."""
        return given[0]


@operator("list.length", inputs=("values",), pattern=Pattern.OPAQUE, level=10)
class ListLength(ListOperator):
    """How many elements the list `values` has: a scalar of ``int64``. (ONNX: SequenceLength.)"""

    def infer(self, values: Type) -> Type:
        expect_list(self.name, values)
        return scalar_type("int64")

    def reference(self, values: list[AnyValue]) -> Array:
        return np.asarray(len(values), np.int64)

    def made_dtype(self, given: Sequence[str]) -> str:
        return "int64"


@operator("list.box", inputs=("values",), pattern=Pattern.OPAQUE, level=10)
class ListBox(ListOperator):
    """The list `values` of tensors, each as a tuple of its elements as a vector and of its shape.

    Lists of tensors of different ranks have one type then.
    """

    def infer(self, values: Type) -> Type:
        tensor = _expect_tensors(self.name, values)
        parts = [TensorType((Any(),), dtype) for dtype in (tensor.dtype, "int64")]
        return list_of(TupleType(parts))

    def reference(self, values: list[AnyValue]) -> list[AnyValue]:
        return [(v.reshape(-1), np.asarray(v.shape, np.int64)) for v in values]


@operator("list.at", inputs=("values", "position"), pattern=Pattern.OPAQUE, level=10)
class ListAt(ListOperator):
    """The element of the list `values` at `position`; a negative one counts from the end.

    Raises `InputError` where there is none. (ONNX: SequenceAt.)
    """

    def infer(self, values: Type, position: Type) -> Type:
        _expect_position(self.name, position)
        return expect_list(self.name, values)

    def reference(self, values: list[AnyValue], position: Array) -> AnyValue:
        return values[_position(self.name, position, len(values), len(values))]


@operator("list.insert", inputs=("values", "value", "position"), pattern=Pattern.OPAQUE, level=10)
class ListInsert(ListOperator):
    """The list `values` with `value` in front of the element at `position`.

    A negative position counts from the end; that behind the last element is the length. Raises
    `InputError` for others. (ONNX: SequenceInsert.)
    """

    def infer(self, values: Type, value: Type, position: Type) -> Type:
        _expect_position(self.name, position)
        element = expect_list(self.name, values)
        if not compatible(element, value, sizes=False):
            raise TypeInferenceError(f"{self.name}: a list of {element} cannot take a {value}")
        return list_of(join(element, value))

    def reference(self, values: list[AnyValue], value: AnyValue, position: Array) -> list[AnyValue]:
        at = _position(self.name, position, len(values), len(values) + 1)
        return [*values[:at], value, *values[at:]]


@operator("list.erase", inputs=("values", "position"), pattern=Pattern.OPAQUE, level=10)
class ListErase(ListOperator):
    """The list `values` without the element at `position`; a negative one counts from the end.

    Raises `InputError` where there is none. (ONNX: SequenceErase.)
    """

    def infer(self, values: Type, position: Type) -> Type:
        _expect_position(self.name, position)
        return list_of(expect_list(self.name, values))

    def reference(self, values: list[AnyValue], position: Array) -> list[AnyValue]:
        at = _position(self.name, position, len(values), len(values))
        return values[:at] + values[at + 1 :]


@dataclass(frozen=True, eq=False, repr=False)
class _Joining(ListOperator):
    """Base of the operators that make one tensor of a list of them.

    `shape` and `dtype` are those of an element, for lists without any: what is not known of the
    shape is 0 there.
    """

    axis: int = 0
    shape: tuple[int, ...] = ()
    dtype: str = "float32"

    def __post_init__(self) -> None:
        put_ints(self, "shape")
        put_dtype(self)

    def made_dtype(self, given: Sequence[str]) -> str:
        return self.dtype

    def _checked(self, values: Type) -> TensorType:
        """The type of an element, which has to agree with `shape` and `dtype`."""
        element = _expect_tensors(self.name, values)
        if element.dtype != self.dtype or len(element.shape) != len(self.shape):
            raise TypeInferenceError(
                f"{self.name}: shape and dtype say that elements are "
                f"{TensorType(self.shape, self.dtype)}, but they are {element}"
            )
        return element

    def _nothing(self) -> Array:
        return np.zeros(self.shape, dtypes.to_numpy(self.dtype))

    def _joined(self, values: Sequence[Array], stacked: bool, axis: int) -> Array:
        """`values` in a row; raises `InputError` naming the first that does not go with others."""
        shapes = [value.shape for value in values]
        for shape in dict.fromkeys(shapes):
            common = list(shape)
            if not stacked:
                common[axis : axis + 1] = shapes[0][axis : axis + 1]
            if tuple(common) != shapes[0]:
                raise InputError(
                    f"{self.name}: element {shapes.index(shape)} has the shape {shape}, which "
                    f"does not go with {shapes[0]} of element 0"
                )
        return np.stack(values, axis) if stacked else np.concatenate(values, axis)


@operator("list.stack", inputs=("values",), pattern=Pattern.OPAQUE, level=10)
class ListStack(_Joining):
    """The tensors in the list `values` side by side along a new axis `axis`.

    With `reverse`, the last one comes first. `count` is how many there are, if that is known.
    `shape` and `dtype` are those of an element, for lists without any: what is not known of the
    shape is 0 there. Raises `InputError` where tensors have different shapes. (ONNX:
    ConcatFromSequence with ``new_axis``, and what Loop and Scan gather.)
    """

    reverse: bool = False
    count: int | None = None

    def infer(self, values: Type) -> Type:
        element = self._checked(values)
        axis = normalize_axis(self.name, self.axis, len(element.shape) + 1)
        count: Dim = Any() if self.count is None else self.count
        return TensorType((*element.shape[:axis], count, *element.shape[axis:]), element.dtype)

    def reference(self, values: list[Array]) -> Array:
        axis = self.axis % (len(self.shape) + 1)
        if self.count is not None and self.count != len(values):
            raise InputError(f"{self.name}: expected {self.count} elements, found {len(values)}")
        if not values:
            empty: Array = np.expand_dims(self._nothing(), axis).take([], axis)
            return empty
        return self._joined(values[::-1] if self.reverse else values, True, axis)


@operator("list.concatenate", inputs=("values",), pattern=Pattern.OPAQUE, level=10)
class ListConcatenate(_Joining):
    """The tensors in the list `values` one after the other along their axis `axis`.

    `shape` and `dtype` are those of an element, for lists without any: what is not known of the
    shape is 0 there. Raises `InputError` where tensors differ along other axes. (ONNX:
    ConcatFromSequence.)
    """

    def infer(self, values: Type) -> Type:
        element = self._checked(values)
        axis = normalize_axis(self.name, self.axis, len(element.shape))
        return TensorType((*element.shape[:axis], Any(), *element.shape[axis + 1 :]), element.dtype)

    def reference(self, values: list[Array]) -> Array:
        axis = self.axis % len(self.shape)
        if not values:
            empty: Array = self._nothing().take([], axis)
            return empty
        return self._joined(values, False, axis)


@operator("list.split", inputs=("data", "sizes"), pattern=Pattern.OPAQUE, level=10)
class ListSplit(ListOperator):
    """The list of the parts that `data` is cut into along `axis`.

    Integers `sizes`: a vector says how large each part is; a scalar the size of all parts, the last
    of which may be smaller. Raises `InputError` where the sizes do not add up. (ONNX:
    SplitToSequence.)
    """

    axis: int = 0

    def infer(self, data: Type, sizes: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        found = expect_kind(self.name, "sizes", sizes, "integer")
        if len(found.shape) > 1:
            raise TypeInferenceError(f"{self.name}: sizes must be a vector, found {found}")
        axis = normalize_axis(self.name, self.axis, len(tensor.shape))
        shape: list[Dim] = list(tensor.shape)
        shape[axis] = Any()
        return list_of(TensorType(shape, tensor.dtype))

    def reference(self, data: Array, sizes: Array) -> list[Array]:
        extent, axis = data.shape[self.axis], self.axis % data.ndim
        if sizes.ndim == 0:
            step = int(sizes)
            if step <= 0:
                raise InputError(f"{self.name}: parts cannot have the size {step}")
            ends = [*range(step, extent, step), *([extent] if extent else [])]
        else:
            ends = [int(e) for e in np.cumsum(sizes)]
            if bool((sizes < 0).any()) or (ends[-1] if ends else 0) != extent:
                raise InputError(
                    f"{self.name}: {extent} elements cannot be cut into {sizes.tolist()}"
                )
        begins = [0, *ends]
        before = (slice(None),) * axis
        return [data[(*before, slice(b, e))].copy() for b, e in zip(begins, ends, strict=False)]


@operator("list.unstack", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class ListUnstack(ListOperator):
    """The list of the slices of `data` along `axis`, without that axis.

    (ONNX: SplitToSequence without ``keepdims``.)
    """

    axis: int = 0

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        axis = normalize_axis(self.name, self.axis, len(tensor.shape))
        return list_of(TensorType((*tensor.shape[:axis], *tensor.shape[axis + 1 :]), tensor.dtype))

    def reference(self, data: Array) -> list[Array]:
        return [np.array(part, order="C") for part in np.moveaxis(data, self.axis, 0)]


length = function(ListLength)
box = function(ListBox)
at = function(ListAt, own_dtype=("position",))
insert = function(ListInsert, own_dtype=("value", "position"))
erase = function(ListErase, own_dtype=("position",))
stack = function(ListStack)
concatenate = function(ListConcatenate)
split = function(ListSplit, own_dtype=("sizes",))
unstack = function(ListUnstack)

__all__ = [
    "LIST",
    "ListAt",
    "ListBox",
    "ListConcatenate",
    "ListErase",
    "ListInsert",
    "ListLength",
    "ListOperator",
    "ListSplit",
    "ListStack",
    "ListUnstack",
    "at",
    "box",
    "concatenate",
    "erase",
    "expect_list",
    "insert",
    "length",
    "list_of",
    "split",
    "stack",
    "unstack",
]
