"""Products of bfloat16 in pairs: when they are, what they compute, and in which instruction."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest

import loop_programs as p
import relay
import relay.loop
from relay import nn
from relay.codegen.llvm.jit import assembly_text
from relay.codes import from_bfloat16, to_bfloat16
from relay.dtypes import to_numpy
from relay.executor.build import lower_module
from relay.ir.expr import Expr, Function
from relay.loop import walk
from relay.loop.ir import Func, Kind
from relay.schedule import Schedule, parse, replay
from relay.strategy import plan
from relay.target import Target, for_cpu

TRIPLE = "x86_64-unknown-linux-gnu"
PAIRS = for_cpu(TRIPLE, features=("avx512bf16", "avx512bw", "avx512vl"), cores=2)
TARGETS = {
    "avx512": for_cpu(TRIPLE, features=("avx512bw", "avx512vl")),
    "avx2": for_cpu(TRIPLE, features=("avx2", "fma")),
    "neon": for_cpu("aarch64-unknown-linux-gnu", features=("neon",)),
}


def dense(m: int, n: int, k: int, out: str = "float32") -> Function:
    return _function(lambda x, w: nn.relu(nn.dense(x, w, out_dtype=out)), (m, k), (n, k))


def matmul(m: int, n: int, k: int, transpose_a: bool = False) -> Function:
    def build(x: Expr, y: Expr) -> Expr:
        return nn.batch_matmul(
            x, y, transpose_a=transpose_a, transpose_b=False, out_dtype="float32"
        )

    return _function(build, (2, k, m) if transpose_a else (2, m, k), (2, k, n))


def conv(inputs: int, outputs: int, size: int, groups: int = 1, **attrs: object) -> Function:
    def build(x: Expr, w: Expr) -> Expr:
        shape = {"channels": outputs, "kernel_size": (size, size), "groups": groups}
        return nn.relu(nn.conv2d(x, w, out_dtype="float32", **shape, **attrs))

    kernel = (outputs, inputs // groups, size, size)
    return _function(build, (1, inputs, 6, 7), kernel)


def _function(build: Callable[..., Expr], *shapes: tuple[int, ...]) -> Function:
    params = [
        relay.var(name, shape=shape, dtype="bfloat16")
        for name, shape in zip("xy", shapes, strict=True)
    ]
    return Function(params, build(*params))


PAIRED = {
    "dense": dense(10, 40, 12),
    "dense-odd": dense(7, 33, 9),
    "dense-row": dense(1, 37, 10),
    "dense-k2": dense(5, 18, 2),
    "dense-narrow": dense(9, 17, 8, "bfloat16"),
    "dense-few-columns": dense(9, 3, 8),
    "matmul": matmul(5, 35, 6),
    "matmul-odd": matmul(5, 35, 7),
    "conv-3x3": conv(32, 48, 3, padding=(1, 1)),
    "conv-1x1-stride": conv(16, 32, 1, strides=(2, 2)),
    "conv-images": conv(3, 32, 3, padding=(1, 1)),
    "conv-odd": conv(5, 7, 2),
    "conv-grouped": conv(64, 64, 3, groups=2, padding=(1, 1)),
}
SINGLE = {"dense-k1": dense(5, 18, 1), "matmul-a_t": matmul(5, 18, 6, transpose_a=True)}


def product(function: Function, target: Target, constants: bool) -> tuple[Func, Schedule]:
    """The kernel of a product, as it is built and scheduled, its weight constant or not."""
    kernels = lower_module(function, target).kernels
    (loops,) = (k.loops for k in kernels if re.search("dense|matmul|conv2d", k.name))
    known = frozenset(b.name for b in loops.params[1:2]) if constants else frozenset()
    return loops, plan(loops, target, known)


def compared(loops: Func, scheduled: Func, run: Callable[..., Sequence[p.Array]]) -> None:
    """Check `scheduled`, run by `run`, against `loops` as they are, compiled."""
    rng = np.random.default_rng(1)
    inputs = loops.params[: -loops.outputs]
    arrays = [to_bfloat16(rng.standard_normal(b.shape)) for b in inputs]
    for mine, theirs in zip(run(scheduled, arrays), p.compiled(loops, arrays), strict=True):
        assert mine.dtype == theirs.dtype
        if mine.dtype == to_numpy("bfloat16"):
            mine, theirs = from_bfloat16(mine), from_bfloat16(theirs)
        np.testing.assert_allclose(mine, theirs, rtol=1e-2, atol=1e-5 * np.abs(theirs).max())


def interpreted(func: Func, arrays: Sequence[p.Array]) -> Sequence[p.Array]:
    return relay.loop.run(func, *arrays)


@pytest.mark.parametrize("constants", [False, True])
@pytest.mark.parametrize("name", PAIRED)
def test_schedules_with_pairs(name: str, constants: bool) -> None:
    loops, schedule = product(PAIRED[name], PAIRS, constants)
    # A matrix that is no constant and meets one row is a reduction of its lines, in one pass.
    assert ("merge(" in str(schedule)) == ((name, constants) != ("dense-row", False))
    assert str(replay(loops, parse(str(schedule))).finish()) == str(schedule.finish())
    relay.loop.verify(schedule.finish())
    if not name.startswith("conv"):  # these take the interpreter too long
        compared(loops, schedule.finish(), interpreted)


@pytest.mark.parametrize("name", SINGLE)
def test_schedules_without_pairs(name: str) -> None:
    loops, schedule = product(SINGLE[name], PAIRS, False)
    assert "merge(" not in str(schedule)
    compared(loops, schedule.finish(), interpreted)


@pytest.mark.parametrize("name", {**PAIRED, **SINGLE})
def test_compiled(name: str) -> None:
    """Programs with pairs run everywhere: by an instruction, or one product after the other."""
    loops, schedule = product({**PAIRED, **SINGLE}[name], PAIRS, True)
    compared(loops, schedule.finish(), p.compiled)


@pytest.mark.parametrize("name", ["dense", "dense-odd", "matmul", "conv-3x3", "conv-images"])
def test_instruction(name: str) -> None:
    _, schedule = product(PAIRED[name], PAIRS, True)
    assert "vdpbf16ps" in assembly_text([schedule.finish()], PAIRS)


@pytest.mark.parametrize("target", TARGETS)
def test_other_targets(target: str) -> None:
    loops, schedule = product(PAIRED["dense"], TARGETS[target], True)
    assert "merge(" not in str(schedule)
    assert "dpbf16" not in assembly_text([schedule.finish()], TARGETS[target])
    compared(loops, schedule.finish(), interpreted)


def test_weights_are_packed_in_pairs() -> None:
    _, schedule = product(PAIRED["dense"], PAIRS, True)
    assert "pairs=1" in str(schedule)
    packed = next(b for b in schedule.func.workspaces if b.name.endswith(".packed"))
    assert packed.shape[-1] == 2


@pytest.mark.parametrize(("inputs", "written_out"), [(3, False), (32, True)])
def test_taps_that_share_what_they_read_stay_a_loop(inputs: int, written_out: bool) -> None:
    """Written out, the pixels that several taps read would take registers until all are done."""
    _, schedule = product(conv(inputs, 32, 4), PAIRS, True)
    found = list(walk.loops(schedule.finish().body))
    update = [f for f in found if f.var.name.startswith(("kw", "ici"))]
    innermost = update[-1]
    assert (innermost.kind is Kind.UNROLLED) == written_out


def test_float32_is_not_paired() -> None:
    x = relay.var("x", shape=(8, 16))
    w = relay.var("w", shape=(32, 16))
    _, schedule = product(Function([x, w], nn.dense(x, w)), PAIRS, True)
    assert "merge(" not in str(schedule)
