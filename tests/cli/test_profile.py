"""``relay profile`` and ``--time-passes``."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from cli_helpers import Relay
from relay.executor.profile import Ceilings, machine

CEILINGS = Ceilings("a CPU", 1, {"float32": 1e11}, ((1 << 20, 1e10),), ((1 << 20, 1e10),))
NODES = ("multiply", "relu", "reduce")
STAGES = (
    "front end",
    "graph passes",
    "lowering",
    "scheduling",
    "code generation",
    "LLVM",
    "linking",
    "constants",
    "total",
)


@pytest.fixture(autouse=True)
def fake_machine(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Measuring the machine gives `CEILINGS`; how often it was done, by number of threads."""
    measured: list[int] = []

    def fake(_target: object, threads: int) -> Ceilings:
        measured.append(threads)
        return CEILINGS

    monkeypatch.setenv("RELAY_CACHE", "off")
    monkeypatch.setattr(machine, "_measure", fake)
    monkeypatch.setattr(machine._Kept, "found", {})
    return measured


def test_the_table(relay_command: Relay, model: Path) -> None:
    found = relay_command("profile", model, "--runs", 3)
    assert found.code == 0
    assert found.out.startswith("small.onnx")
    kernels = re.findall(r"func @(\w+)", relay_command("show", model, "--stage", "loop").out)
    rows = [line for line in found.out.splitlines() if line.startswith("│")]
    for kernel in kernels:
        assert any(f"│ {kernel} " in row for row in rows)
    assert "(outside kernels)" in rows[-2]
    assert re.search(rf"a run, {len(kernels)} calls", rows[-1])
    for node in NODES:
        assert node in found.out
    for heading in ("min µs", "median µs", "share", "GFLOP/s", "GB/s", "roofline", "bound", "from"):
        assert heading in found.out
    assert "at most float32 100 GFLOP/s" in found.out
    assert "\x1b" not in found.out


def test_groups_order_and_top(relay_command: Relay, model: Path) -> None:
    options = ("--runs", 1, "--no-roofline", "--group", "kernel", "--order", "program", "--top", 1)
    found = relay_command("profile", model, *options)
    assert found.code == 0
    assert re.search(r"\(\d+ more\)", found.out)
    assert "GFLOP/s;" not in found.out


def test_files(relay_command: Relay, model: Path, tmp_path: Path) -> None:
    paths = {kind: tmp_path / f"out.{kind}" for kind in ("json", "trace", "svg", "html")}
    options = [word for kind, path in paths.items() for word in (f"--{kind}", path)]
    found = relay_command("profile", model, "--runs", 2, *options)
    assert found.code == 0
    assert all(f"{path} written\n" in found.err for path in paths.values())
    record = json.loads(paths["json"].read_text())
    assert record["runs"] == 2
    assert {n for call in record["calls"] for n in call["nodes"]} >= set(NODES)
    events = json.loads(paths["trace"].read_text())["traceEvents"]
    assert [e["name"] for e in events if e["ph"] == "X"] == [
        "run",
        *(call["kernel"] for call in record["calls"]),
    ]
    assert ElementTree.parse(paths["svg"]).getroot().tag.endswith("svg")
    assert "<table>" in paths["html"].read_text(encoding="utf-8")


def test_json_on_stdout_is_all_there_is(relay_command: Relay, model: Path) -> None:
    found = relay_command("profile", model, "--runs", 1, "--no-roofline", "--json", "-")
    assert json.loads(found.out)["machine"] is None


def test_a_compiled_model(relay_command: Relay, model: Path) -> None:
    relay_command("compile", model)
    found = relay_command("profile", model.with_suffix(".rly"), "--runs", 1)
    assert found.code == 0
    assert "multiply" in found.out


def test_measuring_the_machine(relay_command: Relay, model: Path, fake_machine: list[int]) -> None:
    for options in ((), (), ("--remeasure",), ("--no-roofline",)):
        assert relay_command("profile", model, "--runs", 1, *options).code == 0
    assert len(fake_machine) == 2


def test_errors(relay_command: Relay, model: Path, tmp_path: Path) -> None:
    def message(*arguments: object) -> str:
        found = relay_command("profile", *arguments)
        assert found.code == 2
        return found.err

    assert "--runs': 0 is not in the range" in message(model, "--runs", 0)
    both = message(model, "--no-roofline", "--remeasure")
    assert "--no-roofline does not go with --remeasure" in both
    assert "is not one of 'call', 'kernel'" in message(model, "--group", "node")
    assert "no such file" in message(tmp_path / "absent.onnx")
    path = tmp_path / "nowhere" / "out.json"
    found = message(model, "--runs", 1, "--json", path)
    assert f"relay: {path} cannot be written: No such file or directory\n" in found
    relay_command("compile", model)
    found = message(model.with_suffix(".rly"), "--time-passes")
    assert "--time-passes needs a model that is not compiled yet" in found


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("bench", "--rounds", 1, "--min-seconds", 0),
        ("compile",),
        ("profile", "--runs", 1, "--no-roofline"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_time_passes(relay_command: Relay, model: Path, arguments: tuple[object, ...]) -> None:
    command, *options = arguments
    found = relay_command(command, model, "--time-passes", *options)
    assert found.code == 0
    rows = [line.strip("│ ").split("│") for line in found.err.splitlines() if "│" in line]
    names = [row[0].strip() for row in rows]
    assert [n for n in names if n in STAGES] == list(STAGES)
    passes = names[names.index("graph passes") + 1 : names.index("lowering")]
    assert {"InferType", "FoldConstant", "FuseOps"} <= set(passes)
    shares = [float(row[2].strip(" %")) for row in rows if row[0].strip() in STAGES[:-1]]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert "FuseOps" not in relay_command(command, model, *options).err
