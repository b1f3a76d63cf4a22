"""What the commands do when all is well."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cli_helpers import Relay, expected
from onnx_models import floats
from relay.loop.parser import parse


def test_run_writes_the_outputs_under_their_names(
    relay_command: Relay, model: Path, tmp_path: Path
) -> None:
    x = floats(2, 4, seed=7)
    np.savez(tmp_path / "in.npz", x=x)
    found = relay_command(
        "run", model, "--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz"
    )
    assert found.code == 0
    assert "random" not in found.err
    assert re.search(r"^input   x: float32\[2, 4\]$", found.out, re.MULTILINE)
    assert re.search(r"^output  y: float32\[2, 8\]  min 0 ", found.out, re.MULTILINE)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as written:
        assert set(written) == {"y", "total"}
        for name, value in expected(x).items():
            assert_allclose(written[name], value, rtol=1e-5, atol=1e-5)


def test_missing_inputs_are_random_and_seeded(
    relay_command: Relay, model: Path, tmp_path: Path
) -> None:
    texts = []
    for seed in (3, 3, 4):
        found = relay_command("run", model, "--seed", seed, "--output", tmp_path / "out.npz")
        assert f"random data (seed {seed}) for: x\n" in found.err
        texts.append(found.out)
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("level", range(4))
def test_every_level_gives_the_same(
    relay_command: Relay, model: Path, tmp_path: Path, level: int
) -> None:
    x = floats(2, 4, seed=9)
    np.savez(tmp_path / "in.npz", x=x)
    output = tmp_path / "out.npz"
    relay_command("run", model, "--input", tmp_path / "in.npz", "--output", output,
                  "--opt-level", level, "--threads", 1)  # fmt: skip
    with np.load(output) as written:
        assert_allclose(written["y"], expected(x)["y"], rtol=1e-5, atol=1e-5)


def test_shape_closes_an_open_model(relay_command: Relay, open_model: Path) -> None:
    found = relay_command("run", open_model, "--shape", "x=5,4")
    assert found.code == 0
    assert "y: float32[5, 8]" in found.out


def test_a_compiled_model_runs_like_the_model(
    relay_command: Relay, model: Path, tmp_path: Path
) -> None:
    compiled = tmp_path / "small.rly"
    found = relay_command("compile", model, "-o", compiled, "--time-passes")
    assert found.code == 0
    assert "FuseOps" in found.err
    assert "code generation" in found.out
    assert relay_command("run", compiled).out == relay_command("run", model).out
    first = compiled.read_bytes()
    relay_command("compile", model)
    assert compiled.read_bytes() == first
    assert {p.name for p in tmp_path.iterdir()} == {"small.onnx", "small.rly"}


@pytest.mark.parametrize(
    ("stage", "pattern"),
    [
        ("relay", r"nn\.matmul|nn\.dense|meta\[relay\.Constant\]"),
        ("fused", r"Primitive=1"),
        ("loop", r"func @fused_"),
        ("schedule", r"# @fused_"),
        ("scheduled", r"func @fused_"),
        ("llvm", r"define .*@fused_"),
        ("asm", r"(?m)^fused_\w+:"),
    ],
)
def test_show(relay_command: Relay, model: Path, stage: str, pattern: str) -> None:
    found = relay_command("show", model, "--stage", stage)
    assert found.code == 0
    assert re.search(pattern, found.out)
    assert "\x1b" not in found.out


def test_show_draws(relay_command: Relay, model: Path, tmp_path: Path) -> None:
    for stage in ("relay", "fused"):
        path = tmp_path / f"{stage}.svg"
        found = relay_command("show", model, "--stage", stage, "--draw", path)
        assert (found.code, found.out) == (0, "")
        assert path.read_text(encoding="utf-8").startswith("<svg")
    refused = relay_command("show", model, "--stage", "llvm", "--draw", tmp_path / "x.svg")
    assert refused.code != 0
    assert "--draw goes with --stage relay and fused" in refused.err


def test_show_one_kernel_is_a_program(relay_command: Relay, model: Path) -> None:
    everything = relay_command("show", model, "--stage", "scheduled").out
    names = re.findall(r"func @(\w+)", everything)
    assert len(names) > 1
    found = relay_command("show", model, "--stage", "scheduled", "--kernel", names[0])
    assert re.findall(r"func @(\w+)", found.out) == names[:1]
    assert parse(found.out).name == names[0]


def test_bench_against_a_peer(relay_command: Relay, model: Path) -> None:
    found = relay_command(
        "bench", model, "--vs", "onnxruntime", "--rounds", 1, "--min-seconds", 0, "--threads", 1
    )
    assert found.code == 0
    lines = [line.split() for line in found.out.splitlines()]
    rows = {
        line[1]: line for line in lines if len(line) > 2 and line[1] in ("relay", "onnxruntime")
    }
    assert set(rows) == {"relay", "onnxruntime"}
    assert float(rows["onnxruntime"][-2]) < 1e-4
    for heading in ("min", "median", "p90", "ratio", "load", "compile", "first run", "memory"):
        assert heading in found.out


def test_bench_of_a_compiled_model(relay_command: Relay, model: Path, tmp_path: Path) -> None:
    relay_command("compile", model)
    found = relay_command("bench", tmp_path / "small.rly", "--rounds", 1, "--min-seconds", 0)
    assert found.code == 0
    assert "relay" in found.out


def test_version_and_help(relay_command: Relay) -> None:
    assert re.fullmatch(r"relay \d+\.\d+\.\d+\S*\n", relay_command("--version").out)
    text = relay_command("--help").out
    for name in ("run", "bench", "profile", "show", "compile"):
        assert f"\n  {name} " in text
        assert "Usage: relay " + name in relay_command(name, "--help").out


def test_help_loads_no_compiler() -> None:
    check = (
        "import sys; from relay.cli.main import main; main(['--help']); "
        "print([m for m in ('llvmlite', 'onnx', 'rich', 'relay.lower') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_gets_no_message(model: Path) -> None:
    command = [sys.executable, "-m", "relay.cli.main", "show", str(model), "--stage", "llvm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
