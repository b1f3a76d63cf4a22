"""Profiles: every kernel is in it, with times that fit into the run."""

import dataclasses
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import relay
from relay.codegen.llvm.ceilings import STRIDE, peaks
from relay.codegen.llvm.host import host_target
from relay.executor.graph import GraphFactory, GraphModule
from relay.executor.profile import Ceilings, Profile, machine, measure_machine
from relay.runtime.threads import get_num_threads
from relay.runtime.work import Work
from relay.support.errors import ArtifactError, InputError

X = np.random.default_rng(0).standard_normal((2, 64), np.float32)
CEILINGS = Ceilings(
    "a CPU", 2, {"float32": 1e11, "int8": 4e11}, ((1000, 1e11), (10**6, 1e10)), ((1000, 5e10),)
)


def program() -> relay.Function:
    """Two dense layers of one kernel, and a softmax."""
    x = relay.var("x", shape=(2, 64))
    rng = np.random.default_rng(1)
    y: relay.Expr = x
    for _ in range(2):
        weight = relay.const(rng.standard_normal((64, 64), np.float32))
        y = relay.nn.relu(relay.nn.dense(y, weight))
    return relay.Function([x], relay.nn.softmax(y))


@pytest.fixture(scope="module")
def factory() -> GraphFactory:
    return relay.build(program())


@pytest.fixture(autouse=True)
def known_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine is not measured in every test."""
    monkeypatch.setattr(machine._Kept, "found", {get_num_threads(): CEILINGS})
    return


@pytest.fixture(scope="module")
def profile(factory: GraphFactory) -> Profile:
    return factory.profile(X, runs=4, warm_up=1, roofline=False)


def with_machine(profile: Profile) -> Profile:
    return dataclasses.replace(profile, ceilings=CEILINGS)


def test_every_call_is_there(factory: GraphFactory, profile: Profile) -> None:
    names = [call.kernel for call in profile.calls]
    assert names == [step.kernel for step in factory.calls]
    assert len(names) == factory.steps == 3
    assert [k.calls for k in profile.kernels] == [2, 1]
    assert profile.kernels[0].work.flops == sum(w.flops for w in factory.work[:2])
    assert profile.runs == len(profile.plain) == 4


def test_times_fit_into_the_run(profile: Profile) -> None:
    for call in profile.calls:
        assert call.seconds.shape == (4,)
        assert 0 <= call.best <= call.median
        assert call.roofline is None
    inside = np.sum([call.seconds for call in profile.calls], axis=0)
    np.testing.assert_allclose(inside + profile.outside, profile.walls, rtol=1e-3)
    assert (np.diff(profile.stamps, axis=1) >= 0).all()


def test_profiling_changes_no_result(factory: GraphFactory) -> None:
    module = factory.create()
    module.set_input("x", X)
    module.run()
    before = module.get_output(0).numpy().copy()
    module.profile(runs=1, roofline=False)
    assert_array_equal(module.get_output(0).numpy(), before)
    assert module.profile(x=X * 2, runs=1).runs == 1


def test_a_loaded_program_knows_its_kernels(factory: GraphFactory, tmp_path: Path) -> None:
    factory.export_library(tmp_path / "program.rly")
    loaded = relay.load(tmp_path / "program.rly")
    assert (loaded.calls, loaded.work) == (factory.calls, factory.work)
    found = loaded.profile(X, runs=2)
    assert [c.kernel for c in found.calls] == [s.kernel for s in factory.calls]


def test_a_program_without_kernels() -> None:
    found = relay.build(relay.Function([], relay.Tuple([]))).profile(runs=2)
    assert found.calls == ()
    assert "outside kernels" in str(found)
    assert json.loads(found.to_json())["calls"] == []


def test_more_calls_than_one_native_function_has() -> None:
    x = relay.var("x", shape=(4,))
    y: relay.Expr = x
    with relay.transform.PassContext(opt_level=0):
        for _ in range(300):
            y = relay.tanh(y)
        found = relay.build(relay.Function([x], y)).profile(np.ones(4, np.float32), runs=2)
    assert len(found.calls) == 300
    assert (np.diff(found.stamps, axis=1) >= 0).all()
    assert (found.stamps[:, -1] <= found.walls).all()


# ---------------------------------------------------------------------- outcomes


def test_the_roofline_is_the_longer_of_arithmetic_and_traffic() -> None:
    compute = Work((), (), "float32", 10**6, 100, 100)
    assert CEILINGS.compute_seconds(compute) == pytest.approx(1e-5)
    assert CEILINGS.memory_seconds(compute) == pytest.approx(100 / 1e11 + 100 / 5e10)
    assert CEILINGS.seconds(compute) == pytest.approx(1e-5)
    large = Work((), (), "int8", 4, 10**7, 0)
    assert CEILINGS.seconds(large) == pytest.approx(10**7 / 1e10)
    assert CEILINGS.peak("int8") == 4e11
    assert CEILINGS.peak("uint4") == 1e11


def test_the_table_has_all_kernels(profile: Profile) -> None:
    for order in ("time", "program"):
        text = with_machine(profile).table(order=order)
        for call in profile.calls:
            assert text.count(call.kernel) >= 1
    assert "(outside kernels)" in text
    assert "at most float32 100 GFLOP/s" in text
    assert "×2" in profile.table("kernel")
    short = profile.table(top=1)
    assert "(2 more)" in short
    assert all(len(line) <= 160 for line in text.splitlines())


def test_shares_add_up(profile: Profile) -> None:
    for top in (None, 1):
        assert sum(row.share for row in profile.rows(top=top)) == pytest.approx(1)
    medians = [row.median for row in profile.rows()[:-1]]
    assert medians == sorted(medians, reverse=True)


def test_json(factory: GraphFactory, profile: Profile) -> None:
    found = json.loads(with_machine(profile).to_json())
    assert found["machine"]["flops_per_second"]["float32"] == 1e11
    assert [c["kernel"] for c in found["calls"]] == [s.kernel for s in factory.calls]
    for record, work in zip(found["calls"], factory.work, strict=True):
        assert record["flops"] == work.flops
        assert record["bound"] in ("compute", "memory")
        assert record["roofline"] > 0
        assert record["seconds"]["min"] <= record["seconds"]["median"]
    assert json.loads(profile.to_json())["machine"] is None


def test_the_trace_has_the_kernels_inside_of_the_run(profile: Profile) -> None:
    trace = json.loads(with_machine(profile).trace())
    run, *kernels = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert run["name"] == "run"
    assert [e["name"] for e in kernels] == [c.kernel for c in profile.calls]
    end = run["ts"]
    for event in kernels:
        assert event["ts"] >= end - 1e-6
        end = event["ts"] + event["dur"]
        assert "bound by" in event["args"]["roofline"]
    assert end <= run["ts"] + run["dur"] + 1e-6


def test_pictures(profile: Profile) -> None:
    odd = tuple(dataclasses.replace(w, nodes=("<b>&\x1b[31m",)) for w in profile.work)
    found = dataclasses.replace(with_machine(profile), work=odd)
    picture = ElementTree.fromstring(found.svg("a <title>"))
    words = "".join(picture.itertext())
    assert "a <title>: " in words
    assert all(kernel.kernel in words for kernel in found.kernels)
    page = found.html("model")
    assert "<b>" not in page
    assert "\x1b" not in page
    assert "&lt;b&gt;&amp;?" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


# ---------------------------------------------------------------------- errors


def test_what_cannot_be_profiled(factory: GraphFactory) -> None:
    with pytest.raises(InputError, match="at least 1 run and 0 runs to warm up, not 0 and 3"):
        factory.profile(X, runs=0)
    with pytest.raises(InputError, match="expected 1 inputs, not 0"):
        factory.profile()
    with pytest.raises(InputError, match=r"no value yet: x: float32\[2, 64\]"):
        factory.create().profile()
    with pytest.raises(InputError, match="does not list its kernel calls"):
        dataclasses.replace(factory, calls=(), work=()).profile(X)
    with pytest.raises(InputError, match="does not know its kernels"):
        GraphModule(factory.create().executable).profile()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kernel": "other"}, "is of 'other', which is no kernel of it"),
        ({"args": 1}, "takes an argument from outputs 1, which is not there"),
    ],
)
def test_calls_that_are_wrong(
    factory: GraphFactory, tmp_path: Path, change: dict[str, object], expected: str
) -> None:
    first = factory.calls[-1]
    if "args" in change:
        source = dataclasses.replace(first.args[-1], index=1)
        first = dataclasses.replace(first, args=(source,))
    else:
        first = dataclasses.replace(first, kernel=str(change["kernel"]))
    wrong = dataclasses.replace(factory, calls=(first, *factory.calls[1:]))
    wrong.export_library(tmp_path / "wrong.rly")
    with pytest.raises(ArtifactError, match=expected):
        relay.load(tmp_path / "wrong.rly")


# ---------------------------------------------------------------------- the machine


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and nothing known of the machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RELAY_CACHE", raising=False)
    monkeypatch.setattr(machine._Kept, "found", {})
    return tmp_path / "relay" / "machine"


def test_the_machine_is_measured_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def fake(_target: object, threads: int) -> Ceilings:
        measured.append(threads)
        return dataclasses.replace(CEILINGS, threads=threads)

    monkeypatch.setattr(machine, "_measure", fake)
    first = measure_machine(2)
    assert measure_machine(2) is first
    machine._Kept.found.clear()
    assert measure_machine(2) == first
    assert measured == [2]
    measure_machine(1)
    measure_machine(2, remeasure=True)
    assert measured == [2, 1, 2]
    assert len(list(cache.iterdir())) == 2
    for path in cache.iterdir():
        path.write_text('{"cpu": "x", "threads": 2, "flops": {}, "read": [], "write": []}')
    machine._Kept.found.clear()
    assert measure_machine(2) == first
    assert measured == [2, 1, 2, 2]
    monkeypatch.setenv("RELAY_CACHE", "off")
    machine._Kept.found.clear()
    measure_machine(2)
    assert measured == [2, 1, 2, 2, 2]


def test_a_busy_machine_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = dataclasses.replace(CEILINGS, busy=True)
    monkeypatch.setattr(machine, "_measure", lambda _target, _threads: busy)
    assert measure_machine().busy
    assert not cache.exists()


def test_measuring(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_SPENT_SECONDS", 0.001)
    monkeypatch.setattr(machine, "_RUN_SECONDS", 0.0001)
    monkeypatch.setattr(machine, "_SIZES", (64 * STRIDE, 4096 * STRIDE))
    found = measure_machine()
    assert found.threads == get_num_threads()
    assert set(found.flops) == set(peaks(host_target())) >= {"float32", "float64"}
    assert all(rate > 1e8 for rate in found.flops.values())
    assert [size for size, _ in found.read] == [size for size, _ in found.write]
    assert all(rate > 1e7 for _, rate in (*found.read, *found.write))
