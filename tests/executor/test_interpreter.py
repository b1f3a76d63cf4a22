"""The reference interpreter: every kind of expression, laziness, depth and its arguments."""

import numpy as np
import pytest

from relay import op
from relay.executor import create_executor
from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    GlobalVar,
    If,
    Let,
    Tuple,
    TupleGetItem,
    Var,
    const,
)
from relay.ir.module import IRModule
from relay.ir.types import Any, TensorType, TupleType, scalar_type
from relay.support.errors import InputError, RelayError


def tensor(*shape: object, dtype: str = "float32", name: str = "x") -> Var:
    return Var(name, TensorType(shape, dtype))


def run(expr: Expr, *args: object, **kwargs: object) -> object:
    found = create_executor("debug").evaluate(expr)
    result = found(*args, **kwargs) if isinstance(expr, Function) else found
    return shown(result)


def shown(value: object) -> object:
    return tuple(map(shown, value)) if isinstance(value, tuple) else value.numpy().tolist()


def test_dataflow() -> None:
    x, y = tensor(2), tensor(2, name="y")
    body = Tuple([op.add(x, y), TupleGetItem(Tuple([x, y]), 1), const(3)])
    assert run(Function([x, y], body), [1.0, 2.0], [3.0, 4.0]) == ([4.0, 6.0], [3.0, 4.0], 3)


def test_only_the_chosen_branch_is_evaluated() -> None:
    flag = tensor(dtype="bool", name="flag")
    missing = Var("missing", TensorType((2,)))
    choice = Function([flag], If(flag, const([1.0, 2.0]), missing))
    assert run(choice, True) == [1.0, 2.0]
    with pytest.raises(RelayError, match="%missing has no value"):
        run(choice, False)


def test_shared_expressions_are_evaluated_once() -> None:
    x = tensor()
    body: Expr = x
    for _ in range(64):
        body = op.add(body, body)
    assert run(Function([x], body), 1.0) == 2.0**64


def test_let_and_closures() -> None:
    x, y, twice = tensor(), tensor(name="y"), Var("twice")
    double = Function([y], op.add(op.multiply(y, 2.0), x))
    body = Let(twice, double, Call(twice, [Call(twice, [const(3.0)])]))
    assert run(Function([x], body), 1.0) == 15.0


def test_functions_as_results_and_arguments() -> None:
    x, y, f = tensor(), tensor(name="y"), Var("f")
    adder = Function([x], Function([y], op.add(x, y)))
    add_two = create_executor("debug").evaluate(adder)(2.0)
    assert shown(add_two(3.0)) == 5.0
    apply = Function([f, x], Call(f, [x]))
    assert run(Call(apply, [Function([y], op.exp(y)), const(0.0)])) == 1.0
    assert run(Call(apply, [op.get("negative"), const(2.0)])) == -2.0


def test_recursion_of_local_and_global_functions() -> None:
    n = tensor(dtype="int32", name="n")
    loop = GlobalVar("loop")
    module = IRModule()
    rest = op.add(n, Call(loop, [op.subtract(n, 1)]))
    module[loop] = Function([n], If(op.equal(n, 0), const(0), rest), scalar_type("int32"))
    total = create_executor("debug", module).evaluate(loop)
    assert shown(total(5000)) == 5000 * 5001 // 2
    f = Var("f")
    local = Function([n], If(op.equal(n, 0), const(1), op.multiply(n, Call(f, [n - const(1)]))))
    assert run(Let(f, local, Call(f, [const(5)]))) == 120


@pytest.mark.parametrize("kind", ["calls", "lets", "tuples"])
def test_depth(kind: str) -> None:
    depth, x = 100_000, tensor()
    body: Expr = x
    if kind == "calls":
        for _ in range(depth):
            body = op.add(body, x)
    elif kind == "tuples":
        for _ in range(depth):
            body = TupleGetItem(Tuple([body]), 0)
    else:
        variables = [Var(f"v{k}") for k in range(depth)]
        body = variables[-1]
        for k in reversed(range(depth)):
            body = Let(variables[k], variables[k - 1] if k else x, body)
    assert run(Function([x], body), 1.0) == (depth + 1 if kind == "calls" else 1.0)


def test_main_with_params_by_name() -> None:
    x, w = tensor(2), tensor(2, name="w")
    module = IRModule.from_expr(Function([x, w], op.multiply(x, w)))
    weight = np.array([2.0, 3.0], dtype="float32")
    main = create_executor("debug", module, params={"w": weight}).evaluate()
    assert shown(main(np.ones(2, "float32"))) == [2.0, 3.0]
    assert shown(main(x=np.ones(2, "float32"))) == [2.0, 3.0]


def test_free_variables_by_binding() -> None:
    x = tensor(2)
    assert shown(create_executor("debug").evaluate(op.exp(x), {x: [0.0, 0.0]})) == [1.0, 1.0]


def test_bfloat16_is_rounded() -> None:
    x = tensor(3, dtype="bfloat16")
    result = run(Function([x], op.cast(op.exp(x), "float32")), [0.0, 1.0, 2.0])
    np.testing.assert_allclose(result, np.exp([0.0, 1.0, 2.0]), rtol=2**-8)
    assert run(Function([x], op.cast(x, "float32")), [1.0, np.inf, 1.00390625]) == [
        1.0,
        np.inf,
        1.0,
    ]


def test_tuple_arguments() -> None:
    pair = Var("p", TupleType([TensorType((2,)), TensorType((), "int32")]))
    function = Function([pair], TupleGetItem(pair, 1))
    assert run(function, ([1.0, 2.0], 7)) == 7
    with pytest.raises(InputError, match="tuple of 2 fields"):
        run(function, [1.0])


def test_unfit_arguments_are_explained() -> None:
    function = Function([tensor(Any(), 2), tensor(name="y")], const(1))
    ones = np.ones((3, 2), "float32")
    assert run(function, ones, 1.0) == 1
    with pytest.raises(InputError, match=r"expected 2 inputs \(x, y\), found 1"):
        run(function, ones)
    with pytest.raises(InputError, match=r"x: expected .*float32.*, found .*float64"):
        run(function, ones.astype("float64"), 1.0)
    with pytest.raises(InputError, match=r"x: expected .*\?, 2.* found .*3, 3"):
        run(function, np.ones((3, 3), "float32"), 1.0)
    with pytest.raises(InputError, match="no parameter z; the function has x, y"):
        run(function, ones, z=1.0)


def test_unknown_executors_are_explained() -> None:
    with pytest.raises(RelayError, match=r"unknown kind of executor 'nope'"):
        create_executor("nope")


def test_a_constant_is_its_own_value() -> None:
    data = np.arange(3, dtype="int64")
    assert run(Constant(data)) == [0, 1, 2]
