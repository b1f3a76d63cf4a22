"""Passes on branches and functions nested in each other: time in proportion to their number.

`SIZE` is such that a pass that looks at all scopes around each one would take minutes.
"""

from collections.abc import Callable

import pytest

import relay
from relay.ir.expr import Call, Expr, Function, If, Let, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import post_order
from relay.transform import (
    DeadCodeElimination,
    FoldConstant,
    InlineCalls,
    LambdaLift,
    PartialEvaluate,
    Pass,
    ToANormalForm,
    ToBasicBlockNormalForm,
    ToGraphNormalForm,
)

SIZE = 3000
X, C = Var("x", TensorType((), "int32")), Var("c", TensorType((), "bool"))


def first(inside: Expr) -> Expr:
    return If(C, relay.add(X, inside), relay.subtract(X, X))


def second(inside: Expr) -> Expr:
    return If(C, relay.subtract(X, X), relay.add(X, inside))


def closure(inside: Expr) -> Expr:
    f = Var("f")
    return Let(f, Function([Var("y", X.type_annotation)], inside), Call(f, [X]))


@pytest.mark.parametrize("around", [first, second, closure])
@pytest.mark.parametrize(
    "step",
    [
        DeadCodeElimination(),
        FoldConstant(),
        InlineCalls(),
        LambdaLift(),
        PartialEvaluate(),
        ToANormalForm(),
        ToBasicBlockNormalForm(),
        ToGraphNormalForm(),
    ],
    ids=lambda step: type(step).__name__,
)
def test_nested(step: Pass, around: Callable[[Expr], Expr]) -> None:
    body: Expr = X
    for _ in range(SIZE):
        body = around(body)
    module = relay.infer_types(IRModule.from_expr(Function([X, C], body)))
    after = relay.infer_types(step(module))
    assert after["main"].checked_type == module["main"].checked_type
    if around is not closure:
        assert sum(isinstance(node, If) for node in post_order(after["main"])) == SIZE
