import numpy as np
import pytest

from pass_helpers import add, chain, multiply, names, run_pass, tensor, weights
from relay.ir import IRModule
from relay.ir.expr import Call, Constant, Expr, Function, Tuple, TupleGetItem, const
from relay.transform.calls import make
from relay.transform.simplify_expr import SimplifyExpr, SplitToSlices

X = tensor("x", 2, 3, 4)
SCALAR = {"zero": const(0.0), "one": const(1.0), "two": const(2.0)}


def reshape(x: Expr, *shape: int) -> Expr:
    return make("reshape", x, newshape=shape)


def transpose(x: Expr, *axes: int) -> Expr:
    return make("transpose", x, axes=axes)


GONE = {
    "reshape": reshape(X, 2, 3, 4),
    "reshape there and back": reshape(reshape(X, 24), 2, 3, 4),
    "squeeze of expand_dims": make("squeeze", make("expand_dims", X, axis=1), axis=(1,)),
    "transpose": transpose(X, 0, 1, 2),
    "transpose there and back": transpose(transpose(X, 2, 0, 1), 1, 2, 0),
    "cast": make("cast", X, dtype="float32"),
    "cast there and back": make("cast", make("cast", X, dtype="float64"), dtype="float32"),
    "broadcast": make("broadcast_to", X, shape=(2, 3, 4)),
    "times one": multiply(X, const(1.0)),
    "one times": multiply(const(1.0), X),
    "plus zeros": add(X, const(np.zeros((3, 1), "float32"))),
    "minus zero": make("subtract", X, const(0.0)),
    "over one": make("divide", X, const(1.0)),
    "to the first": make("power", X, const(1.0)),
    "concatenate one": make("concatenate", Tuple([X]), axis=0),
    "whole slice": make("strided_slice", X, begin=(0,), end=(2,)),
    "pad nothing": make("nn.pad", X, const(0.0), pad_width=((0, 0),) * 3),
    "times ones": multiply(X, make("ones", shape=(2, 3, 4), dtype="float32")),
}


@pytest.mark.parametrize("body", GONE.values(), ids=GONE.keys())
def test_is_the_identity(body):
    assert run_pass(SimplifyExpr(), body) is X


KEPT = {
    "narrowing cast and back": make("cast", make("cast", X, dtype="int8"), dtype="float32"),
    "broadcasting plus zeros": add(tensor("y", 1, 4), const(np.zeros((3, 1), "float32"))),
    "zero minus": make("subtract", const(0.0), X),
    "reversing slice": make("strided_slice", X, begin=(1,), end=(-3,), strides=(-1,), axes=(0,)),
    "division by three": make("divide", X, const(3.0)),
}


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT.keys())
def test_stays(body):
    assert run_pass(SimplifyExpr(), body) is body


def test_views_become_one_reshape():
    body = make("nn.batch_flatten", make("expand_dims", reshape(X, 6, 4), axis=0))
    result = run_pass(SimplifyExpr(), body)
    assert isinstance(result, Call)
    assert names(result) == ["reshape"]
    assert result.args == (X,)


def test_transposes_become_one():
    result = run_pass(SimplifyExpr(), transpose(transpose(X, 1, 0, 2), 0, 2, 1))
    assert names(result) == ["transpose"]


def test_transpose_of_unit_axes_is_a_view():
    result = run_pass(SimplifyExpr(), transpose(tensor("x", 1, 5, 3), 1, 0, 2))
    assert names(result) == ["reshape"]


def layout(x: Expr, source: str, target: str) -> Expr:
    return make("layout_transform", x, src_layout=source, dst_layout=target)


def test_changes_of_layout_become_one_or_none():
    image = tensor("x", 1, 16, 5, 5)
    blocked = layout(image, "NCHW", "NCHW8c")
    assert run_pass(SimplifyExpr(), layout(blocked, "NCHW8c", "NCHW")) is image
    result = run_pass(SimplifyExpr(), layout(blocked, "NCHW8c", "NHWC"))
    assert names(result) == ["layout_transform"]


def test_changes_of_layout_that_move_nothing_are_views():
    cases = [
        (tensor("x", 1, 3, 5, 5), "NCHW", "NCHW1c"),
        (tensor("x", 2, 16, 1, 1), "NCHW", "NCHW8c"),
        (tensor("x", 2, 2, 1, 1, 8), "NCHW8c", "NCHW"),
        (tensor("x", 2, 1, 5, 5), "NCHW", "NHWC"),
    ]
    for x, source, target in cases:
        assert names(run_pass(SimplifyExpr(), layout(x, source, target))) == ["reshape"]
    moved = layout(tensor("x", 2, 16, 1, 3), "NCHW", "NCHW8c")
    assert run_pass(SimplifyExpr(), moved) is moved


def test_filled_tensors_become_scalars():
    body = add(X, make("full", const(2.5), shape=(2, 3, 4), dtype="float32"))
    result = run_pass(SimplifyExpr(), body)
    assert isinstance(result, Call)
    assert names(result) == ["add"]
    assert isinstance(result.args[1], Constant)
    assert result.args[1].data.shape == ()


def test_constants_of_two_additions_are_added():
    result = run_pass(SimplifyExpr(), add(weights(4, seed=2), add(weights(4), X)))
    assert names(result) == ["add"]


def test_constants_that_would_grow_stay_apart():
    body = add(add(X, weights(3, 1)), weights(4))
    assert names(run_pass(SimplifyExpr(), body)) == ["add", "add"]


def test_division_by_a_power_of_two_is_a_multiplication():
    assert names(run_pass(SimplifyExpr(), make("divide", X, const(8.0)))) == ["multiply"]


def test_division_inside_of_a_smooth_function_is_a_multiplication():
    rounded = make("erf", make("divide", X, const(2.0**0.5)))
    assert names(run_pass(SimplifyExpr(), rounded)) == ["multiply", "erf"]
    kept = make("floor", make("divide", X, const(49.0)))  # 49 * (1 / 49) is less than 1
    assert names(run_pass(SimplifyExpr(), kept)) == ["divide", "floor"]


def test_integer_division_stays():
    body = make("divide", tensor("i", 4, dtype="int32"), const(2, "int32"))
    assert names(run_pass(SimplifyExpr(), body)) == ["divide"]


def test_square():
    assert names(run_pass(SimplifyExpr(), make("power", X, const(2.0)))) == ["multiply"]


def test_parts_of_a_split_become_slices():
    parts = make("split", X, indices_or_sections=(1, 3), axis=2)
    body = Tuple([chain(TupleGetItem(parts, i), "exp") for i in (0, 1, 2)])
    assert names(run_pass(SplitToSlices(), body)) == ["strided_slice", "exp"] * 3
    halves = TupleGetItem(make("split", X, indices_or_sections=2, axis=-1), 1)
    assert names(run_pass(SplitToSlices(), halves)) == ["strided_slice"]


def test_nothing_to_do_returns_the_module_itself():
    module = IRModule.from_expr(Function((X,), chain(X, "exp")))
    assert SimplifyExpr()(module) is module
