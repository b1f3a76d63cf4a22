"""What the tests of passes share: building calls, evaluating by reference, comparing."""

from collections.abc import Sequence

import numpy as np

from relay.ir import IRModule
from relay.ir.expr import Call, Constant, Expr, Function, Let, Op, Tuple, TupleGetItem, Var, const
from relay.ir.types import TensorType
from relay.ir.visit import free_vars, post_order
from relay.transform.base import Pass
from relay.transform.calls import make

Value = np.ndarray | tuple["Value", ...]


def tensor(name: str, *shape: int, dtype: str = "float32") -> Var:
    """A variable of a tensor type."""
    return Var(name, TensorType(shape, dtype))


def weights(*shape: int, seed: int = 1, dtype: str = "float32") -> Constant:
    """A constant of random numbers."""
    return const(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def positive(*shape: int, seed: int = 1) -> Constant:
    """A constant of random numbers between 0.5 and 1.5."""
    return const((0.5 + np.random.default_rng(seed).random(shape)).astype("float32"))


def chain(x: Expr, *names: str) -> Expr:
    """``x`` through unary operators, the first name innermost."""
    for name in names:
        x = make(name, x)
    return x


def add(x: Expr, y: Expr) -> Call:
    return make("add", x, y)


def multiply(x: Expr, y: Expr) -> Call:
    return make("multiply", x, y)


def evaluate(function: Function, arguments: Sequence[Value]) -> Value:
    """The result of a function by the references of its operators."""
    values: dict[Expr, Value] = dict(zip(function.params, arguments, strict=True))
    lets = {n.variable: n for n in post_order(function.body, False) if isinstance(n, Let)}

    def value_of(node: Expr) -> Value:
        while node in lets:
            node = lets[node].value
        return values[node]

    for node in post_order(function.body, enter_primitive=False):
        match node:
            case Constant():
                values[node] = node.data.numpy()
            case Tuple():
                values[node] = tuple(value_of(f) for f in node.fields)
            case TupleGetItem():
                values[node] = value_of(node.tuple_value)[node.index]
            case Call(op=Op()):
                values[node] = node.attrs.reference(*(value_of(a) for a in node.args))
            case Call(op=Function() as callee):
                values[node] = evaluate(callee, [value_of(a) for a in node.args])
            case Let():
                values[node] = value_of(node.body)
            case Var() | Function():
                pass
            case _:
                raise TypeError(type(node).__name__)
    return value_of(function.body)


def random_arguments(function: Function, seed: int = 0) -> list[Value]:
    rng = np.random.default_rng(seed)
    found: list[Value] = []
    for parameter in function.params:
        type_ = parameter.checked_type
        assert isinstance(type_, TensorType)
        found.append(rng.standard_normal(type_.concrete_shape).astype(type_.dtype))
    return found


def assert_same_results(before: Function, after: Function) -> None:
    """Both compute the same of the same random arguments, and have the same type."""
    assert after.checked_type == before.checked_type
    arguments = random_arguments(before)
    old, new = evaluate(before, arguments), evaluate(after, arguments)
    for a, b in zip(flat(old), flat(new), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


def flat(value: Value) -> list[np.ndarray]:
    if isinstance(value, tuple):
        return [array for field in value for array in flat(field)]
    return [np.asarray(value)]


def run_pass(step: Pass, body: Expr, parameters: Sequence[Var] | None = None) -> Expr:
    """The body of ``@main`` after a pass; the meaning must not change."""
    function = Function(free_vars(body) if parameters is None else parameters, body)
    result = step(IRModule.from_expr(function))["main"]
    assert_same_results(function, result)
    return result.body


def names(expr: Expr) -> list[str]:
    """The names of the operators called in `expr`, producers first, primitive functions opened."""
    return [n.op.name for n in post_order(expr) if isinstance(n, Call) and isinstance(n.op, Op)]


def groups(expr: Expr) -> list[list[str]]:
    """The operator names of each primitive function that is called in `expr`, in order."""
    return [
        names(node.op.body)
        for node in post_order(expr, enter_primitive=False)
        if isinstance(node, Call) and isinstance(node.op, Function)
    ]
