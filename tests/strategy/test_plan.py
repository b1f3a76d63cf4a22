"""Every loop shape is scheduled, legally, to a program that computes the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loop_programs as p
from loop_programs import Case, Window
from relay.codegen.llvm.host import host_target
from relay.loop import verify
from relay.loop.printer import text
from relay.schedule import parse, replay
from relay.strategy import plan
from relay.target import Target

AVX512 = Target("x86_64", "x86-64-v4", ("avx512f", "avx512vl"), 64, 32, cores=8)
AVX2 = Target("x86_64", "x86-64-v3", ("avx", "avx2", "fma"), 32, 16, cores=2)
SSE = Target("x86_64", "x86-64", ("sse2",), 16, 16, cores=1)
TARGETS = {"avx512": AVX512, "avx2": AVX2, "sse": SSE}

CASES: dict[str, Case] = {
    "dense": p.dense(10, 40, 12),
    "dense-row": p.dense(1, 37, 9),
    "dense-column": p.dense(9, 1, 7),
    "dense-scalar": p.dense(1, 1, 5),
    "dense-a_t": p.dense(6, 20, 9, a_t=True),
    "dense-plain": p.dense(6, 33, 9, b_t=False, epilogue=False),
    "dense-both_t": p.dense(5, 17, 4, a_t=True, b_t=True, epilogue=False),
    "dense-parallel": p.dense(40, 70, 16),
    "dense-k1": p.dense(5, 18, 1),
    "batch": p.batch_matmul(3, 5, 18, 6),
    "batch-plain": p.batch_matmul(2, 7, 19, 5, b_t=False),
    "batch-shared": p.batch_matmul(3, 4, 17, 5, shared=True),
    "conv-blocked": p.conv_blocked(1, 2, 2, 6, 6, 8, Window()),
    "conv-blocked-16": p.conv_blocked(1, 1, 3, 5, 5, 16, Window()),
    "conv-blocked-stride": p.conv_blocked(1, 1, 2, 7, 7, 8, Window(3, 2, 1)),
    "conv-blocked-1x1": p.conv_blocked(2, 1, 5, 4, 5, 8, Window(1, 1, 0), relu=False),
    "conv-blocked-4": p.conv_blocked(1, 2, 2, 5, 5, 4, Window(3, 1, 1, 2)),
    "conv-nchw": p.conv(1, 3, 5, 6, 6, Window()),
    "conv-nchw-1x1": p.conv(2, 3, 9, 4, 4, Window(1, 1, 0)),
    "conv-nchw-stride": p.conv(1, 3, 4, 9, 9, Window(3, 2, 1)),
    "conv-nchw-dilated": p.conv(1, 2, 4, 9, 9, Window(3, 1, 2, 2)),
    "conv-nhwc": p.conv(1, 3, 18, 5, 5, Window(), nhwc=True),
    "conv-nhwc-stride": p.conv(2, 4, 5, 6, 6, Window(2, 2, 0), nhwc=True),
    "conv-grouped": p.conv(1, 4, 6, 5, 5, Window(), groups=2),
    "conv-grouped-nhwc": p.conv(1, 4, 6, 5, 5, Window(), groups=2, nhwc=True),
    "conv-depthwise": p.conv(1, 5, 5, 6, 7, Window(), groups=5),
    "conv-depthwise-nhwc": p.conv(1, 18, 18, 5, 5, Window(), groups=18, nhwc=True),
    "conv-depthwise-times": p.conv(1, 3, 6, 5, 5, Window(3, 2, 1), groups=3),
    "pool-max": p.pool((1, 3, 9, 9), 2, Window(3, 2, 1)),
    "pool-max-blocked": p.pool((1, 2, 9, 9, 16), 2, Window(3, 2, 0)),
    "pool-mean": p.pool((2, 3, 8, 8), 2, Window(2, 2, 0), "avg"),
    "pool-nhwc": p.pool((1, 7, 7, 5), 1, Window(3, 1, 1), "avg"),
    "softmax-last": p.softmax((7, 37), 1),
    "softmax-long": p.softmax((3, 200), 1),
    "softmax-first": p.softmax((9, 21), 0),
    "softmax-middle": p.softmax((3, 5, 18), 1),
    "softmax-1d": p.softmax((70,), 0),
    "layer-norm": p.layer_norm((3, 4, 40), (2,)),
    "layer-norm-two": p.layer_norm((3, 4, 10), (1, 2)),
    "instance-norm": p.layer_norm((2, 3, 5, 6), (2, 3)),
    "mean-hw": p.reduction((2, 5, 7, 7), (2, 3)),
    "mean-hw-blocked": p.reduction((1, 3, 7, 7, 8), (2, 3)),
    "sum-all": p.reduction((11, 13), (0, 1)),
    "sum-rows": p.reduction((11, 50), (1,)),
    "sum-columns": p.reduction((11, 50), (0,)),
    "max-ends": p.reduction((5, 6, 7), (0, 2), "max"),
    "prod-middle": p.reduction((5, 3, 17), (1,), "prod"),
    "elementwise": p.elementwise((5, 37)),
    "elementwise-parallel": p.elementwise((60, 70)),
    "elementwise-bias": p.elementwise((3, 5, 18), (0, 1)),
    "elementwise-channel": p.elementwise((2, 5, 3, 6), (0, 2, 3)),
    "elementwise-scalar": p.elementwise((4, 9), (0, 1)),
    "elementwise-0d": p.elementwise(()),
    "transpose": p.transpose((9, 20), (1, 0)),
    "transpose-4d": p.transpose((2, 3, 4, 5), (0, 2, 3, 1)),
    "concatenate-last": p.concatenate((4, 9), 1, 7),
    "concatenate-first": p.concatenate((4, 9), 0, 3),
    "reshape": p.reshape((6, 10), (4, 15)),
    "two-outputs": p.two_outputs(5, 20),
    "attention": p.attention(2, 5, 18, 4),
    "pool-of-costly": p.pool_of_costly((2, 7, 7), 1, Window(3, 2, 1)),
    "dense-of-costly": p.dense_of_costly(5, 18, 6),
    "conv-read-twice": p.conv_read_twice(1, 3, 5, 5, 4),
    "two-dense": p.two_dense(5, 18, 6, 20),
    "softmax-of-dense": p.softmax_of_dense(6, 20, 5),
    # Rows of 5 and a rest, in a fused parallel loop over images and parts of the channels.
    "conv-nchw-parts": p.conv(2, 4, 12, 5, 5, Window(3, 1, 1, 1)),
    "empty": p.elementwise((0, 4)),
    "empty-sum": p.reduction((3, 0), (1,)),
    "empty-dense": p.dense(4, 5, 0),
}


def check_plan(case: Case, target: Target, constants: frozenset[str] = frozenset()) -> None:
    """The plan is legal, computes the same, and its trace makes the same program again."""
    func = case.build()
    schedule = plan(func, target, constants)
    # Where vectors are shorter than blocks of channels, a fused parallel loop scatters the digits
    # of its index over the dimensions in another order: right, but beyond what is proved.
    strict = target is AVX512
    verify(schedule.func, strict=strict)
    finished = schedule.finish()
    p.check(case, finished, strict=strict)
    again = replay(func, parse(str(schedule)))
    assert text(again.finish()) == text(finished)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_case(name: str, target: str) -> None:
    check_plan(CASES[name], TARGETS[target])


@pytest.mark.parametrize(
    ("case", "constants"),
    [
        (p.dense(10, 40, 12), {"b"}),
        (p.dense(1, 50, 9), {"b"}),
        (p.dense(7, 33, 9, b_t=False), {"b"}),
        (p.batch_matmul(3, 4, 17, 5, shared=True), {"b"}),
        (p.conv(1, 3, 20, 6, 6, Window()), {"w"}),
        (p.conv(1, 3, 20, 5, 5, Window(), nhwc=True), {"w"}),
        (p.conv_blocked(1, 1, 2, 5, 5, 16, Window()), {"w"}),
    ],
)
@pytest.mark.parametrize("target", TARGETS)
def test_constant_operands(case: Case, constants: set[str], target: str) -> None:
    check_plan(case, TARGETS[target], frozenset(constants))


sizes = st.integers(1, 17)
few = st.integers(1, 6)
windows = st.builds(
    Window, st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.integers(1, 2)
)
convolutions = st.builds(
    lambda n, ic, oc, h, w, window, nhwc: p.conv(n, ic, oc, h + 4, w + 4, window, nhwc=nhwc),
    st.integers(1, 2),
    few,
    sizes,
    st.integers(1, 3),
    st.integers(1, 3),
    windows,
    st.booleans(),
)
grouped = st.builds(
    lambda groups, ic, oc, h, w, window, nhwc: p.conv(
        1, groups * ic, groups * oc, h + 4, w + 4, window, groups=groups, nhwc=nhwc
    ),
    few,
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    windows,
    st.booleans(),
)
blocked = st.builds(
    lambda ic, oc, h, w, block, window: p.conv_blocked(1, ic, oc, h + 4, w + 4, block, window),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([1, 3, 4, 8]),
    windows,
)
shapes = st.lists(sizes, min_size=1, max_size=3).filter(lambda s: np.prod(s) <= 1000)


def with_axes(shape: list[int]) -> st.SearchStrategy[tuple[list[int], list[int]]]:
    """A shape and some of its dimensions."""
    axes = st.lists(st.sampled_from(range(len(shape))), min_size=1, unique=True)
    return st.tuples(st.just(shape), axes.map(sorted))


shaped = shapes.flatmap(with_axes)
cases = st.one_of(
    st.builds(
        p.dense, sizes, sizes, few, a_t=st.booleans(), b_t=st.booleans(), epilogue=st.booleans()
    ),
    st.builds(p.batch_matmul, few, few, sizes, few, b_t=st.booleans(), shared=st.booleans()),
    convolutions,
    grouped,
    blocked,
    st.builds(
        lambda n, h, w, c, window, first, kind: p.pool(
            [n, h + 4, w + 4, c] if first == 1 else [n, c, h + 4, w + 4], first, window, kind
        ),
        st.integers(1, 2),
        few,
        few,
        sizes,
        windows,
        st.sampled_from([1, 2]),
        st.sampled_from(["max", "avg"]),
    ),
    shaped.map(lambda s: p.softmax(s[0], s[1][0])),
    shaped.map(lambda s: p.layer_norm(*s)),
    shaped.map(lambda s: p.reduction(*s)),
    shaped.map(lambda s: p.elementwise(*s)),
    shaped.map(lambda s: p.concatenate(s[0], s[1][0], 3)),
    shapes.flatmap(lambda s: st.tuples(st.just(s), st.permutations(range(len(s))))).map(
        lambda s: p.transpose(*s)
    ),
    st.builds(p.attention, st.integers(1, 2), few, sizes, few),
    st.builds(p.two_dense, few, sizes, few, sizes),
    st.builds(p.softmax_of_dense, few, sizes, few),
)


@settings(max_examples=100)
@given(cases, st.sampled_from(sorted(TARGETS)), st.sets(st.sampled_from(["w", "b"])))
def test_any_size(case: Case, target: str, constants: set[str]) -> None:
    check_plan(case, TARGETS[target], frozenset(constants))


COMPILED = (
    "dense-parallel dense-row batch-shared conv-blocked-16 conv-nchw-stride conv-depthwise-nhwc "
    "pool-max-blocked softmax-long softmax-first layer-norm elementwise-parallel transpose "
    "attention pool-of-costly"
).split()


@pytest.mark.parametrize("name", COMPILED)
def test_compiled(name: str) -> None:
    """What LLVM makes of the plan for this machine agrees too."""
    case = CASES[name]
    arrays = case.arrays(1)
    found = p.compiled(plan(case.build(), host_target()).finish(), arrays)
    p.assert_close(found, case.reference(arrays))
