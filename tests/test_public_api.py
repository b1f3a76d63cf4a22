"""The names that `import relay` gives."""

import importlib
import subprocess
import sys

import pytest

import relay

# Modules that only a part of the users needs, and that take long to load.
HEAVY = ("llvmlite", "onnx", "click", "rich", "onnxruntime")


def test_all_is_sorted_and_complete() -> None:
    assert len(set(relay.__all__)) == len(relay.__all__)
    public = {n for n in vars(relay) if not n.startswith("_")}
    modules = {n for n in public if f"relay.{n}" in sys.modules}
    helpers = {"TYPE_CHECKING", "Final", "importlib"}
    assert public - modules - helpers <= set(relay.__all__)


@pytest.mark.parametrize("name", relay.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(relay, name) is not None


@pytest.mark.parametrize("package", ["analysis", "frontend", "infer", "ir", "op", "transform"])
def test_every_package_says_what_is_public(package: str) -> None:
    module = importlib.import_module(f"relay.{package}")
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_operators_are_there_by_their_own_names() -> None:
    assert relay.add is relay.op.add
    assert relay.nn.relu is relay.op.nn.relu
    assert "add" in dir(relay)
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        relay.no_such_name  # noqa: B018


def test_importing_relay_loads_nothing_heavy() -> None:
    check = f"import relay, sys; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
