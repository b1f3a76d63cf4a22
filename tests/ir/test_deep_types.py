"""Types that nest deeply: everything that is asked of types, without recursion, in linear time."""

import copy
from collections.abc import Callable

import pytest

import relay
from relay.ir.expr import Call, Expr, Function, If, Let, Tuple, Var
from relay.ir.kind import check_kind
from relay.ir.module import IRModule
from relay.ir.types import (
    Any,
    FuncType,
    GlobalTypeVar,
    RefType,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    TypeKind,
    TypeVar,
    compatible,
    is_complete,
    is_dynamic,
    join,
    substitute_types,
)
from relay.support.errors import TypeInferenceError

DEPTH = 20_000
INT = TensorType((), "int32")
VECTOR, DYNAMIC = TensorType((3,), "int32"), TensorType((Any(),), "int32")
LIST = GlobalTypeVar("List")

KINDS: dict[str, Callable[[Type], Type]] = {
    "tuples": lambda t: TupleType([INT, t]),
    "functions": lambda t: FuncType([INT], t),
    "arguments": lambda t: FuncType([t], INT),
    "polymorphic functions": lambda t: FuncType([], t, [TypeVar("A")]),
    "references": RefType,
    "data": lambda t: TypeCall(LIST, [t]),
}
WRITTEN = [name for name in KINDS if name not in ("data", "polymorphic functions")]


def deep(name: str, inside: Type = INT, depth: int = DEPTH) -> Type:
    for _ in range(depth):
        inside = KINDS[name](inside)
    return inside


@pytest.mark.parametrize("name", KINDS)
def test_questions(name: str) -> None:
    one, other, wrong = deep(name), deep(name), deep(name, TensorType((), "int64"))
    assert one == other
    assert hash(one) == hash(other)
    assert one != wrong
    assert copy.copy(one) == other
    assert str(one).count("int32") >= str(wrong).count("int32")
    assert relay.structural_equal(one, other)
    assert not relay.structural_equal(one, wrong)
    assert relay.structural_hash(one) == relay.structural_hash(other)
    assert is_complete(one)
    assert not is_complete(deep(name, relay.IncompleteType()))
    assert check_kind(one) is TypeKind.Type
    variable = TypeVar("A")
    assert substitute_types(deep(name, variable), {variable: INT}) == one
    assert relay.analysis.free_type_vars(deep(name, variable)) == [variable]


@pytest.mark.parametrize("name", KINDS)
def test_sizes_that_are_not_known(name: str) -> None:
    known, unknown = deep(name, VECTOR), deep(name, DYNAMIC)
    assert is_dynamic(unknown)
    assert compatible(known, unknown)
    assert not compatible(deep(name), unknown)
    if name in ("tuples", "data"):
        assert join(known, unknown) == unknown


def test_join_tells_uses_of_one_type_apart() -> None:
    found = join(TupleType([VECTOR, VECTOR]), TupleType([DYNAMIC, VECTOR]))
    assert found == TupleType([DYNAMIC, VECTOR])


def test_types_that_share_their_parts_are_as_large_as_what_differs() -> None:
    def shared() -> Type:
        type_: Type = INT
        for _ in range(200):
            type_ = TupleType([type_, type_])
        return type_

    variable = TypeVar("A")
    assert shared() == shared()
    assert hash(shared()) == hash(shared())
    assert is_complete(substitute_types(shared(), {variable: INT}))


@pytest.mark.parametrize("name", KINDS)
def test_visitors(name: str) -> None:
    class Leaves(relay.TypeVisitor):
        found = 0

        def visit_tensor_type(self, tt: TensorType) -> None:
            self.found += 1

    class ToVector(relay.TypeMutator):
        def visit_tensor_type(self, tt: TensorType) -> Type:
            return VECTOR if tt is innermost else tt

    innermost = TensorType((), "int64")
    leaves = Leaves()
    leaves.visit(deep(name, innermost))
    assert leaves.found > 0
    assert ToVector().visit(deep(name, innermost)) == deep(name, VECTOR)
    unchanged = deep(name)
    assert ToVector().visit(unchanged) is unchanged


@pytest.mark.parametrize("name", WRITTEN)
def test_text(name: str) -> None:
    x = Var("x", deep(name))
    module = relay.infer_types(IRModule.from_expr(Function([x], x)))
    again = relay.parse(module.astext())
    relay.assert_structural_equal(again, module)
    assert again.astext() == module.astext()


def test_types_in_comments_are_cut_off() -> None:
    body: Expr = Var("x", INT)
    function = Function([body], body)
    for _ in range(2000):
        body = Tuple([body])
    module = relay.infer_types(IRModule.from_expr(function.with_body(body)))
    assert len(module.astext()) < 2000 * 2500
    relay.assert_structural_equal(relay.parse(module.astext()), module)


@pytest.mark.parametrize("name", WRITTEN)
def test_programs_are_typed(name: str) -> None:
    x, y, c = Var("x", deep(name)), Var("y", deep(name)), Var("c", TensorType((), "bool"))
    z = Var("z")
    body = Let(z, Call(Function([y], y), [x]), If(c, z, x))
    typed = relay.infer_types(IRModule.from_expr(Function([x, c], body)))["main"]
    assert typed.ret_type == x.type_annotation
    wrong = Let(Var("z", deep(name, TensorType((), "int64"))), x, x)
    with pytest.raises(TypeInferenceError, match="the let declares"):
        relay.infer_types(IRModule.from_expr(Function([x], wrong)))
