"""The benchmark's tables, on numbers made for them, and its process that measures."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# `benchmarks` is no part of the installed package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import tables, worker
from benchmarks.catalogue import BENCHMARKED, find_model
from benchmarks.parts import PARTS, Choice
from benchmarks.record import Result, Row, Section, from_json, geometric_mean, to_json

ROOT = Path(__file__).resolve().parents[2]
MACHINE: dict[str, str | float] = {
    "cpu": "CPU", "cpu_count": 2, "system": "Linux", "python": "3.12", "load": 0.0
}  # fmt: skip
CHOICE = Choice(tuple(model.name for model in BENCHMARKED), ("onnxruntime", "relay", "openvino"), 2)


def result(median: float, error: float = 1e-6) -> Result:
    least = {"min_ms": median / 2, "median_ms": median, "version": "1.0"}
    return {**least, "error": error, "rms_error": error, "load_s": 1.0, "memory_mb": 10.0}


def section(*rows: dict[str, Result]) -> Section:
    part = PARTS["main"](CHOICE)
    measured = [
        Row(case.model.stem, case.model.title, results)
        for case, results in zip(part.cases, rows, strict=False)
    ]
    named = (part.name, part.title, "2030-01-02", part.engines, part.peers, part.threads)
    return Section(*named, part.batch, {"rounds": 1}, MACHINE, measured)


def test_the_faster_peer_is_what_counts() -> None:
    found = section(
        {"relay": result(2.0), "onnxruntime": result(8.0), "openvino": result(4.0)},
        {"relay": result(4.0), "onnxruntime": result(2.0), "openvino": result(9.0)},
    )
    assert found.speedups() == [2.0, 0.5]
    assert geometric_mean(found.speedups()) == pytest.approx(1.0)
    lines = tables.latency_table(found).splitlines()
    assert lines[2] == (
        "| ResNet-18, 224x224 | 1.00 / **2.00** | 4.00 / 8.00 | 2.00 / 4.00 "
        "| 2.00x | 2.00x | 1.0e-06 |"
    )
    assert lines[4].startswith("| geometric mean; faster in 1 of 2 |")


def test_a_row_without_numbers_stays_with_its_reason() -> None:
    found = section(
        {"relay": result(2.0), "onnxruntime": {"failed": "no memory"}, "openvino": result(4.0)},
        {"relay": {"failed": "boom"}, "onnxruntime": result(1.0), "openvino": result(1.0)},
        {"relay": result(1.0, 0.5), "onnxruntime": result(1.0), "openvino": {"cut": "9 s"}},
    )
    assert len(found.speedups()) == 2
    assert found.remarks() == [
        "ONNX Runtime on resnet18: no memory",
        "relay on resnet50: boom",
        "relay on mobilenet_v2: its outputs are off by 5.0e-01 of the largest",
        "OpenVINO on mobilenet_v2: cut, 9 s",
    ]
    assert "| ResNet-50, 224x224 | – |" in tables.latency_table(found)
    assert tables.detail_table(found).count("failed") == 2
    assert "faster in 1 of 3" in tables.latency_table(found)


def test_numbers_survive_being_written() -> None:
    found = section({"relay": result(2.0), "onnxruntime": result(8.0), "openvino": result(4.0)})
    assert from_json(to_json({"main": found})) == {"main": found}
    assert from_json('{"results": {}}') == {}


@pytest.mark.parametrize("name", PARTS)
def test_every_part_measures_something(name: str) -> None:
    part = PARTS[name](CHOICE)
    assert part.cases
    assert part.engines[0].startswith("relay")
    assert part.peers
    for case in part.cases:
        assert find_model(case.model.stem) == case.model


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ValueError, match="no model is called 'resnet18-batch0'"):
        find_model("resnet18-batch0")


def test_errors_are_relative_and_see_nan() -> None:
    wanted = [np.array([4.0, -2.0])]
    assert worker.errors(wanted, [np.array([4.0, -1.0])])["error"] == 0.25
    assert np.isnan(worker.errors(wanted, [np.array([np.nan, -2.0])])["error"])
    with pytest.raises(ValueError, match="output 0 has shape"):
        worker.errors(wanted, [np.zeros(3)])


def test_a_race_goes_on_without_an_engine_that_fails(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    value = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in ("x", "y")
    ]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Neg", ["x"], ["y"])], "g", value[:1], value[1:]
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    x = np.array([1, 2], dtype=np.float32)
    np.savez(tmp_path / "m.npz", x=x, **{"out:y": -x})
    names = ("relay", "onnxruntime", "onnxruntime-bf16")
    paths = (str(tmp_path / "m.onnx"), str(tmp_path / "m.npz"))
    task = worker.Task(*paths, names, threads=1, rounds=2, min_seconds=0.001, race=True)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", task.to_json()],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    last = done.stdout.strip().splitlines()[-1].removeprefix(worker.MARK)
    results = json.loads(last)["result"]
    assert results["relay"]["error"] == results["onnxruntime"]["error"] == 0.0
    assert results["relay"]["runs"] > 0
    assert "no bfloat16 mode" in results["onnxruntime-bf16"]["failed"]
