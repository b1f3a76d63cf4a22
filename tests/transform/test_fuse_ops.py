import time

import numpy as np
import pytest

import relay
from pass_helpers import add, chain, groups, multiply, names, run_pass, tensor, weights
from relay.ir import IRModule
from relay.ir.equal import structural_equal
from relay.ir.expr import Call, Constant, Expr, Function, Tuple, const
from relay.ir.visit import free_vars, post_order
from relay.transform.base import PassContext
from relay.transform.calls import make
from relay.transform.defuse_ops import DefuseOps
from relay.transform.fuse_ops import FuseOps

X = tensor("x", 4, 8)
CONV = {"padding": (1, 1)}


def fused(body: Expr, level: int = 1, **options: int) -> list[list[str]]:
    return groups(run_pass(FuseOps(fuse_opt_level=level, **options), body))


def dense(x: Expr, units: int = 8) -> Expr:
    return make("nn.dense", x, weights(units, x.checked_type.shape[-1]))


def conv(x: Expr, channels: int = 4) -> Expr:
    return make("nn.conv2d", x, weights(channels, x.checked_type.shape[1], 3, 3), **CONV)


def test_elementwise_chain_is_one_group():
    assert fused(chain(X, "exp", "tanh", "nn.relu")) == [["exp", "tanh", "nn.relu"]]


def test_level_zero_keeps_every_operator_apart():
    assert fused(chain(X, "exp", "tanh"), level=0) == [["exp"], ["tanh"]]


def test_level_of_the_context_is_the_default():
    body = chain(X, "exp", "tanh")
    with PassContext(opt_level=0):
        assert len(groups(run_pass(FuseOps(), body))) == 2
    with PassContext(opt_level=1):
        assert len(groups(run_pass(FuseOps(), body))) == 1


def test_diamond_is_one_group():
    x = make("exp", X)
    assert fused(multiply(x, make("sigmoid", x))) == [["exp", "sigmoid", "multiply"]]


def test_dense_takes_its_epilogue():
    body = make("nn.relu", add(dense(X), weights(8)))
    assert fused(body) == [["nn.dense", "add", "nn.relu"]]


def test_residual_add_joins_the_later_convolution_only():
    image = tensor("x", 1, 4, 6, 6)
    start = make("nn.relu", conv(image))
    body = make("nn.relu", add(conv(start), start))
    assert fused(body) == [["nn.conv2d", "nn.relu"], ["nn.conv2d", "add", "nn.relu"]]


def test_two_anchors_are_never_in_one_group():
    assert fused(add(dense(X), dense(X))) == [["nn.dense"], ["nn.dense", "add"]]
    assert fused(dense(dense(X))) == [["nn.dense"], ["nn.dense"]]


def test_nothing_is_fused_into_an_anchor():
    assert fused(dense(make("exp", X))) == [["exp"], ["nn.dense"]]


def test_shared_producer_is_not_duplicated():
    x = make("exp", X)
    body = Tuple([make("tanh", x), make("nn.relu", x)])
    assert fused(body) == [["exp"], ["tanh"], ["nn.relu"]]


def test_elementwise_and_injective_producers_join_reductions():
    body = make("sum", make("exp", make("transpose", X)), axis=(1,))
    assert fused(body) == [["transpose", "exp", "sum"]]


def test_a_reduction_starts_nothing():
    body = make("exp", make("sum", X, axis=(1,)))
    assert fused(body) == [["sum"], ["exp"]]


def test_transpose_of_reshape_joins_dense_but_the_last_view_stays_outside():
    heads = make("transpose", make("reshape", dense(X), newshape=(4, 2, 4)), axes=(1, 0, 2))
    assert fused(heads) == [["nn.dense", "reshape", "transpose"]]
    flat = make("reshape", heads, newshape=(2, 16))
    assert fused(flat) == [["nn.dense", "reshape", "transpose"], ["reshape"]]


def test_a_transpose_next_to_another_use_stays_outside():
    square = make("nn.dense", tensor("x", 8, 8), weights(8, 8))
    body = add(make("transpose", square), square)
    assert fused(body)[0] == ["nn.dense"]


def test_views_at_the_borders_are_groups_that_only_reshape():
    body = make("exp", make("reshape", X, newshape=(8, 4)))
    body = make("reshape", body, newshape=(32,))
    result = run_pass(FuseOps(fuse_opt_level=1), body)
    assert groups(result) == [["reshape"], ["exp"], ["reshape"]]
    functions = [n for n in post_order(result, False) if isinstance(n, Function)]
    assert [f.attrs.get("reshape_only") for f in functions] == [1, None, 1]


def test_concatenate_keeps_its_tuple_and_takes_its_producers():
    body = make("concatenate", Tuple([make("exp", X), make("tanh", X)]), axis=0)
    assert fused(body) == [["exp", "tanh", "concatenate"]]
    anchored = make("concatenate", Tuple([dense(X), make("tanh", X)]), axis=0)
    assert fused(anchored) == [["nn.dense"], ["tanh", "concatenate"]]


def test_tuple_used_twice_and_returned():
    parts = Tuple([make("exp", X), make("tanh", X)])
    body = Tuple([make("concatenate", parts, axis=0), parts])
    assert fused(body) == [["exp"], ["tanh"], ["concatenate"]]


def test_tuple_as_result_makes_no_common_group():
    assert fused(Tuple([make("exp", X), make("tanh", X)])) == [["exp"], ["tanh"]]


def test_softmax_takes_what_follows_elementwise():
    body = multiply(make("nn.softmax", X), const(2.0))
    assert fused(body) == [["nn.softmax", "multiply"]]


def test_costly_elements_are_not_computed_once_per_use():
    row = make("exp", tensor("row", 8))
    assert fused(add(X, row)) == [["exp"], ["add"]]
    assert fused(add(X, make("nn.relu", tensor("row", 8)))) == [["nn.relu", "add"]]


def test_scalar_constants_go_inside_and_larger_ones_are_passed():
    result = run_pass(FuseOps(fuse_opt_level=1), add(multiply(X, const(2.0)), weights(8)))
    assert isinstance(result, Call)
    assert isinstance(result.op, Function)
    inside = [n for n in post_order(result.op) if isinstance(n, Constant)]
    assert [c.data.shape for c in inside] == [()]
    assert len(result.args) == 2
    assert result.op.attrs["Primitive"] == 1


def test_one_value_used_twice_is_one_parameter():
    result = run_pass(FuseOps(fuse_opt_level=1), add(multiply(X, X), X))
    assert isinstance(result, Call)
    assert result.args == (X,)


def test_max_depth_bounds_groups():
    body = chain(X, *["nn.relu"] * 10)
    assert max(map(len, fused(body, max_depth=4))) <= 4
    with PassContext(opt_level=1, config={"relay.FuseOps.max_depth": 3}):
        assert max(map(len, groups(run_pass(FuseOps(), body)))) <= 3


def test_fusing_again_changes_nothing_but_wraps_nothing():
    module = FuseOps(fuse_opt_level=1)(IRModule.from_expr(chain(X, "exp", "tanh")))
    assert FuseOps(fuse_opt_level=1)(module) is module


def test_defuse_is_the_inverse():
    body = make("nn.relu", add(dense(make("exp", X)), weights(8)))
    module = IRModule.from_expr(Function(free_vars(body), body))
    again = DefuseOps()(FuseOps(fuse_opt_level=1)(module))
    assert structural_equal(again["main"], module["main"])


@pytest.mark.parametrize("shape", ["chain", "wide", "skips"])
def test_large_graphs_take_about_linear_time(shape):
    size = 10_000
    if shape == "chain":
        body: Expr = chain(X, *["nn.relu"] * size)
    elif shape == "wide":
        start = make("exp", X)
        parts = [multiply(start, const(float(i))) for i in range(size)]
        body = make("concatenate", Tuple(parts), axis=0)
    else:
        body, early = X, []
        for i in range(size // 2):
            body = make("nn.relu", body)
            early.append(body)
            if i % 2:
                body = add(body, early[i // 3])
    module = IRModule.from_expr(Function((X,), body))
    started = time.perf_counter()
    result = FuseOps(fuse_opt_level=1)(module)
    assert time.perf_counter() - started < 10
    assert len(names(result["main"])) == len(names(body))


EFFECTS = {
    "a field beside a write": """
        let %r = ref(%x);
        %0 = (ref_write(%r, 9), add(%x, %x));
        multiply(%0.1, ref_read(%r))""",
    "a write that comes after a read": """
        let %r = ref(%x);
        %0 = ref_read(%r);
        %1 = (ref_write(%r, 9), %x);
        multiply(%0, negative(%1.1))""",
}


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", EFFECTS)
def test_effects_stay_and_keep_their_order(name, level):
    module = relay.parse(f'#[version = "0.0.5"]\ndef @main(%x: int32) {{{EFFECTS[name]} }}')
    before, after = (
        relay.create_executor("debug", mod=m).evaluate()(np.int32(5)).item()
        for m in (module, FuseOps(fuse_opt_level=level)(module))
    )
    assert before == after == {"a field beside a write": 90}.get(name, -25)
