"""Windows, short rows and planes are reduced by vectors; parts of a copy become nests."""

import numpy as np
import pytest

import loop_programs as p
from loop_programs import Case, Window
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.jit import run_func
from relay.loop import verify
from relay.loop.ir import Func, Kind
from relay.loop.parser import parse
from relay.loop.walk import loops, stores
from relay.runtime.memory import aligned_empty
from relay.strategy import plan
from relay.target import Target

AVX512 = Target("x86_64", "x86-64-v4", ("avx512f", "avx512vl"), 64, 32, cores=2)
AVX2 = Target("x86_64", "x86-64-v3", ("avx", "avx2", "fma"), 32, 16, cores=2)

CASES: dict[str, Case] = {
    "pool-stride-2": p.pool((1, 3, 40, 40), 2, Window(3, 2, 1)),
    "pool-stride-3": p.pool((2, 3, 20, 50), 2, Window(3, 3, 0), "avg"),
    "pool-stride-7": p.pool((1, 2, 7, 140), 2, Window(7, 7, 0), "avg"),
    "rows-of-7": p.reduction((100, 7), (1,), "max"),
    "rows-of-20": p.reduction((70, 20), (1,)),
    "rows-of-31": p.reduction((3, 33, 31), (2,), "prod"),
    "rows-of-4-in-planes": p.reduction((9, 40, 4), (0, 2)),
    "planes": p.reduction((6, 14, 14), (1, 2)),
    "planes-between": p.reduction((5, 3, 6, 7, 18), (2, 3), "max"),
    "norm-of-planes": p.layer_norm((4, 3, 7, 9), (1, 2, 3)),
    "softmax-of-short-rows": p.softmax((50, 5), 1),
}


@pytest.mark.parametrize("target", [AVX512, AVX2], ids=["avx512", "avx2"])
@pytest.mark.parametrize("name", CASES)
def test_same_results(name: str, target: Target) -> None:
    finished = plan(CASES[name].build(), target).finish()
    verify(finished)
    p.check(CASES[name], finished)


def vector_updates(func: Func) -> int:
    """How many loops of vectors update a reduction."""
    return sum(
        loop.kind is Kind.VECTORIZED and any(s.reduce for s in stores(loop))
        for loop in loops(func.body)
    )


@pytest.mark.parametrize(
    "name", ["pool-stride-2", "pool-stride-7", "rows-of-7", "rows-of-20", "rows-of-4-in-planes"]
)
def test_results_become_lanes(name: str) -> None:
    finished = plan(CASES[name].build(), AVX512).finish()
    assert vector_updates(finished) > 0
    assert ".join." not in str(finished)


def test_planes_are_one_row() -> None:
    finished = plan(p.reduction((6, 14, 14), (1, 2)).build(), AVX512).finish()
    assert "[6, 196]" in str(finished)
    assert ".join." in str(finished)


VECTOR = """func @product(x: float32[{k}], w: float32[{n}, {k}]) -> (y: float32[{n}])
workspace (t: float32[{n}]) {{
  for a < {n} {{ t[a] = 0.0 }}
  for i < {n} {{ for k < {k} {{ t[i] += x[k] * w[i, k] }} }}
  for o < {n} {{ y[o] = t[o] }}
}}"""


def test_matrix_by_rows_times_vector_is_read_once() -> None:
    n, k = 37, 100
    schedule = plan(parse(VECTOR.format(n=n, k=k)), host_target())
    assert "pack" not in str(schedule)
    rng = np.random.default_rng(0)
    arrays = [aligned_empty(s, "float32") for s in ((k,), (n, k), (n,))]
    for array in arrays[:2]:
        array[...] = rng.standard_normal(array.shape)
    run_func(schedule.finish(), arrays, target=host_target())
    np.testing.assert_allclose(arrays[2], arrays[1] @ arrays[0], rtol=1e-4, atol=1e-4)


def test_known_matrix_is_packed() -> None:
    schedule = plan(parse(VECTOR.format(n=37, k=100)), AVX512, frozenset({"w"}))
    assert "pack(buffer='w'" in str(schedule)


JOINED = """func @join(a: float32[2, 64, 30, 30], b: float32[2, 32, 30, 30])
-> (y: float32[2, 96, 30, 30]) {
  for n < 2 { for c < 96 { for h < 30 { for w < 30 {
    y[n, c, h, w] = select(c < 64, a[n, c, h, w], b[n, c - 64, h, w])
  } } } }
}"""


def test_joined_parts_are_plain_copies() -> None:
    finished = plan(parse(JOINED), host_target()).finish()
    verify(finished)
    assert "select" not in str(finished)
    assert sum(f.kind is Kind.PARALLEL for f in loops(finished.body)) == 2
    shapes = [(2, 64, 30, 30), (2, 32, 30, 30), (2, 96, 30, 30)]
    arrays = [aligned_empty(s, "float32") for s in shapes]
    for k, array in enumerate(arrays[:2]):
        array[...] = np.random.default_rng(k).standard_normal(array.shape)
    run_func(finished, arrays, target=host_target())
    np.testing.assert_array_equal(arrays[2], np.concatenate(arrays[:2], 1))


REPEATED = """func @tile(x: float32[7, 40]) -> (y: float32[21, 200]) {
  for i < 21 { for j < 200 { y[i, j] = x[i % 7, j % 40] } }
}"""


def test_repeated_rows_are_copied_whole() -> None:
    finished = plan(parse(REPEATED), host_target()).finish()
    verify(finished)
    assert "% 40" not in str(finished)
    x, y = aligned_empty((7, 40), "float32"), aligned_empty((21, 200), "float32")
    x[...] = np.random.default_rng(0).standard_normal(x.shape)
    run_func(finished, [x, y], target=host_target())
    np.testing.assert_array_equal(y, np.tile(x, (3, 5)))
