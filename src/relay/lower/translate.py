"""A fused function as tensor expressions, through the `compute` of its operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from relay import te
from relay.ir.expr import Call, Constant, Expr, Function, Op, Tuple, TupleGetItem, Var
from relay.ir.op import Operator, attributes
from relay.ir.types import TensorType, TupleType, Type, flatten_tensor_types
from relay.ir.visit import post_order
from relay.support.errors import UnsupportedError

Tensors: TypeAlias = "te.Tensor | tuple[Tensors, ...]"


@dataclass(frozen=True)
class Translated:
    """`outputs` computed from `inputs`: one for each tensor of each parameter, in order.

    `constants` are further inputs, after those: arrays that the function itself holds.
    """

    inputs: tuple[te.Tensor, ...]
    outputs: tuple[te.Tensor, ...]
    constants: tuple[Constant, ...]


def operators(func: Function) -> list[str]:
    """The names of the operators that `func` calls, in order of evaluation."""
    return [
        node.op.name
        for node in post_order(func.body)
        if isinstance(node, Call) and isinstance(node.op, Op)
    ]


def function_key(func: Function) -> tuple[object, ...]:
    """A hashable value, equal for functions that compute the same in the same way."""
    numbers: dict[Expr, int] = {}
    key: list[object] = []
    for parameter in func.params:
        numbers[parameter] = len(numbers)
        key.append(parameter.checked_type)
    for node in post_order(func.body):
        if node in numbers or isinstance(node, Op):
            continue
        numbers[node] = len(numbers)
        children = tuple(numbers[c] for c in node.children())
        match node:
            case Call(op=Op() as op, attrs=Operator() as attrs):
                fields = tuple((n, repr(v)) for n, v in attributes(attrs).items())
                key.append((op.name, fields, children))
            case TupleGetItem():
                key.append(("get", node.index, children))
            case Tuple():
                key.append(("tuple", children))
            case Constant():
                same = node.data.numpy().tobytes() if _is_scalar(node) else id(node)
                key.append(("constant", node.data.dtype, node.data.shape, same))
            case _:
                raise UnsupportedError(f"{type(node).__name__} inside of a fused function")
    return tuple(key)


def _is_scalar(constant: Constant) -> bool:
    return constant.data.shape == ()


def _placeholders(type_: Type, name: str, found: list[te.Tensor]) -> Tensors:
    if isinstance(type_, TupleType):
        return tuple(_placeholders(f, f"{name}_{k}", found) for k, f in enumerate(type_.fields))
    assert isinstance(type_, TensorType)
    tensor = te.placeholder(type_.concrete_shape, type_.dtype, name)
    found.append(tensor)
    return tensor


def _flatten(value: Tensors) -> list[te.Tensor]:
    if isinstance(value, te.Tensor):
        return [value]
    return [t for v in value for t in _flatten(v)]


def translate(func: Function) -> Translated:
    """The meaning of a fused function as tensor expressions.

    Raises `UnsupportedError` naming the operator where one has no tensor expression.
    """
    inputs: list[te.Tensor] = []
    values: dict[Expr, Tensors] = {}
    for k, parameter in enumerate(func.params):
        values[parameter] = _placeholders(parameter.checked_type, f"p{k}", inputs)
    constants: list[Constant] = []
    held: list[te.Tensor] = []
    for node in post_order(func.body):
        match node:
            case Op() | Var():
                continue
            case Call(op=Op() as op, attrs=Operator() as attrs):
                values[node] = _compute(op, attrs, [values[a] for a in node.args])
            case Tuple():
                values[node] = tuple(values[f] for f in node.fields)
            case TupleGetItem():
                whole = values[node.tuple_value]
                assert isinstance(whole, tuple)
                values[node] = whole[node.index]
            case Constant() if _is_scalar(node):
                values[node] = _scalar(node)
            case Constant():
                tensor = te.placeholder(node.data.shape, node.data.dtype, f"c{len(held)}")
                constants.append(node)
                held.append(tensor)
                values[node] = tensor
            case _:
                raise UnsupportedError(f"{type(node).__name__} inside of a fused function")
    outputs = _flatten(values[func.body])
    expected = flatten_tensor_types(func.body.checked_type)
    for tensor, type_ in zip(outputs, expected, strict=True):
        if tensor.static_shape != type_.concrete_shape or tensor.dtype != type_.dtype:
            raise UnsupportedError(
                f"the tensor expression of {', '.join(operators(func))} gives "
                f"{tensor.dtype}{list(tensor.shape)}, but its type says {type_}"
            )
    return Translated((*inputs, *held), tuple(outputs), tuple(constants))


def _compute(op: Op, attrs: Operator, arguments: Sequence[Tensors]) -> Tensors:
    if reason := attrs.missing.get("compute"):
        raise UnsupportedError(f"the operator {op.name} cannot be compiled: {reason}")
    result: Tensors = attrs.compute(*arguments)
    return result


def _scalar(constant: Constant) -> te.Tensor:
    value = np.asarray(constant.data.numpy()).reshape(()).item()
    return te.compute((), lambda: te.const(value, constant.data.dtype), "scalar")
