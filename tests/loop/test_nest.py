"""From tensor expressions to nests: what is inlined, what is a stage, what it computes."""

import numpy as np
import pytest

import loop_programs as p
import relay.loop
from loop_programs import Case, Window
from relay import te
from relay.loop import nest
from relay.loop.ir import Func
from relay.loop.printer import text
from relay.loop.walk import loops, stores
from relay.schedule.names import as_printed
from relay.testing.te_eval import evaluate_te


def x2d(m: int = 4, n: int = 6) -> te.Tensor:
    return te.placeholder((m, n), "float32", "x")


def stages(*outputs: te.Tensor, inputs: tuple[te.Tensor, ...]) -> list[str]:
    """The names of the stages, after a look at what they compute."""
    func = nest.build("f", inputs, outputs)
    relay.loop.verify(func, strict=True)
    case = Case(inputs, outputs)
    arrays = case.arrays()
    p.assert_close(relay.loop.run(func, *arrays), case.reference(arrays))
    return [b.name for b in func.workspaces]


def test_cheap_chains_are_inlined() -> None:
    x = x2d()
    a = te.compute((4, 6), lambda i, j: x[i, j] + 1.0, "a")
    b = te.compute((4, 6), lambda i, j: a[i, j] * a[i, j], "b")
    c = te.compute((4, 6), lambda i, j: te.maximum(b[i, j], 0.0), "c")
    assert stages(c, inputs=(x,)) == []


def test_one_reader_is_inlined_even_when_costly() -> None:
    x = x2d()
    a = te.compute((4, 6), lambda i, j: te.unary("exp", x[i, j]), "a")
    b = te.compute((4, 6), lambda i, j: a[i, j] + 1.0, "b")
    assert stages(b, inputs=(x,)) == []


def test_costly_and_read_by_many_is_a_stage() -> None:
    x = x2d()
    a = te.compute((4, 6), lambda i, j: te.unary("exp", x[i, j]), "a")
    b = te.compute((4, 6), lambda i, j: a[i, j] + 1.0, "b")
    c = te.compute((4, 6), lambda i, j: a[i, j] + 2.0, "c")
    assert stages(b, c, inputs=(x,)) == ["a"]


def test_broadcast_is_not_computed_again_when_costly() -> None:
    x = te.placeholder((6,), "float32", "x")
    a = te.compute((6,), lambda j: te.unary("exp", x[j]), "a")
    b = te.compute((4, 6), lambda _, j: a[j] + 1.0, "b")
    assert stages(b, inputs=(x,)) == ["a"]
    cheap = te.compute((6,), lambda j: x[j] + 1.0, "cheap")
    b = te.compute((4, 6), lambda _, j: cheap[j] + 1.0, "b")
    assert stages(b, inputs=(x,)) == []


def test_reductions_are_stages() -> None:
    x = x2d()
    rows = p.reduced(x, (1,), "sum", "rows")
    out = te.compute((4, 6), lambda i, j: x[i, j] - rows[i, 0], "out")
    assert stages(out, inputs=(x,)) == ["rows"]
    assert stages(rows, inputs=(x,)) == ["rows.sum"]


def test_an_output_that_others_read() -> None:
    x = x2d()
    a = te.compute((4, 6), lambda i, j: x[i, j] + 1.0, "a")
    b = te.compute((4, 6), lambda i, j: a[i, j] * 2.0, "b")
    assert stages(a, b, inputs=(x,)) == []


def test_an_input_that_is_an_output() -> None:
    x = x2d()
    assert stages(x, inputs=(x,)) == []


def test_moved_data_is_inlined_into_reductions() -> None:
    x = x2d()
    turned = te.compute((6, 4), lambda i, j: x[j, i], "turned")
    assert stages(p.reduced(turned, (1,), "max", "top"), inputs=(x,)) == ["top.sum"]


def test_shared_growth_stops() -> None:
    """Squaring again and again is not inlined into an expression of exponential size."""
    x = te.placeholder((4,), "float32", "x")
    t = x
    for k in range(40):
        t = te.compute((4,), lambda i, t=t: t[i] * t[i + 0] + t[3 - i], f"t{k}")
    func = nest.build("f", (x,), (t,))
    assert len(text(func)) < 100_000


def test_deep_chain() -> None:
    x = te.placeholder((4,), "float32", "x")
    t = x
    for k in range(300):
        t = te.compute((4,), lambda i, t=t: te.unary("neg", t[i]), f"t{k}")
    func = nest.build("f", (x,), (t,))
    assert func.workspaces == ()
    (found,) = relay.loop.run(func, np.arange(4, dtype=np.float32))
    np.testing.assert_array_equal(found, np.arange(4))


def names(func: Func) -> list[str]:
    """Every name in a program."""
    buffers = [b.name for b in (*func.params, *func.workspaces)]
    return buffers + [f.var.name for f in loops(func.body)]


def test_names_are_unique() -> None:
    x = te.placeholder((4,), "float32", "i")
    a = te.compute((4,), lambda i: te.unary("exp", x[i]), "i")
    b = te.compute((3, 4), lambda _, j: a[j] * x[j], "i")
    func = as_printed(nest.build("f", (x,), (b,)))
    assert len(set(names(func))) == len(names(func))


@pytest.mark.parametrize(
    "case",
    [
        p.dense(3, 5, 4),
        p.dense(1, 1, 1),
        p.batch_matmul(2, 3, 4, 2, b_t=False),
        p.conv(1, 4, 6, 4, 5, Window(3, 2, 1), groups=2),
        p.pool((1, 2, 5, 5), 2, Window(3, 2, 1), "avg"),
        p.softmax((2, 3, 4), 1),
        p.layer_norm((2, 3, 4), (1, 2)),
        p.concatenate((2, 3), 1, 2),
        p.reshape((4, 6), (3, 8)),
        p.transpose((2, 3, 4), (2, 0, 1)),
        p.two_outputs(3, 4),
        p.attention(2, 3, 4, 2),
        p.elementwise((0, 3)),
        p.reduction((3, 0), (1,)),
    ],
)
def test_results(case: Case) -> None:
    func = case.build()
    relay.loop.verify(func, strict=True)
    p.check(case, func)


def test_integers_and_conditions() -> None:
    """Other types than float32 on the way: an argmax, and a bool reduction."""
    x = te.placeholder((3, 5), "int32", "x")
    k = te.reduce_axis(5, "k")
    top = te.compute((3,), lambda i: te.reduce_max(x[i, k.var], k), "top")
    r = te.reduce_axis(5, "r")
    any_top = te.compute((3,), lambda i: te.reduce_any(te.equal(x[i, r.var], top[i]), r), "any")
    array = np.random.default_rng(0).integers(-9, 9, (3, 5)).astype(np.int32)
    func = nest.build("f", (x,), (top, any_top))
    relay.loop.verify(func, strict=True)
    found = relay.loop.run(func, array)
    wanted = evaluate_te((top, any_top), {x: array})
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    assert {s.reduce for s in stores(func.body)} == {None, "max", "any"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_sums_are_accumulated_in_float32(dtype: str) -> None:
    x = te.placeholder((4, 300), dtype, "x")
    total = p.reduced(x, (1,), "sum", "total")
    out = te.compute(total.shape, lambda *i: total(*i) + te.const(1, dtype), "out")
    func = nest.build("f", (x,), (out,))
    assert [b.dtype for b in func.workspaces] == ["float32"]
    assert [b.dtype for b in func.params] == [dtype, dtype]
    relay.loop.verify(func, strict=True)


def test_factors_are_widened_not_products() -> None:
    x = te.placeholder((4, 6), "bfloat16", "x")
    axis = te.reduce_axis(6, "k")
    total = te.compute((4,), lambda i: te.reduce_sum(x(i, axis.var) * x(i, axis.var), [axis]), "s")
    assert "+= float32(x[i, k]) * float32(x[i, k])" in text(nest.build("f", (x,), (total,)))
