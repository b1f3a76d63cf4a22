"""The modules of TVM, as modules, and the names that programs use of them."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import relay
import relay.compat.tvm as tvm
from relay.compat.absent import ABSENT, reason
from relay.compat.namespace import Namespace
from relay.compat.table import NAMESPACES

TOOL = Path(__file__).parents[2] / "tools" / "api_names.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


def test_every_name_is_here_or_absent_for_a_reason() -> None:
    done = run(str(TOOL))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_source_of_the_table_exists() -> None:
    for path, sources in NAMESPACES.items():
        for source in sources:
            module_name, _, item = source.partition(":")
            module = importlib.import_module(module_name)
            name = item.partition("=")[0]
            assert not name or hasattr(module, name), f"{path}: {source}"


def test_things_are_those_of_relay() -> None:
    assert tvm.relay.Function is relay.Function
    assert tvm.relay.expr.Call is relay.Call
    assert tvm.relay.op.nn.conv2d is relay.nn.conv2d
    assert tvm.IRModule is relay.IRModule
    assert tvm.relay.testing.resnet.get_workload is relay.testing.resnet.get_workload


def test_modules_can_be_imported() -> None:
    from_path = importlib.import_module("relay.compat.tvm.relay.op.nn")
    assert isinstance(from_path, Namespace)
    assert from_path is tvm.relay.op.nn
    assert from_path.relu is relay.nn.relu
    assert "relu" in dir(from_path)
    assert {"relay", "nd", "contrib", "cpu"} <= set(dir(tvm))
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("relay.compat.tvm.relay.no_such_module")


def test_missing_names_say_why() -> None:
    with pytest.raises(AttributeError, match=r"no tvm.relay.nonsense here$"):
        tvm.relay.nonsense  # noqa: B018
    with pytest.raises(AttributeError, match=r"no tvm.autotvm here: .* nothing to search"):
        tvm.autotvm  # noqa: B018
    with pytest.raises(ImportError, match=r"no tvm.autotvm here: .* nothing to search"):
        importlib.import_module("relay.compat.tvm.autotvm")
    with pytest.raises(ImportError, match=r"no tvm.auto_scheduler here: .* nothing to search"):
        from relay.compat.tvm import auto_scheduler  # noqa: F401, PLC0415
    assert reason("tvm.relay.op.op.register_pattern")
    assert not reason("tvm.relay.var")
    names = [n for group in ABSENT for n in group.names]
    assert len(set(names)) == len(names)


def test_names_load_only_what_they_need() -> None:
    script = """
import sys
import relay.compat.tvm as tvm
from relay.compat.tvm import relay
relay.var, relay.Function, tvm.IRModule, tvm.cpu, relay.transform.FoldConstant
print([m for m in ("llvmlite", "onnx", "click") if m in sys.modules])
"""
    assert run("-c", script).stdout.strip() == "[]"


def test_install_makes_tvm_importable() -> None:
    script = """
import relay.compat
relay.compat.install()
relay.compat.install()
import tvm, relay
from tvm import relay as old
import tvm.relay.testing.mlp as mlp
from tvm.contrib.graph_executor import GraphModule
assert old.Function is relay.Function and tvm.relay is old
assert mlp.get_workload is relay.testing.mlp.get_workload
"""
    done = run("-c", script)
    assert done.returncode == 0, done.stderr


def test_install_refuses_where_tvm_is(tmp_path: Path) -> None:
    (tmp_path / "tvm.py").write_text("")
    script = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import relay.compat
try:
    relay.compat.install()
except relay.RelayError as error:
    assert "TVM is installed here" in str(error)
else:
    raise SystemExit(1)
"""
    done = run("-c", script)
    assert done.returncode == 0, done.stderr
