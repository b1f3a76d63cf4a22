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


def test_the_first_node_that_differs_is_named(
    relay_command: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = pytest.importorskip("relay.cli.peers.onnxruntime_peer")

    class Wrong(peer.Session):  # type: ignore[misc, name-defined]
        """An engine that takes a Sigmoid for a HardSigmoid."""

        def __init__(self, path: Path, inputs: object, threads: int) -> None:
            model = onnx.load(path)
            for node in model.graph.node:
                node.op_type = node.op_type.replace("Sigmoid", "HardSigmoid")
            onnx.save(model, path)
            super().__init__(path, inputs, threads)

    nodes = [
        helper.make_node("Exp", ["x"], ["e"], name="grow"),
        helper.make_node("Sigmoid", ["e"], ["s"], name="bend"),
        helper.make_node("Log", ["s"], ["y"], name="shrink"),
    ]
    path = saved(tmp_path, nodes, ["y"])
    assert relay_command("compare", path).code == 0
    monkeypatch.setattr(peer, "Session", Wrong)
    found = relay_command("compare", path)
    assert found.code == 1
    assert "the first value that differs: 's' of node 'bend' (Sigmoid)" in found.out
    assert "sigmoid(Tensor[(2, 3), float32]) -> Tensor[(2, 3), float32]" in found.out
    assert "shrink" not in found.out
