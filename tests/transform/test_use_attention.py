"""`UseAttention`: what is recognised, what is left alone, and that all of it means the same."""

from collections.abc import Callable

import numpy as np
import pytest

import relay
from pass_helpers import evaluate, random_arguments, tensor
from relay.codes import to_bfloat16
from relay.executor import create_executor
from relay.executor.build import lower_module, resolve_target
from relay.ir import IRModule
from relay.ir.expr import Call, Constant, Expr, Function, Tuple, Var, const
from relay.ir.visit import post_order
from relay.runtime.ndarray import NDArray
from relay.target import for_cpu
from relay.transform import PassContext, UseAttention
from relay.transform.calls import is_call_of, make

Q, K, V = tensor("q", 6, 9, 8), tensor("k", 6, 21, 8), tensor("v", 6, 21, 5)
SCALE = const(np.float32(8**-0.5))


def scores(query: Expr = Q, key: Expr = K, **attrs: object) -> Call:
    return make("nn.batch_matmul", query, key, **attrs)


def mixed(weights: Expr, value: Expr = V) -> Call:
    return make("nn.batch_matmul", weights, value, transpose_b=False)


def softmax(x: Expr, axis: int = -1) -> Call:
    return make("nn.softmax", x, axis=axis)


def function(body: Expr, *more: Var) -> Function:
    return Function([Q, K, V, *more], body)


def attentions(func: Function) -> list[Call]:
    return [n for n in post_order(func.body) if is_call_of(n, "nn.contrib_attention")]


def passed(before: Function) -> Function:
    after = UseAttention()(IRModule.from_expr(before))["main"]
    assert isinstance(after, Function)
    return after


def shaped(x: Expr, *shape: int) -> Call:
    return make("reshape", x, newshape=shape)


MASK, WIDE = tensor("mask", 9, 21), tensor("wide", 2, 1, 1, 21)
ALLOWED = tensor("allowed", 9, 21, dtype="bool")
LOWEST = const(np.float32(-3.4028234663852886e38))


def bert() -> Function:
    """Scores reshaped to four dimensions for a mask of keys."""
    s = make("add", shaped(make("multiply", scores(), SCALE), 2, 3, 9, 21), WIDE)
    return function(mixed(shaped(softmax(s, 3), 6, 9, 21)), WIDE)


def gpt2() -> Function:
    """Scores divided, filled where not allowed, then masked."""
    s = make("divide", scores(), const(np.float32(2.5)))
    s = make("add", make("where", ALLOWED, s, LOWEST), MASK)
    return function(mixed(softmax(s)), ALLOWED, MASK)


FOUND: dict[str, Callable[[], Function]] = {
    "plain": lambda: function(mixed(softmax(scores()))),
    "scaled": lambda: function(mixed(softmax(make("multiply", SCALE, scores())))),
    "bert": bert,
    "gpt2": gpt2,
    "masked-fill": lambda: function(
        mixed(softmax(make("where", ALLOWED, LOWEST, scores()))), ALLOWED
    ),
    "mask-first": lambda: function(mixed(softmax(make("add", MASK, scores()))), MASK),
    "two-masks": lambda: function(
        mixed(softmax(make("add", make("add", scores(), MASK), MASK))), MASK
    ),
    "turned": lambda: function(
        make(
            "nn.batch_matmul",
            softmax(scores(key=make("transpose", K, axes=(0, 2, 1)), transpose_b=False)),
            make("transpose", V, axes=(0, 2, 1)),
            transpose_b=True,
        )
    ),
    "self": lambda: Function(
        [K], make("nn.batch_matmul", softmax(scores(K, K)), K, transpose_b=False)
    ),
    "long": lambda: Function(
        [a := tensor("a", 1, 5, 2), b := tensor("b", 1, 300, 2)],
        make("nn.batch_matmul", softmax(scores(a, b)), b, transpose_b=False),
    ),
}


def used_twice() -> Function:
    weights = softmax(scores())
    return function(Tuple([mixed(weights), weights]))


def scaled_after_mask() -> Function:
    return function(mixed(softmax(make("multiply", make("add", scores(), MASK), SCALE))), MASK)


def other_fills() -> Function:
    s = make("where", ALLOWED, make("where", ALLOWED, scores(), LOWEST), const(np.float32(-1)))
    return function(mixed(softmax(s)), ALLOWED)


LEFT: dict[str, Callable[[], Function]] = {
    "weights used elsewhere": used_twice,
    "scale after mask": scaled_after_mask,
    "two fills": other_fills,
    "another axis": lambda: function(mixed(softmax(scores(), axis=1))),
    "scale of every key": lambda: function(
        mixed(softmax(make("multiply", scores(), const(np.arange(21, dtype="float32")))))
    ),
    "something between": lambda: function(mixed(softmax(make("tanh", scores())))),
    "one batch for all": lambda: Function(
        [q := tensor("q", 1, 9, 8), K, V], mixed(softmax(scores(q)))
    ),
    "few queries": lambda: Function([q := tensor("q", 6, 3, 8), K, V], mixed(softmax(scores(q)))),
    "too many keys": lambda: Function(
        [q := tensor("q", 1, 9, 1), k := tensor("k", 1, 100_000, 1)],
        make("nn.batch_matmul", softmax(scores(q, k)), k, transpose_b=False),
    ),
    "no keys": lambda: Function(
        [q := tensor("q", 1, 9, 2), k := tensor("k", 1, 0, 2)],
        make("nn.batch_matmul", softmax(scores(q, k)), k, transpose_b=False),
    ),
    "doubles": lambda: Function(
        [d := tensor("d", 2, 9, 8, dtype="float64")],
        make("nn.batch_matmul", softmax(scores(d, d)), d, transpose_b=False),
    ),
    "no second product": lambda: function(softmax(scores())),
}


def narrow(numbers: bool = True) -> Function:
    """As mixed precision leaves it: products of bfloat16, sums and the softmax in float32."""
    q, k, v = (make("cast", x, dtype="bfloat16") for x in (Q, K, V))
    s: Expr = make("cast", scores(q, k, out_dtype="float32"), dtype="bfloat16")
    if numbers:
        half = Constant(NDArray(to_bfloat16(np.float32(0.5)), "bfloat16"))
        s = make("multiply", s, half)
    s = make("add", shaped(make("cast", s, dtype="float32"), 2, 3, 9, 21), WIDE)
    weights = make("cast", shaped(softmax(s, 3), 6, 9, 21), dtype="bfloat16")
    y = make("nn.batch_matmul", weights, v, transpose_b=False, out_dtype="float32")
    return function(make("cast", make("cast", y, dtype="bfloat16"), dtype="float32"), WIDE)


@pytest.mark.parametrize("numbers", [False, True])
def test_narrow_products_with_a_wide_softmax(numbers: bool) -> None:
    before = narrow(numbers)
    module = IRModule.from_expr(before)
    assert not attentions(passed(before))
    after = UseAttention(narrow=("bfloat16",))(module)["main"]
    (found,) = attentions(after)
    assert found.attrs.scale == (0.5 if numbers else 1.0)
    assert [a.checked_type.dtype for a in found.args[:3]] == ["bfloat16"] * 3
    assert found.checked_type.dtype == "float32"
    assert after.checked_type == before.checked_type
    given = arguments(before)
    s = make(
        "add",
        shaped(make("multiply", scores(), const(np.float32(found.attrs.scale))), 2, 3, 9, 21),
        WIDE,
    )
    exact = evaluate(function(mixed(shaped(softmax(s, 3), 6, 9, 21)), WIDE), given)
    distances = []
    for disabled in ([], ["UseAttention"]):
        with PassContext(opt_level=3, disabled_pass=disabled):
            run = create_executor("graph", module).evaluate()
        distances.append(np.abs(run(*given).numpy() - exact).max())
    assert distances[0] < max(0.02, 1.5 * distances[1])


def test_narrow_products_stay_where_they_do_not_go_in_pairs() -> None:
    target = for_cpu("x86_64-unknown-linux-gnu", features=("avx2", "fma"))
    for pairs in (False, True):
        if pairs:
            target = for_cpu(target.triple, features=("avx512bf16", "avx512bw", "avx512vl"))
        names = [k.name for k in lower_module(narrow(), target).kernels]
        assert any("softmax" in name for name in names) != pairs


def arguments(func: Function) -> list[np.ndarray]:
    found = []
    for parameter, value in zip(func.params, random_arguments(func), strict=True):
        found.append(value > 0 if parameter.checked_type.dtype == "bool" else value)
    return found


@pytest.mark.parametrize("name", FOUND)
def test_attention_is_found_and_means_the_same(name: str) -> None:
    before = FOUND[name]()
    after = passed(before)
    assert len(attentions(after)) == 1
    assert after.checked_type == before.checked_type
    given = arguments(before)
    np.testing.assert_allclose(evaluate(after, given), evaluate(before, given), atol=2e-6)


@pytest.mark.parametrize("name", LEFT)
def test_what_is_something_else_is_left_alone(name: str) -> None:
    before = LEFT[name]()
    after = passed(before)
    assert not attentions(after)
    assert after.body is before.body


@pytest.mark.parametrize("executor", ["graph", "vm", "debug"])
@pytest.mark.parametrize("name", FOUND)
def test_every_executor_agrees(name: str, executor: str) -> None:
    before = FOUND[name]()
    given = arguments(before)
    with PassContext(opt_level=3):
        run = create_executor(executor, IRModule.from_expr(before)).evaluate()
    np.testing.assert_allclose(run(*given).numpy(), evaluate(before, given), atol=2e-6)


@pytest.mark.parametrize("lowest", [-np.inf, -1e4, np.finfo("float32").min])
def test_a_row_without_allowed_keys_is_as_without_the_pass(lowest: float) -> None:
    s = make("where", ALLOWED, scores(), const(np.float32(lowest)))
    before = function(mixed(softmax(s)), ALLOWED)
    given = arguments(before)
    given[-1][2] = False
    given[-1][4, 1:] = False
    found = []
    for disabled in ([], ["UseAttention"]):
        with PassContext(opt_level=3, disabled_pass=disabled):
            run = create_executor("graph", IRModule.from_expr(before)).evaluate()
        found.append(run(*given).numpy())
    assert np.isnan(found[0][:, 2]).all() == np.isinf(lowest)
    np.testing.assert_allclose(found[0], found[1], atol=2e-6)


def test_heads_are_read_and_written_where_they_are() -> None:
    """The slices, reshapes and transposes around an attention are in its kernel."""
    x = tensor("x", 9, 72)
    parts = [
        make("strided_slice", x, begin=(24 * k,), end=(24 * k + 24,), strides=(1,), axes=(1,))
        for k in range(3)
    ]
    q, k, v = (make("transpose", shaped(p, 9, 3, 8), axes=(1, 0, 2)) for p in parts)
    k = make("transpose", k, axes=(0, 2, 1))
    s = make("multiply", scores(q, k, transpose_b=False), SCALE)
    y = make("nn.batch_matmul", softmax(s), v, transpose_b=False)
    before = Function([x], shaped(make("transpose", y, axes=(1, 0, 2)), 9, 24))
    module = IRModule.from_expr(before)
    fused = relay.lower.compile.optimise(
        module, relay.lower.compile.CompileOptions(resolve_target(None), 3)
    )
    kernels = [
        node
        for node in post_order(fused["main"].body, enter_primitive=False)
        if isinstance(node, Function) and "reshape_only" not in node.attrs
    ]
    assert len(kernels) == 1
    given = arguments(before)
    with PassContext(opt_level=3):
        run = create_executor("graph", module).evaluate()
    np.testing.assert_allclose(run(*given).numpy(), evaluate(before, given), atol=2e-6)


def test_a_mask_is_computed_once_for_all_heads() -> None:
    mask = make("multiply", MASK, const(np.float32(3)))
    before = function(mixed(softmax(make("add", scores(), mask))), MASK)
    fused = relay.lower.compile.optimise(
        IRModule.from_expr(before), relay.lower.compile.CompileOptions(resolve_target(None), 3)
    )
    kernels = [n for n in post_order(fused["main"].body, False) if isinstance(n, Function)]
    assert len(kernels) == 2
