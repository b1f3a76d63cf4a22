"""Structural equality and hashing."""

import numpy as np
import pytest

import relay

X = relay.var("x", shape=(2,))


def function(name: str, shape: tuple[int, ...] = (2,)) -> relay.Function:
    x = relay.var(name, shape=shape)
    return relay.Function([x], relay.op.nn.relu(relay.op.add(x, x)))


def test_names_of_bound_variables_do_not_matter() -> None:
    assert relay.structural_equal(function("x"), function("y"))
    assert relay.structural_hash(function("x")) == relay.structural_hash(function("y"))


def test_free_variables_are_themselves_unless_mapped() -> None:
    y = relay.var("y", shape=(2,))
    assert not relay.structural_equal(X + X, y + y)
    assert relay.structural_equal(X + X, y + y, map_free_vars=True)
    assert not relay.structural_equal(X + y, y + y, map_free_vars=True)
    first, second = (relay.structural_hash(e, map_free_vars=True) for e in (X + X, y + y))
    assert first == second


def test_sharing_counts() -> None:
    shared = relay.op.nn.relu(X)
    twice = relay.Tuple([shared, shared])
    apart = relay.Tuple([relay.op.nn.relu(X), relay.op.nn.relu(X)])
    assert not relay.structural_equal(twice, apart)
    assert relay.structural_equal(apart, relay.Tuple([relay.op.nn.relu(X), relay.op.nn.relu(X)]))


@pytest.mark.parametrize(
    ("left", "right", "fragment"),
    [
        (function("x"), function("x", (3,)), "is annotated Tensor[(2), float32]"),
        (X + X, X - X, "a call of add against a call of subtract"),
        (relay.Tuple([X]), relay.Tuple([X, X]), "a tuple of 1 fields against one of 2"),
        (relay.const(1), relay.const(2), "or its values"),
        (relay.op.nn.softmax(X, axis=0), relay.op.nn.softmax(X), "attributes of a call of"),
        (relay.Tuple([X, X + X]), relay.Tuple([X, X * X]), "differs at [1]"),
    ],
)
def test_the_first_difference_is_named(left, right, fragment: str) -> None:
    with pytest.raises(AssertionError) as caught:
        relay.assert_structural_equal(left, right)
    assert fragment in str(caught.value)
    assert relay.structural_hash(left) != relay.structural_hash(right)


def test_constants_compare_bit_by_bit() -> None:
    nan = np.asarray([np.nan], "float32")
    assert relay.structural_equal(relay.const(nan), relay.const(nan.copy()))
    assert not relay.structural_equal(relay.const(0.0), relay.const(-0.0))


def test_modules_compare_by_function_name() -> None:
    left = relay.IRModule.from_expr(function("x"))
    right = relay.IRModule.from_expr(function("y"))
    relay.assert_structural_equal(left, right)
    right["other"] = function("z")
    with pytest.raises(AssertionError, match="only one of the modules has @other"):
        relay.assert_structural_equal(left, right)


def test_type_parameters_are_renamed_too() -> None:
    def identity(name: str) -> relay.Function:
        a = relay.TypeVar(name)
        x = relay.Var("x", a)
        return relay.Function([x], x, a, [a])

    assert relay.structural_equal(identity("A"), identity("B"))
    assert relay.structural_hash(identity("A")) == relay.structural_hash(identity("B"))


def test_the_hash_does_not_see_whether_type_parameters_are_shared() -> None:
    text = """#[version = "0.0.5"]
def @id[A](%x: A) -> A { %x }
def @main(%v: int32) -> int32 { let %y = @id; let %z = (@id, %y); (%z.0)(%y(%v)) }
"""
    module = relay.parse(text)
    again = relay.parse(module.astext())
    relay.assert_structural_equal(module, again)
    assert relay.structural_hash(module) == relay.structural_hash(again)
