"""Copies that change which axis is contiguous are transposed in squares; others are not."""

import numpy as np
import pytest

from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.jit import run_func
from relay.loop import verify
from relay.loop.ir import Func, Kind
from relay.loop.parser import parse
from relay.loop.walk import loops
from relay.runtime.memory import aligned_empty
from relay.schedule import Schedule, replay
from relay.schedule import parse as parse_steps
from relay.strategy import plan
from relay.target import Target

AVX512 = Target(
    "x86_64", "x86-64-v4", ("avx512f",), 64, 32, l1_bytes=48 * 1024, l2_bytes=1024 * 1024, cores=2
)


def copy(shape: tuple[int, ...], out: tuple[int, ...], indices: str, value: str = "{}") -> Func:
    """``y[i0, ..] = x[indices]``, with `value` made of it."""
    names = [f"i{k}" for k in range(len(out))]
    head = "".join(f"for {n} < {extent} {{\n" for n, extent in zip(names, out, strict=True))
    read = value.format(f"x[{indices}]")
    sizes = [", ".join(map(str, s)) for s in (shape, out)]
    return parse(
        f"func @copy(x: float32[{sizes[0]}]) -> (y: float32[{sizes[1]}]) {{\n{head}"
        f"y[{', '.join(names)}] = {read}\n{'}' * (len(out) + 1)}"
    )


def squares(schedule: Schedule) -> bool:
    return any(f.kind is Kind.UNROLLED and f.extent > 1 for f in loops(schedule.func.body))


def check(func: Func, expected: np.ndarray, data: np.ndarray) -> None:
    """The planned program, on this machine, gives `expected`; its steps can be replayed."""
    schedule = plan(func, host_target())
    finished = schedule.finish()
    verify(finished)
    again = replay(func, parse_steps(str(schedule)))
    assert str(again) == str(schedule)
    x, y = aligned_empty(data.shape, "float32"), aligned_empty(expected.shape, "float32")
    x[...] = data
    run_func(finished, [x, y], target=host_target())
    np.testing.assert_array_equal(y, expected)


SIZES = [1, 3, 4, 7, 8, 16, 17, 31, 32, 49, 100]


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("columns", SIZES)
def test_matrices(rows, columns):
    data = np.random.default_rng(0).standard_normal((rows, columns)).astype("float32")
    check(copy((rows, columns), (columns, rows), "i1, i0"), data.T, data)


@pytest.mark.parametrize("block", [4, 8, 16])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 7), (4, 4), (5, 13), (56, 56)])
def test_blocks_of_channels(block, height, width):
    rng = np.random.default_rng(1)
    data = rng.standard_normal((2, 3, height, width, block)).astype("float32")
    plain = data.transpose(0, 1, 4, 2, 3).reshape(2, 3 * block, height, width)
    back = copy(data.shape, plain.shape, f"i0, i1 // {block}, i2, i3, i1 % {block}")
    check(back, plain, data)
    check(copy(plain.shape, data.shape, f"i0, i1 * {block} + i4, i2, i3"), data, plain)


def test_epilogue():
    data = np.random.default_rng(2).standard_normal((48, 64)).astype("float32")
    func = copy((48, 64), (64, 48), "i1, i0", "{0} + {0}")
    assert squares(plan(func, AVX512))
    check(func, data.T + data.T, data)


def test_squares_of_whole_vectors():
    schedule = plan(copy((64, 96), (96, 64), "i1, i0"), AVX512)
    written_out = [f for f in loops(schedule.func.body) if f.kind is Kind.UNROLLED]
    assert [f.extent for f in written_out] == [16]
    assert written_out[0].body.kind is Kind.VECTORIZED


@pytest.mark.parametrize(
    ("shape", "out", "indices"),
    [((64, 64), (64, 64), "i0, i1"), ((64, 64, 16), (64, 64, 16), "i1, i0, i2"),
     ((64, 128), (64, 64), "i0, i1 * 2"), ((64,), (64, 64), "i0")],
    ids=["copy", "rows", "strided", "broadcast"],
)  # fmt: skip
def test_left_to_others(shape, out, indices):
    assert not squares(plan(copy(shape, out, indices), AVX512))
