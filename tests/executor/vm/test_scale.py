"""Depth and length of programs are no limit for the virtual machine's compiler.

All programs have `SIZE` of something, without an operator, so that nothing but the compiler works.
What takes more than time in proportion to the size is noticed: the bytecode may not grow faster.
"""

from collections.abc import Callable

import numpy as np
import pytest

import relay
from relay.executor.vm.captures import Variables
from relay.ir.expr import Call, Expr, Function, GlobalVar, If, Let, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.types import FuncType, TensorType
from relay.ir.visit import free_vars, post_order

SIZE = 2000
INT = TensorType((), "int32")
BOOL = TensorType((), "bool")
NAT = '#[version = "0.0.5"]\ntype Nat { S(Nat), Z, }\ndef @main() { Z }'

X, C = Var("x", INT), Var("c", BOOL)


def chain(size: int, first: Expr, value: Callable[[Expr], Expr]) -> Expr:
    """Lets of `value` of the variable before; the last variable."""
    bound: list[tuple[Var, Expr]] = []
    last = first
    for _ in range(size):
        bound.append((Var("v"), value(last)))
        last = bound[-1][0]
    body = last
    for variable, bound_value in reversed(bound):
        body = Let(variable, bound_value, body)
    return body


def nested(size: int, first: Expr, around: Callable[[Expr], Expr]) -> Expr:
    """`around` of what is inside, `size` times."""
    for _ in range(size):
        first = around(first)
    return first


def applied(body: Expr) -> Expr:
    return Call(Function([Var("y", INT)], body), [X])


def closure(body: Expr) -> Expr:
    f = Var("f")
    return Let(f, Function([Var("y", INT)], body), Call(f, [X]))


def recursive(body: Expr) -> Expr:
    f, y = Var("f", FuncType([INT], INT)), Var("y", INT)
    return Let(f, Function([y], If(C, body, Call(f, [y])), INT), Call(f, [X]))


def caller(function: Expr) -> Expr:
    y = Var("y", INT)
    return Function([y], Call(function, [y]))


def identity() -> Expr:
    y = Var("y", INT)
    return Function([y], y)


def shadowed(value: Expr) -> Expr:
    v = Var("v")
    return Let(v, value, v)


SHAPES: dict[str, Callable[[int], Expr]] = {
    "closures inside of each other": lambda n: nested(n, X, closure),
    "functions called where they are written": lambda n: nested(n, X, applied),
    "closures that call the one before": lambda n: Call(chain(n, identity(), caller), [X]),
    "recursive closures": lambda n: nested(n, X, recursive),
    "ifs in the first branch": lambda n: nested(n, X, lambda e: If(C, e, X)),
    "ifs in the second branch": lambda n: nested(n, X, lambda e: If(C, X, e)),
    "ifs one after the other": lambda n: chain(n, X, lambda e: If(C, e, X)),
    "ifs in conditions": lambda n: If(nested(n, C, lambda e: If(e, C, C)), X, X),
    "lets in values": lambda n: nested(n, X, shadowed),
    "tuples": lambda n: chain(n, X, lambda e: TupleGetItem(Tuple([X, e]), 1)),
    "calls in a tuple": lambda n: Tuple([Call(GlobalVar("g"), [X]) for _ in range(n)]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_expressions(name: str) -> None:
    sizes = []
    for size in (SIZE // 10, SIZE):
        module = IRModule.from_expr(Function([X, C], SHAPES[name](size)))
        module["g"] = identity()
        executable = relay.vm.compile(module)
        result = relay.vm.VirtualMachine(executable).invoke("main", 3, np.bool_(True))
        for found in result if isinstance(result, tuple) else (result,):
            assert found.item() == 3
        sizes.append(len(executable.bytecode))
    assert sizes[1] < 15 * sizes[0]


def clauses(name: str, size: int) -> int:
    """The length of the bytecode for `size` matches, placed as `name` says."""
    module = relay.parse(NAT)
    ((nat, data),) = module.type_definitions.items()
    successor, zero = data.constructors
    parameter = Var("d", relay.TypeCall(nat, []))

    def match(value: Expr, deeper: Callable[[Var], Expr]) -> Expr:
        inner = Var("p")
        pattern = relay.PatternConstructor(successor, [relay.PatternVar(inner)])
        last = relay.Clause(relay.PatternConstructor(zero, []), parameter)
        return relay.Match(value, [relay.Clause(pattern, deeper(inner)), last])

    body: Expr = parameter
    for _ in range(size):
        if name == "in the data":
            body = match(body, lambda inner: inner)
        else:
            body = match(parameter, lambda _, body=body: body)
    module["main"] = Function([parameter], body, parameter.type_annotation)
    executable = relay.vm.compile(module)
    zeros = relay.create_executor("debug", mod=relay.parse(NAT)).evaluate()()
    result = relay.vm.VirtualMachine(executable).invoke("main", zeros)
    assert result.constructor.name_hint == "Z"
    return len(executable.bytecode)


@pytest.mark.parametrize("name", ["in the data", "in a clause"])
def test_matches(name: str) -> None:
    assert clauses(name, SIZE) < 15 * clauses(name, SIZE // 10)


def test_global_functions() -> None:
    module = IRModule()
    for k in range(SIZE):
        x = Var("x", INT)
        module[f"g{k}"] = Function(
            [x], Call(GlobalVar(f"g{k + 1}"), [x]) if k < SIZE - 1 else x, INT
        )
    x = Var("x", INT)
    module["main"] = Function([x], Call(GlobalVar("g0"), [x]), INT)
    assert relay.vm.VirtualMachine(relay.vm.compile(module)).invoke("main", 4).item() == 4


def test_free_variables_of_all_functions_at_once() -> None:
    mod = relay.parse(
        '#[version = "0.0.5"]\n'
        """def @main(%x: float32, %y: float32) {
        let %f = fn(%a: float32) {
          let %g = fn(%b: float32) { if (less(%b, %x)) { add(%a, %y) } else { %f(%b) } };
          let %h = fn(%c: float32) { %g(%c) };
          %h(%x) };
        let %k = fn(%t: float32) { %t };
        (%f(%k(%x)), %k) }"""
    )
    found = Variables.of(mod["main"]).free
    functions = [node for node in post_order(mod["main"]) if isinstance(node, Function)]
    assert len(functions) == 5
    assert found == {function: tuple(free_vars(function)) for function in functions}
