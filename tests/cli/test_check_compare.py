"""``relay check`` and ``relay compare``."""

from pathlib import Path

import onnx
import pytest
from onnx import helper

from cli_helpers import Relay
from onnx_models import floats, model_of


def saved(folder: Path, nodes: list[onnx.NodeProto], outputs: list[str]) -> Path:
    path = folder / "model.onnx"
    x = floats(2, 3)
    onnx.save(model_of(nodes, {"x": x}, outputs, domains={"com.example": 1}), path)
    return path


def test_a_model_that_can_be_imported(relay_command: Relay, model: Path) -> None:
    found = relay_command("check", model)
    assert found.code == 0
    assert found.out.splitlines() == ["4 nodes of 4 kinds", "all of them can be imported"]


def test_everything_that_is_wrong_is_named_at_once(relay_command: Relay, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NoSuch", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="behind"),
        helper.make_node("Transpose", ["x"], ["t"], name="turn", perm=[0, 0]),
        helper.make_node("Neg", ["t"], ["n"], name="after"),
        helper.make_node("Softmax", ["x"], ["s"], name="soft", axis=7),
        helper.make_node("Foo", ["s"], ["c"], domain="com.example"),
    ]
    found = relay_command("check", saved(tmp_path, nodes, ["b", "n", "c"]))
    assert found.code == 1
    for word in ("NoSuch (17)", "first", "com.example.Foo", "turn", "order of", "axis 7"):
        assert word in found.out
    assert "behind" not in found.out
    assert "after" not in found.out


def test_a_compiled_model_is_refused(relay_command: Relay, tmp_path: Path) -> None:
    for command in ("check", "compare"):
        found = relay_command(command, tmp_path / "model.rly")
        assert found.code == 2
        assert "compiled already" in found.err


def test_engines_agree(relay_command: Relay, model: Path) -> None:
    pytest.importorskip("onnxruntime")
    found = relay_command("compare", model)
    assert found.code == 0
    assert found.out.splitlines()[-1] == "all outputs agree within 0.001"


def test_the_first_node_that_differs_is_named(relay_command: Relay, tmp_path: Path) -> None:
    """Engines disagree on what is left of a division of negative numbers by one rounded up."""
    pytest.importorskip("onnxruntime")
    nodes = [
        helper.make_node("Exp", ["x"], ["e"], name="grow"),
        helper.make_node("Sigmoid", ["e"], ["s"], name="bend"),
        helper.make_node("Log", ["s"], ["y"], name="shrink"),
    ]
    found = relay_command("compare", saved(tmp_path, nodes, ["y"]), "--tolerance", "0")
    if found.code == 0:
        pytest.skip("both engines gave the same bits")
    assert "the first value that differs: " in found.out
    assert "expression" in found.out
    assert "kernel" in found.out
