"""Compiled models in files: they run as before, and whatever else is in a file is refused."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import relay
from relay.codegen.llvm.host import host_target
from relay.executor import artifact as artifacts
from relay.executor.archive import check_host
from relay.executor.graph import GraphFactory
from relay.executor.manifest import decode, encode
from relay.support.errors import ArtifactError
from relay.target import Target

X = np.random.default_rng(0).standard_normal((3, 5), np.float32)


def program() -> relay.Function:
    """``(relu(dense(x, w) + b), the integers of a table)``: constants of several types."""
    rng = np.random.default_rng(1)
    x = relay.var("x", shape=(3, 5))
    w = relay.const(rng.standard_normal((7, 5), np.float32))
    b = relay.const(rng.standard_normal(7, np.float32))
    y = relay.nn.relu(relay.add(relay.nn.dense(x, w), b))
    table = relay.const(np.arange(6, dtype=np.int64))
    return relay.Function([x], relay.Tuple([y, relay.add(table, table)]))


@pytest.fixture(scope="module")
def factory() -> GraphFactory:
    return relay.build(program())


@pytest.fixture(scope="module")
def original(factory: GraphFactory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact") / "program.rly"
    factory.export_library(path)
    return path


def outputs(factory: GraphFactory) -> list[np.ndarray]:
    return [o.numpy() for o in factory["default"](relay.cpu(0))(X)]


def refusal(path: Path) -> str:
    """Why `path` is refused, less the name of the file."""
    with pytest.raises(ArtifactError) as found:
        relay.load(path)
    assert str(path) in str(found.value)
    return str(found.value).replace(str(path), "FILE")


def test_a_loaded_program_is_the_program(factory: GraphFactory, original: Path) -> None:
    loaded = relay.load(original)
    for mine, theirs in zip(outputs(loaded), outputs(factory), strict=True):
        assert_array_equal(mine, theirs)
    assert loaded.inputs == factory.inputs
    assert loaded.outputs == factory.outputs
    assert loaded.target == factory.target
    assert loaded.kernel_names == factory.kernel_names
    assert (loaded.steps, loaded.arena_bytes) == (factory.steps, factory.arena_bytes)


def test_constants_are_mapped_and_aligned(original: Path) -> None:
    for constant in relay.load(original).constants:
        assert not constant.flags.writeable
        assert not constant.flags.owndata
        assert constant.ctypes.data % 64 == 0


def test_a_loaded_program_can_be_written_again(original: Path, tmp_path: Path) -> None:
    loaded = relay.load(original)
    loaded.export_library(tmp_path / "again.rly")
    assert (tmp_path / "again.rly").read_bytes() == original.read_bytes()


def test_any_zip_program_reads_it(original: Path) -> None:
    with zipfile.ZipFile(original) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
    assert names[0] == "constants.bin"
    assert names[-1] == "manifest.json"
    assert manifest["inputs"] == [{"name": "x", "shape": [3, 5], "dtype": "float32"}]


def test_loading_imports_no_compiler(original: Path) -> None:
    heavy = ("onnx", "relay.frontend", "relay.transform", "relay.lower", "relay.strategy")
    check = (
        f"import relay, sys; relay.load({str(original)!r}); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_a_program_without_constants_or_inputs(tmp_path: Path) -> None:
    path = tmp_path / "empty.rly"
    x = relay.var("x", shape=(3, 5))
    relay.build(relay.Function([x], relay.nn.relu(x))).export_library(path)
    assert_array_equal(outputs(relay.load(path))[0], np.maximum(X, 0))
    relay.build(relay.Function([], relay.ones((2,), "float32"))).export_library(path)
    assert_array_equal(relay.load(path).create()()[0].numpy(), np.ones(2, np.float32))


# ---------------------------------------------------------------------- what is not one


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.rly"
    assert refusal(path) == "no such file: FILE"
    assert refusal(tmp_path) == "FILE is a folder; expected a compiled model"
    path.write_bytes(b"")
    assert refusal(path) == "FILE is empty; expected a compiled model"
    path.write_bytes(b"words, only words" * 100)
    assert refusal(path) == (
        "FILE cannot be used: it is not a compiled model, which `relay compile` writes"
    )
    np.savez(tmp_path / "x.npz", X)
    (tmp_path / "x.npz").rename(path)
    assert refusal(path) == (
        "FILE cannot be used: it is a zip archive, but not a compiled model as relay writes it"
    )


def test_every_truncation_is_noticed(original: Path, tmp_path: Path) -> None:
    data = original.read_bytes()
    path = tmp_path / "cut.rly"
    for size in [*range(1, 200, 7), *range(200, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:size])
        assert "FILE cannot be used: it is" in refusal(path)


def test_every_flipped_byte_is_noticed_or_harmless(
    factory: GraphFactory, original: Path, tmp_path: Path
) -> None:
    data = original.read_bytes()
    path = tmp_path / "flipped.rly"
    places = {*range(0, len(data), 61), *range(200), *range(len(data) - 700, len(data))}
    harmless = 0
    for place in sorted(places):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            loaded = artifacts.read(path)
        except ArtifactError:
            continue
        harmless += 1
        for mine, theirs in zip(loaded.constants, factory.constants, strict=True):
            assert_array_equal(mine, theirs)
        assert tuple(loaded.objects.values()) == factory.objects
        assert (loaded.inputs, loaded.outputs) == (factory.inputs, factory.outputs)
    assert harmless < len(places) / 2


def repack(original: Path, path: Path, change: dict[str, object], seal: bool) -> None:
    """Write `original` to `path` with fields of its manifest changed."""
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "manifest.json":
                manifest = json.loads(data)
                for key, value in change.items():
                    *parents, last = key.split(".")
                    place = manifest
                    for parent in parents:
                        place = place[int(parent) if parent.isdigit() else parent]
                    place[last] = value
                data = json.dumps(manifest).encode()
                digest = hashlib.sha256(data).hexdigest()
            new.writestr(info, data)
        new.comment = (
            artifacts.KIND + b"; manifest sha256 " + digest.encode() if seal else old.comment
        )


def test_an_archive_that_was_packed_anew_runs(
    factory: GraphFactory, original: Path, tmp_path: Path
) -> None:
    path = tmp_path / "packed.rly"
    repack(original, path, {}, seal=True)
    for mine, theirs in zip(outputs(relay.load(path)), outputs(factory), strict=True):
        assert_array_equal(mine, theirs)


def test_an_edited_manifest(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "edited.rly"
    repack(original, path, {"arena_bytes": 0}, seal=False)
    assert refusal(path) == (
        "FILE cannot be used: manifest.json was changed since it was written: its checksum is wrong"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"version": 99}, "it has version 99 of the format, this relay reads version 3; compile"),
        ({"format": "tarball"}, "its manifest is not that of a relay compiled graph"),
        ({"arena_bytes": 1 << 60}, "'arena_bytes' of the manifest is not an integer from 0 to"),
        ({"arena_bytes": -1}, "'arena_bytes' of the manifest is not an integer from 0 to"),
        ({"arena_bytes": "many"}, "'arena_bytes' of the manifest is not an integer from 0 to"),
        ({"inputs.0.shape": [1 << 39, 1 << 39]}, "inputs[0] is declared impossibly large"),
        ({"inputs.0.dtype": "object"}, "'dtype' of inputs[0] is not a data type"),
        ({"inputs.0.shape": [-1]}, "'shape' of inputs[0] is not a list of sizes"),
        ({"inputs": {}}, "'inputs' of the manifest is not a list"),
        ({"constants.tensors.0.shape": [1 << 20, 1 << 20]}, "tensors[0] goes up to byte"),
        ({"constants.tensors.0.offset": 4}, "is not at a multiple of 64 bytes"),
        ({"constants.bytes": 0}, "of the constants, which have 0"),
        ({"constants.sha256": "0" * 64}, "constants.bin is damaged: its checksum is wrong"),
        ({"objects.0.sha256": "0" * 64}, "is damaged: its checksum is wrong"),
        ({"objects.0.bytes": 3}, "bytes instead of 3"),
        ({"objects.0.file": "../evil.o"}, "its members are not those that the manifest names"),
        ({"objects": []}, "its members are not those that the manifest names"),
        ({"kernels": []}, "it does not have an object for each kernel"),
        ({"target": 5}, "target is not a JSON object"),
        ({"target.features": [1]}, "'features' of target is not a list of texts"),
        ({"target.features": ["warp-drive"]}, "lacks warp-drive. Compile it again here"),
    ],
)
def test_a_manifest_that_is_wrong(
    original: Path, tmp_path: Path, change: dict[str, object], expected: str
) -> None:
    path = tmp_path / "wrong.rly"
    repack(original, path, change, seal=True)
    assert expected in refusal(path)


def test_manifests_read_back(original: Path) -> None:
    with zipfile.ZipFile(original) as archive:
        text = archive.read("manifest.json")
    assert encode(decode(text)) == text
    with pytest.raises(ArtifactError, match="its manifest is not JSON"):
        decode(b"[" * 100_000)
    with pytest.raises(ArtifactError, match="lacks the field 'format'"):
        decode(b"{}")
    assert {f.name for f in dataclasses.fields(Target)} == set(json.loads(text)["target"])


def test_a_member_that_is_compressed(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "packed.rly"
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name), zipfile.ZIP_DEFLATED)
        new.comment = old.comment
    assert "is compressed or encrypted: the archive was packed anew" in refusal(path)


# ---------------------------------------------------------------------- other machines


def test_a_cpu_that_lacks_something_is_refused(factory: GraphFactory, tmp_path: Path) -> None:
    path = tmp_path / "other.rly"
    target = factory.target
    wider = dataclasses.replace(target, features=(*target.features, "amx-warp", "avx9000"))
    dataclasses.replace(factory, target=wider).export_library(path)
    assert refusal(path) == (
        f"FILE: the model is compiled for the CPU {target.cpu}; this one ({host_target().cpu}) "
        "lacks amx-warp, avx9000. Compile it again here"
    )


def test_another_architecture_is_refused(factory: GraphFactory, tmp_path: Path) -> None:
    path = tmp_path / "other.rly"
    there = dataclasses.replace(factory.target, triple="s390x-ibm-zos")
    dataclasses.replace(factory, target=there).export_library(path)
    assert "FILE: the model is compiled for s390x zos, this machine is " in refusal(path)


def test_fewer_features_are_no_obstacle(tmp_path: Path) -> None:
    host = host_target()
    narrow = dataclasses.replace(host, features=host.features[:0])
    check_host(narrow, host)
    apple = dataclasses.replace(host, triple="arm64-apple-darwin23.1.0")
    check_host(apple, dataclasses.replace(host, triple="arm64-apple-darwin24.0.0"))


# ---------------------------------------------------------------------- writing


def test_a_failed_write_leaves_the_old_file(
    factory: GraphFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.rly"
    path.write_bytes(b"old")

    def full(manifest: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts, "encode", full)
    with pytest.raises(ArtifactError, match="cannot be written: No space left on device"):
        factory.export_library(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_while_it_is_in_use(factory: GraphFactory, tmp_path: Path) -> None:
    path = tmp_path / "program.rly"
    factory.export_library(path)
    loaded = relay.load(path)
    x = relay.var("x", shape=(3, 5))
    relay.build(relay.Function([x], relay.nn.relu(x))).export_library(path)
    assert_array_equal(outputs(loaded)[0], outputs(factory)[0])
    assert len(outputs(relay.load(path))) == 1
