"""Attention by blocks of rows: every size and mask is legal and computes what it should."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loop_programs as p
import relay
from loop_programs import Case
from relay import te
from relay.codes import to_bfloat16
from relay.loop import verify
from relay.loop.ir import Func
from relay.op.nn.attention import Attention
from relay.schedule.schedule import parse, replay
from relay.schedule.steps import Parallel
from relay.strategy import plan
from relay.target import Target, for_cpu

TARGET = Target("x86_64", "x86-64-v3", ("avx", "avx2", "fma"), 32, 16, cores=2)


def attention(
    heads: Sequence[int],
    queries: int,
    keys: int,
    size: int,
    features: int,
    masks: Sequence[Sequence[int]] = (),
    turned: bool = False,
    dtype: str = "float32",
) -> Case:
    """An attention of `heads`, its result transposed where it is `turned`, its masks added."""
    q = te.placeholder((*heads, queries, size), dtype, "q")
    k = te.placeholder((*heads, keys, size), dtype, "k")
    v = te.placeholder((*heads, keys, features), dtype, "v")
    added = tuple(te.placeholder(m, "float32", f"mask{n}") for n, m in enumerate(masks))
    declaration = Attention(scale=size**-0.5, out_dtype="float32")
    y = declaration.compute(q, k, v, added)
    if turned:
        shape = (queries, *heads, features)
        y = te.compute(shape, lambda row, *at: te.maximum(y[*at[:-1], row, at[-1]], -0.5), "out")
    return Case((q, k, v, *added), (y,))


CASES = {
    "self": attention((4,), 37, 37, 16, 16),
    "cross": attention((4,), 23, 50, 8, 24),
    "one-head": attention((1,), 40, 33, 16, 16),
    "three-heads": attention((3,), 25, 21, 16, 16),
    "no-heads": attention((), 37, 37, 16, 16),
    "one-key": attention((2,), 9, 1, 8, 8),
    "one-query": attention((2,), 1, 40, 8, 8),
    "one-feature": attention((2,), 12, 20, 1, 1),
    "odd-features": attention((2,), 12, 20, 5, 13),
    "batches": attention((2, 3), 11, 17, 8, 8, masks=[(2, 1, 1, 17), (11, 17)]),
    "mask-of-keys": attention((2,), 17, 31, 8, 8, masks=[(31,)]),
    "mask-of-rows": attention((2,), 17, 31, 8, 8, masks=[(17, 1)]),
    "turned": attention((1, 4), 37, 32, 16, 16, turned=True),
    "long": attention((2,), 13, 300, 8, 16),
}


def check(case: Case, func: Func, interpreted: bool = True) -> None:
    """`func` is legal and right when compiled, and when `interpreted` too, which takes longer."""
    verify(func)
    arrays = case.arrays()
    wanted = case.reference(arrays)[0]
    split = len(func.params) - func.outputs
    given = [a.reshape(b.shape) for a, b in zip(arrays, func.params[:split], strict=True)]
    results = [p.compiled(func, arrays)[0]]
    if interpreted:
        results += relay.loop.run(func, *given)
    for found in results:
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


NARROW = Target("x86_64", "x86-64", ("sse2",), 16, 16, cores=1)
MANY = Target("x86_64", "x86-64-v3", ("avx", "avx2", "fma"), 32, 16, cores=64)


@pytest.mark.parametrize("target", [NARROW, TARGET, MANY], ids=["narrow", "two", "many"])
@pytest.mark.parametrize("name", CASES)
def test_attention_is_recognised_and_right(name: str, target: Target) -> None:
    case = CASES[name]
    schedule = plan(case.build(), target)
    assert "powers.at" in str(schedule.func)
    assert not [b for b in schedule.func.workspaces if b.name.startswith(("scores", "powers"))]
    check(case, schedule.finish(), interpreted=target is TARGET)


PAIRS = for_cpu(
    "x86_64-unknown-linux-gnu", features=("avx512bf16", "avx512bw", "avx512vl"), cores=2
)
ROUNDED = {
    "self": attention((4,), 37, 37, 16, 16, dtype="bfloat16"),
    "bert": attention((1, 4), 40, 48, 32, 32, masks=[(40, 48)], turned=True, dtype="bfloat16"),
    "odd": attention((3,), 25, 21, 9, 13, dtype="bfloat16"),
    "one-key": attention((2,), 9, 1, 8, 8, dtype="bfloat16"),
    "long": attention((2,), 13, 301, 8, 16, masks=[(301,)], dtype="bfloat16"),
}


@pytest.mark.parametrize("target", [TARGET, PAIRS], ids=["single", "pairs"])
@pytest.mark.parametrize("name", ROUNDED)
def test_attention_of_bfloat16(name: str, target: Target) -> None:
    """Both products go in pairs; the result is that of float32 up to rounded weights."""
    case = ROUNDED[name]
    func = case.build()
    schedule = plan(func, target)
    assert ("merge(" in str(schedule)) == (target is PAIRS)
    verify(schedule.finish())
    assert str(replay(func, parse(str(schedule))).func) == str(schedule.func)
    rng = np.random.default_rng(0)
    arrays = [
        to_bfloat16(rng.standard_normal(x.static_shape))
        if x.dtype == "bfloat16"
        else rng.standard_normal(x.static_shape).astype("float32")
        for x in case.inputs
    ]
    wanted, found = (p.compiled(f, arrays)[0] for f in (func, schedule.finish()))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=4e-3 * np.abs(wanted).max())


def test_heads_run_in_parallel_with_their_keys_in_order() -> None:
    schedule = plan(attention((8,), 64, 64, 16, 16).build(), TARGET)
    assert [s for s in schedule.trace if isinstance(s, Parallel)] == [Parallel("o0")]
    assert "keys.at.o0" in str(schedule.func)


def test_few_heads_share_out_blocks_of_rows() -> None:
    schedule = plan(attention((3,), 64, 64, 16, 16).build(), TARGET)
    assert any(b.name == "keys" for b in schedule.func.workspaces)
    parallel = [s.loop for s in schedule.trace if isinstance(s, Parallel)]
    assert len(parallel) >= 3  # keys, values, and blocks of rows


def test_the_schedule_replays() -> None:
    case = attention((4,), 37, 37, 16, 16)
    schedule = plan(case.build(), TARGET)
    again = replay(case.build(), parse(str(schedule)))
    assert str(again.func) == str(schedule.func)


sizes = st.integers(1, 30)


@settings(max_examples=12)
@given(st.integers(1, 4), sizes, sizes, st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_any_size(
    heads: int, queries: int, keys: int, size: int, features: int, turned: bool
) -> None:
    case = attention((heads,), queries, keys, size, features, turned=turned)
    check(case, plan(case.build(), TARGET).finish())
