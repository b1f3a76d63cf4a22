"""Ordered stages: their loops, what stands around them, and three ways to run them."""

import numpy as np
import pytest

import loop_programs as p
import relay.loop
from loop_programs import Case
from relay import te
from relay.codegen.llvm.host import host_target
from relay.loop import nest
from relay.loop.printer import text
from relay.schedule.names import as_printed
from relay.strategy import plan


def running(w: te.Writer, inputs: te.Given, outputs: te.Given) -> None:
    """The running sums of rows, and which of them are the largest so far."""
    (x,), (sums, records) = inputs, outputs
    rows, size = x.static_shape
    with w.loop(rows, "row", kind="parallel") as row:
        total = w.private("float32", (1,), "total")
        best = w.private("float32", (1,), "best")
        w.store(total, (0,), 0.0)
        w.store(best, (0,), -1e30)
        with w.loop(size, "k") as k:
            w.store(total, (0,), x(row, k), reduce="sum")
            w.store(sums, (row, k), total(0))
            w.store(records, (row, k), 0)
            with w.when(total(0) > best(0)):
                w.store(best, (0,), total(0))
                w.store(records, (row, k), 1)


def stage(x: te.Tensor) -> tuple[te.Tensor, ...]:
    outputs = (
        te.placeholder(x.shape, "float32", "sums"),
        te.placeholder(x.shape, "int32", "records"),
    )
    return te.ordered((x,), outputs, running)


TEXT = """\
func @f(x: float32[3, 20]) -> (sums: float32[3, 20], records: int32[3, 20]) {
  parallel row < 3 {
    alloc total: float32[1]
    alloc best: float32[1]
    total[0] = 0.0
    best[0] = -1e+30
    for k < 20 {
      total[0] += x[row, k]
      sums[row, k] = total[0]
      records[row, k] = 0:int32
      if total[0] > best[0] {
        best[0] = total[0]
        records[row, k] = 1:int32
      }
    }
  }
}"""


def expected(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sums = np.cumsum(x, axis=1)
    before = np.maximum.accumulate(sums, axis=1)
    records = np.ones(x.shape, "int32")
    records[:, 1:] = sums[:, 1:] > before[:, :-1]
    return sums, records


def test_statements_come_as_they_were_written():
    x = te.placeholder((3, 20), "float32", "x")
    case = Case((x,), stage(x))
    func = case.build()
    relay.loop.verify(func, strict=True)
    assert str(text(as_printed(func))).rstrip() == TEXT
    assert str(plan(func, host_target()).finish()).rstrip() == TEXT
    arrays = case.arrays()
    for found in (case.reference(arrays), relay.loop.run(func, *arrays), p.compiled(func, arrays)):
        for a, b in zip(found, expected(arrays[0]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_what_is_around_it_is_scheduled_as_ever():
    x = te.placeholder((8, 64), "float32", "x")
    root = te.compute((8, 64), lambda i, j: te.unary("sqrt", te.unary("abs", x[i, j])), "root")
    sums, records = stage(root)
    k = te.reduce_axis(64, "j")
    total = te.compute((8,), lambda i: te.reduce_sum(sums[i, k.var] * 2.0, k), "total")
    marked = te.compute((8, 64), lambda i, j: sums[i, j] * te.cast(records[i, j], "float32"), "m")
    case = Case((x,), (total, marked, sums))
    func = case.build()
    p.check(case, func)
    arrays = case.arrays()
    schedule = plan(func, host_target())
    assert schedule.trace
    p.assert_close(p.compiled(schedule.finish(), arrays), case.reference(arrays))


def test_it_reads_through_what_only_moves():
    x = te.placeholder((60,), "float32", "x")
    moved = te.compute((3, 20), lambda i, j: x[i * 20 + j], "moved")
    case = Case((x,), stage(moved))
    assert not case.build().workspaces
    p.check(case, case.build())


def test_results_that_nobody_reads_are_scratch():
    x = te.placeholder((3, 20), "float32", "x")
    func = nest.build("f", (x,), stage(x)[:1])
    assert [b.name for b in func.workspaces] == ["records"]
    found = p.compiled(func, Case((x,), ()).arrays())
    np.testing.assert_allclose(found[0], expected(Case((x,), ()).arrays()[0])[0], rtol=1e-5)


@pytest.mark.parametrize("extent", [0, 1, 15, 16, 35])
def test_each_is_every_one_once(extent):
    def write(w: te.Writer, inputs: te.Given, outputs: te.Given) -> None:
        w.each(extent, lambda i: w.store(outputs[0], (i,), inputs[0](i) + 1.0))

    x = te.placeholder((extent,), "float32", "x")
    case = Case((x,), te.ordered((x,), (te.placeholder((extent,), "float32", "y"),), write))
    p.check(case, case.build())
    (array,) = case.arrays()
    np.testing.assert_array_equal(p.compiled(case.build(), [array])[0], array + 1)
