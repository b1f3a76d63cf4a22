"""Large products go through the second-level cache in blocks; all others as before."""

import dataclasses
import re

import numpy as np
import pytest

import loop_programs as p
from loop_programs import Case
from relay.codegen.llvm.host import host_target
from relay.loop import verify
from relay.loop.printer import text
from relay.schedule import Schedule, parse, replay
from relay.schedule.accumulate import Accumulate
from relay.strategy import plan
from relay.strategy.blocks import Shape, choose_blocks
from relay.support.errors import ScheduleError
from relay.target import Target

AVX512 = Target(
    "x86_64", "x86-64-v4", ("avx512f",), 64, 32, l1_bytes=48 * 1024, l2_bytes=1024 * 1024, cores=2
)
#: The same with a cache that a product of moderate size fills.
SMALL = dataclasses.replace(AVX512, l2_bytes=160 * 1024)
B = frozenset({"b"})


def blocked(schedule: Schedule) -> bool:
    return any(isinstance(step, Accumulate) for step in schedule.trace)


def skeleton(schedule: Schedule) -> str:
    """The loops that are neither unrolled nor vectorized, with numbers for their names."""
    lines = re.findall(r"^( *)(parallel|for) \S+ < (\d+)", text(schedule.finish()), re.MULTILINE)
    return "\n".join(f"{indent}{kind} {extent}" for indent, kind, extent in lines)


@pytest.mark.parametrize(
    ("rows", "columns", "steps"),
    [
        (512, 512, 512),
        (1024, 1024, 1024),
        (197, 3072, 768),
        (1576, 3072, 768),
        (64, 768, 3072),
        (8, 2048, 4096),
        (1, 4096, 4096),
    ],
)
def test_products_that_need_no_blocks(rows: int, columns: int, steps: int) -> None:
    assert choose_blocks(Shape(rows, columns, steps, 4, 16), AVX512) is None
    assert not blocked(plan(p.dense(rows, columns, steps).build(), AVX512, B))


@pytest.mark.parametrize(
    ("rows", "columns", "steps"),
    [(197, 768, 3072), (1576, 768, 3072), (2048, 2048, 2048), (500, 1000, 3001), (100, 20, 9999)],
)
def test_blocks_stay_in_the_cache(rows: int, columns: int, steps: int) -> None:
    found = choose_blocks(Shape(rows, columns, steps, 4, 16), AVX512)
    assert found is not None
    near = found.steps * (found.rows + 2 * 16 * found.vectors) * 4
    assert near < 0.6 * AVX512.l2_bytes
    assert found.tile * found.vectors + found.vectors < AVX512.vector_registers


def test_loops_of_a_large_product() -> None:
    schedule = plan(p.dense(216, 768, 3072).build(), AVX512, B)
    verify(schedule.func, strict=True)
    # After the packing of the weights, which is done at compile time: groups, the partial sums set
    # to zero, blocks of the reduction, panels, tiles of rows, steps; and at last the epilogue.
    product = skeleton(schedule)
    product = product[product.rindex("  parallel") :]
    assert product == "\n".join(
        [
            "  parallel 2",
            "    for 108",
            "      for 48",
            "    for 6",
            "      for 16",
            "        for 12",
            "          for 256",
            "    for 108",
            "      for 48",
        ]
    )


@pytest.mark.parametrize(
    "case",
    [
        p.dense(90, 96, 512),
        p.dense(97, 131, 1000),  # rests of rows and columns
        p.dense(101, 52, 997, epilogue=False),  # and of the reduction
        p.dense(130, 300, 1024, b_t=False),
        p.dense(120, 110, 700, a_t=True),
        p.dense(150, 40, 700),  # less than a panel
    ],
)
@pytest.mark.parametrize("constants", [B, frozenset[str]()])
def test_blocks_compute_the_same(case: Case, constants: frozenset[str]) -> None:
    host = host_target()
    # The host's vectors, whatever they are, with the small cache.
    target = dataclasses.replace(host, l1_bytes=8 * 1024, l2_bytes=SMALL.l2_bytes, cores=2)
    schedule = plan(case.build(), target, constants)
    assert blocked(schedule)
    finished = schedule.finish()
    assert text(replay(case.build(), parse(str(schedule))).finish()) == text(finished)
    arrays = case.arrays()
    found = p.compiled(finished, arrays)
    for result, wanted in zip(found, case.reference(arrays), strict=True):
        np.testing.assert_allclose(result.reshape(wanted.shape), wanted, rtol=1e-3, atol=1e-2)


def test_legal_on_another_target() -> None:
    avx2 = Target("x86_64", "x86-64-v3", ("avx2",), 32, 16, l2_bytes=160 * 1024, cores=4)
    schedule = plan(p.dense(97, 131, 1000).build(), avx2, B)
    assert blocked(schedule)
    verify(schedule.func, strict=True)


PROGRAM = """
func @f(a: float32[4, 6]) -> (y: float32[4]) {
  for i0 < 4 { y[i0] = 0.0 }
  for i < 4 { for k < 6 { y[i] += a[i, k] } }
  for j < 4 { y[j] = y[j] * 2.0 }
}
"""


@pytest.mark.parametrize(
    ("buffer", "loop", "message"),
    [
        ("y", "i0", "expected y to be only added to in i0"),
        ("y", "j", "expected y to be only added to in j"),
        ("x", "i", "nothing in i writes x"),
        ("y", "q", "there is no loop q"),
    ],
)
def test_accumulate_refused(buffer: str, loop: str, message: str) -> None:
    schedule = Schedule(p.relay.loop.parse(PROGRAM))
    with pytest.raises(ScheduleError, match=message):
        schedule.accumulate(buffer, loop)
