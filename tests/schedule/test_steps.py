"""Schedule steps: what each refuses and why, names, traces, and that none changes the meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import loop_programs as p
import relay.loop
from loop_programs import Case, Window
from relay.loop.ir import Allocate, For, Func
from relay.loop.printer import text
from relay.loop.walk import loops, statements
from relay.schedule import Schedule, Step, parse, replay
from relay.schedule import text as step_text
from relay.schedule.names import all_names, as_printed
from relay.support.errors import ParseError, ScheduleError

ROWS = """func @f(x: float32[6, 8]) -> (out: float32[6, 8])
workspace (s: float32[6], t: float32[6, 8]) {
  for i0 < 6 { s[i0] = 0.0 }
  for i1 < 6 { for k < 8 { s[i1] += x[i1, k] } }
  for i2 < 6 { for j2 < 8 { t[i2, j2] = x[i2, j2] * s[i2] } }
  for i < 6 { for j < 8 { out[i, j] = exp(t[i, j]) } }
}"""

#: A body for the function `@f`, the step, and the message that refuses it.
REFUSED = [
    (
        "for i < 6 { for j < 8 { out[i, j] = 0.0 } }",
        "split(loop='j', factor=3)",
        "split: 3 does not divide the 8 iterations of j; cut the loop first",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 }",
        "split(loop='i', factor=0)",
        "split: 0 does not divide the 6 iterations of i; cut the loop first",
    ),
    (
        "for i < 6 { vectorized j < 8 { out[i, j] = 0.0 } }",
        "split(loop='j', factor=4)",
        "split: j is vectorized already",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 }",
        "unroll(loop='j')",
        "there is no loop j in f; its loops are i",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 }",
        "cut(loop='i', point=6)",
        "cut: expected a point inside the 6 iterations of i, found 6",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 for j < 8 { out[i, j] = x[i, j] } }",
        "reorder(loops=('j', 'i'))",
        "reorder: j, i are not perfectly nested; found i",
    ),
    (
        "for i < 5 { for j < 7 { out[i + 1, j] = out[i, j + 1] } }",
        "reorder(loops=('j', 'i'))",
        "reorder: iterations of loop i read out, which other iterations write",
    ),
    (
        "for i < 6 { for j < 8 { out[i, 0] = x[i, j] } }",
        "reorder(loops=('j', 'i'))",
        "reorder: iterations of loop j may write the same place of out; "
        "expected an index that j alone moves",
    ),
    (
        "for i < 6 { for j < 8 { out[i, 0] += x[i, j] out[i, 0] *= 2.0 } }",
        "reorder(loops=('j', 'i'))",
        "reorder: iterations of loop j may write the same place of out; "
        "expected an index that j alone moves",
    ),
    (
        "for i < 6 { vectorized j < 8 { out[i, j] = x[i, j] } }",
        "reorder(loops=('j', 'i'))",
        "reorder: j is vectorized; expected it innermost",
    ),
    ("out[0, 0] = 0.0", "reorder(loops=())", "reorder: expected loops"),
    (
        "for i < 6 { for j < 8 { out[i, 0] += x[i, j] } }",
        "vectorize(loop='j')",
        "vectorized: iterations of loop j may write the same place of out; "
        "expected an index that j alone moves",
    ),
    (
        "for i < 6 { for j < 8 { out[i, 0] += x[i, j] } }",
        "vectorize(loop='i')",
        "vectorize: expected only stores inside i",
    ),
    (
        "for i < 6 { for j < 8 { out[0, j] += x[i, j] } }",
        "parallel(loop='i')",
        "parallel: iterations of loop i may write the same place of out; "
        "expected an index that i alone moves",
    ),
    (
        "for i < 5 { out[i, 0] = x[i, 0] out[i + 1, 0] = 0.0 }",
        "parallel(loop='i')",
        "parallel: iterations of loop i may write the same place of out; "
        "expected an index that i alone moves",
    ),
    (
        "for i < 3 { for j < 4 { out[i * 2 + j, 0] = 0.0 } }",
        "parallel(loop='i')",
        "parallel: iterations of loop i may write the same place of out; "
        "expected an index that i alone moves",
    ),
    (
        "for i < 5 { out[i + 1, 0] = out[i, 0] }",
        "parallel(loop='i')",
        "parallel: iterations of loop i read out, which other iterations write",
    ),
    (
        "for i < 6 { out[int64(x[i, 0]) + i, 0] = 0.0 }",
        "parallel(loop='i')",
        "parallel: iterations of loop i may write the same place of out; "
        "expected an index that i alone moves",
    ),
    (
        "parallel i < 6 { for j < 8 { out[i, j] = 0.0 } }",
        "parallel(loop='j')",
        "parallel: j is nested with another parallel loop",
    ),
    (
        "for i < 6 { parallel j < 8 { out[i, j] = 0.0 } }",
        "parallel(loop='i')",
        "parallel: i is nested with another parallel loop",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 for j < 8 { out[i, j] = 0.0 } }",
        "fuse(outer='i', inner='j')",
        "fuse: j is not directly inside i",
    ),
    (
        "parallel i < 6 { for j < 8 { out[i, 0] += x[i, j] } }",
        "fuse(outer='i', inner='j')",
        "fuse: iterations of loop j may write the same place of out; "
        "expected an index that j alone moves",
    ),
    (
        "for i < 6 { for j < 7 { out[i, j] = 0.0 } }",
        "collapse(outer='i', inner='j')",
        "collapse: out is not accessed as a whole by i, j",
    ),
    (
        "for i < 6 { for j < 8 { out[i, j] = x[i, 0] } }",
        "collapse(outer='i', inner='j')",
        "collapse: x is not accessed as a whole by i, j",
    ),
    (
        "for i < 6 { for j < 8 { out[i, j] = x[i, j] + x[0, 0] } }",
        "collapse(outer='i', inner='j')",
        "collapse: x is accessed in two ways",
    ),
    (
        "for i < 6 { for j < 8 { out[i, j] = x[i, j] } } out[0, 0] = 1.0",
        "collapse(outer='i', inner='j')",
        "collapse: a buffer of i is also used elsewhere",
    ),
    (
        "for i < 6 { for j < 8 { out[i, j] = float32(i) } }",
        "collapse(outer='i', inner='j')",
        "collapse: i or j is used as a value",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 for j < 8 { out[i, j] = 0.0 } }",
        "collapse(outer='i', inner='j')",
        "collapse: j is not directly inside i",
    ),
    ("out[0, 0] = 0.0", "pack(buffer='y', axis=0, factor=4)", "pack: y is not a parameter of f"),
    ("out[0, 0] = 0.0", "pack(buffer='out', axis=0, factor=4)", "pack: out is an output of f"),
    (
        "out[0, 0] = 0.0",
        "pack(buffer='x', axis=2, factor=4)",
        "pack: expected one of the 2 dimensions of x and a positive factor, "
        "found dimension 2 and factor 4",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 for k < 8 { out[i, 0] = x[i, k] } }",
        "merge(loop='k')",
        "merge: expected one sum directly inside k",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 for k < 8 { out[i, k] += x[i, k] } }",
        "merge(loop='k')",
        "merge: k moves the place that is updated",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 for k < 8 { out[i, 0] += x[i, k] * out[i, 1] } }",
        "merge(loop='k')",
        "merge: the update in k reads out",
    ),
    (
        "for i < 6 { out[i, 0] = 0.0 for k < 17 { out[i, 0] += x[i, k % 8] } }",
        "merge(loop='k')",
        "merge: expected a serial loop of 1 to 16 iterations, found k, serial, of 17",
    ),
    (
        "for i < 6 { out[i, 0] = x[i, 0] }",
        "pack(buffer='x', axis=1, factor=4, pairs=1)",
        "pack: expected pairs of another dimension of x, found 1",
    ),
    (
        "for i < 6 { for j < 8 { out[i, 0] = x[i, j] } }",
        "rfactor(loop='i', lanes=('j',))",
        "rfactor: i is not a loop that reduces into one place",
    ),
    (
        "for i < 6 { for j < 8 { out[i, 0] += x[i, j] } }",
        "rfactor(loop='i', lanes=('k',))",
        "rfactor: expected the loops k and one update directly inside i",
    ),
    (
        "for i < 2 { for j < 6 { out[0, 0] += x[i, j] } }",
        "rfactor(loop='i', lanes=('j',))",
        "rfactor: expected a power of two of lanes, found 6",
    ),
    (
        "for j < 6 { out[0, 0] += x[0, j] }",
        "rfactor(loop='j', lanes=())",
        "rfactor: expected loops of lanes inside j",
    ),
    (
        "for i < 6 { for j < 8 { out[0, 0] += x[i, j] * out[0, 0] } }",
        "rfactor(loop='i', lanes=('j',))",
        "rfactor: the update in i reads out",
    ),
]


@pytest.mark.parametrize(("body", "step", "message"), REFUSED)
def test_refused(body: str, step: str, message: str) -> None:
    func = relay.loop.parse(f"func @f(x: float32[6, 8]) -> (out: float32[6, 8]) {{ {body} }}")
    schedule = Schedule(func)
    with pytest.raises(ScheduleError) as caught:
        replay(func, parse(step))
    assert str(caught.value) == message
    assert schedule.func is func


#: Steps on `ROWS`, of which the last is refused.
REFUSED_AT_ROWS = [
    ("compute_at(buffer='s', loop='i')", "compute_at: nothing in loop i reads s"),
    ("compute_at(buffer='y', loop='i')", "compute_at: f has no stage y"),
    ("compute_at(buffer='t', loop='k')", "compute_at: t is not computed before k"),
    (
        "compute_at(buffer='t', loop='z')",
        "there is no loop z in f; its loops are i0, i1, k, i2, j2, i, j",
    ),
    (
        "cut(loop='i2', point=2)\ncompute_at(buffer='t', loop='i')",
        "compute_at: t has already been scheduled",
    ),
    (
        "split(loop='j2', factor=2)\ncompute_at(buffer='t', loop='i')",
        "compute_at: t has already been scheduled",
    ),
    (
        "split(loop='k', factor=4)\nrfactor(loop='k.0', lanes=('k.1',))\n"
        "compute_at(buffer='s', loop='i2')",
        "compute_at: s has already been scheduled",
    ),
    (
        "compute_at(buffer='s', loop='i2')\ncompute_at(buffer='t', loop='i')",
        "compute_at: t is not computed at the top of f",
    ),
    ("vectorize(loop='j')\ncompute_at(buffer='t', loop='j')", "compute_at: j is a vectorized loop"),
    ("split(loop='j2', factor=2)\nisolate(buffer='t')", "isolate: t has already been scheduled"),
    ("isolate(buffer='x')", "isolate: f has no stage x"),
    (
        "pack(buffer='x', axis=0, factor=4)\npack(buffer='x', axis=1, factor=4)",
        "pack: there is a x.packed already",
    ),
]


@pytest.mark.parametrize(("steps", "message"), REFUSED_AT_ROWS)
def test_refused_at_rows(steps: str, message: str) -> None:
    *first, last = parse(steps)
    schedule = replay(relay.loop.parse(ROWS), first)
    with pytest.raises(ScheduleError) as caught:
        schedule.take(last)
    assert str(caught.value) == message


def test_stage_whose_source_changes() -> None:
    func = relay.loop.parse(
        """func @f(x: float32[6]) -> (out: float32[6]) workspace (s: float32[6], t: float32[6]) {
          for i < 6 { t[i] = x[i] }
          for j < 6 { s[j] = t[j] * 2.0 }
          for k < 6 { t[k] = 0.0 }
          for l < 6 { out[l] = s[l] + t[l] }
        }"""
    )
    with pytest.raises(ScheduleError, match="t, which s is computed from, is written before l"):
        Schedule(func).compute_at("s", "l")


def test_stage_that_comes_later() -> None:
    func = relay.loop.parse(
        """func @f(x: float32[6]) -> (out: float32[6], more: float32[6]) workspace (s: float32[6]) {
          for i < 6 { s[i] = 0.0 }
          for l < 6 { out[l] = s[l] }
          for j < 6 { s[j] += x[j] }
          for m < 6 { more[m] = s[m] }
        }"""
    )
    with pytest.raises(ScheduleError, match="s is not computed before l"):
        Schedule(func).compute_at("s", "l")


def test_stage_read_outside_of_itself_where_not_chosen() -> None:
    """The private copy of a padded stage reads nothing out of bounds."""
    func = relay.loop.parse(
        """func @f(x: float32[6]) -> (out: float32[8]) workspace (s: float32[6]) {
          for i < 6 { s[i] = exp(x[i]) }
          for o < 2 { for j < 4 {
            out[o * 4 + j] = select(o * 4 + j >= 1 and o * 4 + j < 7, s[o * 4 + j - 1], 0.0)
          } }
        }"""
    )
    schedule = Schedule(func)
    schedule.compute_at("s", "o")
    relay.loop.verify(schedule.func, strict=True)
    x = p.elementwise((6,)).arrays()[0]
    p.assert_close(relay.loop.run(schedule.func, x), relay.loop.run(func, x))


# ------------------------------------------------------------------ names and traces


def test_names_are_those_of_the_text() -> None:
    func = relay.loop.parse(
        """func @f(x: float32[8]) -> (out: float32[8]) workspace (s: float32[8]) {
          for i < 8 { s[i] = x[i] }
          for i < 8 { out[i] = s[i] }
        }"""
    )
    named = as_printed(func)
    assert [f.var.name for f in loops(named.body)] == ["i", "i_1"]
    assert text(named) == text(func)
    assert as_printed(named) is named


def test_names_that_are_taken() -> None:
    func = relay.loop.parse(
        """func @f(x: float32[8]) -> (out: float32[8]) workspace (i.0: float32[8]) {
          for i < 8 { i.0[i] = x[i] }
          for j < 8 { out[j] = i.0[j] }
        }"""
    )
    schedule = Schedule(func)
    assert schedule.split("i", 2) == ("i.0_1", "i.1")
    assert schedule.cut("j", 2) == ("j", "j.t")
    assert schedule.cut("j.t", 2) == ("j.t", "j.t.t")
    assert schedule.cut("j.t", 1) == ("j.t", "j.t.tt")


def test_private_buffers_of_a_cut_loop() -> None:
    schedule = Schedule(relay.loop.parse(ROWS))
    schedule.compute_at("t", "i")
    schedule.cut("i", 2)
    private = [s.buffer.name for s in statements(schedule.func.body) if isinstance(s, Allocate)]
    assert private == ["t.at.i", "t.at.i.t"]
    relay.loop.verify(schedule.func, strict=True)


@pytest.mark.parametrize(
    "line",
    ["spill(loop='i')", "split('i', 2)", "split(loop='i')", "split(loop=i, factor=2)", "hello"],
)
def test_trace_that_is_none(line: str) -> None:
    with pytest.raises(ParseError, match="line 2"):
        parse(f"unroll(loop='i')\n{line}")


# ------------------------------------------------------------------ any steps keep the meaning

PROGRAMS: dict[str, Case] = {
    "elementwise": p.elementwise((3, 4, 4), (1,)),
    "dense": p.dense(4, 6, 4),
    "conv": p.conv_blocked(1, 1, 2, 3, 4, 4, Window(2, 1, 0)),
    "conv-padded": p.conv(1, 2, 2, 3, 4, Window()),
    "softmax": p.softmax((3, 8), 1),
    "pool": p.pool((2, 6, 6), 1, Window(3, 2, 1)),
    "norm": p.layer_norm((4, 8), (1,)),
    "concatenate": p.concatenate((3, 4), 1, 2),
}
FUNCS = {name: case.build() for name, case in PROGRAMS.items()}


def chosen_step(schedule: Schedule, draw: st.DataObject) -> Step:
    """Some step that names loops and buffers that are there; it may well be illegal."""
    func = schedule.func
    nest = list(loops(func.body))
    loop = draw.draw(st.sampled_from(nest), "loop")
    name = loop.var.name
    inner = loop.body.var.name if isinstance(loop.body, For) else name
    band = [loop]
    while isinstance(band[-1].body, For):
        band.append(band[-1].body)
    inside = [f.var.name for f in band]
    stages = [b.name for b in func.workspaces]
    params = [b.name for b in func.params]
    divisors = [d for d in range(1, loop.extent + 1) if loop.extent % d == 0]
    kinds = (
        "split cut reorder fuse collapse parallel vectorize unroll pack prefetch rfactor".split()
    )
    kind = draw.draw(
        st.sampled_from([*kinds, *(("compute_at",) * 4 + ("isolate",) if stages else ())])
    )
    match kind:
        case "split":
            line = f"split(loop={name!r}, factor={draw.draw(st.sampled_from(divisors))})"
        case "cut":
            line = f"cut(loop={name!r}, point={draw.draw(st.integers(1, max(1, loop.extent - 1)))})"
        case "reorder":
            count = draw.draw(st.integers(1, len(inside)))
            line = f"reorder(loops={tuple(draw.draw(st.permutations(inside[:count])))!r})"
        case "fuse" | "collapse":
            line = f"{kind}(outer={name!r}, inner={inner!r})"
        case "pack":
            buffer, axis = draw.draw(st.sampled_from(params)), draw.draw(st.integers(0, 2))
            line = f"pack(buffer={buffer!r}, axis={axis}, factor={draw.draw(st.integers(1, 5))})"
        case "prefetch":
            line = f"prefetch(buffer={draw.draw(st.sampled_from(params))!r}, ahead=4)"
        case "rfactor":
            line = f"rfactor(loop={name!r}, lanes={tuple(inside[1:])!r})"
        case "compute_at":
            line = f"compute_at(buffer={draw.draw(st.sampled_from(stages))!r}, loop={name!r})"
        case "isolate":
            line = f"isolate(buffer={draw.draw(st.sampled_from(stages))!r})"
        case _:
            line = f"{kind}(loop={name!r})"
    (step,) = parse(line)
    assert step_text(step) == line
    return step


@given(st.sampled_from(sorted(PROGRAMS)), st.data())
def test_steps_keep_the_meaning(name: str, draw: st.DataObject) -> None:
    """Whatever steps are taken: the contract holds, the results stay, the trace replays."""
    func = FUNCS[name]
    schedule = Schedule(func)
    for _ in range(draw.draw(st.integers(1, 8), "steps")):
        step = chosen_step(schedule, draw)
        before = schedule.func
        try:
            schedule.take(step)
        except ScheduleError:
            assert schedule.func is before
            continue
        relay.loop.verify(schedule.func, strict=True)
        names = all_names(schedule.func)
        assert len(set(names)) == len(names)
        printed = text(schedule.func)
        assert all(f"{f.var.name} <" in printed for f in loops(schedule.func.body))
    finished = schedule.finish()
    p.check(PROGRAMS[name], finished, str(schedule))
    assert text(replay(func, parse(str(schedule))).finish()) == text(finished)
    assert text(relay.loop.parse(text(finished))) == text(finished)


def test_finish_drops_loops_of_one_iteration() -> None:
    func: Func = relay.loop.parse(
        """func @f(x: float32[8, 1]) -> (out: float32[8, 1]) {
          for i < 8 { for j < 1 { out[i, j] = x[i, j] } }
        }"""
    )
    assert [f.var.name for f in loops(Schedule(func).finish().body)] == ["i"]
