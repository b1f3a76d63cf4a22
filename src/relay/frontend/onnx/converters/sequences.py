"""Sequences and optional values; what is known of them while importing is decided at once."""

from typing import Final

import numpy as np

from relay.frontend.onnx.containers import (
    chain,
    coerced,
    constructor,
    joined_elements,
    known_elements,
    known_presence,
    list_element,
    nil,
    none,
    open_type,
    option_content,
    some,
)
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.types import from_onnx_type
from relay.ir.expr import Expr, Var
from relay.ir.match import Clause, Match
from relay.ir.patterns import PatternConstructor, PatternVar, PatternWildcard
from relay.ir.types import TensorType, Type

#: A tensor is cut into so many parts at most while importing; of more the host makes a list.
_PARTS: Final = 64


def _sequence(node: Node, index: int) -> tuple[Expr, Type]:
    """Input `index`, which must be a sequence, and the type of its elements."""
    value = node.arg(index)
    element = list_element(value.checked_type)
    if element is None:
        node.fail(f"its input {index} must be a sequence, found {value.checked_type}")
    return value, element


def _as(node: Node, value: Expr, type_: Type) -> Expr:
    found = coerced(value, type_)
    if found is None:
        node.unsupported(f"a value of type {value.checked_type} cannot become a {type_}")
    return found


def _common(node: Node, a: Type, b: Type) -> Type:
    found = joined_elements(a, b)
    if found is None:
        node.unsupported(f"a sequence of {a} cannot have an element of type {b}")
    return found


def _list(node: Node, values: list[Expr], element: Type) -> Expr:
    """The list of `values`, known while importing, and of elements of type `element`."""
    for value in values:
        element = _common(node, element, value.checked_type)
    return chain([_as(node, v, element) for v in values], element, node.span)


def _position(node: Node, index: int) -> tuple[Expr, int | None]:
    """Input `index`, a position, as a scalar, and its value if that is known."""
    position = node.arg(index)
    type_ = node.type_of(position)
    if type_.dtype not in ("int32", "int64") or type_.shape not in ((), (1,)):
        node.fail(f"its position must be one integer, found {type_}")
    known = node.known(position)
    return position, None if known is None else int(known.reshape(()))


def _inside(node: Node, position: int, count: int, end: int) -> int:
    """`position` in a sequence of `count` elements, from 0; it must be before `end`."""
    if not -count <= position < end:
        node.fail(f"there is no position {position} in a sequence of {count} elements")
    return position + count if position < 0 else position


# ---------------------------------------------------------------- making sequences


@onnx_op("", "SequenceConstruct")
def construct(node: Node) -> Expr:
    """A sequence of given values."""
    values = node.args()
    return _list(node, values, values[0].checked_type)


@onnx_op("", "SequenceEmpty")
def empty(node: Node) -> Expr:
    """A sequence without elements, of a data type."""
    dtype = node.element_type(node.integer("dtype")) if node.has("dtype") else "float32"
    return nil(open_type(dtype), node.span)


@onnx_op("", "SequenceInsert")
def insert(node: Node) -> Expr:
    """A sequence with one more element: in front of a position, or at the end."""
    (values, element), value = _sequence(node, 0), node.arg(1)
    known = known_elements(values)
    at: int | None = None if known is None else len(known)
    position: Expr | None = None
    if node.optional(2) is not None:
        position, at = _position(node, 2)
    if known is not None and at is not None:
        place = _inside(node, at, len(known), len(known) + 1)
        return _list(node, [*known[:place], value, *known[place:]], element)
    element = _common(node, element, value.checked_type)
    values = _as(node, values, _list_type(values, element))
    if position is None:
        position = node.call("list.length", values)
    return node.call("list.insert", values, _as(node, value, element), position)


def _list_type(values: Expr, element: Type) -> Type:
    """The type of `values` with elements of type `element`."""
    found = values.checked_type
    return found.rebuild([found.children()[0], element])


@onnx_op("", "SequenceErase")
def erase(node: Node) -> Expr:
    """A sequence without the element at a position, or without the last one."""
    values, element = _sequence(node, 0)
    known = known_elements(values)
    position: Expr = node.constant(-1, "int64")
    at: int | None = -1
    if node.optional(1) is not None:
        position, at = _position(node, 1)
    if known is not None and at is not None:
        place = _inside(node, at, len(known), len(known))
        return chain([*known[:place], *known[place + 1 :]], element, node.span)
    return node.call("list.erase", values, position)


# ---------------------------------------------------------------- asking sequences


@onnx_op("", "SequenceAt")
def element_at(node: Node) -> Expr:
    """The element at a position."""
    values, _ = _sequence(node, 0)
    position, at = _position(node, 1)
    known = known_elements(values)
    if known is not None and at is not None:
        return known[_inside(node, at, len(known), len(known))]
    return node.call("list.at", values, position)


@onnx_op("", "SequenceLength")
def length(node: Node) -> Expr:
    """How many elements there are."""
    values, _ = _sequence(node, 0)
    known = known_elements(values)
    if known is not None:
        return node.constant(len(known), "int64")
    return node.call("list.length", values)


# ---------------------------------------------------------------- tensors and sequences


@onnx_op("", "ConcatFromSequence")
def concatenate(node: Node) -> Expr:
    """The tensors of a sequence along one axis, which may be a new one."""
    values, element = _sequence(node, 0)
    if not isinstance(element, TensorType):
        node.fail(f"it needs a sequence of tensors, found one of {element}")
    new = bool(node.integer("new_axis", 0))
    known = known_elements(values)
    rank = len(element.shape)
    axis = node.axis("axis", rank + new)
    if known:
        operator = "stack" if new else "concatenate"
        return node.call(operator, node.tuple_of(known), axis=axis)
    return node.call(
        "list.stack" if new else "list.concatenate",
        values,
        axis=axis,
        shape=tuple(d if isinstance(d, int) else 0 for d in element.shape),
        dtype=element.dtype,
    )


@onnx_op("", "SplitToSequence")
def split(node: Node) -> Expr:
    """The parts of a tensor along an axis, of size 1 or of given sizes."""
    value = node.arg(0)
    type_ = node.type_of(value)
    axis = node.axis("axis", len(type_.shape), 0)
    extent = type_.shape[axis]
    drop = node.optional(1) is None and not node.integer("keepdims", 1)
    sizes: Expr = node.arg(1) if node.optional(1) is not None else node.constant(1, "int64")
    wanted = node.known(sizes)
    if isinstance(extent, int) and wanted is not None:
        parts = _part_sizes(node, wanted, extent)
        if len(parts) <= _PARTS:
            return _parts(node, value, axis, parts, drop)
    if drop:
        return node.call("list.unstack", value, axis=axis)
    return node.call("list.split", value, sizes, axis=axis)


def _part_sizes(
    node: Node, wanted: np.ndarray[tuple[int, ...], np.dtype[np.generic]], extent: int
) -> list[int]:
    """The sizes of the parts of `extent` elements, of which `wanted` says one or all."""
    if wanted.ndim == 0:
        step = int(wanted)
        if step <= 0:
            node.fail(f"parts cannot have the size {step}")
        return [min(step, extent - begin) for begin in range(0, extent, step)]
    sizes = [int(s) for s in wanted]
    if sum(sizes) != extent or any(s < 0 for s in sizes):
        node.fail(f"{extent} elements cannot be cut into {sizes}")
    return sizes


def _parts(node: Node, value: Expr, axis: int, sizes: list[int], drop: bool) -> Expr:
    type_ = node.type_of(value)
    element = TensorType(
        (*type_.shape[:axis], *([] if drop else [0]), *type_.shape[axis + 1 :]), type_.dtype
    )
    if not sizes:
        return nil(element, node.span)
    if len(sizes) == 1:
        parts = [value]
    else:
        at = tuple(int(p) for p in np.cumsum(sizes[:-1]))
        cut = node.call("split", value, indices_or_sections=at, axis=axis)
        parts = [node.field(cut, k) for k in range(len(sizes))]
    if drop:
        parts = [node.call("squeeze", part, axis=(axis,)) for part in parts]
    return _list(node, parts, parts[0].checked_type)


# ---------------------------------------------------------------- optional values


@onnx_op("", "Optional")
def optional(node: Node) -> Expr:
    """A value that is there; without one, the lack of a value of the type that is said."""
    value = node.optional(0)
    if value is not None:
        if option_content(value.checked_type) is not None:
            node.fail("its input is an optional value already")
        return some(value, node.span)
    found = node.type("type")
    if found is None:
        node.fail("it has neither an input nor the attribute 'type'")
    return none(from_onnx_type(found, str(node)), node.span)


@onnx_op("", "OptionalHasElement")
def has_element(node: Node) -> Expr:
    """Whether a value is there; all but optional ones are, and inputs that are left out are not."""
    value = node.optional(0)
    present = False if value is None else known_presence(value)
    if value is None or present is not None:
        return node.constant(bool(present), "bool")
    clauses = [
        Clause(PatternConstructor(constructor("Some"), [PatternWildcard()]), _truth(node, True)),
        Clause(PatternConstructor(constructor("None")), _truth(node, False)),
    ]
    return Match(value, clauses, True, node.span)


def _truth(node: Node, value: bool) -> Expr:
    return node.constant(value, "bool")


@onnx_op("", "OptionalGetElement")
def get_element(node: Node) -> Expr:
    """The value that is there; one that is not optional is it itself."""
    value = node.arg(0)
    content = option_content(value.checked_type)
    if content is None:
        return value
    present = known_presence(value)
    if present is False:
        node.fail("there is no value in its input")
    if present:
        return value.children()[1]
    inside = Var("value", content)
    pattern = PatternConstructor(constructor("Some"), [PatternVar(inside)])
    return Match(value, [Clause(pattern, inside)], False, node.span)
