"""A fused function as tensor expressions, through the `compute` of its operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

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

    The function's `held_constants` are further inputs, after those.
    """

    inputs: tuple[te.Tensor, ...]
    outputs: tuple[te.Tensor, ...]


def operators(func: Function) -> list[str]:
    """The names of the operators that `func` calls, in order of evaluation."""
    return [
        node.op.name
        for node in post_order(func.body)
        if isinstance(node, Call) and isinstance(node.op, Op)
    ]


def function_key(func: Function) -> str:
    """A text, the same in every process and equal for functions that compute the same in one way.

    Of `held_constants` only the types count: code takes them as it takes parameters.
    """
    numbers: dict[Expr, int] = {}
    key: list[object] = []
    for parameter in func.params:
        numbers[parameter] = len(numbers)
        key.append(str(parameter.checked_type))
    for node in post_order(func.body):
        if node in numbers or isinstance(node, Op):
            continue
        numbers[node] = len(numbers)
        children = tuple(numbers[c] for c in node.children())
        match node:
            case Call(op=Op() as op, attrs=Operator() as attrs):
                key.append((op.name, attributes(attrs), children))
            case TupleGetItem():
                key.append(("get", node.index, children))
            case Tuple():
                key.append(("tuple", children))
            case Constant():
                value = node.data.numpy().tobytes() if _is_scalar(node) else None
                key.append(("constant", node.data.dtype, node.data.shape, value))
            case _:
                raise UnsupportedError(f"{type(node).__name__} inside of a fused function")
    return repr((key, numbers[func.body]))


def is_own(func: Function) -> bool:
    """Whether all operators that `func` calls are declared in this package, by no one else."""
    package = __name__.partition(".")[0]
    return all(
        type(node.attrs).__module__.partition(".")[0] == package
        for node in post_order(func.body)
        if isinstance(node, Call)
    )


def held_constants(func: Function) -> tuple[Constant, ...]:
    """The arrays that `func` holds and its code takes as further inputs, in their order.

    Scalars are none of them: they are written into the code.
    """
    return tuple(
        node
        for node in post_order(func.body)
        if isinstance(node, Constant) and not _is_scalar(node)
    )


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
    return Translated((*inputs, *held), tuple(outputs))


def _compute(op: Op, attrs: Operator, arguments: Sequence[Tensors]) -> Tensors:
    if reason := attrs.missing.get("compute"):
        raise UnsupportedError(f"the operator {op.name} cannot be compiled: {reason}")
    result: Tensors = attrs.compute(*arguments)
    return result


def _scalar(constant: Constant) -> te.Tensor:
    value = constant.data.item()
    assert not isinstance(value, str), "text does not get into compiled code"
    return te.compute((), lambda: te.const(value, constant.data.dtype), "scalar")
