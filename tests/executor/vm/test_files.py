"""Programs in files: they run as before, and whatever else is in a file is refused."""

import contextlib
import json
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import relay
from relay.executor import archive
from relay.executor.vm import artifact as files
from relay.executor.vm.text import parse, program_text
from relay.executor.vm.verify import verify
from relay.support.errors import ArtifactError, ParseError, RelayError

PROGRAM = """#[version = "0.0.5"]
type Tree[A] { Leaf(A), Node(Tree[A], Tree[A]), Empty, }
def @fold[A](%f: fn(A, A) -> A, %t: Tree[A], %zero: A) -> A {
  match (%t) {
    Leaf(%a) => { %a },
    Node(%l, %r) => { %f(@fold(%f, %l, %zero), @fold(%f, %r, %zero)) },
    Empty => { %zero },
  }
}
def @main(%x: Tensor[(?, 3), float32], %n: int32)
    -> (Tensor[(?, 3), float32], Tensor[(3), float32], int32) {
  let %w = meta[relay.Constant][0];
  let %y = nn.relu(nn.dense(%x, meta[relay.Constant][1], units=None));
  let %loop = fn(%i: int32, %a: Tensor[(3), float32]) -> Tensor[(3), float32] {
    if (less(%i, %n)) { %loop(add(%i, 1), add(%a, %w)) } else { %a } };
  let %t = Node(Leaf(%n), Node(Leaf(2), Empty));
  let %r = ref(%n);
  ref_write(%r, @fold(fn(%a: int32, %b: int32) { add(%a, %b) }, %t, 0));
  (%y, %loop(0, %w), ref_read(%r))
}
"""
X = np.random.default_rng(0).standard_normal((2, 3), np.float32)


def built() -> relay.vm.Executable:
    rng = np.random.default_rng(1)
    w, m = (relay.const(rng.standard_normal(s, np.float32)) for s in ((3,), (3, 3)))
    mod = relay.parse(PROGRAM, init_meta_table={"relay.Constant": [w, m]})
    return relay.vm.compile(mod)


def results(executable: relay.vm.Executable, rows: int = 2) -> list[list[float]]:
    machine = relay.vm.VirtualMachine(executable)
    given = np.resize(X, (rows, 3))
    return [v.numpy().tolist() for v in machine.invoke("main", given, 4)]


@pytest.fixture(scope="module")
def executable() -> relay.vm.Executable:
    return built()


@pytest.fixture(scope="module")
def original(executable: relay.vm.Executable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vm") / "program.rlyvm"
    executable.save(path)
    return path


def test_text_and_back(executable: relay.vm.Executable) -> None:
    assert parse(str(executable)) == executable.program
    assert program_text(parse(str(executable))) == str(executable)
    assert "ret call" in str(executable)


def test_a_loaded_program_is_the_program(executable: relay.vm.Executable, original: Path) -> None:
    loaded = relay.vm.load(original)
    assert results(loaded) == results(executable)
    assert results(loaded, 5) == results(executable, 5)
    assert loaded.compilations == executable.compilations
    assert loaded.program == executable.program
    assert loaded.get_function_params("main") == ["x", "n"]
    assert [c.name_hint for c in loaded.constructors] == ["Leaf", "Node", "Empty"]


def test_constants_are_mapped_and_aligned(original: Path) -> None:
    loaded = relay.vm.load(original)
    assert loaded.constants
    for tensor in loaded.constant_values:
        assert tensor.address % 64 == 0
        assert not tensor.numpy().flags.writeable


def test_a_loaded_program_can_be_written_again(original: Path, tmp_path: Path) -> None:
    relay.vm.load(original).save(tmp_path / "again")
    assert relay.vm.load(tmp_path / "again").program == relay.vm.load(original).program
    again, first = (tmp_path / "again").read_bytes(), original.read_bytes()
    assert again == first


def test_bfloat16_constants(tmp_path: Path) -> None:
    mod = relay.parse("""#[version = "0.0.5"]
        def @main(%x: float32) { (cast(%x, dtype="bfloat16"), cast(1.5f, dtype="bfloat16")) }""")
    executable = relay.vm.compile(mod)
    executable.save(tmp_path / "b")
    for program in (executable, relay.vm.load(tmp_path / "b")):
        first, second = relay.vm.VirtualMachine(program).run(1.5)
        assert first.dtype == second.dtype == "bfloat16"
        assert first.item() == second.item() == 1.5


def test_specialise_is_kept(tmp_path: Path) -> None:
    x = relay.var("x", shape=(relay.Any(),))
    executable = relay.vm.compile(relay.Function([x], relay.exp(x)), specialise=False)
    executable.save(tmp_path / "s")
    with pytest.raises(RelayError, match="specialise=False"):
        relay.vm.VirtualMachine(relay.vm.load(tmp_path / "s")).run(X[0])


def refusal(path: Path) -> str:
    with pytest.raises(ArtifactError) as found:
        relay.vm.load(path)
    assert str(path) in str(found.value)
    return str(found.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert "no such file" in refusal(path)
    path.write_bytes(b"words" * 100)
    assert "not a compiled model" in refusal(path)
    np.savez(path, X)
    assert "not a compiled model" in refusal(path.with_suffix(".npz"))
    x = relay.var("x", shape=(3,))
    relay.build(relay.Function([x], relay.exp(x))).export_library(path)
    assert "not a compiled model" in refusal(path)


def test_truncations_and_flipped_bytes_are_noticed(original: Path, tmp_path: Path) -> None:
    data = original.read_bytes()
    path = tmp_path / "damaged"
    for size in [*range(1, 100, 9), *range(100, len(data), 499), len(data) - 1]:
        path.write_bytes(data[:size])
        refusal(path)
    for at in range(0, len(data), 997):
        changed = bytearray(data)
        changed[at] ^= 0x55
        path.write_bytes(changed)
        with contextlib.suppress(ArtifactError):
            relay.vm.load(path)


# ---------------------------------------------------------------------- edited with right checksums


def edit(original: Path, path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Write the file anew with other members, all checksums right."""
    with zipfile.ZipFile(original) as old:
        members = {name: old.read(name) for name in old.namelist()}
    before = dict(members)
    change(members)
    manifest = json.loads(members.pop(archive.MANIFEST))
    with path.open("wb") as stream, archive.Writer(stream) as writer:
        arrays = files.read(original).constants
        writer.constants(arrays)
        members.pop(archive.CONSTANTS)
        for name, data in members.items():
            stored = writer.add(name, data)
            if data != before[name]:
                key = {"bytecode.txt": "bytecode", "program.rly": "program"}[name]
                manifest[key] = {"bytes": stored.bytes, "sha256": stored.sha256}
        writer.finish(json.dumps(manifest, indent=1).encode(), files.KIND)


def test_an_edit_that_changes_nothing(original: Path, tmp_path: Path) -> None:
    edit(original, tmp_path / "same", dict.copy)
    assert (tmp_path / "same").read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    ("member", "old", "new", "message"),
    [
        ("bytecode.txt", "constants ", "constants 1", "does not go with|no instruction|expected"),
        ("bytecode.txt", "ret r", "ret r9", "register does not exist"),
        ("bytecode.txt", "jump +", "jump +9", "jumps backwards or out"),
        ("bytecode.txt", "graph 0 (", "graph 77 (", "graph does not exist"),
        ("bytecode.txt", "unless", "until", "no instruction"),
        ("bytecode.txt", "Leaf/1", "Leaf/2", "does not go with|takes 2 fields"),
        ("program.rly", "Leaf", "Blatt", "does not go with"),
        ("program.rly", "def @", "deaf @", "expected a definition"),
        ("manifest.json", '"version": 2', '"version": 3', "version 3 of the format"),
        ("manifest.json", '"arena_bytes": ', '"arena_bytes": -1', "not an integer"),
        ("manifest.json", '"dynamic": true', '"dynamic": false', "lacks the field"),
    ],
)
def test_edited_files_are_refused(
    original: Path, tmp_path: Path, member: str, old: str, new: str, message: str
) -> None:
    def change(members: dict[str, bytes]) -> None:
        text = members[member].decode()
        assert old in text
        members[member] = text.replace(old, new, 1).encode()

    edit(original, tmp_path / "edited", change)
    with pytest.raises(ArtifactError, match=message):
        relay.vm.load(tmp_path / "edited")


def test_mutated_bytecode_never_gets_further_than_an_error(executable: relay.vm.Executable) -> None:
    """Changed numbers and lines: refused by the verifier, or run to some end without a crash."""
    rng = np.random.default_rng(int(os.environ.get("RELAY_MUTATION_SEED", "0")))
    rounds = int(os.environ.get("RELAY_MUTATIONS", "400"))
    text = str(executable)
    refused = 0
    for _ in range(rounds):
        changed = _mutated(text, rng)
        try:
            program = parse(changed)
            verify(program)
        except (ParseError, ArtifactError):
            refused += 1
            continue
        mutant = relay.vm.Executable(
            functions=program.functions,
            entries=executable.entries,
            signatures=executable.signatures,
            graphs=executable.graphs,
            operators=executable.operators,
            constants=executable.constants,
            constant_dtypes=executable.constant_dtypes,
            type_definitions=executable.type_definitions,
            specialising=executable.specialising,
            target=executable.target,
        )
        _run_for_a_while(mutant)
    assert rounds / 4 < refused


def _mutated(text: str, rng: np.random.Generator) -> str:
    lines = text.splitlines()
    at = int(rng.integers(len(lines)))
    match int(rng.integers(4)):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[int(rng.integers(len(lines)))])
        case 2:
            other = int(rng.integers(len(lines)))
            lines[at], lines[other] = lines[other], lines[at]
        case _:
            digits = [k for k, c in enumerate(lines[at]) if c.isdigit()]
            if digits:
                k = digits[int(rng.integers(len(digits)))]
                lines[at] = lines[at][:k] + str(rng.integers(10)) + lines[at][k + 1 :]
    return "\n".join(lines) + "\n"


class _EndlessError(Exception):
    pass


def _run_for_a_while(mutant: relay.vm.Executable) -> None:
    """Run a program that may not end, and may fail in all ways that are for people."""

    def stop(*_: object) -> None:
        raise _EndlessError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        relay.vm.VirtualMachine(mutant).run(X, 3)
    except (RelayError, _EndlessError):
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
